package ec2local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/imgflow/imgflow/internal/ec2local/guest"
)

// fakeHost keeps what was done to its guests. It outlives servers, as a
// directory of guests does.
type fakeHost struct {
	mu       sync.Mutex
	machines map[string]*fakeMachine
	layers   map[string]string // id → what the guest held
	removed  []string
	next     int
	bootErr  error
	slow     time.Duration // what booting, stopping and freezing take
}

func newFakeHost() *fakeHost {
	return &fakeHost{machines: map[string]*fakeMachine{}, layers: map[string]string{}}
}

func (h *fakeHost) Name() string { return "fake" }

func (h *fakeHost) Create(id string, s guest.Spec) (guest.Machine, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range s.Layers {
		if _, ok := h.layers[l]; !ok {
			return nil, fmt.Errorf("no layer %s", l)
		}
	}
	m := &fakeMachine{h: h, id: id, spec: s, stand: slices.Clone(s.Layers)}
	h.machines[id] = m
	return m, nil
}

func (h *fakeHost) Open(id string) (guest.Machine, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.machines[id]
	if m == nil {
		return nil, fs.ErrNotExist
	}
	return m, nil
}

func (h *fakeHost) RemoveLayer(_ context.Context, l string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.machines {
		if slices.Contains(m.stand, l) {
			return errors.New("a guest stands on it")
		}
	}
	delete(h.layers, l)
	h.removed = append(h.removed, l)
	return nil
}

func (h *fakeHost) Export(_ context.Context, w io.Writer, layers []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range layers {
		text, ok := h.layers[l]
		if !ok {
			return fmt.Errorf("no layer %s", l)
		}
		fmt.Fprintln(w, text)
	}
	return nil
}

func (h *fakeHost) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.machines {
		m.running = false
	}
	return nil
}

func (h *fakeHost) get(id string) *fakeMachine {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.machines[id]
}

type fakeMachine struct {
	h       *fakeHost
	id      string
	spec    guest.Spec
	stand   []string
	wrote   string
	running bool
	boots   int
	exited  func(guest.Exit)
}

func (m *fakeMachine) Boot(_ context.Context, exited func(guest.Exit)) error {
	time.Sleep(m.h.slow)
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	if m.h.bootErr != nil {
		return m.h.bootErr
	}
	m.running, m.exited = true, exited
	m.boots++
	return nil
}

func (m *fakeMachine) Stop(context.Context) error {
	time.Sleep(m.h.slow)
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	m.running = false
	return nil
}

func (m *fakeMachine) Ports() map[string]int { return map[string]int{"ssh": 2222} }

func (m *fakeMachine) Freeze(context.Context) ([]string, error) {
	time.Sleep(m.h.slow)
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	m.h.next++
	l := fmt.Sprintf("layer-%d", m.h.next)
	m.h.layers[l] = m.wrote
	m.wrote = ""
	m.stand = append([]string{l}, m.stand...)
	return slices.Clone(m.stand), nil
}

func (m *fakeMachine) Console() []byte { return []byte("booted " + m.id + "\n") }

func (m *fakeMachine) PasswordData() string {
	if m.spec.Platform != "windows" {
		return ""
	}
	return "c2VhbGVk"
}

func (m *fakeMachine) Remove(context.Context) error {
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	delete(m.h.machines, m.id)
	return nil
}

// write is what a provisioner would do.
func (m *fakeMachine) write(text string) {
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	m.wrote = text
}

func (m *fakeMachine) isRunning() bool {
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	return m.running
}

func (m *fakeMachine) exit(e guest.Exit) {
	m.h.mu.Lock()
	m.running = false
	f := m.exited
	m.h.mu.Unlock()
	f(e)
}
