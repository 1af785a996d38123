package batch

import (
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

// exec runs a command. The code is what && and || look at; ERRORLEVEL is apart
// from it, and not every command sets it.
func (s *shell) exec(n node) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 1, err
	}
	if s.depth++; s.depth > maxDepth {
		s.depth--
		return 1, s.refuse("commands that call each other more than %d deep", maxDepth)
	}
	defer func() { s.depth-- }()
	switch n := n.(type) {
	case *simple:
		return s.simple(n)
	case *remark:
		return 0, nil
	case *joined:
		return s.joined(n)
	case *group:
		return s.within(n.to, func() (code int, err error) {
			for k, c := range n.body {
				if k > 0 {
					s.show(c, false)
				}
				if code, err = s.exec(c); err != nil {
					return code, s.last(err, k == len(n.body)-1)
				}
			}
			return code, nil
		})
	case *branch:
		return s.within(n.to, func() (int, error) { return s.branch(n) })
	case *loop:
		return s.within(n.to, func() (int, error) { return s.loop(n) })
	}
	return 0, nil
}

// last lets a batch file without call take over only where nothing is left to do.
func (s *shell) last(err error, last bool) error {
	if c := (*chaining)(nil); errors.As(err, &c) && !last {
		return s.refuse("%s, a batch file without call, with more commands behind it", quoted(c.name))
	}
	return err
}

func (s *shell) joined(n *joined) (int, error) {
	if n.op == "|" {
		return s.pipe(n)
	}
	code, err := s.exec(n.left)
	if err != nil {
		return code, s.last(err, false)
	}
	switch {
	case n.op == "&&" && code != 0:
		return code, nil
	case n.op == "||" && code == 0:
		return 0, nil
	case n.op == "||":
		s.level = code
	}
	return s.exec(n.right)
}

// pipe runs both sides at once, each in a shell of its own.
func (s *shell) pipe(n *joined) (int, error) {
	r, w := io.Pipe()
	left, right := s.child(), s.child()
	_, simpleLeft := n.left.(*simple)
	_, simpleRight := n.right.(*simple)
	left.delayed, right.delayed = s.delayed && simpleLeft, s.delayed && simpleRight
	left.io[1], right.io[0] = &stream{w: w}, &stream{r: r}
	type end struct {
		code int
		err  error
	}
	done := make(chan end, 1)
	go func() {
		defer w.Close()
		code, err := left.side(n.left)
		done <- end{code, err}
	}()
	code, err := right.side(n.right)
	r.Close()
	if e := <-done; err == nil {
		err = e.err
	}
	s.level = right.level
	return code, err
}

// side runs a command to its end in this shell; only refusals leave it.
func (s *shell) side(n node) (int, error) {
	code, err := s.exec(n)
	return s.ended(code, err)
}

func (s *shell) ended(code int, err error) (int, error) {
	var leave *leaving
	var back *returning
	var jump *jumping
	var syntax *syntaxError
	var chain *chaining
	switch {
	case errors.As(err, &leave):
		return leave.code, nil
	case errors.As(err, &back):
		return back.code, nil
	case errors.As(err, &jump):
		s.complain("The system cannot find the batch label specified - %s", jump.label)
		s.level = 1
		return 1, nil
	case errors.As(err, &syntax):
		s.complain("%v", err)
		s.level = 255
		return 255, nil
	case errors.As(err, &chain):
		return s.runScript(chain.path, chain.name, chain.args)
	}
	return code, err
}

// expand gives a part of a command the values that it has now.
func (s *shell) expand(text string) (string, error) {
	text, err := s.each(text)
	if err != nil {
		return "", err
	}
	return s.bangs(text)
}

func (s *shell) simple(n *simple) (int, error) {
	name, err := s.expand(n.name)
	if err != nil {
		return 1, err
	}
	args, err := s.expand(n.args)
	if err != nil {
		return 1, err
	}
	if name != n.name { // a value may hold more than the name
		if trimmed := strings.TrimLeft(name, delimiters); trimmed != "" || args == "" {
			k := wordEnd(trimmed)
			name, args = trimmed[:k], trimmed[k:]+args
		} else {
			args = strings.TrimLeft(args, delimiters)
			k := wordEnd(args)
			name, args = args[:k], args[k:]
		}
	}
	return s.within(n.to, func() (int, error) {
		if name == "" {
			return 0, nil
		}
		return s.run(name, args, false)
	})
}

// wordEnd is where the first word ends.
func wordEnd(text string) int {
	quote := false
	for i := range len(text) {
		switch {
		case text[i] == '"':
			quote = !quote
		case !quote && isDelimiter(text[i]):
			return i
		}
	}
	return len(text)
}

// run runs a simple command by its name.
func (s *shell) run(name, args string, called bool) (int, error) {
	if len(name) == 2 && name[1] == ':' {
		if !strings.EqualFold(name, "c:") {
			s.complain("The system cannot find the drive specified.")
			s.level = 1
			return 1, nil
		}
		if called {
			s.level = 0
		}
		return 0, nil
	}
	if strings.HasPrefix(name, ":") { // the second label in a parenthesis
		s.complain("The system cannot find the drive specified.")
		return 1, nil
	}
	word, rest := internal(name)
	if called || word == "" {
		if path, err := s.find(unquoteName(name)); err == nil {
			return s.program(path, name, args, called)
		} else if word == "" {
			return s.unknown(name, err)
		}
	}
	return internals[word](s, rest+args)
}

