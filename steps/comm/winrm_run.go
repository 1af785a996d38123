package comm

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/imgflow/imgflow/steps/comm/wsman"
)

// How a run on Windows outlives its shell.
//
// The scripts in ps are constants for Windows PowerShell 3 and later; whatever is
// a value goes to them as data, and never becomes part of a program or of a command
// line. powershell.exe is started with ps/bootstrap.ps1, reads a script and its
// data from its input line by line, and answers in lines.
//
// ps/launch.ps1 makes the directory %ProgramData%\imgf-<token>, which only
// administrators and the user can read and clean-up scripts do not empty (what is
// needed there is held open, too, and so cannot be deleted), and lets WMI start the runner (ps/run.ps1),
// outside of the session, whose end ends all its processes; an elevated run is
// started by a scheduled task of the same name. A runner must open the file
// "lock" for itself alone, which only one can, and holds it until it ends: so it is
// known whether it is alive, and a starter that dies leaves nothing locked. Once the
// file "run" is there nobody tries. The command has the environment of a fresh
// session, with Job.Env over it; a variable with an empty value is not set, as
// Windows has none. Its input is empty. UTF-8 is the console's code page, so native
// programs print it unless they insist on another.
//
// Windows has no boot id. A reboot is told by the time for which the machine is up,
// which no change of its clock changes: it must have grown by as much as has passed
// since the run was first heard of. If our own clock is set forward meanwhile, a run
// whose runner was killed counts as rebooted. Cancel ends the tree of the command's
// processes; one whose parent has ended before is not found. What is left running
// and has the streams open keeps the run's directory from being removed; then there
// is a warning.

const (
	// partSize is how much of a file goes in one line, so that the line, in
	// base64 twice, fits one request of the usual 500 KB.
	partSize   = 270_000
	maxCommand = 8000  // characters; cmd.exe takes 8191 with all that is around
	maxValue   = 32766 // characters of an environment value, with its name
)

// winplace is what tests change: where runs lie, "" for %SystemRoot%\Temp, and the
// seconds that a runner may take to begin: for the first one of a user, Windows
// makes a profile.
var winplace = struct {
	base string
	late int
}{"", 180}

// Exit codes of processes that a shutdown or logoff ends: no program returns them.
const (
	exitShutdown = 0x40010004                      // DBG_TERMINATE_PROCESS
	exitLogoff   = int(int32(-0x40000000 + 0x26b)) // STATUS_DLL_INIT_FAILED_LOGOFF
	exitControlC = int(int32(-0x40000000 + 0x13a)) // STATUS_CONTROL_C_EXIT: how a console program takes the end of the session
	exitInit     = int(int32(-0x40000000 + 0x142)) // STATUS_DLL_INIT_FAILED: what is started during a shutdown
)

func (j Job) checkWindows() error {
	if err := j.check(); err != nil {
		return err
	}
	if strings.ContainsAny(j.Command, "\r\n") {
		return errors.New("cannot run: the command has more than one line, and cmd.exe runs only the first")
	}
	if n := len(utf16.Encode([]rune(j.Command))); n > maxCommand {
		return fmt.Errorf("cannot run: the command has %d characters, and cmd.exe takes %d", n, maxCommand)
	}
	for k, v := range j.Env {
		switch {
		case k == "" || strings.ContainsAny(k, "=\x00") || !utf8.ValidString(k):
			return fmt.Errorf("cannot run: %q cannot be the name of an environment variable", k)
		case strings.ContainsRune(v, 0) || !utf8.ValidString(v):
			return fmt.Errorf("cannot run: the value of the environment variable %s is not text: it holds a NUL or is not UTF-8", k)
		case len(utf16.Encode([]rune(k+v))) > maxValue:
			return fmt.Errorf("cannot run: the environment variable %s is longer than the %d characters that Windows allows", k, maxValue)
		}
	}
	for name := range j.Files {
		if !windowsName(name) || slices.Contains([]string{"run.ps1", "job.json", "more", "in", "out", "err", "script" + strings.ToLower(j.Ext)}, strings.ToLower(name)) {
			return fmt.Errorf("cannot run: %q cannot be the name of a file in the run's directory", name)
		}
	}
	if j.Elevate != nil && j.Elevate.User == "" {
		return errors.New("cannot run: the user to run as is not named")
	}
	return nil
}

