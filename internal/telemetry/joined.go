package telemetry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/imgflow/imgflow/dag"
)

// Drives of a run that workers of a fleet do steps of: each of them knows the root of the trace without asking, since
// its ids are made of the run's id and of the number of the drive. Whoever ends the drive tells of the root itself.

// Outer is the trace that the environment has runs be part of, as W3C has it; "" is none.
func (p *Provider) Outer() string {
	if p == nil || !remote(context.Background(), p.o.Parent, "").IsValid() {
		return ""
	}
	return p.o.Parent
}

// Joined tells of what a process does of a drive that is others', too. Former is the trace that the run is
// part of, if there is one. Of a nil provider it returns nil.
func (p *Provider) Joined(about About, drive int64) *Run {
	if p == nil {
		return nil
	}
	p.start.Do(p.begin)
	ctx := trace.ContextWithRemoteSpanContext(context.Background(), p.rootOf(about, drive))
	return &Run{p: p, about: about, root: trace.SpanFromContext(ctx), ctx: ctx, needs: map[string][]dag.Key{}, spans: map[string]trace.Span{}, ended: map[string]trace.SpanContext{}}
}

// Drove tells of a whole drive that has ended now, as End does. An error is a text without secrets.
func (p *Provider) Drove(about About, drive int64, began time.Time, result, err string) {
	if p == nil {
		return
	}
	p.start.Do(p.begin)
	ctx := context.WithValue(context.Background(), idsKey{}, p.rootOf(about, drive))
	if former := remote(ctx, about.Former, ""); former.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, former)
	}
	_, s := p.tracer.Start(ctx, about.Action+" "+about.Template, trace.WithAttributes(about.attributes()...), trace.WithTimestamp(began))
	s.SetAttributes(keyResult.String(result))
	if result == failure {
		s.SetStatus(codes.Error, clip(err))
	}
	s.End()
}

// rootOf is the root of a drive, sampled as all that have these options would sample it.
func (p *Provider) rootOf(about About, drive int64) trace.SpanContext {
	sum := sha256.Sum256([]byte(about.Run))
	c := trace.SpanContextConfig{TraceID: trace.TraceID(sum[:16])}
	ctx := context.Background()
	if former := remote(ctx, about.Former, ""); former.IsValid() {
		c.TraceID = former.TraceID()
		ctx = trace.ContextWithRemoteSpanContext(ctx, former)
	}
	sum = sha256.Sum256(fmt.Appendf(nil, "%s %d", about.Run, drive))
	c.SpanID = trace.SpanID(sum[:8])
	if p.o.sampler().ShouldSample(sdktrace.SamplingParameters{ParentContext: ctx, TraceID: c.TraceID}).Decision == sdktrace.RecordAndSample {
		c.TraceFlags = trace.FlagsSampled
	}
	return trace.NewSpanContext(c)
}

// idsKey is of the context's value that says which ids the next span has, a trace.SpanContext.
type idsKey struct{}

// ids draws those of spans, but for a root that has its own.
type ids struct{}

func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if c, ok := ctx.Value(idsKey{}).(trace.SpanContext); ok {
		return c.TraceID(), c.SpanID()
	}
	var t trace.TraceID
	rand.Read(t[:]) // never fails
	return t, drawn()
}

func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	if c, ok := ctx.Value(idsKey{}).(trace.SpanContext); ok {
		return c.SpanID()
	}
	return drawn()
}

// drawn is an id that is not zero, which is none.
func drawn() (s trace.SpanID) {
	for !s.IsValid() {
		rand.Read(s[:])
	}
	return s
}
