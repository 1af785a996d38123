package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// first is the guest's first process: it starts commands for the server, reaps
// what is orphaned, and ends the guest. When it exits, or the server does, the
// kernel kills everything left in the PID namespace.
type first struct {
	conn    *net.UnixConn
	mu      sync.Mutex // held over fork and over reap, so that no exit is told before its start
	running map[int]uint64
	wake    chan struct{}
	end     sync.Once
}

func pid1([]string) error {
	unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0) // gaining capabilities by exec cleared it
	unix.CloseOnExec(9)
	conn, err := fdConn(9)
	if err != nil {
		return err
	}
	unix.Umask(0o022)
	freshSignals()
	p := &first{conn: conn, running: map[int]uint64{}, wake: make(chan struct{}, 1)}
	if err := p.listen(); err != nil {
		send(conn, reply{Op: "fail", Err: err.Error()})
		return err
	}
	go p.reap()
	send(conn, reply{Op: "ready"})
	buf := make([]byte, maxMessage)
	for {
		var q request
		fds, err := receive(conn, buf, &q)
		if err != nil { // the server has died
			syscall.Exit(0)
		}
		p.serve(q, fds)
	}
}

// listen opens what other processes of the guest write to: the console, the
// system log and the end of the machine.
func (p *first) listen() error {
	con, err := os.OpenFile("/dev/console", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	go io.Copy(os.Stderr, con)
	fifo, err := os.OpenFile(powerFIFO, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	pow := &power{down: p.down}
	go pow.serve(fifo)
	log, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "/dev/log", Net: "unixgram"})
	if err != nil {
		return err
	}
	os.Chmod("/dev/log", 0o666)
	go syslog(log)
	return nil
}

// appendFile opens its file for each write, so that a script may remove it.
type appendFile string

func (p appendFile) Write(b []byte) (int, error) {
	f, err := openLog(string(p))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.Write(b)
}

// openLog makes a log as distributions do: for root and the group adm.
func openLog(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, err
	}
	if gid, ok := groupID("adm"); ok {
		f.Chown(0, gid)
	}
	return f, nil
}

// syslog appends what programs log to /var/log/syslog, without the priority.
func syslog(c *net.UnixConn) {
	b := make([]byte, 64<<10)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		l := b[:n]
		for i := 0; i < min(6, len(l)) && l[0] == '<'; i++ {
			if l[i] == '>' {
				l = l[i+1:]
			}
		}
		fmt.Fprintf(appendFile("/var/log/syslog"), "%s\n", l)
	}
}

func (p *first) serve(q request, fds []int) {
	switch q.Op {
	case "setup":
		r := reply{Op: "setup"}
		if err := p.setup(fds); err != nil {
			r.Err = err.Error()
		}
		send(p.conn, r)
	case "exec":
		p.mu.Lock()
		pid, master, err := start(q, fds)
		r, out := reply{ID: q.ID, Op: "started", Pid: pid}, []int(nil)
		if err == nil {
			p.running[pid] = q.ID
		} else {
			r = reply{ID: q.ID, Op: "fail", Err: err.Error()}
		}
		if master >= 0 {
			out = []int{master}
		}
		send(p.conn, r, out...)
		p.mu.Unlock()
		p.forked()
		fds = append(fds, out...)
	case "keys":
		go func() {
			r := reply{ID: q.ID, Op: "keys"}
			b, err := authorizedKeys(q.User)
			if r.Keys = b; err != nil {
				r.Err = err.Error()
			}
			send(p.conn, r)
		}()
	case "passwords":
		r := reply{ID: q.ID, Op: "keys"}
		if !passwordsAllowed(q.User) {
			r.Err = "no"
		}
		send(p.conn, r)
	case "signal":
		p.mu.Lock()
		for pid, id := range p.running {
			if id == q.ID {
				unix.Kill(-pid, unix.Signal(q.Sig))
			}
		}
		p.mu.Unlock()
	case "stop":
		go p.down("")
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// setup does what must be done before anyone may log in, and starts the rest of
// the boot.
func (p *first) setup(fds []int) error {
	if len(fds) != 1 {
		return errors.New("no setup came with the request")
	}
	fd, err := unix.FcntlInt(uintptr(fds[0]), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "setup")
	defer f.Close()
	var s setup
	if err := json.NewDecoder(f).Decode(&s); err != nil {
		return fmt.Errorf("cannot read the setup: %w", err)
	}
	if err := s.early(os.Stderr); err != nil {
		return err
	}
	b, err := json.Marshal(s)
	if err == nil {
		err = os.WriteFile(lateFile, b, 0o600)
	}
	if err != nil {
		return err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	// The output goes through this process: what user data leaves running can
	// print for as long as the guest lives.
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer w.Close()
	go io.Copy(io.MultiWriter(os.Stderr, appendFile("/var/log/cloud-init-output.log")), r)
	p.mu.Lock()
	_, err = syscall.ForkExec(guestExe, []string{rolePrefix + "late"}, &syscall.ProcAttr{Dir: "/", Sys: &syscall.SysProcAttr{Setsid: true},
		Env:   dedup(append(loginEnv(account{name: "root", home: "/root", shell: "/bin/bash"}), os.Environ()...)),
		Files: []uintptr{null.Fd(), w.Fd(), w.Fd()}})
	p.mu.Unlock()
	p.forked()
	return err
}

// forked tells the reaper that there is a child again.
func (p *first) forked() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *first) reap() {
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, 0, nil)
		if err == unix.ECHILD {
			// Orphans of a command that ended come before it is reaped, so
			// there is nothing to wait for until the next fork.
			<-p.wake
			continue
		}
		if err != nil {
			continue
		}
		p.mu.Lock()
		id, mine := p.running[pid]
		delete(p.running, pid)
		p.mu.Unlock()
		if !mine {
			continue // an orphan
		}
		r := reply{ID: id, Op: "exit", Code: ws.ExitStatus()}
		if ws.Signaled() {
			r.Sig = int(ws.Signal())
		}
		send(p.conn, r)
	}
}

