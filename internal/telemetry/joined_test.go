package telemetry

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	traces "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/oteltest"
)

// What two workers do of a drive, and the drive that one of them ends, are one trace with one root. What one of them was
// at when it ended was cut off.
func TestWorkersShareATrace(t *testing.T) {
	const outer = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, former := range []string{"", outer} {
		about := About{Run: "mx1", Template: "web.json", Action: "RUN", Former: former}
		var spans []*traces.Span
		var runs uint64
		for i := range 2 {
			// The trace that the worker itself is part of is none of the run's.
			p, c := collected(t, "TRACEPARENT", "00-11111111111111111111111111111111-2222222222222222-01")
			r := p.Joined(about, 7)
			x := teller{r: r, time: time.Unix(1000, 0)}
			x.event(dag.Started, fmt.Sprintf("step%d", i))
			x.event(dag.Finished, fmt.Sprintf("step%d", i))
			x.event(dag.Started, fmt.Sprintf("cut%d", i))
			_, end := r.Around(context.Background(), dag.Node{Name: "unknown"}, 1)
			end(nil)
			r.End(cancellation, "")
			if i == 1 {
				p.Drove(about, 7, time.Unix(900, 0), failure, "it broke")
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			if wrong := c.Wrong(); len(wrong) > 0 {
				t.Fatal(wrong)
			}
			spans = append(spans, c.Spans()...)
			for _, d := range c.Metric("cicd.pipeline.run.duration").GetHistogram().GetDataPoints() {
				runs += d.Count
			}
		}
		if len(spans) != 5 || runs != 1 {
			t.Fatalf("%d spans, %d runs were measured", len(spans), runs)
		}
		root := spans[slices.IndexFunc(spans, func(s *traces.Span) bool { return s.Name == "RUN web.json" })]
		want := remote(context.Background(), former, "").SpanID()
		if a := oteltest.Attributes(root); a["cicd.pipeline.result"] != failure || trace.SpanID(append(root.ParentSpanId, make([]byte, 8)...)[:8]) != want || root.Status.Message != "it broke" || root.StartTimeUnixNano != 900e9 {
			t.Errorf("the root is %v", root)
		}
		for _, s := range spans {
			if string(s.TraceId) != string(root.TraceId) || s != root && string(s.ParentSpanId) != string(root.SpanId) {
				t.Errorf("%s is in the trace %x below %x", s.Name, s.TraceId, s.ParentSpanId)
			}
		}
	}
	p, _ := collected(t)
	first, other, next := p.rootOf(About{Run: "a"}, 1), p.rootOf(About{Run: "b"}, 1), p.rootOf(About{Run: "a"}, 2)
	if first.TraceID() == other.TraceID() || first.TraceID() != next.TraceID() || first.SpanID() == next.SpanID() {
		t.Errorf("the roots %v, %v, %v", first, other, next)
	}
}

// Whether a drive is sampled is the same for all of its workers.
func TestWorkersSampleAlike(t *testing.T) {
	sampled := 0
	for i := range 200 {
		one, _ := collected(t, "OTEL_TRACES_SAMPLER", "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG", "0.5")
		other, _ := collected(t, "OTEL_TRACES_SAMPLER", "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG", "0.5")
		about := About{Run: fmt.Sprint(i)}
		if a, b := one.rootOf(about, 1), other.rootOf(about, 1); !a.Equal(b) {
			t.Errorf("%v and %v", a, b)
		} else if a.IsSampled() {
			sampled++
		}
	}
	if sampled < 50 || sampled > 150 {
		t.Errorf("%d of 200 are sampled", sampled)
	}
}

// Levels are sent though no run begins, as they are when they are sent, and refusals by what was refused.
func TestLevels(t *testing.T) {
	p, c := collected(t)
	by := func(queue string) []attribute.KeyValue { return []attribute.KeyValue{attribute.String("queue", queue)} }
	p.Watch(func() []Level {
		return []Level{{Name: "busy", Unit: "{step}", Value: 3, By: by("a")}, {Name: "busy", Unit: "{step}", Value: 0, By: by("b")}, {Name: "taken", Grows: true, Value: 4.5}}
	})
	for i, n := range []int64{2, 0, 3} {
		_, s := p.tracer.Start(context.Background(), "call", trace.WithAttributes(keyMethod.String("EC2/RunInstances"), keyRegion.String("us-east-1")))
		if n > 0 {
			s.SetAttributes(keyThrottled.Int64(n))
		}
		if i == 2 {
			s.SetAttributes(keyErrorType.String("RequestLimitExceeded"))
		}
		s.End()
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if wrong := c.Wrong(); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	busy := c.Metric("busy").GetGauge().GetDataPoints()
	if len(busy) != 2 || busy[0].GetAsDouble() != 3 || busy[1].GetAsDouble() != 0 || oteltest.Attributes(busy[1])["queue"] != "b" || busy[0].TimeUnixNano == 0 {
		t.Errorf("%v", busy)
	}
	taken := c.Metric("taken").GetSum()
	if d := taken.GetDataPoints(); len(d) != 1 || d[0].GetAsDouble() != 4.5 || !taken.IsMonotonic || taken.AggregationTemporality.String() != "AGGREGATION_TEMPORALITY_CUMULATIVE" || d[0].StartTimeUnixNano == 0 {
		t.Errorf("%v", taken)
	}
	refused := c.Metric("imgflow.call.throttled").GetSum().GetDataPoints()
	if len(refused) != 1 || refused[0].GetAsDouble() != 5 || oteltest.Attributes(refused[0])["rpc.method"] != "EC2/RunInstances" || oteltest.Attributes(refused[0])["error.type"] != "" {
		t.Errorf("%v", refused)
	}
	var none *Provider
	none.Watch(nil)
	none.Drove(About{}, 1, time.Now(), success, "")
	if none.Joined(About{}, 1) != nil || none.Outer() != "" {
		t.Error("a provider that is none has something to tell")
	}
}
