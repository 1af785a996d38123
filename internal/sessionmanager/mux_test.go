package sessionmanager

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/xtaci/smux"
)

// frame is one as smux has it, version 1.
func frame(command byte, number uint32, data string) []byte {
	f := binary.LittleEndian.AppendUint16([]byte{1, command}, uint16(len(data)))
	return append(binary.LittleEndian.AppendUint32(f, number), data...)
}

// The commands of its frames.
const (
	muxOpen = iota
	muxEnd
	muxData
	muxNothing
)

func newTestMux(t testing.TB, opened func(*smux.Stream)) *mux {
	m := newMux()
	m.over(newChannel(kindInput, kindOutput, collecting(new([]byte))), opened)
	t.Cleanup(func() { m.wire.ch.fail(errMux) })
	return m
}

// Frames come cut into any pieces.
func TestFramesMayBeCutAnywhere(t *testing.T) {
	m := newTestMux(t, nil)
	s, err := m.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	all := append(frame(muxData, s.ID(), "hello "), frame(muxNothing, 0, "")...)
	all = append(append(all, frame(muxData, s.ID(), "world")...), frame(muxEnd, s.ID(), "")...)
	for _, b := range all {
		if !m.wire.feed([]byte{b}) {
			t.Fatal("no room")
		}
	}
	if got, err := io.ReadAll(s); string(got) != "hello world" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	s.Close()
	if m.NumStreams() != 0 {
		t.Errorf("%d streams are left", m.NumStreams())
	}
}

// The agent opens no streams at a client, and a client not any number.
func TestStreamsAreBounded(t *testing.T) {
	for name, x := range map[string]struct {
		opened func(*smux.Stream)
		many   uint32
		want   string
	}{
		"by an agent":        {nil, 1, "the agent of the machine opens streams"},
		"too many":           {func(*smux.Stream) {}, maxStreams + 1, "too many streams"},
		"as many as may be":  {func(*smux.Stream) {}, maxStreams, ""},
		"others after those": {func(s *smux.Stream) { s.Close() }, maxStreams / 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := newTestMux(t, x.opened)
			for n := range x.many {
				m.wire.feed(frame(muxOpen, 3+2*n, ""))
			}
			select {
			case <-m.wire.ch.done:
				if err := m.wire.ch.ended(); x.want == "" || !strings.Contains(err.Error(), x.want) {
					t.Error(err)
				}
			case <-time.After(map[bool]time.Duration{true: 100 * time.Millisecond, false: 20 * time.Second}[x.want == ""]):
				if x.want != "" {
					t.Error("took them")
				}
			}
		})
	}
}

// Frames fit into messages of the size that others have.
func TestFramesFitIntoMessages(t *testing.T) {
	m := newTestMux(t, nil)
	s, err := m.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(noise(100_000)); err != nil {
		t.Fatal(err)
	}
	m.wire.ch.mu.Lock()
	defer m.wire.ch.mu.Unlock()
	for _, p := range m.wire.ch.pending {
		if got, err := decode(p.raw); err != nil || len(got.payload) > chunkSize {
			t.Errorf("%d bytes, %v", len(got.payload), err)
		}
	}
}

func FuzzMux(f *testing.F) {
	f.Add(append(frame(muxOpen, 3, ""), frame(muxData, 3, "x")...))
	f.Add(frame(9, 3, "x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := newTestMux(t, func(s *smux.Stream) { s.Close() })
		m.wire.feed(b)
		m.wire.mu.Lock()
		defer m.wire.mu.Unlock()
		if len(m.wire.waiting) > maxWaiting {
			t.Errorf("%d bytes wait", len(m.wire.waiting))
		}
	})
}
