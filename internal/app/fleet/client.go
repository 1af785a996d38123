package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/engine/temporal"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/state"
)

// Client is a connection to the engine of a fleet.
type Client struct{ c *temporal.Client }

// Dial reaches the engine at a URL. Who is calling is said by variables, which getenv looks up.
func Dial(ctx context.Context, url string, getenv func(string) string) (*Client, error) {
	c, err := temporal.Dial(ctx, url, getenv)
	if err != nil {
		return nil, err
	}
	return &Client{c}, nil
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

// Watch returns when nothing of a run is under way.
func (c *Client) Watch(ctx context.Context, run string) error { return c.c.Watch(ctx, run) }

// Work does steps of runs until ctx ends, at most so many at once; 0 lets the engine's
// worker choose. The files of runs are laid out in dir. Warn hears of what could not even
// begin.
func (c *Client) Work(ctx context.Context, a *app.App, home *state.Home, dir string, most int, warn func(format string, a ...any)) error {
	w := newSessions(a, home, dir)
	w.warn = warn
	w.tidyAll()
	worker := temporal.NewWorker(c.c, w, most)
	swept := make(chan struct{})
	sweeping, stop := context.WithCancel(context.Background())
	go func() { w.sweep(sweeping); close(swept) }()
	err := worker.Run(ctx)
	stop()
	<-swept
	return err
}
