package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/state"
)

// warn shows what was found in the session's template that is not wrong.
func warn(ls *render.Lines, s *app.Session) { ls.Warnings(s.Warnings()) }

// somebodyAnswers refuses what needs answers from a person where there is none, before the run begins or goes on.
func somebodyAnswers(c *cli.Context, s *app.Session, where app.Elsewhere) error {
	if s.AsksPerson() && (where.Engine != "" || !asks(c)) {
		return usagef("cannot go through the bastion: with ssh_bastion_interactive somebody has to answer it at the terminal of this program; give ssh_bastion_agent_auth, ssh_bastion_private_key_file or ssh_bastion_password")
	}
	return nil
}

// drive drives the session's run, here or elsewhere, in sight of the user, and says how
// it ended.
func drive(c *cli.Context, s *app.Session, pol policy, where app.Elsewhere) error {
	if pol.progress != "quiet" {
		begun(c, s)
	}
	var sent *away
	var err error
	if where.Engine != "" {
		sent, err = sendTo(c, s, where)
	} else {
		err = s.Verify(context.Background())
	}
	if err != nil {
		return err
	}
	suspend := make(chan struct{}, 1)
	v, err := newViewer(c, s, pol.progress, func() { suspend <- struct{}{} })
	if err != nil {
		return err
	}
	defer v.close()
	if v.display != nil {
		defer obeyShell(v.display)()
	}
	ls := v.ls
	if sent != nil {
		sent.ls = ls
	}
	in := catchInterrupts(context.Background(), func(sig os.Signal) {
		if sent == nil || !asks(c) {
			ls.Warn("Interrupted (%s): no new step begins; calls in flight come to their checkpoint. A second interrupt exits at once.", sig)
		}
	}, func() {
		v.hasten()
		if sent != nil {
			sent.sayLeft(ls)
		} else {
			sayNext(ls, s)
		}
		os.Exit(exitInterrupt)
	})
	defer in.stop()
	go func() {
		select {
		case <-suspend:
			in.suspend(typed("q"))
		case <-in.done:
		}
	}()

	job := jobOf(c.App)
	defer job.Close()
	o := app.RunOptions{Show: job.Watch(len(s.Builds()), v.show)}
	tty := &terminal{ls: ls, aside: v.aside}
	if asks(c) {
		s.Ask(tty.prompt)
	}
	switch pol.onError {
	case "suspend":
		o.OnFailure = func(context.Context, dag.Node, error) dag.Decision { return dag.Suspend }
	case "run-cleanup-provisioner":
		o.OnFailure = func(context.Context, dag.Node, error) dag.Decision { return dag.Guards }
	case "ask":
		o.OnFailure = tty.onFailure(func(ctx context.Context, build string) error { return shell(ctx, s, build, nil, "none") })
	}
	switch {
	case pol.debug:
		o.Parallel, o.BeforeStep = 1, tty.pause()
	case asks(c):
		o.BeforeStep = tty.breakpoint()
	default:
		o.BeforeStep = func(_ context.Context, n dag.Node) {
			if n.Kind == breakpointKind {
				ls.Warn("%s: going on past %s: nobody is at a terminal", strings.Join(n.Builds, ", "), n.Name)
			}
		}
	}
	began := time.Now()
	var res *app.Result
	if sent != nil {
		defer sent.fleet.Close()
		res, err = sent.run(in, o.Show, tty)
	} else {
		res, err = s.Run(in.context(), o)
	}
	if errors.Is(err, errDetached) {
		return err
	}
	interrupted := in.context().Err() != nil
	if err != nil && (!interrupted || res == nil) {
		sayNext(ls, s)
		return err
	}
	var home error
	if sent != nil {
		home = bringHome(context.Background(), ls, s, "")
	}
	if interrupted && pol.onInterrupt == "cleanup" {
		in.noHurry()
		remove := s.Remove
		if sent != nil {
			remove = sent.remove
		}
		return cleanUp(ls, s, remove, v.show)
	}
	sumUp(c, v, s, res, time.Since(began))
	if err := resultsInCI(job, s, v, res, time.Since(began)); err != nil {
		ls.Warn("cannot tell the server of CI how the run has ended: %v", err)
	}
	if m := machine(c); m != nil {
		failed := map[string]string{}
		for _, f := range res.Failed {
			for _, b := range f.Node.Builds {
				failed[b] = s.Redact(f.Err.Error())
			}
		}
		resultsForMachines(m, res.Summary, failed)
	}
	if err := outcome(res, interrupted, s.Redact); err != nil {
		return errors.Join(err, home)
	}
	return home
}

