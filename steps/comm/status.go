package comm

import (
	"context"
	"errors"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
)

// Status is what has become of a machine, in the eyes of whoever made it.
type Status struct {
	State string // Stopped or Terminated; "" for a machine that may answer again
	Why   string // in the words of who runs it, if any
	Taken bool   // of a terminated one: it was taken back by who runs it, which nobody here is to blame for
}

// States of a machine that will not answer any more.
const (
	Stopped    = "stopped"
	Terminated = "terminated"
)

// DownError says that a machine will not answer any more, whoever stopped it.
type DownError struct{ Status }

func (e *DownError) Error() string {
	if e.Why != "" {
		return "it is " + e.State + " (" + e.Why + ")"
	}
	return "it is " + e.State
}

// ErrCode is the code of the failure.
func (e *DownError) ErrCode() errcode.Code { return errcode.MachineDown }

// HasStopped reports whether that is why something came to nothing: the machine is
// at rest, and has its disks.
func HasStopped(err error) bool {
	var d *DownError
	return errors.As(err, &d) && d.State == Stopped
}

// Between two questions about a machine that cannot be reached, and before the
// first one about a machine that still boots.
const (
	askAgain = 3 * time.Second
	askFirst = 20 * time.Second
)

// statusCheck asks what has become of a machine while it cannot be reached.
type statusCheck struct {
	env  *Env
	m    Machine
	next time.Time
}

func (e *Env) statusCheck(m Machine, first bool) *statusCheck {
	q := &statusCheck{env: e, m: m}
	if first {
		q.next = time.Now().Add(askFirst)
	}
	return q
}

// down is the error of a machine that is known not to answer any more, or nil.
func (q *statusCheck) down(ctx context.Context) error {
	if q == nil || q.env.Status == nil || q.m.Thing == "" || time.Now().Before(q.next) {
		return nil
	}
	f := q.env.Status(ctx, q.m.Endpoint)
	q.next = time.Now().Add(askAgain)
	return f.err()
}

// err is the error of a machine that will not answer any more, or nil.
func (f Status) err() error {
	switch {
	case f.State == "":
		return nil
	case f.Taken:
		return dag.Taken(&DownError{f})
	}
	return &DownError{f}
}

// ended is how a job has ended, unless its machine is being taken back: then that is why it has
// ended badly, and nothing is known of the job.
func (e *Env) ended(ctx context.Context, m Machine, x Exit) (Exit, error) {
	if !m.Fleeting || x == (Exit{}) || e.Status == nil {
		return x, nil
	}
	if f := e.Status(ctx, m.Endpoint); f.Taken {
		return Exit{}, f.err()
	}
	return x, nil
}
