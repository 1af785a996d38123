package batch

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

// script is a batch file that runs, or a subroutine of one.
type script struct {
	path   string
	lines  []string
	seen   posh.FileInfo // the file as it was when they were read
	tail   bool          // its last line has no end: cmd sees that none follows
	ended  bool          // by a goto that names no label
	next   int           // the line to read
	at     int           // the line that runs, from 1
	args   []string
	all    string // %*
	locals []local
}

// local is what endlocal brings back.
type local struct {
	env     *posh.Env
	dir     string
	delayed bool
}

// maxLocals is how many setlocal there can be in one batch file.
const maxLocals = 32

// line is the next line, expanded.
func (s *shell) nextLine() (string, int, bool, error) {
	b := s.batch
	if err := s.reread(b); err != nil {
		return "", 0, false, err
	}
	if b.next >= len(b.lines) {
		return "", 0, false, nil
	}
	text := b.lines[b.next]
	b.next++
	b.at = b.next
	text, err := s.percent(text, true)
	if err == nil && len([]rune(text)) > maxLine {
		err = s.refuse("a line of more than %d characters", maxLine)
	}
	return text, b.at, true, err
}

// batchSource gives the parser the lines of the batch file that runs.
type batchSource struct{ s *shell }

func (b batchSource) line() (string, int, bool, error) { return b.s.nextLine() }

// arg is %0 to %9.
func (b *script) arg(k int) string {
	if k < len(b.args) {
		return b.args[k]
	}
	return ""
}

// errGone is that a batch file was deleted, or renamed, while it runs: cmd opens it
// for each line.
var errGone = errors.New("The batch file cannot be found.")

// reread looks whether the file is still as it was. Lines behind the current one may
// change.
func (s *shell) reread(b *script) error {
	if b.tail && b.next >= len(b.lines) {
		return nil
	}
	st, err := s.machine.Stat(b.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errGone
	case err != nil || st.Size == b.seen.Size && st.Written.Equal(b.seen.Written):
		return err
	}
	lines, tail, err := s.load(b.path)
	if err != nil {
		return err
	}
	if len(lines) < b.next || !slices.Equal(lines[:b.next], b.lines[:b.next]) {
		return s.refuse("%s: it changes the lines before the one that runs", quoted(b.path))
	}
	b.lines, b.tail, b.seen = lines, tail, st
	return nil
}

// load reads a batch file; tail is that its last line has no end.
func (s *shell) load(path string) (lines []string, tail bool, err error) {
	f, err := s.machine.Open(path, readShared)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, false, err
	}
	text := string(data)
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") || strings.ContainsRune(text, 0) {
		return nil, false, &refusal{quoted(path) + ": it is not text in one byte or UTF-8 characters (UTF-16?)", "line 1"}
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r", ""), "\x1a", "\n")
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n"), !strings.HasSuffix(text, "\n"), nil
}

// runScript runs a batch file and returns what || looks at: the code of its last
// command, or without one ERRORLEVEL.
func (s *shell) runScript(path, name, args string) (int, error) {
	b, err := s.newScript(path, name, args)
	if err != nil {
		return s.notLoaded(path, err)
	}
	return s.enter(b)
}

func (s *shell) notLoaded(path string, err error) (int, error) {
	if errors.As(err, new(*refusal)) {
		return 1, err
	}
	s.complain("cannot read %s: %s", path, reason(err))
	s.level = 1
	return 1, nil
}

func (s *shell) newScript(path, name, args string) (*script, error) {
	st, err := s.machine.Stat(path)
	if err != nil {
		return nil, err
	}
	lines, tail, err := s.load(path)
	if err != nil {
		return nil, err
	}
	return (&script{path: path, lines: lines, tail: tail, seen: st}).with(name, args), nil
}

// with is the same file from its top, with other arguments.
func (b *script) with(name, args string) *script {
	return &script{path: b.path, lines: b.lines, tail: b.tail, seen: b.seen, all: strings.TrimLeft(args, delimiters), args: append([]string{name}, words(args)...)}
}

