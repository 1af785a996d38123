package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
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

// Name tells the engine from others.
func (c *Client) Name() string { return c.c.Name() }

// Submit has a run driven that was packed and left. Epoch is that of the run as the engine has it.
func (c *Client) Submit(ctx context.Context, home *state.Home, run string, e app.Elsewhere) (epoch int64, err error) {
	return c.assigned(home, run, e, func(ref temporal.Ref) error {
		s, err := submission(home, run, e)
		if err != nil {
			return err
		}
		return c.c.Submit(ctx, ref, s)
	})
}

// Remove has things of a run removed that was packed and left. Epoch is as of Submit.
func (c *Client) Remove(ctx context.Context, home *state.Home, run string, e app.Elsewhere, things []dag.Key) (epoch int64, err error) {
	what, err := json.Marshal(things)
	if err != nil {
		return 0, err
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
func (c *Client) assigned(home *state.Home, run string, e app.Elsewhere, hand func(temporal.Ref) error) (epoch int64, err error) {
	epoch, err = home.Assign(run, state.Owner{Command: e.Engine, Since: time.Now()})
	if err != nil {
		return 0, err
	}
	if err := hand(temporal.Ref{Run: run, Epoch: epoch}); err != nil {
		return 0, errors.Join(err, home.Release(run, epoch))
	}
	return epoch, nil
}

// Suspend has no new step of a run begin, and cuts off what is under way.
func (c *Client) Suspend(ctx context.Context, run string) error { return c.c.Suspend(ctx, run) }

// Going tells whether anything of a run is under way.
func (c *Client) Going(ctx context.Context, run string) (bool, error) { return c.c.Open(ctx, run) }

// Adrift tells whether a run is under way for which no worker decides any more.
func (c *Client) Adrift(ctx context.Context, run string) (bool, error) { return c.c.Adrift(ctx, run) }

// GiveUp has nothing of a run under way any more, whoever was at it. What it has made is in its records.
func (c *Client) GiveUp(ctx context.Context, run string) error { return c.c.GiveUp(ctx, run) }

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

// Work does steps of runs until ctx ends.
func (c *Client) Work(ctx context.Context, a *app.App, o app.Worker) error {
	v := temporal.Version{Deployment: o.Deployment, Build: o.Version}
	if err := v.Check(); err != nil {
		return err
	}
	if o.Warn == nil {
		o.Warn = func(string, ...any) {}
	}
	w := newSessions(a, o.Home, o.Dir)
	w.warn = o.Warn
	w.waits.going = c.drives(o.Home)
	w.tidyAll()
	worker := temporal.NewWorker(c.c, w, o.Most, v)
	w.aside = worker.StepAside
	var beside sync.WaitGroup
	sweeping, stop := context.WithCancel(context.Background())
	beside.Go(func() { w.sweep(sweeping) })
	lost := &strays{home: o.Home, url: c.url, going: c.Going, here: w.has, warn: o.Warn}
	beside.Go(func() { lost.watch(sweeping) })
	working, end := context.WithCancel(ctx)
	l := &levels{worker: worker, sessions: w}
	a.Telemetry.Watch(l.read)
	beside.Go(func() { c.attend(working, worker, o, l) })
	if o.Deployment != "" {
		beside.Go(func() { c.tellCurrent(working, v, o.Warn) })
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

// whole is the part of what AWS grants that the workers of a fleet take: the rest is left to
// whoever else calls that account.
const whole = 0.8

// attend has the worker serve the lanes that are its own among those of the workers that are
// there, and take its part of what is granted there.
func (c *Client) attend(ctx context.Context, worker *temporal.Worker, o app.Worker, l *levels) {
	serve := func(self string, there map[string]uint32) {
		if o.Share != nil {
			o.Share(func(site string) float64 { return whole / float64(1+temporal.Sharing(site, there)) }, worker.Serves)
		}
		if err := worker.Serve(self, there); err != nil {
			o.Warn("%v", err)
		}
	}
	if o.Attend == nil {
		serve("", nil)
		return
	}
	var known map[string]uint32
	told := func(self string, there map[string]uint32) {
		l.heard(len(there))
		if known == nil || !maps.Equal(known, there) {
			known = there
			serve(self, there)
		}
	}
	if err := o.Attend(ctx, c.Name(), worker.Busy, told); err != nil {
		o.Warn("cannot learn which workers there are, so this one calls AWS as if it were alone: %v", err)
		serve("", nil)
	}
}
