package app

import (
	"fmt"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

func TestDurations(t *testing.T) {
	home := newHome(t)
	of := func(template string, local bool) *Durations {
		return DurationsOf(home, state.Summary{Template: template, Local: local})
	}
	d := of("/t.json", false)
	for i := range 1000 { // the builds of one run
		d.note(dag.Event{Type: dag.Finished, Kind: "launch", Step: "launch", Took: time.Duration(10+i%3) * time.Second, Builds: []string{fmt.Sprint("b", i)}})
		d.note(dag.Event{Type: dag.Released, Kind: "launch", Step: "launch", Took: time.Hour}) // no work of the step
	}
	d.save()
	span := of("/t.json", false).Of("launch", "launch")
	if !span.Known || span.Lo < 9*time.Second || span.Hi > 14*time.Second {
		t.Errorf("%+v, want about 10s to 12s", span)
	}
	// Another template, or the same one on the embedded EC2, takes its own time.
	for _, other := range []*Durations{of("/other.json", false), of("/t.json", true), nil} {
		if span := other.Of("launch", "launch"); span.Known {
			t.Errorf("%+v is known of another", span)
		}
	}
	if span := of("/t.json", false).Of("launch", "wait"); span.Known {
		t.Errorf("%+v is known of another step", span)
	}
	// What all builds of one run say does not push out what runs before it have.
	for range 2 {
		d := of("/t.json", false)
		for range 1000 {
			d.note(dag.Event{Type: dag.Finished, Kind: "launch", Step: "launch", Took: 20 * time.Second})
		}
		d.save()
	}
	if span := of("/t.json", false).Of("launch", "launch"); span.Lo > 13*time.Second || span.Hi < 20*time.Second {
		t.Errorf("%+v, want 11s to 20s", span)
	}
}
