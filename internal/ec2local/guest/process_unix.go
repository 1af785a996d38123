//go:build unix

package guest

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/imgflow/imgflow/internal/quote"
)

// processHost is the host of guests that are not contained.
type processHost struct {
	*machineCache[*processMachine]
}

func newProcess(dir string, windows Windows) (Host, error) {
	s, err := openStore(dir)
	if err != nil {
		return nil, err
	}
	h := &processHost{}
	h.machineCache = newMachineCache(s, func(id string, r *record) *processMachine {
		return &processMachine{h: h, id: id, rec: r, console: &console{path: s.guest(id, "console.log")}, procs: map[int]bool{}}
	})
	return withWindows(h, s, windows), nil
}

func (h *processHost) Name() string { return "process" }

func (h *processHost) limits() string {
	return "guests are NOT contained: their scripts run as you on this machine; only HOME is a scratch directory"
}

func (h *processHost) RemoveLayer(_ context.Context, layer string) error {
	if isImported(layer) {
		return nil
	}
	if err := h.s.free(layer); err != nil {
		return err
	}
	return os.RemoveAll(h.s.layer(layer))
}

// Export writes the topmost layer: each is a whole copy.
func (h *processHost) Export(ctx context.Context, w io.Writer, layers []string) error {
	if len(layers) == 0 {
		return exportDir(w, "")
	}
	if err := h.s.hasLayer(layers[0]); err != nil {
		return fmt.Errorf("cannot export: %w", err)
	}
	if err := exportDir(w, h.s.layer(layers[0])); err != nil {
		return fmt.Errorf("cannot export: %w", err)
	}
	return ctx.Err()
}

func (h *processHost) Close() error {
	h.each(func(m *processMachine) { m.Stop(context.Background()) })
	return h.s.close()
}

// processMachine is a guest that is a scratch directory and an SSH server.
type processMachine struct {
	h       *processHost
	id      string
	rec     *record
	console *console

	op    sync.Mutex
	mu    sync.Mutex
	srv   *sshServer // nil at rest
	fifo  *os.File
	procs map[int]bool // sessions
}

func (m *processMachine) dir(p ...string) string { return m.h.s.guest(m.id, p...) }

func (m *processMachine) Boot(ctx context.Context, exited func(Exit)) error {
	m.op.Lock()
	defer m.op.Unlock()
	m.mu.Lock()
	on := m.srv != nil
	m.mu.Unlock()
	if on {
		return fmt.Errorf("cannot boot guest %s: %w", m.id, errRunning)
	}
	if err := m.boot(exited); err != nil {
		return fmt.Errorf("cannot boot guest %s: %w", m.id, err)
	}
	return nil
}

// processShims stand in for what would reach the machine itself.
var processShims = []string{"shutdown", "poweroff", "halt", "reboot", "init", "telinit", "sudo"}

