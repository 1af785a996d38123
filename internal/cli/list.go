package cli

import (
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/state"
)

func listCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list the runs, the newest first", Category: lookGroup,
		Description: `   imgflow list                 what ran and what became of it
   imgflow list --unfinished    what can be resumed or destroyed
   imgflow list --json          an array of runs, for programs`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "unfinished", Usage: "only runs that can be resumed or destroyed"},
			&cli.StringFlag{Name: "schedule", Usage: "only runs that the schedule `NAME` has made", Hidden: extras.Fleet == nil},
			jsonFlag("print an array of runs"),
		},
		Action: listRuns,
	}
}

func listRuns(c *cli.Context) error {
	if err := wantArgs(c, 0, 0, "no arguments"); err != nil {
		return err
	}
	home, err := findHome()
	if err != nil {
		return err
	}
	runs, err := home.Runs()
	if err != nil {
		return err
	}
	if c.Bool("unfinished") {
		runs = slices.DeleteFunc(runs, func(s state.Summary) bool { return !unfinished(s) })
	}
	if name := c.String("schedule"); name != "" {
		runs = slices.DeleteFunc(runs, func(s state.Summary) bool { return s.Schedule != name })
	}
	switch {
	case c.Bool("json"):
		if runs == nil {
			runs = []state.Summary{}
		}
		return render.Indented(c.App.Writer, runs)
	case len(runs) == 0:
		fmt.Fprintf(c.App.Writer, "There are no such runs in %s.\n", home.Place())
	default:
		render.Runs(c.App.Writer, runs, time.Now())
	}
	return nil
}

// unfinished tells whether a resume has something to go on with.
func unfinished(s state.Summary) bool {
	switch s.Status {
	case state.Suspended, state.Interrupted, state.Failed, state.Partial:
		return true
	}
	return false
}
