package dag

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// asData is a value as it arrives in another process.
func asData[T any](t *testing.T, v T) (back T) {
	t.Helper()
	p, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(p, &back)
	}
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// elsewhere drives a pass as it is driven where the one who decides and those who do are
// in processes of their own: all that passes between them is data, each order is carried
// out by another engine, which may die, and so may the one who decides when nothing is
// on its way.
type elsewhere struct {
	t      *testing.T
	r      *rand.Rand
	w      *world
	st     *MemStore
	o      Options
	losses int
	passes int
}

func (x *elsewhere) engine(st Store) *Engine {
	o := x.o
	o.Run, o.Store, o.Kinds = "run", st, toyKinds(x.w)
	e, err := New(o)
	if err != nil {
		x.t.Fatal(err)
	}
	return e
}

// carry has an order carried out, by as many as it takes. What the records and the
// world show to be over is not done once more.
func (x *elsewhere) carry(g *Graph, order Order) (Outcome, []Record) {
	run := order.Makes()
	for order.Name != "image" && x.r.IntN(4) == 0 { // a failing image is made all the same, and so would be found
		x.losses++
		e := x.engine(&dying{MemStore: x.st, n: 1 + x.r.IntN(5), late: x.r.IntN(2) == 0})
		e.Carry(context.Background(), g, asData(x.t, order))
		if run && order.Try < mostLosses-1 && x.r.IntN(3) == 0 {
			return Outcome{Err: &RetryError{Err: &lostError{"gone"}}}, nil
		}
		order.Again = true
	}
	e := x.engine(x.st)
	r, _ := e.rec(order.Key)
	over := order.Removal && r.Status == Gone || run && r.Status == Done || order.Again && run && r.Alive() && x.w.find(e.task(r, true)) == nil
	before := len(x.w.log)
	o, changed := e.Carry(context.Background(), g, asData(x.t, order))
	if did := x.w.log[before:]; over && len(did) > 0 {
		x.t.Errorf("%s of %s, which is over, did %s", order.Action, order.Name, did)
	}
	return asData(x.t, o), asData(x.t, changed)
}

func (x *elsewhere) pass(g *Graph) *Pass {
	x.passes++
	e := x.engine(x.st)
	var slim []Record
	for _, r := range e.Records() {
		slim = append(slim, asData(x.t, r.Slim()))
	}
	rules := e.Rules()
	rules.Patience = nil
	s, err := e.Skeleton(g)
	if err != nil {
		x.t.Fatal(err)
	}
	return NewPass(asData(x.t, s), slim, rules)
}

func (x *elsewhere) solve(g *Graph) (*Report, error) {
	p := x.pass(g)
	now := time.Now()
	var pending []Order
	for {
		for _, o := range p.Decide(now) {
			switch {
			case o.Action == Finish:
				report, err := p.Result()
				if err != nil {
					return report, err
				}
				back := asData(x.t, *report)
				return &back, nil
			case o.Call():
				pending = append(pending, o)
			default:
				if err := x.engine(x.st).Tell(g, asData(x.t, o)); err != nil {
					x.t.Error(err)
				}
			}
		}
		if len(pending) == 0 {
			now = p.Next()
			continue
		}
		i := x.r.IntN(len(pending))
		o := pending[i]
		pending = slices.Delete(pending, i, i+1)
		out, changed := x.carry(g, o)
		now = now.Add(time.Second)
		p.Ended(o, out, changed, now)
		if report, _ := p.Result(); len(pending) == 0 && p.Next().IsZero() && len(report.Failed) == 0 && out.Err == nil && x.r.IntN(3) == 0 {
			p = x.pass(g)
		}
	}
}

// ending is how a run has ended.
func ending(w *world, st *MemStore, r *Report, err error) string {
	var lines []string
	for _, f := range r.Failed {
		lines = append(lines, "failed "+f.Name+" "+f.Node.Key.Short())
	}
	for _, n := range r.Skipped {
		lines = append(lines, "skipped "+n.Name+" "+n.Key.Short())
	}
	for _, f := range r.Left {
		lines = append(lines, "left "+f.Name)
	}
	recs, _ := st.All()
	for _, r := range recs {
		lines = append(lines, fmt.Sprint(r.Name, r.Key.Short(), r.Status, r.Kept, r.Spent, r.Gen, r.Tries))
	}
	slices.Sort(lines)
	return fmt.Sprintf("%s\nsuspended %v, %v: %s", strings.Join(lines, "\n"), r.Suspended, err, w.left())
}

