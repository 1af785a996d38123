package winguest

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

// Cmdlets are the cmdlets of these machines, beside those of package posh.
func Cmdlets() []posh.Command { return commands(&Proc{}) }

// commands are the cmdlets that reach the machine, for a process of it.
func commands(p *Proc) []posh.Command {
	c := &cmdlets{p: p, m: p.Machine}
	c.cim()
	c.service()
	c.task()
	c.user()
	c.firewall()
	c.power()
	c.winrm()
	c.certificate()
	c.refused()
	c.refuseParams()
	return c.list
}

// drives are the drives that are not the file system.
func drives(p *Proc) map[string]posh.Provider {
	r := p.Machine.Registry(p.Login)
	return map[string]posh.Provider{
		"HKLM": registryDrive{r, p, "HKLM"}, "HKCU": registryDrive{r, p, "HKCU"}, "Registry": registryDrive{r, p, ""},
		"WSMan": wsmanDrive{p}, "Cert": certDrive{p},
	}
}

// cmdlets collects the cmdlets for one process.
type cmdlets struct {
	p    *Proc
	m    *Machine
	list []posh.Command
}

// add adds a cmdlet. Its parameters are written Name:type and what more there
// is: a number for its place, need, pipe, pipename, rest, =Alias.
func (c *cmdlets) add(name, params string, run func(*posh.Call) error, aliases ...string) {
	cmd := posh.Command{Name: name, Aliases: aliases, Run: run}
	for _, word := range strings.Fields(params) {
		parts := strings.Split(word, ":")
		q := posh.Param{Name: parts[0], Type: parts[1]}
		if q.Type == "any" {
			q.Type = ""
		}
		for _, s := range parts[2:] {
			switch {
			case s == "need":
				q.Need = true
			case s == "pipe":
				q.Pipe = true
			case s == "pipename":
				q.PipeName = true
			case s == "rest":
				q.Rest = true
			case strings.HasPrefix(s, "="):
				q.Aliases = append(q.Aliases, s[1:])
			default:
				fmt.Sscan(s, &q.Pos)
			}
		}
		cmd.Params = append(cmd.Params, q)
	}
	c.list = append(c.list, cmd)
}

// change adds a cmdlet that only an administrator may use.
func (c *cmdlets) change(name, params string, run func(*posh.Call) error, aliases ...string) {
	c.add(name, params, func(k *posh.Call) error {
		if err := c.p.Admin(); err != nil {
			return denied(name)
		}
		return run(k)
	}, aliases...)
}

func denied(what string) error {
	return &posh.Error{ID: "PermissionDenied", Message: what + ": Access is denied.", Exception: "System.UnauthorizedAccessException", Category: "PermissionDenied"}
}

// problem makes an error record of an error of the machine.
func problem(id, category, target string, format string, a ...any) error {
	return &posh.Error{ID: id, Message: fmt.Sprintf(format, a...), Category: category, Target: target}
}

// cmError is an error as the cmdlets of CIM tell it: with its code.
func cmError(id, target string, err error) error {
	return &posh.Error{ID: fmt.Sprintf("HRESULT 0x%08x,%s", hresult(err), id), Message: err.Error(), Exception: "Microsoft.Management.Infrastructure.CimException", Category: "NotSpecified", Target: target}
}

func hresult(err error) uint32 {
	c := uint32(CodeOf(err))
	if c < 0x10000 {
		c |= 0x80070000
	}
	return c
}

// outside refuses what the machine has not.
func outside(format string, a ...any) error {
	return fmt.Errorf("cannot run %s: it is %w", fmt.Sprintf(format, a...), posh.ErrOutside)
}

