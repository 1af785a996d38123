package dag

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imgflow/imgflow/internal/sleep"
)

// scaffold is a temporary thing of which the removal is slow, or always fails in a
// way that may pass.
type scaffold struct {
	Name  string
	Takes time.Duration
	Fails bool
}

type scaffoldOut scaffold

func (scaffold) Kind() string { return "toy.scaffold" }
func (s scaffold) Do(context.Context, *world, *Task) (scaffoldOut, error) {
	return scaffoldOut(s), nil
}
func (o scaffoldOut) Find(context.Context, *world, *Task) (scaffoldOut, error) { return o, nil }
func (o scaffoldOut) Undo(ctx context.Context, w *world, _ *Task) error {
	w.did("remove %s", o.Name)
	if err := sleep.For(ctx, o.Takes); err != nil {
		return err
	}
	if o.Fails {
		return Retry(errors.New("cannot delete "+o.Name+": InternalError"), 0)
	}
	return nil
}

// labour takes its time after the scaffold is there.
type labour struct {
	On    Out[scaffoldOut]
	Takes time.Duration
	Fails bool
}

func (labour) Kind() string { return "toy.labour" }
func (l labour) Do(ctx context.Context, _ *world, _ *Task) (string, error) {
	if err := sleep.For(ctx, l.Takes); err != nil {
		return "", err
	}
	if l.Fails {
		return "", errBoom
	}
	return "done", nil
}

// told keeps what people read.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (l *told) Emit(e Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Type == Warned || e.Type == Said {
		l.lines = append(l.lines, e.Text)
	}
	return nil
}
func (*told) Sync() error                  { return nil }
func (*told) Break(_ []byte, most int) int { return most }
func (*told) Offset(string, string) int64  { return 0 }

// TestRemovalNeverHoldsAGoodBuildUp: next to work, a removal is tried for as long
// as that takes. When all else is done, one that fails has a minute more and one
// that is slow ten, and either is told; after a failure it is worth five minutes.
func TestRemovalNeverHoldsAGoodBuildUp(t *testing.T) {
	const work = 30 * time.Minute
	for _, c := range []struct {
		name    string
		s       scaffold
		failing bool
		left    string
		after   time.Duration // the end of the work, at most
		tries   int           // at least
		says    string
	}{
		{"well", scaffold{"key", 0, false}, false, "", 0, 1, ""},
		{"slow", scaffold{"key", work + 8*time.Minute, false}, false, "", 8 * time.Minute, 1, "scaffold is still being removed: waiting for at most another 9m0s"},
		{"without an end", scaffold{"key", 24 * time.Hour, false}, false, "given up 10m0s after all else was done", 10 * time.Minute, 1, "waiting for at most another 9m0s"},
		{"failing", scaffold{"key", 0, true}, false, "cannot delete key: InternalError (given up 1m0s after all else was done)", time.Minute, 60, "the work is done, but scaffold could not be removed yet: trying for another 1m0s"},
		{"failing slowly", scaffold{"key", 25 * time.Second, true}, false, "cannot delete key: InternalError (given up 1m0s after all else was done)", time.Minute, 30, "trying for another 1m0s"},
		{"failing late", scaffold{"key", work + 20*time.Second, true}, false, "cannot delete key: InternalError (given up 1m0s after all else was done)", time.Minute, 2, "trying for another 40s"},
		{"failing in a failed build", scaffold{"key", 0, true}, true, "cannot delete key: InternalError", 5*time.Minute + 30*time.Second, 60, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, log := newWorld(), &told{}
				e, err := New(Options{Run: "run", Store: &MemStore{}, Sink: log, Kinds: []Kind{Bind[scaffold](w), Bind[labour](w)}})
				if err != nil {
					t.Fatal(err)
				}
				g := NewGraph(nil)
				b := Build{Name: "b"}
				on := Add(g, b, "scaffold", c.s)
				Goal(g, Add(g, b, "quick", labour{On: on}))
				Goal(g, Add(g, b, "work", labour{Takes: work, Fails: c.failing}))
				began := time.Now()
				r := solve(t, e, g)
				late := time.Since(began) - work
				left := ""
				for _, f := range r.Left {
					left += f.Err.Error()
				}
				if left != c.left {
					t.Errorf("left %q, want %q", left, c.left)
				}
				if late > c.after || late < c.after-time.Minute {
					t.Errorf("it ended %s after the work, want %s", late, c.after)
				}
				if n := w.count("remove key"); n < c.tries {
					t.Errorf("%d tries, want %d", n, c.tries)
				}
				if said := strings.Join(log.lines, "\n"); !strings.Contains(said, c.says) || c.says == "" && said != "" {
					t.Errorf("said %q, want %q", said, c.says)
				}
			})
		})
	}
}
