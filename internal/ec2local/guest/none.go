package guest

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
)

// none is the host whose guests are only records.
type none struct{ s *store }

func newNone(dir string) (Host, error) {
	s, err := openStore(dir)
	if err != nil {
		return nil, err
	}
	return &none{s}, nil
}

func (h *none) Name() string { return "none" }

func (h *none) limits() string { return "guests are records: nothing runs in them" }

func (h *none) Create(id string, spec Spec) (Machine, error) {
	r, err := h.s.create(id, spec)
	if err != nil {
		return nil, err
	}
	return &noMachine{h: h, id: id, rec: r}, nil
}

func (h *none) Open(id string) (Machine, error) {
	r, err := h.s.open(id)
	if err != nil {
		return nil, err
	}
	return &noMachine{h: h, id: id, rec: r}, nil
}

func (h *none) RemoveLayer(_ context.Context, layer string) error {
	if isImported(layer) {
		return nil
	}
	if err := h.s.free(layer); err != nil {
		return err
	}
	return os.Remove(h.s.layer(layer))
}

// Export writes a tar without entries: nothing was ever written.
func (h *none) Export(_ context.Context, w io.Writer, layers []string) error {
	for _, l := range layers {
		if err := h.s.hasLayer(l); err != nil {
			return fmt.Errorf("cannot export: %w", err)
		}
	}
	return tar.NewWriter(w).Close()
}

func (h *none) Close() error { return h.s.close() }

type noMachine struct {
	h   *none
	id  string
	rec *record
	mu  sync.Mutex
	on  bool
}

func (m *noMachine) Boot(context.Context, func(Exit)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.on {
		return fmt.Errorf("cannot boot guest %s: %w", m.id, errRunning)
	}
	if err := m.rec.update(func(st *state) { st.Booted = true }); err != nil {
		return fmt.Errorf("cannot boot guest %s: %w", m.id, err)
	}
	m.on = true
	return nil
}

func (m *noMachine) Stop(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.on = false
	return nil
}

func (m *noMachine) Ports() map[string]int { return nil }

func (m *noMachine) Freeze(context.Context) ([]string, error) {
	l := newLayerID()
	if err := os.Mkdir(m.h.s.layer(l), 0o700); err != nil {
		return nil, fmt.Errorf("cannot freeze guest %s: %w", m.id, err)
	}
	return append([]string{l}, m.rec.get().Layers...), nil
}

func (m *noMachine) Console() []byte { return nil }

func (m *noMachine) PasswordData() string { return "" }

func (m *noMachine) Remove(ctx context.Context) error {
	m.Stop(ctx)
	return os.RemoveAll(m.h.s.guest(m.id))
}
