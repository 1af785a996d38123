package comm

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"strconv"
	"strings"
	"time"
)

//go:embed sh/launch.sh
var launchSource string

//go:embed sh/run.sh
var runSource string

var launchText, runText = lean(launchSource), lean(runSource)

// lean leaves out comment lines and indentation: every byte is read singly.
func lean(s string) string {
	var b strings.Builder
	for l := range strings.Lines(s) {
		l = strings.TrimLeft(l, " \t")
		if !strings.HasPrefix(l, "#") {
			b.WriteString(l)
		}
	}
	return b.String()
}

const (
	// frameTimeout is how long a follower may be silent; it sends a heartbeat
	// about every two seconds.
	frameTimeout = 30 * time.Second
	graceSeconds = 3
	bootFile     = "/proc/sys/kernel/random/boot_id"
)

// place is where the machine keeps a run, and how many seconds one may take to
// begin; tests change them.
var place = struct {
	base, boot string
	late       int
}{"", bootFile, 60}

// bootNumber makes a number of a boot id, never 0.
func bootNumber(id string) int64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return int64(h.Sum64()>>2) + 1
}

func (x Exit) String() string {
	var s string
	switch {
	case x.Rebooted:
		return "the machine rebooted"
	case x.OOM:
		s = "exit status 137, probably killed for want of memory"
	case x.Signal != 0:
		s = fmt.Sprintf("killed by signal %d", x.Signal)
	default:
		s = fmt.Sprintf("exit status %d", x.Code)
	}
	if x.Truncated {
		s += ", output lost: the machine's disk is full"
	}
	return s
}

func (j Job) check() error {
	if j.Token == "" || strings.Trim(j.Token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
		return fmt.Errorf("cannot run: the token %q is not made of letters, digits and hyphens", j.Token)
	}
	if strings.ContainsRune(j.Command+j.Path+j.Become, 0) {
		return errors.New("cannot run: the command holds a NUL character")
	}
	return nil
}

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
		j.Token, op, off[0], off[1], quote(place.boot), graceSeconds, place.late, quote(base), quote(j.Become))
	if op == "start" || op == "again" {
		size := len(j.Script)
		if j.Script == nil {
			size = -1
		}
		// The path is known there only. To look for its place there would take a shell
		// time that grows with the square of the command, which holds the environment.
		parts := strings.Split(j.Command, "{{.Path}}")
		for i, p := range parts {
			parts[i] = quote(p)
		}
		fmt.Fprintf(&b, "LS=%d P=%s KEEP=%d PTY=%d\ncmd() { printf %%s %s; }\nR=%s\n", size, quote(j.Path), flag(j.Keep), flag(j.Pty),
			strings.Join(parts, ` "$Q" `), quote(runText))
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

// garbled is an answer that makes no sense. Others may follow it that do, but not
// for ever.
type garbled string

func (g garbled) Error() string {
	return fmt.Sprintf("cannot understand the machine's answer %.200q", string(g))
}

const maxGarbled = 6

// dropped is what the end of a channel means that was not announced.
func (c *channel) dropped() error {
	if c.errs.flooded() {
		return complaining()
	}
	return fmt.Errorf("%w%s", errDropped, said(c.errs.String()))
}

// strange is a machine that answers something else than the launcher.
type strange struct{ text string }

func (e *strange) Error() string {
	if e.text == "" {
		return "the machine ended the session without an answer"
	}
	return "the machine does not run our commands with a POSIX shell; it answers" + said(e.text)
}

func (l *link) launch(ctx context.Context, j Job, op string, off [2]int64) (*channel, error) {
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
			return nil, noisy(noise.String())
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			c.stop()
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case c.errs.flooded():
				return nil, complaining()
			}
			return nil, &strange{strings.TrimSpace(noise.String() + "\n" + c.errs.String())}
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

// Run implements Remote.
func (r *remote) Run(ctx context.Context, j Job) (Exit, error) {
	if err := j.check(); err != nil {
		return Exit{}, err
	}
	defer r.env.follow(j.Token)()
	jr := newJournal(r.t, j.Token)
	if x, ok := jr.finished(); ok {
		return x, jr.swept(ctx, r.m, r.forget(ctx, j))
	}
	p := r.m.SSH.redialPatience()
	heard, odd, senseless, again := time.Now(), 0, 0, r.t.Resumed
	for n := 0; ; n++ {
		l, err := r.link(ctx)
		if err != nil {
			return Exit{}, r.runError(ctx, jr, err)
		}
		x, more, err := r.follow(ctx, l, j, jr, again)
		again = true
		if err == nil {
			return x, nil
		}
		var lost *LostError
		if ctx.Err() != nil || errors.As(err, &lost) || errors.As(err, new(permanent)) {
			return Exit{}, r.runError(ctx, jr, err)
		}
		if errors.As(err, new(garbled)) {
			senseless++
		}
		if more {
			heard, n, odd = time.Now(), 0, 0
		} else if !l.broke() {
			odd++
		}
		if odd >= 6 || senseless >= maxGarbled || time.Since(heard) > p.total {
			return Exit{}, r.runError(ctx, jr, err)
		}
		r.t.Detail("connection to %s lost, going on with a new one", r.m.label())
		if err := sleep(ctx, min(30*time.Millisecond<<min(n, 8), 5*time.Second)); err != nil {
			return Exit{}, err
		}
	}
}

// runError says what a run that cannot be followed means for the user.
func (r *remote) runError(ctx context.Context, jr *journal, err error) error {
	var lost *LostError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &lost):
		return err
	case jr.boot() != 0 && errors.As(err, new(*DownError)):
		return fmt.Errorf("cannot follow the run: %w", err)
	case jr.boot() != 0:
		return fmt.Errorf("cannot follow the run on %s: %w; if that machine is still there the script goes on, and resuming follows it", r.m.label(), err)
	}
	return fmt.Errorf("cannot start the run on %s: %w", r.m.label(), err)
}