// internal finds the command of cmd that a word begins with: echo. is echo.
func internal(word string) (name, rest string) {
	n := 0
	for n < len(word) && word[n]|0x20 >= 'a' && word[n]|0x20 <= 'z' {
		n++
	}
	name = strings.ToLower(word[:n])
	if internals[name] == nil || n < len(word) && strings.IndexByte(`./\:+[]("*?'`, word[n]) < 0 {
		return "", ""
	}
	if name != "echo" && n+1 < len(word) && word[n] == '.' && word[n+1] != '.' && word[n+1] != '\\' {
		return "", "" // the name of a file
	}
	return name, word[n:]
}

func unquoteName(name string) string { return strings.ReplaceAll(name, `"`, "") }

// unknown says that there is no such command.
func (s *shell) unknown(name string, err error) (int, error) {
	if errors.Is(err, errNoFolder) {
		s.complain("The system cannot find the path specified.")
		s.level = 3
		return 1, nil
	}
	s.complain("%s is not recognized as an internal or external command,\noperable program or batch file.", quoted(name))
	s.level = 9009
	return 1, nil
}

var (
	errNoFolder  = errors.New("no such folder")
	errNoProgram = errors.New("no such program")
)

// find looks for a program: where its path says, or in the current directory
// and those of PATH, with the extensions of PATHEXT.
func (s *shell) find(name string) (string, error) {
	if name == "" || strings.ContainsAny(name, `*?<>|`) {
		return "", errNoProgram
	}
	exts := splitPath(s.variableOr("PATHEXT", ".COM;.EXE;.BAT;.CMD"))
	at := func(dir string) string {
		full := join(dir, name)
		if _, ext := splitExt(full); ext != "" && s.isFile(full) {
			return full
		}
		for _, ext := range exts {
			if s.isFile(full + ext) {
				return full + strings.ToLower(ext)
			}
		}
		return ""
	}
	if strings.ContainsAny(name, `\/:`) {
		if path := at(s.dir); path != "" {
			return path, nil
		}
		full := join(s.dir, name)
		if k := strings.LastIndexByte(full, '\\'); k > 2 && !s.isDir(full[:k]) {
			return "", errNoFolder
		}
		return "", errNoProgram
	}
	for _, dir := range append([]string{s.dir}, splitPath(s.variableOr("PATH", ""))...) {
		if path := at(join(s.dir, dir)); path != "" {
			return path, nil
		}
	}
	return "", errNoProgram
}

func (s *shell) variableOr(name, other string) string {
	if v, ok := s.env.Get(name); ok {
		return v
	}
	return other
}

// splitPath splits a list of folders as PATH has them.
func splitPath(list string) []string {
	var dirs []string
	for _, d := range strings.Split(list, ";") {
		if d = strings.Trim(strings.TrimSpace(d), `"`); d != "" {
			dirs = append(dirs, d)
		}
	}
	return dirs
}

// program runs what find found.
func (s *shell) program(path, name, args string, called bool) (int, error) {
	switch _, ext := splitExt(path); strings.ToLower(ext) {
	case ".bat", ".cmd":
		if s.batch != nil && !called {
			return 0, &chaining{path, name, args}
		}
		return s.runScript(path, name, args)
	case ".exe", ".com":
	default:
		return 1, s.refuse("%s: it is neither a program nor a batch file, and nothing here opens documents", quoted(path))
	}
	code, err := s.machine.Run(s.ctx, posh.Program{Path: path, Name: unquoteName(name), Args: strings.TrimLeft(args, " \t"), Env: s.env.Clone(), Dir: s.dir,
		Stdin: s.io[0].r, Stdout: s.writer(1), Stderr: s.writer(2)})
	if err != nil {
		if s.ctx.Err() != nil {
			return 1, s.ctx.Err()
		}
		return 1, s.refuse("%s: %s", quoted(path), reason(err))
	}
	s.level = code
	return code, nil
}

func (s *shell) branch(n *branch) (int, error) {
	left, err := s.expand(n.left)
	if err != nil {
		return 1, err
	}
	right, err := s.expand(n.right)
	if err != nil {
		return 1, err
	}
	yes := false
	switch n.op {
	case "exist":
		yes = s.exists(unquoteName(left))
	case "defined":
		_, yes = s.lookup(unquoteName(left))
	case "errorlevel":
		want, err := strconv.Atoi(left)
		if err != nil {
			return 1, unexpected(left)
		}
		yes = s.level >= want
	case "cmdextversion":
		yes = left <= extensionsVersion
	default:
		yes = compare(n.op, left, right, n.fold)
	}
	switch {
	case yes != n.not:
		return s.exec(n.then)
	case n.els != nil:
		return s.exec(n.els)
	}
	return 0, nil
}

// compare compares numbers as numbers where both sides are, and text otherwise.
func compare(op, a, b string, fold bool) bool {
	c := 0
	x, errX := strconv.ParseInt(a, 0, 64)
	y, errY := strconv.ParseInt(b, 0, 64)
	switch {
	case op == "==" || errX != nil || errY != nil || strings.Contains(a+b, "_"):
		if fold {
			a, b = strings.ToLower(a), strings.ToLower(b)
		}
		c = strings.Compare(a, b)
	case x < y:
		c = -1
	case x > y:
		c = 1
	}
	switch op {
	case "==", "equ":
		return c == 0
	case "neq":
		return c != 0
	case "lss":
		return c < 0
	case "leq":
		return c <= 0
	case "gtr":
		return c > 0
	}
	return c >= 0
}
