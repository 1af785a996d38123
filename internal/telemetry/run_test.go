package telemetry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	traces "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/oteltest"
)

// collected is a provider with its collector, whose environment has more variables.
func collected(t *testing.T, more ...string) (*Provider, *oteltest.Collector) {
	t.Helper()
	c := oteltest.Start()
	t.Cleanup(c.Close)
	env := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL}
	for i := 0; i < len(more); i += 2 {
		env[more[i]] = more[i+1]
	}
	o, warnings := FromEnv(func(name string) string { return env[name] }, func(path string) string { return path })
	if len(warnings) > 0 {
		t.Fatal(warnings)
	}
	return New(o, "1.2.3"), c
}

// teller makes the events of a little run.
type teller struct {
	r    *Run
	time time.Time
}

func (x *teller) event(typ dag.EventType, step string, more ...func(*dag.Event)) {
	x.time = x.time.Add(time.Second)
	e := dag.Event{V: dag.EventVersion, Time: x.time, Type: typ, Builds: []string{"web"}, Step: step, Kind: "toy." + step, Key: keyOf(step).String(), Token: "run-" + step + "-1", Attempt: 1}
	for _, f := range more {
		f(&e)
	}
	x.r.Observe(e)
}

func keyOf(step string) dag.Key { return sha256.Sum256([]byte(step)) }

func needs(steps ...string) func(*dag.Event) {
	return func(e *dag.Event) {
		for _, s := range steps {
			e.Needs = append(e.Needs, keyOf(s))
		}
	}
}

func because(text string) func(*dag.Event) { return func(e *dag.Event) { e.Err = text } }

// call makes a child of what the context is in.
func call(ctx context.Context, name string) {
	_, s := trace.SpanFromContext(ctx).TracerProvider().Tracer("calls").Start(ctx, name)
	s.End()
}

// tell is a run in which launch makes an instance, shell is tried again and fails, image is skipped, and the instance goes.
func tell(ctx context.Context, p *Provider, about About) *Run {
	ctx, r := p.Begin(ctx, about)
	x := &teller{r, time.Unix(1_800_000_000, 0)}
	x.event(dag.Planned, "launch")
	x.event(dag.Planned, "shell", needs("launch"))
	x.event(dag.Planned, "image", needs("shell"))
	x.event(dag.Started, "launch")
	in, end := r.Around(ctx, dag.Node{Key: keyOf("launch")}, 1)
	call(in, "RunInstances")
	end(nil)
	x.event(dag.Finished, "launch", func(e *dag.Event) { e.Text = "i-1" })
	x.event(dag.Started, "shell")
	r.Around(ctx, dag.Node{Key: keyOf("shell")}, 1)
	x.event(dag.Retrying, "shell", because("lost"), func(e *dag.Event) { e.Wait = 2 * time.Second })
	in, _ = r.Around(ctx, dag.Node{Key: keyOf("shell")}, 2)
	call(in, "exec")
	x.event(dag.Failed, "shell", because("exit status 1"))
	x.event(dag.Skipped, "image", because("exit status 1"))
	x.event(dag.Releasing, "launch", func(e *dag.Event) { e.Text = "instance i-1" })
	in, _ = r.Around(ctx, dag.Node{Key: keyOf("launch")}, 0)
	call(in, "TerminateInstances")
	x.event(dag.Released, "launch")
	r.End(failure, "shell: exit status 1")
	return r
}

