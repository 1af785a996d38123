package dag

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// undoPatience bounds the retries of a removal for which a person has asked, or
// which a failed build has left behind: what is still in use after that long
// needs a person.
const undoPatience = 5 * time.Minute

// A build that is done is not held up by its scaffolding: a removal that fails is
// tried for lastPatience more, and one that merely takes its time, as the end of an
// instance does, has lastLimit.
const (
	lastPatience = time.Minute
	lastLimit    = 10 * time.Minute
)

// lastWork is the end of the last step of a pass: from then on, whoever waits
// waits for removals alone. As long as a step is at work, a removal that fails is
// tried again. Nil is a pass without steps.
type lastWork struct {
	ended chan struct{}
	at    time.Time // set before ended is closed, as is well
	well  bool      // no step has failed
}

// end tells that the work has ended; only the first time counts.
func (w *lastWork) end(well bool) {
	if w.at.IsZero() {
		w.at, w.well = time.Now(), well
		close(w.ended)
	}
}

// over reports whether the work has ended, and how.
func (w *lastWork) over() (over, well bool) {
	if w == nil {
		return true, false
	}
	select {
	case <-w.ended:
		return true, w.well
	default:
		return false, false
	}
}

// enough reports whether a removal that began at a time, and fails, is not to be
// tried again after a wait. What holds a good build up is ended by hurry.
func (w *lastWork) enough(began time.Time, wait time.Duration) bool {
	over, well := w.over()
	if w != nil && over && w.at.After(began) {
		began = w.at
	}
	return over && !well && time.Since(began)+wait > undoPatience
}

// pause waits before the next try, and no longer than until the work ends.
func (w *lastWork) pause(ctx context.Context, d time.Duration) {
	if over, _ := w.over(); over {
		sleep(ctx, d)
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-w.ended:
	}
}

// more is for how long a good build still waits for a removal that began at a
// time, and fails.
func (w *lastWork) more(began time.Time) time.Duration {
	if began.Before(w.at) {
		began = w.at
	}
	return min(time.Until(began.Add(lastPatience)), time.Until(w.at.Add(lastLimit)))
}

// tell says that somebody waits for a removal that fails.
func (w *lastWork) tell(t *Task, what string, began time.Time) {
	if over, well := w.over(); over && well {
		t.Warn("the work is done, but %s could not be removed yet: trying for another %s", what, w.more(began).Round(time.Second))
	}
}

// hurry is the context of a removal, which ends when a good build has waited for
// it for long enough. Whoever waits is told for how long.
func (w *lastWork) hurry(ctx context.Context, t *Task, what string, began time.Time) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if w == nil {
		return ctx, func() { cancel(nil) }
	}
	go func() {
		select {
		case <-ctx.Done():
			return
		case <-w.ended:
		}
		if !w.well {
			return
		}
		if t.trouble() != "" {
			w.tell(t, what, began)
		}
		if sleep(ctx, w.more(began)) != nil {
			return
		}
		if left := time.Until(w.at.Add(lastLimit)); t.trouble() == "" && left > 0 {
			t.Say("%s is still being removed: waiting for at most another %s", what, left.Round(time.Second))
			if sleep(ctx, left) != nil {
				return
			}
		}
		cancel(fmt.Errorf("given up %s after all else was done", time.Since(w.at).Round(time.Second)))
	}()
	return ctx, func() { cancel(nil) }
}

// troubles is the last failure that was told and may pass.
type troubles struct {
	mu   sync.Mutex
	last string
	at   time.Time
}

func (t *troubles) set(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last, t.at = err.Error(), time.Now()
}

// trouble is the last failure, or "" if it is so long ago that it has passed.
func (t *troubles) trouble() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.at) > lastPatience {
		return ""
	}
	return t.last
}
