package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/state"
)

// destroyOrphans removes what carries imgflow's tags and nobody uses, in the
// account of the environment or in the embedded EC2 of local runs. Without a home,
// which may be nil, nothing is known of runs on this machine but their leases.
func destroyOrphans(c *cli.Context, home *state.Home) (err error) {
	s := application().New(home, app.Request{Local: c.Bool("local")})
	defer s.Close()
	var older *time.Duration
	if c.IsSet("older-than") {
		d := c.Duration("older-than")
		older = &d
	}
	ls := aside(c)
	defer ls.Close()
	in := catchInterrupts(context.Background(), func(sig os.Signal) {
		ls.Warn("Interrupted (%s): repeat the command to go on.", sig)
	}, func() { os.Exit(exitInterrupt) })
	defer in.stop()

	found, err := s.Orphans(in.context(), commaList(c.StringSlice("region")), older)
	if in.context().Err() != nil {
		return &exitError{code: exitInterrupt}
	}
	var problems []error
	if errors.As(err, new(*app.UsageError)) {
		return err
	}
	if err != nil {
		problems = append(problems, err)
	}
	told := render.DestroyedJSON{Orphans: render.NewOrphans(found)}
	if c.Bool("json") {
		defer func() { err = errors.Join(err, render.Indented(c.App.Writer, told)) }()
	}
	if len(found) == 0 {
		if err == nil {
			ls.Say("No orphans.")
		}
		return joined(problems)
	}
	ls.Say("Not in use by any run:")
	for _, o := range found {
		ls.Item("%s", render.Orphan(o))
	}
	if c.Bool("dry-run") || !c.Bool("yes") && !agreed(len(found)) {
		ls.Say("Nothing was removed.")
		return joined(problems)
	}
	for _, o := range found {
		ls.Say("Removing %s", render.Orphan(o))
		if err := o.Remove(in.context()); err != nil {
			if in.context().Err() != nil {
				return &exitError{code: exitInterrupt, err: errors.New("not all orphans are removed: repeat the command")}
			}
			problems = append(problems, errcode.With(errcode.NotRemoved, fmt.Errorf("cannot remove %s: %w", render.Orphan(o), err)))
		}
	}
	told.Removed = len(problems) == 0
	if len(problems) == 0 {
		ls.Say("All of them are removed.")
	}
	return joined(problems)
}
