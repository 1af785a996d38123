package steps_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// TestPauseAndTimeout: the one does not disable the other, nor counts as it.
func TestPauseAndTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := steps.Common{PauseBefore: time.Hour, Timeout: time.Minute}
		start := time.Now()
		err := c.Try(t.Context(), dag.NewTask("r1", "step", "t", nil, nil), func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() })
		if err == nil || time.Since(start) != time.Hour+time.Minute {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		n := 0
		c = steps.Common{PauseBefore: time.Hour, MaxRetries: 2}
		start = time.Now()
		err = c.Try(t.Context(), dag.NewTask("r1", "step", "t", nil, nil), func(context.Context, int) error { n++; return errors.New("no") })
		if err == nil || n != 3 || time.Since(start) != 3*time.Hour {
			t.Errorf("%d tries in %s: %v", n, time.Since(start), err)
		}
		// What an earlier process has waited counts.
		resumed := dag.NewTask("r1", "step", "t", nil, nil)
		resumed.Resumed = true
		time.Sleep(40 * time.Minute)
		start = time.Now()
		if err := c.Try(t.Context(), resumed, func(context.Context, int) error { return nil }); err != nil || time.Since(start) != 20*time.Minute {
			t.Errorf("resumed after %s: %v", time.Since(start), err)
		}
	})
}

// The example of CONTRIBUTING has what every provisioner has.
func TestExampleHasTheCommonOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, start := Note{On: dag.Lit(comm.Machine{}).Take(), Text: "hello"}, time.Now()
		n.SetCommon(steps.Common{PauseBefore: time.Hour})
		if _, err := n.Do(t.Context(), nil, dag.NewTask("r1", "step", "t", &spoken{}, nil)); err != nil || time.Since(start) != time.Hour {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}

// TestContinueOnError: the last failure is told and the build goes on, but not if a
// record could not be kept, nor if the run is suspended.
func TestContinueOnError(t *testing.T) {
	c, n := steps.Common{MaxRetries: 1, ContinueOnError: true}, 0
	heard := &warned{}
	task := dag.NewTask("r1", "step", "t", heard, nil)
	fails := errors.New("no luck")
	err := c.Try(t.Context(), task, func(context.Context, int) error { n++; return fails })
	if err != nil || n != 2 || !strings.Contains(strings.Join(heard.texts, "\n"), "no luck; going on, as continue_on_error says") {
		t.Errorf("%v after %d tries: %q", err, n, heard.texts)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := c.Try(ctx, task, func(context.Context, int) error { cancel(); return fails }); !errors.Is(err, fails) {
		t.Errorf("suspended: %v", err)
	}
	task.Keep(nil, func(string, json.RawMessage) error { return errors.New("disk full") })
	err = c.Try(t.Context(), task, func(context.Context, int) error { return fmt.Errorf("cannot: %w", task.Save("x", 1)) })
	if err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("not kept: %v", err)
	}
}

// warned keeps the warnings of a task.
type warned struct{ spoken }

func (w *warned) Emit(e dag.Event) error {
	if e.Type == dag.Warned {
		w.texts = append(w.texts, e.Text)
	}
	return nil
}
