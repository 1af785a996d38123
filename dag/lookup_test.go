package dag

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
)

// look is a step that decides what other steps there are.
type look struct{ For string }
type lookOut struct{ Found string }

func (look) Kind() string { return "toy.look" }
func (l look) Do(_ context.Context, w *world, _ *Task) (lookOut, error) {
	return lookOut{l.For}, w.did("look %s", l.For)
}

// lookupGraph has two builds: web comes after a lookup, or awaits it, and db does not.
func lookupGraph(known bool) *Graph {
	g, web, db := NewGraph(nil), Build{Name: "web", Type: "toy"}, Build{Name: "db", Type: "toy"}
	key := Add(g, web, "data.toy.x", look{"x"}).Key()
	g.LookUp("toy.x", key)
	from := len(g.Nodes)
	if known {
		k := Add(g, web, "key", keyPair{"web"})
		Keep(g, k, k)
	} else {
		g.Await("web", []string{"toy.x"})
	}
	k := Add(g, db, "key", keyPair{"db"})
	Keep(g, k, k)
	g.Follow(key, from, map[string]bool{"web": true})
	return g
}

// A graph of which some is not known yet removes nothing, and its first part makes nothing; then what awaited a lookup
// comes after it, and what did not does not.
func TestLookups(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	old := NewGraph(nil)
	Add(old, Build{Name: "web"}, "key", keyPair{"old"})
	r := Record{Node: old.Nodes[0], Status: Done, Gen: 1, Out: []byte(`{"Name":"n"}`)}
	st.Put(r)
	w.things[r.Token("")] = "keypair"
	e, err := New(Options{Store: st, Kinds: []Kind{Bind[look](w), Bind[keyPair](w)}})
	if err != nil {
		t.Fatal(err)
	}

	g := lookupGraph(false)
	if p, err := e.Plan(g); err != nil || len(p.Removes) != 0 || len(p.Steps) != 2 {
		t.Errorf("the plan is %+v, %v", p, err)
	}
	var dot strings.Builder
	if err := g.DOT(&dot, nil); err != nil || !strings.Contains(dot.String(), `"`+g.Lookups["toy.x"].String()+`" -> "awaited-web"`) {
		t.Errorf("it is drawn as %s, %v", &dot, err)
	}
	if _, err := e.Solve(t.Context(), g.First()); err != nil || !slices.Equal(w.log, []string{"look x"}) {
		t.Errorf("the first part does %q, %v", w.log, err)
	}

	g = lookupGraph(true)
	if len(g.Nodes[1].After) != 1 || len(g.Nodes[2].After) != 0 {
		t.Errorf("%s comes after %v, %s after %v", g.Nodes[1].Name, g.Nodes[1].After, g.Nodes[2].Name, g.Nodes[2].After)
	}
	if g.Nodes[1].Key != Add(NewGraph(nil), Build{}, "key", keyPair{"web"}).Key() {
		t.Error("what comes before a step, and is not read, is part of its key")
	}
	w.log = nil
	if _, err := e.Solve(t.Context(), g); err != nil || len(w.log) != 3 || w.log[0] != "remove keypair" {
		t.Errorf("the whole does %q, %v", w.log, err)
	}
}

// heirGraph has a base, a build that is made of what the base makes, one that reads it, and one that needs neither.
func heirGraph(known bool) *Graph {
	g := NewGraph(nil)
	toyBuild(g, "base", "b.sh")
	ready := g.Nodes[len(g.Nodes)-2].Key // the share is last
	g.Result("base", ready)
	toyBuild(g, "other", "o.sh")
	reads := Build{Name: "reads", Type: "toy"}
	Goal(g, Add(g, reads, "share", shareAs{Image: Out[string]{key: ready}, As: "reads"}))
	from := len(g.Nodes)
	if known {
		toyBuild(g, "heir", "h.sh")
	} else {
		g.AwaitBuilds("heir", []string{"base"})
	}
	g.Follow(ready, from, map[string]bool{"heir": true})
	return g
}

// shareAs is a share that differs from others.
type shareAs struct {
	Image Out[string]
	As    string
}

func (shareAs) Kind() string { return "toy.shareas" }
func (s shareAs) Do(_ context.Context, w *world, _ *Task) (string, error) {
	return "shared", w.did("share as %s", s.As)
}

