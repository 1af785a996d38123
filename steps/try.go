package steps

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/sleep"
)

// errTimeout is the cause of a context that ended since the timeout was reached.
// A context that ended otherwise belongs to a run that is suspended.
var errTimeout = errors.New("the timeout was reached")

// Try calls f as the options say, until it succeeds or there are no retries left; the
// Do of every provisioner does its work in it. Its number, from 0, tells the tries of
// one call of Do apart. The error is that of the last, unless the build is to go on
// with it: then it is a warning.
func (c Common) Try(ctx context.Context, t *dag.Task, f func(ctx context.Context, try int) error) error {
	for try := 0; ; try++ {
		err := c.once(ctx, t, try, f)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if try >= c.MaxRetries {
			if c.ContinueOnError && !dag.StoreFailed(err) {
				t.Warn("%v; going on, as continue_on_error says", err)
				return nil
			}
			return err
		}
		t.Warn("%v; trying again (%d of %d)", err, try+1, c.MaxRetries)
	}
}

func (c Common) once(ctx context.Context, t *dag.Task, try int, f func(ctx context.Context, try int) error) error {
	pause := c.PauseBefore
	if t.Resumed {
		pause -= t.Age() // it may have been waited for, in part or more
	}
	if pause > 0 {
		t.Say("pausing %s before this step", pause.Round(time.Millisecond))
		if err := sleep.For(ctx, pause); err != nil {
			return err
		}
	}
	if c.Timeout <= 0 {
		return f(ctx, try)
	}
	limited, cancel := context.WithTimeoutCause(ctx, c.Timeout, errTimeout)
	defer cancel()
	err := f(limited, try)
	if err != nil && ctx.Err() == nil && TimedOut(limited) {
		return errcode.With(errcode.TimedOut, fmt.Errorf("timed out after %s: %w; give it a longer \"timeout\" if it needs more time", c.Timeout, err))
	}
	return err
}

// TimedOut reports whether a context that Try has handed out has ended since the
// timeout of a try was reached.
func TimedOut(ctx context.Context) bool { return context.Cause(ctx) == errTimeout }
