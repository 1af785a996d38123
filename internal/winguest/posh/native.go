package posh

import (
	"bytes"
	"io"
	"strings"
	"sync"
)

// nativeStage is a program of the machine in a pipeline.
type nativeStage struct {
	s     *shell
	path  string
	name  string
	args  []actual
	out   *port
	input []any
	piped bool
}

func (t *nativeStage) begin() error { return nil }

func (t *nativeStage) process(v any) error {
	t.piped = true
	t.input = append(t.input, v)
	return nil
}

func (t *nativeStage) alone() error { return nil }

func (t *nativeStage) end() error {
	s := t.s
	line, err := s.commandLine(t.args)
	if err != nil {
		return err
	}
	p := Program{Path: t.path, Name: t.name, Args: line, Env: s.env.Clone(), Dir: s.dir}
	if t.piped {
		lines, err := s.asText(t.input)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		code := s.console.pipeEncoding()
		for _, l := range lines {
			b.Write(code.encode(l + "\r\n"))
		}
		p.Stdin = &b
	}
	code, err := s.runProgram(p, t.out)
	if err != nil {
		return err
	}
	s.global.set("lastexitcode", int32(code))
	if code != 0 {
		s.failed = true
	}
	return nil
}

// runProgram runs a program whose output goes to a port line by line, or, where
// that is the console, as it comes.
func (s *shell) runProgram(p Program, out *port) (int, error) {
	errs := s.streams[streamError]
	if out.host {
		if err := s.host.form.flush(); err != nil {
			return 0, err
		}
	}
	type line struct {
		text string
		err  bool
	}
	lines := make(chan line, 64)
	stop := make(chan struct{})
	var ends []*lineWriter
	pump := func(isErr bool) io.Writer {
		w := &lineWriter{code: s.console.outEncoding(), put: func(text string) {
			select {
			case lines <- line{text, isErr}:
			case <-stop:
			}
		}}
		ends = append(ends, w)
		return w
	}
	p.Stdout = s.host.out
	if !out.host {
		p.Stdout = pump(false)
	}
	p.Stderr = s.host.err
	if errs != nil {
		p.Stderr = pump(true)
	} else if s.host.xml {
		p.Stderr = pump(true)
	}
	type result struct {
		code int
		err  error
	}
	done := make(chan result, 1)
	go func() {
		code, err := s.m.Run(s.ctx, p)
		for _, w := range ends {
			w.end()
		}
		close(lines)
		done <- result{code, err}
	}()
	first := true
	var failed error
	for l := range lines {
		if failed != nil {
			continue
		}
		if !l.err {
			failed = out.put(l.text)
		} else {
			failed = s.nativeError(p.Name, l.text, first, errs)
			first = false
		}
		if failed != nil {
			close(stop)
		}
	}
	r := <-done
	if failed != nil {
		return r.code, failed
	}
	if r.err != nil {
		if s.ctx.Err() != nil {
			return 0, s.ctx.Err()
		}
		return 0, &Error{ID: "NativeCommandFailed", Category: "ResourceUnavailable", Exception: "System.Management.Automation.ApplicationFailedException", Target: p.Name,
			Message: "Program '" + p.Name + "' failed to run: " + r.err.Error()}
	}
	return r.code, nil
}

// lineWriter takes what a program writes apart into lines, in the order in which
// it writes to both of its streams.
type lineWriter struct {
	mu     sync.Mutex
	code   *encoding
	buf    []byte
	skip   bool // a line feed that belongs to the carriage return before it
	closed bool
	put    func(string)
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed { // a child that outlives the program
		return len(p), nil
	}
	for _, c := range p {
		switch {
		case c == '\n' && w.skip:
			w.skip = false
		case c == '\n' || c == '\r':
			w.put(w.code.decode(w.buf))
			w.buf, w.skip = w.buf[:0], c == '\r'
		default:
			w.buf, w.skip = append(w.buf, c), false
		}
	}
	return len(p), nil
}

