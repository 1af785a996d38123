//go:build unix

package guest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"
)

// session is one channel of a connection, and the command in it.
type session struct {
	srv      *sshServer
	ch       ssh.Channel
	addr     net.Conn
	forced   string // the command that the key allows
	isForced bool
	noPty    bool

	cmd                   command
	proc                  process
	stdin, stdout, stderr *os.File // our ends of the pipes
}

var signals = map[ssh.Signal]syscall.Signal{ssh.SIGABRT: syscall.SIGABRT, ssh.SIGALRM: syscall.SIGALRM, ssh.SIGFPE: syscall.SIGFPE,
	ssh.SIGHUP: syscall.SIGHUP, ssh.SIGILL: syscall.SIGILL, ssh.SIGINT: syscall.SIGINT, ssh.SIGKILL: syscall.SIGKILL,
	ssh.SIGPIPE: syscall.SIGPIPE, ssh.SIGQUIT: syscall.SIGQUIT, ssh.SIGSEGV: syscall.SIGSEGV, ssh.SIGTERM: syscall.SIGTERM,
	ssh.SIGUSR1: syscall.SIGUSR1, ssh.SIGUSR2: syscall.SIGUSR2}

func (s *session) serve(reqs <-chan *ssh.Request) {
	s.cmd.Env = s.connection()
	for r := range reqs {
		ok, run := s.request(r)
		if r.WantReply {
			r.Reply(ok, nil)
		}
		if run {
			go s.stream()
		}
	}
	// The client has gone. A terminal hangs up; a command without one goes on
	// and only finds its pipes closed, as under sshd.
	if s.proc != nil {
		if t := s.proc.pty(); t != nil {
			t.Close()
		}
		for _, f := range []*os.File{s.stdin, s.stdout, s.stderr} {
			f.Close() // nil with a pty
		}
	}
	s.ch.Close()
}

// connection is what sshd tells a command about its caller.
func (s *session) connection() []string {
	ch, cp, err1 := net.SplitHostPort(s.addr.RemoteAddr().String())
	sh, sp, err2 := net.SplitHostPort(s.addr.LocalAddr().String())
	if err1 != nil || err2 != nil {
		return nil
	}
	return []string{"SSH_CLIENT=" + ch + " " + cp + " " + sp, "SSH_CONNECTION=" + ch + " " + cp + " " + sh + " " + sp}
}

// request handles one request; run says that a command was started.
func (s *session) request(r *ssh.Request) (ok, run bool) {
	switch r.Type {
	case "env":
		var v struct{ Name, Value string }
		if ok = ssh.Unmarshal(r.Payload, &v) == nil && s.proc == nil; ok {
			s.cmd.Env = append(s.cmd.Env, v.Name+"="+v.Value)
		}
	case "pty-req":
		var v struct {
			Term             string
			Cols, Rows, W, H uint32
			Modes            string
		}
		if ok = ssh.Unmarshal(r.Payload, &v) == nil && s.proc == nil && !s.noPty; ok {
			s.cmd.Pty, s.cmd.Rows, s.cmd.Cols = true, uint16(v.Rows), uint16(v.Cols)
			s.cmd.Env = append(s.cmd.Env, "TERM="+v.Term)
		}
	case "window-change":
		var v struct{ Cols, Rows, W, H uint32 }
		if ok = ssh.Unmarshal(r.Payload, &v) == nil && s.proc != nil && s.proc.pty() != nil; ok {
			ok = pty.Setsize(s.proc.pty(), &pty.Winsize{Rows: uint16(v.Rows), Cols: uint16(v.Cols)}) == nil
		}
	case "signal":
		var v struct{ Name string }
		if ssh.Unmarshal(r.Payload, &v) == nil && s.proc != nil {
			if sig, known := signals[ssh.Signal(v.Name)]; known {
				ok = s.proc.signal(sig) == nil
			}
		}
	case "shell", "exec", "subsystem":
		var v struct{ S string }
		if s.proc != nil || r.Type != "shell" && ssh.Unmarshal(r.Payload, &v) != nil {
			return false, false
		}
		if r.Type == "subsystem" {
			if v.S != "sftp" {
				return false, false
			}
			s.cmd.SFTP = true
		}
		s.cmd.Line = v.S
		if s.isForced {
			if r.Type == "exec" {
				s.cmd.Env = append(s.cmd.Env, "SSH_ORIGINAL_COMMAND="+v.S)
			}
			s.cmd.Line, s.cmd.SFTP = s.forced, false
		}
		ok = s.start() == nil
		return ok, ok
	}
	return ok, false
}

func (s *session) start() error {
	if s.cmd.SFTP {
		s.cmd.Pty = false
	}
	var theirs [3]*os.File
	if !s.cmd.Pty {
		var err [3]error
		theirs[0], s.stdin, err[0] = os.Pipe()
		s.stdout, theirs[1], err[1] = os.Pipe()
		s.stderr, theirs[2], err[2] = os.Pipe()
		if e := errors.Join(err[:]...); e != nil {
			return e
		}
		s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = theirs[0], theirs[1], theirs[2]
	}
	p, err := s.srv.guest.start(s.cmd)
	for _, f := range theirs {
		f.Close()
	}
	if err != nil {
		for _, f := range []*os.File{s.stdin, s.stdout, s.stderr} {
			f.Close()
		}
		fmt.Fprintf(s.ch.Stderr(), "%v\r\n", err)
		return err
	}
	s.proc = p
	return nil
}

// stream copies until the command has ended, then tells how.
func (s *session) stream() {
	var out sync.WaitGroup
	if t := s.proc.pty(); t != nil {
		go io.Copy(t, s.ch)
		out.Go(func() { io.Copy(s.ch, t) }) // EIO when the last holder closes the terminal
		<-s.proc.done()
		// What a background process still prints is nobody's any more.
		t.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		out.Wait()
		t.Close()
	} else {
		go func() { io.Copy(s.stdin, s.ch); s.stdin.Close() }()
		out.Go(func() { io.Copy(s.ch, s.stdout); s.stdout.Close() })
		out.Go(func() { io.Copy(s.ch.Stderr(), s.stderr); s.stderr.Close() })
		out.Wait() // as sshd does: until the last holder of the output closes it
		<-s.proc.done()
		s.stdin.Close()
	}
	s.srv.mu.Lock()
	closed := s.srv.closed
	s.srv.mu.Unlock()
	if closed { // the machine went away: it cannot tell how the command ended
		return
	}
	code, sig := s.proc.result()
	s.ch.CloseWrite()
	if sig != 0 {
		name := ssh.SIGKILL
		for n, v := range signals {
			if v == sig {
				name = n
			}
		}
		s.ch.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Name      string
			Core      bool
			Msg, Lang string
		}{string(name), false, "", ""}))
	} else {
		s.ch.SendRequest("exit-status", false, ssh.Marshal(struct{ C uint32 }{uint32(code)}))
	}
	s.ch.Close()
}
