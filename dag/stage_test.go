package dag

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// divided solves what builds share first, then each build by itself, and removes last
// what they have shared, unless something is left that may stand on it.
func divided(t *testing.T, w *world, st Store, o Options, g *Graph) *Report {
	t.Helper()
	all := &Report{}
	part := func(p *Graph) {
		t.Helper()
		all.Add(solve(t, toyEngine(t, w, st, o), p))
	}
	part(toyEngine(t, w, st, o).Shared(g))
	if len(all.Failed) > 0 {
		return all
	}
	for _, b := range g.Builds() {
		part(g.Of(b))
	}
	e := toyEngine(t, w, st, o)
	held := slices.ContainsFunc(e.Records(), func(r Record) bool { return r.Alive() && !r.Kept && len(r.Builds) == 1 })
	if !held {
		left, err := e.Destroy(context.Background(), Unkept)
		if err != nil || len(left) > 0 {
			t.Errorf("removed: %v, %v", left, err)
		}
	}
	return all
}

// A run that is solved build by build comes to what one comes to that is solved at once.
func TestDividedItEndsAsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(100) {
			r := rand.New(rand.NewPCG(seed, 12))
			graph := func() *Graph {
				g := NewGraph(nil)
				for b := range 1 + r.IntN(3) {
					toyBuild(g, fmt.Sprint("b", b), "one", fmt.Sprint("two", b))
				}
				return g
			}
			g := graph()
			o := Options{}
			if r.IntN(2) == 0 {
				o.OnFailure = func(context.Context, Node, error) Decision { return Suspend }
			}
			fail := map[string]error{}
			for range r.IntN(3) {
				fail[[]string{"sh two0", "sh two1", "connect b1", "launch b2", "make group"}[r.IntN(5)]] = errBoom
			}
			whole, parts := newWorld(), newWorld()
			whole.fail, parts.fail = fail, fail
			st := [2]*MemStore{{}, {}}
			failed := func(r *Report) string {
				var names []string
				for _, f := range r.Failed {
					names = append(names, fmt.Sprint(f.Name, f.Node.Builds))
				}
				slices.Sort(names)
				return strings.Join(names, " ")
			}
			for range 2 { // the second time without what has failed
				want := failed(solve(t, toyEngine(t, whole, st[0], o), g))
				got := failed(divided(t, parts, st[1], o, g))
				held := strings.Contains(parts.left(), "instance")
				if got != want || !held && parts.left() != whole.left() || parts.count("launch") != whole.count("launch") || parts.count("make keypair") > whole.count("make keypair") {
					t.Fatalf("seed %d: divided %q is left, %q has failed; whole: %q, %q\n%s\n%s", seed, parts.left(), got, whole.left(), want, parts.log, whole.log)
				}
				clear(fail)
			}
		}
	})
}

// What the builds share is looked for once, not by each of them.
func TestWhatIsLentIsLookedForOnce(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	g := NewGraph(nil)
	for b := range 4 {
		toyBuild(g, fmt.Sprint("b", b), "one")
	}
	w.fail["launch b0"], w.fail["launch b1"] = errBoom, errBoom
	suspending := Options{OnFailure: func(context.Context, Node, error) Decision { return Suspend }}
	divided(t, w, st, suspending, g)
	l := &losing{Runner: InProcess(toyKinds(w))}
	w.fail = nil
	divided(t, w, st, Options{Runner: l}, g)
	looks := 0
	for _, c := range l.calls {
		if strings.HasPrefix(c, "find") {
			looks++
		}
	}
	if want := 2 + 2; looks != want { // the key pair and the group, and the two whose launch had failed
		t.Errorf("%d looks, want %d: %s", looks, want, l.calls)
	}
}

// What a step that all need has left is not removed under what still stands on it.
func TestWhatIsSharedStaysUnderBuilds(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	g := NewGraph(nil)
	for b := range 3 {
		toyBuild(g, fmt.Sprint("b", b), "one")
	}
	w.fail["connect b0"], w.fail["launch b1"] = errBoom, errBoom
	divided(t, w, st, Options{OnFailure: func(context.Context, Node, error) Decision { return Suspend }}, g)
	e := toyEngine(t, w, st, Options{})
	shared := e.Shared(g)
	if recs := e.RecordsOf(shared); len(recs) != 4 || !slices.ContainsFunc(recs, func(r Record) bool { return r.Name == "launch" }) {
		t.Errorf("of what is shared %d records are known", len(recs))
	}
	if recs := e.RecordsOf(g.Of("b2")); len(recs) < 10 || slices.ContainsFunc(recs, func(r Record) bool { return len(r.Builds) == 1 && r.Builds[0] != "b2" }) {
		t.Errorf("of a build %d records are known", len(recs))
	}
	w.fail = map[string]error{}
	divided(t, w, st, Options{}, g)
	e = toyEngine(t, w, st, Options{})
	if recs := e.RecordsOf(e.Shared(g)); len(recs) != 0 {
		t.Errorf("nothing is to be shared any more, and %d records are known", len(recs))
	}
}