// A run whose orders are carried out elsewhere, by those who may be lost, ends as one
// that is solved here.
func TestCarriedOutElsewhereItEndsAsHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		losses, passes, failed := 0, 0, 0
		for seed := range uint64(300) {
			r := rand.New(rand.NewPCG(seed, 11))
			builds := 1 + r.IntN(3)
			graph := func() *Graph {
				g := NewGraph(nil)
				for b := range builds {
					toyBuild(g, fmt.Sprint("b", b), "one", fmt.Sprint("two", b), "three")
				}
				return g
			}
			o := Options{Parallel: r.IntN(3)}
			if r.IntN(2) == 0 {
				o.OnFailure = func(context.Context, Node, error) Decision { return Suspend }
			}
			fail := map[string]error{}
			for range r.IntN(3) {
				what := []string{"sh one", "sh two0", "sh two1", "connect b1", "stop", "image b0"}[r.IntN(6)]
				fail[what] = []error{errBoom, Retry(errBoom, 0)}[r.IntN(2)]
			}
			here, there := newWorld(), newWorld()
			here.fail, there.fail = fail, fail
			st := &MemStore{}
			report, err := toyEngine(t, here, st, o).Solve(context.Background(), graph())
			want := ending(here, st, report, err)
			x := &elsewhere{t: t, r: r, w: there, st: &MemStore{}, o: o}
			report, err = x.solve(graph())
			if got := ending(there, x.st, report, err); got != want {
				t.Fatalf("seed %d: elsewhere it ends as\n%s\nand here as\n%s\nelsewhere it did %s", seed, got, want, there.log)
			}
			losses, passes, failed = losses+x.losses, passes+x.passes, failed+len(report.Failed)
		}
		if losses < 1000 || passes < 600 || failed < 100 {
			t.Errorf("%d orders were lost, %d passes began, %d steps failed: that shows little", losses, passes, failed)
		}
	})
}

// Many orders are carried out side by side by one engine, while others' records come in.
func TestCarriedOutSideBySide(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	g := NewGraph(nil)
	for b := range 8 {
		toyBuild(g, fmt.Sprint("b", b), "one")
	}
	e := toyEngine(t, w, st, Options{})
	s, err := e.Skeleton(g)
	if err != nil {
		t.Fatal(err)
	}
	p := NewPass(s, nil, e.Rules())
	type end struct {
		x       Order
		o       Outcome
		changed []Record
	}
	ends := make(chan end)
	var told sync.WaitGroup
	defer told.Wait()
	for {
		for _, x := range p.Decide(time.Now()) {
			switch {
			case x.Action == Finish:
				if r, err := p.Result(); err != nil || len(r.Failed) > 0 || w.count("launch") != 8 || w.count("terminate") != 8 || w.count("make keypair") != 1 {
					t.Errorf("%+v, %v after %s", r, err, w.log)
				}
				return
			case x.Call():
				go func() {
					if err := e.Update(st.All); err != nil {
						t.Error(err)
					}
					o, changed := e.With(st, nil).Carry(context.Background(), g, x)
					ends <- end{x, o, changed}
				}()
			default:
				told.Go(func() {
					if err := e.Tell(g, x); err != nil {
						t.Error(err)
					}
				})
			}
		}
		x := <-ends
		p.Ended(x.x, x.o, x.changed, time.Now())
	}
}

// Whatever an error means to a pass, it means as data, too.
func TestOutcomesAreData(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		same func(error) bool
	}{
		{"none", nil, func(err error) bool { return err == nil }},
		{"final", errBoom, func(err error) bool { return err.Error() == "boom" }},
		{"not found", ErrNotFound, func(err error) bool { return errors.Is(err, ErrNotFound) }},
		{"not kept", fmt.Errorf("x: %w", unkept(errBoom)), StoreFailed},
		{"not kept when interrupted", errors.Join(errSuspended, unkept(errBoom)), StoreFailed},
		{"interrupted", errSuspended, func(err error) bool { return errors.Is(err, errSuspended) }},
		{"lost", &RetryError{Err: &lostError{"gone"}}, func(err error) bool {
			_, again := retryAfter(err, 1)
			return again && errors.As(err, new(*lostError))
		}},
		{"passing", fmt.Errorf("y: %w", Retry(errBoom, 3*time.Second)), func(err error) bool {
			after, again := retryAfter(err, 1)
			return again && after == 3*time.Second && err.Error() == "y: boom"
		}},
		{"not made, and passing", Retry(NotMade(errBoom), 0), func(err error) bool {
			_, again := retryAfter(err, 1)
			return again && errors.As(err, new(*NotMadeError))
		}},
	} {
		for what, back := range map[string]error{
			"outcome": asData(t, Outcome{Err: c.err}).Err, "order": asData(t, Order{Err: c.err}).Err, "failure": asData(t, Failure{Err: c.err}).Err,
			"redacted": Outcome{Err: c.err}.Redacted(func(s string) string { return s }).Err,
		} {
			if !c.same(back) {
				t.Errorf("%s: as data of an %s it is %v", c.name, what, back)
			}
		}
	}
	if got := (Outcome{Err: errors.New("the word is hunter2")}).Redacted(func(s string) string { return strings.ReplaceAll(s, "hunter2", "…") }).Err.Error(); got != "the word is …" {
		t.Error(got)
	}
}

