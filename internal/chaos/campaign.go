package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/imgflow/imgflow/internal/pgtest"
)

// campaign is what all of its runs have in common.
type campaign struct {
	imgflow string // the program under test
	guest   string
	kind    string // of the template: linux, windows or production
	runner  string // of the steps: the engine, or a process of its own
	dir     string // where the worlds lie

	production string // the folder of the example production

	database *pgtest.Server // in which each world has its runs; nil: in files
	temporal string         // the program of the Temporal server of each world; "": imgflow builds by itself
}

// outcome is how one run went.
type outcome struct {
	plan
	told    []string // what happened, in order
	err     error    // what is wrong with the end
	took    time.Duration
	dir     string // of its world, which is left if it went wrong
	lost    int    // workers that were killed
	started int    // imgflows whose workers are killed
	half    bool   // a reboot has ended a script, on a machine that may still be there
}

func (o *outcome) tell(format string, a ...any) { o.told = append(o.told, fmt.Sprintf(format, a...)) }

// String is the line of a run.
func (o *outcome) String() string {
	verdict := "ok"
	if o.err != nil {
		verdict = "WRONG"
	}
	extra := ""
	if len(o.Copies) > 0 {
		extra = " +copy"
	}
	if o.Encrypted {
		extra += " +encrypted"
	}
	extra += o.tail.String()
	if o.Role {
		extra += " +role"
	}
	what := o.Guest
	if o.Seed != 0 {
		if o.Windows != nil {
			what = "windows"
		}
		what = fmt.Sprintf("seed %-6d %-7s %-7s %s%s", o.Seed, what, o.Latency, strings.TrimSuffix(o.Faults, fmt.Sprintf(",seed=%d", o.Seed)), extra)
	}
	workers := ""
	if o.lost > 0 {
		workers = fmt.Sprintf("; %d workers killed", o.lost)
	}
	return fmt.Sprintf("%-5s %s | %s%s | %.1fs", verdict, what, strings.Join(o.told, ", "), workers, o.took.Seconds())
}

// run carries out what a seed decides, and judges the end.
func (c *campaign) run(ctx context.Context, seed uint64) *outcome {
	o := &outcome{plan: newPlan(seed, c.guest, c.kind), dir: filepath.Join(c.dir, fmt.Sprint(seed))}
	began := time.Now()
	o.err = c.play(ctx, o)
	o.took = time.Since(began)
	return o
}

// leave removes the world of a run that went as it should. Any other stays, with
// the account of it beside it, and how to repeat it: when the kernel schedules what,
// no seed decides, so there may never be another of its kind.
func (o *outcome) leave(repeat string) {
	if o.err == nil {
		if o.err = os.RemoveAll(o.dir); o.err == nil {
			return
		}
	}
	text := fmt.Sprintf("%s\n%v\nrepeat it: %s\n", o, o.err, repeat)
	if err := os.WriteFile(filepath.Join(o.dir, accountName), []byte(text), 0o600); err != nil {
		o.err = errors.Join(o.err, err)
	}
}

// accountName is the file in a world that went wrong which says how.
const accountName = "outcome.txt"

func (c *campaign) play(ctx context.Context, o *outcome) error {
	w, err := c.world(o.dir, "--guest", o.Guest, "--latency", o.Latency, "--fault", o.Faults)
	if err != nil {
		return err
	}
	defer w.close()
	if err := errors.Join(w.write("t.json", o.template()), w.write("cargo.txt", "what is sent\n"), o.prepare(ctx, w)); err != nil {
		return err
	}
	return w.watched(func() error {
		killed, err := o.strike(w, o.First, "run", "t.json")
		if err != nil {
			return err
		}
		return o.aftermath(ctx, w, killed)
	})
}

