package telemetry

import (
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// samplers are those that OTEL_TRACES_SAMPLER names.
var samplers = map[string]func(ratio float64) sdktrace.Sampler{
	"always_on":                func(float64) sdktrace.Sampler { return sdktrace.AlwaysSample() },
	"always_off":               func(float64) sdktrace.Sampler { return sdktrace.NeverSample() },
	"traceidratio":             sdktrace.TraceIDRatioBased,
	"parentbased_always_on":    func(float64) sdktrace.Sampler { return sdktrace.ParentBased(sdktrace.AlwaysSample()) },
	"parentbased_always_off":   func(float64) sdktrace.Sampler { return sdktrace.ParentBased(sdktrace.NeverSample()) },
	"parentbased_traceidratio": func(r float64) sdktrace.Sampler { return sdktrace.ParentBased(sdktrace.TraceIDRatioBased(r)) },
}

func (o *Options) sampler() sdktrace.Sampler {
	wish := samplers[o.Sampler]
	if wish == nil {
		wish = samplers["parentbased_always_on"]
	}
	s := wish(o.Ratio)
	if o.Metrics != nil {
		s = measured{s}
	}
	return s
}

// measured has spans recorded that are not sent, since measures are made of them.
type measured struct{ sdktrace.Sampler }

func (m measured) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	r := m.Sampler.ShouldSample(p)
	if r.Decision == sdktrace.Drop {
		r.Decision = sdktrace.RecordOnly
	}
	return r
}
