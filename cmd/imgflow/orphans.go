package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/cmd/imgflow/internal/drive"
	"github.com/imgflow/imgflow/cmd/imgflow/internal/local"
	"github.com/imgflow/imgflow/state"
)

// destroyOrphans removes what carries imgflow's tags and nobody uses, in the
// account of the environment or in the embedded EC2 of local runs. Without a home,
// which may be nil, nothing is known of runs on this machine but their leases.
func destroyOrphans(c *cli.Context, home *state.Home) error {
	regions := commaList(c.StringSlice("region"))
	if len(regions) == 0 {
		for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
			if r := os.Getenv(name); r != "" {
				regions = []string{r}
				break
			}
		}
	}
	s := newSession(home, &request{Local: c.Bool("local")}, nil)
	defer s.close()
	driven := func(string) bool { return false }
	if home != nil {
		driven = home.Driven
	}
	if s.req.Local {
		if home == nil {
			return usagef("cannot find the embedded EC2 of local runs: set IMGFLOW_HOME to the directory that they were kept in")
		}
		if err := s.reach(context.Background(), local.Settings{}); err != nil {
			return err
		}
		if len(regions) == 0 {
			regions = []string{"us-east-1"}
		}
	}
	if len(regions) == 0 {
		return usagef("cannot look for orphans: no region is known; give --region, or set AWS_REGION")
	}
	var older *time.Duration
	if c.IsSet("older-than") {
		d := c.Duration("older-than")
		older = &d
	}
	ls := lines(c, c.App.Writer)
	defer ls.Close()
	in := drive.CatchInterrupts(context.Background(), func(sig os.Signal) {
		ls.Warn("Interrupted (%s): repeat the command to go on.", sig)
	}, func() { os.Exit(exitInterrupt) })
	defer in.Stop()

	found, err := s.world.orphans(in.Context(), regions, older, driven)
	if in.Context().Err() != nil {
		return &exitError{code: exitInterrupt}
	}
	var problems []error
	if err != nil {
		problems = append(problems, err)
	}
	if len(found) == 0 {
		if err == nil {
			ls.Say("No orphans.")
		}
		return joined(problems)
	}
	ls.Say("Not in use by any run:")
	for _, o := range found {
		ls.Item("%s", o.text)
	}
	if c.Bool("dry-run") || !c.Bool("yes") && !agreed(len(found)) {
		ls.Say("Nothing was removed.")
		return joined(problems)
	}
	for _, o := range found {
		ls.Say("Removing %s", o.text)
		if err := o.remove(in.Context()); err != nil {
			if in.Context().Err() != nil {
				return &exitError{exitInterrupt, errors.New("not all orphans are removed: repeat the command")}
			}
			problems = append(problems, fmt.Errorf("cannot remove %s: %w", o.text, err))
		}
	}
	if len(problems) == 0 {
		ls.Say("All of them are removed.")
	}
	return joined(problems)
}
