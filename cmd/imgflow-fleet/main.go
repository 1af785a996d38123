// Command imgflow-fleet is imgflow for many machines: it has every command of imgflow,
// and can do besides what takes a database and a workflow engine.
package main

import (
	"context"
	"os"

	"github.com/imgflow/imgflow/internal/app/fleet"
	"github.com/imgflow/imgflow/internal/cli"
	"github.com/imgflow/imgflow/state/postgres"
)

func main() {
	os.Exit(cli.MainWith(os.Args, cli.Extras{Commands: cli.FleetCommands, OpenState: postgres.Open, Attend: postgres.Attend, Workers: postgres.Workers, Fleet: dial}))
}

func dial(ctx context.Context, url string, getenv func(string) string) (cli.Fleet, error) {
	c, err := fleet.Dial(ctx, url, getenv)
	if err != nil {
		return nil, err
	}
	return c, nil
}
