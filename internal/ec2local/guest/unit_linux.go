package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
	"unicode"
)

// unitDirs in the order in which the first one wins.
var unitDirs = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// unit is a unit file with its drop-ins, or a script of /etc/init.d.
type unit struct {
	name     string // canonical, with suffix
	path     string // "" if not found
	instance string // of foo@bar.service
	script   bool   // path is in /etc/init.d
	masked   bool
	keys     map[string][]string // "Service.ExecStart"
}

// builtin units are part of the embedded EC2 itself.
func builtin(name string) bool { return name == "ssh.service" || name == "sshd.service" }

// unitName adds the suffix that systemctl adds.
func unitName(s string) string {
	s = filepath.Base(s)
	for _, x := range []string{".service", ".socket", ".target", ".timer", ".mount", ".path", ".slice", ".scope", ".device", ".swap", ".automount"} {
		if strings.HasSuffix(s, x) {
			return s
		}
	}
	return s + ".service"
}

// loadUnit finds and reads a unit. A unit that does not exist is no error: its
// path is empty.
func loadUnit(name string) (*unit, error) {
	u := &unit{name: unitName(name), keys: map[string][]string{}}
	find := func(name string) string {
		for _, d := range unitDirs {
			p := filepath.Join(d, name)
			if _, err := os.Lstat(p); err == nil {
				return p
			}
		}
		return ""
	}
	file := u.name
	if u.path = find(file); u.path == "" {
		if at := strings.IndexByte(file, '@'); at >= 0 {
			u.path = find(file[:at+1] + filepath.Ext(file))
		}
	}
	if at := strings.IndexByte(u.name, '@'); at >= 0 {
		u.instance = strings.TrimSuffix(u.name[at+1:], filepath.Ext(u.name))
	}
	if u.path == "" {
		script := filepath.Join("/etc/init.d", strings.TrimSuffix(u.name, ".service"))
		if st, err := os.Stat(script); err == nil && st.Mode()&0o111 != 0 && strings.HasSuffix(u.name, ".service") {
			u.path, u.script = script, true
		}
		return u, nil
	}
	real, err := filepath.EvalSymlinks(u.path)
	if err != nil {
		return u, fmt.Errorf("cannot read unit %s: %w", u.name, err)
	}
	if st, err := os.Stat(real); real == "/dev/null" || err == nil && st.Size() == 0 {
		u.masked = true
		return u, nil
	}
	if b := filepath.Base(real); b != filepath.Base(u.path) && u.instance == "" { // an alias
		u.name, u.path = b, real
	}
	if err := u.read(real); err != nil {
		return u, fmt.Errorf("cannot read unit %s: %w", u.name, err)
	}
	var drops []string
	for _, d := range unitDirs {
		m, _ := filepath.Glob(filepath.Join(d, u.name+".d", "*.conf"))
		drops = append(drops, m...)
	}
	sort.Slice(drops, func(i, j int) bool { return filepath.Base(drops[i]) < filepath.Base(drops[j]) })
	for _, d := range drops {
		if err := u.read(d); err != nil {
			return u, fmt.Errorf("cannot read unit %s: %w", u.name, err)
		}
	}
	return u, nil
}

func (u *unit) read(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	section := ""
	for _, l := range strings.Split(strings.ReplaceAll(string(b), "\\\n", " "), "\n") {
		l = strings.TrimSpace(l)
		if l == "" || l[0] == '#' || l[0] == ';' {
			continue
		}
		if l[0] == '[' {
			section = strings.Trim(l, "[]")
			continue
		}
		k, v, ok := strings.Cut(l, "=")
		if !ok {
			continue
		}
		k, v = section+"."+strings.TrimSpace(k), strings.TrimSpace(v)
		if v == "" { // an empty value takes back what was said before
			delete(u.keys, k)
			continue
		}
		u.keys[k] = append(u.keys[k], v)
	}
	return nil
}

func (u *unit) all(key string) []string {
	var out []string
	for _, v := range u.keys[key] {
		out = append(out, u.expand(v))
	}
	return out
}

func (u *unit) get(key, otherwise string) string {
	if v := u.all(key); len(v) > 0 {
		return v[len(v)-1]
	}
	return otherwise
}

func (u *unit) is(key string) bool {
	switch strings.ToLower(u.get(key, "")) {
	case "yes", "true", "on", "1":
		return true
	}
	return false
}

// words of all lines of a key.
func (u *unit) words(key string) []string { return strings.Fields(strings.Join(u.all(key), " ")) }

// duration reads 90, 5s, 1min 30s.
func (u *unit) duration(key string, otherwise time.Duration) time.Duration {
	s := u.get(key, "")
	if s == "" || s == "infinity" {
		return otherwise
	}
	var sum time.Duration
	for _, w := range strings.Fields(s) {
		w = strings.NewReplacer("minutes", "m", "minute", "m", "min", "m", "seconds", "s", "second", "s", "sec", "s", "hours", "h", "hour", "h").Replace(w)
		if strings.Trim(w, "0123456789.") == "" {
			w += "s"
		}
		d, err := time.ParseDuration(w)
		if err != nil {
			return otherwise
		}
		sum += d
	}
	return sum
}

func (u *unit) expand(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	stem := strings.TrimSuffix(u.name, filepath.Ext(u.name))
	prefix, _, _ := strings.Cut(stem, "@")
	host, _ := os.Hostname()
	return strings.NewReplacer("%%", "%", "%i", u.instance, "%I", u.instance, "%n", u.name, "%N", stem, "%p", prefix, "%P", prefix,
		"%H", host, "%t", "/run", "%S", "/var/lib", "%C", "/var/cache", "%L", "/var/log", "%E", "/etc", "%T", "/tmp", "%V", "/var/tmp", "%h", "/root").Replace(s)
}

