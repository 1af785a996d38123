package posh

import (
	"fmt"
	"slices"
	"strings"
)

// requirement is one parameter of a #Requires statement.
type requirement struct {
	kind    string // "version", "psedition", "modules", "runasadministrator", "shellid", "assembly"
	text    string
	version *version
	modules []moduleNeed
}

// moduleNeed is a module with the versions of it that will do; nil is any.
type moduleNeed struct {
	name               string
	least, most, exact *version
}

// requirement parameters, in the order in which a shortened name finds them.
var requirementNames = []string{"shellid", "pssnapin", "version", "assembly", "modules", "psedition", "runasadministrator"}

// noteRequires keeps a line comment that is a #Requires statement: one that is the
// first thing on its line.
func (p *parser) noteRequires(from, to int) {
	const word = "requires"
	text := string(p.t[from+1 : to])
	if len(text) < len(word) || !strings.EqualFold(text[:len(word)], word) {
		return
	}
	for i := from - 1; i >= 0 && !isNewline(p.t[i]); i-- {
		if !isBlank(p.t[i]) {
			return
		}
	}
	if p.requires == nil {
		p.requires = map[int]int{}
	}
	p.requires[from+1+len(word)] = to
}

// requirements reads the #Requires statements that were met.
func (p *parser) requirements() (out []requirement) {
	var starts []int
	for from := range p.requires {
		starts = append(starts, from)
	}
	slices.Sort(starts)
	whole := p.t
	defer func() { p.t = whole }()
	for _, from := range starts {
		to := p.requires[from]
		p.i, p.t = from, whole[:to]
		if !p.end() && !isBlank(p.peek(0)) {
			p.fail(from, "RequiresInvalid", "#Requires must be followed by a blank.")
		}
		e, cmd := &elemAST{}, &cmdAST{}
		p.arguments(e, cmd)
		if len(cmd.args) == 0 {
			p.fail(from, "RequiresMissing", "#Requires says nothing.")
		}
		for i := 0; i < len(cmd.args); i++ {
			a := cmd.args[i]
			if a.param == "" {
				p.fail(a.from, "RequiresInvalid", "#Requires takes parameters only.")
			}
			value := a.value
			if i+1 < len(cmd.args) && value == nil && cmd.args[i+1].param == "" {
				i++
				value = cmd.args[i].value
			}
			r := p.requirement(a, value)
			if slices.ContainsFunc(out, func(o requirement) bool { return o.kind == r.kind && r.kind != "modules" && r.kind != "assembly" }) {
				p.fail(a.from, "ParameterAlreadyBound", "#Requires has -%s twice.", a.param)
			}
			out = append(out, r)
		}
	}
	return out
}

func (p *parser) requirement(a argAST, value expr) requirement {
	r := requirement{}
	for _, n := range requirementNames {
		if r.kind == "" && strings.HasPrefix(n, strings.ToLower(a.param)) {
			r.kind = n
		}
	}
	bad := func() {
		p.fail(a.from, "RequiresInvalidArgument", "What stands behind -%s of #Requires is not valid.", a.param)
	}
	switch r.kind {
	case "":
		p.fail(a.from, "RequiresInvalidParameter", "#Requires has no parameter -%s.", a.param)
	case "pssnapin":
		p.refuse(a.from, "#Requires -PSSnapin")
	case "runasadministrator":
		if value != nil {
			p.fail(a.from, "ParameterCannotHaveArgument", "-%s of #Requires takes no value.", a.param)
		}
		return r
	}
	if value == nil {
		p.fail(a.from, "ParameterRequiresArgument", "-%s of #Requires has no value.", a.param)
	}
	if r.kind == "modules" {
		items := []expr{value}
		switch l := value.(type) {
		case *listExpr:
			items = l.items
		case *arrayExpr:
			p.refuse(a.from, "#Requires -Modules @( )")
		}
		for _, x := range items {
			m, ok := p.moduleNeed(x)
			if !ok {
				bad()
			}
			r.modules = append(r.modules, m)
		}
		return r
	}
	text, ok := plainText(value)
	if !ok {
		bad()
	}
	r.text = text
	if r.kind == "version" {
		if r.version = needVersion(text); r.version == nil {
			bad()
		}
	}
	return r
}

// plainText is a constant of a script as it is written.
func plainText(x expr) (string, bool) {
	c, ok := x.(*constExpr)
	switch {
	case !ok:
		return "", false
	case c.text != "":
		return c.text, true
	}
	return toText(c.v), true
}

// needVersion reads a version, of which the major number alone will do.
func needVersion(text string) *version {
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	v, err := parseVersion(text)
	if err != nil {
		return nil
	}
	return v
}

func (p *parser) moduleNeed(x expr) (m moduleNeed, ok bool) {
	h, isHash := x.(*hashExpr)
	if !isHash {
		m.name, ok = plainText(x)
		return m, ok && m.name != ""
	}
	for i, k := range h.keys {
		key, ok1 := plainText(k)
		var text string
		ok2 := false
		if v := pureOf(h.vals[i]); v != nil {
			text, ok2 = plainText(v)
		}
		if !ok1 || !ok2 {
			return m, false
		}
		v := needVersion(text)
		switch strings.ToLower(key) {
		case "modulename":
			m.name = text
			continue
		case "moduleversion":
			m.least = v
		case "maximumversion":
			m.most = v
		case "requiredversion":
			m.exact = v
		case "guid":
			p.refuse(x.where().from, "#Requires -Modules with a GUID")
		default:
			return m, false
		}
		if v == nil {
			return m, false
		}
	}
	return m, m.name != "" && (m.least != nil || m.most != nil || m.exact != nil)
}

