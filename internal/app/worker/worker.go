// Package worker has the steps of a session done by another process: a child that is
// started when there is something to do, and again when it has come to an end before
// its time. The engine stays where it is, with the run's state; the child has nothing
// but what it is given through its standard input, and dies without harm.
package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
)

// Workers is the runner of a session. One child at most is alive.
type Workers struct {
	*dag.Pipes
	h       *app.Handover
	command func() *exec.Cmd

	mu     sync.Mutex
	child  *child
	closed bool
}

// New returns a runner without a child. Command makes one, whose standard streams are
// set here: it is to call [Serve] with them.
func New(h *app.Handover, command func() *exec.Cmd) *Workers {
	w := &Workers{h: h, command: command}
	w.Pipes = dag.NewPipes(w.open)
	return w
}

// Serve is the child: it does the steps of worlds that newWorld makes until its parent
// is gone, and should end its process then without waiting for anything.
func Serve(in io.Reader, out io.Writer, newWorld func(app.WorldOptions) app.World) error {
	return dag.ServePipe(in, out, func(given json.RawMessage, ask dag.Asked) (dag.Runner, error) {
		return app.TakenOver(given, ask, newWorld)
	})
}

func (w *Workers) open(ctx context.Context) (*dag.Pipe, error) {
	given, err := w.h.Setup()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: w.command()}
	in, err1 := c.cmd.StdinPipe()
	c.out, err = c.cmd.StdoutPipe()
	if err := errors.Join(err1, err); err != nil {
		return nil, err
	}
	c.cmd.Stderr = &c.said
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, errors.New("the session has ended")
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	w.child = c
	p, err := dag.OpenPipe(ctx, c, in, given, w.h.Asked)
	if err != nil {
		c.end()
		return nil, err
	}
	go func() { // it may be gone for us and not for itself
		<-p.Gone()
		c.end()
	}()
	return p, nil
}

// Renew ends the child, of which nothing is on its way: the next one is given what is known then.
func (w *Workers) Renew() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.child != nil {
		w.child.end()
	}
}

// Close ends the child.
func (w *Workers) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.child != nil {
		w.child.end()
	}
	return nil
}

// child is one process.
type child struct {
	cmd  *exec.Cmd
	out  io.Reader
	said tail

	once sync.Once
	how  error
}

// Read reads what the child writes; at its end the error says how it ended.
func (c *child) Read(p []byte) (int, error) {
	n, err := c.out.Read(p)
	if n == 0 && errors.Is(err, io.EOF) {
		err = c.wait()
	}
	return n, err
}

func (c *child) end() {
	c.cmd.Process.Kill() // it may have ended
	c.wait()
}

func (c *child) wait() error {
	c.once.Do(func() {
		c.cmd.Wait()
		c.how = fmt.Errorf("%s%s", c.cmd.ProcessState, c.said.text())
	})
	return c.how
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

// maxTail is how much of that is kept, in bytes.
const maxTail = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if n := len(t.buf) - maxTail; n > 0 {
		t.buf = append(t.buf[:0], t.buf[n:]...)
	}
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if b := bytes.TrimSpace(t.buf); len(b) > 0 {
		return ", and it said: " + strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return ""
}
