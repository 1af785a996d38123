package guest

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Windows opens the machine that a Windows guest is: what it consists of is in the
// folder dir, which exists and is empty before its first boot. addr is its own
// loopback address. Who makes a host hands this in; the host does not know what is
// behind it.
type Windows func(dir string, r Release, addr string) (WindowsMachine, error)

// WindowsMachine is a machine behind a Windows guest, between its opening and Close.
type WindowsMachine interface {
	// TakePorts finds the ports of the services ("winrm", "winrms"): those that it
	// had, if they are free. It comes before the first boot.
	TakePorts(had map[string]int) (map[string]int, error)
	// Boot starts the machine and returns before it answers. It fails if it runs.
	Boot(WindowsBoot) error
	Running() bool
	// Stop ends a machine that runs.
	Stop() error
	// Close stops the machine and gives its folder free.
	Close() error
}

// WindowsBoot is what a Windows machine is told at each boot.
type WindowsBoot struct {
	Pace     time.Duration // how long it takes before it answers
	Console  io.Writer
	UserData []byte
	Key      *rsa.PublicKey          // of the launch; without it no password is made
	Sealed   func(data string) error // keeps the password as GetPasswordData gives it
	Exited   func(reboot bool)       // called once if the machine ends by itself
}

// noWindows is for a server without Windows.
func noWindows(string, Release, string) (WindowsMachine, error) {
	return nil, errors.New("this server has no Windows machines")
}

// windowsHost keeps the Windows guests of a server, and leaves the others to the
// host that it stands before. A Windows guest is a folder and code of this
// program, so it is the same whatever contains the others.
type windowsHost struct {
	Host
	*machineCache[*windowsMachine]
	windows Windows
}

func withWindows(h Host, s *store, windows Windows) Host {
	if windows == nil {
		windows = noWindows
	}
	w := &windowsHost{Host: h, windows: windows}
	w.machineCache = newMachineCache(s, func(id string, r *record) *windowsMachine {
		return &windowsMachine{h: w, id: id, rec: r, console: &console{path: s.guest(id, "console.log")}}
	})
	return w
}

func (h *windowsHost) limits() string { return Limits(h.Host) }

const windowsPlatform = "windows"

// windowsLayer begins the names of layers that Windows guests froze: whole copies
// of their folders.
const windowsLayer = "windows-"

func (h *windowsHost) Create(id string, spec Spec) (Machine, error) {
	if spec.Platform != windowsPlatform {
		return h.Host.Create(id, spec)
	}
	return h.machineCache.Create(id, spec)
}

func (h *windowsHost) Open(id string) (Machine, error) {
	if m, ok := h.has(id); ok {
		return m, nil
	}
	r, err := h.s.open(id)
	if err != nil {
		return nil, err
	}
	if r.get().Spec.Platform != windowsPlatform {
		return h.Host.Open(id)
	}
	return h.of(id, r), nil
}

func (h *windowsHost) RemoveLayer(ctx context.Context, layer string) error {
	if !strings.HasPrefix(layer, windowsLayer) {
		return h.Host.RemoveLayer(ctx, layer)
	}
	if err := h.s.free(layer); err != nil {
		return err
	}
	return os.RemoveAll(h.s.layer(layer))
}

// Export writes drive C:. The registry and the accounts are left out: there are
// passwords in them.
func (h *windowsHost) Export(ctx context.Context, w io.Writer, layers []string) error {
	if len(layers) == 0 || !strings.HasPrefix(layers[0], windowsLayer) {
		return h.Host.Export(ctx, w, layers)
	}
	err := h.s.hasLayer(layers[0])
	if err == nil {
		err = exportDir(w, filepath.Join(h.s.layer(layers[0]), "c"))
	}
	if err != nil {
		return fmt.Errorf("cannot export: %w", err)
	}
	return ctx.Err()
}

func (h *windowsHost) Close() error {
	h.each(func(m *windowsMachine) { m.close() })
	return h.Host.Close()
}

// windowsMachine is a Windows guest.
type windowsMachine struct {
	h       *windowsHost
	id      string
	rec     *record
	console *console

	op sync.Mutex
	w  WindowsMachine // nil until the first boot under this server
}

func (m *windowsMachine) dir() string { return m.h.s.guest(m.id, "windows") }

