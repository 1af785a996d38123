package temporal

import (
	"fmt"
	"hash/fnv"
	"math/bits"
	"sync"
	"time"

	"go.temporal.io/sdk/worker"

	"github.com/imgflow/imgflow/dag"
)

// Lanes is how many task queues there are for the orders that call a site. A site has one of
// them, and a lane one worker, so that what many steps ask of a site is asked together.
const Lanes = 16

// LaneOf is the lane of a site.
func LaneOf(site string) int {
	h := fnv.New32a()
	h.Write([]byte(site))
	return int(h.Sum32() % Lanes)
}

// queueOf is the task queue of an order.
func queueOf(x dag.Order) string {
	if x.Site == "" {
		return taskQueue
	}
	return laneQueue(LaneOf(x.Site))
}

func laneQueue(n int) string { return fmt.Sprintf("%s/lane-%02d", taskQueue, n) }

// has reports whether a worker is the one for a lane: of those that are there, the one whose
// name has the highest hash with it. Whoever comes or goes changes the lanes of no two others.
func has(self string, n int, there map[string]uint32) bool {
	own := rank(self, n)
	for other := range there {
		if r := rank(other, n); r > own || r == own && other > self {
			return false
		}
	}
	return true
}

func rank(worker string, lane int) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", lane, worker)
	x := h.Sum64() // of which the high bits hardly differ
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}

// mostCalls is how many calls of one lane a worker makes at once. All but a few wait.
const mostCalls = 4000

// Serve has the worker take the work of those lanes that are its own: of the workers that are
// there, it is self. What it does of another lane it ends; nothing new of that begins here.
func (w *Worker) Serve(self string, there map[string]uint32) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return nil
	}
	for n, l := range w.lanes {
		switch own := has(self, n, there); {
		case own && l == nil:
			l = w.queue(laneQueue(n), worker.Options{MaxConcurrentActivityExecutionSize: mostCalls, DisableWorkflowWorker: true, WorkerStopTimeout: longest})
			if err := l.Start(); err != nil {
				return fmt.Errorf("cannot take the calls of a site: %w", err)
			}
			w.lanes[n] = l
			w.work[n]++
		case !own && l != nil:
			w.lanes[n] = nil
			go w.leave(n, l)
		}
	}
	return nil
}

// leave ends a lane when its calls have ended.
func (w *Worker) leave(n int, l worker.Worker) {
	l.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.work[n]--
}

// Busy are the lanes that the worker serves, or of which it has calls to end, as bits.
func (w *Worker) Busy() (lanes uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n, work := range w.work {
		if work > 0 {
			lanes |= 1 << n
		}
	}
	return lanes
}

// Sharing is how many of the workers that are there call a site: those that are busy with its
// lane.
func Sharing(site string, there map[string]uint32) (n int) {
	for _, lanes := range there {
		n += bits.OnesCount32(lanes & (1 << LaneOf(site)))
	}
	return n
}

// end ends all queues, whose calls are cut off, or do not end soon.
func (w *Worker) end() {
	w.mu.Lock()
	w.ended = true
	close(w.ending)
	var all sync.WaitGroup
	for _, l := range append(w.lanes[:], w.calls, w.waits) {
		if l != nil {
			all.Go(l.Stop)
		}
	}
	w.mu.Unlock()
	over := make(chan struct{})
	go func() { all.Wait(); close(over) }()
	select {
	case <-over:
	case <-time.After(stopTimeout):
	}
}
