package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/state"
)

func suspendCommand() *cli.Command {
	return &cli.Command{
		Name: "suspend", Usage: "have workers stop building a run, and keep what they have made", ArgsUsage: "[RUN]", Category: buildGroup,
		Description: `   RUN is a run's id or the beginning of it; without it, it is the one that workers build.
   The command ends when nothing of the run is under way any more. A run that a process
   drives is suspended where it was begun, by Ctrl-C.

   imgflow suspend RUN
   imgflow resume RUN         go on with it`,
		Flags:  []cli.Flag{colorFlag()},
		Action: suspend,
	}
}

func suspend(c *cli.Context) error {
	if err := wantArgs(c, 0, 1, "one run"); err != nil {
		return err
	}
	home, err := openHome()
	if err != nil {
		return err
	}
	id, err := runUnderWay(home, c.Args().First())
	if err != nil {
		return err
	}
	stopped := false
	s, err := openRun(c.Context, home, id, func() bool { stopped = true; return true })
	if err != nil {
		return err
	}
	defer s.Close()
	ls := lines(c, c.App.Writer)
	if !stopped {
		ls.Say("Run %s is not under way.", id)
		if s.Summary().Status != state.Done {
			sayNext(ls, s)
		}
		return nil
	}
	switch s.Summary().Status {
	case state.Done:
		ls.Say("Run %s has come to its end before it was suspended.", id)
	default:
		ls.Say("Run %s is suspended.", id)
		sayNext(ls, s)
	}
	return nil
}

// runUnderWay finds the run of an id, or the one that workers build.
func runUnderWay(home *state.Home, id string) (string, error) {
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
	var away []string
	for _, r := range runs {
		if r.Status == state.Running && r.Owner.PID == 0 {
			away = append(away, r.ID)
		}
	}
	if len(away) != 1 {
		return "", usagef("cannot choose what to suspend: workers build %d runs; `%s` shows them, name one", len(away), self.Command("list"))
	}
	return away[0], nil
}