// What leaves for where it is decided holds no settings and no outputs.
func TestSlim(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	e := toyEngine(t, w, st, Options{})
	g := toyGraph("the-script-itself")
	clean(t, solve(t, e, g))
	s, err := e.Skeleton(g)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := json.Marshal(s)
	for _, r := range e.Records() {
		if s := r.Slim(); (s.Out == nil) != (r.Out == nil) {
			t.Errorf("%s: it is not told whether there is an output", r.Name)
		}
		one, _ := json.Marshal(r.Slim())
		p = append(p, one...)
	}
	for _, word := range []string{"the-script-itself", "addr of", "launching"} {
		if strings.Contains(string(p), word) {
			t.Errorf("%q is in what leaves", word)
		}
	}
	old := g.Nodes[0]
	old.Spec = json.RawMessage(`{"Region": "{{x}}"}`)
	for format, unreadable := range map[int]bool{0: true, specFormat: false} {
		old.Format = format
		if s, err := e.Skeleton(&Graph{Nodes: []Node{old}}); err != nil || s.Nodes[0].unreadable() != unreadable {
			t.Errorf("a skeleton does not tell what of format %d can be read: %v", format, err)
		}
	}
	old.Kind = "unheard-of"
	if _, err := e.Skeleton(&Graph{Nodes: []Node{old}}); err == nil || !strings.Contains(err.Error(), "unheard-of") {
		t.Errorf("a step that nobody can do: %v", err)
	}
}

// at is an environment whose steps call a site, which only what makes things says.
type at struct{ *world }

func (at) Site(spec json.RawMessage) string {
	var s struct{ Image string }
	json.Unmarshal(spec, &s)
	return s.Image
}

// sited makes a spot, off is done there, and between them is a step that calls nobody.
type (
	sited   struct{ Image string }
	spot    struct{ ID string }
	between struct{ Spot Out[spot] }
	off     struct{ Between Out[string] }
)

func (sited) Kind() string                                        { return "toy.sited" }
func (sited) Do(context.Context, at, *Task) (spot, error)         { return spot{}, nil }
func (s spot) Find(context.Context, at, *Task) (spot, error)      { return s, nil }
func (spot) Undo(context.Context, at, *Task) error                { return nil }
func (between) Kind() string                                      { return "toy.between" }
func (between) Do(context.Context, *world, *Task) (string, error) { return "", nil }
func (off) Kind() string                                          { return "toy.off" }
func (off) Do(context.Context, at, *Task) (string, error)         { return "", nil }

// A step calls where its settings say, or else where what it reads was made, through whatever
// is done on the way, which calls nobody. The orders of a pass over the skeleton say so.
func TestWhereStepsCall(t *testing.T) {
	w := newWorld()
	st := &MemStore{}
	e, err := New(Options{Run: "r", Store: st, Kinds: []Kind{Bind[sited](at{w}), Bind[between](w), Bind[off](at{w})}})
	if err != nil {
		t.Fatal(err)
	}
	g := NewGraph(nil)
	for _, site := range []string{"here", "there"} {
		b := Build{Name: site}
		i := Add(g, b, "launch", sited{site})
		Goal(g, Add(g, b, "off", off{Add(g, b, "between", between{i})}))
	}
	s, err := e.Skeleton(g)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"launch here": "here", "between here": "", "off here": "here", "launch there": "there", "between there": "", "off there": "there"}
	for _, n := range asData(t, s).Nodes {
		if what := n.Name + " " + n.Builds[0]; n.Site != want[what] {
			t.Errorf("%s calls %q", what, n.Site)
		}
	}
	p := NewPass(s, nil, Rules{})
	for _, x := range p.Decide(time.Now()) {
		if site := asData(t, x).Site; x.Makes() && site != "here" && site != "there" {
			t.Errorf("the order for %s is for %q", x.Name, site)
		}
	}
	var recs []Record
	for _, n := range g.Nodes {
		recs = append(recs, Record{Node: n, Status: Doing})
	}
	e.recs.note(recs...)
	for _, r := range e.Slim(recs) {
		if what := r.Name + " " + r.Builds[0]; r.Site != want[what] {
			t.Errorf("the record of %s says %q", what, r.Site)
		}
	}
	for _, x := range NewRemoval(e.Slim(recs[:1]), func(Record) bool { return true }).Decide(time.Now()) {
		if x.Call() && x.Site != "here" {
			t.Errorf("the removal of %s is for %q", x.Name, x.Site)
		}
	}
}
