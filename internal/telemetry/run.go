package telemetry

import (
	"context"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/imgflow/imgflow/dag"
)

// About is what is known of a drive of a run before it begins.
type About struct {
	Run      string // its id
	Template string // its name without folders
	Action   string // RUN, or what else is done
	// Former is the Parent of an earlier drive of the run; "" is the first. What
	// goes on is part of the trace that began it, unless the environment names
	// another: that has a link to it then.
	Former string
}

// Run tells of one drive of a run. A nil one tells nothing.
type Run struct {
	p     *Provider
	about About
	root  trace.Span
	ctx   context.Context // of the root

	mu    sync.Mutex
	needs map[string][]dag.Key
	spans map[string]trace.Span        // that are open, by what they are of
	ended map[string]trace.SpanContext // of steps, by their keys
}

// Begin begins the span of a drive; ctx is then its own. Of a nil provider it returns
// ctx as it is, and nil.
func (p *Provider) Begin(ctx context.Context, about About) (context.Context, *Run) {
	if p == nil {
		return ctx, nil
	}
	p.start.Do(p.begin)
	parent, former := remote(ctx, p.o.Parent, p.o.State), remote(ctx, about.Former, "")
	own := []trace.SpanStartOption{trace.WithAttributes(about.attributes()...)}
	switch {
	case !former.IsValid():
	case !parent.IsValid():
		parent = former
	default:
		own = append(own, trace.WithLinks(trace.Link{SpanContext: former}))
	}
	if parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	r := &Run{p: p, about: about, needs: map[string][]dag.Key{}, spans: map[string]trace.Span{}, ended: map[string]trace.SpanContext{}}
	r.ctx, r.root = p.tracer.Start(ctx, about.Action+" "+about.Template, own...)
	return r.ctx, r
}

// attributes are those of the root.
func (a About) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{keyRun.String(a.Run), keyRunID.String(a.Run), keyPipeline.String(a.Template), keyAction.String(a.Action)}
}

// remote reads a context of W3C; what is none is not valid.
func remote(ctx context.Context, parent, state string) trace.SpanContext {
	c := propagation.MapCarrier{"traceparent": parent, "tracestate": state}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(trace.ContextWithSpanContext(ctx, trace.SpanContext{}), c))
}

// TraceID is what the trace is found by; "" where there is none.
func (r *Run) TraceID() string {
	if r == nil {
		return ""
	}
	return r.root.SpanContext().TraceID().String()
}

// Parent is the drive as a later one of the run gets it; "" where there is none.
func (r *Run) Parent() string {
	if r == nil {
		return ""
	}
	c := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(r.ctx, c)
	return c["traceparent"]
}

// End ends the drive, and every span that it has left open. An error is a text
// without secrets.
func (r *Run) End(result string, err string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		s.SetAttributes(keyTaskResult.String(cancellation))
		s.End()
	}
	clear(r.spans)
	r.root.SetAttributes(keyResult.String(result))
	if result == failure {
		r.root.SetStatus(codes.Error, clip(err))
	}
	r.root.End()
}

// ResultOf is how a run has ended, in the words of the conventions.
func ResultOf(done, suspended bool) string {
	switch {
	case done:
		return success
	case suspended:
		return cancellation
	}
	return failure
}

