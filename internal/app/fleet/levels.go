package fleet

import (
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/imgflow/imgflow/engine/temporal"
	"github.com/imgflow/imgflow/internal/telemetry"
)

// levels are what a worker tells collectors of itself, beside what its steps and calls take. None of it names a run: there are
// as many series as lines here, however much is built.
type levels struct {
	worker   *temporal.Worker
	sessions *sessions

	mu     sync.Mutex
	others int       // workers that are there
	seen   time.Time // when the others could last see that this one is; zero: it has not told them
}

// heard notes that the others could see this worker just now, and how many they are.
func (l *levels) heard(others int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.others, l.seen = others, time.Now()
}

// read is how all of it is now.
func (l *levels) read() (all []telemetry.Level) {
	load := l.worker.Load()
	l.sessions.mu.Lock()
	runs := len(l.sessions.runs)
	l.sessions.mu.Unlock()
	level := func(name, about, unit string, value float64, by ...attribute.KeyValue) {
		all = append(all, telemetry.Level{Name: name, About: about, Unit: unit, Value: value, By: by})
	}
	const of = attribute.Key("imgflow.worker.queue")
	const busy, aboutBusy = "imgflow.worker.busy", "what the worker is at"
	level(busy, aboutBusy, "{step}", float64(load.Steps), of.String("steps"))
	level(busy, aboutBusy, "{step}", float64(load.Calls), of.String("lanes"))
	level(busy, aboutBusy, "{step}", float64(load.Waits), of.String("waits"))
	level("imgflow.worker.places", "how many steps of no lane the worker does at once", "{step}", float64(load.Places))
	level("imgflow.worker.runs", "of how many runs the worker has a session", "{run}", float64(runs))
	level("imgflow.worker.lanes", "how many lanes the worker serves", "{lane}", float64(load.Lanes))
	level("imgflow.worker.lanes.taken", "how many lanes came to the worker", "{lane}", float64(load.Taken))
	all[len(all)-1].Grows = true
	level("imgflow.worker.takeovers", "how many steps the worker went on with that another one had begun", "{step}", float64(load.Again))
	all[len(all)-1].Grows = true
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.seen.IsZero() {
		level("imgflow.worker.others", "how many other workers the worker knows", "{worker}", float64(l.others))
		level("imgflow.worker.heartbeat.age", "how long ago the worker could last say that it is there", "s", time.Since(l.seen).Seconds())
	}
	return all
}
