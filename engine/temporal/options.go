package temporal

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/imgflow/imgflow/dag"
)

const (
	heartbeatTimeout = 10 * time.Second
	longest          = 7 * 24 * time.Hour // that an activity may take: what a step may take is its own affair
	// A call that is made by somebody who is lost is made by so many others before the
	// pass decides what that means.
	callAttempts = 3
	attempts     = 60
)

// activityOptions are those of one that is tried so often.
func activityOptions(ctx workflow.Context, most int32, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: longest, HeartbeatTimeout: heartbeatTimeout, WaitForCancellation: true, Summary: summary,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 5 * time.Second, MaximumAttempts: most},
	})
}

// orderOptions are those of the activity that carries out an order. What is journaled once and looked for
// first may be done by more workers than a call. A wait for what another run makes takes no place of
// those that make it, is gone on with by whomever, and ends as soon as it may.
func orderOptions(ctx workflow.Context, x dag.Order) workflow.Context {
	most := int32(attempts)
	switch {
	case x.Makes():
		most = callAttempts
	case x.Waits():
		most = 0 // no limit
	}
	ctx = activityOptions(ctx, most, fmt.Sprintf("%s: %s", x.Action, x.Name))
	o := workflow.GetActivityOptions(ctx)
	o.TaskQueue = queueOf(x)
	if x.Waits() {
		o.TaskQueue, o.WaitForCancellation = waitQueue, false
	}
	return workflow.WithActivityOptions(ctx, o)
}
