package aws

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/usual"
)

// watched is a place where each thing is done so long after the first look at it,
// but "missing", which is not there. It counts the calls, and takes a while for
// each.
type watched struct {
	takes time.Duration
	call  time.Duration

	mu    sync.Mutex
	begun map[string]time.Time
	calls int
	most  int // ids in one call
}

func (w *watched) list(_ context.Context, ids []string) (map[string]bool, error) {
	time.Sleep(w.call)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	w.most = max(w.most, len(ids))
	m := map[string]bool{}
	for _, id := range ids {
		if w.begun[id].IsZero() {
			if w.begun == nil {
				w.begun = map[string]time.Time{}
			}
			w.begun[id] = time.Now()
		}
		if id != "missing" {
			m[id] = time.Since(w.begun[id]) >= w.takes
		}
	}
	return m, nil
}

func alike(bool) string { return "" }

// sized is what is known of a thing from the first look on.
func sized(bool) string { return "large" }

func isDone(done bool) (bool, error) { return done, nil }

func TestPollerServesAllWaitsWithOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{takes: time.Minute, call: 20 * time.Millisecond}
		p := &poller[bool]{time.Second, w.list, nil, "", alike, newWaits[bool](breathOf(time.Second, false))}
		const waits = 450
		var all sync.WaitGroup
		begun := time.Now()
		for i := range waits {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Microsecond) // one by one
				if _, err := p.wait(t.Context(), nil, fmt.Sprint(i), untilAvailable, isDone); err != nil {
					t.Error(err)
				}
			})
		}
		all.Go(func() {
			if _, err := p.wait(t.Context(), nil, "missing", untilAvailable, isDone); !errors.Is(err, dag.ErrNotFound) {
				t.Errorf("a thing that is not there: %v", err)
			}
		})
		all.Wait()
		if lag := time.Since(begun) - w.takes; lag > 5*time.Second {
			t.Errorf("the last was seen %s late", lag)
		}
		if w.most > mostIDs || w.calls > 200 { // 3 for each look, and some while they came
			t.Errorf("%d calls for %d waits, with up to %d ids", w.calls, waits, w.most)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(time.Second)
			cancel()
		}()
		if _, err := p.wait(ctx, nil, "a", expected{}, isDone); !errors.Is(err, context.Canceled) {
			t.Errorf("after cancel: %v", err)
		}
	})
}

// What ends as late as ever is seen within 3 % of its time, and costs few calls.
func TestWaitsLearn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "times.json")
	synctest.Test(t, func(t *testing.T) {
		w := &watched{takes: 100 * time.Second, call: 5 * time.Millisecond} // later than published
		type cost struct {
			calls int
			lag   time.Duration
		}
		var costs []cost
		for n := range 4 {
			times := usual.Open(path)
			p := &poller[bool]{time.Second, w.list, times, "here", sized, newWaits[bool](breathOf(time.Second, false))}
			before, begun := w.calls, time.Now()
			if _, err := p.wait(t.Context(), nil, fmt.Sprint(n), untilAvailable, isDone); err != nil {
				t.Fatal(err)
			}
			costs = append(costs, cost{w.calls - before, time.Since(begun) - w.takes})
			if err := times.Save(); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range costs[1:] {
			if c.calls > 14 || c.calls >= costs[0].calls || c.lag > w.takes*3/100 {
				t.Errorf("calls and lags: %v", costs)
			}
		}
		// Another thing, and another place, are not known by it.
		times := usual.Open(path)
		for what, known := range map[string]bool{"image here": true, "image here large": true, "image here small": false, "image there": false, "stopped here": false} {
			if got := times.Of([]string{what}, usual.Span{}); got.Known != known {
				t.Errorf("%s: %+v", what, got)
			}
		}
	})
}

// What began before the wait is looked at as what is that old, and not learned from.
func TestWaitsOfAnEarlierProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		times := usual.Open(filepath.Join(t.TempDir(), "times.json"))
		w := &watched{takes: 2 * time.Second}
		p := &poller[bool]{time.Second, w.list, times, "", alike, newWaits[bool](breathOf(time.Second, false))}
		begun := time.Now()
		if _, err := p.wait(t.Context(), nil, "a", untilAvailable.since(begun.Add(-60*time.Second)), isDone); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 4*time.Second {
			t.Errorf("it took %s", took)
		}
		if got := times.Of([]string{"image "}, usual.Span{}); got.Known {
			t.Errorf("learned %+v", got)
		}
	})
}

// Trouble of one look is told and survived; what does not pass ends all waits.
func TestPollerTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		codes := []string{"RequestLimitExceeded", "", "UnauthorizedOperation"}
		p := &poller[bool]{time.Second, func(context.Context, []string) (map[string]bool, error) {
			code := codes[0]
			codes = slices.Delete(codes, 0, 1)
			if code == "" {
				return map[string]bool{"a": false}, nil
			}
			return nil, ec2Error(code)
		}, nil, "", alike, newWaits[bool](breathOf(time.Second, false))}
		_, err := p.wait(t.Context(), nil, "a", expected{}, isDone)
		if code, _ := apiError(err); code != "UnauthorizedOperation" || len(codes) > 0 {
			t.Errorf("%v, with %v to come", err, codes)
		}
	})
}

// Who begins to wait when nobody does any more shares a look with those that come soon after, as if there had been
// somebody all the time: in a fleet each is often served by its first look, before the next one comes.
func TestPollerRestsBetweenWaits(t *testing.T) {
	for fleet, most := range map[bool]int{true: 6, false: 21} {
		synctest.Test(t, func(t *testing.T) {
			w := &watched{call: 20 * time.Millisecond}
			p := &poller[bool]{8 * time.Second, w.list, nil, "", alike, newWaits[bool](breathOf(8*time.Second, fleet))}
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					time.Sleep(time.Duration(i) * 200 * time.Millisecond)
					begun := time.Now()
					if _, err := p.wait(t.Context(), nil, fmt.Sprint(i), untilShown(8*time.Second), isDone); err != nil {
						t.Error(err)
					}
					if took := time.Since(begun); took > p.breath.shortest+100*time.Millisecond {
						t.Errorf("fleet: %v: one that was there is seen after %s", fleet, took)
					}
				})
			}
			all.Wait()
			if w.calls > most {
				t.Errorf("fleet: %v: %d calls for 20 waits that come one by one", fleet, w.calls)
			}
		})
	}
}
