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
	"github.com/imgflow/imgflow/internal/runview"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/state"
)

func destroyCommand() *cli.Command {
	const which = "What is removed"
	return &cli.Command{
		Name: "destroy", Usage: "remove what runs have made", ArgsUsage: "[RUN...]", Category: buildGroup,
		Description: `   Without a RUN it is the run that is unfinished. What is to be removed is listed
   first; on a terminal imgflow asks, elsewhere it wants --yes. Images and snapshots of
   finished builds stay unless --artifacts is given. An error stops nothing else, and
   the command can be repeated, also after it was killed.

   imgflow destroy RUN                             all but finished images
   imgflow destroy --all --older-than 24h --yes    whatever was forgotten
   imgflow destroy --orphans --region us-east-1    by tags alone, without local state`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "every run that no process is driving", Category: which},
			&cli.DurationFlag{Name: "older-than", Usage: "only runs that began before this `AGE`, such as 2h; with --orphans also what is still in use, if it is older", Category: which},
			&cli.BoolFlag{Name: "artifacts", Usage: "images and snapshots, too", Category: which},
			&cli.BoolFlag{Name: "orphans", Usage: "whatever carries imgflow's tags and is not in use, without local state", Category: which},
			&cli.StringSliceFlag{Name: "region", Usage: "look for orphans in this `REGION`; may be repeated", Category: which},
			&cli.BoolFlag{Name: "local", Usage: "look for orphans in the embedded EC2 of local runs", Category: which},
			&cli.BoolFlag{Name: "dry-run", Usage: "list, and remove nothing"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"},
			jsonFlag("print what is removed as JSON"),
		}, append(variableFlags(), displayFlags()...)...),
		Action: destroy,
	}
}

// doomed is a run with what is to be removed of it.
type doomed struct {
	*app.Session
	things []dag.Record
}

func destroy(c *cli.Context) (err error) {
	home, err := findHome() // a full disk is no reason to leave anything standing
	if c.Bool("orphans") {
		if c.Args().Len() > 0 || c.Bool("all") || c.Bool("artifacts") {
			return usagef("cannot look for orphans and for runs at once: --orphans takes --older-than, --region and --local")
		}
		if err := canAgree(c); err != nil {
			return err
		}
		return destroyOrphans(c, home)
	}
	if err != nil {
		return err
	}
	for _, f := range []string{"region", "local"} {
		if c.IsSet(f) {
			return usagef("cannot use --%s without --orphans: a run knows where it was made", f)
		}
	}
	ids, err := doomedRuns(c, home)
	if err != nil {
		return err
	}
	if err := canAgree(c); err != nil {
		return err
	}
	ls := aside(c)
	defer ls.Close()
	var runs []doomed
	defer func() {
		for _, d := range runs {
			d.Close()
		}
	}()
	var problems []error
	for _, id := range ids {
		s, err := openRun(c.Context, home, id, func() bool {
			yes := c.Bool("yes") && !c.Bool("dry-run")
			if !yes && canAsk() {
				yes, _ = confirm(fmt.Sprintf("Workers are building run %s. Suspend it?", id))
			}
			return yes
		})
		if err != nil {
			problems = append(problems, err)
			continue
		}
		d := doomed{Session: s}
		runs = append(runs, d)
		if err := giveVariables(c, s); err != nil {
			return err
		}
		if d.things, err = s.Things(c.Bool("artifacts")); err != nil {
			problems = append(problems, fmt.Errorf("cannot destroy run %s: %w", id, err))
			continue
		}
		runs[len(runs)-1] = d
	}
	total := 0
	told := render.DestroyedJSON{}
	for _, d := range runs {
		total += len(d.things)
		ls.Things(d.Summary(), d.things)
		told.Runs = append(told.Runs, render.DestroyedRunJSON{ID: d.Summary().ID, Status: d.Summary().Status, Things: render.NewThings(d.things)})
	}
	if c.Bool("json") {
		defer func() { err = errors.Join(err, render.Indented(c.App.Writer, told)) }()
	}
	if total == 0 && c.Bool("dry-run") {
		return joined(problems) // all has been said
	}
	if total > 0 && (c.Bool("dry-run") || !c.Bool("yes") && !agreed(total)) {
		ls.Say("Nothing was removed.")
		return joined(problems)
	}
	for _, d := range runs {
		if err := d.remove(c, ls); err != nil {
			problems = append(problems, err)
			if interrupted(err) {
				break
			}
		}
	}
	told.Removed = len(problems) == 0 && !c.Bool("dry-run")
	return joined(problems)
}

// aside is the display for people: where programs read, it goes to standard error.
func aside(c *cli.Context) *render.Lines {
	if c.Bool("json") {
		return lines(c, c.App.ErrWriter)
	}
	return lines(c, c.App.Writer)
}

