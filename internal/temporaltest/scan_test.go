package temporaltest

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/imgflow/imgflow/internal/secrettest"
)

// beats says something as it beats, until it is cancelled.
func beats(ctx context.Context, details string) error {
	for {
		activity.RecordHeartbeat(ctx, details)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// beating is a workflow that is given one text, and beats with what is made of it.
func beating(ctx workflow.Context, of string) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Hour, HeartbeatTimeout: time.Minute})
	return workflow.ExecuteActivity(ctx, made, of).Get(ctx, nil)
}

// made keeps what it beats with out of every history.
func made(ctx context.Context, of string) error { return beats(ctx, strings.ToUpper(of)) }

// A secret is found in whatever a server keeps.
func TestSecretsAreFound(t *testing.T) {
	s := New(t)
	ctx := t.Context()
	c, err := client.Dial(client.Options{HostPort: s.Address, Namespace: Namespace, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := worker.New(c, "queue", worker.Options{DefaultHeartbeatThrottleInterval: 10 * time.Millisecond, MaxHeartbeatThrottleInterval: 10 * time.Millisecond})
	w.RegisterWorkflow(beating)
	w.RegisterActivity(made)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	o := client.StartWorkflowOptions{ID: "in its id hunter-id", TaskQueue: "queue", Memo: map[string]any{"memo": "hunter-memo"}, StaticSummary: "hunter-summary"}
	if _, err := c.ExecuteWorkflow(ctx, o, beating, "hunter-beat"); err != nil {
		t.Fatal(err)
	}
	if err := c.SignalWorkflow(ctx, o.ID, "", "signal", "hunter-signal"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ScheduleClient().Create(ctx, client.ScheduleOptions{ID: "schedule", Paused: true, Note: "hunter-note",
		Action: &client.ScheduleWorkflowAction{ID: "later", Workflow: beating, Args: []any{"hunter-later"}, TaskQueue: "queue"}}); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter-id", "hunter-memo", "hunter-summary", "hunter-beat", "HUNTER-BEAT", "hunter-signal", "hunter-note", "hunter-later"} {
		var n int
		for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) { // what is listed comes late
			if n, err = s.Scan(ctx, []string{secret}); err != nil || time.Now().After(end) {
				break
			}
		}
		if err == nil || !strings.Contains(err.Error(), secret) {
			t.Errorf("%s is not found in %d workflows: %v", secret, n, err)
		}
		if err := s.ScanFiles([]string{secret}); err == nil {
			t.Errorf("%s is not found in the files", secret)
		}
	}
	if n, err := s.Scan(ctx, []string{"hunter-nowhere"}); err != nil || n != 2 {
		t.Errorf("of %d workflows: %v", n, err)
	}
	secrettest.Hide(t, "hunter-nowhere")
}
