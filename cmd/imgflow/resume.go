package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/cmd/imgflow/internal/drive"
	"github.com/imgflow/imgflow/cmd/imgflow/internal/local"
	"github.com/imgflow/imgflow/cmd/imgflow/internal/render"
	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

func resumeCommand() *cli.Command {
	const how = "What is done again"
	return &cli.Command{
		Name: "resume", Usage: "go on with a run that was interrupted or failed", ArgsUsage: "[RUN]", Category: buildGroup,
		Description: `   RUN is a run's id or the beginning of it; without it, it is the run that is
   unfinished. The run goes on where it was, on the same machine if that still lives.

   When the template or a script has changed since, imgflow says what that means
   before it acts: a step that failed or never ran simply runs in its new form; a
   change to something that the machine already has makes the machine anew.

   imgflow resume                        the unfinished run
   imgflow resume RUN --frozen           as the template was when the run began
   imgflow resume RUN --from shell-2     run the step shell-2 again, and all after it`,
		Flags: slices.Concat(
			[]cli.Flag{
				&cli.BoolFlag{Name: "frozen", Usage: "do not look at the template again", Category: how},
				&cli.BoolFlag{Name: "fresh", Usage: "remove the machines and make them anew", Category: how},
				&cli.StringFlag{Name: "from", Usage: "run this `STEP`, or BUILD/STEP, again, and all after it", Category: how},
			},
			variableFlags(), policyFlags(), driveFlags(),
		),
		Action: resume,
	}
}

func resume(c *cli.Context) error {
	if err := wantArgs(c, 0, 1, "one run"); err != nil {
		return err
	}
	pol, err := newPolicy(c)
	if err != nil {
		return err
	}
	home, err := openHome()
	if err != nil {
		return err
	}
	sum, err := unfinishedRun(home, c.Args().First(), "resume")
	if err != nil {
		return err
	}
	s, err := takeRun(home, sum.ID)
	if err != nil {
		return err
	}
	defer s.close()
	switch s.run.Summary().Status {
	case state.Done:
		fmt.Fprintf(c.App.Writer, "Run %s is finished: there is nothing to resume.\n", sum.ID)
		return nil
	case state.Destroyed:
		return usagef("cannot resume run %s: it was destroyed; `imgflow run %s` begins anew", sum.ID, s.req.Template)
	}
	if err := s.req.addVars(c); err != nil {
		return err
	}
	if c.IsSet("parallel-builds") {
		s.req.Parallel = c.Int("parallel-builds")
	}
	old, err := s.run.Graph()
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot resume run %s: it was interrupted before it had a plan and has made nothing; run the template again", sum.ID)
	}
	if err != nil {
		return err
	}
	out := c.App.Writer
	if c.Bool("json") {
		out = c.App.ErrWriter
	}
	ls := lines(c, out)
	if err := s.renew(ls, old, c.Bool("frozen")); err != nil {
		return err
	}
	if err := s.reach(context.Background(), local.Settings{}); err != nil {
		return err
	}
	if c.Bool("fresh") {
		if err := s.fresh(ls); err != nil {
			return err
		}
	}
	if step := c.String("from"); step != "" {
		if err := s.rerun(step); err != nil {
			return err
		}
	}
	return s.drive(c, pol)
}

// unfinishedRun finds the run of an id, or the one that is unfinished. Those
// that were suspended or interrupted come before those that failed.
func unfinishedRun(home *state.Home, id, verb string) (state.Summary, error) {
	if id != "" {
		return chosenRun(home, id)
	}
	runs, err := home.Runs()
	if err != nil {
		return state.Summary{}, err
	}
	var held, failed []state.Summary
	for _, r := range runs {
		switch {
		case r.Status == state.Suspended || r.Status == state.Interrupted:
			held = append(held, r)
		case unfinished(r):
			failed = append(failed, r)
		}
	}
	if len(held) == 0 {
		held = failed
	}
	switch len(held) {
	case 0:
		for _, r := range runs {
			if r.Status == state.Running {
				return state.Summary{}, &state.BusyError{Run: r.ID, Owner: r.Owner}
			}
		}
		return state.Summary{}, usagef("cannot %s: no run is unfinished; `imgflow list` shows all", verb)
	case 1:
		return held[0], nil
	}
	var b strings.Builder
	render.Runs(&b, held, time.Now())
	return state.Summary{}, usagef("cannot choose what to %s: several runs are unfinished; name one:\n%s", verb, b.String())
}

