package batch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

// Machine is what a command can reach. A [posh.Machine] is one.
type Machine interface {
	posh.Files
	Run(ctx context.Context, p posh.Program) (code int, err error)
	Start(ctx context.Context, p posh.Program) (posh.Process, error)
	System() posh.System
}

// Options is one cmd.exe process as it is started.
type Options struct {
	Machine Machine
	Line    string    // the command line behind the program, raw: /c echo hello
	Env     *posh.Env // the process's environment; nil is an empty one
	Dir     string    // where it starts, absolute
	Stdin   io.Reader // nil is empty
	Stdout  io.Writer // nil is thrown away
	Stderr  io.Writer
}

// maxLine is how many characters a command line can have.
const maxLine = 8191

// exitRefused is the exit code when something is outside of the subset.
const exitRefused = 255

// Run does what cmd.exe does with a command line, and returns its exit code. It
// returns soon after ctx has ended.
func Run(ctx context.Context, o Options) int {
	s := newShell(ctx, o)
	line, err := s.switches(o.Line)
	if err != nil {
		s.complain("%v", err)
		return exitRefused
	}
	if len([]rune(line)) > maxLine {
		s.complain("The command line is too long.")
		return 1
	}
	return s.runLine(line)
}

// switches reads cmd's own switches and returns the command behind them.
func (s *shell) switches(args string) (string, error) {
	strip := false
	rest := args
	for {
		rest = strings.TrimLeft(rest, " \t,;=")
		if !strings.HasPrefix(rest, "/") || len(rest) < 2 {
			what := "cmd without /c reads its commands from a console"
			if rest != "" {
				what = "cmd without /c ignores " + quoted(rest) + " and reads its commands from a console"
			}
			return "", errors.New("cannot run cmd: " + what + ", and there is none: use cmd /c")
		}
		word := rest[1:]
		if i := strings.IndexAny(word, " \t/\"&|<>"); i > 0 {
			word = word[:i]
		}
		switch c := strings.ToLower(word[:1]); c {
		case "c", "r":
			return s.unquote(rest[2:], strip), nil
		case "k":
			return "", errors.New("cannot run cmd: /k keeps a console open, and there is none: use cmd /c")
		case "s":
			strip = true
		case "q":
			s.echo = false
		case "v":
			s.delayed = !strings.EqualFold(word, "v:off")
		case "e", "x", "y":
			if c == "y" || strings.EqualFold(word, "e:off") {
				return "", errors.New("cannot run cmd: without command extensions (/e:off, /y) nothing runs here: leave the switch out")
			}
		case "d", "a", "t", "f":
		default:
			return "", fmt.Errorf("cannot run cmd: its switch %s is not supported here: known are /a /c /d /e:on /f /q /r /s /t /v", quoted("/"+word))
		}
		rest = rest[1+len(word):]
	}
}

// unquote takes the quotes around the command away. They stay if there are two
// of them and they hold the name of a program and nothing but.
func (s *shell) unquote(line string, strip bool) string {
	line = strings.TrimLeft(line, " \t")
	if !strings.HasPrefix(line, `"`) {
		return line
	}
	if !strip && strings.Count(line, `"`) == 2 {
		name := line[1:strings.LastIndexByte(line, '"')]
		if strings.ContainsAny(name, " \t") && !strings.ContainsAny(name, `&<>()@^|`) {
			if _, err := s.find(name); err == nil {
				return line
			}
		}
	}
	line = line[1:]
	if i := strings.LastIndexByte(line, '"'); i >= 0 {
		line = line[:i] + line[i+1:]
	}
	return line
}

// runLine runs a command line that no batch file holds.
func (s *shell) runLine(line string) int {
	code, err := s.runText(line)
	var leave *leaving
	switch {
	case err == nil:
		return code
	case errors.As(err, &leave):
		return leave.code
	case errors.Is(err, errAborted):
		return exitRefused
	case s.ctx.Err() != nil:
		return 1
	}
	s.complain("%v", err)
	if errors.As(err, new(*syntaxError)) {
		return 1
	}
	return exitRefused
}

func (s *shell) runText(line string) (int, error) {
	p := &parser{s: s, source: &oneLine{s: s, text: line}, where: "the command line"}
	n, err := p.next()
	if err != nil || n == nil {
		return s.level, err
	}
	return s.exec(n)
}

