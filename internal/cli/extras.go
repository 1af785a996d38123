package cli

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/state"
)

// Extras are what a program can do besides what imgflow does. They are handed in, so
// that imgflow links none of it.
type Extras struct {
	// Commands are those of a fleet, FleetCommands. A program that does not have them is
	// lighter.
	Commands func() []*cli.Command
	// OpenState opens the home whose runs are in the database that a URL names, with a
	// directory of this machine for the rest.
	OpenState func(dir, url string) (*state.Home, error)
	// Attend is app.Worker.Attend for workers whose database a URL names.
	Attend func(ctx context.Context, url, engine string, busy func() uint32, told func(self string, there map[string]uint32)) error
	// Workers is how many workers of an engine are there now, by the database that a URL names.
	Workers func(url, engine string) (int, error)
	// Fleet reaches the engine that its URL names, such as temporal://HOST:PORT/NAMESPACE,
	// whose workers do the steps of runs. Who is calling it is said by variables, which getenv looks up. Nil: there is none.
	Fleet func(ctx context.Context, url string, getenv func(string) string) (Fleet, error)
}

// Fleet is an engine whose workers do the steps of runs, which are in a home that all of
// them reach.
type Fleet interface {
	// Name tells the engine from others, as Attend is told it.
	Name() string
	// Submit has a run driven that was packed and left. Epoch is that of the run as the engine
	// has it: Home.Release ends this, and nothing that somebody else has begun since.
	Submit(ctx context.Context, home *state.Home, run string, e app.Elsewhere) (epoch int64, err error)
	// Suspend has no new step of a run begin, and cuts off what is under way: all that
	// exists stays.
	Suspend(ctx context.Context, run string) error
	// Remove has things of a run removed that was packed and left. Epoch is as of Submit.
	Remove(ctx context.Context, home *state.Home, run string, e app.Elsewhere, things []dag.Key) (epoch int64, err error)
	// Going tells whether anything of a run is under way.
	Going(ctx context.Context, run string) (bool, error)
	// Adrift tells whether a run is under way for which no worker decides any more: there is
	// none, or none of the version that has begun it.
	Adrift(ctx context.Context, run string) (bool, error)
	// GiveUp has nothing of such a run under way any more; what it has made stays.
	GiveUp(ctx context.Context, run string) error
	// Watch returns when nothing of a run is under way.
	Watch(ctx context.Context, run string) error
	// Schedule has runs of a schedule made at its times, which replace those that it had.
	Schedule(ctx context.Context, s app.Schedule) error
	// Unschedule ends its times; if it has none, nothing is to be done.
	Unschedule(ctx context.Context, name string) error
	// Pause lets the times of a schedule pass unused, or has them used again.
	Pause(ctx context.Context, name string, paused bool) error
	// Trigger makes a time of the schedule of now.
	Trigger(ctx context.Context, name string) error
	// Times are its next time, zero if there is none, and whether it is paused, and known.
	Times(ctx context.Context, name string) (next time.Time, paused, known bool, err error)
	// Work does steps of runs until ctx ends, and then ends what it has begun.
	Work(ctx context.Context, a *app.App, o app.Worker) error
	// Close ends the connection.
	Close()
}

// extras are those of this program.
var extras Extras

// MainWith is Main for a program that can do more than imgflow.
func MainWith(args []string, x Extras) int {
	extras = x
	return Main(args)
}