// takeRun opens a run to drive it, with the request that it was made by.
func takeRun(home *state.Home, id string) (*session, error) {
	run, err := home.Open(id)
	if err != nil {
		return nil, err
	}
	req := &request{}
	if err := run.Doc(requestDoc, req); err != nil && !errors.Is(err, fs.ErrNotExist) {
		run.Close()
		return nil, err
	}
	if sum := run.Summary(); req.Template == "" { // interrupted before it was stored
		req.Template, req.Local, req.Endpoint = sum.Template, sum.Local, sum.Endpoint
	}
	return newSession(home, req, run), nil
}

// renew evaluates the template again, and says what has changed since the run
// was stored and what that means. When the template is not to be looked at, or
// is not there any more, the stored graph stands.
func (s *session) renew(ls *render.Lines, old *dag.Graph, frozen bool) error {
	s.graph = old
	switch _, err := os.Stat(s.req.Template); {
	case frozen:
		return s.frozen()
	case s.req.Template == "-":
		ls.Say("The template came from standard input: the run goes on as it was stored.")
		return s.frozen()
	case errors.Is(err, fs.ErrNotExist):
		ls.Warn("%s is not there any more: the run goes on as it was stored.", s.req.Template)
		return s.frozen()
	}
	if missing := s.missing(); len(missing) > 0 {
		if !s.req.Local {
			return usagef("cannot resume run %s: secret values are not stored; give them again: %s", s.run.ID(), missing)
		}
		ls.Warn("The template is not read again, since secret values are not stored (%s): the run goes on as it was stored.", missing)
		return s.frozen()
	}
	err := s.load(true, s.salt)
	s.warn(ls)
	if err != nil {
		return fmt.Errorf("%w\n\nCorrect it, or go on as the run was stored: imgflow resume %s --frozen", err, s.run.ID())
	}
	s.hide()
	if list := changes(old, s.graph); len(list) > 0 {
		ls.Warn("The template has changed since:")
		for _, l := range list {
			ls.Item("%s", l)
		}
		if err := s.foretell(ls); err != nil {
			return err
		}
	}
	return s.store()
}

// frozen keeps the stored graph, and takes only secrets and accounts from the
// template, where it can still be evaluated.
func (s *session) frozen() error {
	stored := s.graph
	if _, err := os.Stat(s.req.Template); err == nil && s.missing() == "" {
		if s.load(true, s.salt) != nil {
			s.tmpl, s.ev = nil, nil
		}
	} else if missing := s.missing(); missing != "" && !s.req.Local {
		return usagef("cannot resume run %s: secret values are not stored; give them again: %s", s.run.ID(), missing)
	}
	s.graph = stored
	s.hide()
	return nil
}

// missing names the variables whose values were withheld and not given again.
func (s *session) missing() string {
	var flags []string
	for _, name := range s.req.Withheld {
		if _, ok := s.req.Vars[name]; !ok {
			flags = append(flags, "-var "+name+"=...")
		}
	}
	return strings.Join(flags, " ")
}

// foretell says what going on with the session's graph will do.
func (s *session) foretell(ls *render.Lines) error {
	e, err := drive.Engine(s.driveOptions(nil))
	if err != nil {
		return err
	}
	p, err := e.Plan(s.graph)
	if err != nil {
		return err
	}
	for _, rb := range p.Rebuilds {
		ls.Warn("%s is removed and made again: %s.", thingName(rb.Record), rb.Why)
	}
	var todo []string
	for _, st := range p.Steps {
		if st.Action != dag.Have {
			todo = append(todo, st.Node.Name)
		}
	}
	if len(todo) == 0 {
		ls.Say("Nothing has to run again.")
		return nil
	}
	ls.Say("To run: %s.", strings.Join(todo, ", "))
	return nil
}

// thingName is what a record's thing is called.
func thingName(r dag.Record) string {
	if r.Label != "" {
		return r.Label
	}
	return r.Name
}

// fresh removes everything that is not kept, so that it is made anew.
func (s *session) fresh(ls *render.Lines) error {
	left, err := drive.Destroy(context.Background(), dag.Unkept, s.driveOptions(ls.Event))
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("cannot make the machines anew: %s could not be removed: %w", left[0].Name, left[0].Err)
	}
	return err
}

// rerun makes a step and all after it run again; the step may be named
// BUILD/STEP.
func (s *session) rerun(step string) error {
	e, err := drive.Engine(s.driveOptions(nil))
	if err != nil {
		return err
	}
	build, name, ok := strings.Cut(step, "/")
	if !ok {
		build, name = "", step
	}
	if err := e.Rerun(s.graph, build, name); err != nil {
		return &exitError{exitUsage, err}
	}
	return nil
}
