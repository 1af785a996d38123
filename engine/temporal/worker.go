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
	w      worker.Worker
	failed chan error
}

// NewWorker returns a worker that does so many calls at once; 0 is 1,000: most of them wait.
func NewWorker(c *Client, w Work, concurrency int, v Version) *Worker {
	if concurrency <= 0 {
		concurrency = 1000
	}
	failed := make(chan error, 1)
	t := worker.New(c.c, taskQueue, worker.Options{
		MaxConcurrentActivityExecutionSize: concurrency,
		// Whoever is suspended hears of it in the answer to a heartbeat.
		DefaultHeartbeatThrottleInterval: beat, MaxHeartbeatThrottleInterval: beat,
		// The workflows of a worker that is gone go to another one soon.
		StickyScheduleToStartTimeout: time.Second,
		WorkerStopTimeout:            20 * time.Second,
		DeadlockDetectionTimeout:     patience,
		DeploymentOptions:            v.options(),
		OnFatalError:                 func(err error) { failed <- err },
	})
	register(t)
	t.RegisterActivity(&activities{w, beating})
	return &Worker{t, failed}
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
}

// Run works until ctx ends. Calls that are at work are cut off then, and others go on with them.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.w.Start(); err != nil {
		return fmt.Errorf("cannot work for Temporal: %w", err)
	}
	defer w.w.Stop()
	select {
	case <-ctx.Done():
		return nil
	case err := <-w.failed:
		return fmt.Errorf("cannot go on working for Temporal: %w", err)
	}
}
