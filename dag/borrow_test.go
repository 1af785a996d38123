package dag

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// common marks the toy's images and what is looked up as common to runs.
func (image) Common() {}

// sight is a lookup.
type sight struct{ Of string }

func (sight) Kind() string { return "toy.sight" }
func (sight) Common()      {}
func (s sight) Do(ctx context.Context, w *world, t *Task) (string, error) {
	err := w.did("look for %s", s.Of)
	if w.pause > 0 {
		time.Sleep(w.pause)
	}
	return "what " + t.Run + " has seen", err
}

// runs know what each of them makes.
type runs struct {
	t  *testing.T
	mu sync.Mutex

	makers map[Key]string
	stores map[string]*MemStore
	asked  int
}

// fellow is one of them.
type fellow struct {
	*runs
	run string
}

func (r *runs) others(m *fellow) map[Key]string {
	others := maps.Clone(r.makers)
	maps.DeleteFunc(others, func(_ Key, run string) bool { return run == m.run })
	return others
}

func (m *fellow) Claim(steps []Key, choose func(map[Key]string) []Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	for _, k := range choose(m.others(m)) {
		m.makers[k] = m.run
	}
	return nil
}

func (m *fellow) Await(ctx context.Context, step Key, steps []Key, told func(string)) (string, []Record, error) {
	for last := ""; ; time.Sleep(time.Second) {
		m.mu.Lock()
		run := m.makers[step]
		of := run
		if of == "" {
			of = last
		}
		var recs []Record
		if of != "" && of != m.run {
			m.stores[of].mu.Lock()
			r := m.stores[of].m[step]
			if r.Status == Done && (r.Kept || !r.Thing && run == "") {
				for _, k := range steps {
					recs = append(recs, m.stores[of].m[k])
				}
			}
			m.stores[of].mu.Unlock()
		}
		switch {
		case recs != nil:
		case run == "":
			m.makers[step] = m.run
		}
		m.mu.Unlock()
		if recs != nil {
			return of, recs, nil
		}
		if run == "" || run == m.run {
			return "", nil, nil
		}
		if run != last {
			told(run)
			last = run
		}
		if ctx.Err() != nil {
			return "", nil, ctx.Err()
		}
	}
}

func (m *fellow) Leave(steps ...Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range steps {
		if m.makers[k] == m.run {
			delete(m.makers, k)
		}
	}
	return nil
}

func (m *fellow) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.makers, func(_ Key, run string) bool { return run == m.run })
}

// drive drives one run as a fleet does, and returns how it has ended.
func (r *runs) drive(ctx context.Context, run string, w *world, sink Sink, parallel int, g *Graph) (*Report, *MemStore) {
	m := &fellow{runs: r, run: run}
	r.mu.Lock()
	st := r.stores[run]
	if st == nil {
		st = &MemStore{}
		r.stores[run] = st
	}
	r.mu.Unlock()
	e, err := New(Options{Run: run, Store: st, Kinds: append(toyKinds(w), Bind[sight](w)), Makers: m, Sink: sink, Parallel: parallel})
	if err != nil {
		r.t.Fatal(err)
	}
	defer m.end()
	s, err := e.Skeleton(g)
	if err != nil {
		r.t.Fatal(err)
	}
	rules := e.Rules()
	if rules.Elsewhere, err = e.Elsewhere(s); err != nil {
		r.t.Fatal(err)
	}
	var slim []Record
	for _, rec := range e.Records() {
		slim = append(slim, asData(r.t, rec.Slim()))
	}
	p := NewPass(asData(r.t, s), slim, rules)
	type end struct {
		x       Order
		o       Outcome
		changed []Record
	}
	ends := make(chan end)
	stop := ctx.Done()
	for {
		if ctx.Err() != nil {
			p.Interrupt()
			stop = nil
		}
		for _, x := range p.Decide(time.Now()) {
			switch {
			case x.Action == Finish:
				report, err := p.Result()
				if err != nil {
					r.t.Error(err)
				}
				return report, st
			case x.Call():
				go func() {
					o, changed := e.Carry(ctx, g, asData(r.t, x))
					ends <- end{x, asData(r.t, o), asData(r.t, changed)}
				}()
			default:
				if err := e.Tell(g, asData(r.t, x)); err != nil {
					r.t.Error(err)
				}
			}
		}
		timer := time.NewTimer(time.Hour)
		if at := p.Next(); !at.IsZero() {
			timer.Reset(time.Until(at))
		}
		select {
		case x := <-ends:
			p.Ended(x.x, x.o, x.changed, time.Now())
		case <-timer.C:
			if p.Next().IsZero() {
				r.t.Fatalf("run %s has waited for an hour: %v", run, r.makers)
			}
		case <-stop:
		}
	}
}