// world makes a world of the campaign; endpoint are flags of its embedded EC2.
func (c *campaign) world(dir string, endpoint ...string) (*world, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	seed := filepath.Join(dir, "seed.json")
	if err := os.WriteFile(seed, []byte(given), 0o600); err != nil {
		return nil, err
	}
	w, err := newWorld(c.imgflow, dir, append([]string{"--seed", seed}, endpoint...)...)
	if err != nil {
		return nil, err
	}
	w.workers, w.database, w.temporal = c.runner == "process", c.database, c.temporal
	if err := errors.Join(w.begin(), w.employ()); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// aftermath is what follows when the first imgflow has ended.
func (o *outcome) aftermath(ctx context.Context, w *world, killed bool) error {
	runs, err := w.runs()
	if err != nil {
		return err
	}
	if err := o.mischief(ctx, w); err != nil {
		return err
	}
	then := o.Then
	if then == "resume" {
		if err := o.settle(ctx, w); err != nil {
			return err
		}
	}
	if len(runs) == 0 {
		if !killed {
			return errors.New("the build ended, and there is no run of it")
		}
		if err := w.holds(0); err != nil {
			return fmt.Errorf("killed before there was a run: %w", err)
		}
		o.tell("no run yet")
		if then == "resume" {
			then = "run"
		}
	}
	id := ""
	if len(runs) > 0 {
		id = runs[0].ID
	}
	switch then {
	case "run":
		if err := o.again(ctx, w, "run", "t.json"); err != nil {
			return err
		}
	case "resume":
		err := o.again(ctx, w, "resume", id)
		if errors.Is(err, errNoPlan) {
			if err := w.holds(0); err != nil {
				return fmt.Errorf("a run without a plan has made something: %w", err)
			}
			o.tell("no plan yet")
			err = o.again(ctx, w, "run", "t.json")
		}
		if err != nil {
			return err
		}
	case "destroy":
		if id != "" {
			if err := o.again(ctx, w, "destroy", id, "--yes"); err != nil {
				return err
			}
		}
	case "orphans":
		if err := w.forget(); err != nil {
			return err
		}
		args := []string{"destroy", "--orphans", "--older-than", "0s", "--yes", "--region", region}
		for _, r := range o.Copies {
			args = append(args, "--region", r)
		}
		if err := o.again(ctx, w, args...); err != nil {
			return err
		}
	}
	return o.verdict(ctx, w, then)
}

// strike starts an imgflow and strikes it; killed says that it did not come to
// its end.
func (o *outcome) strike(w *world, b blow, args ...string) (killed bool, err error) {
	p, err := w.start(nil, args...)
	if err != nil {
		return false, err
	}
	defer o.loseWorkers(w, p)()
	p.printed(patience, func(lines []string) bool { return len(lines) >= b.Lines })
	select {
	case <-p.ended:
	case <-time.After(b.After):
		p.signal(b.Sig)
	}
	if err := p.wait(patience); err != nil {
		return false, fmt.Errorf("%w; it printed:\n%s", err, indent(p.output()))
	}
	switch code := p.code(); {
	case p.killed():
		o.half = o.half || o.ended(p.output())
		o.tell("%s %s (%.48s)", args[0], b, p.last())
		return true, nil
	case code == 130 && b.Sig == syscall.SIGTERM:
		o.tell("%s %s, suspended", args[0], b)
		return true, nil
	case code == 143 || code == -1 && b.Sig == syscall.SIGTERM: // before it could catch it
		o.tell("%s %s, ended", args[0], b)
		return true, nil
	case code == 0:
		o.tell("%s was faster than %s", args[0], b)
		return false, nil
	case o.excusable(p.output()):
		o.tell("%s failed with %d", args[0], code)
		return false, nil
	case noPlan(p.output()):
		return false, errNoPlan
	default:
		return false, fmt.Errorf("`imgflow %s` ended with exit status %d; it printed:\n%s", strings.Join(args, " "), code, indent(p.output()))
	}
}

// again repeats a command: it is struck as often as the plan has it, and then
// must come to its end.
func (o *outcome) again(ctx context.Context, w *world, args ...string) error {
	for len(o.More) > 0 {
		b := o.More[0]
		o.More = o.More[1:]
		killed, err := o.strike(w, b, args...)
		if err != nil {
			return err
		}
		if args[0] != "destroy" { // which does not wait for them
			if err := o.settle(ctx, w); err != nil {
				return err
			}
		}
		if killed && args[0] == "run" {
			rs, err := w.runs()
			if err != nil {
				return err
			}
			if len(rs) > 0 {
				args = []string{"resume", rs[0].ID}
			}
		}
	}
	for tries := 1; ; tries++ {
		code, output, err := o.do(w, args...)
		switch {
		case err != nil:
			return fmt.Errorf("%w; it printed:\n%s", err, indent(output))
		case code == 0:
			o.tell("%s", args[0])
			return nil
		case noPlan(output):
			return errNoPlan
		case tries < 3 && o.excusable(output):
			o.tell("%s failed with %d", args[0], code)
		default:
			return fmt.Errorf("`imgflow %s` ended with exit status %d; it printed:\n%s", strings.Join(args, " "), code, indent(output))
		}
	}
}

// settle waits until the workers have ended what nobody follows any more. A run whose submitter was
// killed before the server had it stays as it is.
func (o *outcome) settle(ctx context.Context, w *world) error {
	if w.crew == nil {
		return nil
	}
	lost := false
	for begun := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		rs, err := w.runs()
		if err != nil {
			return err
		}
		if len(rs) == 0 {
			return nil
		}
		if rs[0].Status != "running" {
			log, err := w.ok("logs", rs[0].ID)
			o.half = o.half || o.ended(log)
			return err
		}
		if lost {
			o.tell("the server does not have it")
			return nil
		}
		// When the server has it no more, its end is known.
		going, err := w.crew.drives(ctx, rs[0].ID)
		lost = err == nil && !going
		if time.Since(begun) > patience {
			return fmt.Errorf("the workers did not end run %s within %s", rs[0].ID, patience)
		}
	}
}

