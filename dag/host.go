package dag

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
)

// host is the engine as a step at work sees it.
type host struct {
	e *Engine
	t *Task // the engine's own, of the same making

	mu   sync.Mutex
	r    *Record // what Save writes to; nil for a step that is not being done
	lost error   // why something could not be kept
}

func (h *host) kept(err error) error {
	if err != nil {
		h.mu.Lock()
		h.lost = err
		h.mu.Unlock()
	}
	return err
}

// notKept is the error of a step that ended since something could not be kept.
func (h *host) notKept(text string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost == nil {
		return &storeError{errors.New(text)}
	}
	return &storeError{&worded{text, h.lost}}
}

// worded is an error in the words of the step that met it.
type worded struct {
	text string
	err  error
}

func (e *worded) Error() string { return e.text }
func (e *worded) Unwrap() error { return e.err }

func (h *host) Emit(e Event) error {
	if e.Type == Retrying {
		h.t.set(errors.New(e.Err))
	}
	if h.e.o.Sink == nil {
		return nil
	}
	return h.kept(h.e.o.Sink.Emit(e))
}

func (h *host) Sync() error {
	if h.e.o.Sink == nil {
		return nil
	}
	return h.kept(h.e.o.Sink.Sync())
}

func (h *host) Offset(token, stream string) int64 {
	if h.e.o.Sink == nil {
		return 0
	}
	return h.e.o.Sink.Offset(token, stream)
}

func (h *host) Break(line []byte, most int) int {
	if h.e.o.Sink == nil {
		return most
	}
	return h.e.o.Sink.Break(line, most)
}

func (h *host) Secret(name string) (string, error) {
	if h.e.o.Secret == nil {
		return "", fmt.Errorf("cannot use %s: its value is not known", name)
	}
	return h.e.o.Secret(name)
}

func (h *host) Save(name string, value json.RawMessage) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.r == nil {
		return fmt.Errorf("cannot keep %q of %s: only a step that is being done keeps something", name, h.t.Name)
	}
	state := maps.Clone(h.r.State)
	if state == nil {
		state = map[string]json.RawMessage{}
	}
	state[name] = value
	r := *h.r
	r.State = state
	if err := h.e.put(r); err != nil {
		h.lost = err
		return err
	}
	h.r.State = state
	return nil
}
