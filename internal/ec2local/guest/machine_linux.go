package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// sandboxMachine is a guest of a sandbox host.
type sandboxMachine struct {
	h       *sandbox
	id      string
	rec     *record
	console *console

	op      sync.Mutex // Boot, Stop, Freeze and Remove come one after another
	mu      sync.Mutex // guards what follows
	run     *running   // nil at rest
	removed bool
}

// Boot makes the mounts and the first process, sets the guest up, and serves
// SSH. Enabled units and user data run on after it returned.
func (m *sandboxMachine) Boot(ctx context.Context, exited func(Exit)) error {
	m.op.Lock()
	defer m.op.Unlock()
	if m.current() != nil {
		return fmt.Errorf("cannot boot guest %s: %w", m.id, errRunning)
	}
	if m.removed {
		return fmt.Errorf("cannot boot guest %s: %w", m.id, fs.ErrNotExist)
	}
	select {
	case <-m.h.base:
	case <-ctx.Done():
		return fmt.Errorf("cannot boot guest %s: %w", m.id, ctx.Err())
	}
	if m.h.baseErr != nil {
		return fmt.Errorf("cannot boot guest %s: %w", m.id, m.h.baseErr)
	}
	r, err := m.boot(ctx)
	if err != nil {
		fmt.Fprintf(m.console, "boot failed: %v\n", err)
		return fmt.Errorf("cannot boot guest %s: %w", m.id, err)
	}
	m.mu.Lock()
	m.run = r
	m.mu.Unlock()
	go func() {
		<-r.done
		<-r.pumped
		r.srv.close()
		m.mu.Lock()
		if m.run == r {
			m.run = nil
		}
		told := r.stopping
		m.mu.Unlock()
		if !told && exited != nil {
			exited(r.exit)
		}
	}()
	return nil
}

func (m *sandboxMachine) current() *running {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.run
}

func (m *sandboxMachine) boot(ctx context.Context) (_ *running, err error) {
	begun, st := time.Now(), m.rec.get()
	p := parseUserData(st.Spec.UserData) // the guest itself knows whether it has run
	key, err := hostKey(m.h.s.guest(m.id, "ssh_host_ed25519_key"), p.hostKey, "root@"+st.Spec.Hostname)
	if err != nil {
		return nil, fmt.Errorf("the host key: %w", err)
	}
	if err := m.waitGone(10 * time.Second); err != nil {
		return nil, err
	}
	fmt.Fprintf(m.console, "[%s] booting %s (embedded EC2, sandbox)\n%s\n", time.Now().UTC().Format(time.DateTime), st.Spec.Hostname, m.h.limits())
	r, err := m.spawn(ctx, st, m.hostname(st, p))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.kill()
		}
	}()
	err = r.setup(ctx, setup{First: !st.Booted, ID: m.id, Hostname: st.Spec.Hostname, User: st.Spec.User, Key: st.Spec.AuthorizedKey, Release: m.release(st), Plan: p})
	if err != nil {
		return nil, err
	}
	io.WriteString(m.console, keyLines(key.PublicKey(), "root@"+st.Spec.Hostname))
	l, err := listenSSH(st.Spec.Addr, st.Ports["ssh"])
	if err != nil {
		return nil, err
	}
	r.serve(l, key, begun.Add(st.Spec.Pace), m.console)
	if port := l.Addr().(*net.TCPAddr).Port; !st.Booted || st.Ports["ssh"] != port {
		err = m.rec.update(func(st *state) { st.Booted, st.Ports = true, map[string]int{"ssh": port} })
		if err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(m.console, "sshd: listening on %s\n%s login: \n", l.Addr(), st.Spec.Hostname)
	return r, nil
}