var errNoPlan = errors.New("the run has no plan")

// noPlan tells whether imgflow says that the run was killed before it began.
func noPlan(output string) bool { return strings.Contains(output, "before it had a plan") }

// ended tells whether imgflow says that a reboot has ended a script.
func (o *outcome) ended(output string) bool {
	return o.Mischief == "reboot" && strings.Contains(output, "the machine rebooted while")
}

// excusable tells whether a failure is the fault of what was done to the
// instance: a script that a reboot has ended is not run again on its own. If
// imgflow was killed before it had removed the machine of that failure, the script
// is tried once more on it, and finds that it has run.
func (o *outcome) excusable(output string) bool {
	if o.ended(output) {
		return true
	}
	half := o.half
	o.half = false
	return half && strings.Contains(output, "exited with status 1")
}

// mischief does something to the instance behind the build's back.
func (o *outcome) mischief(ctx context.Context, w *world) error {
	if o.Mischief == "" || o.Mischief == "reclaim" { // which the embedded EC2 does
		return nil
	}
	inv, err := w.inventory()
	if err != nil {
		return err
	}
	for _, i := range inv.living() {
		switch {
		case o.Mischief == "terminate":
			err = w.terminate(ctx, i.ID)
		case o.Mischief == "reboot" && i.State == "running":
			err = w.reboot(ctx, i.ID)
		default:
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot %s %s: %w", o.Mischief, i.ID, err)
		}
		o.tell("%s %s behind its back", o.Mischief, i.ID)
	}
	return nil
}

// verdict compares what there is with what is wanted.
func (o *outcome) verdict(ctx context.Context, w *world, then string) error {
	if o.Mischief == "" { // what others end may still be ending when the build notices
		if err := w.succession(); err != nil {
			return err
		}
	}
	inv, err := w.atRest()
	if err != nil {
		return err
	}
	if err := w.keepsSecrets(ctx); err != nil {
		return err
	}
	if o.Production != "" {
		return w.productionVerdict(ctx, inv, o, then)
	}
	want := o.results()
	if then != "resume" && then != "run" {
		want = inv.results().within(want)
	}
	if err := inv.wrong(want); err != nil {
		return fmt.Errorf("after %s: %w", then, err)
	}
	if then == "resume" || then == "run" {
		if err := o.finished(ctx, w); err != nil {
			return fmt.Errorf("after %s: %w", then, err)
		}
	}
	if then == "resume" && o.Mischief == "" {
		if err := o.counted(w); err != nil {
			return err
		}
	}
	o.tell("%s", want)
	if want == (results{}) || then == "orphans" {
		return nil
	}
	if err := w.destroyAll(); err != nil {
		return err
	}
	if err := w.holds(0); err != nil {
		return fmt.Errorf("after destroy --artifacts: %w", err)
	}
	return nil
}

// counted tells which lines of the scripts are not in the log exactly once.
func (o *outcome) counted(w *world) error {
	log, err := w.ok("logs")
	if err != nil {
		return err
	}
	for _, l := range o.lines() {
		if n := strings.Count(log, l+"\n"); n != 1 {
			return fmt.Errorf("%q stands %d times in the log:\n%s", l, n, indent(log))
		}
	}
	return nil
}

// holds compares the inventory with so many finished images and nothing else.
func (w *world) holds(images int) error {
	inv, err := w.atRest()
	if err != nil {
		return err
	}
	return inv.wrong(results{images: images})
}

func indent(s string) string {
	lines := strings.Split(s, "\n")
	if n := len(lines); n > 120 {
		lines = append(append(lines[:20:20], fmt.Sprintf("... %d lines ...", n-100)), lines[n-80:]...)
	}
	return "    " + strings.Join(lines, "\n    ")
}
