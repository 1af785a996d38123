package dag

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
)

// putsOff is a store that has on its disk what it must, and no more.
type putsOff struct {
	MemStore // the disk
	off      []Record
	puts     int
}

func (s *putsOff) Put(rs ...Record) error {
	s.mu.Lock()
	all := append(s.off, rs...)
	s.off = nil
	s.puts++
	s.mu.Unlock()
	return s.MemStore.Put(all...)
}

func (s *putsOff) Later(rs ...Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = append(s.off, rs...)
	return nil
}

func (s *putsOff) status(k Key) Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[k].Status
}

// witness is a runner that looks at the disk before anything changes outside.
type witness struct {
	Runner
	t    *testing.T
	st   *putsOff
	g    *Graph
	seen atomic.Int64
}

func (w *witness) on(c Call, want Status, because []Key) {
	w.seen.Add(1)
	if got := w.st.status(c.Key); got != want {
		w.t.Errorf("%s: on the disk it is %q when it must be %q", c.Name, got, want)
	}
	for _, k := range because {
		if n, _ := w.g.Node(k); w.st.status(k) == Doing || w.st.status(k) == "" {
			w.t.Errorf("%s: it begins though %s is %q on the disk", c.Name, n.Name, w.st.status(k))
		}
	}
}

func (w *witness) Do(ctx context.Context, c Call, h Host) Result {
	if n, _ := w.g.Node(c.Key); n.Thing || len(n.Takes) > 0 {
		w.on(c, Doing, n.Needs)
	}
	return w.Runner.Do(ctx, c, h)
}

func (w *witness) Undo(ctx context.Context, c Call, h Host) Result {
	var readers []Key
	for _, n := range w.g.Nodes {
		if slices.Contains(n.Needs, c.Key) {
			readers = append(readers, n.Key)
		}
	}
	w.on(c, Undoing, readers)
	return w.Runner.Undo(ctx, c, h)
}

// TestDiskBeforeTheWorld holds that nothing changes outside before the disk says why,
// and that nothing else waits for the disk.
func TestDiskBeforeTheWorld(t *testing.T) {
	w, st, g := newWorld(), &putsOff{}, toyGraph("a", "b")
	eyes := &witness{Runner: InProcess(toyKinds(w)), t: t, st: st, g: g}
	e, err := New(Options{Run: "run", Store: st, Kinds: toyKinds(w), Runner: eyes, Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	clean(t, solve(t, e, g))
	if n := int(eyes.seen.Load()); st.puts != n+1 { // and when the pass ends
		t.Errorf("%d changes outside waited for the disk %d times", n, st.puts)
	}
	if len(st.off) > 0 {
		t.Errorf("%d records are not on the disk when the pass ends", len(st.off))
	}

	// A removal, too.
	st.off, st.puts = nil, 0
	eyes.seen.Store(0)
	if left, err := e.Destroy(t.Context(), func(Record) bool { return true }); err != nil || len(left) > 0 {
		t.Fatal(left, err)
	}
	if eyes.seen.Load() != 1 || st.puts != 2 || len(st.off) > 0 {
		t.Errorf("a removal waited for the disk %d times, for %d changes outside; %d records are not there", st.puts, eyes.seen.Load(), len(st.off))
	}
}

// What decides about builds is on the disk when it is told.
func TestLookupIsKept(t *testing.T) {
	w, st, g := newWorld(), &putsOff{}, lookupGraph(false).First()
	told := ""
	e, err := New(Options{Store: st, Kinds: []Kind{Bind[look](w), Bind[keyPair](w)}, Sink: tells(func(ev Event) {
		if ev.Type == Finished {
			told = fmt.Sprint(st.status(g.Lookups["toy.x"]))
		}
	})})
	if err != nil {
		t.Fatal(err)
	}
	clean(t, solve(t, e, g))
	if told != string(Done) {
		t.Errorf("it was told when on the disk it was %q", told)
	}
}

// A pass whose last records could not be kept has not ended well.
func TestEndIsKept(t *testing.T) {
	st := &dying{MemStore: &MemStore{}, n: 3} // intent, end, and what is written when the pass ends
	e, err := New(Options{Store: st, Kinds: []Kind{Bind[look](newWorld())}})
	if err != nil {
		t.Fatal(err)
	}
	g := NewGraph(nil)
	g.goal(Add(g, Build{Name: "web"}, "look", look{"x"}).Key())
	if _, err := e.Solve(t.Context(), g); err == nil {
		t.Error("nobody is told")
	}
	if st.lost != 2 {
		t.Errorf("%d records were put off until the pass ended", st.lost)
	}
}

// tells is a sink that hands events on.
type tells func(Event)

func (f tells) Emit(e Event) error            { f(e); return nil }
func (tells) Break(_ []byte, most int) int    { return most }
func (tells) Sync() error                     { return nil }
func (tells) Offset(string, string) (n int64) { return 0 }