func (m *processMachine) boot(exited func(Exit)) error {
	begun := time.Now()
	m.endAll() // what a killed server left behind
	st := m.rec.get()
	p := &plan{}
	if !st.Booted {
		p = parseUserData(st.Spec.UserData)
		if err := m.unpack(st); err != nil {
			return err
		}
	}
	key, err := hostKey(m.dir("ssh_host_ed25519_key"), p.hostKey, "root@"+st.Spec.Hostname)
	if err != nil {
		return fmt.Errorf("the host key: %w", err)
	}
	if err := m.shims(); err != nil {
		return err
	}
	fifo, err := os.OpenFile(m.dir("power"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	l, err := listenSSH(st.Spec.Addr, st.Ports["ssh"])
	if err != nil {
		fifo.Close()
		return err
	}
	fmt.Fprintf(m.console, "[%s] booting %s (embedded EC2, process)\n%s\n", time.Now().UTC().Format(time.DateTime), st.Spec.Hostname, m.h.limits())
	io.WriteString(m.console, keyLines(key.PublicKey(), "root@"+st.Spec.Hostname))
	srv := serveSSH(l, m, key, begun.Add(st.Spec.Pace), m.console)
	if err := m.rec.update(func(st *state) { st.Booted, st.Ports = true, map[string]int{"ssh": srv.port()} }); err != nil {
		srv.close()
		fifo.Close()
		return err
	}
	m.mu.Lock()
	m.srv, m.fifo = srv, fifo
	m.mu.Unlock()
	pow := &power{down: func(e Exit) {
		m.mu.Lock()
		mine := m.srv == srv
		m.mu.Unlock()
		if mine {
			m.halt()
			if exited != nil {
				exited(e)
			}
		}
	}}
	go pow.serve(fifo)
	fmt.Fprintf(m.console, "sshd: listening on %s\n", l.Addr())
	if !st.Booted {
		go m.userData(p)
	}
	return nil
}

// unpack fills the scratch directory of a new guest from its image.
func (m *processMachine) unpack(st state) error {
	home := m.dir("root")
	if err := os.RemoveAll(home); err != nil { // a first boot that did not end
		return err
	}
	if len(st.Layers) > 0 {
		if err := copyDir(home, m.h.s.layer(st.Layers[0])); err != nil {
			return err
		}
	}
	ssh := filepath.Join(home, ".ssh")
	if err := os.MkdirAll(ssh, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(ssh, "authorized_keys"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	keys := append([]string{st.Spec.AuthorizedKey}, parseUserData(st.Spec.UserData).Keys...)
	for _, k := range keys {
		if k = strings.TrimSpace(k); k != "" {
			fmt.Fprintln(f, k)
		}
	}
	return f.Close()
}

func (m *processMachine) shims() error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(m.dir("bin"), 0o700); err != nil {
		return err
	}
	for _, n := range processShims {
		os.Remove(m.dir("bin", n))
		if err := os.Symlink(exe, m.dir("bin", n)); err != nil {
			return err
		}
	}
	os.Remove(m.dir("power"))
	return unix.Mkfifo(m.dir("power"), 0o600)
}

// userData runs what can be run in a scratch directory, and says what cannot.
func (m *processMachine) userData(p *plan) {
	home, prefix := m.dir("root"), "/home/"+m.rec.get().Spec.User+"/"
	for _, f := range p.Files {
		rel, ok := strings.CutPrefix(f.Path, prefix)
		if !ok || !filepath.IsLocal(rel) {
			p.unsupported("write_files outside of " + prefix + " (" + f.Path + ") in a process guest")
			continue
		}
		to := filepath.Join(home, rel)
		err := os.MkdirAll(filepath.Dir(to), 0o755)
		if err == nil {
			flag := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
			if f.Append {
				flag = os.O_CREATE | os.O_WRONLY | os.O_APPEND
			}
			var w *os.File
			if w, err = os.OpenFile(to, flag, 0o600); err == nil {
				_, err = w.Write(f.Data)
				err = errors.Join(err, w.Close(), os.Chmod(to, os.FileMode(f.Mode&0o777)))
			}
		}
		if err != nil {
			p.note("cannot write %s: %v", f.Path, err)
		}
	}
	if p.Hostname != "" {
		p.unsupported("hostname in a process guest")
	}
	if p.Update || p.Upgrade || len(p.Packages) > 0 {
		p.unsupported("packages in a process guest")
	}
	if len(p.Boot) > 0 {
		p.unsupported("bootcmd in a process guest")
	}
	for _, n := range p.Notes {
		fmt.Fprintln(m.console, "cloud-init:", n)
	}
	if len(p.Commands) > 0 {
		m.script("runcmd", shellText(p.Commands))
	}
	if len(p.Script) > 0 {
		m.script("part-001", p.Script)
	}
	fmt.Fprintln(m.console, "cloud-init: finished")
}

func (m *processMachine) script(name string, text []byte) {
	path := m.dir(name)
	err := os.WriteFile(path, text, 0o700)
	if err == nil {
		cmd := m.command(path)
		cmd.Stdout, cmd.Stderr = m.console, m.console
		cmd.WaitDelay = time.Second
		if err = m.launch(cmd); err == nil {
			err = m.wait(cmd)
		}
	}
	if err != nil {
		fmt.Fprintf(m.console, "cloud-init: %s failed: %v\n", name, err)
	}
}

// command has the environment of a login, and nothing of the server's own:
// there may be credentials in it.
func (m *processMachine) command(path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	user := m.rec.get().Spec.User
	cmd.Dir = m.dir("root")
	cmd.Env = []string{"HOME=" + cmd.Dir, "USER=" + user, "LOGNAME=" + user, "SHELL=" + loginShell(), "LANG=C.UTF-8",
		"PATH=" + m.dir("bin") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", m.cookie()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

func (m *processMachine) cookie() string { return processVar + "=" + m.dir() }

func loginShell() string {
	if _, err := os.Stat("/bin/bash"); err == nil {
		return "/bin/bash"
	}
	return "/bin/sh"
}

func (m *processMachine) launch(cmd *exec.Cmd) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.srv == nil {
		return errStopped
	}
	if len(ignored()) > 0 {
		if err := fresh(cmd); err != nil {
			return err
		}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	m.procs[cmd.Process.Pid] = true
	return nil
}

func (m *processMachine) wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	m.mu.Lock()
	delete(m.procs, cmd.Process.Pid)
	m.mu.Unlock()
	return err
}

func (m *processMachine) authorizedKeys(user string) ([]byte, error) {
	if user != m.rec.get().Spec.User {
		return nil, fmt.Errorf("there is no user %q in the guest", user)
	}
	return os.ReadFile(m.dir("root", ".ssh", "authorized_keys"))
}

// passwords are those of user data, of the one user.
func (m *processMachine) passwords(user string) bool {
	spec := m.rec.get().Spec
	return parseUserData(spec.UserData).PasswordAuth == "yes" && (user == "" || user == spec.User)
}

func (m *processMachine) checkPassword(user string, password []byte) error {
	spec := m.rec.get().Spec
	p := parseUserData(spec.UserData)
	_, of := p.passwordsFor(spec.User)
	w, ok := of[user]
	switch {
	case p.PasswordAuth != "yes" || user != spec.User || !ok:
		return fmt.Errorf("%s has none", user)
	case w.Hash:
		return errors.New("a hash cannot be checked in a process guest; give the password itself")
	case !p.Lasting:
		return errors.New("the password has expired; `chpasswd: {expire: false}` in user data keeps it")
	case subtle.ConstantTimeCompare([]byte(w.Password), password) != 1:
		return errors.New("the password is wrong")
	}
	return nil
}

func (m *processMachine) start(c command) (process, error) {
	shell := loginShell()
	cmd := m.command(shell, "-c", c.Line)
	switch {
	case c.SFTP:
		exe, err := os.Executable()
		if err != nil {
			return nil, err
		}
		cmd.Path, cmd.Args = exe, []string{rolePrefix + "sftp"}
	case c.Line == "":
		cmd.Args = []string{"-" + filepath.Base(shell)}
	}
	cmd.Env = append(cmd.Env, c.Env...)
	p := &hostProcess{cmd: cmd, ended: make(chan struct{})}
	if c.Pty {
		master, slave, err := pty.Open()
		if err != nil {
			return nil, err
		}
		defer slave.Close()
		pty.Setsize(master, &pty.Winsize{Rows: c.Rows, Cols: c.Cols})
		cmd.Env = append(cmd.Env, "SSH_TTY="+slave.Name())
		cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
		cmd.SysProcAttr.Setctty = true
		p.master = master
	} else {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	}
	if err := m.launch(cmd); err != nil {
		if p.master != nil {
			p.master.Close()
		}
		return nil, err
	}
	go func() { m.wait(cmd); close(p.ended) }()
	return p, nil
}

// halt ends the SSH server and all processes.
func (m *processMachine) halt() {
	m.mu.Lock()
	srv, fifo := m.srv, m.fifo
	m.srv, m.fifo = nil, nil
	m.mu.Unlock()
	if srv != nil {
		srv.close()
		fifo.Close()
	}
	m.endAll()
}

// endAll ends the sessions and, where /proc tells, what left them.
func (m *processMachine) endAll() {
	for t, sig := time.Now(), syscall.SIGTERM; ; time.Sleep(10 * time.Millisecond) {
		m.mu.Lock()
		var left []int
		for pid := range m.procs {
			left = append(left, -pid)
		}
		m.mu.Unlock()
		left = append(left, m.marked()...)
		if len(left) == 0 || time.Since(t) > 5*time.Second {
			return
		}
		if sig == syscall.SIGKILL || time.Since(t) < 10*time.Millisecond {
			for _, pid := range left {
				syscall.Kill(pid, sig)
			}
		}
		if time.Since(t) > 2*time.Second {
			sig = syscall.SIGKILL
		}
	}
}

// marked are the processes that carry the guest's variable.
func (m *processMachine) marked() (pids []int) {
	es, _ := os.ReadDir("/proc")
	for _, e := range es {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		b, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if bytes.Contains(append([]byte{0}, b...), []byte("\x00"+m.cookie()+"\x00")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (m *processMachine) Stop(context.Context) error {
	m.op.Lock()
	defer m.op.Unlock()
	m.halt()
	return nil
}

func (m *processMachine) Ports() map[string]int {
	out := map[string]int{}
	for k, v := range m.rec.get().Ports {
		out[k] = v
	}
	return out
}

func (m *processMachine) Console() []byte { return m.console.bytes() }

// PasswordData is for Windows: nothing here has a password of its own making.
func (m *processMachine) PasswordData() string { return "" }

// Freeze copies the scratch directory; the copy is the whole image.
func (m *processMachine) Freeze(context.Context) ([]string, error) {
	m.op.Lock()
	defer m.op.Unlock()
	id := newLayerID()
	tmp := m.h.s.layer(id + ".new")
	err := copyDir(tmp, m.dir("root"))
	if err == nil {
		err = os.Rename(tmp, m.h.s.layer(id))
	}
	if err != nil {
		os.RemoveAll(tmp)
		return nil, fmt.Errorf("cannot freeze guest %s: %w", m.id, err)
	}
	return []string{id}, nil
}

func (m *processMachine) Remove(context.Context) error {
	m.op.Lock()
	defer m.op.Unlock()
	m.halt()
	if err := os.RemoveAll(m.dir()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove guest %s: %w", m.id, err)
	}
	m.h.forget(m.id)
	return nil
}

// hostProcess is a command of a process guest.
type hostProcess struct {
	cmd    *exec.Cmd
	master *os.File
	ended  chan struct{}
}

func (p *hostProcess) pty() *os.File                 { return p.master }
func (p *hostProcess) done() <-chan struct{}         { return p.ended }
func (p *hostProcess) signal(s syscall.Signal) error { return syscall.Kill(-p.cmd.Process.Pid, s) }

func (p *hostProcess) result() (int, syscall.Signal) {
	ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && ws.Signaled() {
		return 0, ws.Signal()
	}
	return p.cmd.ProcessState.ExitCode(), 0
}

// processSudo runs the command as whoever runs the server: a process guest gives
// no rights. It also keeps sudo's own PATH from passing over the other shims.
func processSudo(args []string) error {
	o, err := parseSudo(args)
	if err != nil || o.nothing {
		return err
	}
	argv := o.argv
	if o.login || o.shell || len(argv) == 0 {
		argv = []string{loginShell()}
		if len(o.argv) > 0 {
			argv = append(argv, "-c", quote.Sh(o.argv...))
		}
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return fmt.Errorf("%s: command not found", argv[0])
	}
	return unix.Exec(path, argv, dedup(append(os.Environ(), o.set...)))
}