func (m *windowsMachine) Boot(_ context.Context, exited func(Exit)) error {
	m.op.Lock()
	defer m.op.Unlock()
	if err := m.boot(exited); err != nil {
		return fmt.Errorf("cannot boot guest %s: %w", m.id, err)
	}
	return nil
}

func (m *windowsMachine) boot(exited func(Exit)) error {
	st := m.rec.get()
	if m.w != nil && m.w.Running() {
		return errRunning
	}
	if m.w == nil {
		if !st.Booted {
			if err := m.unpack(st); err != nil {
				return err
			}
		}
		w, err := m.h.windows(m.dir(), st.Spec.Release, st.Spec.Addr)
		if err != nil {
			return err
		}
		m.w = w
	}
	ports, err := m.w.TakePorts(st.Ports)
	if err != nil {
		return err
	}
	if err := m.rec.update(func(st *state) { st.Booted, st.Ports = true, ports }); err != nil {
		return err
	}
	return m.w.Boot(WindowsBoot{
		Pace: st.Spec.Pace, Console: m.console, UserData: st.Spec.UserData, Key: rsaKey(st.Spec.AuthorizedKey),
		Sealed: func(data string) error { return m.rec.update(func(st *state) { st.Sealed = data }) },
		Exited: func(reboot bool) {
			if exited == nil {
				return
			}
			if reboot {
				exited(Reboot)
			} else {
				exited(PowerOff)
			}
		},
	})
}

// unpack lays down what the image holds; a catalogue image holds nothing.
func (m *windowsMachine) unpack(st state) error {
	if err := os.RemoveAll(m.dir()); err != nil { // a first boot that did not end
		return err
	}
	if len(st.Layers) == 0 {
		return os.Mkdir(m.dir(), 0o700)
	}
	if !strings.HasPrefix(st.Layers[0], windowsLayer) {
		return fmt.Errorf("the layer %s is not of a Windows guest", st.Layers[0])
	}
	return copyDir(m.dir(), m.h.s.layer(st.Layers[0]))
}

// rsaKey is the key of a line of authorized_keys, nil for none and for one that
// cannot encrypt.
func rsaKey(line string) *rsa.PublicKey {
	k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return nil
	}
	c, ok := k.(ssh.CryptoPublicKey)
	if !ok {
		return nil
	}
	key, _ := c.CryptoPublicKey().(*rsa.PublicKey)
	return key
}

func (m *windowsMachine) Stop(context.Context) error {
	m.op.Lock()
	defer m.op.Unlock()
	if m.w != nil {
		return m.w.Stop()
	}
	return nil
}

func (m *windowsMachine) close() error {
	m.op.Lock()
	defer m.op.Unlock()
	if m.w == nil {
		return nil
	}
	err := m.w.Close()
	m.w = nil
	return err
}

func (m *windowsMachine) Ports() map[string]int {
	out := map[string]int{}
	for k, v := range m.rec.get().Ports {
		out[k] = v
	}
	return out
}

func (m *windowsMachine) Console() []byte { return m.console.bytes() }

func (m *windowsMachine) PasswordData() string { return m.rec.get().Sealed }

// Freeze copies the guest's folder; the copy is the whole image.
func (m *windowsMachine) Freeze(context.Context) ([]string, error) {
	m.op.Lock()
	defer m.op.Unlock()
	id := windowsLayer + newLayerID()
	tmp := m.h.s.layer(id + ".new")
	err := m.copy(tmp)
	if err == nil {
		err = os.Rename(tmp, m.h.s.layer(id))
	}
	if err != nil {
		os.RemoveAll(tmp)
		return nil, fmt.Errorf("cannot freeze guest %s: %w", m.id, err)
	}
	return []string{id}, nil
}

func (m *windowsMachine) copy(to string) error {
	st := m.rec.get()
	if !st.Booted { // it never was more than its image
		if err := m.unpack(st); err != nil {
			return err
		}
	}
	return copyDir(to, m.dir())
}

func (m *windowsMachine) Remove(context.Context) error {
	if err := m.close(); err != nil {
		return err
	}
	if err := os.RemoveAll(m.h.s.guest(m.id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove guest %s: %w", m.id, err)
	}
	m.h.forget(m.id)
	return nil
}
