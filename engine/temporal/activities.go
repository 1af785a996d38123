package temporal

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/imgflow/imgflow/dag"
)

// activities are what the workflows have done by workers.
type activities struct {
	Work Work
	// ending is closed when this worker ends. A lane that goes to another worker ends nothing.
	ending <-chan struct{}
	load   load
	// current is an error if the server has given what an activity does to another worker.
	current func(ctx context.Context) error
}

// beating asks the server itself, which takes it for a heartbeat.
func beating(ctx context.Context) error {
	return activity.GetClient(ctx).RecordActivityHeartbeat(ctx, activity.GetInfo(ctx).TaskToken)
}

// Carried is what carrying out an order has come to.
type Carried struct {
	Outcome dag.Outcome  `json:"outcome"`
	Changed []dag.Record `json:"changed,omitempty"`
}

// beat is how often an activity says that it is still at it. It is noticed as lost when nothing was
// heard for heartbeatTimeout.
const beat = 4 * time.Second

// errStopping is why an activity ends whose worker ends: another one goes on with it.
var errStopping = errors.New("this worker ends")

// alive says that the activity is at work until end is called. The context ends with the
// activity's, or with the worker, which is its cause then.
func (a *activities) alive(ctx context.Context) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	over, silent := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(silent)
		ticker := time.NewTicker(beat)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				activity.RecordHeartbeat(ctx)
			case <-a.ending:
				cancel(errStopping)
				return
			case <-over:
				return
			}
		}
	}()
	return ctx, func() { close(over); <-silent; cancel(nil) }
}

// Fire makes the run of one time of a schedule. What has died over it may have made it.
func (a *activities) Fire(ctx context.Context, f Firing) (Fired, error) {
	ctx, end := a.alive(ctx)
	defer end()
	x, err := a.Work.Fire(ctx, f)
	x.Problem = cut(maxText)(x.Problem)
	return x, err
}

// Prepare opens a run.
func (a *activities) Prepare(ctx context.Context, ask Ask) (*Prepared, error) {
	ctx, end := a.alive(ctx)
	defer end()
	p, err := a.Work.Prepare(ctx, ask)
	return fitting(ask.Run, "its graph", p, err)
}

// Undo opens a run for a removal.
func (a *activities) Undo(ctx context.Context, ref Ref, what json.RawMessage) (*Prepared, error) {
	ctx, end := a.alive(ctx)
	defer end()
	p, err := a.Work.Undo(ctx, ref, what)
	return fitting(ref.Run, "what is to be removed", p, err)
}

// Carry carries out an order. One that is carried out by a second worker may have been
// carried out by the first.
func (a *activities) Carry(ctx context.Context, ref Ref, x dag.Order) (Carried, error) {
	// A worker that was paused wakes with orders that others carry out by now: it must not claim
	// their steps.
	if err := a.current(ctx); err != nil {
		return Carried{}, err
	}
	info := activity.GetInfo(ctx)
	x.Again = x.Again || info.Attempt > 1
	defer a.load.begin(info.TaskQueue, info.Attempt > 1)()
	ctx, end := a.alive(ctx)
	defer end()
	o, changed, err := a.Work.Carry(ctx, ref, x)
	if err == nil && o.Err != nil && errors.Is(context.Cause(ctx), errStopping) {
		err = errStopping
	}
	return fitting(ref.Run, "what the step "+x.Name+" has changed", Carried{o.Redacted(cut(maxText)), changed}, err)
}

// Tell tells people of orders.
func (a *activities) Tell(ctx context.Context, ref Ref, xs []dag.Order) error {
	return a.Work.Tell(ctx, ref, xs)
}

// Finish ends a run.
func (a *activities) Finish(ctx context.Context, ref Ref, report dag.Report, failed string) error {
	ctx, end := a.alive(ctx)
	defer end()
	return a.Work.Finish(ctx, ref, report, failed)
}

// Undone ends a removal.
func (a *activities) Undone(ctx context.Context, ref Ref, left []dag.Failure, failed string) error {
	ctx, end := a.alive(ctx)
	defer end()
	return a.Work.Undone(ctx, ref, left, failed)
}

// fitting is what an activity returns, unless that is too large, which no other attempt would change.
func fitting[T any](run, what string, v T, err error) (T, error) {
	if err != nil {
		return v, err
	}
	if _, err := sized(run, what, v); err != nil {
		var none T
		return none, temporal.NewNonRetryableApplicationError(err.Error(), "too-large", nil)
	}
	return v, nil
}
