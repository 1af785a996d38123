package sshproxy

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Channel is a channel of the connection to the machine, on which nothing runs yet.
type Channel struct {
	ssh.Channel
	Requests <-chan *ssh.Request
	Release  func() // must be called when it is not used any more; closes it
}

// Options say who may enter and where that leads to.
type Options struct {
	Address string        // of this computer; "": 127.0.0.1
	Port    int           // 0: any that is free
	HostKey ssh.Signer    // the server's
	Client  ssh.PublicKey // the one that may enter

	// Open opens a channel, for as long as that takes. It may be called from many
	// goroutines.
	Open func(context.Context) (Channel, error)

	// SFTP is the command that serves SFTP on the machine; "": its subsystem, or one
	// of the programs that are usual.
	SFTP string
}

// Server is an SSH server for one client's key.
type Server struct {
	o        Options
	conf     *ssh.ServerConfig
	listener net.Listener
	ctx      context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool // nil: closed
	lost  int
	err   error
}

const handshakeTimeout = time.Minute

// Listen starts a server.
func Listen(o Options) (*Server, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(cmp.Or(o.Address, "127.0.0.1"), strconv.Itoa(o.Port)))
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, listener: l, conns: map[net.Conn]bool{}}
	s.conf = &ssh.ServerConfig{
		ServerVersion: "SSH-2.0-imgflow",
		MaxAuthTries:  -1, // an agent's other keys may come first
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !bytes.Equal(key.Marshal(), o.Client.Marshal()) {
				return nil, errors.New("another key")
			}
			return nil, nil
		},
	}
	s.conf.AddHostKey(o.HostKey)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.running.Go(s.accept)
	return s, nil
}

// Port is where it listens.
func (s *Server) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// Lost is how many sessions have ended because the connection to the machine did.
func (s *Server) Lost() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

// Err is why the last session that could not begin did not, or nil.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close ends all sessions, and returns when nothing of them is left.
func (s *Server) Close() {
	s.cancel()
	s.listener.Close()
	s.mu.Lock()
	conns := s.conns
	s.conns = nil
	s.mu.Unlock()
	for c := range conns {
		c.Close()
	}
	s.running.Wait()
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			if s.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(10 * time.Millisecond) // too many open files, which passes
			continue
		}
		if s.hold(c) {
			s.running.Go(func() {
				s.serve(c)
				s.drop(c)
			})
		}
	}
}

func (s *Server) hold(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		c.Close()
		return false
	}
	s.conns[c] = true
	return true
}

func (s *Server) drop(c net.Conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *Server) note(lost int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost += lost
	s.err = err
}

// buffered reads as much as there is: the library asks for little.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

func (s *Server) serve(raw net.Conn) {
	raw.SetDeadline(time.Now().Add(handshakeTimeout))
	c, chans, reqs, err := ssh.NewServerConn(buffered{raw, bufio.NewReaderSize(raw, 128<<10)}, s.conf)
	if err != nil {
		return
	}
	raw.SetDeadline(time.Time{})
	ctx, cancel := context.WithCancel(s.ctx)
	var sessions sync.WaitGroup
	defer sessions.Wait()
	defer cancel() // what still waits for the machine
	defer c.Close()
	go ssh.DiscardRequests(reqs)
	for nc := range chans {
		if nc.ChannelType() != "session" {
			nc.Reject(ssh.Prohibited, "this proxy has sessions only")
			continue
		}
		sessions.Go(func() { s.session(ctx, nc) })
	}
}

// session joins a channel that the client asks for with one of the machine.
func (s *Server) session(ctx context.Context, nc ssh.NewChannel) {
	far, err := s.o.Open(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.note(0, err)
		}
		nc.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	defer far.Release()
	near, asked, err := nc.Accept()
	if err != nil {
		go ssh.DiscardRequests(far.Requests)
		return
	}
	defer near.Close()
	go func() {
		io.Copy(far, near)
		far.CloseWrite()
	}()
	left := make(chan struct{}) // closed when the client has gone
	go func() {
		for r := range asked {
			s.ask(far, r)
		}
		close(left)
	}()
	out := make(chan struct{}) // closed when the machine has said all
	go func() {
		var both sync.WaitGroup
		both.Go(func() { io.Copy(near, far) })
		both.Go(func() { io.Copy(near.Stderr(), far.Stderr()) })
		both.Wait()
		near.CloseWrite()
		close(out)
	}()
	for ended := false; ; {
		select {
		case r, more := <-far.Requests:
			if more {
				ended = ended || r.Type == "exit-status" || r.Type == "exit-signal"
				pass(near, r)
				continue
			}
			if <-out; !ended {
				s.note(1, nil)
			}
			return
		case <-left: // a server may keep its channel until all that runs there has ended
			go ssh.DiscardRequests(far.Requests)
			return
		}
	}
}

// pass hands a request on, and the answer back.
func pass(to ssh.Channel, r *ssh.Request) {
	ok, err := to.SendRequest(r.Type, r.WantReply, r.Payload)
	r.Reply(ok && err == nil, nil)
}

// kept are the requests that would let the machine into this computer.
var kept = []string{"auth-agent-req@openssh.com", "x11-req"}

// usualSFTP runs what serves SFTP, where the usual systems have it.
const usualSFTP = `for p in /usr/lib/openssh /usr/libexec/openssh /usr/lib/ssh /usr/libexec /usr/lib /usr/lib64/ssh; do ` +
	`[ -x $p/sftp-server ] && exec $p/sftp-server; done; exit 127`

// ask does what the client asks for on the machine, and says whether that went well.
func (s *Server) ask(far ssh.Channel, r *ssh.Request) {
	sftp := r.Type == "subsystem" && isSFTP(r.Payload)
	switch {
	case slices.Contains(kept, r.Type):
		r.Reply(false, nil)
	case sftp && s.o.SFTP != "":
		r.Reply(start(far, s.o.SFTP), nil)
	case sftp:
		ok, err := far.SendRequest(r.Type, true, r.Payload)
		r.Reply(ok && err == nil || err == nil && start(far, usualSFTP), nil)
	default:
		pass(far, r)
	}
}

func isSFTP(payload []byte) bool {
	var name struct{ Name string }
	return ssh.Unmarshal(payload, &name) == nil && name.Name == "sftp"
}

func start(far ssh.Channel, command string) bool {
	ok, err := far.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{command}))
	return ok && err == nil
}
