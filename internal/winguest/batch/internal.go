package batch

import (
	"fmt"
	"io"
	"sort"
	"strings"
)

// internals are the commands that are cmd itself. They get the text behind their
// name as it is, and return what && looks at; each sets ERRORLEVEL as its own
// rules say.
var internals map[string]func(s *shell, args string) (int, error)

func init() {
	internals = map[string]func(*shell, string) (int, error){
		"break": nothing, "call": call, "cd": chdir, "chdir": chdir, "cls": cls, "color": color, "copy": copyFiles,
		"date": date, "del": del, "dir": dir, "echo": echo, "endlocal": endlocal, "erase": del, "exit": exit, "goto": gotoLabel,
		"md": mkdir, "mkdir": mkdir, "move": moveFiles, "path": path, "popd": popd, "prompt": prompt, "pushd": pushd,
		"rd": rmdir, "ren": ren, "rename": ren, "rmdir": rmdir, "set": set, "setlocal": setlocal, "shift": shift, "start": start,
		"time": clock, "title": nothing, "type": typeFiles, "ver": ver, "verify": verify, "vol": vol,
		"pause": func(s *shell, _ string) (int, error) {
			return 1, s.refuse("pause: it waits for a key, and nobody is there to press one")
		},
	}
	for name, why := range map[string]string{
		"assoc": "nothing here opens documents", "ftype": "nothing here opens documents", "dpath": "it is obsolete",
		"keys": "it is obsolete", "mklink": "the disk of this machine has no links",
	} {
		internals[name] = func(s *shell, _ string) (int, error) { return 1, s.refuse("%s: %s", name, why) }
	}
}

// ok is the end of a command that clears ERRORLEVEL.
func (s *shell) ok() (int, error) {
	s.level = 0
	return 0, nil
}

// fail is the end of a command that failed with a message.
func (s *shell) fail(format string, args ...any) (int, error) {
	s.complain(format, args...)
	s.level = 1
	return 1, nil
}

func (s *shell) badSyntax() (int, error) { return s.fail("The syntax of the command is incorrect.") }

func nothing(*shell, string) (int, error) { return 0, nil }

// switches takes the switches out of the arguments, in lower case: /a-d is one,
// /s/q are two.
func switches(args string) (flags, rest []string) {
	for _, w := range words(args) {
		if !strings.HasPrefix(w, "/") || len(w) < 2 {
			// cmd also takes name/q for a name and a switch.
			if k := strings.Index(w, "/"); k > 0 && !strings.HasPrefix(w, `"`) && len(w) == k+2 {
				rest, w = append(rest, w[:k]), w[k:]
			} else {
				rest = append(rest, unquoteName(w))
				continue
			}
		}
		for _, f := range strings.Split(strings.ToLower(w[1:]), "/") {
			if f == "" {
				f = "/" // no switch is called so
			}
			flags = append(flags, f)
		}
	}
	return flags, rest
}

func (s *shell) unknownSwitch(command, f string) error {
	return s.refuse("%s with its switch %s", command, quoted("/"+f))
}

func echo(s *shell, args string) (int, error) {
	text := args
	if text != "" {
		text = text[1:]
	}
	switch word := strings.ToLower(strings.TrimSpace(args)); {
	case word == "on" || word == "off":
		s.echo = word == "on"
	case strings.TrimLeft(args, delimiters) == "":
		state := "off"
		if s.echo {
			state = "on"
		}
		s.out("ECHO is %s.\n", state)
	default:
		s.print(1, "%s\n", text)
	}
	return 0, nil
}

func (s *shell) versionText() string {
	return "Microsoft Windows [Version " + strings.TrimSuffix(s.machine.System().Version, ".0") + "]"
}

func ver(s *shell, args string) (int, error) {
	if flags, _ := switches(args); len(flags) > 0 {
		return s.badSyntax()
	}
	s.out("\n%s\n", s.versionText())
	return s.ok()
}

func cls(s *shell, args string) (int, error) {
	if flags, _ := switches(args); len(flags) > 0 {
		return s.badSyntax()
	}
	s.writer(1).Write([]byte{'\f'})
	return 0, nil
}

// color fails where there is no console, as the real one does.
func color(s *shell, _ string) (int, error) {
	s.level = 1
	return 1, nil
}