// spawn starts the guest's first process and waits until it answers.
func (m *sandboxMachine) spawn(ctx context.Context, st state, hostname string) (*running, error) {
	layers, imported := slices.Clone(st.Layers), importedRoot(st.Layers)
	if imported == "" {
		layers = append(layers, baseLayer)
	} else if err := m.fits(imported); err != nil {
		return nil, err
	}
	conn, theirs, err := socketpair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	out, in, err := os.Pipe()
	if err != nil {
		conn.Close()
		return nil, err
	}
	defer in.Close()
	for _, d := range []string{"upper", "work", "root"} {
		if err := os.MkdirAll(m.h.s.guest(m.id, d), 0o755); err != nil {
			return nil, err
		}
	}
	cmd := &exec.Cmd{Args: []string{rolePrefix + "init"}, Stdout: in, Stderr: in, Env: []string{"PATH=" + defaultPath}}
	done, err := m.h.procs.spawn(cmd, nsFlags, theirs)
	if err != nil {
		conn.Close()
		out.Close()
		return nil, adviseClone(err)
	}
	theirs.Close()
	limits := newCgroup(m.h.s.guest(m.id))
	go func() { <-done; limits.remove() }()
	go func() { io.Copy(m.console, out); out.Close() }() // until the last process of the guest is gone
	r := &running{conn: conn, done: done, cmd: cmd, exit: Crash, pumped: make(chan struct{}), procs: map[uint64]*guestProcess{},
		keys: map[uint64]chan reply{}, setups: make(chan reply, 1)}
	if ids := cmd.SysProcAttr.UidMappings; m.h.procs == mappedIDs {
		r.root = ids[0].HostID
	}
	b := bootMessage{Store: m.h.s.dir, ID: m.id, Layers: layers, Overlays: m.overlays(st),
		Hostname: hostname, OneID: m.h.ids == oneID, BootID: uuid.NewString()}
	if b.ResolvAt = resolvTarget(); b.ResolvAt != "" {
		b.Resolv, _ = os.ReadFile(b.ResolvAt)
	}
	if imported != "" {
		b.ResolvAt = rootResolv
		b.Resolv, _ = os.ReadFile("/etc/resolv.conf")
	}
	// The limits come before anything runs that they are for.
	err = limits.add(cmd.Process.Pid)
	// The pid is noted before the mounts are made: see waitGone.
	if err == nil {
		err = writeFileAtomic(m.h.s.guest(m.id, "pid"), []byte(startTime(cmd.Process.Pid)))
	}
	var fds []int
	if err == nil && m.h.procs == mappedIDs {
		fds, err = b.idmap(cmd.Process.Pid)
	}
	if err == nil {
		err = send(conn, b, fds...)
	}
	closeAll(fds)
	if err == nil {
		err = r.ready(ctx)
	}
	if err != nil {
		r.kill()
		return nil, err
	}
	go r.pump()
	return r, nil
}

// rootResolv is where /etc/resolv.conf of an imported root file system leads: a
// file of the guest's own /run, which each boot writes.
const rootResolv = "/run/.guest/resolv.conf"

// overlays are the overlays of the guest: an imported root file system is one.
func (m *sandboxMachine) overlays(st state) []overlay {
	if importedRoot(st.Layers) != "" {
		return []overlay{{Path: "/"}}
	}
	return m.h.overlays
}

// release is what the guest is to say that it is; what was imported says so itself.
func (m *sandboxMachine) release(st state) Release {
	if importedRoot(st.Layers) != "" {
		return Release{}
	}
	return st.Spec.Release
}

// fits tells why this program could not run on an imported root file system: it
// need not be the one that imported it.
func (m *sandboxMachine) fits(layer string) error {
	root, err := os.OpenRoot(filepath.Join(m.h.s.layer(layer), overlay{Path: "/"}.key()))
	if err != nil {
		return fmt.Errorf("the imported root file system: %w", err)
	}
	defer root.Close()
	if err := (rootfs{root}).fits(); err != nil {
		return fmt.Errorf("the imported root file system: %w", err)
	}
	return nil
}

// hostname is what user data or, later, the guest chose, if they did.
func (m *sandboxMachine) hostname(st state, p *plan) string {
	if !st.Booted {
		if p.Hostname != "" && len(p.Hostname) <= 64 {
			return p.Hostname
		}
		return st.Spec.Hostname
	}
	at, rel := overlayOf(m.overlays(st), "/etc/hostname")
	for _, dir := range append([]string{m.h.s.guest(m.id, "upper")}, layerDirs(m.h.s, st.Layers)...) {
		b := make([]byte, 65)
		n := readGuests(filepath.Join(dir, at.key()), rel, b)
		if name := strings.TrimSpace(string(b[:max(0, n)])); name != "" && len(name) <= 64 {
			return name
		}
	}
	return st.Spec.Hostname
}

// readGuests reads the beginning of a file that is the guest's: a link in its path
// leads to nothing of the host's, and a pipe is not waited for.
func readGuests(dir, name string, b []byte) int {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0
	}
	defer root.Close()
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return 0
	}
	n, _ := f.Read(b)
	return n
}

func layerDirs(s *store, layers []string) []string {
	var out []string
	for _, l := range layers {
		out = append(out, s.layer(l))
	}
	return out
}

// startTime names a process for good: "pid start-time".
func startTime(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:])); len(f) > 19 {
		return fmt.Sprintf("%d %s", pid, f[19])
	}
	return ""
}

// waitGone waits for the first process that a killed server left to finish
// dying: two mounts of one upper directory are undefined behaviour, and the
// kernel only logs it.
func (m *sandboxMachine) waitGone(d time.Duration) error {
	b, _ := os.ReadFile(m.h.s.guest(m.id, "pid"))
	var pid int
	fmt.Sscan(string(b), &pid)
	if pid == 0 {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil || startTime(pid) != string(b) {
		if err == nil {
			unix.Close(fd)
		}
		return nil
	}
	defer unix.Close(fd)
	for end := time.Now().Add(d); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(time.Until(end).Milliseconds())) // a zombie counts as gone
		if n == 1 {
			return nil
		}
		if err != unix.EINTR || time.Now().After(end) {
			return fmt.Errorf("it still runs as process %d of another server", pid)
		}
	}
}

