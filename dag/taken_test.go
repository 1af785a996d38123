package dag

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// takeAway has a script's machine taken away the first times that it runs.
func (w *world) takeAway(script string, times int) {
	w.fail[script] = Taken(errors.New("it is terminated"))
	w.hook = func(what string) {
		if what != script {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		for k, v := range w.things {
			if v == "instance" {
				delete(w.things, k)
			}
		}
		if times--; times == 0 {
			delete(w.fail, script)
		}
	}
}

// A machine that is taken away is made again in the same pass, and what was done on it is done
// again; nobody is asked what the failure means.
func TestTakenMachineIsMadeAgain(t *testing.T) {
	for times := 1; times <= mostTaken; times++ {
		w, st := newWorld(), &MemStore{}
		w.takeAway("sh b", times)
		var sink memSink
		e := toyEngine(t, w, st, Options{Sink: &sink, OnFailure: func(context.Context, Node, error) Decision {
			t.Error("somebody was asked")
			return Cleanup
		}})
		clean(t, solve(t, e, toyGraph("a", "b")))
		if w.count("launch") != times+1 || w.count("sh a") != times+1 || w.count("sh b") != times+1 || w.left() != "image" {
			t.Errorf("log %q, world %q", w.log, w.left())
		}
		if sink.count(Vanished) != times || sink.count(Suspended) != times || sink.count(Warned) != times || sink.count(Failed) != 0 {
			t.Errorf("%d vanished, %d suspended, %d warned, %d failed", sink.count(Vanished), sink.count(Suspended), sink.count(Warned), sink.count(Failed))
		}
	}
}

// In the end it is a failure like any other, which tells how often.
func TestTakenTooOften(t *testing.T) {
	w := newWorld()
	w.takeAway("sh b", 100)
	r := solve(t, toyEngine(t, w, &MemStore{}, Options{}), toyGraph("a", "b"))
	if len(r.Failed) != 1 || r.Failed[0].Name != "shell-2" || !strings.Contains(r.Failed[0].Err.Error(), "it is terminated (3 new machines were made before)") {
		t.Errorf("%+v", r.Failed)
	}
	if w.count("launch") != mostTaken+1 || w.left() != "" {
		t.Errorf("log %q, world %q", w.log, w.left())
	}
}

// What has failed meanwhile is not tried again, and its build does not go on.
func TestTakenBesideAFailure(t *testing.T) {
	w := newWorld()
	w.takeAway("sh b", 1)
	g := toyGraph("a", "b")
	b := Build{Name: "base", Type: "toy"}
	on := As[machine](Add(g, b, "given", given{"there"}))
	Goal(g, Add(g, b, "other", shell{On: on.Take(), Script: "other"}))
	w.fail["sh other"] = errBoom
	r := solve(t, toyEngine(t, w, &MemStore{}, Options{}), g)
	if len(r.Failed) != 2 || w.count("launch") != 1 || w.count("sh other") != 1 || w.left() != "" {
		t.Errorf("%+v, log %q, world %q", r.Failed, w.log, w.left())
	}
}

// What a failure says of it crosses the line to whoever decides.
func TestTakenCrossesTheSeam(t *testing.T) {
	p, err := json.Marshal(resultOf(nil, Taken(errBoom)))
	if err != nil {
		t.Fatal(err)
	}
	var r Result
	if err := json.Unmarshal(p, &r); err != nil {
		t.Fatal(err)
	}
	if err := r.err(nil); !errors.As(err, new(*TakenError)) || err.Error() != errBoom.Error() {
		t.Errorf("%s: %v", p, err)
	}
}

// What is taken away does not come back: a failure that may pass is not waited for then.
func TestTakenIsNotTriedAgain(t *testing.T) {
	w := newWorld()
	w.takeAway("sh b", 100)
	w.fail["sh b"] = Taken(Retry(errBoom, time.Hour))
	r := solve(t, toyEngine(t, w, &MemStore{}, Options{}), toyGraph("a", "b"))
	if len(r.Failed) != 1 || w.count("sh b") != mostTaken+1 {
		t.Errorf("%+v, log %q", r.Failed, w.log)
	}
}
