package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/self"
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
			variableFlags(), []cli.Flag{enforceFlag(), scanFlag()}, policyFlags(), fleetFlags(), driveFlags(),
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
	job, err := inCI(c)
	if err != nil {
		return err
	}
	home, err := openHome()
	if err != nil {
		return err
	}
	id, err := unfinishedRun(home, c.Args().First(), "resume")
	if err != nil {
		return err
	}
	s, err := openRun(c.Context, home, id, func() bool { return false })
	if err != nil {
		return err
	}
	defer s.Close()
	where, err := onFleet(c, pol)
	if err != nil {
		return err
	}
	if where.Engine == "" {
		where = s.Elsewhere()
		where.OnError = pol.onError
	}
	switch s.Summary().Status {
	case state.Done:
		fmt.Fprintf(c.App.Writer, "Run %s is finished: there is nothing to resume.\n", id)
		return nil
	case state.Destroyed:
		return usagef("cannot resume run %s: it was destroyed; `%s` begins anew", id, self.Command("run", s.Request().Template))
	}
	if err := giveVariables(c, s); err != nil {
		return err
	}
	s.Enforce(c.StringSlice("enforce"))
	if c.Bool("scan-image") {
		s.Scan()
	}
	if c.IsSet("parallel-builds") {
		s.Limit(c.Int("parallel-builds"))
	}
	out := c.App.Writer
	if c.Bool("json") {
		out = c.App.ErrWriter
	}
	ls := lines(c, out)
	news, err := s.Renew(c.Context, c.Bool("frozen"))
	warn(ls, s)
	job.Faults("warning", s.Warnings())
	ls.News(s.Request().Template, news)
	if err != nil {
		return err
	}
	if err := somebodyAnswers(c, s, where); err != nil {
		return err
	}
	if err := s.Reach(context.Background(), local.Settings{}); err != nil {
		return err
	}
	if c.Bool("fresh") {
		if err := s.Fresh(context.Background(), ls.Event); err != nil {
			return err
		}
	}
	if step := c.String("from"); step != "" {
		if err := s.Rerun(c.Context, step); err != nil {
			return err
		}
	}
	return drive(c, s, pol, where)
}

// unfinishedRun finds the run of an id, or the one that is unfinished. Those
// that were suspended or interrupted come before those that failed. One that is named
// may have no summary yet: its records say more than that.
func unfinishedRun(home *state.Home, id, verb string) (string, error) {
	if id != "" {
		id, err := home.Resolve(id)
		if err != nil {
			return "", &exitError{code: exitUsage, err: err}
		}
		return id, nil
	}
	runs, err := home.Runs()
	if err != nil {
		return "", err
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
				return r.ID, nil // whoever opens it is told who drives it, if that process still lives
			}
		}
		return "", usagef("cannot %s: no run is unfinished; `%s` shows all", verb, self.Command("list"))
	case 1:
		return held[0].ID, nil
	}
	var b strings.Builder
	render.Runs(&b, held, time.Now())
	return "", usagef("cannot choose what to %s: several runs are unfinished; name one:\n%s", verb, b.String())
}
