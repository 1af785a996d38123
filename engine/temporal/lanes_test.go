package temporal

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/temporaltest"
)

// there are workers of these names that do nothing.
func there(names ...string) map[string]uint32 {
	m := map[string]uint32{}
	for _, name := range names {
		m[name] = 0
	}
	return m
}

// Of the workers that are there each lane has exactly one, all have about as many, and none
// changes its worker but those of one that comes or goes.
func TestEachLaneHasOneWorker(t *testing.T) {
	const workers = 8
	var names []string
	for i := range workers {
		names = append(names, fmt.Sprintf("WORKER%d", i))
	}
	holder := func(lane int, names []string) (of string) {
		t.Helper()
		for i, name := range names {
			others := append(append([]string{}, names[:i]...), names[i+1:]...)
			if has(name, lane, there(others...)) {
				if of != "" {
					t.Errorf("lane %d has %s and %s", lane, of, name)
				}
				of = name
			}
		}
		if of == "" {
			t.Errorf("nobody has lane %d", lane)
		}
		return of
	}
	lanes := map[string]int{}
	const n = 800 // more than there are, to see how even it is
	for lane := range n {
		of := holder(lane, names)
		lanes[of]++
		if left := holder(lane, names[1:]); of != names[0] && left != of {
			t.Errorf("lane %d goes from %s to %s since %s ends", lane, of, left, names[0])
		}
	}
	for _, name := range names {
		if lanes[name] < n/workers/2 || lanes[name] > n/workers*2 {
			t.Errorf("%s has %d of %d lanes", name, lanes[name], n)
		}
	}
}

// Sharing counts those that are busy with the lane of a site.
func TestWhoSharesALane(t *testing.T) {
	lane := uint32(1) << LaneOf("here")
	if n := Sharing("here", map[string]uint32{"a": lane, "b": ^lane, "c": ^uint32(0), "d": 0}); n != 2 {
		t.Errorf("%d share it", n)
	}
}

// carrier is the work of one worker, which notes what it carries out.
type carrier struct {
	*work
	name string

	mu   sync.Mutex
	made map[string]int // steps that it was at
	cut  int            // of which it was cut off
}

func (c *carrier) Carry(ctx context.Context, ref Ref, x dag.Order) (dag.Outcome, []dag.Record, error) {
	if x.Makes() {
		c.mu.Lock()
		c.made[x.Name]++
		c.mu.Unlock()
	}
	o, changed, err := c.work.Carry(ctx, ref, x)
	if ctx.Err() != nil {
		c.mu.Lock()
		c.cut++
		c.mu.Unlock()
	}
	return o, changed, err
}

func (c *carrier) did(step string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made[step]
}

// What calls a site is done by the worker of its lane alone. When another one has it, the first
// ends what it is at and takes nothing new; and the lane goes back when that one ends.
func TestLanesGoToOneWorker(t *testing.T) {
	s := temporaltest.New(t)
	w := newWorld(t, 6)
	w.At, w.Wait = "account in a region", 4*time.Second
	first, second := "", ""
	for i := 0; second == ""; i++ { // whose lane it is, if both are there
		if a, b := fmt.Sprint("a", i), fmt.Sprint("b", i); has(b, LaneOf(w.At), there(a)) {
			first, second = a, b
		}
	}
	begin := func(name string) (*carrier, *Worker, func()) {
		c := &carrier{work: &work{world: w}, name: name, made: map[string]int{}}
		worker := NewWorker(dial(t, s), c, 0, Version{})
		ctx, cancel := context.WithCancel(context.Background())
		over := make(chan error)
		go func() { over <- worker.Run(ctx) }()
		end := sync.OnceFunc(func() {
			cancel()
			if err := <-over; err != nil {
				t.Error(err)
			}
		})
		t.Cleanup(end)
		return c, worker, end
	}
	serve := func(w *Worker, self string, others ...string) {
		t.Helper()
		if err := w.Serve(self, there(others...)); err != nil {
			t.Fatal(err)
		}
	}
	lane := uint32(1) << LaneOf(w.At)
	a, one, _ := begin(first)
	serve(one, first)
	b, two, endB := begin(second)
	if err := dial(t, s).Submit(t.Context(), Ref{"run", 1}, Submission{Template: "toy.json"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all scripts are at work", func() bool { return a.did("script") == w.Builds })
	serve(one, first, second)
	serve(two, second, first)
	if one.Busy()&lane == 0 || two.Busy()&lane == 0 {
		t.Errorf("lanes %b and %b: the first has calls to end, the second takes new ones", one.Busy(), two.Busy())
	}
	eventually(t, "all images are made", func() bool { return a.did("image")+b.did("image") == w.Builds })
	if err := dial(t, s).Watch(t.Context(), "run"); err != nil {
		t.Fatal(err)
	}
	if x := w.ended(t); !x.well() {
		t.Errorf("it has ended so: %+v", x)
	}
	eventually(t, "the first has left the lane", func() bool { return one.Busy()&lane == 0 })
	if a.cut != 0 || a.did("script") != w.Builds || b.did("script") != 0 || b.did("image") != w.Builds || b.did("box") != 0 {
		t.Errorf("the first did %v, cut off %d; the second did %v", a.made, a.cut, b.made)
	}
	endB()
	serve(one, first)
	os.Remove(w.path("records"))
	w.Wait = 0
	if x := submitted(t, dial(t, s), w, Ref{"later", 1}); !x.well() || a.did("image") != w.Builds {
		t.Errorf("it has ended so: %+v; the first did %v", x, a.made)
	}
}

// An order is on the queue of its site's lane, and one without a site on that of all.
func TestQueues(t *testing.T) {
	if q := queueOf(dag.Order{}); q != taskQueue {
		t.Errorf("an order without a site is on %s", q)
	}
	seen := map[string]bool{}
	for i := range 200 {
		q := queueOf(dag.Order{Site: fmt.Sprint("site ", i)})
		if q != queueOf(dag.Order{Site: fmt.Sprint("site ", i)}) || !strings.HasPrefix(q, taskQueue+"/lane-") {
			t.Errorf("site %d is on %s", i, q)
		}
		seen[q] = true
	}
	if len(seen) != Lanes {
		t.Errorf("200 sites are on %d of %d lanes", len(seen), Lanes)
	}
}