// order is the first line of launch.ps1.
type order struct {
	Op       string   `json:"op"`
	Token    string   `json:"token"`
	Base     string   `json:"base"`
	Off      [2]int64 `json:"off"`
	Elevated bool     `json:"elevated"`
	Late     int      `json:"late"`

	Runner   string `json:"runner"`
	Path     string `json:"path"`
	Script   string `json:"script"`
	User     string `json:"user"`
	Password string `json:"password"`
	DirMark  string `json:"dirmark"`
	PathMark string `json:"pathmark"`
	Command  string `json:"command"`
	Job      string `json:"job"`
}

// orders are the lines that do op to the run.
func (j Job) orders(op string, off [2]int64) ([]string, error) {
	o := order{Op: op, Token: j.Token, Base: winplace.base, Off: off, Elevated: j.Elevate != nil, Late: winplace.late}
	if op != "start" {
		first, err := header(o)
		return []string{first}, err
	}
	files := maps.Clone(j.Files)
	if files == nil {
		files = map[string][]byte{}
	}
	files["run.ps1"] = []byte(lean(psLib + psRun))
	if j.Script != nil {
		o.Script = "script" + j.Ext
		files[o.Script] = j.Script
	}
	if j.Elevate != nil {
		o.User, o.Password = strings.TrimPrefix(j.Elevate.User, `.\`), j.Elevate.Password
	}
	o.Runner, o.Path = runnerWords, j.Path
	o.DirMark, o.PathMark = "imgflow:dir:"+j.Token, "imgflow:path:"+j.Token
	o.Command = strings.NewReplacer("{{.Path}}", o.PathMark, "{{.Dir}}", o.DirMark).Replace(j.Command)
	env := [][2]string{}
	for _, k := range slices.Sorted(maps.Keys(j.Env)) {
		env = append(env, [2]string{k, j.Env[k]})
	}
	var err error
	if o.Job, err = header(struct {
		Env  [][2]string `json:"env"`
		Keep bool        `json:"keep"`
	}{env, j.Keep}); err != nil {
		return nil, err
	}
	first, err := header(o)
	lines := []string{first}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		b := files[name]
		for first := true; first || len(b) > 0; first = false {
			n := min(len(b), partSize)
			lines = append(lines, "F "+code(name)+" "+base64.StdEncoding.EncodeToString(b[:n]))
			b = b[n:]
		}
	}
	return append(lines, "go"), err
}

// Run implements Remote.
func (r *winremote) Run(ctx context.Context, j Job) (Exit, error) {
	if err := j.checkWindows(); err != nil {
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
	p := r.redialer(false)
	for senseless := 0; ; {
		x, err := r.follow(ctx, j, jr, p.heard)
		if err == nil {
			return r.env.ended(ctx, r.m, x)
		}
		if errors.As(err, new(*LostError)) {
			return Exit{}, err
		}
		if errors.As(err, new(malformedError)) {
			if senseless++; senseless >= maxGarbled {
				return Exit{}, r.runError(ctx, jr, err)
			}
		}
		if err := p.again(ctx, err); err != nil {
			return Exit{}, r.runError(ctx, jr, err)
		}
	}
}

// runError says what a run that cannot be followed means for the user.
func (r *winremote) runError(ctx context.Context, jr *journal, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case jr.boot() != 0 && errors.As(err, new(*DownError)):
		return fmt.Errorf("cannot follow the run on %s: %w", r.m.label(), err)
	case jr.boot() != 0:
		return fmt.Errorf("cannot follow the run on %s: %w; if that machine is still there the script goes on, and resuming follows it", r.m.label(), err)
	}
	return fmt.Errorf("cannot start the run on %s: %w", r.m.label(), err)
}

// follow attaches to the run once, starting it when it has never begun, until
// it ends or the connection does. It has a shell of its own: a new one has the
// environment as it is now, with what was installed a moment ago.
func (r *winremote) follow(ctx context.Context, j Job, jr *journal, heard func()) (x Exit, err error) {
	op := "start"
	if jr.boot() != 0 {
		op = "attach"
	}
	jr.rewind()
	lines, err := j.orders(op, jr.off)
	if err != nil {
		return x, permanent{err}
	}
	c, err := r.client()
	if err != nil {
		return x, err
	}
	defer hangUp(c)
	k, err := startScript(ctx, c, psLaunch, lines...)
	if err != nil {
		return x, err
	}
	pos, rebooted := jr.off, false
	for {
		l, err := k.line(ctx)
		if err != nil {
			return x, err
		}
		f := strings.Fields(l)
		if len(f) == 0 {
			continue
		}
		bad := malformedError(l)
		switch f[0] {
		case "B":
			n, err := numbers(f[1:], 3)
			if err != nil {
				return x, bad
			}
			heard()
			rebooted = jr.rebooted(n[0], n[1], n[2])
			if err := jr.met(); err != nil {
				return x, notKept(err)
			}
		case "O", "E":
			i := strings.Index("OE", f[0])
			b, at, err := parseChunk(f)
			if err != nil || at != pos[i] {
				return x, bad
			}
			heard()
			if err := jr.write(i, b); err != nil {
				return x, notKept(err)
			}
			pos[i] += int64(len(b))
		case "S":
			n, err := numbers(f[1:], 2)
			if err != nil {
				return x, bad
			}
			x = Exit{Code: int(n[0]), Truncated: n[1] == 1}
			switch x.Code {
			case exitShutdown, exitLogoff:
				x.Rebooted = true
			case exitControlC, exitInit, 1:
				x.Rebooted = rebooted
			}
			return x, r.end(ctx, k, j, jr, x)
		case "L":
			x, err := lostWindows(jr, f[1:], rebooted)
			if err == nil {
				return x, r.end(ctx, k, j, jr, x)
			}
			if errors.As(err, new(*LostError)) {
				if ferr := jr.flush(); ferr != nil {
					return x, notKept(ferr)
				}
			}
			k.ack(ctx)
			return x, err
		}
	}
}

func notKept(err error) error { return permanent{fmt.Errorf("cannot keep the output: %w", err)} }

func numbers(f []string, want int) ([]int64, error) {
	var ns []int64
	for _, s := range f {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, err
		}
		ns = append(ns, n)
	}
	if len(ns) != want {
		return nil, errors.New("wrong length")
	}
	return ns, nil
}

// parseChunk reads "O offset base64".
func parseChunk(f []string) (b []byte, at int64, err error) {
	if len(f) != 3 {
		return nil, 0, errors.New("wrong length")
	}
	if at, err = strconv.ParseInt(f[1], 10, 64); err == nil {
		b, err = base64.StdEncoding.DecodeString(f[2])
	}
	return b, at, err
}

// met saves when the run was first heard of, by our clock.
func (j *journal) met() error {
	if j.boot() != 0 {
		return nil
	}
	return j.save(runState{Boot: time.Now().UnixMilli()})
}

// since is how long ago that was, in ms.
func (j *journal) since() int64 { return time.Now().UnixMilli() - j.boot() }

// sinceStart is how long ago, in ms, the run has begun at the earliest. One that was never heard of may have been
// started by the process before this one.
func (j *journal) sinceStart() int64 {
	switch {
	case j.boot() != 0:
		return j.since()
	case j.t.Resumed:
		return j.t.Age().Milliseconds()
	}
	return time.Since(j.open).Milliseconds()
}

// rebooted tells whether the machine has booted since the run began. Then it was
// up for "then" ms; that was age ms ago by its own clock, which matters only when
// we do not know better; and now it is up for "now". If it has not booted these
// add up; if it has, it is up for less than the time that has passed. Half of the
// difference is left to the clocks.
func (j *journal) rebooted(then, age, now int64) bool {
	if j.boot() != 0 {
		age = j.since()
	}
	return now < then || now < age+then/2
}

// lostWindows says what an answer without exit status means.
func lostWindows(jr *journal, why []string, rebooted bool) (Exit, error) {
	switch why = append(why, "", ""); why[0] {
	case "gone":
		up, err := strconv.ParseInt(why[1], 10, 64)
		switch {
		case err == nil && up < jr.sinceStart(): // which has cost it its record
			return Exit{Rebooted: true}, nil
		case err == nil:
			return Exit{}, &LostError{"its directory has vanished from the machine"}
		}
	case "lost":
		if rebooted {
			return Exit{Rebooted: true}, nil
		}
		return Exit{}, &LostError{"the process that watched over it on the machine was killed"}
	case "late":
		text := fmt.Sprintf("it had not begun after %d s", winplace.late)
		if why[1] != "" {
			text += ", the scheduled task's result is " + why[1]
		}
		return Exit{}, &LostError{text}
	case "failed":
		if b, err := base64.StdEncoding.DecodeString(why[1]); err == nil {
			return Exit{}, permanent{errors.New(oneLine(string(b)))}
		}
	}
	return Exit{}, malformedError(strings.TrimSpace(strings.Join(why, " ")))
}

// end keeps the exit, and only then lets the machine forget the run.
func (r *winremote) end(ctx context.Context, k *scriptSession, j Job, jr *journal, x Exit) error {
	if err := jr.finish(x); err != nil {
		return notKept(err)
	}
	err := k.ack(ctx)
	if err == nil || x.Rebooted {
		return nil
	}
	if !errors.As(err, new(permanent)) {
		err = r.forget(context.Background(), j)
	}
	return jr.warnNotRemoved(context.Background(), r.m, err)
}

// ack tells the script that it was heard.
func (k *scriptSession) ack(ctx context.Context) error {
	if err := k.send(ctx, "ack"); err != nil {
		return err
	}
	l, err := k.line(ctx)
	if err == nil && l != "A" {
		err = fmt.Errorf("cannot understand the machine's answer %.200q", l)
	}
	return err
}

// forget removes what a finished run may have left on the machine.
func (r *winremote) forget(ctx context.Context, j Job) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err := r.order(ctx, j, "forget")
	return err
}

// order does op to the run and returns the answer.
func (r *winremote) order(ctx context.Context, j Job, op string) (answer string, err error) {
	lines, err := j.orders(op, [2]int64{})
	if err != nil {
		return "", err
	}
	err = r.attempt(ctx, func(ctx context.Context, c *wsman.Client, _ func()) error {
		k, err := startScript(ctx, c, psLaunch, lines...)
		if err != nil {
			return err
		}
		defer k.close()
		answer, err = k.line(ctx)
		return err
	})
	return answer, err
}

// Cancel implements Remote. A run that nobody follows is followed to its end
// here, so that nothing of it stays on the machine.
func (r *winremote) Cancel(ctx context.Context, j Job) error {
	if err := j.checkWindows(); err != nil {
		return err
	}
	answer, err := r.order(ctx, j, "cancel")
	gone := strings.HasPrefix(answer, "L gone") // its follower let it be forgotten meanwhile
	if err == nil && !gone && !strings.HasPrefix(answer, "C ") && !strings.HasPrefix(answer, "L failed") {
		err = fmt.Errorf("the machine answers %.200q", answer)
	}
	if err != nil {
		return fmt.Errorf("cannot cancel the run on %s: %w", r.m.label(), err)
	}
	if gone || answer == "C none" || r.env.followed(j.Token) {
		return nil
	}
	if strings.HasPrefix(answer, "L ") { // it never began, and would now
		if err := r.forget(ctx, j); err != nil {
			r.t.Warn("the files of a cancelled run may still be on %s: %v", r.m.label(), err)
		}
		return nil
	}
	if _, err := r.Run(ctx, j); err != nil && !errors.As(err, new(*LostError)) {
		r.t.Warn("the files of a cancelled run may still be on %s: %v", r.m.label(), err)
	}
	return nil
}
