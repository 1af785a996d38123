//go:build unix

package guest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// command is what a session runs: a line for the user's shell, a login shell
// when it is empty, or the SFTP server.
type command struct {
	User, Line string
	SFTP       bool
	Env        []string
	Pty        bool
	Rows, Cols uint16
	// Without a pty, the command's own ends; the caller closes them after start.
	Stdin, Stdout, Stderr *os.File
}

// process is a command that runs in a guest.
type process interface {
	pty() *os.File // nil without one
	signal(syscall.Signal) error
	done() <-chan struct{}
	result() (code int, sig syscall.Signal) // after done
}

// shell is how the SSH server reaches into a guest.
type shell interface {
	start(command) (process, error)
	authorizedKeys(user string) ([]byte, error)
	passwords(user string) bool // whether they are taken at all; of anybody's if the user is ""
	checkPassword(user string, password []byte) error
}

// sshServer is the SSH server of one guest. It runs outside of the guest and
// starts every command in it.
type sshServer struct {
	guest shell
	log   io.Writer
	conf  ssh.ServerConfig
	l     net.Listener
	opens time.Time // until then it has its port, and resets who comes

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

// listenSSH takes the port that the guest had, else 22, else one that any user
// may have.
func listenSSH(addr string, had int) (net.Listener, error) {
	var errs []error
	for i, p := range []int{had, 22, 0} {
		if i == 0 && p == 0 {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort(addr, strconv.Itoa(p)))
		if err == nil {
			return l, nil
		}
		errs = append(errs, err)
	}
	err := fmt.Errorf("cannot serve SSH on %s: %w", addr, errs[len(errs)-1])
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		err = fmt.Errorf("%w; add the address to the loopback interface (macOS: `sudo ifconfig lo0 alias %s up`)", err, addr)
	}
	return nil, err
}

func serveSSH(l net.Listener, guest shell, key ssh.Signer, opens time.Time, log io.Writer) *sshServer {
	s := &sshServer{guest: guest, log: log, l: l, opens: opens, conns: map[net.Conn]bool{}}
	// A name that clients know keeps their workarounds for it on.
	s.conf.ServerVersion = "SSH-2.0-OpenSSH_9.6p1"
	s.conf.PublicKeyCallback = s.admit
	s.conf.AddHostKey(key)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if time.Now().Before(s.opens) {
				reset(c)
				continue
			}
			s.mu.Lock()
			closed := s.closed
			if s.conns[c] = true; closed {
				c.Close()
			}
			s.mu.Unlock()
			go func() {
				s.serve(c)
				c.Close()
				s.mu.Lock()
				delete(s.conns, c)
				s.mu.Unlock()
			}()
		}
	}()
	return s
}

// reset ends a connection as a machine does that serves nothing at the port.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}

func (s *sshServer) port() int { return s.l.Addr().(*net.TCPAddr).Port }

// close drops all connections, as the end of a machine does.
func (s *sshServer) close() {
	s.l.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.conns {
		if t, ok := c.(*net.TCPConn); ok {
			t.SetLinger(-1)
		}
		c.Close()
	}
}

const forced = "force-command"

// admit looks the key up in the user's authorized_keys as it is now.
func (s *sshServer) admit(c ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
	b, err := s.guest.authorizedKeys(c.User())
	if err != nil {
		return nil, err
	}
	for len(b) > 0 {
		have, _, options, rest, err := ssh.ParseAuthorizedKey(b)
		if err != nil {
			break
		}
		b = rest
		if !bytes.Equal(have.Marshal(), k.Marshal()) {
			continue
		}
		perms := &ssh.Permissions{CriticalOptions: map[string]string{}}
		if err := s.options(perms, options); err != nil {
			fmt.Fprintf(s.log, "sshd: a key of %s is refused: %v\n", c.User(), err)
			return nil, err
		}
		return perms, nil
	}
	return nil, errors.New("the key is not in authorized_keys")
}

const maxPassword = 512 // bytes, as PAM has it

func (s *sshServer) admitPassword(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
	err := errors.New("the password cannot be one")
	if len(password) > 0 && len(password) <= maxPassword && bytes.IndexByte(password, 0) < 0 {
		err = s.guest.checkPassword(c.User(), password)
	}
	if err != nil {
		fmt.Fprintf(s.log, "sshd: a password of %q is refused: %v\n", c.User(), err)
		return nil, err
	}
	return &ssh.Permissions{}, nil
}