func heirEngine(t *testing.T, w *world, st Store, o Options) *Engine {
	t.Helper()
	o.Run, o.Store, o.Kinds = "run", st, append(toyKinds(w), Bind[shareAs](w))
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// What comes first are the builds that others await, and nothing else of the graph is touched: what they make is kept, and
// what was made for an earlier form stays.
func TestHeirs(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	if _, err := heirEngine(t, w, st, Options{OnFailure: func(context.Context, Node, error) Decision { return Suspend }}).Solve(t.Context(), func() *Graph {
		w.fail["sh old.sh"] = errBoom
		return toyGraph("old.sh")
	}()); err != nil {
		t.Fatal(err)
	}
	w.log = nil
	e, g := heirEngine(t, w, st, Options{}), heirGraph(false)
	if p, err := e.Plan(g); err != nil || len(p.Removes) > 0 || !g.Open() {
		t.Fatalf("%v removes %v", err, p.Removes)
	}
	report, err := e.Solve(t.Context(), g.First())
	if err != nil || len(report.Failed)+len(report.Left) > 0 {
		t.Fatal(report, err)
	}
	if done := strings.Join(w.log, ", "); strings.Contains(done, "o.sh") || strings.Contains(done, "reads") || !strings.Contains(done, "share") {
		t.Errorf("first it does %s", done)
	}
	if kept := slices.Sorted(maps.Values(w.things)); !slices.Equal(kept, []string{"image"}) {
		t.Errorf("then there are %v", kept)
	}
	g, w.log = heirGraph(true), nil
	if _, err := e.Solve(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	if done := strings.Join(w.log, ", "); strings.Contains(done, "b.sh") || !strings.Contains(done, "h.sh") || !strings.Contains(done, "o.sh") || !strings.Contains(done, "reads") {
		t.Errorf("then it does %s", done)
	}
	if kept := slices.Sorted(maps.Values(w.things)); !slices.Equal(kept, []string{"image", "image", "image"}) {
		t.Errorf("at last there are %v", kept)
	}
}

// What has failed is not tried again in the rest of a graph, what it holds stays, and what comes after it is skipped.
func TestWithout(t *testing.T) {
	for failing, want := range map[string]struct {
		skipped, done string // the first of what is skipped; what is done of interest
		things        []string
	}{
		"sh b.sh": {"reads/share heir/launch", "sh o.sh, share", []string{"group", "image", "instance"}},
		"share":   {"", "sh h.sh, sh o.sh, share, share, share as reads", []string{"image", "image", "image"}},
	} {
		w := newWorld()
		w.fail[failing] = errBoom
		e := heirEngine(t, w, &MemStore{}, Options{OnFailure: func(context.Context, Node, error) Decision { return Suspend }})
		tried, err := e.Solve(t.Context(), heirGraph(false).First())
		if err != nil || len(tried.Failed) != 1 {
			t.Fatal(tried, err)
		}
		delete(w.fail, failing)
		w.log = nil
		rest, skipped := heirGraph(true).Without(tried)
		if report, err := e.Solve(t.Context(), rest); err != nil || len(report.Failed)+len(report.Skipped)+len(report.Left) > 0 {
			t.Fatal(report, err)
		}
		done := slices.DeleteFunc(slices.Sorted(slices.Values(w.log)), func(s string) bool { return !strings.HasPrefix(s, "sh") })
		things := slices.Sorted(maps.Values(w.things))
		var first []string
		for _, n := range skipped[:min(2, len(skipped))] {
			first = append(first, n.Builds[0]+"/"+n.Name)
		}
		if strings.Join(first, " ") != want.skipped || strings.Join(done, ", ") != want.done || !slices.Equal(things, want.things) {
			t.Errorf("%s fails: skipped %v, then done %v, there are %v", failing, first, done, things)
		}
	}
}

// choice is a step that chooses, or not.
type choice struct {
	Free  bool
	After Out[keyPairOut]
}

func (choice) Kind() string    { return "toy.choice" }
func (c choice) Chooses() bool { return c.Free }
func (c choice) Do(context.Context, *world, *Task) (lookOut, error) {
	return lookOut{}, nil
}

// Of a graph the choices are its lookups and what chooses, with what these need, but not what depends
// on a thing.
func TestChoices(t *testing.T) {
	g, web := NewGraph(nil), Build{Name: "web", Type: "toy"}
	g.LookUp("toy.x", Add(g, web, "data.toy.x", look{"x"}).Key())
	Add(g, web, "look", look{"y"})
	free := Add(g, web, "free", choice{Free: true})
	Add(g, web, "named", choice{})
	made := Add(g, web, "key", keyPair{"web"})
	Add(g, web, "later", choice{Free: true, After: made})
	Keep(g, made, made)
	names := func(g *Graph) (names []string) {
		for _, n := range g.Nodes {
			names = append(names, n.Name)
		}
		return names
	}
	p := g.Choices()
	if got := names(p); !slices.Equal(got, []string{"data.toy.x", "free"}) || !slices.Contains(p.Goals, free.Key()) || len(p.Goals) != 2 {
		t.Errorf("chosen are %q for %v", got, p.Goals)
	}
	e, err := New(Options{Store: &MemStore{}, Kinds: []Kind{Bind[look](newWorld()), Bind[choice](newWorld()), Bind[keyPair](newWorld())}})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := e.Solve(t.Context(), p); err != nil || len(r.Failed) > 0 || len(e.Records()) != 2 {
		t.Errorf("%+v, %v, %d steps were done", r, err, len(e.Records()))
	}
}
