package comm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/sleep"
	"golang.org/x/crypto/ssh"
)

// remote is a Remote over SSH.
type remote struct {
	env *Env
	t   *dag.Task
	m   Machine
}

var _ Remote = (*remote)(nil)

func (r *remote) conn(ctx context.Context) (*sshConn, error) {
	return r.env.conn(ctx, r.t, r.m, r.m.SSH.redialPatience())
}

// bootstrap is a command that any login shell understands: it takes exactly n
// bytes of its input as a script for sh and leaves the rest to the script. A
// shell reading its own script would swallow some of the rest. What the script
// holds is never seen in a list of processes.
func bootstrap(n int) string {
	return fmt.Sprintf(`exec sh -c 'eval "$(dd ibs=1 obs=65536 count=%d 2>/dev/null)"'`, n)
}

// tail keeps the last bytes that were written to it.
type tail struct {
	mu    sync.Mutex
	b     []byte
	heard int64
	over  func() // called when more has come than is borne; nil: any amount is
}

const tailSize = 4 << 10

func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.heard += int64(len(p)); w.over != nil && w.heard > maxErrors {
		w.over()
		return 0, errQuota
	}
	w.b = append(w.b, p...)
	if len(w.b) > 2*tailSize {
		w.b = append(w.b[:0], w.b[len(w.b)-tailSize:]...)
	}
	return len(p), nil
}

// flooded tells whether more has come than is borne.
func (w *tail) flooded() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.over != nil && w.heard > maxErrors
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.b[max(0, len(w.b)-tailSize):]
	return strings.TrimSpace(strings.ToValidUTF8(string(b), "?"))
}

// said makes what a machine said part of an error.
func said(text string) string {
	if text == "" {
		return ""
	}
	return ": " + strings.Join(strings.FieldsFunc(text, func(c rune) bool { return c == '\n' || c == '\r' }), "; ")
}

// exitError is a command that ran and failed.
type exitError struct {
	exit Exit
	text string // what it wrote to stderr
}

func (e *exitError) Error() string {
	s := fmt.Sprintf("exit status %d", e.exit.Code)
	if e.exit.Signal != 0 {
		s = fmt.Sprintf("killed by signal %d", e.exit.Signal)
	}
	return s + said(e.text)
}

// markSkipper passes on what follows a line that a script prints first: whatever rc
// files print comes before it.
type markSkipper struct {
	w     io.Writer
	noise []byte
	heard int // bytes before the mark
	found bool
}

const mark = "\nimgflow:begin\n"

func (m *markSkipper) Write(p []byte) (int, error) {
	if m.found {
		return m.w.Write(p)
	}
	if m.heard += len(p); m.heard > maxNoise {
		return 0, tooMuchNoise(string(m.noise))
	}
	m.noise = append(m.noise, p...)
	i := bytes.Index(m.noise, []byte(mark))
	if i < 0 {
		if len(m.noise) > 2*tailSize {
			m.noise = append(m.noise[:0], m.noise[len(m.noise)-tailSize:]...)
		}
		return len(p), nil
	}
	m.found = true
	rest := m.noise[i+len(mark):]
	m.noise = nil
	if len(rest) == 0 {
		return len(p), nil
	}
	if _, err := m.w.Write(rest); err != nil {
		return 0, err
	}
	return len(p), nil
}

// errDropped is a channel that ended without an exit status.
var errDropped = errors.New("the connection was lost")

// closableWriter passes on to the caller's writer until it is shut, or the writer fails:
// then nobody takes what the machine prints, and its script would wait for ever.
type closableWriter struct {
	mu     sync.Mutex
	w      io.Writer
	failed chan error // has room for one
}

func (o *closableWriter) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.w == nil {
		return 0, errDropped
	}
	n, err := o.w.Write(p)
	if err != nil {
		o.w = nil
		o.fail(err)
	}
	return n, err
}

// fail tells of the first failure.
func (o *closableWriter) fail(err error) {
	select {
	case o.failed <- err:
	default:
	}
}

// shut returns when nobody writes any more.
func (o *closableWriter) shut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.w = nil
}

// closableReader reads from the caller's reader until it is shut.
type closableReader struct {
	r    io.Reader
	shut atomic.Bool
}

func (i *closableReader) Read(p []byte) (int, error) {
	if i.shut.Load() {
		return 0, errDropped
	}
	return i.r.Read(p)
}

// block is how much goes to a channel at once: as much as its largest packet
// holds. Each packet costs the same, however small it is, and one that comes
// while OpenSSH's sshd waits for what it has started makes it move all that it
// holds already, up to 2 MiB.
const block = 32 << 10

// copyInBlocks copies all of r to w in full blocks, however little r gives at once.
func copyInBlocks(w io.Writer, r io.Reader) error {
	b := bufio.NewWriterSize(w, block)
	if _, err := b.ReadFrom(r); err != nil {
		return err
	}
	return b.Flush()
}

