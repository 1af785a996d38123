package comm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/quote"
)

// program is the script for one exec channel that does op to the run.
func (j Job) program(op string, off [2]int64) string {
	flag := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	base := j.base
	if base == "" {
		base = place.base
	}
	var b strings.Builder
	fmt.Fprintf(&b, "T=%s OP=%s OFFO=%d OFFE=%d BOOT=%s GRACE=%d LATE=%d BASE=%s BECOME=%s\n",
		j.Token, op, off[0], off[1], quote.Sh(place.boot), graceSeconds, place.late, quote.Sh(base), quote.Sh(j.Become))
	if op == "start" || op == "again" {
		size := len(j.Script)
		if j.Script == nil {
			size = -1
		}
		// The path is known there only. To look for its place there would take a shell
		// time that grows with the square of the command, which holds the environment.
		parts := strings.Split(j.Command, "{{.Path}}")
		for i, p := range parts {
			parts[i] = quote.Sh(p)
		}
		fmt.Fprintf(&b, "LS=%d P=%s KEEP=%d PTY=%d\ncmd() { printf %%s %s; }\nR=%s\n", size, quote.Sh(j.Path), flag(j.Keep), flag(j.Pty),
			strings.Join(parts, ` "$Q" `), quote.Sh(runText))
	}
	b.WriteString(launchText)
	return b.String()
}

// channel is one exec channel with the launcher on its far side.
type channel struct {
	in   io.Writer
	out  *bufio.Reader
	errs *tail
	boot string // the machine's boot id
	stop func()
}

// malformedError is an answer that makes no sense. Others may follow it that do, but not
// for ever.
type malformedError string

func (g malformedError) Error() string {
	return fmt.Sprintf("cannot understand the machine's answer %.200q", string(g))
}

const maxGarbled = 6

// dropped is what the end of a channel means that was not announced.
func (c *channel) dropped() error {
	if c.errs.flooded() {
		return tooManyErrors()
	}
	return fmt.Errorf("%w%s", errDropped, said(c.errs.String()))
}

// notPOSIXError is a machine that answers something else than the launcher.
type notPOSIXError struct{ text string }

func (e *notPOSIXError) Error() string {
	if e.text == "" {
		return "the machine ended the session without an answer"
	}
	return "the machine does not run our commands with a POSIX shell; it answers" + said(e.text)
}

func (l *sshConn) launch(ctx context.Context, j Job, op string, off [2]int64) (*channel, error) {
	s, release, err := l.session(ctx)
	if err != nil {
		return nil, err
	}
	c := &channel{errs: &tail{}}
	s.Stderr = c.errs
	in, err := s.StdinPipe()
	if err != nil {
		release()
		return nil, err
	}
	// Reading ends here when we let go: a server keeps the channel until all that
	// was started on it has ended, which may be the run itself.
	raw, err := s.StdoutPipe()
	if err != nil {
		release()
		return nil, err
	}
	out, far := io.Pipe()
	go func() {
		_, err := io.Copy(far, raw)
		far.CloseWithError(err) // nil is the end of the stream
	}()
	let := func() { far.CloseWithError(errDropped); release() }
	c.errs.over = let
	unhook := context.AfterFunc(ctx, let)
	silence := time.AfterFunc(frameTimeout, let)
	c.stop = func() { silence.Stop(); unhook(); let() }
	c.in, c.out = in, bufio.NewReaderSize(watched{out, silence}, maxFrame)
	text := j.program(op, off)
	if err := s.Start(bootstrap(len(text))); err != nil {
		c.stop()
		return nil, err
	}
	go func() {
		if _, err := io.WriteString(in, text); err == nil && (op == "start" || op == "again") {
			in.Write(j.Script)
		}
	}()
	var noise tail
	for heard := 0; ; {
		line, err := c.out.ReadSlice('\n')
		if id, ok := strings.CutPrefix(string(line), "IMGF1 "+j.Token+" "); ok && err == nil {
			c.boot = strings.TrimSpace(id)
			return c, nil
		}
		noise.Write(line)
		if heard += len(line); heard > maxNoise {
			c.stop()
			return nil, tooMuchNoise(noise.String())
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			c.stop()
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case c.errs.flooded():
				return nil, tooManyErrors()
			}
			return nil, &notPOSIXError{strings.TrimSpace(noise.String() + "\n" + c.errs.String())}
		}
	}
}

// watched puts the alarm off at every read.
type watched struct {
	r     io.Reader
	alarm *time.Timer
}

func (w watched) Read(b []byte) (int, error) {
	n, err := w.r.Read(b)
	if n > 0 {
		w.alarm.Reset(frameTimeout)
	}
	return n, err
}

func (c *channel) ack(token string) bool {
	if _, err := fmt.Fprintf(c.in, "\nack %s\n", token); err != nil {
		return false
	}
	line, err := frameLine(c.out)
	return err == nil && line == "A\n"
}
