package telemetry

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// closePatience is how long the end of the program waits for a collector.
const closePatience = 5 * time.Second

// mostText is how many bytes of a text an attribute has.
const mostText = 4 << 10

// Provider tells of the runs of a process. A nil one tells of none.
type Provider struct {
	o        Options
	patience time.Duration // of Close
	resource []attribute.KeyValue

	start   sync.Once
	begun   bool
	spans   *sdktrace.TracerProvider
	tracer  trace.Tracer
	meter   *meter
	running context.Context
	cancel  context.CancelFunc
	closing chan struct{}
	traces  *sender
	metrics *sender
	ticking sync.WaitGroup

	mu      sync.Mutex
	watched []func() []Level
}

// New is the provider of these options, or nil without any. It starts nothing before
// the first run begins.
func New(o *Options, version string) *Provider {
	if o == nil {
		return nil
	}
	own := []attribute.KeyValue{
		attribute.String("service.name", "imgflow"), attribute.String("service.version", version),
		attribute.String("telemetry.sdk.name", "opentelemetry"), attribute.String("telemetry.sdk.language", "go"),
	}
	all := attribute.NewSet(append(own, o.Resource...)...) // of two with one name the last counts
	return &Provider{o: *o, resource: all.ToSlice(), patience: closePatience, closing: make(chan struct{})}
}

func (p *Provider) begin() {
	p.begun = true
	p.running, p.cancel = context.WithCancel(context.Background())
	limits := sdktrace.NewSpanLimits()
	limits.AttributeValueLengthLimit = mostText
	opts := []sdktrace.TracerProviderOption{
		sdktrace.WithSampler(p.o.sampler()), sdktrace.WithRawSpanLimits(limits), sdktrace.WithResource(resource.NewSchemaless(p.resource...)),
		sdktrace.WithIDGenerator(ids{}),
	}
	if p.o.Traces != nil {
		p.traces = newSender(p.running, p.closing, "traces", *p.o.Traces, p.o.Getenv)
		opts = append(opts, sdktrace.WithBatcher(exporter{p.traces, p.resource}))
	}
	if p.o.Metrics != nil {
		p.metrics = newSender(p.running, p.closing, "metrics", *p.o.Metrics, p.o.Getenv)
		p.meter = newMeter()
		opts = append(opts, sdktrace.WithSpanProcessor(p.meter))
		p.ticking.Go(p.tick)
	}
	p.spans = sdktrace.NewTracerProvider(opts...)
	p.tracer = p.spans.Tracer(scope)
}

// tick sends measures now and then.
func (p *Provider) tick() {
	every := p.o.Interval
	if every <= 0 {
		every = time.Minute
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			p.measure()
		case <-p.closing:
			return
		}
	}
}

// Watch sends with the measures what read returns, from now on. Of a nil provider it does nothing.
func (p *Provider) Watch(read func() []Level) {
	if p == nil {
		return
	}
	p.start.Do(p.begin)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watched = append(p.watched, read)
}

func (p *Provider) measure() {
	p.mu.Lock()
	watched := p.watched
	p.mu.Unlock()
	var levels []Level
	for _, read := range watched {
		levels = append(levels, read()...)
	}
	if batch := p.meter.encode(p.resource, time.Now(), levels); batch != nil {
		p.metrics.send(batch, 1)
	}
}

// Close sends what is left, in at most five seconds. The error says what was lost
// since the beginning, and is a warning. A second Close does nothing.
func (p *Provider) Close() error {
	if p == nil || !p.begun {
		return nil
	}
	p.begun = false
	close(p.closing)
	ctx, cancel := context.WithTimeout(context.Background(), p.patience)
	defer cancel()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		if p.metrics != nil {
			p.ticking.Wait()
			p.measure()
		}
	}()
	late := p.spans.Shutdown(ctx)
	select {
	case <-sent:
	case <-ctx.Done():
		late = ctx.Err()
	}
	p.cancel()
	var losses []error
	for _, s := range []*sender{p.traces, p.metrics} {
		if s != nil {
			losses = append(losses, s.loss())
			s.client.CloseIdleConnections()
		}
	}
	if err := errors.Join(losses...); err != nil {
		return err
	}
	if late != nil {
		return errors.New("cannot send the end of the trace: the collector does not answer")
	}
	return nil
}

// exporter gives spans to a sender. It never fails: the library would print why.
type exporter struct {
	*sender
	resource []attribute.KeyValue
}

func (e exporter) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.send(encodeTraces(e.resource, spans), len(spans))
	return nil
}

func (exporter) Shutdown(context.Context) error { return nil }
