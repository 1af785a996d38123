package drive

import (
	"slices"
	"sync"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

// sink keeps every event with the run, then shows it.
type sink struct {
	dag.Sink // where events are kept
	o        Options

	mu       sync.Mutex
	progress map[string]time.Time // when progress of a token was last kept
}

func newSink(o Options, keep dag.Sink) *sink {
	return &sink{Sink: keep, o: o, progress: map[string]time.Time{}}
}

// Sink keeps what a step emits, with the run or with a claim of a step of it, and keeps
// the run's summary true.
func Sink(o Options, keep dag.Sink) dag.Sink { return newSink(o, keep) }

// keepProgress is how often progress is written to the event file: a display
// wants more than a log.
const keepProgress = time.Second

func (s *sink) Emit(e dag.Event) error {
	var err error
	e.Trace = s.o.Trace
	if e.Type != dag.Progress || s.worthKeeping(e) {
		err = s.Sink.Emit(e)
	}
	if s.o.Show != nil {
		s.o.Show(s.o.Run.Redact().Event(e))
	}
	switch e.Type {
	case dag.Failed:
		s.mark(e, state.Failed)
	case dag.Started:
		s.mark(e, state.Running) // tried again after a failure
	}
	return err
}

func (s *sink) worthKeeping(e dag.Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Time.Sub(s.progress[e.Token]) < keepProgress && e.Count != e.Total {
		return false
	}
	s.progress[e.Token] = e.Time
	return true
}

// mark changes the status of the builds of an event, where that is news.
func (s *sink) mark(e dag.Event, status string) {
	news := func(b state.BuildSummary) bool {
		return slices.Contains(e.Builds, b.Name) && b.Status != status && (status != state.Running || b.Status == state.Failed)
	}
	if !slices.ContainsFunc(s.o.Run.Summary().Builds, news) {
		return
	}
	// What readers see meanwhile is not worth failing a step for: the end of
	// the run writes the summary again, and does fail.
	s.o.Run.SetSummary(func(sum *state.Summary) {
		for i, b := range sum.Builds {
			if news(b) {
				sum.Builds[i].Status, sum.Builds[i].Err, sum.Builds[i].Code = status, e.Err, e.Code
			}
		}
	})
}
