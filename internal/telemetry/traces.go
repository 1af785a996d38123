package telemetry

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// encodeTraces writes an ExportTraceServiceRequest: spans by the scope that made them.
func encodeTraces(resource []attribute.KeyValue, spans []sdktrace.ReadOnlySpan) []byte {
	var scopes []string
	byScope := map[string][]sdktrace.ReadOnlySpan{}
	for _, s := range spans {
		name := s.InstrumentationScope().Name
		if byScope[name] == nil {
			scopes = append(scopes, name)
		}
		byScope[name] = append(byScope[name], s)
	}
	var m message
	m.message(1, func(m *message) {
		m.message(1, func(m *message) { m.attributes(1, resource) })
		for _, name := range scopes {
			m.message(2, func(m *message) {
				m.message(1, func(m *message) { m.text(1, name) })
				for _, s := range byScope[name] {
					m.message(2, func(m *message) { m.span(s) })
				}
			})
		}
	})
	return m
}

func nanos(t time.Time) uint64 { return uint64(max(t.UnixNano(), 0)) }

// The bits of a span's and a link's flags beside those of W3C: whether it is known
// that the context came from elsewhere, and whether it did.
const (
	knowsRemote = 1 << 8
	isRemote    = 1 << 9
)

func flagsOf(own, parent trace.SpanContext) uint32 {
	flags := uint32(own.TraceFlags()) | knowsRemote
	if parent.IsRemote() {
		flags |= isRemote
	}
	return flags
}

func (m *message) span(s sdktrace.ReadOnlySpan) {
	own, parent := s.SpanContext(), s.Parent()
	tid, sid := own.TraceID(), own.SpanID()
	m.bytes(1, tid[:])
	m.bytes(2, sid[:])
	m.text(3, own.TraceState().String())
	if parent.HasSpanID() {
		pid := parent.SpanID()
		m.bytes(4, pid[:])
	}
	m.text(5, s.Name())
	m.varint(6, uint64(s.SpanKind())) // both number them alike
	m.fixed64(7, nanos(s.StartTime()))
	m.fixed64(8, nanos(s.EndTime()))
	m.attributes(9, s.Attributes())
	m.varint(10, uint64(s.DroppedAttributes()))
	for _, e := range s.Events() {
		m.message(11, func(m *message) {
			m.fixed64(1, nanos(e.Time))
			m.text(2, e.Name)
			m.attributes(3, e.Attributes)
			m.varint(4, uint64(e.DroppedAttributeCount))
		})
	}
	m.varint(12, uint64(s.DroppedEvents()))
	for _, l := range s.Links() {
		m.message(13, func(m *message) {
			tid, sid := l.SpanContext.TraceID(), l.SpanContext.SpanID()
			m.bytes(1, tid[:])
			m.bytes(2, sid[:])
			m.text(3, l.SpanContext.TraceState().String())
			m.attributes(4, l.Attributes)
			m.fixed32(6, flagsOf(l.SpanContext, l.SpanContext))
		})
	}
	m.varint(14, uint64(s.DroppedLinks()))
	if st := s.Status(); st.Code != codes.Unset {
		m.message(15, func(m *message) {
			m.text(2, st.Description)
			m.varint(3, map[codes.Code]uint64{codes.Ok: 1, codes.Error: 2}[st.Code])
		})
	}
	m.fixed32(16, flagsOf(own, parent))
}
