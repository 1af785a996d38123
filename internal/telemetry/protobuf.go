package telemetry

import (
	"encoding/binary"
	"math"

	"go.opentelemetry.io/otel/attribute"
)

// message is one of protobuf's as far as it is written. A field with its default
// value may be left out, and is.
type message []byte

// The wire types of protobuf.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

func (m *message) tag(field, wire uint64) { *m = binary.AppendUvarint(*m, field<<3|wire) }

func (m *message) varint(field, v uint64) {
	if v != 0 {
		m.tag(field, wireVarint)
		*m = binary.AppendUvarint(*m, v)
	}
}

func (m *message) fixed64(field, v uint64) {
	if v != 0 {
		m.tag(field, wireFixed64)
		*m = binary.LittleEndian.AppendUint64(*m, v)
	}
}

func (m *message) fixed32(field uint64, v uint32) {
	if v != 0 {
		m.tag(field, wireFixed32)
		*m = binary.LittleEndian.AppendUint32(*m, v)
	}
}

// double writes a zero, too: what has presence is told by being there.
func (m *message) double(field uint64, v float64) {
	m.tag(field, wireFixed64)
	*m = binary.LittleEndian.AppendUint64(*m, math.Float64bits(v))
}

func (m *message) bytes(field uint64, b []byte) {
	if len(b) > 0 {
		m.tag(field, wireBytes)
		*m = append(binary.AppendUvarint(*m, uint64(len(b))), b...)
	}
}

func (m *message) text(field uint64, s string) { m.bytes(field, []byte(s)) }

// message writes one that is part of this one, though it be empty.
func (m *message) message(field uint64, write func(*message)) {
	var part message
	write(&part)
	m.tag(field, wireBytes)
	*m = append(binary.AppendUvarint(*m, uint64(len(part))), part...)
}

// packed64 writes numbers of 64 bits.
func (m *message) packed64(field uint64, vs []uint64) {
	var all []byte
	for _, v := range vs {
		all = binary.LittleEndian.AppendUint64(all, v)
	}
	m.bytes(field, all)
}

// attributes writes opentelemetry.proto.common.v1.KeyValue.
func (m *message) attributes(field uint64, all []attribute.KeyValue) {
	for _, a := range all {
		m.message(field, func(m *message) {
			m.text(1, string(a.Key))
			m.message(2, func(m *message) { m.value(a.Value) })
		})
	}
}

// value writes the AnyValue of an attribute. Of two fields of a oneof the one that is
// there counts, so a default is written as well.
func (m *message) value(v attribute.Value) {
	switch v.Type() {
	case attribute.BOOL:
		m.tag(2, wireVarint)
		*m = append(*m, map[bool]byte{true: 1}[v.AsBool()])
	case attribute.INT64:
		m.tag(3, wireVarint)
		*m = binary.AppendUvarint(*m, uint64(v.AsInt64()))
	case attribute.FLOAT64:
		m.double(4, v.AsFloat64())
	case attribute.STRINGSLICE:
		m.message(5, func(m *message) {
			for _, s := range v.AsStringSlice() {
				m.message(1, func(m *message) { m.value(attribute.StringValue(s)) })
			}
		})
	default:
		s := v.String()
		m.tag(1, wireBytes)
		*m = append(binary.AppendUvarint(*m, uint64(len(s))), s...)
	}
}
