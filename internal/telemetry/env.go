package telemetry

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// Options say what is told to whom.
type Options struct {
	Traces, Metrics *Target // nil: that is not sent
	// Resource is what sends: service.name and what else was asked for.
	Resource []attribute.KeyValue
	Sampler  string  // as OTEL_TRACES_SAMPLER has it; "" is parentbased_always_on
	Ratio    float64 // of the samplers that take one: 0 to 1
	// Parent and State are of the trace that the run is part of, as W3C has them
	// in traceparent and tracestate; "" begins one.
	Parent, State string
	// Interval is how often metrics are sent; 0 is a minute.
	Interval time.Duration
	// Getenv finds proxies; nil finds none.
	Getenv func(name string) string
}

// Target is where one kind of thing is sent. Its headers are secret.
type Target struct {
	URL     string
	Headers map[string]string
	Timeout time.Duration // of a batch with its retries; 0 is ten seconds
	Gzip    bool
	// The files of the collector's authorities, and of what this side shows it; ""
	// are the system's, and nothing.
	Authorities, Certificate, Key string
}

// FromEnv is what the variables of OpenTelemetry ask for, and what of them cannot be
// done. The options are nil when they ask for nothing: none of them names a collector
// or an exporter, or OTEL_SDK_DISABLED is true. Abs makes paths absolute.
func FromEnv(get func(name string) string, abs func(path string) string) (*Options, []string) {
	e := &environ{get: func(name string) string { return strings.TrimSpace(get(name)) }, abs: abs}
	if strings.EqualFold(e.get("OTEL_SDK_DISABLED"), "true") {
		return nil, nil
	}
	o := &Options{Parent: e.get("TRACEPARENT"), State: e.get("TRACESTATE"), Getenv: get, Traces: e.target("TRACES"), Metrics: e.target("METRICS")}
	if o.Traces == nil && o.Metrics == nil {
		return nil, e.warnings
	}
	o.Interval = e.millis("OTEL_METRIC_EXPORT_INTERVAL")
	o.Sampler, o.Ratio = e.sampler()
	o.Resource = e.resource()
	return o, e.warnings
}

// environ collects what is wrong with the variables. Values of headers are never told.
type environ struct {
	get      func(name string) string
	abs      func(path string) string
	warnings []string
}

func (e *environ) warn(format string, a ...any) {
	e.warnings = append(e.warnings, fmt.Sprintf(format, a...))
}

// of is a variable of the exporter: that of the signal goes before the general one.
func (e *environ) of(signal, what string) (value, name string) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_" + signal + "_" + what, "OTEL_EXPORTER_OTLP_" + what} {
		if v := e.get(name); v != "" {
			return v, name
		}
	}
	return "", ""
}

// target is where a signal goes; nil is nowhere.
func (e *environ) target(signal string) *Target {
	exporter := "OTEL_" + signal + "_EXPORTER"
	endpoint, named := e.of(signal, "ENDPOINT")
	switch wish := e.get(exporter); {
	case wish == "none", wish == "" && endpoint == "":
		return nil
	case wish != "" && wish != "otlp":
		e.warn("cannot send %s by %s=%s: otlp and none are the choice", strings.ToLower(signal), exporter, wish)
		return nil
	}
	switch protocol, name := e.of(signal, "PROTOCOL"); protocol {
	case "", "http/protobuf":
	default:
		e.warn("cannot send %s by %s=%s: http/protobuf is what is spoken here, and every collector takes it, mostly at port 4318", strings.ToLower(signal), name, protocol)
		return nil
	}
	if endpoint == "" {
		endpoint = "http://localhost:4318"
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		e.warn("cannot send %s to %s: give it as http://HOST:PORT", strings.ToLower(signal), named)
		return nil
	}
	if named != "OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT" {
		u = u.JoinPath("v1", strings.ToLower(signal))
	}
	t := &Target{URL: u.String(), Headers: e.headers(signal)}
	if ms, name := e.of(signal, "TIMEOUT"); ms != "" {
		t.Timeout = e.millis(name)
	}
	switch how, name := e.of(signal, "COMPRESSION"); how {
	case "", "none":
	case "gzip":
		t.Gzip = true
	default:
		e.warn("cannot compress by %s=%s: gzip and none are the choice", name, how)
	}
	for variable, file := range map[string]*string{"CERTIFICATE": &t.Authorities, "CLIENT_CERTIFICATE": &t.Certificate, "CLIENT_KEY": &t.Key} {
		if path, _ := e.of(signal, variable); path != "" {
			*file = e.abs(path)
		}
	}
	return t
}

// headers are NAME=VALUE, with commas between them and percent signs for what is special.
func (e *environ) headers(signal string) map[string]string {
	text, variable := e.of(signal, "HEADERS")
	all := map[string]string{}
	for name, value := range e.pairs(variable, text) {
		if strings.ContainsAny(name, " \t\r\n:") || strings.ContainsAny(value, "\r\n") {
			e.warn("cannot use a header of %s: no header of HTTP is like that", variable)
			continue
		}
		all[name] = value
	}
	return all
}

// pairs reads the form that headers and attributes of resources have. Values are not told.
func (e *environ) pairs(variable, text string) map[string]string {
	all := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		plain, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || name == "" || err != nil {
			e.warn("cannot use a part of %s: it is not NAME=VALUE with %%XX for what is special", variable)
			continue
		}
		all[name] = plain
	}
	return all
}

func (e *environ) millis(name string) time.Duration {
	text := e.get(name)
	if text == "" {
		return 0
	}
	ms, err := strconv.ParseInt(text, 10, 32)
	if err != nil || ms <= 0 {
		e.warn("cannot use %s=%s: it is a number of milliseconds", name, text)
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// sampler is which traces are sent.
func (e *environ) sampler() (name string, ratio float64) {
	name, ratio = e.get("OTEL_TRACES_SAMPLER"), 1
	if samplers[name] == nil && name != "" {
		e.warn("cannot use OTEL_TRACES_SAMPLER=%s: always_on, always_off, traceidratio, and each after parentbased_, are the choice", name)
		name = ""
	}
	if text := e.get("OTEL_TRACES_SAMPLER_ARG"); strings.HasSuffix(name, "traceidratio") && text != "" {
		r, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(r) || r < 0 || r > 1 {
			e.warn("cannot use OTEL_TRACES_SAMPLER_ARG=%s: it is a number from 0 to 1", text)
			return name, 1
		}
		ratio = r
	}
	return name, ratio
}

// resource is what OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say.
func (e *environ) resource() (all []attribute.KeyValue) {
	const variable = "OTEL_RESOURCE_ATTRIBUTES"
	pairs := e.pairs(variable, e.get(variable))
	if name := e.get("OTEL_SERVICE_NAME"); name != "" {
		pairs["service.name"] = name
	}
	for name, value := range pairs {
		all = append(all, attribute.String(name, value))
	}
	return all
}