// script runs a script of ours once, on the connection. Stdin feeds what the script
// leaves of its input; stdout takes its output. When ctx ends it returns at
// once: a server keeps the channel until all that was started on it has ended.
func (l *sshConn) script(ctx context.Context, text string, stdin io.Reader, stdout io.Writer) error {
	s, release, err := l.session(ctx)
	if err != nil {
		return err
	}
	defer release()
	out := &markSkipper{w: stdout}
	to, from := &closableWriter{w: out, failed: make(chan error, 1)}, &closableReader{r: stdin}
	defer from.shut.Store(true)
	errs := tail{over: func() { to.fail(tooManyErrors()) }}
	s.Stdout, s.Stderr = to, &errs
	text = "printf '" + strings.ReplaceAll(mark, "\n", `\n`) + "'\n" + text
	in, err := s.StdinPipe()
	if err != nil {
		return err
	}
	fed, over := make(chan error, 1), make(chan error, 1)
	go func() {
		if err := s.Start(bootstrap(len(text))); err != nil {
			over <- err
			return
		}
		go func() {
			_, err := io.WriteString(in, text)
			if err == nil && stdin != nil {
				if err = copyInBlocks(in, from); errors.Is(err, io.EOF) {
					err = nil // the script ended without reading all: its status tells
				}
			}
			in.Close()
			fed <- err
		}()
		over <- s.Wait()
	}()
	select {
	case err = <-over:
	case err := <-to.failed:
		return err
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		to.shut()
		return ctx.Err()
	}
	var ee *ssh.ExitError
	ended := err == nil || errors.As(err, &ee)
	switch {
	case ended && !out.found:
		return permanent{&notPOSIXError{strings.TrimSpace(string(out.noise) + "\n" + errs.String())}}
	case err == nil:
	case ended:
		x := Exit{Code: ee.ExitStatus()}
		if n, ok := signals[ee.Signal()]; ok {
			x.Signal, x.Code = n, 128+n
		}
		return &exitError{x, errs.String()}
	default:
		var missing *ssh.ExitMissingError
		if errors.As(err, &missing) || errors.Is(err, io.EOF) {
			return fmt.Errorf("%w%s", errDropped, said(errs.String()))
		}
		return err
	}
	select {
	case err := <-fed:
		return err
	default: // it needed no more
		return nil
	}
}

var signals = map[string]int{"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "KILL": 9, "USR1": 10, "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15}

// attempt calls f with a live connection, again with a new one when the
// connection broke, until f has an answer or the machine stays away.
func (r *remote) attempt(ctx context.Context, f func(l *sshConn) error) error {
	for n := 0; ; n++ {
		l, err := r.conn(ctx)
		if err != nil {
			return err
		}
		err = f(l)
		var ee *exitError
		if err == nil || ctx.Err() != nil || errors.As(err, &ee) || errors.As(err, new(permanent)) {
			return err
		}
		if !l.broke() && !errors.Is(err, errDropped) {
			return err
		}
		if n >= 10 {
			return fmt.Errorf("gave up after %d broken connections: %w", n+1, err)
		}
		r.t.Detail("connection to %s lost, trying again", r.m.label())
		if err := sleep.For(ctx, min(50*time.Millisecond<<min(n, 8), 5*time.Second)); err != nil {
			return err
		}
	}
}

// shell runs a script of ours with the text as its input.
func (r *remote) shell(ctx context.Context, text, stdin string) ([]byte, *exitError, error) {
	var out output
	err := r.attempt(ctx, func(l *sshConn) error {
		out.Reset()
		return l.script(ctx, text, strings.NewReader(stdin), &out)
	})
	var ee *exitError
	if errors.As(err, &ee) {
		return out.Bytes(), ee, nil
	}
	return out.Bytes(), nil, err
}

func (e *exitError) err() error {
	if e == nil {
		return nil
	}
	return e
}

// Exec runs the command with sh. Standard input is sent again when the
// connection breaks, if it can be rewound; else that is an error.
func (r *remote) Exec(ctx context.Context, command string, stdin io.Reader) ([]byte, Exit, error) {
	var out output
	again := rewinder(stdin)
	err := r.attempt(ctx, func(l *sshConn) error {
		out.Reset()
		if err := again(); err != nil {
			return err
		}
		return l.script(ctx, command, stdin, &out)
	})
	var ee *exitError
	if errors.As(err, &ee) {
		return out.Bytes(), ee.exit, nil
	}
	if err != nil {
		return nil, Exit{}, fmt.Errorf("cannot run a command on %s: %w", r.m.label(), err)
	}
	return out.Bytes(), Exit{}, nil
}

// rewinder returns a function to call before every reading of r.
func rewinder(r io.Reader) func() error {
	if r == nil {
		return func() error { return nil }
	}
	s, ok := r.(io.Seeker)
	start := int64(0)
	if ok {
		var err error
		if start, err = s.Seek(0, io.SeekCurrent); err != nil {
			ok = false
		}
	}
	first := true
	return func() error {
		if first {
			first = false
			return nil
		}
		if !ok {
			return permanent{errors.New("the connection was lost and what was being sent cannot be read a second time")}
		}
		_, err := s.Seek(start, io.SeekStart)
		return err
	}
}

func base64Key(k ssh.PublicKey) string { return base64.StdEncoding.EncodeToString(k.Marshal()) }