// begun says which run this is, before anybody is asked who may be slow to answer.
func begun(c *cli.Context, s *app.Session) {
	out := c.App.Writer
	if c.Bool("json") {
		out = c.App.ErrWriter
	}
	ls := lines(c, out)
	for _, text := range telemetryWarnings() {
		ls.Warn("Tracing: %s", text)
	}
	ls.Say("Run %s: %s", s.Summary().ID, strings.Join(s.Builds(), ", "))
	if limits := s.Limits(); limits != "" {
		ls.Plain("Note: %s", limits)
	}
}

// sumUp says how the run has ended: what failed, what was made and what it took, what
// is still there, and what to do next.
func sumUp(c *cli.Context, v *viewer, s *app.Session, res *app.Result, took time.Duration) {
	ls := v.ls
	ls.Failures(res, s.Redact)
	if machines, err := s.Machines(""); err == nil && len(machines) == 0 && len(res.Stayed) > 0 {
		ls.Warn("To look at a machine of it: %s, and when the test has failed, %s", self.Command("resume -on-error=suspend", res.Summary.ID), self.Command("shell", res.Summary.ID))
	}
	ls.Images(res.Summary, took)
	if !asPacker(c) { // whose scripts read the last lines
		ls.Closing(v.view)
	}
	if costs := costOfSession(s); costs != "" && !asPacker(c) {
		ls.Say("Cost: %s.", costs)
	}
	if things, err := s.Things(false); err == nil {
		ls.Standing(things)
	}
	if res.Summary.Status != state.Done {
		sayNext(ls, s)
	}
}

// outcome is the exit status of a run, with an error that people have been told.
func outcome(res *app.Result, interrupted bool, redact func(string) string) error {
	some := slices.ContainsFunc(res.Summary.Builds, func(b state.BuildSummary) bool { return b.Status == state.Done })
	exit := &exitError{code: exitFailed, said: true}
	switch {
	case interrupted && res.Summary.Status != state.Done:
		exit.code = exitInterrupt
	case res.Summary.Status == state.Done:
		return nil
	case some:
		exit.code = exitPartial
	}
	id := res.Summary.ID
	switch {
	case len(res.Failed) > 0:
		f := res.Failed[0]
		exit.err = fmt.Errorf("cannot finish run %s: %s: %s: %s", id, strings.Join(f.Node.Builds, ", "), f.Node.Name, redact(f.Err.Error()))
		exit.err = errcode.With(errcode.Of(f.Err), exit.err)
	case len(res.Left) > 0:
		f := res.Left[0]
		exit.err = errcode.With(errcode.NotRemoved, fmt.Errorf("cannot remove all of run %s: %s: %s", id, f.Name, redact(f.Err.Error())))
	default:
		exit.err = fmt.Errorf("run %s is %s", id, res.Summary.Status)
	}
	return exit
}

// sayNext shows the commands that go on with the session's run.
func sayNext(ls *render.Lines, s *app.Session) {
	things, err := s.Things(false)
	machines, _ := s.Machines("")
	ls.Next(s.Summary().ID, s.Withheld(), err != nil || len(things) > 0, len(machines) > 0)
}

// removal removes things of a run, here or elsewhere, and returns what is left.
type removal func(ctx context.Context, things []dag.Record, show func(dag.Event)) (left []dag.Failure, err error)

// cleanUp removes what an interrupted run has made.
func cleanUp(ls *render.Lines, s *app.Session, remove removal, show func(dag.Event)) error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupPatience)
	defer cancel()
	id := s.Summary().ID
	ls.Warn("Removing what run %s has made.", id)
	var left []dag.Failure
	things, err := s.Things(false)
	if err == nil {
		left, err = remove(ctx, things, show)
	}
	if err == nil && len(left) == 0 {
		return &exitError{code: exitInterrupt}
	}
	for _, f := range left {
		ls.Wrong("Could not remove %s: %v", f.Name, f.Err)
	}
	sayNext(ls, s)
	if err == nil {
		err = errcode.With(errcode.NotRemoved, fmt.Errorf("cannot remove all that run %s has made", id))
	}
	return &exitError{code: exitInterrupt, err: err}
}

// cleanupPatience bounds the cleanup after an interrupt: whoever interrupts a
// build in a pipeline kills it in the end.
const cleanupPatience = 10 * time.Minute
