package aws

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// mortal is a store whose process dies at a write: before it lands, or after.
type mortal struct {
	dag.MemStore
	mu     sync.Mutex
	at     int // the write that kills; 0 for none
	lands  bool
	writes int
	dead   bool
}

var errDead = errors.New("the process is dead")

func (s *mortal) Put(rs ...dag.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return errDead
	}
	s.writes++
	if s.writes == s.at {
		s.dead = true
		if s.lands {
			s.MemStore.Put(rs...)
		}
		return errDead
	}
	return s.MemStore.Put(rs...)
}

// deaths has a build die at every stepth write of its store, before that lands and after, each time in
// a world of its own. Then is what another process does with what the store has.
func deaths(t *testing.T, step int, graph func(*world) *dag.Graph, then func(w *world, g *dag.Graph, at int, store *dag.MemStore)) {
	count := &mortal{}
	w := newWorld(t, ec2local.Faults{})
	w.build(count, graph(w))
	if *every {
		step = 1
	}
	for at := 1; at <= count.writes; at += step {
		for _, lands := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d landed %v", at, lands), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, ec2local.Faults{})
				w.cloud.o.ConsistencyWindow = 50 * time.Millisecond
				store := &mortal{at: at, lands: lands}
				g := graph(w)
				if _, err := w.engine(store, &events{}).Solve(t.Context(), g); err == nil && store.dead {
					t.Fatal("the death was not noticed")
				}
				last := &dag.MemStore{}
				last.Put(must(store.All())...)
				w.forget(g)
				then(w, g, at, last)
			})
		}
	}
}

// destroyed removes all that a store has.
func (w *world) destroyed(e *dag.Engine) {
	w.t.Helper()
	left, err := e.Destroy(w.t.Context(), func(dag.Record) bool { return true })
	if err != nil || len(left) > 0 {
		w.t.Fatal(left, err)
	}
}

// A build dies at every write of its store. Resumed, it ends with exactly one
// image of the only instance that ever was; destroyed, it leaves nothing.
func TestDeathAtEveryWrite(t *testing.T) {
	graph := func(w *world) *dag.Graph {
		b := whole()
		b.TemporaryPolicy = reading
		return w.graph(b)
	}
	deaths(t, 3, graph, func(w *world, g *dag.Graph, at int, store *dag.MemStore) {
		if at%2 == 0 { // a second death, somewhere in the resume
			second := &mortal{}
			second.Put(must(store.All())...)
			second.at, second.writes = 2+at/2, 0
			w.engine(second, &events{}).Solve(w.t.Context(), g)
			store = &dag.MemStore{}
			store.Put(must(second.All())...)
			w.forget(g)
		}
		e := w.build(store, g)
		w.only(1)
		all, err := w.site().describeInstances(w.t.Context())
		if err != nil || len(all) != 1 {
			w.t.Errorf("%d instances ever were, %v", len(all), err)
		}
		w.nothingOfIAM()
		w.destroyed(e)
		w.only(0)
	})
	t.Run("destroy", func(t *testing.T) {
		deaths(t, 3, graph, func(w *world, _ *dag.Graph, _ int, store *dag.MemStore) {
			w.destroyed(w.engine(store, &events{}))
			w.only(0)
			w.nothingOfIAM()
		})
	})
}

// forget makes the cloud that of a new process, which knows the graph alone.
func (w *world) forget(g *dag.Graph) {
	w.cloud = NewCloud(w.cloud.o)
	w.cloud.Learn(g.Nodes)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
