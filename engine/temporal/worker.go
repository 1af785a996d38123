package temporal

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Worker does what the workflows of a namespace decide, and decides for them.
type Worker struct {
	c            client.Client
	calls, waits worker.Worker
	acts         *activities
	places       int           // for calls that are of no lane
	ending       chan struct{} // closed when Run ends
	failed       chan error
	back         atomic.Pointer[time.Time] // until then it has stepped aside; nil: it never has

	mu    sync.Mutex
	ended bool
	self  string               // what it is called among those that are there
	there map[string]uint32    // the others, and what they are busy with
	lanes [Lanes]worker.Worker // that it serves; nil: others do
	work  [Lanes]int           // that it serves, or has left and that have calls to end
}

// mostWaits is how many things a worker waits for at once that other runs make. They have a
// queue of their own: if they took the places of calls, nobody might be left to make them.
const mostWaits = 10000

// defaultCalls is how many calls of no lane a worker does at once where nothing else is said.
const defaultCalls = 1000

// NewWorker returns a worker that does so many calls at once of those that are of no lane; 0
// is 1,000: most of them wait. It serves no lane until it is told which workers there are.
func NewWorker(c *Client, w Work, concurrency int, v Version) *Worker {
	t := &Worker{c: c.c, places: cmp.Or(concurrency, defaultCalls), ending: make(chan struct{}), failed: make(chan error, 1)}
	t.acts = &activities{Work: w, ending: t.ending, current: beating}
	t.calls = t.queue(taskQueue, worker.Options{
		Tuner:             t.tuner(t.places),
		WorkerStopTimeout: stopTimeout,
		// The workflows of a worker that is gone go to another one soon.
		StickyScheduleToStartTimeout: time.Second,
		DeadlockDetectionTimeout:     patience,
		DeploymentOptions:            v.options(),
	})
	register(t.calls)
	t.waits = t.queue(waitQueue, worker.Options{MaxConcurrentActivityExecutionSize: mostWaits, WorkerStopTimeout: stopTimeout, DisableWorkflowWorker: true})
	return t
}

// stopTimeout is how long calls may take to end that are cut off.
const stopTimeout = 20 * time.Second

// queue is what takes work off a task queue.
func (w *Worker) queue(name string, o worker.Options) worker.Worker {
	// Whoever is suspended hears of it in the answer to a heartbeat.
	o.DefaultHeartbeatThrottleInterval, o.MaxHeartbeatThrottleInterval = beat, beat
	o.OnFatalError = w.fail
	t := worker.New(w.c, name, o)
	t.RegisterActivity(w.acts)
	return t
}

// fail ends the worker with an error.
func (w *Worker) fail(err error) {
	select {
	case w.failed <- err:
	default:
	}
}

// patience is for how long a workflow may decide without a pause. A busy machine is no deadlock.
const patience = 30 * time.Second

// register makes known what workflows there are.
func register(r interface {
	RegisterWorkflowWithOptions(w any, o workflow.RegisterOptions)
}) {
	r.RegisterWorkflowWithOptions(runFlow, workflow.RegisterOptions{Name: runWorkflow})
	r.RegisterWorkflowWithOptions(buildFlow, workflow.RegisterOptions{Name: buildWorkflow})
	r.RegisterWorkflowWithOptions(undoFlow, workflow.RegisterOptions{Name: undoWorkflow})
	r.RegisterWorkflowWithOptions(fireFlow, workflow.RegisterOptions{Name: fireWorkflow})
}

// Run works until ctx ends. Calls that are at work are cut off then, and others go on with them.
func (w *Worker) Run(ctx context.Context) error {
	defer w.end()
	for _, t := range []worker.Worker{w.calls, w.waits} {
		if err := t.Start(); err != nil {
			return fmt.Errorf("cannot work for Temporal: %w", err)
		}
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-w.failed:
		return fmt.Errorf("cannot go on working for Temporal: %w", err)
	}
}
