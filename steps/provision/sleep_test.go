package provision

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Sleep{On: dag.Lit(comm.Machine{}).Take(), Duration: time.Hour, Common: steps.Common{PauseBefore: time.Minute}}
		tk, start := task(nil), time.Now()
		if _, err := s.Do(t.Context(), nil, tk); err != nil || time.Since(start) != time.Hour+time.Minute {
			t.Errorf("slept %s, %v", time.Since(start), err)
		}
		// An interrupted one sleeps only for what is left.
		tk, start = task(nil), time.Now()
		time.Sleep(20 * time.Minute)
		tk.Resumed = true
		if _, err := s.Do(t.Context(), nil, tk); err != nil || time.Since(start) != time.Hour {
			t.Errorf("slept %s, %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Do(ctx, nil, task(nil)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("suspended: %v", err)
		}
		s.SetCommon(steps.Common{Timeout: time.Minute, MaxRetries: 1})
		start = time.Now()
		if _, err := s.Do(t.Context(), nil, task(nil)); err == nil || !strings.Contains(err.Error(), "timed out after 1m0s") || time.Since(start) != 2*time.Minute {
			t.Errorf("timed out after %s: %v", time.Since(start), err)
		}
	})
	if got := fields((&Sleep{}).Check()); got != "duration" {
		t.Errorf("option errors of %q", got)
	}
}
