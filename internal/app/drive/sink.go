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
	o Options

	mu       sync.Mutex
	progress map[string]time.Time // when progress of a token was last kept
}

func newSink(o Options) *sink {
	return &sink{o: o, progress: map[string]time.Time{}}
}

// keepProgress is how often progress is written to the event file: a display
// wants more than a log.
const keepProgress = time.Second

func (s *sink) Emit(e dag.Event) error {
	var err error
	e.Trace = s.o.Trace
	if e.Type != dag.Progress || s.worthKeeping(e) {
		err = s.o.Run.Emit(e)
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

func (s *sink) Break(line []byte, most int) int   { return s.o.Run.Break(line, most) }
func (s *sink) Sync() error                       { return s.o.Run.Sync() }
func (s *sink) Offset(token, stream string) int64 { return s.o.Run.Offset(token, stream) }