// follow attaches to the run once, starting it when it has never begun, until
// it ends or the channel does. Again says that somebody may have started it before;
// more, that the machine was heard.
func (r *remote) follow(ctx context.Context, l *link, j Job, jr *journal, again bool) (x Exit, more bool, err error) {
	op := "start"
	switch {
	case jr.boot() != 0:
		op = "attach"
	case again:
		op = "again"
	}
	jr.rewind()
	c, err := l.launch(ctx, j, op, jr.off)
	if err != nil {
		return x, false, err
	}
	defer c.stop()
	pos, buf, warned := jr.off, make([]byte, 64<<10), false
	for {
		line, err := frameLine(c.out)
		if errors.As(err, new(permanent)) {
			return x, more, err
		}
		if err != nil {
			return x, more, c.dropped()
		}
		f := strings.Fields(line)
		if len(f) == 0 {
			return x, more, garbled(line)
		}
		if f[0] == "P" {
			continue // the run has not begun so far
		}
		if f[0] != "L" && f[0] != "W" {
			more = true
			if err := jr.begun(c.boot); err != nil {
				return x, more, unkept(err)
			}
		}
		switch f[0] {
		case "H":
		case "W":
			if warned {
				return x, more, garbled(line)
			}
			warned = true
			r.t.Warn("%s has no command `script`: running without a terminal although ssh_pty is set", r.m.label())
		case "O", "E":
			i := strings.Index("OE", f[0])
			at, n, err := frame(f)
			if err != nil || at != pos[i] {
				return x, more, garbled(line)
			}
			for n > 0 {
				k, err := c.out.Read(buf[:min(n, int64(len(buf)))])
				if err != nil {
					return x, more, errDropped
				}
				if err := jr.write(i, buf[:k]); err != nil {
					return x, more, unkept(err)
				}
				n, pos[i] = n-int64(k), pos[i]+int64(k)
			}
		case "S":
			if x, err = parseExit(f); err != nil {
				return x, more, err
			}
			x.Truncated = x.Truncated || !(jr.ended[0] && jr.ended[1])
			return x, true, r.end(c, j, jr, x)
		case "L":
			x, err := r.lost(c, jr, f[1:])
			if err == nil {
				return x, more, r.end(c, j, jr, x)
			}
			if errors.As(err, new(*LostError)) {
				if ferr := jr.flush(); ferr != nil {
					return x, more, permanent{fmt.Errorf("cannot keep the output: %w", ferr)}
				}
			}
			c.ack(j.Token)
			return x, more, err
		default:
			return x, more, garbled(line)
		}
	}
}

func frame(f []string) (at, n int64, err error) {
	if len(f) != 3 {
		return 0, 0, errors.New("wrong length")
	}
	if at, err = strconv.ParseInt(f[1], 10, 64); err == nil {
		n, err = strconv.ParseInt(f[2], 10, 64)
	}
	return at, n, err
}

// parseExit reads "S code signal oom full unread rebooted".
func parseExit(f []string) (x Exit, err error) {
	var n [6]int
	if len(f) != 1+len(n) {
		return x, garbled(strings.Join(f, " "))
	}
	for i := range n {
		if n[i], err = strconv.Atoi(f[i+1]); err != nil {
			return x, garbled(strings.Join(f, " "))
		}
	}
	x = Exit{Code: n[0], Signal: n[1], OOM: n[2] == 1, Truncated: n[3] == 1, Unread: n[4] == 1}
	if n[5] == 1 { // a shutdown ends all processes by TERM, HUP or KILL
		x.Rebooted = x.Code == 143 || x.Code == 129 || x.Code == 137
	}
	return x, nil
}

