package guest

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// running is a guest between boot and end, seen from the server.
type running struct {
	conn   *net.UnixConn
	done   <-chan struct{} // the first process has gone, and the mounts with it
	pumped chan struct{}   // nothing more comes from it
	cmd    *exec.Cmd
	setups chan reply
	root   int // on the host, the id of the guest's root if it is mappedIDs'; else 0

	stopping bool // guarded by the machine: the end was asked for from outside

	mu    sync.Mutex
	srv   *sshServer
	down  bool
	exit  Exit // read after pumped
	next  uint64
	procs map[uint64]*guestProcess
	keys  map[uint64]chan reply
}

// ready waits for the answer to the boot message.
func (r *running) ready(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { r.cmd.Process.Kill() })
	defer stop()
	var a reply
	fds, err := receive(r.conn, make([]byte, maxMessage), &a)
	if err == nil && a.Op == "binds" && len(fds) == 1 {
		go serveBinds(fds[0], r.cmd.Process.Pid)
		a = reply{}
		_, err = receive(r.conn, make([]byte, maxMessage), &a)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return errors.New("its first process died; the console may say why")
	case a.Op != "ready":
		return errors.New(a.Err)
	}
	return nil
}

// kill ends the guest without ceremony.
func (r *running) kill() {
	r.mu.Lock()
	srv := r.srv
	r.mu.Unlock()
	if srv != nil {
		srv.close()
	}
	r.cmd.Process.Kill()
	<-r.done
	r.conn.Close()
}

// pump hands on what the first process says, until it is gone.
func (r *running) pump() {
	defer close(r.pumped)
	defer r.conn.Close()
	buf := make([]byte, maxMessage)
	for {
		var a reply
		fds, err := receive(r.conn, buf, &a)
		r.mu.Lock()
		if err != nil {
			r.down = true
			for id, p := range r.procs {
				p.finish(reply{Sig: int(unix.SIGKILL)})
				delete(r.procs, id)
			}
			for id, c := range r.keys {
				c <- reply{Err: errStopped.Error()}
				delete(r.keys, id)
			}
			r.mu.Unlock()
			return
		}
		p := r.procs[a.ID]
		switch a.Op {
		case "setup":
			r.setups <- a
		case "keys":
			if c := r.keys[a.ID]; c != nil {
				c <- a
				delete(r.keys, a.ID)
			}
		case "down":
			// The connections go before the processes do: nobody may take the
			// end of the machine for the end of a command.
			r.exit, r.down = a.Exit, true
			if srv := r.srv; srv != nil {
				r.mu.Unlock()
				srv.close()
				r.mu.Lock()
			}
		case "started", "fail":
			if p == nil {
				break
			}
			if a.Op == "fail" {
				delete(r.procs, a.ID)
			}
			if len(fds) > 0 {
				unix.SetNonblock(fds[0], true) // so that Close ends a Read
				p.master = os.NewFile(uintptr(fds[0]), "pty")
				fds = nil
			}
			if a.Err != "" {
				p.started <- errors.New(a.Err)
			} else {
				p.started <- nil
			}
		case "exit":
			if p != nil {
				delete(r.procs, a.ID)
				p.finish(a)
			}
		}
		r.mu.Unlock()
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
}

// authorizedKeys is read in the guest: links in its files are its own.
func (r *running) authorizedKeys(user string) ([]byte, error) {
	a, err := r.ask(request{Op: "keys", User: user})
	if err == nil && a.Err != "" {
		err = errors.New(a.Err)
	}
	return a.Keys, err
}

// ask waits for the first process's answer to a question.
func (r *running) ask(q request) (reply, error) {
	c := make(chan reply, 1)
	r.mu.Lock()
	if r.down {
		r.mu.Unlock()
		return reply{}, errStopped
	}
	r.next++
	q.ID = r.next
	r.keys[q.ID] = c
	err := send(r.conn, q)
	r.mu.Unlock()
	if err != nil {
		return reply{}, err
	}
	return <-c, nil
}

// start runs a command in the guest; its descriptors are passed, nothing is
// copied.
func (r *running) start(c command) (process, error) {
	q := request{Op: "exec", Env: c.Env, User: c.User, Pty: c.Pty, Rows: c.Rows, Cols: c.Cols}
	switch {
	case c.SFTP:
		q.Role = "sftp"
	case c.Line != "":
		q.Argv = []string{"-c", c.Line}
	}
	var fds []int
	if !c.Pty {
		for _, f := range []*os.File{c.Stdin, c.Stdout, c.Stderr} {
			fd := int(f.Fd())
			unix.SetNonblock(fd, false) // as programs expect
			var st unix.Stat_t
			if r.root > 0 && unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO {
				unix.Fchown(fd, r.root, r.root) // so that the guest's root may open /dev/stderr
			}
			fds = append(fds, fd)
		}
	}
	r.mu.Lock()
	if r.down {
		r.mu.Unlock()
		return nil, errStopped
	}
	r.next++
	q.ID = r.next
	p := &guestProcess{r: r, id: q.ID, started: make(chan error, 1), ended: make(chan struct{})}
	r.procs[q.ID] = p
	err := send(r.conn, q, fds...)
	if err != nil {
		delete(r.procs, q.ID)
	}
	r.mu.Unlock()
	if err == nil {
		err = <-p.started
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// guestProcess is a command in a guest.
type guestProcess struct {
	r       *running
	id      uint64
	master  *os.File
	started chan error
	ended   chan struct{}
	end     reply
}

func (p *guestProcess) finish(a reply) {
	p.end = a
	select {
	case p.started <- errStopped: // it had not started
	default:
	}
	close(p.ended)
}

func (p *guestProcess) pty() *os.File         { return p.master }
func (p *guestProcess) done() <-chan struct{} { return p.ended }
func (p *guestProcess) result() (int, syscall.Signal) {
	return p.end.Code, syscall.Signal(p.end.Sig)
}

// signal reaches the command's process group.
func (p *guestProcess) signal(s syscall.Signal) error {
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	if p.r.down {
		return errStopped
	}
	return send(p.r.conn, request{ID: p.id, Op: "signal", Sig: int(s)})
}