func verify(s *shell, args string) (int, error) {
	switch strings.ToLower(strings.TrimSpace(args)) {
	case "", "off":
		if strings.TrimSpace(args) == "" {
			s.out("VERIFY is off.\n")
		}
	case "on":
		return 1, s.refuse("verify on: the disk of this machine does not read again what it wrote")
	default:
		return s.fail("An incorrect parameter was\nentered for the command.")
	}
	return s.ok()
}

func vol(s *shell, args string) (int, error) {
	switch t := strings.TrimSpace(args); {
	case t == "" || strings.EqualFold(t, "c:"):
		s.volume()
		return s.ok()
	case len(t) == 2 && t[1] == ':':
		return s.fail("The system cannot find the path specified.")
	}
	return s.fail("The filename, directory name, or volume label syntax is incorrect.")
}

func (s *shell) volume() {
	s.out(" Volume in drive C has no label.\n Volume Serial Number is 0EC2-10CA\n")
}

func date(s *shell, args string) (int, error) { return s.shown("date", args, dateOf(s.now())) }

func clock(s *shell, args string) (int, error) {
	return s.shown("time", args, s.now().Format("03:04 PM"))
}

func (s *shell) shown(command, args, text string) (int, error) {
	if !strings.EqualFold(strings.TrimSpace(args), "/t") {
		return 1, s.refuse("%s without /t: the clock of this machine cannot be set", command)
	}
	s.out("%s\n", text)
	return s.ok()
}

func prompt(s *shell, args string) (int, error) {
	s.env.Set("PROMPT", strings.TrimLeft(args, delimiters))
	return s.unlessBat()
}

func path(s *shell, args string) (int, error) {
	text := strings.TrimSpace(args)
	switch text {
	case "":
		if v, ok := s.env.Get("PATH"); ok {
			s.out("PATH=%s\n", v)
		} else {
			s.out("PATH=(null)\n")
		}
	case ";":
		s.env.Set("PATH", "")
	default:
		s.env.Set("PATH", strings.TrimLeft(text, "= "))
	}
	return s.unlessBat()
}

// unlessBat clears ERRORLEVEL, except in a .bat: only .cmd has that rule.
func (s *shell) unlessBat() (int, error) {
	if s.batch == nil || strings.HasSuffix(strings.ToLower(s.batch.path), ".cmd") {
		s.level = 0
	}
	return 0, nil
}

func set(s *shell, args string) (int, error) {
	text := strings.TrimLeft(args, delimiters)
	if strings.HasPrefix(text, "/") && len(text) > 1 {
		switch rest := text[2:]; text[1] | 0x20 {
		case 'a':
			return s.calculate(rest)
		case 'p':
			return s.ask(rest)
		default:
			return s.badSyntax()
		}
	}
	if strings.HasPrefix(text, `"`) {
		text = text[1:]
		if k := strings.LastIndexByte(text, '"'); k >= 0 {
			text = text[:k]
		}
		text = strings.TrimLeft(text, " \t")
	}
	name, value, ok := strings.Cut(text, "=")
	switch {
	case !ok && text == "":
		for _, p := range s.env.Pairs() {
			if !strings.HasPrefix(p, "=") {
				s.print(1, "%s\n", p)
			}
		}
		return s.unlessBat()
	case !ok:
		found := false
		names := s.env.Names()
		sort.SliceStable(names, func(i, k int) bool { return strings.ToUpper(names[i]) < strings.ToUpper(names[k]) })
		for _, n := range names {
			if len(n) >= len(text) && strings.EqualFold(n[:len(text)], text) {
				v, _ := s.env.Get(n)
				s.print(1, "%s=%s\n", n, v)
				found = true
			}
		}
		if !found {
			return s.fail("Environment variable %s not defined", text)
		}
		return s.unlessBat()
	case name == "":
		return s.badSyntax()
	}
	s.env.Set(name, value)
	return s.unlessBat()
}

func (s *shell) calculate(text string) (int, error) {
	a := &arith{s: s, text: strings.TrimSpace(text)}
	v, err := a.all()
	if err != nil {
		e := err.(*arithError)
		s.complain("%v", e)
		s.level = e.code
		return e.code, nil
	}
	if s.batch == nil {
		s.out("%d", v)
	}
	return s.unlessBat()
}