// slowly makes scripts take a second, so that runs are at work at the same time.
func slowly(w *world) *world {
	w.hook = func(what string) {
		if strings.HasPrefix(what, "sh ") || strings.HasPrefix(what, "image ") {
			time.Sleep(time.Second)
		}
	}
	return w
}

func newRuns(t *testing.T) *runs {
	return &runs{t: t, makers: map[Key]string{}, stores: map[string]*MemStore{}}
}

// eventsOf keeps what a run tells.
type eventsOf struct {
	mu  sync.Mutex
	all []Event
}

func (s *eventsOf) Emit(e Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, e)
	return nil
}
func (*eventsOf) Sync() error                  { return nil }
func (*eventsOf) Offset(string, string) int64  { return 0 }
func (*eventsOf) Break(_ []byte, most int) int { return most }
func (s *eventsOf) of(t EventType) (text []string) {
	for _, e := range s.all {
		if e.Type == t && e.Text != "" {
			text = append(text, e.Step+": "+e.Text)
		}
	}
	return text
}

// Of runs that need the same image at the same time one makes it; the others do nothing for it, wait, and
// have it as what is not theirs, with what comes after it to do.
func TestOneRunMakesWhatManyNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRuns(t), slowly(newWorld())
		var wg sync.WaitGroup
		var told eventsOf
		for i := range 5 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				var sink Sink
				if i == 4 {
					sink = &told
				}
				report, st := r.drive(t.Context(), fmt.Sprint("r", i), w, sink, 0, toyGraph("one", "two"))
				if len(report.Failed)+len(report.Skipped) > 0 || report.Suspended {
					t.Errorf("run %d: %+v", i, report)
				}
				for _, rec := range st.m {
					if rec.Name == "image" && (rec.Borrowed() != (i > 0) || rec.Alive() != (i == 0)) {
						t.Errorf("run %d has the image so: %+v", i, rec)
					}
				}
			})
		}
		wg.Wait()
		if w.count("launch") != 1 || w.count("image base") != 1 || w.count("make") != 2 || w.count("image ready") != 1 || w.count("share") != 5 {
			t.Errorf("they did %s", w.log)
		}
		if w.left() != "image" {
			t.Errorf("they leave %s", w.left())
		}
		if got := fmt.Sprint(told.of(Awaited), told.of(Borrowed)); got != "[image: image: run r0 makes it; waiting for that] [image: image, of run r0]" {
			t.Errorf("the last was told %s", got)
		}
		e := toyEngine(t, w, r.stores["r4"], Options{})
		if left, err := e.Destroy(t.Context(), func(Record) bool { return true }); err != nil || len(left) > 0 || w.left() != "image" {
			t.Errorf("what is removed with the last leaves %s, %v, %v", w.left(), left, err)
		}
	})
}

// When the run that makes it fails, or is interrupted, one of those that wait makes it.
func TestAnotherMakesWhatWasNotMade(t *testing.T) {
	for _, how := range []string{"a script fails", "the image fails", "its goal fails", "it is interrupted"} {
		synctest.Test(t, func(t *testing.T) {
			r, w := newRuns(t), slowly(newWorld())
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			what := map[string]string{"a script fails": "sh one", "the image fails": "image base", "its goal fails": "image ready", "it is interrupted": "sh one"}[how]
			if how != "it is interrupted" {
				w.fail[what] = errBoom
			}
			slow := w.hook
			w.hook = func(did string) {
				slow(did)
				if did == what {
					w.mu.Lock()
					delete(w.fail, what) // the next one has no such luck
					w.mu.Unlock()
					if how == "it is interrupted" {
						interrupt()
					}
				}
			}
			var wg sync.WaitGroup
			ends := make([]*Report, 4)
			for i := range ends {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * time.Millisecond)
					of := t.Context()
					if i == 0 {
						of = ctx
					}
					ends[i], _ = r.drive(of, fmt.Sprint("r", i), w, nil, 0, toyGraph("one", "two"))
				})
			}
			wg.Wait()
			if ends[0].Suspended != (how == "it is interrupted") || (len(ends[0].Failed) == 1) == ends[0].Suspended {
				t.Errorf("%s: the first ended with %+v", how, ends[0])
			}
			for i, report := range ends[1:] {
				if len(report.Failed) > 0 || report.Suspended {
					t.Errorf("%s: waiter %d: %+v", how, i+1, report)
				}
			}
			if n := w.count("launch"); n != 2 || w.count("share") != 3 {
				t.Errorf("%s: %d launches: %s", how, n, w.log)
			}
		})
	}
}

