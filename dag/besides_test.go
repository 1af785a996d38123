package dag

import (
	"encoding/json"
	"testing"
)

// What a step has done besides its output is known when the machine that the output shows is gone, and goes with a thing of its own.
func TestBesides(t *testing.T) {
	w, st := newWorld(), &MemStore{}
	e := toyEngine(t, w, st, Options{})
	state := map[string]json.RawMessage{Besides: json.RawMessage("1"), "other": json.RawMessage("2")}
	thing := Record{Node: Node{Key: Key{1}, Thing: true}, Status: Done, State: state}
	view := Record{Node: Node{Key: Key{2}, Needs: []Key{{1}}}, Status: Done, State: state}
	e.recs.note(thing, view)
	if err := e.markRemoved(thing); err != nil {
		t.Fatal(err)
	}
	thing, _ = e.rec(Key{1})
	view, _ = e.rec(Key{2})
	if thing.Status != Gone || view.Status != Gone || thing.State != nil || len(view.State) != 1 || string(view.State[Besides]) != "1" {
		t.Errorf("there are %+v and %+v", thing, view)
	}
}

// A pattern fits what a text may come to, whatever characters its literal parts have.
func TestTextPattern(t *testing.T) {
	if got := (Text("a*[b") + Word("x") + Text(`\\?`)).Pattern(); got != `a\*\[b*\\\\\?` {
		t.Error(got)
	}
}