// ask reads a line from what stands in for the keyboard. At its end the variable
// stays as it is.
func (s *shell) ask(text string) (int, error) {
	text = strings.TrimLeft(text, " \t")
	if strings.HasPrefix(text, `"`) && strings.LastIndexByte(text, '"') > 0 {
		text = text[1:strings.LastIndexByte(text, '"')]
	}
	name, question, ok := strings.Cut(text, "=")
	if !ok {
		return s.badSyntax()
	}
	s.print(1, "%s", unquoteAll(question))
	var line []byte
	one := make([]byte, 1)
	for {
		n, err := s.reader().Read(one)
		if n == 1 && one[0] == '\n' {
			break
		}
		if n == 1 {
			line = append(line, one[0])
		}
		if err != nil || len(line) > maxLine {
			if len(line) == 0 || err != io.EOF {
				s.level = 1
				return 1, nil
			}
			break
		}
	}
	if value := strings.TrimSuffix(string(line), "\r"); value != "" && name != "" {
		s.env.Set(name, value)
	}
	return s.unlessBat()
}

func chdir(s *shell, args string) (int, error) {
	text := strings.TrimLeft(args, " \t,;=")
	if len(text) >= 2 && strings.EqualFold(text[:2], "/d") {
		text = strings.TrimLeft(text[2:], " \t")
	}
	text = strings.TrimRight(unquoteName(text), " \t")
	if text == "" || strings.EqualFold(text, "c:") {
		s.out("%s\n", s.dir)
		return s.ok()
	}
	if !s.enterDir(text) {
		return 1, nil
	}
	return s.ok()
}

// enterDir changes the directory, or says why not.
func (s *shell) enterDir(name string) bool {
	full := s.abs(strings.TrimRight(name, " \t"))
	if len(full) > 1 && full[1] == ':' && full[0]|0x20 != 'c' {
		s.fail("The system cannot find the drive specified.")
		return false
	}
	if strings.HasPrefix(full, `\\`) {
		s.fail("%s\nCMD does not support UNC paths as current directories.", quoted(name))
		return false
	}
	st, err := s.machine.Stat(full)
	switch {
	case err != nil:
		s.fail("The system cannot find the path specified.")
		return false
	case !st.IsDir():
		s.fail("The directory name is invalid.")
		return false
	}
	if err := s.goInto(s.spelled(full)); err != nil {
		s.fail("%s", reason(err))
		return false
	}
	return true
}

// goInto makes a directory the current one: the process's own, or that of a child
// which stands for a process of its own.
func (s *shell) goInto(dir string) error {
	if !s.inner {
		if err := s.machine.Enter(dir); err != nil {
			return err
		}
	}
	s.dir = dir
	return nil
}

// spelled is a path as the disk spells it.
func (s *shell) spelled(full string) string {
	out := strings.ToUpper(full[:1]) + `:\`
	for _, part := range strings.Split(strings.Trim(full[2:], `\`), `\`) {
		if part == "" {
			continue
		}
		if st, err := s.machine.Stat(join(out, part)); err == nil && st.Name != "" {
			part = st.Name
		}
		out = strings.TrimSuffix(out, `\`) + `\` + part
	}
	return out
}

func pushd(s *shell, args string) (int, error) {
	text := strings.TrimSpace(unquoteName(args))
	if text == "" {
		for k := len(s.pushed) - 1; k >= 0; k-- {
			s.out("%s\n", s.pushed[k])
		}
		return s.ok()
	}
	before := s.dir
	if !s.enterDir(strings.TrimRight(text, `/`)) {
		return 1, nil
	}
	if len(s.pushed) >= maxDepth {
		return 1, s.refuse("more than %d pushd", maxDepth)
	}
	s.pushed = append(s.pushed, before)
	return s.ok()
}

func popd(s *shell, _ string) (int, error) {
	if len(s.pushed) == 0 {
		return 1, nil
	}
	to := s.pushed[len(s.pushed)-1]
	s.pushed = s.pushed[:len(s.pushed)-1]
	if err := s.goInto(to); err != nil { // it is gone
		s.complain("%s", reason(err))
		return 1, nil
	}
	return 0, nil
}

// comma writes a number with its thousands apart.
func comma(n int64) string {
	t := fmt.Sprint(n)
	for k := len(t) - 3; k > 0; k -= 3 {
		t = t[:k] + "," + t[k:]
	}
	return t
}