// What is looked up at the same moment is looked up once; what was looked up before is looked up anew, and so is
// what another run could not find out.
func TestALookupIsSharedWhileItLasts(t *testing.T) {
	for _, fails := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r, w := newRuns(t), newWorld()
			w.pause = 10 * time.Second
			if fails {
				w.fail["look for x"] = errBoom
			}
			w.hook = func(string) {
				w.mu.Lock()
				defer w.mu.Unlock()
				delete(w.fail, "look for x")
			}
			look := func(run string) (*Report, string) {
				g := NewGraph(nil)
				Goal(g, Add(g, Build{Name: "b"}, "sight", sight{"x"}))
				report, st := r.drive(t.Context(), run, w, nil, 0, g)
				return report, string(st.m[g.Goals[0]].Out)
			}
			var wg sync.WaitGroup
			var seen [4]string
			for i := range seen {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * time.Second)
					report, out := look(fmt.Sprint("r", i))
					if (len(report.Failed) > 0) != (fails && i == 0) {
						t.Errorf("with a failure %v, run %d ends with %+v", fails, i, report)
					}
					seen[i] = out
				})
			}
			wg.Wait()
			want := 1 + map[bool]int{true: 1}[fails]
			if n := w.count("look"); n != want {
				t.Errorf("with a failure %v there are %d looks", fails, n)
			}
			if seen[1] != seen[2] || seen[2] != seen[3] || seen[1] == "" || (seen[0] == seen[1]) == fails {
				t.Errorf("with a failure %v they have seen %q", fails, seen)
			}
			if _, out := look("late"); out != `"what late has seen"` {
				t.Errorf("later %s is seen", out)
			}
		})
	}
}

// Whatever runs have in common, in whatever order they come to it, however much of it fails, all come to their end: none waits
// for one that waits for it. Nothing is made twice at the same time.
func TestRunsDoNotWaitForEachOther(t *testing.T) {
	borrowed, made, failures := 0, 0, 0
	for seed := range uint64(400) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 5))
			r, w := newRuns(t), newWorld()
			at := map[string]int{}
			w.hook = func(what string) {
				if strings.HasPrefix(what, "image b") {
					w.mu.Lock()
					if at[what]++; at[what] > 1 {
						t.Errorf("seed %d: two do %q at the same time", seed, what)
					}
					w.mu.Unlock()
				}
				time.Sleep(time.Duration(1+len(what)%3) * time.Second)
				w.mu.Lock()
				at[what]--
				w.mu.Unlock()
			}
			const kinds = 4
			graph := func(rnd *rand.Rand) *Graph {
				g := NewGraph(nil)
				for _, b := range rnd.Perm(kinds)[:1+rnd.IntN(kinds)] {
					chainedBuild(g, b)
				}
				// what comes after what differs from run to run
				readies := []int{}
				for i, n := range g.Nodes {
					if n.Name == "image-ready" {
						readies = append(readies, i)
					}
				}
				for i, n := range g.Nodes {
					if n.Name == "launch" && rnd.IntN(2) == 0 {
						for _, at := range readies {
							if at < i && rnd.IntN(2) == 0 {
								g.Sequence(g.Nodes[i].Key, g.Nodes[at].Key)
							}
						}
					}
				}
				return g
			}
			for range rnd.IntN(3) {
				w.fail[[]string{"sh s0", "sh s1", "image b2", "image ready", "look for net"}[rnd.IntN(5)]] = []error{errBoom, Retry(errBoom, time.Second)}[rnd.IntN(2)]
			}
			var wg sync.WaitGroup
			for i := range 2 + rnd.IntN(4) {
				own := rand.New(rand.NewPCG(seed, uint64(100+i)))
				g, parallel, begins := graph(own), own.IntN(3), time.Duration(own.IntN(8))*time.Second
				wg.Go(func() {
					time.Sleep(begins)
					report, st := r.drive(t.Context(), fmt.Sprint("r", i), w, nil, parallel, g)
					r.mu.Lock()
					defer r.mu.Unlock()
					failures += len(report.Failed)
					if report.Suspended || len(w.fail) == 0 && len(report.Failed) > 0 {
						t.Errorf("seed %d: run %d: %+v", seed, i, report)
					}
					for _, rec := range st.m {
						if rec.Alive() && !rec.Kept {
							t.Errorf("seed %d: run %d leaves %s", seed, i, rec.Name)
						}
						if rec.Name == "image" && rec.Status == Done {
							if made++; rec.Borrowed() {
								borrowed++
							}
						}
					}
				})
			}
			wg.Wait()
		})
	}
	if borrowed < 200 || made < 800 || failures < 100 {
		t.Errorf("%d of %d images were borrowed, %d steps failed: that shows little", borrowed, made, failures)
	}
}

