package temporal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// fireWorkflow is the workflow of one time of a schedule.
const fireWorkflow = "imgflow.fire"

// late is for how long a time that was missed is made up for, and for how long it is tried.
const late = 24 * time.Hour

// scheduledTime is when the server was to begin a workflow of a schedule.
var scheduledTime = temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime")

// Firing is one time of a schedule.
type Firing struct {
	Schedule string    `json:"schedule"`
	Due      time.Time `json:"due"`
}

// Fired is what one time of a schedule has come to.
type Fired struct {
	Ref
	Submission Submission
	Problem    string // why there is no run, though there should be
}

// fireFlow is the workflow of one time of a schedule. It lasts as long as the run that it has made, so
// that no other time of the schedule comes before the run's end.
func fireFlow(ctx workflow.Context, schedule string) error {
	due, ok := workflow.GetTypedSearchAttributes(ctx).GetTime(scheduledTime)
	if !ok {
		due = workflow.GetInfo(ctx).WorkflowStartTime
	}
	var x Fired
	trying := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: late, ScheduleToCloseTimeout: late, HeartbeatTimeout: heartbeatTimeout, WaitForCancellation: true, Summary: schedule,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	})
	switch err := workflow.ExecuteActivity(trying, (*activities).Fire, Firing{schedule, due}).Get(ctx, &x); {
	case err != nil:
		return err
	case x.Problem != "":
		return temporal.NewNonRetryableApplicationError("schedule "+schedule+" has made no run: "+x.Problem, "failed", nil)
	case x.Run == "":
		return nil
	}
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: x.Run, WaitForCancellation: true, ParentClosePolicy: enums.PARENT_CLOSE_POLICY_ABANDON, StaticSummary: schedule,
		TypedSearchAttributes: x.Submission.attributes(running), Priority: x.Submission.priority(),
	})
	return workflow.ExecuteChildWorkflow(ctx, runWorkflow, x.Ref, many).Get(ctx, nil)
}

// Schedule has the runs of a schedule made at the times of a cron expression in a time zone, ""
// for UTC. One of that name gets other times, and stays paused if it is.
func (t *Client) Schedule(ctx context.Context, name, cron, zone string, s Submission) error {
	spec := client.ScheduleSpec{CronExpressions: []string{cron}, TimeZoneName: zone}
	action := &client.ScheduleWorkflowAction{
		ID: scheduleID(name), Workflow: fireWorkflow, Args: []any{name}, TaskQueue: taskQueue,
		TypedSearchAttributes: s.attributes(), Priority: s.priority(),
	}
	_, err := t.c.ScheduleClient().Create(ctx, client.ScheduleOptions{ID: scheduleID(name), Spec: spec, Action: action, Overlap: enums.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: late})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		err = t.schedule(name).Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			return &client.ScheduleUpdate{Schedule: &client.Schedule{Action: action, Spec: &spec, State: in.Description.Schedule.State,
				Policy: &client.SchedulePolicies{Overlap: enums.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: late}}}, nil
		}})
	}
	return refusedSchedule("make", name, err)
}

// Unschedule ends the times of a schedule. What runs goes on; if there are none, nothing is to be done.
func (t *Client) Unschedule(ctx context.Context, name string) error {
	err := t.schedule(name).Delete(ctx)
	if none := (*serviceerror.NotFound)(nil); errors.As(err, &none) {
		return nil
	}
	return refusedSchedule("remove", name, err)
}

// Pause has the times of a schedule pass unused, or used again.
func (t *Client) Pause(ctx context.Context, name string, paused bool) error {
	if paused {
		return refusedSchedule("pause", name, t.schedule(name).Pause(ctx, client.SchedulePauseOptions{}))
	}
	return refusedSchedule("resume", name, t.schedule(name).Unpause(ctx, client.ScheduleUnpauseOptions{}))
}

// Trigger makes a time of the schedule of now, unless a run of it is under way.
func (t *Client) Trigger(ctx context.Context, name string) error {
	return refusedSchedule("start", name, t.schedule(name).Trigger(ctx, client.ScheduleTriggerOptions{Overlap: enums.SCHEDULE_OVERLAP_POLICY_SKIP}))
}

// Times are the next time of a schedule, zero for none, and whether it is paused. Known says whether
// the server has it.
func (t *Client) Times(ctx context.Context, name string) (next time.Time, paused, known bool, err error) {
	d, err := t.schedule(name).Describe(ctx)
	if none := (*serviceerror.NotFound)(nil); errors.As(err, &none) {
		return next, false, false, nil
	}
	if err != nil {
		return next, false, false, refusedSchedule("look at", name, err)
	}
	if times := d.Info.NextActionTimes; len(times) > 0 {
		next = times[0]
	}
	return next, d.Schedule.State.Paused, true, nil
}

func scheduleID(name string) string { return "schedule/" + name }

func (t *Client) schedule(name string) client.ScheduleHandle {
	return t.c.ScheduleClient().GetHandle(context.Background(), scheduleID(name))
}

func refusedSchedule(what, name string, err error) error {
	if none := (*serviceerror.NotFound)(nil); errors.As(err, &none) {
		return fmt.Errorf("cannot %s the schedule %s: Temporal has none of that name: schedule it again", what, name)
	}
	if err != nil {
		return fmt.Errorf("cannot %s the schedule %s: Temporal refuses: %w", what, name, err)
	}
	return nil
}