// patience is how long processes may take to end by themselves.
const patience = 3 * time.Second

// down ends the guest: at once told to the server, which drops the connections,
// then every process is asked to end, then killed.
func (p *first) down(e Exit) {
	p.end.Do(func() {
		if e != "" {
			send(p.conn, reply{Op: "down", Exit: e})
		}
		unix.Kill(-1, unix.SIGTERM)
		unix.Kill(-1, unix.SIGCONT)
		for t := time.Now(); time.Since(t) < patience && others(); {
			time.Sleep(5 * time.Millisecond)
		}
		syscall.Exit(0) // the overlay writes the upper directory out when it is unmounted
	})
}

// others says whether any other process lives.
func others() bool {
	es, _ := os.ReadDir("/proc")
	for _, e := range es {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid != 1 {
			return true
		}
	}
	return false
}

// start runs a command as its user. The pty's other side comes back as master,
// -1 without one.
func start(q request, fds []int) (pid, master int, err error) {
	master = -1
	u, err := lookup(q.User)
	if err != nil {
		return 0, -1, err
	}
	sys := &syscall.SysProcAttr{Setsid: true}
	if !oneUser() {
		sys.Credential = &syscall.Credential{Uid: u.uid, Gid: u.gid, Groups: u.groups}
	}
	env := append(loginEnv(u), q.Env...)
	if q.Pty {
		var tty string
		if master, tty, err = openPty(q.Rows, q.Cols); err != nil {
			return 0, -1, err
		}
		s, err := unix.Open(tty, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != nil {
			return 0, master, err
		}
		defer unix.Close(s)
		os.Chown(tty, int(u.uid), -1)
		env = append(env, "SSH_TTY="+tty)
		fds, sys.Setctty = []int{s, s, s}, true
	}
	if len(fds) != 3 {
		return 0, master, fmt.Errorf("want 3 descriptors, got %d", len(fds))
	}
	exe, argv := u.shell, append([]string{filepath.Base(u.shell)}, q.Argv...)
	switch {
	case q.Role != "":
		exe, argv = guestExe, []string{rolePrefix + q.Role}
	case len(q.Argv) == 0: // a login shell
		argv[0] = "-" + argv[0]
	}
	dir := u.home
	if !isDir(dir) {
		dir = "/"
	}
	pid, err = syscall.ForkExec(exe, argv, &syscall.ProcAttr{Dir: dir, Env: dedup(env),
		Files: []uintptr{uintptr(fds[0]), uintptr(fds[1]), uintptr(fds[2])}, Sys: sys})
	if err != nil {
		err = fmt.Errorf("cannot start %s: %w", exe, err)
	}
	return pid, master, err
}

func openPty(rows, cols uint16) (master int, tty string, err error) {
	master, err = unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, "", fmt.Errorf("cannot open a terminal: %w", err)
	}
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		unix.Close(master)
		return -1, "", fmt.Errorf("cannot open a terminal: %w", err)
	}
	unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	return master, "/dev/pts/" + strconv.Itoa(n), nil
}