// chainedBuild adds a build that is the same in every graph, and those that it begins with.
func chainedBuild(g *Graph, n int) Out[string] {
	b := Build{Name: fmt.Sprint("b", n), Type: "toy"}
	of := "ami-0"
	var base Out[string]
	if n > 0 && n%2 == 0 {
		base = chainedBuild(g, n/2)
	}
	net := Add(g, b, "sight", sight{"net"})
	k := Add(g, b, "keypair", keyPair{"here"})
	sg := Add(g, b, "group", group{"here"})
	i := Add(g, b, "launch", launch{Build: b.Name, Image: of + base.Key().String() + net.Key().Short(), Key: k, Group: sg})
	if base.Set() {
		g.Sequence(i.Key(), base.Key())
	}
	g.Sequence(i.Key(), net.Key())
	m := Add(g, b, "connect", connect{Build: b.Name, To: i.Take()})
	m = Add(g, b, "shell", shell{On: m.Take(), Script: fmt.Sprint("s", n)})
	st := Add(g, b, "stop", stop{Instance: i, After: m.Take()})
	Add(g, b, "regroup", regroup{Of: st})
	im := Add(g, b, "image", image{From: st, Name: b.Name})
	ready := Add(g, b, "image-ready", imageReady{Image: im})
	Keep(g, im, ready)
	Goal(g, Add(g, b, "share", share{Image: ready}))
	return ready
}

// Whatever becomes of what was borrowed, it is not this run's: it is missed, and made.
func TestWhatWasBorrowedMayVanish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRuns(t), slowly(newWorld())
		w.fail["share"] = errBoom
		var wg sync.WaitGroup
		for _, run := range []string{"r0", "r1"} {
			wg.Go(func() { r.drive(t.Context(), run, w, nil, 0, toyGraph("one")) })
		}
		wg.Wait()
		waiter := "r1"
		for run, st := range r.stores {
			for _, rec := range st.m {
				if rec.Name == "image" && rec.Borrowed() {
					waiter = run
				}
			}
		}
		delete(w.fail, "share")
		maker := map[string]string{"r0": "r1", "r1": "r0"}[waiter]
		e, err := New(Options{Run: maker, Store: r.stores[maker], Kinds: toyKinds(w)})
		if err != nil {
			t.Fatal(err)
		}
		if left, err := e.Destroy(t.Context(), func(Record) bool { return true }); err != nil || len(left) > 0 || w.left() != "" {
			t.Fatalf("%v, %v: there is %s", left, err, w.left())
		}
		report, st := r.drive(t.Context(), waiter, w, nil, 0, toyGraph("one"))
		if len(report.Failed) > 0 || w.left() != "image" {
			t.Errorf("%+v: there is %s", report, w.left())
		}
		for _, rec := range st.m {
			if rec.Name == "image" && (rec.Borrowed() || rec.Gen != 1 || !rec.Kept) {
				t.Errorf("the image is %+v", rec)
			}
		}
	})
}