// modulesHere are the modules of Windows Server whose cmdlets, or some of them, are
// here, with their versions.
var modulesHere = map[string]string{
	"microsoft.powershell.management": "3.1.0.0", "microsoft.powershell.utility": "3.1.0.0", "microsoft.powershell.security": "3.0.0.0",
	"microsoft.powershell.archive": "1.0.1.0", "microsoft.powershell.localaccounts": "1.0.0.0", "microsoft.wsman.management": "3.0.0.0",
	"cimcmdlets": "1.0.0.0", "netsecurity": "2.0.0.0", "scheduledtasks": "1.0.0.0", "pki": "1.0.0.0",
}

// modulesOfServer are further modules of Windows Server: that they are missing here
// does not mean that they do not exist.
var modulesOfServer = strings.Fields(`appbackgroundtask applocker appvclient appx bestpractices bitlocker bitstransfer branchcache
	configci defender directaccessclientcomponents dism dnsclient eventtracingmanagement international iscsi ise kds
	microsoft.powershell.diagnostics microsoft.powershell.host microsoft.powershell.odatautils microsoft.powershell.operation.validation
	mmagent msdtc netadapter netconnection neteventpacketcapture netlbfo netnat netqos netswitchteam nettcpip networkconnectivitystatus
	networkswitchmanager networktransition packagemanagement pcsvdevice pester platformidentifier pnpdevice powershellget printmanagement
	provisioning psdesiredstateconfiguration psdiagnostics psreadline psscheduledjob psworkflow psworkflowutility secureboot servermanager
	servermanagertasks smbshare smbwitness softwareinventorylogging startlayout storage tls troubleshootingpack trustedplatformmodule
	useraccesslogging vpnclient wdac whea windowsdeveloperlicense windowserrorreporting windowssearch windowsupdate`)

// require is the error of a script file whose requirements are not met, which does
// not run then.
func (s *shell) require(needs []requirement, name string) error {
	for _, r := range needs {
		if err := s.meets(r, name); err != nil {
			return err
		}
	}
	return nil
}

func (s *shell) meets(r requirement, name string) error {
	unmet := func(id, category, format string, a ...any) error {
		return &Error{ID: id, Category: category, Target: name, Exception: "System.Management.Automation.ScriptRequiresException",
			Message: fmt.Sprintf("The script '"+name+"' cannot be run because "+format, a...)}
	}
	table := s.versionTable()
	switch r.kind {
	case "version":
		own, _ := table.Get("PSVersion")
		compatible, _ := table.Get("PSCompatibleVersions")
		for _, v := range append(elements(compatible), own) {
			if v := v.(*version); v.a == r.version.a && r.version.b <= v.b {
				return nil
			}
		}
		return unmet("ScriptRequiresUnmatchedPSVersion", "ResourceUnavailable", "it contained a \"#requires\" statement for Windows PowerShell %s. The version of Windows PowerShell that is required by the script does not match the currently running version of Windows PowerShell %s.", r.text, toText(own))
	case "psedition":
		own, _ := table.Get("PSEdition")
		if !strings.EqualFold(r.text, toText(own)) {
			return unmet("ScriptRequiresUnmatchedPSEdition", "ResourceUnavailable", "it contained a \"#requires\" statement for PowerShell editions '%s'. The edition of PowerShell that is required by the script does not match the currently running PowerShell %s edition.", r.text, toText(own))
		}
	case "shellid":
		if !strings.EqualFold(r.text, "Microsoft.PowerShell") {
			return unmet("ScriptRequiresUnmatchedShellId", "ResourceUnavailable", "it contained a \"#requires\" statement with a shell ID of %s that is incompatible with the current shell.", r.text)
		}
	case "runasadministrator":
		if !s.sys.Admin {
			return unmet("ScriptRequiresElevation", "PermissionDenied", "it contains a \"#requires\" statement for running as Administrator. The current Windows PowerShell session is not running as Administrator. Start Windows PowerShell by using the Run as Administrator option, and then try running the script again.")
		}
	case "modules":
		var missing []string
		for _, m := range r.modules {
			there, err := s.hasModule(m)
			if err != nil {
				return err
			}
			if !there {
				missing = append(missing, m.name)
			}
		}
		if missing != nil {
			return unmet("ScriptRequiresMissingModules", "ResourceUnavailable", "the following modules that are specified by the \"#requires\" statements of the script are missing: %s.", strings.Join(missing, ", "))
		}
	}
	return nil
}

func (s *shell) hasModule(m moduleNeed) (bool, error) {
	name := strings.ToLower(m.name)
	if strings.ContainsAny(name, `\/:`) || slices.Contains(modulesOfServer, name) {
		return false, s.refuse("#Requires -Modules %s", m.name)
	}
	text, there := modulesHere[name]
	if !there {
		return false, nil
	}
	v := needVersion(text)
	return (m.least == nil || v.cmp(m.least) >= 0) && (m.most == nil || v.cmp(m.most) <= 0) && (m.exact == nil || v.cmp(m.exact) == 0), nil
}
