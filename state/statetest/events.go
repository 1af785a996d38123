package statetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

func events(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	nasty := "quote \" <b> & \\ \"offset\":99,\"token\":\"evil\"\u2028 \x01\x00"
	emit(t, r, said("a"), printed("tok-1", "stdout", 10, nasty), printed("tok-1", "stderr", 4, "e"), printed("tok-1", "stdout", 25, strings.Repeat("long ", 1<<19)))
	events, next, err := h.Events(r.ID(), 0)
	if err != nil || len(events) != 4 || events[1].Text != nasty || len(events[3].Text) != 5<<19 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	if again, same, err := h.Events(r.ID(), next); err != nil || len(again) > 0 || same != next {
		t.Errorf("behind the last one: %v, %d, %v", again, same, err)
	}
	emit(t, r, said("b"))
	if events, _, err = h.Events(r.ID(), next); err != nil || len(events) != 1 || events[0].Text != "b" {
		t.Errorf("from %d: %v, %v", next, events, err)
	}
	enough, n := errors.New("enough"), 0
	if _, err := h.EachEvent(r.ID(), 0, func(dag.Event) error { n++; return enough }); err != enough || n != 1 {
		t.Errorf("one at a time: %d, %v", n, err)
	}
	emitted := 0
	if _, err := h.EachEvent(r.ID(), next, func(dag.Event) error {
		if emitted++; emitted < 100 {
			emit(t, r, said("more"))
		}
		return nil
	}); err != nil || emitted != 1 {
		t.Errorf("of a run that emits as fast as it is read: %d, %v", emitted, err)
	}
	for i := range 2500 { // more than are read at once
		if err := r.Emit(said(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	check := func(r *state.Run) {
		t.Helper()
		for _, s := range []struct {
			token, stream string
			want          int64
		}{{"tok-1", "stdout", 25}, {"tok-1", "stderr", 4}, {"tok-2", "stdout", 0}, {"evil", "", 0}} {
			if got := r.Offset(s.token, s.stream); got != s.want {
				t.Errorf("offset of %v is %d", s, got)
			}
		}
	}
	check(r)
	r.Close()
	check(open(t, h, r.ID()))
	if got := texts(t, h, r.ID()); strings.Count(got, "|") != 2500+6-1 || !strings.HasSuffix(got, "|2498|2499") {
		t.Errorf("%d events, the last of which are %s", strings.Count(got, "|")+1, got[len(got)-40:])
	}
}

func follow(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	emit(t, r, said("past"), dag.Event{Type: dag.RunEnded, Text: "suspended"})
	got, done := make(chan string, 100), make(chan error, 1)
	start := func() {
		done <- p.home(t).Follow(t.Context(), r.ID()[:11], func(e dag.Event) error { got <- e.Text; return nil })
	}
	next := func(want string) {
		t.Helper()
		s := ""
		select {
		case s = <-got:
		case err := <-done: // what it has shown came before
			if len(got) == 0 {
				t.Fatalf("Follow ended before %q: %v", want, err)
			}
			s = <-got
			done <- err
		case <-time.After(30 * time.Second):
			t.Fatalf("%q never came", want)
		}
		if s != want {
			t.Fatalf("followed %q, want %q", s, want)
		}
	}
	end := func() {
		t.Helper()
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("Follow does not end")
		}
	}
	go start()
	next("past")
	next("suspended") // of the past: the run is driven on
	if err := r.Emit(said("one")); err != nil {
		t.Error(err)
	}
	next("one") // though nobody waits for it
	emit(t, r, dag.Event{Type: dag.RunEnded, Text: "done"})
	next("done")
	end()
	go start()
	for _, s := range []string{"past", "suspended", "one", "done"} {
		next(s)
	}
	r.Close() // as when its process dies: no event tells
	end()
	ctx, cancel := context.WithCancel(t.Context())
	r = open(t, h, r.ID())
	if err := h.Follow(ctx, r.ID(), func(dag.Event) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %v", err)
	}
	stop := errors.New("enough")
	if err := h.Follow(t.Context(), r.ID(), func(dag.Event) error { return stop }); err != stop {
		t.Errorf("the error of fn: %v", err)
	}
}

// followWhileEmitting follows a run that many goroutines emit to.
func followWhileEmitting(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	const writers, each = 8, 200
	done := make(chan error, 1)
	last := map[string]int64{}
	n := 0
	go func() {
		done <- p.home(t).Follow(t.Context(), r.ID(), func(e dag.Event) error {
			if e.Offset <= last[e.Token] {
				return fmt.Errorf("%s: %d after %d", e.Token, e.Offset, last[e.Token])
			}
			last[e.Token] = e.Offset
			n++
			return nil
		})
	}()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := r.Emit(printed(fmt.Sprint("tok-", w), "stdout", int64(i+1), "line")); err != nil {
					t.Error(err)
				}
				if i%50 == 0 {
					if err := r.Sync(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	r.Close()
	if err := <-done; err != nil || n != writers*each {
		t.Errorf("%d of %d events, %v", n, writers*each, err)
	}
}