// end keeps the exit, and only then lets the machine forget the run.
func (r *remote) end(c *channel, j Job, jr *journal, x Exit) error {
	if err := jr.finish(x); err != nil {
		return unkept(err)
	}
	if c.ack(j.Token) {
		return nil
	}
	err := r.forget(context.Background(), j)
	if x.Rebooted {
		return nil
	}
	return jr.swept(context.Background(), r.m, err)
}

func (c *channel) ack(token string) bool {
	if _, err := fmt.Fprintf(c.in, "\nack %s\n", token); err != nil {
		return false
	}
	line, err := frameLine(c.out)
	return err == nil && line == "A\n"
}

// lost says what an answer without exit status means.
func (r *remote) lost(c *channel, jr *journal, why []string) (Exit, error) {
	text := strings.Join(why, " ")
	switch why = append(why, ""); why[0] {
	case "rebooted":
		return Exit{Rebooted: true}, nil
	case "gone":
		switch jr.boot() {
		case bootNumber(c.boot):
			return Exit{}, &LostError{"its directory has vanished from the machine"}
		case 0:
			return Exit{}, permanent{errors.New("the run's directory belongs to somebody else")}
		}
		return Exit{Rebooted: true}, nil
	case "lost":
		return Exit{}, &LostError{"the process that watched over it on the machine was killed"}
	case "late":
		return Exit{}, &LostError{fmt.Sprintf("it had not begun after %d s", place.late)}
	case "needs":
		if strings.HasPrefix(text, "needs /proc") {
			return Exit{}, permanent{errors.New("the machine has no /proc; only Linux can be provisioned by SSH")}
		}
		return Exit{}, permanent{fmt.Errorf("the machine lacks the commands %s: install them in the source image", strings.Join(why[1:len(why)-1], ", "))}
	case "nodir":
		return Exit{}, permanent{fmt.Errorf("no directory can be made in any of %s: is the machine's disk full or read-only?", strings.Join(why[1:len(why)-1], ", "))}
	case "upload":
		return Exit{}, permanent{fmt.Errorf("the script cannot be stored on the machine: %s", strings.TrimPrefix(text, "upload "))}
	case "failed":
		return Exit{}, permanent{fmt.Errorf("the script cannot be put in its place: %s", strings.TrimPrefix(text, "failed "))}
	}
	return Exit{}, garbled(text)
}

// forget removes what a finished run may have left on the machine.
func (r *remote) forget(ctx context.Context, j Job) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return r.once(ctx, j, "forget", func(answer string) bool {
		return strings.HasPrefix(answer, "A") || strings.HasPrefix(answer, "L gone")
	})
}

// Cancel implements Remote. A run that nobody follows is followed to its end
// here, so that nothing of it stays on the machine.
func (r *remote) Cancel(ctx context.Context, j Job) error {
	if err := j.check(); err != nil {
		return err
	}
	begun := false
	err := r.once(ctx, j, "cancel", func(answer string) bool {
		begun = strings.HasPrefix(answer, "C done")
		return strings.HasPrefix(answer, "C") || strings.HasPrefix(answer, "L gone")
	})
	if err != nil {
		return fmt.Errorf("cannot cancel the run on %s: %w", r.m.label(), err)
	}
	if !begun || r.env.followed(j.Token) {
		return nil
	}
	if _, err := r.Run(ctx, j); err != nil && !errors.As(err, new(*LostError)) {
		r.t.Warn("the files of a cancelled run may still be on %s: %v", r.m.label(), err)
	}
	return nil
}

// once does op to the run and checks the answer.
func (r *remote) once(ctx context.Context, j Job, op string, good func(answer string) bool) error {
	return r.attempt(ctx, func(l *link) error {
		c, err := l.launch(ctx, j, op, [2]int64{})
		if err != nil {
			return err
		}
		defer c.stop()
		answer, err := frameLine(c.out)
		for err == nil && answer == "P\n" {
			answer, err = frameLine(c.out)
		}
		if errors.As(err, new(permanent)) {
			return err
		}
		if err != nil {
			return c.dropped()
		}
		if where, ok := strings.CutPrefix(strings.TrimSpace(answer), "L stays "); ok {
			return permanent{fmt.Errorf("it does not let go of %.200q", where)}
		}
		if !good(answer) {
			return permanent{fmt.Errorf("the machine answers %.200q", strings.TrimSpace(answer))}
		}
		return nil
	})
}