// like matches a name against a pattern with * and ?, without regard to case.
func like(pattern, name string) bool {
	ok, err := path.Match(strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(pattern, `\`, `\\`), "/", "\x01")), strings.ToLower(strings.ReplaceAll(name, "/", "\x01")))
	return ok && err == nil
}

func hasWild(s string) bool { return strings.ContainsAny(s, "*?[") }

// property is a property of an object, nil if it has none of that name.
func property(v any, name string) any {
	switch o := v.(type) {
	case *posh.Object:
		x, _ := o.Get(name)
		return x
	case *posh.Hash:
		x, _ := o.Get(name)
		return x
	}
	return nil
}

func propertyText(v any, name string) string { return textOf(property(v, name)) }

func textOf(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func truthOf(v any) bool {
	b, ok := v.(bool)
	return ok && b || strings.EqualFold(textOf(v), "true")
}

// elements are those of an array, or the one that a value is.
func elements(v any) []any {
	switch a := v.(type) {
	case nil:
		return nil
	case *posh.Array:
		return a.Elem
	}
	return []any{v}
}

// clock is how PowerShell writes a duration: 1.02:03:04.
var clock = regexp.MustCompile(`^(?:(\d+)\.)?(\d+):(\d+)(?::(\d+))?$`)

// durationOf reads a [timespan], its text, or an ISO 8601 duration such as PT72H.
func durationOf(v any) (time.Duration, error) {
	if d, ok := v.(time.Duration); ok {
		return d, nil
	}
	s := strings.ToUpper(textOf(v))
	if s == "" {
		return 0, nil
	}
	if m := clock.FindStringSubmatch(s); m != nil {
		var total time.Duration
		for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
			n, err := strconv.Atoi(m[i+1])
			if m[i+1] != "" && err != nil {
				return 0, fmt.Errorf("%q is no duration", s)
			}
			total += time.Duration(n) * unit
		}
		return total, nil
	}
	rest, ok := strings.CutPrefix(s, "P")
	days, clock, _ := strings.Cut(rest, "T")
	var total time.Duration
	if n, isDays := strings.CutSuffix(days, "D"); isDays {
		var d int
		if _, err := fmt.Sscan(n, &d); err != nil {
			ok = false
		}
		total = time.Duration(d) * 24 * time.Hour
	} else if days != "" {
		ok = false
	}
	if clock != "" {
		d, err := time.ParseDuration(strings.ToLower(clock))
		ok = ok && err == nil
		total += d
	} else if days == "" {
		ok = false
	}
	if !ok {
		return 0, fmt.Errorf("%q is no duration", textOf(v))
	}
	return total, nil
}

func isoDuration(d time.Duration) string {
	if d == 0 {
		return "PT0S"
	}
	h, rest := d/time.Hour, d%time.Hour
	out := "PT"
	if h > 0 {
		out += fmt.Sprintf("%dH", h)
	}
	if m := rest / time.Minute; m > 0 {
		out += fmt.Sprintf("%dM", m)
	}
	if s := rest % time.Minute / time.Second; s > 0 {
		out += fmt.Sprintf("%dS", s)
	}
	return out
}

// refused are cmdlets that builds ask for and that nothing here can stand in
// for: they say so.
func (c *cmdlets) refused() {
	for name, why := range map[string]string{
		"Install-WindowsFeature":         "this machine has no roles and features to install",
		"Add-WindowsFeature":             "this machine has no roles and features to install",
		"Uninstall-WindowsFeature":       "this machine has no roles and features",
		"Get-WindowsFeature":             "this machine has no roles and features",
		"Enable-WindowsOptionalFeature":  "this machine has no optional features",
		"Disable-WindowsOptionalFeature": "this machine has no optional features",
		"Install-Module":                 "this machine has no gallery to install from",
		"Install-Package":                "this machine has no packages to install from",
		"Install-PackageProvider":        "this machine has no packages to install from",
		"Import-PfxCertificate":          "certificates with keys are only made here (New-SelfSignedCertificate)",
		"Add-Computer":                   "this machine joins no domain",
		"Get-HotFix":                     "this machine has no updates",
	} {
		c.list = append(c.list, posh.Command{Name: name, Refused: why})
	}
}

// notExist is what providers answer for what is not there.
func notExist(what string) error { return fmt.Errorf("%s: %w", what, fs.ErrNotExist) }