// oneLine is the source of a command line.
type oneLine struct {
	s    *shell
	text string
	read bool
}

func (o *oneLine) line() (string, int, bool, error) {
	if o.read {
		return "", 0, false, nil
	}
	o.read = true
	text, err := o.s.percent(o.text, false)
	return text, 1, true, err
}

// shell is a running cmd.
type shell struct {
	ctx     context.Context
	machine Machine
	env     *posh.Env
	dir     string
	inner   bool // a child: its directory is not the process's
	io      [10]*stream
	echo    bool // commands of batch files are shown
	delayed bool // !x! is expanded
	level   int  // ERRORLEVEL
	batch   *script
	vars    map[byte]string // those of for
	pushed  []string
	line    string // %CMDCMDLINE%
	depth   int    // of calls, blocks and child shells
	seed    uint32
}

// maxDepth bounds what calls itself.
const maxDepth = 600

func newShell(ctx context.Context, o Options) *shell {
	s := &shell{ctx: ctx, machine: o.Machine, env: o.Env, dir: o.Dir, echo: true, line: "cmd " + o.Line,
		vars: map[byte]string{}, seed: uint32(time.Now().UnixNano())}
	if s.env == nil {
		s.env = posh.NewEnv()
	}
	if o.Stdin == nil {
		o.Stdin = strings.NewReader("")
	}
	if o.Stdout == nil {
		o.Stdout = io.Discard
	}
	if o.Stderr == nil {
		o.Stderr = io.Discard
	}
	s.io[0], s.io[1], s.io[2] = &stream{r: o.Stdin}, &stream{w: o.Stdout}, &stream{w: o.Stderr}
	if s.dir == "" {
		s.dir = `C:\`
	}
	return s
}

// child is the shell that runs a side of a pipe or the command of a for /f. Its
// changes stay in it, and it is in no batch file.
func (s *shell) child() *shell {
	c := *s
	c.env, c.batch, c.pushed, c.echo, c.delayed, c.inner = s.env.Clone(), nil, nil, false, false, true
	c.vars = map[byte]string{}
	for k, v := range s.vars {
		c.vars[k] = v
	}
	c.depth++
	return &c
}

func (s *shell) out(format string, args ...any) { s.print(1, format, args...) }

// complain writes a message with its line end to the error stream.
func (s *shell) complain(format string, args ...any) { s.print(2, format+"\n", args...) }

// print writes text, of which each line end becomes CR LF.
func (s *shell) print(to int, format string, args ...any) {
	text := format
	if len(args) > 0 {
		text = fmt.Sprintf(format, args...)
	}
	s.writer(to).Write([]byte(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")))
}

func quoted(text string) string { return "'" + text + "'" }

// leaving ends the whole cmd: exit.
type leaving struct{ code int }

func (*leaving) Error() string { return "exit" }

// returning ends a batch file or subroutine: exit /b, goto :eof.
type returning struct{ code int }

func (*returning) Error() string { return "exit /b" }

// jumping goes on at a label.
type jumping struct{ label string }

func (*jumping) Error() string { return "goto" }

// chaining goes over to another batch file, for good.
type chaining struct{ path, name, args string }

func (*chaining) Error() string { return "batch file without call" }

// errAborted ends the whole cmd after its message was written.
var errAborted = errors.New("aborted")

// syntaxError is what cmd says of a line that it cannot read.
type syntaxError struct{ text string }

func (e *syntaxError) Error() string { return e.text }

func unexpected(what string) error { return &syntaxError{what + " was unexpected at this time."} }

var errSyntax = &syntaxError{"The syntax of the command is incorrect."}

// refusal says that something is outside of the subset.
type refusal struct{ what, where string }

func (r *refusal) Error() string {
	return "cannot run " + r.what + " (" + r.where + "): this cmd knows a subset of the real one"
}

// refuse makes the error for a construct that is not supported.
func (s *shell) refuse(format string, args ...any) error {
	where := "on the command line"
	if b := s.batch; b != nil {
		where = fmt.Sprintf("line %d of %s", b.at, b.path)
	}
	return &refusal{fmt.Sprintf(format, args...), where}
}
