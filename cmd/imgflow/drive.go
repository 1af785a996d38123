package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/cmd/imgflow/internal/drive"
	"github.com/imgflow/imgflow/cmd/imgflow/internal/render"
	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

// drive solves the session's graph in sight of the user, and says how it ended.
func (s *session) drive(c *cli.Context, pol policy) error {
	ls := lines(c, c.App.Writer)
	ls.Builds(s.buildNames())
	show := ls.Event
	if c.Bool("json") {
		show = render.NewJSON(c.App.Writer).Event
		ls = lines(c, c.App.ErrWriter) // what is for people stays out of the JSON
	}
	defer ls.Close()
	ls.Say("Run %s: %s", s.run.ID(), strings.Join(s.buildNames(), ", ")) // before anybody is asked who may be slow to answer
	if s.lease != nil && s.lease.Limits != "" {
		ls.Plain("Note: %s", s.lease.Limits)
	}
	if err := s.recall(context.Background()); err != nil {
		return err
	}

	in := drive.CatchInterrupts(context.Background(), func(sig os.Signal) {
		ls.Warn("Interrupted (%s): no new step begins; calls in flight come to their checkpoint. A second interrupt exits at once.", sig)
	}, func() {
		ls.Close()
		s.sayNext(ls)
		os.Exit(exitInterrupt)
	})
	defer in.Stop()

	o := s.driveOptions(show)
	tty := &terminal{ls: ls}
	switch pol.onError {
	case "suspend":
		o.OnFailure = func(context.Context, dag.Node, error) dag.Decision { return dag.Suspend }
	case "ask":
		o.OnFailure = tty.onFailure(func(ctx context.Context, build string) error { return s.shell(ctx, build, nil) })
	}
	if pol.debug {
		o.Parallel, o.Pause = 1, tty.pause(in.Context())
	}
	began := time.Now()
	res, err := drive.Solve(in.Context(), s.graph, o)
	interrupted := in.Context().Err() != nil
	if err != nil && !interrupted {
		s.sayNext(ls)
		return err
	}
	if interrupted && pol.onInterrupt == "cleanup" {
		in.Settled()
		return s.cleanUp(ls, o)
	}
	s.sayEnd(ls, res, time.Since(began))
	return outcome(res, interrupted)
}

// driveOptions are what driving the run takes, but for the user's wishes.
func (s *session) driveOptions(show func(dag.Event)) drive.Options {
	return drive.Options{
		Run: s.run, Kinds: s.world.kinds(), Secret: s.secret, Show: show, Parallel: s.req.Parallel,
		Beside: s.world.beside(s.run.ID()), Artifacts: artifacts,
	}
}

// outcome is the exit status of a run.
func outcome(res *drive.Result, interrupted bool) error {
	some := slices.ContainsFunc(res.Summary.Builds, func(b state.BuildSummary) bool { return b.Status == state.Done || len(b.Artifacts) > 0 })
	switch {
	case interrupted && res.Summary.Status != state.Done:
		return &exitError{code: exitInterrupt}
	case res.Summary.Status == state.Done:
		return nil
	case some:
		return &exitError{code: exitPartial}
	}
	return &exitError{code: exitFailed}
}

// sayEnd tells what failed, what goes on how, and what was made.
func (s *session) sayEnd(ls *render.Lines, res *drive.Result, took time.Duration) {
	sum := res.Summary
	if len(res.Failed) > 0 {
		ls.Wrong("Failed:")
		for _, f := range res.Failed {
			ls.Item("%s: %s: %s", strings.Join(f.Node.Builds, ", "), f.Node.Name, s.run.Redact().Redact(f.Err.Error()))
		}
	}
	if len(res.Left) > 0 {
		ls.Wrong("Could not be removed:")
		for _, f := range res.Left {
			ls.Item("%s: %s", f.Name, s.run.Redact().Redact(f.Err.Error()))
		}
	}
	if sum.Status == state.Suspended {
		ls.Warn("Run %s is suspended; everything that it made is kept.", sum.ID)
		if len(res.Failed) > 0 {
			ls.Warn("Mend what failed, then resume: it is tried again, and what is done is not.")
		}
	}
	if sum.Status != state.Done {
		s.sayNext(ls)
	}
	made := slices.DeleteFunc(slices.Clone(sum.Builds), func(b state.BuildSummary) bool { return len(b.Artifacts) == 0 })
	switch {
	case len(made) == 0 && sum.Status == state.Done:
		ls.Say("Finished after %s. No image was to be made.", render.Duration(took))
	case len(made) == 0:
	case sum.Status == state.Done:
		ls.Say("Finished after %s. These images were made:", render.Duration(took))
	default:
		ls.Say("These images were made:")
	}
	for _, b := range made {
		ls.Item("%s: %s", b.Name, b.Artifacts[0].Name)
		for _, a := range b.Artifacts {
			ls.Plain("%s", a.Text())
		}
	}
}

// sayNext prints the commands that go on with the run, as they can be typed.
func (s *session) sayNext(ls *render.Lines) {
	more := ""
	for _, name := range s.withheld() {
		more += fmt.Sprintf(" -var %s=...", name)
	}
	ls.Plain("")
	if things, err := s.alive(false); err == nil && len(things) == 0 {
		ls.Plain("Try again:        imgflow resume %s%s", s.run.ID(), more)
	} else {
		ls.Plain("Go on with it:    imgflow resume %s%s", s.run.ID(), more)
		ls.Plain("Remove it all:    imgflow destroy %s%s", s.run.ID(), more)
	}
	ls.Plain("")
}

// withheld are the variables that a resume has to be given again.
func (s *session) withheld() []string {
	if s.req.Local || s.ev == nil {
		return nil
	}
	return s.req.stored(s.tmpl, s.ev).Withheld
}

// cleanUp removes what an interrupted run has made.
func (s *session) cleanUp(ls *render.Lines, o drive.Options) error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupPatience)
	defer cancel()
	ls.Warn("Removing what run %s has made.", s.run.ID())
	left, err := drive.Destroy(ctx, dag.Unkept, o)
	if err == nil && len(left) == 0 {
		return &exitError{code: exitInterrupt}
	}
	for _, f := range left {
		ls.Wrong("Could not remove %s: %v", f.Name, f.Err)
	}
	s.sayNext(ls)
	if err == nil {
		err = fmt.Errorf("cannot remove all that run %s has made", s.run.ID())
	}
	return &exitError{exitInterrupt, err}
}

// cleanupPatience bounds the cleanup after an interrupt: whoever interrupts a
// build in a pipeline kills it in the end.
const cleanupPatience = 10 * time.Minute
