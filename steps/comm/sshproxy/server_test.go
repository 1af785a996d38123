package sshproxy

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/imgflow/imgflow/internal/sshtest"
)

func newKey(t testing.TB) (ssh.Signer, []byte) {
	t.Helper()
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(priv, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, pem.EncodeToMemory(block)
}

// missing skips loudly, but on CI, where all tools must be there.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing", what)
	}
	t.Skipf("NOT TESTED: %s is missing", what)
}

// machine is this computer, behind a connection that can be cut.
type machine struct {
	*sshtest.Server
	mu     sync.Mutex
	client *ssh.Client
}

func newMachine(t testing.TB) *machine {
	t.Helper()
	srv, err := sshtest.Start(t.TempDir())
	if errors.Is(err, sshtest.ErrMissing) {
		missing(t, "an OpenSSH server")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	m := &machine{Server: srv}
	t.Cleanup(m.cut)
	return m
}

func (m *machine) cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.client != nil {
		m.client.Close()
		m.client = nil
	}
}

func (m *machine) open(context.Context) (Channel, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.client == nil {
		key, err := os.ReadFile(m.KeyFile)
		if err != nil {
			return Channel{}, err
		}
		signer, err := ssh.ParsePrivateKey(key)
		if err != nil {
			return Channel{}, err
		}
		conf := &ssh.ClientConfig{User: m.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()}
		if m.client, err = ssh.Dial("tcp", fmt.Sprint("127.0.0.1:", m.Port), conf); err != nil {
			return Channel{}, err
		}
	}
	ch, reqs, err := m.client.OpenChannel("session", nil)
	return Channel{ch, reqs, func() { ch.Close() }}, err
}

// proxy is a server before the machine, and a connection to it.
func proxy(t testing.TB, m *machine, o Options) (*Server, *ssh.Client, []byte) {
	t.Helper()
	host, _ := newKey(t)
	client, key := newKey(t)
	o.HostKey, o.Client = host, client.PublicKey()
	if o.Open == nil {
		o.Open = m.open
	}
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	c, err := ssh.Dial("tcp", fmt.Sprint("127.0.0.1:", s.Port()), &ssh.ClientConfig{User: "anybody", Auth: []ssh.AuthMethod{ssh.PublicKeys(client)}, HostKeyCallback: ssh.FixedHostKey(host.PublicKey())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return s, c, key
}

func TestSessions(t *testing.T) {
	_, c, _ := proxy(t, newMachine(t), Options{})
	session := func() *ssh.Session {
		t.Helper()
		s, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}

	s := session()
	var out, errs bytes.Buffer
	s.Stdin, s.Stdout, s.Stderr = strings.NewReader("text"), &out, &errs
	err := s.Run("cat; echo bad >&2; exit 7")
	var exit *ssh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 7 || out.String() != "text" || errs.String() != "bad\n" {
		t.Errorf("%q, %q, %v", out.String(), errs.String(), err)
	}

	s = session()
	if err := s.Run("kill -TERM $$"); !errors.As(err, &exit) || exit.Signal() != "TERM" {
		t.Errorf("a signal's end: %v", err)
	}

	s = session()
	if err := s.RequestPty("vt100", 24, 77, ssh.TerminalModes{}); err != nil {
		t.Fatal(err)
	}
	if out, err := s.Output("stty size; echo $TERM; test -t 0"); err != nil || strings.ReplaceAll(string(out), "\r", "") != "24 77\nvt100\n" {
		t.Errorf("terminal: %q, %v", out, err)
	}

	s = session()
	in, _ := s.StdinPipe()
	s.Stdout = &out
	out.Reset()
	if err := s.Shell(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, "echo from a shell; exit 3\n")
	if err := s.Wait(); !errors.As(err, &exit) || exit.ExitStatus() != 3 || !strings.Contains(out.String(), "from a shell\n") {
		t.Errorf("shell: %q, %v", out.String(), err)
	}

	s = session()
	if ok, err := s.SendRequest("auth-agent-req@openssh.com", true, nil); ok || err != nil {
		t.Errorf("an agent is forwarded: %v, %v", ok, err)
	}
	if _, _, err := c.OpenChannel("direct-tcpip", nil); err == nil {
		t.Error("ports are forwarded")
	}
}

// Many sessions at once, with more than fits into any window.
func TestWindows(t *testing.T) {
	_, c, _ := proxy(t, newMachine(t), Options{})
	const size = 8 << 20
	data := make([]byte, size)
	rand.Read(data)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			s, err := c.NewSession()
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			s.Stdin = bytes.NewReader(data)
			if out, err := s.Output("cat"); err != nil || !bytes.Equal(out, data) {
				t.Errorf("%d bytes came back of %d: %v", len(out), size, err)
			}
		})
	}
	all.Wait()
}