// Around is for dag.Options: what is done for a step has its span as the parent.
func (r *Run) Around(ctx context.Context, n dag.Node, attempt int) (context.Context, func(error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := n.Key.String()
	s := r.spans[removalOf(key)]
	if s == nil {
		s = r.spans[key]
	}
	if s == nil {
		return trace.ContextWithSpan(ctx, r.root), func(error) {}
	}
	if attempt > 1 {
		s.SetAttributes(keyAttempt.Int(attempt))
	}
	return trace.ContextWithSpan(ctx, s), func(error) {}
}

func removalOf(key string) string { return "removal " + key }

// Observe makes spans of an event, which holds no secrets.
func (r *Run) Observe(e dag.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e.Type {
	case dag.Planned:
		r.needs[e.Key] = e.Needs
	case dag.Started:
		r.open(e, e.Key, e.Step, trace.WithAttributes(keyTitle.String(e.Text)))
	case dag.Retrying:
		r.tell(e, eventRetry, keyError.String(e.Err), keyWait.Float64(e.Wait.Seconds()))
	case dag.Warned:
		r.tell(e, eventWarning, keyMessage.String(e.Text))
	case dag.Vanished:
		r.tell(e, eventGone, keyStep.String(e.Step), keyMessage.String(e.Text))
	case dag.Rebuilt:
		r.tell(e, eventAnew, keyStep.String(e.Step), keyMessage.String(e.Text))
	case dag.Finished:
		r.close(e, e.Key, success, keyOutput.String(e.Text))
	case dag.Adopted:
		r.close(e, e.Key, success, keyOutput.String(e.Text), keyAdopted.Bool(true))
	case dag.Failed:
		r.close(e, e.Key, failure)
	case dag.Skipped:
		r.close(e, e.Key, skip, keyMessage.String(e.Err))
	case dag.Suspended:
		r.close(e, e.Key, cancellation)
	case dag.Releasing:
		r.open(e, removalOf(e.Key), "remove "+e.Step, trace.WithAttributes(keyRemoved.String(e.Text)))
	case dag.Released:
		r.close(e, removalOf(e.Key), success)
	case dag.Left:
		r.close(e, removalOf(e.Key), failure)
	}
}

// open begins the span of a step, or of what is done to what it has made.
func (r *Run) open(e dag.Event, of, name string, more ...trace.SpanStartOption) trace.Span {
	opts := append(more, trace.WithTimestamp(e.Time), trace.WithAttributes(
		keyRun.String(r.about.Run), keyBuilds.StringSlice(some(e.Builds)), keyStep.String(e.Step), keyKind.String(e.Kind), keyKey.String(e.Key)))
	if of == e.Key {
		opts = append(opts, trace.WithAttributes(keyAttempt.Int(max(e.Attempt, 1)), keyTask.String(e.Step), keyTaskRun.String(e.Token), keyTaskType.String("build")))
		for _, k := range r.needs[e.Key] {
			if c, ok := r.ended[k.String()]; ok {
				opts = append(opts, trace.WithLinks(trace.Link{SpanContext: c}))
			}
		}
	}
	_, s := r.p.tracer.Start(r.ctx, name, opts...)
	r.spans[of] = s
	return s
}

// close ends a span; what was never begun took no time.
func (r *Run) close(e dag.Event, of, result string, more ...attribute.KeyValue) {
	s := r.spans[of]
	if s == nil {
		s = r.open(e, of, e.Step)
	}
	s.SetAttributes(append(more, keyTaskResult.String(result))...)
	if result == failure {
		s.SetStatus(codes.Error, clip(e.Err))
	}
	s.End(trace.WithTimestamp(e.Time))
	delete(r.spans, of)
	r.ended[of] = s.SpanContext()
}

// tell adds an event to the span of what it is about, or to that of the run.
func (r *Run) tell(e dag.Event, name string, about ...attribute.KeyValue) {
	s := r.spans[removalOf(e.Key)]
	if s == nil {
		s = r.spans[e.Key]
	}
	if s == nil {
		s = r.root
	}
	s.AddEvent(name, trace.WithTimestamp(e.Time), trace.WithAttributes(about...))
}

// some are the first of many builds: an attribute is no list of thousands.
func some(builds []string) []string {
	const most = 32
	if len(builds) > most {
		return append(builds[:most:most], fmt.Sprintf("and %d more", len(builds)-most))
	}
	return builds
}

func clip(s string) string {
	if len(s) > mostText {
		return s[:mostText]
	}
	return s
}
