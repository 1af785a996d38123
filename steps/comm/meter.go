package comm

import (
	"io"
	"sync"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// meter reports progress a few times a second.
type meter struct {
	t           *dag.Task  // nil: to nobody
	mu          sync.Mutex // what a script has not read may still be on its way when it has ended
	done, total int64
	next        time.Time
}

func (m *meter) add(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += int64(n)
	if now := time.Now(); m.t != nil && now.After(m.next) {
		m.next = now.Add(200 * time.Millisecond)
		m.t.Progress(m.done, max(m.total, 0), "bytes")
	}
}

// set says how much is done when that is known otherwise.
func (m *meter) set(done int64) { m.add(int(done - m.done)) }

func (m *meter) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.t.Progress(m.done, max(m.total, m.done), "bytes")
}

type meteredReader struct {
	r io.Reader
	m *meter
}

func (r meteredReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	r.m.add(n)
	return n, err
}

type meteredWriter struct {
	w io.Writer
	m *meter
}

func (w meteredWriter) Write(b []byte) (int, error) {
	n, err := w.w.Write(b)
	w.m.add(n)
	return n, err
}