// enter runs a script from its next line to its end.
func (s *shell) enter(b *script) (int, error) {
	if s.depth++; s.depth > maxDepth {
		s.depth--
		return 1, s.refuse("batch files that call each other more than %d deep", maxDepth)
	}
	outer, vars := s.batch, s.vars
	s.batch, s.vars = b, map[byte]string{}
	defer func() {
		s.unwind(0)
		s.batch, s.vars = outer, vars
		s.depth--
	}()
	code := 0
	for {
		if err := s.ctx.Err(); err != nil {
			return 1, err
		}
		if s.batch.ended {
			return code, nil
		}
		before := s.batch.next
		p := &parser{s: s, source: batchSource{s}}
		n, err := p.next()
		if err == nil && n == nil {
			if s.batch.next == before {
				break
			}
			continue
		}
		if err == nil {
			s.show(n, true)
			code, err = s.exec(n)
		}
		if err == nil {
			continue
		}
		var jump *jumping
		var back *returning
		var chain *chaining
		var syntax *syntaxError
		switch {
		case errors.As(err, &jump):
			at := s.batch.find(jump.label)
			if at < 0 {
				s.complain("The system cannot find the batch label specified - %s", jump.label)
				s.level = 1
				return 1, nil
			}
			s.batch.next, code = at, 0
			continue
		case errors.As(err, &back):
			return back.code, nil
		case errors.As(err, &chain):
			b, err := s.newScript(chain.path, chain.name, chain.args)
			if err != nil {
				return s.notLoaded(chain.path, err)
			}
			s.unwind(0)
			s.batch, code = b, 0
			continue
		case err == errGone:
			s.complain("%v", err)
			s.level = 1
			return 1, nil
		case errors.As(err, &syntax):
			s.complain("%v", fmt.Errorf("%w\n(line %d of %s)", err, s.batch.at, s.batch.path))
			s.level = 255
			return 255, errAborted
		}
		return code, err
	}
	if code == 0 {
		code = s.level
	}
	return code, nil
}

// find is the line behind a label: looked for from here on, then from the top.
func (b *script) find(label string) int {
	for k := range b.lines {
		at := (b.next + k) % len(b.lines)
		if name, ok := labelOf(b.lines[at]); ok && strings.EqualFold(name, label) {
			return at + 1
		}
	}
	return -1
}

const labelEnds = delimiters + ":+&|<>()"

func labelOf(line string) (string, bool) {
	t, ok := strings.CutPrefix(strings.TrimLeft(line, delimiters), ":")
	if !ok {
		return "", false
	}
	t = strings.TrimLeft(t, delimiters)
	if k := strings.IndexAny(t, labelEnds); k >= 0 {
		t = t[:k]
	}
	return t, true
}

// words splits arguments as batch files get them.
func words(args string) (list []string) {
	for {
		args = strings.TrimLeft(args, delimiters)
		if args == "" {
			return list
		}
		k := wordEnd(args)
		list = append(list, args[:k])
		args = args[k:]
	}
}

// unwind undoes what is left of setlocal, down to n.
func (s *shell) unwind(n int) {
	if s.batch == nil || len(s.batch.locals) <= n {
		return
	}
	l := s.batch.locals[n]
	s.batch.locals = s.batch.locals[:n]
	s.env, s.delayed = l.env, l.delayed
	if l.dir != s.dir {
		_ = s.goInto(l.dir) // where that is gone, it stays
	}
}

func call(s *shell, args string) (int, error) {
	text := strings.TrimLeft(args, delimiters)
	if text == "" {
		// A known way to set ERRORLEVEL: (call) makes it 1, (call ) 0.
		if args == "" {
			s.level = 1
			return 1, nil
		}
		s.level = 0
		return 0, nil
	}
	text, err := s.percent(doubled(text), s.batch != nil)
	if err != nil {
		return 1, err
	}
	p := &parser{s: s, text: text, source: &oneLine{read: true}}
	if strings.HasPrefix(text, ":") {
		rest, _, err := p.arguments()
		if err != nil {
			return 1, err
		}
		return s.callLabel(rest)
	}
	name, err := p.take(delimiters+"&|<>", false)
	if err != nil {
		return 1, err
	}
	rest, _, err := p.arguments()
	if err != nil {
		return 1, err
	}
	if !p.end() {
		return 1, s.refuse("call with %s behind its second expansion", quoted(p.word()))
	}
	switch strings.ToLower(name) {
	case "if", "for", "rem", "(":
		return s.unknown(name, errNoProgram)
	}
	return s.run(name, rest, true)
}