func (w *lineWriter) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed = true; len(w.buf) > 0 {
		w.put(w.code.decode(w.buf))
	}
}

// nativeError makes a record of a line that a program wrote to stderr.
func (s *shell) nativeError(name, text string, first bool, to *port) error {
	if to == nil {
		return s.host.clixml("Error", text+"\r\n")
	}
	id := "NativeCommandErrorMessage"
	if first {
		id = "NativeCommandError"
	}
	rec := &errorRecord{exc: &exception{typ: "System.Management.Automation.RemoteException", msg: text}, id: id, target: text, command: name, src: s.src, at: s.at}
	if s.pref("", "erroractionpreference") == "stop" {
		return &thrown{rec: rec, hard: true}
	}
	s.remember(rec)
	return to.put(rec)
}

// commandLine joins arguments as Windows PowerShell 5.1 does: quotes are put
// around what holds white space, those inside are left as they are.
func (s *shell) commandLine(args []actual) (string, error) {
	var b strings.Builder
	quoted := func(text string, plain bool) {
		if needsQuotes(text) && !plain {
			b.WriteByte('"')
			b.WriteString(text)
			if strings.HasSuffix(text, `\`) && !strings.HasSuffix(text, `\\`) {
				b.WriteByte('\\')
			}
			b.WriteByte('"')
			return
		}
		b.WriteString(text)
	}
	add := func(text string, plain bool) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		quoted(text, plain)
	}
	for _, a := range args {
		switch {
		case a.raw:
			t := s.expandPercent(s.text(a.value))
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(t)
		case a.dash:
			add("--", true)
		case a.name != "":
			t := a.text
			if a.has {
				name, rest, colon := strings.Cut(a.text, ":")
				if colon {
					name += ":"
				}
				add(name, true)
				joined := colon && (rest == "" || !isBlank(rune(rest[0])))
				for _, x := range elements(a.value) {
					if joined {
						quoted(s.text(x), false)
						joined = false
						continue
					}
					add(s.text(x), false)
				}
				continue
			}
			add(t, true)
		default:
			if _, ok := a.value.(*Block); ok {
				return "", s.refuse("a script block as the argument of a program")
			}
			if l, ok := a.value.(*Array); ok && len(a.gaps) == len(l.Elem)-1 && a.gaps != nil {
				// A list that is written out reaches the program as it stands.
				for i, x := range l.Elem {
					if i == 0 {
						add(s.text(x), false)
						continue
					}
					b.WriteString(a.gaps[i-1] + s.text(x))
				}
				continue
			}
			if l, ok := list(a.value); ok {
				for _, x := range l {
					add(s.text(x), false)
				}
				continue
			}
			text := s.text(a.value)
			if text == "" && a.value == nil {
				continue
			}
			if text == "" { // 5.1 passes no empty arguments on
				continue
			}
			add(text, false)
		}
	}
	return b.String(), nil
}

// needsQuotes tells whether 5.1 puts quotes around an argument: where white space
// stands outside of quotes.
func needsQuotes(t string) bool {
	in := false
	for i, r := range t {
		if r == '"' && (i == 0 || t[i-1] != '\\') {
			in = !in
		} else if !in && isBlank(r) || !in && (r == '\n' || r == '\r') {
			return !strings.HasPrefix(t, `"`)
		}
	}
	return false
}

// expandPercent fills in %NAME%.
func (s *shell) expandPercent(t string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(t, '%')
		if i < 0 {
			break
		}
		j := strings.IndexByte(t[i+1:], '%')
		if j < 0 {
			break
		}
		name := t[i+1 : i+1+j]
		if v, ok := s.env.Get(name); ok && name != "" {
			b.WriteString(t[:i] + v)
			t = t[i+j+2:]
			continue
		}
		b.WriteString(t[:i+1+j])
		t = t[i+1+j:]
	}
	return b.String() + t
}
