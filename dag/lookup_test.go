package dag

import (
	"context"
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
	if err := g.DOT(&dot); err != nil || !strings.Contains(dot.String(), `"`+g.Lookups["toy.x"].String()+`" -> "awaited-web"`) {
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