// doubled doubles the carets: call reads its command a second time.
func doubled(text string) string { return strings.ReplaceAll(text, "^", "^^") }

func (s *shell) callLabel(text string) (int, error) {
	k := wordEnd(text)
	label, _ := labelOf(text[:k])
	if s.batch == nil {
		s.complain("Invalid attempt to call batch label outside of batch script.")
		s.level = 1
		return 1, nil
	}
	b := s.batch.with(text[:k], text[k:])
	if strings.EqualFold(label, "eof") {
		return 0, nil
	}
	b.next = s.batch.next
	if b.next = b.find(label); b.next < 0 {
		s.complain("The system cannot find the batch label specified - %s", label)
		s.level = 1
		return 1, nil
	}
	b.at = b.next
	return s.enter(b)
}

func gotoLabel(s *shell, args string) (int, error) {
	text := strings.TrimLeft(args, delimiters)
	eof := strings.HasPrefix(text, ":")
	text = strings.TrimLeft(strings.TrimPrefix(text, ":"), delimiters)
	if k := strings.IndexAny(text, labelEnds); k >= 0 {
		text = text[:k]
	}
	switch {
	case s.batch == nil:
		s.complain("goto works in a batch file only.")
		s.level = 1
		return 1, nil
	case text == "":
		// What stands behind it on its line still runs, outside of the batch file.
		s.complain("No batch label specified to GOTO command.")
		s.level, s.batch.ended = 1, true
		return 1, nil
	case eof && strings.EqualFold(text, "eof"):
		return 0, &returning{s.level}
	}
	return 0, &jumping{text}
}

func exit(s *shell, args string) (int, error) {
	text := strings.TrimSpace(args)
	b := false
	if len(text) >= 2 && strings.EqualFold(text[:2], "/b") {
		b, text = true, strings.TrimSpace(text[2:])
	}
	code := s.level
	if text != "" {
		var n int
		if _, err := fmt.Sscanf(strings.Trim(words(text + " 0")[0], `"`), "%d", &n); err != nil {
			n = 0
		}
		code = int(int32(n))
		s.level = code
	}
	if b && s.batch != nil {
		return code, &returning{code}
	}
	return code, &leaving{code}
}

func shift(s *shell, args string) (int, error) {
	from := 0
	switch t := strings.TrimSpace(args); {
	case t == "":
	case len(t) == 2 && t[0] == '/' && t[1] >= '0' && t[1] <= '8':
		from = int(t[1] - '0')
	default:
		s.complain("Invalid parameter to SHIFT command")
		s.level = 1
		return 1, nil
	}
	if s.batch != nil && from < len(s.batch.args) {
		s.batch.args = append(s.batch.args[:from:from], s.batch.args[from+1:]...)
	}
	return 0, nil
}

func setlocal(s *shell, args string) (int, error) {
	delayed := s.delayed
	for _, w := range words(args) {
		switch strings.ToLower(w) {
		case "enabledelayedexpansion":
			delayed = true
		case "disabledelayedexpansion":
			delayed = false
		case "enableextensions":
		case "disableextensions":
			return 1, s.refuse("setlocal disableextensions: nothing runs here without command extensions")
		default:
			s.complain("The syntax of the command is incorrect.")
			s.level = 1
			return 1, nil
		}
	}
	if s.batch != nil { // outside of batch files it changes nothing
		if len(s.batch.locals) == maxLocals {
			return 1, s.refuse("more than %d setlocal", maxLocals)
		}
		s.batch.locals = append(s.batch.locals, local{s.env, s.dir, s.delayed})
		s.env, s.delayed = s.env.Clone(), delayed
	}
	s.level = 0
	return 0, nil
}

func endlocal(s *shell, _ string) (int, error) {
	if s.batch != nil && len(s.batch.locals) > 0 {
		s.unwind(len(s.batch.locals) - 1)
	}
	return 0, nil
}