// Stop drops the connections, asks the guest's processes to end, and ends them.
func (m *sandboxMachine) Stop(ctx context.Context) error {
	m.op.Lock()
	defer m.op.Unlock()
	return m.stop(ctx)
}

func (m *sandboxMachine) stop(ctx context.Context) error {
	m.mu.Lock()
	r := m.run
	if r != nil {
		r.stopping = true
	}
	m.mu.Unlock()
	if r == nil {
		return nil
	}
	r.srv.close()
	send(r.conn, request{Op: "stop"})
	select {
	case <-r.done: // the mounts have gone as well
	case <-ctx.Done():
		r.kill()
	case <-time.After(2 * patience):
		r.kill()
	}
	m.mu.Lock()
	if m.run == r {
		m.run = nil
	}
	m.mu.Unlock()
	fmt.Fprintf(m.console, "[%s] stopped\n", time.Now().UTC().Format(time.DateTime))
	return nil
}

func (m *sandboxMachine) Ports() map[string]int {
	out := map[string]int{}
	for k, v := range m.rec.get().Ports {
		out[k] = v
	}
	return out
}

func (m *sandboxMachine) Console() []byte { return m.console.bytes() }

// PasswordData is for Windows: nothing here has a password of its own making.
func (m *sandboxMachine) PasswordData() string { return "" }

// Freeze renames the upper directory of a guest at rest, and copies that of one
// that runs.
func (m *sandboxMachine) Freeze(ctx context.Context) ([]string, error) {
	m.op.Lock()
	defer m.op.Unlock()
	id := layerOn(importedRoot(m.rec.get().Layers))
	layers := append([]string{id}, m.rec.get().Layers...)
	upper := m.h.s.guest(m.id, "upper")
	fail := func(err error) ([]string, error) { return nil, fmt.Errorf("cannot freeze guest %s: %w", m.id, err) }
	if err := os.MkdirAll(upper, 0o755); err != nil {
		return fail(err)
	}
	if m.current() != nil {
		tmp := m.h.s.layer(id + unfinished)
		err := m.h.ids.helper(nil, nil, "cp", upper, tmp)
		if err == nil {
			err = os.Rename(tmp, m.h.s.layer(id))
		}
		if err != nil {
			m.h.ids.helper(nil, nil, "rm", tmp)
			return fail(err)
		}
		return layers, nil
	}
	if err := m.waitGone(10 * time.Second); err != nil {
		return fail(err)
	}
	if err := m.rec.update(func(st *state) { st.Pending = id }); err != nil {
		return fail(err)
	}
	if err := os.Rename(upper, m.h.s.layer(id)); err != nil {
		return fail(errors.Join(err, m.rec.update(func(st *state) { st.Pending = "" })))
	}
	if err := m.rec.update(func(st *state) { st.Layers, st.Pending = layers, "" }); err != nil {
		return fail(err)
	}
	return layers, nil
}

func (m *sandboxMachine) Remove(ctx context.Context) error {
	m.op.Lock()
	defer m.op.Unlock()
	if m.removed {
		return nil
	}
	if err := m.stop(ctx); err != nil {
		return err
	}
	if err := m.waitGone(10 * time.Second); err != nil {
		return fmt.Errorf("cannot remove guest %s: %w", m.id, err)
	}
	if err := m.h.ids.helper(nil, nil, "rm", m.h.s.guest(m.id)); err != nil {
		return fmt.Errorf("cannot remove guest %s: %w", m.id, err)
	}
	m.removed = true
	m.h.forget(m.id)
	return nil
}

// setup sends the guest what it needs to know, on a descriptor since it may be
// larger than a message.
func (r *running) setup(ctx context.Context, s setup) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	pr, pw, err := os.Pipe()
	if err != nil {
		return err
	}
	defer pr.Close()
	go func() { pw.Write(b); pw.Close() }()
	if err := send(r.conn, request{Op: "setup"}, int(pr.Fd())); err != nil {
		return err
	}
	select {
	case a := <-r.setups:
		if a.Err != "" {
			return errors.New(a.Err)
		}
		return nil
	case <-r.done:
		return errors.New("its first process died")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *running) serve(l net.Listener, key ssh.Signer, opens time.Time, log io.Writer) {
	srv := serveSSH(l, r, key, opens, log)
	r.mu.Lock()
	r.srv = srv
	down := r.down
	r.mu.Unlock()
	if down { // it ended while it booted
		srv.close()
	}
}
