package sessionmanager

import (
	"io"
	"testing"
)

// Frames come cut into any pieces.
func TestFramesMayBeCutAnywhere(t *testing.T) {
	m := newMux(nil)
	m.ch = newChannel(kindInput, kindOutput, collecting(new([]byte)))
	defer m.ch.fail(errMux)
	s, err := m.open()
	if err != nil {
		t.Fatal(err)
	}
	all := append(muxFrame(muxData, s.number, []byte("hello ")), muxFrame(muxNothing, 0, nil)...)
	all = append(append(all, muxFrame(muxData, s.number, []byte("world"))...), muxFrame(muxEnd, s.number, nil)...)
	for _, b := range all {
		if ok, err := m.feed([]byte{b}); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if got, err := io.ReadAll(s); string(got) != "hello world" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	s.Close()
	if m.unread != 0 || len(m.streams) != 0 {
		t.Errorf("%d bytes and %d streams are left", m.unread, len(m.streams))
	}
}

// The agent opens no streams at a client, and a client not any number.
func TestStreamsAreBounded(t *testing.T) {
	m := newMux(nil)
	m.ch = newChannel(kindInput, kindOutput, collecting(new([]byte)))
	defer m.ch.fail(errMux)
	if _, err := m.feed(muxFrame(muxOpen, 2, nil)); err != nil || len(m.streams) != 0 {
		t.Errorf("%d streams, %v", len(m.streams), err)
	}
	m.opened = func(*stream) {}
	var err error
	for n := range uint32(maxStreams + 1) {
		_, err = m.feed(muxFrame(muxOpen, 3+2*n, nil))
	}
	if err == nil {
		t.Error("took any number of streams")
	}
}

func FuzzMux(f *testing.F) {
	f.Add(append(muxFrame(muxOpen, 3, nil), muxFrame(muxData, 3, []byte("x"))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := newMux(func(*stream) {})
		m.ch = newChannel(kindInput, kindOutput, collecting(new([]byte)))
		defer m.ch.fail(errMux)
		m.feed(b)
		sum := 0
		for _, s := range m.streams {
			sum += len(s.unread)
		}
		if sum != m.unread {
			t.Errorf("%d bytes are counted, %d are there", m.unread, sum)
		}
	})
}