// options takes what restricts a key; an option that cannot be honoured refuses
// the key.
func (s *sshServer) options(p *ssh.Permissions, options []string) error {
	for _, o := range options {
		name, v, _ := bytes.Cut([]byte(o), []byte("="))
		switch string(bytes.ToLower(name)) {
		case "command":
			line, err := strconv.Unquote(string(v))
			if err != nil {
				line = string(bytes.Trim(v, `"`))
			}
			p.CriticalOptions[forced] = line
		case "restrict", "no-port-forwarding", "no-pty", "no-user-rc":
			p.CriticalOptions[string(name)] = ""
		case "no-agent-forwarding", "no-x11-forwarding", "pty", "port-forwarding", "agent-forwarding", "x11-forwarding", "user-rc":
		default:
			return fmt.Errorf("option %s of authorized_keys is not supported by the embedded EC2", name)
		}
	}
	return nil
}

func (s *sshServer) serve(c net.Conn) {
	c.SetDeadline(time.Now().Add(2 * time.Minute)) // sshd's LoginGraceTime
	conf := s.conf
	if s.guest.passwords("") {
		conf.PasswordCallback = s.admitPassword
	}
	conn, chans, reqs, err := ssh.NewServerConn(c, &conf)
	if err != nil {
		return
	}
	c.SetDeadline(time.Time{})
	defer conn.Close()
	opts := conn.Permissions.CriticalOptions
	_, restrict := opts["restrict"]
	_, alone := opts["no-port-forwarding"]
	go serveRequests(conn, reqs, !alone && !restrict)
	for nc := range chans {
		switch nc.ChannelType() {
		case "session":
			ch, reqs, err := nc.Accept()
			if err != nil {
				return
			}
			ses := &session{srv: s, ch: ch, addr: c}
			ses.cmd.User = conn.User()
			ses.forced, ses.isForced = opts[forced]
			_, ses.noPty = opts["no-pty"]
			ses.noPty = ses.noPty || restrict
			go ses.serve(reqs)
		case "direct-tcpip":
			if alone || restrict {
				nc.Reject(ssh.Prohibited, "the key allows no forwarding")
				continue
			}
			go forward(nc)
		default:
			nc.Reject(ssh.UnknownChannelType, "only sessions and forwarding to loopback are served")
		}
	}
}

// forward joins a channel with a loopback port: that of the host, which guests
// share.
func forward(nc ssh.NewChannel) {
	var to struct {
		Host string
		Port uint32
		From string
		At   uint32
	}
	if ssh.Unmarshal(nc.ExtraData(), &to) != nil {
		nc.Reject(ssh.ConnectionFailed, "malformed request")
		return
	}
	if ip := net.ParseIP(to.Host); to.Host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		nc.Reject(ssh.Prohibited, "the embedded EC2 forwards to loopback only")
		return
	}
	c, err := net.DialTimeout("tcp", net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port))), 10*time.Second)
	if err != nil {
		nc.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	ch, reqs, err := nc.Accept()
	if err != nil {
		c.Close()
		return
	}
	go ssh.DiscardRequests(reqs)
	join(ch, c)
}

// join passes on what a channel and a connection say, until both have said all.
func join(ch ssh.Channel, c net.Conn) {
	var both sync.WaitGroup
	both.Go(func() { io.Copy(c, ch); c.(*net.TCPConn).CloseWrite() })
	both.Go(func() { io.Copy(ch, c); ch.CloseWrite() })
	both.Wait()
	c.Close()
	ch.Close()
}

// serveRequests listens at loopback ports for a client that asks for it, until that hangs up.
// All else is answered as a server does that knows nothing of it, keepalives too.
func serveRequests(conn *ssh.ServerConn, reqs <-chan *ssh.Request, forwards bool) {
	type address struct {
		Host string
		Port uint32
	}
	open := map[address]net.Listener{}
	defer func() {
		for _, l := range open {
			l.Close()
		}
	}()
	for r := range reqs {
		var at address
		ok := forwards && ssh.Unmarshal(r.Payload, &at) == nil
		switch {
		case r.Type == "tcpip-forward" && ok && at.Port != 0 && len(open) < maxListening:
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(at.Port))))
			if err != nil {
				r.Reply(false, nil)
				continue
			}
			open[at] = l
			r.Reply(true, nil)
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						from := c.RemoteAddr().(*net.TCPAddr)
						ch, reqs, err := conn.OpenChannel("forwarded-tcpip", ssh.Marshal(struct {
							Host string
							Port uint32
							From string
							At   uint32
						}{at.Host, at.Port, from.IP.String(), uint32(from.Port)}))
						if err != nil {
							c.Close()
							return
						}
						go ssh.DiscardRequests(reqs)
						join(ch, c)
					}()
				}
			}()
		case r.Type == "cancel-tcpip-forward" && ok && open[at] != nil:
			open[at].Close()
			delete(open, at)
			r.Reply(true, nil)
		case r.WantReply:
			r.Reply(false, nil)
		}
	}
}

const maxListening = 20 // ports for one connection
