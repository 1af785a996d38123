package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/engine/temporal"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/quote"
	"github.com/imgflow/imgflow/state"
)

// Client is a connection to the engine of a fleet.
type Client struct {
	c   *temporal.Client
	url string
}

// Dial reaches the engine at a URL. Who is calling is said by variables, which getenv looks up.
func Dial(ctx context.Context, url string, getenv func(string) string) (*Client, error) {
	c, err := temporal.Dial(ctx, url, getenv)
	if err != nil {
		return nil, err
	}
	return &Client{c, url}, nil
}

// Close ends the connection.
func (c *Client) Close() { c.c.Close() }

// Submit has a run driven that was packed and left.
func (c *Client) Submit(ctx context.Context, home *state.Home, run string, e app.Elsewhere) error {
	return c.assigned(home, run, e, func(ref temporal.Ref) error {
		s, err := submission(home, run, e)
		if err != nil {
			return err
		}
		return c.c.Submit(ctx, ref, s)
	})
}

// Remove has things of a run removed that was packed and left.
func (c *Client) Remove(ctx context.Context, home *state.Home, run string, e app.Elsewhere, things []dag.Key) error {
	what, err := json.Marshal(things)
	if err != nil {
		return err
	}
	return c.assigned(home, run, e, func(ref temporal.Ref) error {
		s, err := submission(home, run, e)
		if err != nil {
			return err
		}
		return c.c.Undo(ctx, ref, s, what)
	})
}

// submission is what the engine is to know of a run.
func submission(home *state.Home, run string, e app.Elsewhere) (s temporal.Submission, err error) {
	sum, err := home.Summary(run)
	if err != nil {
		return s, err
	}
	s = temporal.Submission{Template: filepath.Base(sum.Template), Team: e.Team, Priority: e.Priority}
	for _, b := range sum.Builds {
		s.Builds = append(s.Builds, b.Name)
	}
	return s, nil
}

// assigned hands a run over, and takes it back if that fails.
func (c *Client) assigned(home *state.Home, run string, e app.Elsewhere, hand func(temporal.Ref) error) error {
	epoch, err := home.Assign(run, state.Owner{Command: e.Engine, Since: time.Now()})
	if err != nil {
		return err
	}
	if err := hand(temporal.Ref{Run: run, Epoch: epoch}); err != nil {
		return errors.Join(err, home.Release(run, epoch))
	}
	return nil
}

// Suspend has no new step of a run begin, and cuts off what is under way.
func (c *Client) Suspend(ctx context.Context, run string) error { return c.c.Suspend(ctx, run) }

// Going tells whether anything of a run is under way.
func (c *Client) Going(ctx context.Context, run string) (bool, error) { return c.c.Open(ctx, run) }

// drives reports whether this engine may be at work on a run: not so if it is said to be, and is
// not. Of a run of another engine nothing is known.
func (c *Client) drives(home *state.Home) func(ctx context.Context, run string) (bool, error) {
	return func(ctx context.Context, run string) (bool, error) {
		sum, err := home.Summary(run)
		if err != nil || sum.Owner.Command != c.url {
			return true, err
		}
		return c.Going(ctx, run)
	}
}

// Watch returns when nothing of a run is under way.
func (c *Client) Watch(ctx context.Context, run string) error { return c.c.Watch(ctx, run) }

// Schedule has runs of a schedule made at its times.
func (c *Client) Schedule(ctx context.Context, s app.Schedule) error {
	return c.c.Schedule(ctx, s.Name, s.Cron, s.Zone, temporal.Submission{Template: filepath.Base(s.Template), Team: s.Team, Priority: s.Priority})
}

// Unschedule ends the times of a schedule.
func (c *Client) Unschedule(ctx context.Context, name string) error { return c.c.Unschedule(ctx, name) }

// Pause lets the times of a schedule pass unused, or has them used again.
func (c *Client) Pause(ctx context.Context, name string, paused bool) error {
	return c.c.Pause(ctx, name, paused)
}

// Trigger makes a time of a schedule of now.
func (c *Client) Trigger(ctx context.Context, name string) error { return c.c.Trigger(ctx, name) }

// Times are the next time of a schedule, and whether it is paused, and known.
func (c *Client) Times(ctx context.Context, name string) (next time.Time, paused, known bool, err error) {
	return c.c.Times(ctx, name)
}

// Work does steps of runs until ctx ends, at most so many at once; 0 lets the engine's
// worker choose. The files of runs are laid out in dir. Runs stay with the version of a deployment, if that has a
// name. Warn hears of what could not even begin, and of a version that new runs do not go to.
func (c *Client) Work(ctx context.Context, a *app.App, home *state.Home, dir string, most int, deployment, version string, warn func(format string, a ...any)) error {
	v := temporal.Version{Deployment: deployment, Build: version}
	if err := v.Check(); err != nil {
		return err
	}
	w := newSessions(a, home, dir)
	w.warn = warn
	w.waits.going = c.drives(home)
	w.tidyAll()
	worker := temporal.NewWorker(c.c, w, most, v)
	var beside sync.WaitGroup
	sweeping, stop := context.WithCancel(context.Background())
	beside.Go(func() { w.sweep(sweeping) })
	working, end := context.WithCancel(ctx)
	if deployment != "" {
		beside.Go(func() { c.tellCurrent(working, v, warn) })
	}
	err := worker.Run(ctx)
	end()
	stop()
	beside.Wait()
	return err
}

// tellCurrent says so if new runs go to another version.
func (c *Client) tellCurrent(ctx context.Context, v temporal.Version, warn func(format string, a ...any)) {
	switch current, err := c.c.Current(ctx, v); {
	case ctx.Err() != nil:
	case err != nil:
		warn("%v", err)
	case current != v.Build:
		warn("New runs go to version %s of the deployment %s. To have them go to this one: temporal worker deployment set-current-version --deployment-name %[2]s --build-id %s", current, v.Deployment, quote.Sh(v.Build))
	}
}
