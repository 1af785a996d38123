package temporal

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/bits"
	"sync"
	"time"

	"go.temporal.io/sdk/worker"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/sleep"
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

// lanePrefix is how the queues of lanes begin.
const lanePrefix = taskQueue + "/lane-"

func laneQueue(n int) string { return fmt.Sprintf("%s%02d", lanePrefix, n) }

// has reports whether a worker is the one for a lane: of those that are there, the one whose
// name has the highest hash with it, but for those that have stepped aside. Whoever comes or goes changes the lanes of no two others.
func has(self string, n int, there map[string]uint32) bool {
	own := rank(self, n)
	for other, busy := range there {
		if busy&aside != 0 {
			continue
		}
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

// A worker that could not even begin with a run, since it lacks the identity or the disk is full,
// would get each order again that it gives back: whoever asks last is served first. So it steps
// aside for a while, and others get them.
const (
	aside     = 1 << Lanes // of what a worker is busy with: it has stepped aside
	asideTime = 10 * time.Second
)

// StepAside has the worker begin nothing for a while, and leave its lanes. What it is at goes
// on.
func (w *Worker) StepAside() {
	until := time.Now().Add(asideTime)
	w.back.Store(&until)
	again := func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if err := w.serve(); err != nil {
			w.fail(err)
		}
	}
	again()
	time.AfterFunc(asideTime, again)
}

// isAside tells for how long the worker begins nothing.
func (w *Worker) isAside() time.Duration {
	if until := w.back.Load(); until != nil {
		return time.Until(*until)
	}
	return 0
}

// places are those for calls of a worker, of which it takes none while it has stepped aside.
type places struct {
	worker.SlotSupplier
	aside func() time.Duration
}

func (p places) ReserveSlot(ctx context.Context, info worker.SlotReservationInfo) (*worker.SlotPermit, error) {
	for p.aside() > 0 {
		if err := sleep.For(ctx, p.aside()); err != nil {
			return nil, err
		}
	}
	return p.SlotSupplier.ReserveSlot(ctx, info)
}

func (p places) TryReserveSlot(info worker.SlotReservationInfo) *worker.SlotPermit {
	if p.aside() > 0 {
		return nil
	}
	return p.SlotSupplier.TryReserveSlot(info)
}

// tuner has a worker do so many calls at once, at least one.
func (w *Worker) tuner(calls int) worker.WorkerTuner {
	supplier := func(n int) worker.SlotSupplier {
		s, _ := worker.NewFixedSizeSlotSupplier(n) // it refuses numbers below 1 alone
		return s
	}
	const others = 1000                                            // as the SDK has it
	t, _ := worker.NewCompositeTuner(worker.CompositeTunerOptions{ // which never fails
		ActivitySlotSupplier: places{supplier(calls), w.isAside}, WorkflowSlotSupplier: supplier(others),
		LocalActivitySlotSupplier: supplier(others), NexusSlotSupplier: supplier(others), SessionActivitySlotSupplier: supplier(others),
	})
	return t
}

// mostCalls is how many calls of one lane a worker makes at once. All but a few wait.
const mostCalls = 4000

// Serve has the worker take the work of those lanes that are its own: of the workers that are
// there, it is self. What it does of another lane it ends; nothing new of that begins here.
func (w *Worker) Serve(self string, there map[string]uint32) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.self, w.there = self, there
	return w.serve()
}

// serve is Serve by those of whom was told last.
func (w *Worker) serve() error {
	if w.ended {
		return nil
	}
	for n, l := range w.lanes {
		switch own := w.isAside() <= 0 && has(w.self, n, w.there); {
		case own && l == nil:
			l = w.queue(laneQueue(n), worker.Options{MaxConcurrentActivityExecutionSize: mostCalls, DisableWorkflowWorker: true, WorkerStopTimeout: longest})
			if err := l.Start(); err != nil {
				return fmt.Errorf("cannot take the calls of a site: %w", err)
			}
			w.lanes[n] = l
			w.work[n]++
			w.acts.load.lanes.Add(1)
		case !own && l != nil:
			w.lanes[n] = nil
			go w.leave(n, l)
		}
	}
	return nil
}

// Serves reports whether the worker serves the lane of a site.
func (w *Worker) Serves(site string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lanes[LaneOf(site)] != nil
}

// leave ends a lane when its calls have ended.
func (w *Worker) leave(n int, l worker.Worker) {
	l.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.work[n]--
}

// Busy are the lanes that the worker serves, or of which it has calls to end, as bits, and
// whether it has stepped aside.
func (w *Worker) Busy() (lanes uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n, work := range w.work {
		if work > 0 {
			lanes |= 1 << n
		}
	}
	if w.isAside() > 0 {
		lanes |= aside
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