// canAgree tells whether anybody has agreed to a removal, or can be asked.
func canAgree(c *cli.Context) error {
	if c.Bool("yes") || c.Bool("dry-run") || canAsk() {
		return nil
	}
	return usagef("cannot %s without asking, and there is no terminal to ask at: give --yes, or --dry-run to see what there is", c.Command.Name)
}

func agreed(n int) bool {
	what := "these things"
	if n == 1 {
		what = "it"
	}
	ok, err := confirm(fmt.Sprintf("Remove %s?", what))
	return ok && err == nil
}

// joined is one error of all problems. An interrupt among them decides the exit
// status: it is no failure.
func joined(problems []error) error {
	if len(problems) == 0 {
		return nil
	}
	code := exitFailed
	if slices.ContainsFunc(problems, interrupted) {
		code = exitInterrupt
	}
	return &exitError{code: code, err: errors.Join(problems...)}
}

func interrupted(err error) bool {
	var exit *exitError
	return errors.As(err, &exit) && exit.code == exitInterrupt
}

// doomedRuns are the runs that the command line chooses.
func doomedRuns(c *cli.Context, home *state.Home) (ids []string, err error) {
	older := c.Duration("older-than")
	fits := func(s state.Summary) bool { return time.Since(s.Started) >= older }
	switch {
	case c.Args().Len() > 0 && c.Bool("all"):
		return nil, usagef("cannot destroy all runs and some of them at once: leave --all or the runs out")
	case c.Args().Len() > 0:
		for _, arg := range c.Args().Slice() {
			id, err := home.Resolve(arg)
			if err != nil {
				return nil, &exitError{code: exitUsage, err: err}
			}
			ids = append(ids, id)
		}
		return slices.Compact(ids), nil
	case c.Bool("all") || older > 0:
		runs, err := home.Runs()
		if err != nil {
			return nil, err
		}
		for _, s := range runs {
			if fits(s) && app.Removable(s, c.Bool("artifacts")) {
				ids = append(ids, s.ID)
			}
		}
		return ids, nil
	}
	id, err := unfinishedRun(home, "", "destroy")
	return []string{id}, err
}

// viewOf is a view of a run that has made some things, and nothing else.
func viewOf(things []dag.Record) *runview.View {
	v, now := runview.New(), time.Now()
	v.Apply(dag.Event{Type: dag.RunBegun, Time: now})
	for _, r := range things {
		v.Apply(dag.Event{Type: dag.Planned, Time: now, Key: r.Key.String(), Step: r.Name, Kind: r.Kind, Builds: r.Builds})
		v.Apply(dag.Event{Type: dag.Finished, Time: now, Key: r.Key.String(), Text: r.Label})
	}
	return v
}

// remove removes the run's things and says which are left.
func (d doomed) remove(c *cli.Context, ls *render.Lines) error {
	id := d.Summary().ID
	ls, show, done := framed(c, ls, d.Builds(), viewOf(d.things), true)
	defer done()
	in := catchInterrupts(context.Background(), func(sig os.Signal) {
		ls.Warn("Interrupted (%s): repeat the command to go on.", sig)
	}, func() {
		done()
		ls.Close()
		os.Exit(exitInterrupt)
	})
	defer in.stop()
	remove := d.Remove
	if where := d.Elsewhere(); where.Engine != "" && len(d.things) > 0 {
		sent, err := sendTo(c, d.Session, where)
		if err != nil {
			return err
		}
		defer sent.fleet.Close()
		sent.ls = ls
		remove = sent.remove
	}
	left, err := remove(in.context(), d.things, show)
	if err == nil && d.Elsewhere().Engine != "" {
		err = d.Unbring(in.context())
	}
	if in.context().Err() != nil {
		return &exitError{code: exitInterrupt, err: fmt.Errorf("run %s is not wholly destroyed: repeat `%s`", id, self.Command("destroy", id))}
	}
	if len(left) == 0 && errors.As(err, new(*state.WriteError)) {
		return fmt.Errorf("run %s: all of it is removed, but this cannot be written down: %w", id, err)
	}
	if err != nil && !errors.As(err, new(*state.WriteError)) {
		return fmt.Errorf("cannot destroy run %s: %w", id, err)
	}
	if len(left) == 0 {
		if len(d.things) > 0 {
			ls.Say("Run %s: all of it is removed.", id)
		}
		return nil
	}
	var b strings.Builder
	for _, f := range left {
		fmt.Fprintf(&b, "\n  %s: %s", f.Name, d.Redact(f.Err.Error()))
	}
	return errcode.With(errcode.NotRemoved, fmt.Errorf("cannot remove all of run %s; repeat `%s` when the cause is mended:%s", id, self.Command("destroy", id), b.String()))
}
