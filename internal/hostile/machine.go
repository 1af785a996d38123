package hostile

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"sync"

	"github.com/imgflow/imgflow/internal/ec2local/guest"
)

// host keeps the hostile machines of one endpoint: no files and no processes,
// only servers.
type host struct {
	attack Attack

	mu       sync.Mutex
	machines map[string]*machine
	layers   int
}

func newHost(a Attack) *host { return &host{attack: a, machines: map[string]*machine{}} }

func (h *host) Name() string { return "hostile" }

func (h *host) Create(id string, s guest.Spec) (guest.Machine, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := &machine{h: h, spec: s}
	h.machines[id] = m
	return m, nil
}

func (h *host) Open(id string) (guest.Machine, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m, ok := h.machines[id]; ok {
		return m, nil
	}
	return nil, fmt.Errorf("cannot open guest %s: %w", id, fs.ErrNotExist)
}

func (h *host) RemoveLayer(context.Context, string) error { return nil }

func (h *host) Export(_ context.Context, w io.Writer, _ []string) error {
	return tar.NewWriter(w).Close()
}

func (h *host) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.machines {
		m.Stop(context.Background())
	}
	return nil
}

// machine is one that attacks once it has booted.
type machine struct {
	h    *host
	spec guest.Spec

	mu    sync.Mutex
	ports map[string]int
	stop  func()
}

// Boot serves at the machine's own address, on any port: whoever wants the usual
// one needs rights.
func (m *machine) Boot(context.Context, func(guest.Exit)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := net.Listen("tcp", net.JoinHostPort(m.spec.Addr, "0"))
	if err != nil {
		return fmt.Errorf("cannot boot a hostile machine: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if w := m.h.attack.Windows; w != nil {
		m.ports, m.stop = map[string]int{"winrm": port}, w.serve(l)
		return nil
	}
	x := m.h.attack.Linux
	if x == nil {
		x = &Linux{}
	}
	m.stop, err = x.serve(l, hostKeyIn(m.spec.UserData))
	if err != nil {
		l.Close()
		return fmt.Errorf("cannot boot a hostile machine: %w", err)
	}
	m.ports = map[string]int{"ssh": port}
	return nil
}

// hostKeyIn is the private host key that user data of imgflow injects, "" for
// none.
func hostKeyIn(userData []byte) string {
	var doc struct {
		Keys map[string]string `json:"ssh_keys"`
	}
	json.Unmarshal([]byte(strings.TrimPrefix(string(userData), "#cloud-config\n")), &doc)
	return doc.Keys["ed25519_private"]
}

func (m *machine) Stop(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stop != nil {
		m.stop()
		m.stop = nil
	}
	return nil
}

func (m *machine) Ports() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ports
}

func (m *machine) Freeze(context.Context) ([]string, error) {
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	m.h.layers++
	return []string{fmt.Sprintf("hostile-%d", m.h.layers)}, nil
}

func (m *machine) Console() []byte { return nil }

func (m *machine) PasswordData() string { return "" }

func (m *machine) Remove(ctx context.Context) error { return m.Stop(ctx) }
