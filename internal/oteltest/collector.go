// Package oteltest is a collector of OpenTelemetry for tests: it takes what is sent by
// OTLP over HTTP, decodes it as OpenTelemetry itself has it, and refuses what it does not
// know. It can be away, slow, or out of sorts.
package oteltest

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"

	metricscollector "go.opentelemetry.io/proto/slim/otlp/collector/metrics/v1"
	tracecollector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/slim/otlp/metrics/v1"
	traces "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Collector is one that listens on loopback.
type Collector struct {
	*httptest.Server
	// Answer, if it is set, is asked before a batch is taken; what is not 200 is the
	// answer.
	Answer func(*http.Request) int

	mu       sync.Mutex
	spans    []*traces.Span
	metrics  map[string]*metrics.Metric // the last of each name
	resource map[string]string
	headers  []http.Header
	wrong    []string
}

// Start starts a collector; the caller closes it.
func Start() *Collector {
	c := &Collector{metrics: map[string]*metrics.Metric{}, resource: map[string]string{}}
	c.Server = httptest.NewServer(http.HandlerFunc(c.take))
	return c
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	if c.Answer != nil {
		if code := c.Answer(r); code != http.StatusOK {
			w.WriteHeader(code)
			return
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = append(c.headers, r.Header.Clone())
	if err := c.decode(r); err != nil {
		c.wrong = append(c.wrong, err.Error())
		w.WriteHeader(http.StatusBadRequest)
	}
}

func (c *Collector) decode(r *http.Request) error {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return err
		}
		body = z
	}
	b, err := io.ReadAll(io.LimitReader(body, 64<<20))
	if err != nil {
		return err
	}
	if got := r.Header.Get("Content-Type"); got != "application/x-protobuf" || r.Method != http.MethodPost {
		return fmt.Errorf("a %s of %s", r.Method, got)
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/v1/traces"):
		var m tracecollector.ExportTraceServiceRequest
		if err := decode(b, &m); err != nil {
			return err
		}
		for _, rs := range m.ResourceSpans {
			c.about(rs.Resource.Attributes)
			for _, ss := range rs.ScopeSpans {
				c.spans = append(c.spans, ss.Spans...)
			}
		}
	case strings.HasSuffix(r.URL.Path, "/v1/metrics"):
		var m metricscollector.ExportMetricsServiceRequest
		if err := decode(b, &m); err != nil {
			return err
		}
		for _, rm := range m.ResourceMetrics {
			c.about(rm.Resource.Attributes)
			for _, sm := range rm.ScopeMetrics {
				for _, x := range sm.Metrics {
					c.metrics[x.Name] = x
				}
			}
		}
	default:
		return fmt.Errorf("nothing is taken at %s", r.URL.Path)
	}
	return nil
}

func (c *Collector) about(attributes []*common.KeyValue) {
	for _, a := range attributes {
		c.resource[a.Key] = Text(a.Value)
	}
}

// decode refuses fields that the message does not have.
func decode(b []byte, m proto.Message) error {
	if err := proto.Unmarshal(b, m); err != nil {
		return err
	}
	return known(m.ProtoReflect())
}

func known(m protoreflect.Message) (err error) {
	if n := len(m.GetUnknown()); n > 0 {
		return fmt.Errorf("%s has %d bytes of unknown fields", m.Descriptor().FullName(), n)
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				if err = known(v.List().Get(i).Message()); err != nil {
					return false
				}
			}
		default:
			err = known(v.Message())
		}
		return err == nil
	})
	return err
}

// Spans are those that have come, in their order.
func (c *Collector) Spans() []*traces.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Metric is the last one of a name; nil if none has come.
func (c *Collector) Metric(name string) *metrics.Metric {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.metrics[name]
}

// Resource is what has sent.
func (c *Collector) Resource() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resource
}

// Headers are those of the batches that have come.
func (c *Collector) Headers() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.headers)
}

// Wrong is what was wrong with the batches.
func (c *Collector) Wrong() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.wrong)
}

// Text is an attribute's value; a list has commas between its parts.
func Text(v *common.AnyValue) string {
	switch x := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return x.StringValue
	case *common.AnyValue_BoolValue:
		return fmt.Sprint(x.BoolValue)
	case *common.AnyValue_IntValue:
		return fmt.Sprint(x.IntValue)
	case *common.AnyValue_DoubleValue:
		return fmt.Sprint(x.DoubleValue)
	case *common.AnyValue_ArrayValue:
		var parts []string
		for _, p := range x.ArrayValue.Values {
			parts = append(parts, Text(p))
		}
		return strings.Join(parts, ",")
	}
	return ""
}

// Attributes are those of a span, an event or a point.
func Attributes(of interface{ GetAttributes() []*common.KeyValue }) map[string]string {
	all := map[string]string{}
	for _, a := range of.GetAttributes() {
		all[a.Key] = Text(a.Value)
	}
	return all
}
