package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/state"
)

func pruneCommand() *cli.Command {
	const which = "What is forgotten"
	return &cli.Command{
		Name: "prune", Usage: "forget old runs that have nothing left to remove", Category: lookGroup,
		Description: `   The records and logs of runs on this machine go; images stay. A run that still has
   something else in the cloud, or that a process drives, is never forgotten.

   imgflow prune --older-than 720h        runs that ended more than 30 days ago
   imgflow prune --keep 100               all but the last 100
   imgflow prune --keep 100 --dry-run     list them, and forget none`,
		Flags: append([]cli.Flag{
			&cli.DurationFlag{Name: "older-than", Usage: "runs that ended before this `AGE`, such as 48h", Category: which},
			&cli.IntFlag{Name: "keep", Usage: "runs other than the last `N`", Category: which},
			&cli.BoolFlag{Name: "dry-run", Usage: "list, and forget nothing"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"},
			jsonFlag("print the runs as JSON"),
		}, displayFlags()...),
		Action: prune,
	}
}

func prune(c *cli.Context) (err error) {
	if err := wantArgs(c, 0, 0, ""); err != nil {
		return err
	}
	older, keep := c.Duration("older-than"), c.Int("keep")
	switch {
	case !c.IsSet("older-than") && !c.IsSet("keep"):
		return usagef("cannot choose what to forget: give --older-than, --keep, or both for runs that are in neither")
	case older < 0 || keep < 0:
		return usagef("cannot forget runs by a negative age or number")
	}
	if err := canAgree(c); err != nil {
		return err
	}
	home, err := findHome()
	if err != nil {
		return err
	}
	runs, err := home.Runs() // the newest first
	if err != nil {
		return err
	}
	ls := aside(c)
	defer ls.Close()
	now := time.Now()
	told := render.PrunedJSON{Runs: []render.PrunedRunJSON{}}
	var old []state.Summary
	var bytes int64
	var problems []error
	for i, s := range runs {
		if i < keep || s.Status == state.Running || now.Sub(lastHeard(s)) < older {
			continue
		}
		switch err := home.Prunable(s.ID); {
		case errors.As(err, new(*state.ThingsExistError)), errors.As(err, new(*state.BusyError)):
			ls.Item("stays: %v", err)
			told.Stay = append(told.Stay, err.Error())
		case err != nil:
			problems = append(problems, err)
		default:
			old = append(old, s)
			bytes += home.Size(s.ID)
			told.Runs = append(told.Runs, render.PrunedRunJSON{ID: s.ID, Status: s.Status, Started: s.Started, Template: s.Template})
			ls.Item("%s (%s), begun %s: %s", s.ID, s.Status, s.Started.Local().Format(time.DateTime), s.Template)
		}
	}
	told.Bytes = bytes
	if c.Bool("json") {
		defer func() { err = errors.Join(err, render.Indented(c.App.Writer, told)) }()
	}
	switch {
	case len(old) == 0:
		ls.Say("There is no run to forget.")
		return joined(problems)
	case c.Bool("dry-run"):
		ls.Say("%s would go; nothing was removed.", render.Count(len(old), "run"))
		return joined(problems)
	case !c.Bool("yes"):
		ok, err := confirm(fmt.Sprintf("Forget %s?", render.Count(len(old), "run")))
		if err != nil {
			return err
		}
		if !ok {
			ls.Say("Nothing was removed.")
			return joined(problems)
		}
	}
	gone := 0
	for _, s := range old {
		if err := home.Prune(s.ID); err != nil {
			problems = append(problems, err)
			continue
		}
		gone++
	}
	told.Removed = gone == len(old)
	if err := home.Sweep(); err != nil {
		problems = append(problems, fmt.Errorf("cannot remove the files of runs: %w", err))
	}
	ls.Say("Forgot %s (%s).", render.Count(gone, "run"), render.Bytes(bytes))
	return joined(problems)
}

// lastHeard is when a run ended or, if its process died, last gave a sign.
func lastHeard(s state.Summary) time.Time {
	switch {
	case !s.Ended.IsZero():
		return s.Ended
	case !s.Updated.IsZero():
		return s.Updated
	}
	return s.Started
}