// TestARunIsATrace: what of a run's events becomes a span, an event of a span, a link, and where calls are.
func TestARunIsATrace(t *testing.T) {
	p, c := collected(t, "OTEL_RESOURCE_ATTRIBUTES", "team=images,service.name=ignored", "OTEL_SERVICE_NAME", "builder")
	r := tell(context.Background(), p, About{Run: "k3x9", Template: "web.json", Action: "RUN"})
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if wrong := c.Wrong(); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	byID := map[string]*traces.Span{}
	for _, s := range c.Spans() {
		byID[string(s.SpanId)] = s
		if id := fmt.Sprintf("%x", s.TraceId); id != r.TraceID() {
			t.Errorf("%s is in the trace %s, not in %s", s.Name, id, r.TraceID())
		}
	}
	var got []string
	for _, s := range c.Spans() {
		line := s.Name
		if up := byID[string(s.ParentSpanId)]; up != nil {
			line = up.Name + " > " + line
		}
		a := oteltest.Attributes(s)
		line += fmt.Sprintf(" %s %s %s", a["cicd.pipeline.task.run.result"]+a["cicd.pipeline.result"], strings.TrimPrefix(s.Status.GetCode().String(), "STATUS_CODE_"), s.Status.GetMessage())
		for _, l := range s.Links {
			line += " after " + byID[string(l.SpanId)].Name
		}
		for _, e := range s.Events {
			ea := oteltest.Attributes(e)
			line += " " + e.Name + " " + ea["exception.message"] + " " + ea["imgflow.retry.wait"]
		}
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	slices.Sort(got)
	want := []string{
		"RUN web.json > image skip UNSET",
		"RUN web.json > launch success UNSET",
		"RUN web.json > remove launch success UNSET",
		"RUN web.json > shell failure ERROR exit status 1 after launch retry lost 2",
		"RUN web.json failure ERROR shell: exit status 1",
		"launch > RunInstances UNSET",
		"remove launch > TerminateInstances UNSET",
		"shell > exec UNSET",
	}
	for i, w := range want { // image stands behind what has failed
		if strings.HasPrefix(w, "RUN web.json > image") {
			want[i] += " after shell"
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, s := range c.Spans() {
		a := oteltest.Attributes(s)
		switch s.Name {
		case "shell":
			if took := s.EndTimeUnixNano - s.StartTimeUnixNano; took != uint64(2*time.Second) {
				t.Errorf("shell took %d", took)
			}
			for key, want := range map[string]string{"imgflow.run": "k3x9", "imgflow.builds": "web", "imgflow.step": "shell", "imgflow.step.kind": "toy.shell", "imgflow.step.key": keyOf("shell").String(),
				"imgflow.step.attempt": "2", "cicd.pipeline.task.name": "shell", "cicd.pipeline.task.run.id": "run-shell-1", "cicd.pipeline.task.type": "build"} {
				if a[key] != want {
					t.Errorf("%s of shell is %q, want %q", key, a[key], want)
				}
			}
		case "RUN web.json":
			if a["cicd.pipeline.run.id"] != "k3x9" || a["cicd.pipeline.name"] != "web.json" || a["cicd.pipeline.action.name"] != "RUN" {
				t.Errorf("the run has %v", a)
			}
		case "launch":
			if a["imgflow.step.output"] != "i-1" {
				t.Errorf("launch has %v", a)
			}
		}
	}
	if res := c.Resource(); res["service.name"] != "builder" || res["team"] != "images" || res["service.version"] != "1.2.3" {
		t.Errorf("the resource is %v", res)
	}
}

// A run that goes on is in the trace that it began in; where the environment names a
// trace, it is in that, with a link to the former.
func TestWhichTraceARunIsIn(t *testing.T) {
	const outer = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	parent := func(s *traces.Span) string { return fmt.Sprintf("%x %x", s.TraceId, s.ParentSpanId) }
	p, c := collected(t)
	first := tell(context.Background(), p, About{Run: "a", Template: "t", Action: "RUN"})
	again := tell(context.Background(), p, About{Run: "a", Template: "t", Action: "RESUME", Former: first.Parent()})
	p.Close()
	if first.TraceID() != again.TraceID() || first.TraceID() == "" {
		t.Errorf("the run is in %s, and goes on in %s", first.TraceID(), again.TraceID())
	}
	for _, s := range c.Spans() {
		if s.Name == "RESUME t" && first.Parent() != fmt.Sprintf("00-%s-01", strings.Replace(parent(s), " ", "-", 1)) {
			t.Errorf("it goes on under %s, not %s", parent(s), first.Parent())
		}
	}
	p, c = collected(t, "TRACEPARENT", outer)
	again = tell(context.Background(), p, About{Run: "a", Template: "t", Action: "RESUME", Former: first.Parent()})
	p.Close()
	for _, s := range c.Spans() {
		if s.Name == "RESUME t" && (parent(s) != "0af7651916cd43dd8448eb211c80319c b7ad6b7169203331" || len(s.Links) != 1 || fmt.Sprintf("%x", s.Links[0].TraceId) != first.TraceID()) {
			t.Errorf("with a parent it is under %s and has the links %v", parent(s), s.Links)
		}
	}
	if again.TraceID() != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("it is in the trace %s", again.TraceID())
	}
	p, c = collected(t, "TRACEPARENT", "rubbish")
	if r := tell(context.Background(), p, About{Run: "a", Template: "t", Action: "RUN"}); r.TraceID() == "" {
		t.Error("what is no parent ends the trace")
	}
	p.Close()
	if len(c.Spans()) != 8 {
		t.Errorf("%d spans", len(c.Spans()))
	}
}

// What is not sampled is not sent, and counted all the same.
func TestSampling(t *testing.T) {
	for _, x := range []struct {
		env  []string
		sent bool
	}{
		{[]string{"OTEL_TRACES_SAMPLER", "always_off"}, false},
		{[]string{"OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "0"}, false},
		{[]string{"OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "1"}, true},
		{[]string{"OTEL_TRACES_SAMPLER", "parentbased_always_on", "TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}, false},
		{[]string{"OTEL_TRACES_SAMPLER", "always_on", "TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}, true},
	} {
		p, c := collected(t, x.env...)
		tell(context.Background(), p, About{Run: "a", Template: "t", Action: "RUN"})
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if got := len(c.Spans()) > 0; got != x.sent {
			t.Errorf("%q: sent: %v", x.env, got)
		}
		if c.Metric("imgflow.step.duration") == nil {
			t.Errorf("%q: nothing was measured", x.env)
		}
	}
}

func TestMeasures(t *testing.T) {
	p, c := collected(t)
	tell(context.Background(), p, About{Run: "a", Template: "t", Action: "RUN"})
	tell(context.Background(), p, About{Run: "b", Template: "t", Action: "RUN"})
	if err := errors.Join(p.Close(), p.Close()); err != nil { // a second time does nothing
		t.Fatal(err)
	}
	if wrong := c.Wrong(); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	m := c.Metric("imgflow.step.duration")
	if m == nil || m.Unit != "s" || m.GetHistogram().AggregationTemporality.String() != "AGGREGATION_TEMPORALITY_CUMULATIVE" {
		t.Fatalf("%v", m)
	}
	var got []string
	for _, d := range m.GetHistogram().DataPoints {
		a, n := oteltest.Attributes(d), uint64(0)
		for _, b := range d.BucketCounts {
			n += b
		}
		if n != d.Count || len(d.BucketCounts) != len(d.ExplicitBounds)+1 || d.GetMin() > d.GetMax() || d.StartTimeUnixNano > d.TimeUnixNano {
			t.Errorf("the point %v", d)
		}
		got = append(got, fmt.Sprint(a["imgflow.step.kind"], " ", a["cicd.pipeline.task.run.result"], " ", d.Count, " ", d.GetSum()))
	}
	slices.Sort(got)
	if want := []string{"toy.image skip 2 0", "toy.launch success 2 2", "toy.shell failure 2 4"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if d := c.Metric("cicd.pipeline.run.duration").GetHistogram().GetDataPoints(); len(d) != 1 || d[0].Count != 2 {
		t.Errorf("of the runs: %v", d)
	}
}
