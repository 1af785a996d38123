package statetest

import (
	"bytes"
	"errors"
	"io/fs"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/dag/dagtest"
)

func store(t *testing.T, p *place) {
	dagtest.Store(t, func(t *testing.T) (dag.Store, func() dag.Store) {
		r := create(t, p.home(t))
		return r, func() dag.Store {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			r = open(t, p.home(t), r.ID())
			return r
		}
	})
}

func docsGraphSalt(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	type meta struct {
		Vars map[string]string
		N    int
	}
	var m meta
	if err := r.Doc("meta", &m); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a document that was never stored: %v", err)
	}
	if _, err := r.Graph(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a graph that was never stored: %v", err)
	}
	if _, err := h.Drawn(r.ID()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a drawn graph that was never stored: %v", err)
	}
	one := Record(1)
	g := dag.NewGraph(nil)
	g.Nodes, g.Goals = []dag.Node{one.Node}, []dag.Key{one.Key}
	salt, err := r.Salt()
	if err := errors.Join(err, r.SetGraph(g), r.SetDoc("meta", meta{map[string]string{"a": "1"}, 2})); err != nil {
		t.Fatal(err)
	}
	// Whoever drives the run, its graph can be drawn; without what its steps are set to.
	drawn, err := p.home(t).Drawn(r.ID()[:10])
	if err != nil || len(drawn.Nodes) != 1 || drawn.Nodes[0].Key != one.Key || drawn.Goals[0] != one.Key || drawn.Nodes[0].Canon != "" || string(drawn.Nodes[0].Spec) != "null" {
		t.Errorf("the graph to be drawn is %+v, %v", drawn, err)
	}
	r.Close()
	if err := r.SetDoc("meta", m); err == nil {
		t.Error("a run that is closed was written to")
	}
	r = open(t, h, r.ID()[:10])
	if err := r.Doc("meta", &m); err != nil || m.N != 2 || m.Vars["a"] != "1" {
		t.Errorf("meta is %+v, %v", m, err)
	}
	if g, err := r.Graph(); err != nil || len(g.Nodes) != 1 || g.Nodes[0].Canon != one.Canon || g.Goals[0] != one.Key {
		t.Errorf("graph is %+v, %v", g, err)
	}
	if again, err := r.Salt(); err != nil || !bytes.Equal(again, salt) || len(salt) < 16 {
		t.Errorf("salt %x, then %x, %v", salt, again, err)
	}
	if other, _ := create(t, h).Salt(); bytes.Equal(other, salt) {
		t.Error("two runs have one salt")
	}
}

func laterIsSeen(t *testing.T, p *place) {
	r := create(t, p.home(t))
	var n int
	if err := errors.Join(r.SetDocLater("n", 1), r.SetDocLater("n", 2), r.Doc("n", &n)); err != nil || n != 2 {
		t.Errorf("the document is %d, %v", n, err)
	}
	if err := errors.Join(r.Vault().Later("key", []byte("hunter22")), r.Later(Record(1), Record(2))); err != nil {
		t.Error(err)
	}
	if v, err := r.Vault().Get("key"); err != nil || string(v) != "hunter22" {
		t.Errorf("the secret is %q, %v", v, err)
	}
	if rs, err := r.All(); err != nil || len(rs) != 2 {
		t.Errorf("%d records, %v", len(rs), err)
	}
}

// laterKeepsTheOrder: of many values that are put off by turns, the last counts.
func laterKeepsTheOrder(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	for i := range 500 {
		rec := Record(1)
		rec.Gen = i
		if err := r.Later(rec); err != nil {
			t.Fatal(err)
		}
		if i%97 == 0 {
			if err := r.Put(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if rs, err := open(t, h, r.ID()).All(); err != nil || len(rs) != 1 || rs[0].Gen != 499 {
		t.Errorf("%+v, %v", rs, err)
	}
}
