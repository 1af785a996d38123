package temporal

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Worker does what the workflows of a namespace decide, and decides for them.
type Worker struct {
	calls, waits worker.Worker
	failed       chan error
}

// mostWaits is how many things a worker waits for at once that other runs make. They have a
// queue of their own: if they took the places of calls, nobody might be left to make them.
const mostWaits = 10000

// NewWorker returns a worker that does so many calls at once; 0 is 1,000: most of them wait.
func NewWorker(c *Client, w Work, concurrency int, v Version) *Worker {
	if concurrency <= 0 {
		concurrency = 1000
	}
	failed := make(chan error, 2)
	o := worker.Options{
		MaxConcurrentActivityExecutionSize: concurrency,
		// Whoever is suspended hears of it in the answer to a heartbeat.
		DefaultHeartbeatThrottleInterval: beat, MaxHeartbeatThrottleInterval: beat,
		// The workflows of a worker that is gone go to another one soon.
		StickyScheduleToStartTimeout: time.Second,
		WorkerStopTimeout:            20 * time.Second,
		DeadlockDetectionTimeout:     patience,
		DeploymentOptions:            v.options(),
		OnFatalError:                 func(err error) { failed <- err },
	}
	calls := worker.New(c.c, taskQueue, o)
	register(calls)
	o.MaxConcurrentActivityExecutionSize, o.DisableWorkflowWorker, o.DeploymentOptions = mostWaits, true, worker.DeploymentOptions{}
	waits := worker.New(c.c, waitQueue, o)
	for _, t := range []worker.Worker{calls, waits} {
		t.RegisterActivity(&activities{w, beating})
	}
	return &Worker{calls, waits, failed}
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
	for _, t := range []worker.Worker{w.calls, w.waits} {
		if err := t.Start(); err != nil {
			return fmt.Errorf("cannot work for Temporal: %w", err)
		}
		defer t.Stop()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-w.failed:
		return fmt.Errorf("cannot go on working for Temporal: %w", err)
	}
}
