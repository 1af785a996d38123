package comm

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/sleep"
)

// How a run outlives its connection and its caller.
//
// Remote.Run starts a script on the machine under a few lines of POSIX sh
// (sh/run.sh) that detach it, spool its output and keep its exit status. One
// exec channel uploads, starts and follows (sh/launch.sh). When the channel
// breaks, or this process dies, the script goes on; the next call with the same
// Job.Token follows from where the lines that were kept end. A run is started
// once: every starter must make the directory "claim.<boot id>", and only one
// can; once the file "run" is there nobody tries. A reboot before that leaves a
// run that never began, and the next starter's claim is a new one.
//
// The task's printed lines are the journal. A line is printed with the offset
// behind it, so what was printed and where to go on are one record. The streams
// of a job are named "stdout" and "stderr" if its token is the task's, and else
// have a tail, "stdout/1" for the token <task's token>-1: readers show what is
// before the slash. A line without end is broken at 64 KiB.
//
// The boot of the machine in which the run began, and its end, are saved in the
// task's record ([dag.Task.Save]), twice for each run and not with each line: the
// first before anything is printed, so that a run of which something is known is
// never started again; the second when all lines are on disk, and before the
// machine forgets the run.
//
// After a failed attempt a step that wants to run its script again must use
// another token; see [JobToken]. The end of a run is never guessed: it is an
// exit status, a reboot (the machine's boot id has changed), or a [LostError],
// and a lost run is not started again.
//
// On the machine a run lives in /var/tmp/.imgf-<token>, else in the home
// directory, else in /tmp. Its script may be one that cleans these up: it may
// delete, move, hide or give away all that lies there. What the runner
// (sh/run.sh) has open is the run then, reached by /proc/<pid>/fd, and the runner
// stays until somebody has taken the end of the script; only a reboot, or who kills
// the runner as well, loses it. A command that ends with 0 and has never read the
// script (Exit.Unread) is known by the script's time of access, where there is one. It needs Linux with /proc, a POSIX sh and the usual
// small commands; GNU's and busybox's do. If setsid is missing the script is
// still not hurt by the end of the connection. Where logind is told to kill
// users' processes (KillUserProcesses=yes), log in as root.
//
// A run takes four to five times as long as the same script by a bare `ssh host
// sh -s` over a connection that is already open (BenchmarkRun has both, on three
// shells): the machine starts that many more processes for it. It needs as many
// round trips plus one, the acknowledgement.

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

// Run implements Remote.
func (r *remote) Run(ctx context.Context, j Job) (Exit, error) {
	if err := j.check(); err != nil {
		return Exit{}, err
	}
	defer r.env.follow(j.Token)()
	jr, err := newJournal(r.t, j.Token)
	if err != nil {
		return Exit{}, err
	}
	if x, ok := jr.finished(); ok {
		return x, jr.warnNotRemoved(ctx, r.m, r.forget(ctx, j))
	}
	p := r.m.SSH.redialPatience()
	heard, odd, senseless, again := time.Now(), 0, 0, r.t.Resumed
	for n := 0; ; n++ {
		l, err := r.conn(ctx)
		if err != nil {
			return Exit{}, r.runError(ctx, jr, err)
		}
		x, more, err := r.follow(ctx, l, j, jr, again)
		again = true
		if err == nil {
			return r.env.ended(ctx, r.m, x)
		}
		var lost *LostError
		if ctx.Err() != nil || errors.As(err, &lost) || errors.As(err, new(permanent)) {
			return Exit{}, r.runError(ctx, jr, err)
		}
		if errors.As(err, new(malformedError)) {
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
		if err := sleep.For(ctx, min(30*time.Millisecond<<min(n, 8), 5*time.Second)); err != nil {
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
func (r *remote) follow(ctx context.Context, l *sshConn, j Job, jr *journal, again bool) (x Exit, more bool, err error) {
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
			return x, more, malformedError(line)
		}
		if f[0] == "P" {
			continue // the run has not begun so far
		}
		if f[0] != "L" && f[0] != "W" {
			more = true
			if err := jr.begun(c.boot); err != nil {
				return x, more, notKept(err)
			}
		}
		switch f[0] {
		case "H":
		case "W":
			if warned {
				return x, more, malformedError(line)
			}
			warned = true
			r.t.Warn("%s has no command `script`: running without a terminal although ssh_pty is set", r.m.label())
		case "O", "E":
			i := strings.Index("OE", f[0])
			at, n, err := frame(f)
			if err != nil || at != pos[i] {
				return x, more, malformedError(line)
			}
			for n > 0 {
				k, err := c.out.Read(buf[:min(n, int64(len(buf)))])
				if err != nil {
					return x, more, errDropped
				}
				if err := jr.write(i, buf[:k]); err != nil {
					return x, more, notKept(err)
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
			return x, more, malformedError(line)
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
		return x, malformedError(strings.Join(f, " "))
	}
	for i := range n {
		if n[i], err = strconv.Atoi(f[i+1]); err != nil {
			return x, malformedError(strings.Join(f, " "))
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
		return notKept(err)
	}
	if c.ack(j.Token) {
		return nil
	}
	err := r.forget(context.Background(), j)
	if x.Rebooted {
		return nil
	}
	return jr.warnNotRemoved(context.Background(), r.m, err)
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
	return Exit{}, malformedError(text)
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
	return r.attempt(ctx, func(l *sshConn) error {
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