// condition is the first ConditionPathExists that does not hold. Others ask
// about the kernel or systemd itself, and are taken to hold.
func (u *unit) condition() string {
	for key, test := range map[string]func(string) bool{
		"Unit.ConditionPathExists":        func(p string) bool { _, err := os.Stat(p); return err == nil },
		"Unit.ConditionPathIsDirectory":   isDir,
		"Unit.ConditionFileNotEmpty":      func(p string) bool { st, err := os.Stat(p); return err == nil && st.Size() > 0 },
		"Unit.ConditionDirectoryNotEmpty": func(p string) bool { es, err := os.ReadDir(p); return err == nil && len(es) > 0 },
	} {
		for _, v := range u.all(key) {
			p := strings.TrimPrefix(v, "|")
			path, not := strings.CutPrefix(p, "!")
			if test(path) == not {
				return strings.TrimPrefix(key, "Unit.") + "=" + v
			}
		}
	}
	return ""
}

// splitWords splits a command line as systemd does: quotes and backslashes, no
// other shell syntax.
func splitWords(s string) ([]string, error) {
	var out []string
	var w strings.Builder
	var quote rune
	in, esc := false, false
	for _, c := range s {
		switch {
		case esc:
			if r := strings.IndexRune("nts", c); r >= 0 {
				c = []rune("\n\t ")[r]
			}
			w.WriteRune(c)
			esc = false
		case c == '\\':
			esc, in = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			w.WriteRune(c)
		case c == '"' || c == '\'':
			quote, in = c, true
		case unicode.IsSpace(c):
			if in {
				out = append(out, w.String())
				w.Reset()
			}
			in = false
		default:
			w.WriteRune(c)
			in = true
		}
	}
	if quote != 0 || esc {
		return nil, fmt.Errorf("unbalanced quotes in %q", s)
	}
	if in {
		out = append(out, w.String())
	}
	return out, nil
}

// execLine is one Exec line of a unit.
type execLine struct {
	path       string
	argv       []string
	mayFail    bool // -
	privileged bool // + ! !!
	literal    bool // : no variables
}

func parseExec(s string) (execLine, error) {
	var e execLine
	arg0 := false
	rest := strings.TrimLeftFunc(s, func(c rune) bool {
		switch c {
		case '-':
			e.mayFail = true
		case '@':
			arg0 = true
		case '+', '!':
			e.privileged = true
		case ':':
			e.literal = true
		case '|':
		default:
			return false
		}
		return true
	})
	words, err := splitWords(rest)
	if err != nil {
		return e, err
	}
	if len(words) == 0 {
		return e, errors.New("an Exec line without a command")
	}
	e.path, e.argv = words[0], words
	if arg0 && len(words) > 1 {
		e.argv = words[1:]
	}
	return e, nil
}

// args puts the environment's values in: ${X} as they are, $X as words.
func (e execLine) args(env map[string]string) []string {
	if e.literal {
		return e.argv
	}
	out := []string{e.argv[0]}
	for _, a := range e.argv[1:] {
		if name, ok := strings.CutPrefix(a, "$"); ok && name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == "" {
			words, err := splitWords(env[name])
			if err != nil {
				words = strings.Fields(env[name])
			}
			out = append(out, words...)
			continue
		}
		for i := 0; ; {
			j := strings.Index(a[i:], "${")
			if j < 0 {
				break
			}
			k := strings.IndexByte(a[i+j:], '}')
			if k < 0 {
				break
			}
			v := env[a[i+j+2:i+j+k]]
			a = a[:i+j] + v + a[i+j+k+1:]
			i += j + len(v)
		}
		out = append(out, strings.ReplaceAll(a, "$$", "$"))
	}
	return out
}

// environ is what the unit's processes get.
func (u *unit) environ(a account) (map[string]string, error) {
	env := map[string]string{"PATH": defaultPath, "LANG": "C.UTF-8"}
	if a.name != "root" || u.get("Service.User", "") != "" {
		env["HOME"], env["USER"], env["LOGNAME"], env["SHELL"] = a.home, a.name, a.name, a.shell
	}
	set := func(line string) error {
		words, err := splitWords(line)
		for _, w := range words {
			if k, v, ok := strings.Cut(w, "="); ok {
				env[k] = v
			}
		}
		return err
	}
	for _, l := range u.all("Service.Environment") {
		if err := set(l); err != nil {
			return nil, err
		}
	}
	for _, f := range u.all("Service.EnvironmentFile") {
		path, may := strings.CutPrefix(f, "-")
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && may {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, l := range strings.Split(strings.ReplaceAll(string(b), "\\\n", ""), "\n") {
			l = strings.TrimSpace(l)
			k, v, ok := strings.Cut(l, "=")
			if !ok || l[0] == '#' || l[0] == ';' {
				continue
			}
			if v = strings.TrimSpace(v); len(v) > 1 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
				v = v[1 : len(v)-1]
			}
			env[strings.TrimSpace(k)] = v
		}
	}
	for what, base := range runDirs {
		if d := u.words("Service." + what + "Directory"); len(d) > 0 {
			env[strings.ToUpper(what)+"_DIRECTORY"] = filepath.Join(base, d[0])
		}
	}
	return env, nil
}

// runDirs are the directories that a unit may have made for it.
var runDirs = map[string]string{"Runtime": "/run", "State": "/var/lib", "Cache": "/var/cache", "Logs": "/var/log", "Configuration": "/etc"}
