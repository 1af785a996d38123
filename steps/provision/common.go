package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// Common are the options that every provisioner has. None of them changes what
// the machine becomes, so none is part of a step's key.
type Common struct {
	PauseBefore time.Duration `json:"pause_before,omitempty" key:"-"` // before each try
	Timeout     time.Duration `json:"timeout,omitempty" key:"-"`      // of each try, the pause not counted; 0: none
	MaxRetries  int           `json:"max_retries,omitempty" key:"-"`  // tries after the first one failed
}

// SetCommon sets the common options.
func (c *Common) SetCommon(pauseBefore, timeout time.Duration, maxRetries int) {
	*c = Common{pauseBefore, timeout, maxRetries}
}

// errTimeout is the cause of a context that ended since the timeout was reached.
// A context that ended otherwise belongs to a run that is suspended.
var errTimeout = errors.New("the timeout was reached")

// tries calls f until it succeeds or there are no retries left. Its number tells
// the tries of one step apart, also after an interruption.
func (c Common) tries(ctx context.Context, t *dag.Task, f func(ctx context.Context, try int) error) error {
	for try := 0; ; try++ {
		err := c.try(ctx, t, try, f)
		if err == nil || ctx.Err() != nil || try >= c.MaxRetries {
			return err
		}
		t.Warn("%v; trying again (%d of %d)", err, try+1, c.MaxRetries)
	}
}

func (c Common) try(ctx context.Context, t *dag.Task, try int, f func(ctx context.Context, try int) error) error {
	pause := c.PauseBefore
	if t.Resumed {
		pause -= t.Age() // it may have been waited for, in part or more
	}
	if pause > 0 {
		t.Say("pausing %s before this step", pause.Round(time.Millisecond))
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	if c.Timeout <= 0 {
		return f(ctx, try)
	}
	limited, cancel := context.WithTimeoutCause(ctx, c.Timeout, errTimeout)
	defer cancel()
	err := f(limited, try)
	if err != nil && ctx.Err() == nil && timedOut(limited) {
		return fmt.Errorf("timed out after %s: %w; give it a longer \"timeout\" if it needs more time", c.Timeout, err)
	}
	return err
}

func timedOut(ctx context.Context) bool { return context.Cause(ctx) == errTimeout }

// sleep waits, unless the context ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// faults gathers what is wrong with options.
type faults []dag.Fault

func (f *faults) add(field, format string, a ...any) {
	*f = append(*f, dag.Fault{Field: field, Text: fmt.Sprintf(format, a...)})
}

// lacks tells that one of some options is wanted.
func (f *faults) lacks(why string, options ...string) {
	*f = append(*f, dag.Fault{Text: why, Among: options})
}

// idle tells of an option that has no effect: templates that hold one work, so it
// is no reason to refuse them.
func (f *faults) idle(field, format string, a ...any) {
	*f = append(*f, dag.Fault{Field: field, Text: fmt.Sprintf(format, a...), Harmless: true})
}

// doubt tells of what is allowed and hardly meant.
func (f *faults) doubt(field, format string, a ...any) {
	*f = append(*f, dag.Fault{Field: field, Text: fmt.Sprintf(format, a...), Harmless: true, Doubtful: true})
}

// runs tells of a command of the user's own that does not run the script. Where
// are the paths, as far as they are known, by which it may name the script itself.
func (f *faults) runs(option, command, field string, where ...string) {
	named := func(path string) bool { return path != "" && strings.Contains(command, path) }
	if command != "" && !uses(command, field) && !slices.ContainsFunc(where, named) {
		f.doubt(option, "it has no {{.%s}}, so the script never runs", field)
	}
}

func (f *faults) notNegative(field string, d time.Duration) {
	if d < 0 {
		f.add(field, "it must not be negative")
	}
}
