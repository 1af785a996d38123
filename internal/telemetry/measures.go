package telemetry

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// bounds are those of the buckets of durations, in seconds: from a call to a long build.
var bounds = []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 3600}

// Level is how much there is of something now or, if it only ever grows, how much there was since the
// process began.
type Level struct {
	Name, About, Unit string
	Grows             bool
	Value             float64
	By                []attribute.KeyValue
}

// throttled is the measure of refusals. They are counted by the spans of calls, with the series of their durations.
const (
	throttled      = "imgflow.call.throttled"
	throttledAbout = "how often the cloud has refused a call because there were too many"
)

// The measures, and of which attributes of a span each has its own series.
var measures = []measure{
	{name: "rpc.client.call.duration", about: "how long calls of the cloud take, with their retries", of: keyMethod, by: []attribute.Key{keySystem, keyMethod, keyRegion, keyErrorType}},
	{name: "imgflow.step.duration", about: "how long steps take, with their retries", of: keyTask, by: []attribute.Key{keyKind, keyTaskResult}},
	{name: "imgflow.removal.duration", about: "how long it takes to remove what a step has made", of: keyRemoved, by: []attribute.Key{keyKind, keyTaskResult}},
	{name: "cicd.pipeline.run.duration", about: "how long runs take", of: keyAction, by: []attribute.Key{keyPipeline, keyAction, keyResult}, fixed: []attribute.KeyValue{attribute.String("cicd.pipeline.run.state", "executing")}},
}

// measure is a histogram of the durations of spans.
type measure struct {
	name, about string
	of          attribute.Key // the spans that have it
	by          []attribute.Key
	fixed       []attribute.KeyValue
}

// mostSeries is how many there are of one process, whatever it is asked to build.
const mostSeries = 2000

// meter makes measures of the spans that end. It is one of the processors of spans.
type meter struct {
	began  time.Time
	mu     sync.Mutex
	series map[seriesKey]*series
}

type seriesKey struct {
	measure int // its place among measures
	by      attribute.Distinct
}

type series struct {
	measure    int
	attributes []attribute.KeyValue
	buckets    []uint64
	sum        float64
	least      float64
	most       float64
	throttled  int64
}

func newMeter() *meter { return &meter{began: time.Now(), series: map[seriesKey]*series{}} }

func (*meter) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (*meter) Shutdown(context.Context) error                  { return nil }
func (*meter) ForceFlush(context.Context) error                { return nil }

// OnEnd counts a span.
func (m *meter) OnEnd(s sdktrace.ReadOnlySpan) {
	all := attribute.NewSet(s.Attributes()...)
	i := slices.IndexFunc(measures, func(x measure) bool { return all.HasValue(x.of) })
	if i < 0 {
		return
	}
	by := slices.Clone(measures[i].fixed)
	for _, key := range measures[i].by {
		if v, ok := all.Value(key); ok {
			by = append(by, attribute.KeyValue{Key: key, Value: v})
		}
	}
	set := attribute.NewSet(by...)
	took := max(s.EndTime().Sub(s.StartTime()), 0).Seconds()
	m.mu.Lock()
	defer m.mu.Unlock()
	key := seriesKey{i, set.Equivalent()}
	x := m.series[key]
	if x == nil {
		if len(m.series) >= mostSeries {
			return
		}
		x = &series{measure: i, attributes: set.ToSlice(), buckets: make([]uint64, len(bounds)+1), least: took}
		m.series[key] = x
	}
	n, _ := slices.BinarySearch(bounds, took)
	x.buckets[n]++
	x.sum += took
	x.least, x.most = min(x.least, took), max(x.most, took)
	if v, ok := all.Value(keyThrottled); ok {
		x.throttled += v.AsInt64()
	}
}

// refusals are how often calls were refused, by what they are, whatever came of them in the end.
func (m *meter) refusals() (all []Level) {
	at := map[attribute.Distinct]int{}
	for _, s := range m.series {
		if s.throttled == 0 {
			continue
		}
		by := attribute.NewSet(slices.DeleteFunc(slices.Clone(s.attributes), func(a attribute.KeyValue) bool { return a.Key == keyErrorType })...)
		i, ok := at[by.Equivalent()]
		if !ok {
			i = len(all)
			at[by.Equivalent()] = i
			all = append(all, Level{Name: throttled, About: throttledAbout, Unit: "{attempt}", Grows: true, By: by.ToSlice()})
		}
		all[i].Value += float64(s.throttled)
	}
	return all
}

// encode writes an ExportMetricsServiceRequest with all that was counted so far, and levels, of which those of one
// name are beside one another, or nil if that is nothing.
func (m *meter) encode(resource []attribute.KeyValue, now time.Time, levels []Level) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	levels = append(levels, m.refusals()...)
	if len(m.series)+len(levels) == 0 {
		return nil
	}
	var out message
	out.message(1, func(out *message) {
		out.message(1, func(out *message) { out.attributes(1, resource) })
		out.message(2, func(out *message) {
			out.message(1, func(out *message) { out.text(1, scope) })
			for i, x := range measures {
				out.message(2, func(out *message) {
					out.text(1, x.name)
					out.text(2, x.about)
					out.text(3, "s")
					out.message(9, func(out *message) {
						for _, s := range m.series {
							if s.measure == i {
								out.message(1, func(out *message) { out.point(s, m.began, now) })
							}
						}
						out.varint(2, 2) // since the beginning, not since the last time
					})
				})
			}
			for len(levels) > 0 {
				n := 1
				for n < len(levels) && levels[n].Name == levels[0].Name {
					n++
				}
				out.message(2, func(out *message) { out.levels(levels[:n], m.began, now) })
				levels = levels[n:]
			}
		})
	})
	return out
}

// point writes a HistogramDataPoint.
func (m *message) point(s *series, began, now time.Time) {
	m.fixed64(2, nanos(began))
	m.fixed64(3, nanos(now))
	count := uint64(0)
	for _, n := range s.buckets {
		count += n
	}
	m.fixed64(4, count)
	m.double(5, s.sum)
	m.packed64(6, s.buckets)
	limits := make([]uint64, len(bounds))
	for i, b := range bounds {
		limits[i] = math.Float64bits(b)
	}
	m.packed64(7, limits)
	m.attributes(9, s.attributes)
	m.double(11, s.least)
	m.double(12, s.most)
}

// levels writes a Metric of levels that have one name.
func (m *message) levels(all []Level, began, now time.Time) {
	m.text(1, all[0].Name)
	m.text(2, all[0].About)
	m.text(3, all[0].Unit)
	field := uint64(5) // a gauge
	if all[0].Grows {
		field = 7 // a sum
	}
	m.message(field, func(m *message) {
		for _, l := range all {
			m.message(1, func(m *message) {
				if l.Grows {
					m.fixed64(2, nanos(began))
				}
				m.fixed64(3, nanos(now))
				m.double(4, l.Value)
				m.attributes(7, l.By)
			})
		}
		if all[0].Grows {
			m.varint(2, 2)
			m.varint(3, 1)
		}
	})
}
