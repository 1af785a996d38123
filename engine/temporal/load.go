package temporal

import (
	"strings"
	"sync/atomic"
)

// Load is what a worker is at, and has been.
type Load struct {
	Steps  int64 // calls at work that are of no lane
	Places int64 // for those
	Calls  int64 // at work, of lanes
	Waits  int64 // for what other runs make
	Lanes  int64 // that it serves
	Taken  int64 // lanes that came to it since it began
	Again  int64 // orders that another worker had begun and lost
}

// load counts that.
type load struct{ steps, calls, waits, lanes, again atomic.Int64 }

// begin counts an order that is carried out now, until end is called.
func (l *load) begin(queue string, again bool) (end func()) {
	n := &l.steps
	switch {
	case queue == waitQueue:
		n = &l.waits
	case strings.HasPrefix(queue, lanePrefix):
		n = &l.calls
	}
	if n.Add(1); again {
		l.again.Add(1)
	}
	return func() { n.Add(-1) }
}

// Load is what the worker is at now.
func (w *Worker) Load() Load {
	l := &w.acts.load
	now := Load{Steps: l.steps.Load(), Places: int64(w.places), Calls: l.calls.Load(), Waits: l.waits.Load(), Taken: l.lanes.Load(), Again: l.again.Load()}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, lane := range w.lanes {
		if lane != nil {
			now.Lanes++
		}
	}
	return now
}
