package steps_test

import (
	"context"
	"errors"
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