// What leaves something beside its output, which its user looks for, is done by each run, and so is what is made with it.
func TestWhatLeavesMoreIsNotBorrowed(t *testing.T) {
	g := NewGraph(nil)
	chainedBuild(g, 2)
	own := map[string]Key{}
	for _, n := range g.Nodes {
		if n.Thing && n.Common {
			own[n.Builds[0]] = n.Key
		}
	}
	for _, c := range []struct {
		leaves string
		want   []Key
	}{{"", []Key{own["b1"], own["b2"]}}, {"b1", []Key{own["b2"]}}, {"b2", []Key{own["b1"]}}} {
		r := newRuns(t)
		e := toyEngine(t, newWorld(), &MemStore{}, Options{Makers: &fellow{runs: r, run: "r0"},
			Leaves: func(n Node) bool { return n.Name == "shell" && n.Builds[0] == c.leaves }})
		if _, err := e.Elsewhere(g); err != nil || len(r.makers) != len(c.want) || r.makers[c.want[0]] == "" {
			t.Errorf("when %q leaves something, the makers are %v, %v", c.leaves, r.makers, err)
		}
	}
}

// What could not be learned of others is no reason to make something twice.
func TestNobodyKnowsWhatOthersMake(t *testing.T) {
	e := toyEngine(t, newWorld(), &MemStore{}, Options{Makers: deaf{}})
	if _, err := e.Elsewhere(toyGraph("one")); !StoreFailed(err) {
		t.Errorf("the error is %v", err)
	}
	if got, err := toyEngine(t, newWorld(), &MemStore{}, Options{}).Elsewhere(toyGraph("one")); got != nil || err != nil {
		t.Errorf("where there are no others: %v, %v", got, err)
	}
}

type deaf struct{}

func (deaf) Claim([]Key, func(map[Key]string) []Key) error { return errors.New("no database") }
func (deaf) Await(context.Context, Key, []Key, func(string)) (string, []Record, error) {
	return "", nil, errors.New("no database")
}
func (deaf) Leave(...Key) error { return nil }

// What a run needs that others make is asked for once, however much it is.
func TestToAskForMuchIsToAskOnce(t *testing.T) {
	took := map[int]time.Duration{}
	for _, n := range []int{1, 10, 100, 1000} { // as many things
		g := NewGraph(nil)
		for b := range n {
			toyBuild(g, fmt.Sprint("b", b), "one")
		}
		for range 5 {
			r := newRuns(t)
			begun := time.Now()
			for _, run := range []string{"r0", "r1"} {
				e := toyEngine(t, newWorld(), &MemStore{}, Options{Makers: &fellow{runs: r, run: run}})
				elsewhere, err := e.Elsewhere(g)
				if want := map[string]int{"r1": n}[run]; err != nil || len(elsewhere) != want {
					t.Errorf("%s has %d of %d elsewhere, %v", run, len(elsewhere), want, err)
				}
			}
			if d := time.Since(begun); took[n] == 0 || d < took[n] {
				took[n] = d
			}
			if r.asked != 2 {
				t.Errorf("for %d things %d questions were asked", n, r.asked)
			}
		}
	}
	if took[1000] > 1000*took[10] { // a hundred times as much; what was asked in pairs would take 10,000 times as long
		t.Errorf("it takes %v", took)
	}
}

// What comes after what another run makes is claimed by nobody who only waits.
func TestWhoWaitsClaimsNothingBehind(t *testing.T) {
	g := NewGraph(nil)
	chainedBuild(g, 2)
	images := map[string]Key{}
	for _, n := range g.Nodes {
		if n.Thing && n.Common {
			images[n.Builds[0]] = n.Key
		}
	}
	r := newRuns(t)
	r.makers[images["b1"]] = "other"
	e := toyEngine(t, newWorld(), &MemStore{}, Options{Makers: &fellow{runs: r, run: "r0"}})
	if got, err := e.Elsewhere(g); err != nil || len(got) != 2 || len(r.makers) != 1 {
		t.Errorf("it waits for %v, %v, and the makers are %v", got, err, r.makers)
	}
}