func TestOnlyTheKeyEnters(t *testing.T) {
	s, c, _ := proxy(t, nil, Options{Open: func(context.Context) (Channel, error) { return Channel{}, errors.New("no machine") }})
	if _, err := c.NewSession(); err == nil || !strings.Contains(err.Error(), "no machine") || s.Err() == nil {
		t.Errorf("%v, %v", err, s.Err())
	}
	other, _ := newKey(t)
	for _, auth := range []ssh.AuthMethod{ssh.PublicKeys(other), ssh.Password(""), ssh.KeyboardInteractive(func(string, string, []string, []bool) ([]string, error) { return nil, nil })} {
		c, err := ssh.Dial("tcp", fmt.Sprint("127.0.0.1:", s.Port()), &ssh.ClientConfig{User: "anybody", Auth: []ssh.AuthMethod{auth}, HostKeyCallback: ssh.InsecureIgnoreHostKey()})
		if err == nil {
			c.Close()
			t.Errorf("%T has entered", auth)
		}
	}
}

func TestLost(t *testing.T) {
	m := newMachine(t)
	s, c, _ := proxy(t, m, Options{})
	run := func(command string) error {
		ses, err := c.NewSession()
		if err != nil {
			return err
		}
		defer ses.Close()
		out, _ := ses.StdoutPipe()
		if err := ses.Start(command); err != nil {
			return err
		}
		io.ReadFull(out, make([]byte, 1))
		m.cut()
		return ses.Wait()
	}
	var missed *ssh.ExitMissingError
	if err := run("echo; sleep 9"); !errors.As(err, &missed) {
		t.Error(err)
	}
	if n := s.Lost(); n != 1 {
		t.Errorf("%d lost", n)
	}
	ses, err := c.NewSession() // by a new connection
	if err != nil {
		t.Fatal(err)
	}
	if out, err := ses.Output("echo again"); err != nil || string(out) != "again\n" {
		t.Errorf("%q, %v", out, err)
	}
	if n := s.Lost(); n != 1 {
		t.Errorf("%d lost", n)
	}
}

// What still runs, or waits for the machine, does not keep a server from its end.
func TestClose(t *testing.T) {
	m := newMachine(t)
	waits := make(chan bool, 1)
	s, c, _ := proxy(t, m, Options{Open: func(ctx context.Context) (Channel, error) {
		select {
		case waits <- true:
			return m.open(ctx)
		default:
			<-ctx.Done()
			return Channel{}, ctx.Err()
		}
	}})
	ses, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := ses.Start("sleep 9"); err != nil {
		t.Fatal(err)
	}
	go c.NewSession()
	time.Sleep(10 * time.Millisecond)
	s.Close()
	if n := s.Lost(); n != 0 {
		t.Errorf("%d lost", n)
	}
	if ses.Wait() == nil {
		t.Error("it goes on")
	}
}

// withoutSubsystems is a channel of a machine that has none.
type withoutSubsystems struct{ ssh.Channel }

func (c withoutSubsystems) SendRequest(name string, wantReply bool, payload []byte) (bool, error) {
	if name == "subsystem" {
		return false, nil
	}
	return c.Channel.SendRequest(name, wantReply, payload)
}

// OpenSSH's programs copy files by SFTP, from a machine without the subsystem, too, and
// by scp.
func TestPrograms(t *testing.T) {
	for _, name := range []string{"ssh", "scp"} {
		if _, err := exec.LookPath(name); err != nil {
			missing(t, name)
		}
	}
	m := newMachine(t)
	dir := t.TempDir()
	text := strings.Repeat("text\n", 300_000)
	os.WriteFile(filepath.Join(dir, "a"), []byte(text), 0o600)
	for i, c := range []struct {
		sftp      string
		bare, old bool
	}{{"", false, false}, {"/usr/lib/openssh/sftp-server", true, false}, {"", true, false}, {"", true, true}} {
		s, _, key := proxy(t, m, Options{SFTP: c.sftp, Open: func(ctx context.Context) (Channel, error) {
			ch, err := m.open(ctx)
			if c.bare && err == nil {
				ch.Channel = withoutSubsystems{ch.Channel}
			}
			return ch, err
		}})
		keyFile := filepath.Join(dir, fmt.Sprint("key", i))
		os.WriteFile(keyFile, key, 0o600)
		to := filepath.Join(dir, fmt.Sprint("to", i))
		args := []string{"-q", "-P", fmt.Sprint(s.Port()), "-i", keyFile, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"}
		if c.old {
			args = append(args, "-O")
		}
		out, err := exec.Command("scp", append(args, filepath.Join(dir, "a"), "x@127.0.0.1:"+to)...).CombinedOutput()
		got, _ := os.ReadFile(to)
		if err != nil || string(got) != text {
			t.Errorf("%d: %v, %s, %d bytes", i, err, out, len(got))
		}
	}
}

func TestAgent(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		missing(t, "ssh")
	}
	m := newMachine(t)
	key, err := os.ReadFile(m.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "imgflow-agent") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket, public := filepath.Join(dir, "s"), filepath.Join(dir, "key")
	a, err := ServeAgent(socket, key)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if fi, err := os.Stat(socket); err != nil || fi.Mode().Perm() != 0o600 {
		t.Error(fi, err)
	}
	os.WriteFile(public, ssh.MarshalAuthorizedKey(a.Public), 0o600)
	out, err := exec.Command("ssh", "-p", fmt.Sprint(m.Port), "-i", public, "-o", "IdentityAgent="+socket, "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", m.User+"@127.0.0.1", "echo in").Output()
	if err != nil || string(out) != "in\n" {
		t.Errorf("%q, %v", out, err)
	}
}
