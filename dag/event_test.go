package dag

import "testing"

// An event of a step that ended without a checkpoint names the making that it is about, or none.
func TestEventsNameTheirMaking(t *testing.T) {
	w, sink := newWorld(), &memSink{}
	w.fail["sh b"] = errBoom
	e := toyEngine(t, w, &MemStore{}, Options{Sink: sink})
	solve(t, e, toyGraph("a", "b", "c"))
	solve(t, e, toyGraph("a", "b", "c"))
	making := map[string]Event{}
	failed, skipped := 0, 0
	for _, ev := range sink.ev {
		switch ev.Type {
		case Started:
			making[ev.Key] = ev
		case Failed:
			failed++
			if b := making[ev.Key]; ev.Token != b.Token || ev.Attempt != b.Attempt {
				t.Errorf("attempt %d of %q has failed; begun was %d of %q", ev.Attempt, ev.Token, b.Attempt, b.Token)
			}
		case Skipped:
			skipped++
			if ev.Token != "" || ev.Attempt != 0 {
				t.Errorf("%s was skipped at attempt %d of %q", ev.Step, ev.Attempt, ev.Token)
			}
		}
	}
	if failed != 2 || skipped == 0 {
		t.Errorf("%d have failed, %d were skipped", failed, skipped)
	}
}
