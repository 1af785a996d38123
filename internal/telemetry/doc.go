// Package telemetry tells OpenTelemetry collectors what a run does: a run is a
// trace, each of its steps a span, and each call of a cloud a child of its step.
// docs/tracing.md has the names of all that is sent.
//
// [FromEnv] reads the standard OTEL_ variables, from an environment that it is
// given; without any of them there is no [Provider], and all that a run asks of a
// nil one is a look whether it is nil:
//
//	o, warnings := telemetry.FromEnv(env.Get, env.Abs)
//	p := telemetry.New(o) // nil if nothing is to be told
//	...
//	ctx, run := p.Begin(ctx, telemetry.About{Run: id, Template: "web.json"})
//	// run.Around for dag.Options, run.Observe for each event
//	run.End("done", "")
//	...
//	warning := p.Close()
//
// A run that workers of a fleet do steps of is told by all of them ([Provider.Joined]), and its
// root by who ends it ([Provider.Drove]). What a worker is at is read when it is sent ([Provider.Watch]).
//
// What is known of a step is what its events say, so no secret gets here that is
// not taken out of events, too. Contexts are the other way round: whoever makes
// calls finds in its context the span of its step, and with it the provider; this
// package knows neither clouds nor their clients.
//
// # What is sent, and how
//
// OTLP over HTTP, in protobuf, by an encoder of our own (protobuf.go, traces.go,
// measures.go): the exporters of OpenTelemetry bring 4.3 MB of gRPC, gateways
// and reflection. Spans are the library's, from its sampler to its bounded queue;
// measures are made of ended spans, which its metric SDK would take 0.9 MB for.
//
// # When the collector is away
//
// A queue of bounded length fills, and what does not fit is lost: no step waits for
// it. A batch is tried again while the time of OTEL_EXPORTER_OTLP_TIMEOUT lasts, if what is
// wrong may pass. Close takes at most five seconds, tries nothing twice, and says in one error how
// many spans were lost and why.
package telemetry
