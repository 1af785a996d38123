package comm

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/nettest"
	"github.com/imgflow/imgflow/internal/usual"
)

func connect(t *testing.T, l *lab, s Connect, ep Endpoint) (Machine, error) {
	t.Helper()
	s.To = dag.Lit(ep).Take()
	return s.Do(t.Context(), l.env, l.task)
}

func TestConnect(t *testing.T) {
	t.Parallel()
	s := sshd(t, "dash")
	m := s.machine()
	l := newLab(t, m)
	got, err := connect(t, l, Connect{SSH: m.SSH}, m.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	if w := l.sink.texts(dag.Warned); w != nil {
		t.Errorf("warned of a known host key: %q", w)
	}
	if p, err := json.Marshal(got); err != nil || strings.Contains(string(p), "PRIVATE") {
		t.Error(string(p), err)
	}
	said := strings.Join(l.sink.texts(dag.Said), "|")
	if want := "waiting for SSH at 127.0.0.1:" + strconv.Itoa(s.port) + "|connected"; said != want {
		t.Errorf("%q, want %q", said, want)
	}

	// A key that is not known is pinned, with a warning.
	l = newLab(t, m)
	ep := m.Endpoint
	ep.HostKeys = nil
	got, err = connect(t, l, Connect{SSH: m.SSH, Pause: time.Millisecond}, ep)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.HostKeys) != 1 || !hasKey(got.HostKeys, s.host) {
		t.Errorf("pinned %q, want %q", got.HostKeys, s.host)
	}
	if w := l.sink.texts(dag.Warned); len(w) != 1 || !strings.Contains(w[0], "not known") {
		t.Errorf("%q", w)
	}
}

func TestHostKeyMismatch(t *testing.T) {
	t.Parallel()
	s, other := sshd(t, "dash"), sshd(t, "bash")
	way := newRelay(t, s, nil)
	m := way.machine(s)
	m.HostKeys = []string{other.host}
	l := newLab(t, m)
	_, err := connect(t, l, Connect{SSH: m.SSH}, m.Endpoint)
	var k *HostKeyError
	if !errors.As(err, &k) || errcode.Of(err) != errcode.HostKeyChanged || !strings.Contains(err.Error(), "something else answers") || !strings.Contains(err.Error(), `set "ssh_host_key": "console"`) {
		t.Fatal(err)
	}
	if n := way.conns.Load(); n != 1 {
		t.Errorf("tried %d times", n)
	}
	r, _ := l.env.Remote(l.task, m)
	if _, err := r.Run(t.Context(), l.job("exit 0")); !errors.As(err, &k) {
		t.Error(err)
	}
	// A live connection to the machine does not serve one with another key.
	good, _ := l.env.Remote(l.task, way.machine(s))
	if _, _, err := good.Exec(t.Context(), ":", nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Exec(t.Context(), ":", nil); !errors.As(err, &k) {
		t.Error(err)
	}
}

// odd is a server in this process, for what OpenSSH does not do.
func odd(t *testing.T, conf *ssh.ServerConfig, delay time.Duration, each func(n int64, c net.Conn) bool) (ep Endpoint, conns *atomic.Int64) {
	t.Helper()
	_, priv, _ := ed25519.GenerateKey(rand.Reader)
	host, err := ssh.NewSignerFromKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	conf.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	conns = &atomic.Int64{}
	serve := func(l net.Listener) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n := conns.Add(1)
			go func() {
				defer c.Close()
				if each != nil && !each(n, c) {
					return
				}
				sc, chans, reqs, err := ssh.NewServerConn(c, conf)
				if err != nil {
					return
				}
				go ssh.DiscardRequests(reqs)
				for ch := range chans {
					ch.Reject(ssh.Prohibited, "no")
				}
				sc.Close()
			}()
		}
	}
	if delay > 0 {
		l.Close()
		timer := time.AfterFunc(delay, func() {
			if l, err := net.Listen("tcp", addr.String()); err == nil {
				t.Cleanup(func() { l.Close() })
				serve(l)
			}
		})
		t.Cleanup(func() { timer.Stop() })
	} else {
		t.Cleanup(func() { l.Close() })
		go serve(l)
	}
	return Endpoint{Protocol: "ssh", Host: "127.0.0.1", Port: addr.Port, HostKeys: []string{authorizedLine(host.PublicKey(), "")}}, conns
}

func passwordConf(want string) *ssh.ServerConfig {
	return &ssh.ServerConfig{PasswordCallback: func(c ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
		if string(p) != want {
			return nil, errors.New("wrong")
		}
		return nil, nil
	}}
}

func TestConnectRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		ssh  SSH
		want int64
	}{
		{"attempts", SSH{HandshakeAttempts: 2}, 2},
		{"both", SSH{HandshakeAttempts: 3, Timeout: time.Minute}, 3},
		{"timeout", SSH{Timeout: 3 * time.Second}, 8}, // a busy machine may need a second for the first
	} {
		t.Run(tt.name, func(t *testing.T) {
			ep, conns := odd(t, passwordConf("right"), 0, nil)
			tt.ssh.Username, tt.ssh.Password = "me", dag.Secret("wrong")
			_, err := connect(t, newLab(t, Machine{}), Connect{SSH: tt.ssh}, ep)
			if err == nil || !strings.Contains(err.Error(), "does not let me in") || errcode.Of(err) != errcode.AuthRefused {
				t.Error(err)
			}
			if n := conns.Load(); n > tt.want || n < 1 {
				t.Errorf("%d attempts, want %d", n, tt.want)
			}
		})
	}
}

// A booting machine: nobody listens, then hangs up, then the password is not
// set yet. Only the last counts as an attempt.
func TestConnectBooting(t *testing.T) {
	t.Parallel()
	var ready atomic.Bool
	conf := &ssh.ServerConfig{PasswordCallback: func(c ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
		if !ready.Swap(true) {
			return nil, errors.New("not yet")
		}
		return nil, nil
	}}
	ep, _ := odd(t, conf, 300*time.Millisecond, func(n int64, c net.Conn) bool { return n > 3 })
	_, err := connect(t, newLab(t, Machine{}), Connect{SSH: SSH{Username: "me", Password: "x", HandshakeAttempts: 2, Timeout: time.Minute}}, ep)
	if err != nil {
		t.Error(err)
	}
}

func TestConnectKeyboard(t *testing.T) {
	t.Parallel()
	ep, _ := odd(t, &ssh.ServerConfig{KeyboardInteractiveCallback: func(c ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		as, err := ask("", "", []string{"Password: "}, []bool{false})
		if err != nil || len(as) != 1 || as[0] != "secret of pw" {
			return nil, errors.New("wrong")
		}
		return nil, nil
	}}, 0, nil)
	if _, err := connect(t, newLab(t, Machine{}), Connect{SSH: SSH{Username: "me", Password: dag.Secret(dag.Mark("pw")), HandshakeAttempts: 1}}, ep); err != nil {
		t.Error(err)
	}
}

// Errors that waiting does not mend come at once.
func TestConnectHopeless(t *testing.T) {
	t.Parallel()
	ep, _ := odd(t, passwordConf("x"), 0, nil)
	for want, s := range map[string]SSH{
		"nothing to log in with":     {Username: "me"},
		"cannot read the private":    {Username: "me", PrivateKeyFile: "/none"},
		"not among the secrets":      {Username: "me", KeyName: "none"},
		"no algorithm in common":     {Username: "me", Password: "x", Ciphers: []string{"arcfour"}},
		"its value is not available": {Username: "me", Password: dag.Secret(dag.Mark("gone"))},
	} {
		s.Timeout = time.Hour
		l := newLab(t, Machine{})
		l.task = dag.NewTask("run", "step", "t", l.sink, func(string) (string, error) { return "", errors.New("its value is not available") })
		if _, err := connect(t, l, Connect{SSH: s}, ep); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := connect(t, newLab(t, Machine{}), Connect{}, Endpoint{Protocol: "telnet", Host: "h"}); err == nil || !strings.Contains(err.Error(), "use ssh or winrm") {
		t.Error(err)
	}
	l := newLab(t, Machine{})
	l.env.Close()
	if _, err := connect(t, l, Connect{SSH: SSH{Username: "me", Password: "x"}}, ep); err == nil {
		t.Error("connected after Close")
	}
}

// What a machine says in place of running commands is told.
func TestStrangeMachine(t *testing.T) {
	t.Parallel()
	s := sshd(t, "dash", `ForceCommand echo Please login as the user ubuntu`)
	l := newLab(t, s.machine())
	_, err := l.remote.Run(t.Context(), l.job("exit 0"))
	if err == nil || !strings.Contains(err.Error(), "Please login as the user ubuntu") {
		t.Error(err)
	}
	_, _, err = l.remote.Exec(t.Context(), "exit 0", nil)
	if err == nil || !strings.Contains(err.Error(), "Please login as the user ubuntu") {
		t.Error(err)
	}
}

// A login that greets does not get into anything.
func TestNoisyLogin(t *testing.T) {
	t.Parallel()
	s := sshd(t, "dash", `ForceCommand echo; printf hello; echo world >&2; eval "$SSH_ORIGINAL_COMMAND"`, "Subsystem other /bin/true")
	l := newLab(t, s.machine())
	if x := l.mustRun(t, l.job("echo out; exit 3")); x.Code != 3 || l.lines(t, "stdout") != "out\n" {
		t.Error(x, l.lines(t, "stdout"))
	}
	out, x, err := l.remote.Exec(t.Context(), "echo $((1+1)); exit 4", nil)
	if err != nil || string(out) != "2\n" || x.Code != 4 {
		t.Errorf("%q %+v %v", out, x, err)
	}
	src, down := sampleTree(t), t.TempDir()
	if err := downloadDir(t.Context(), l.remote, src, down); err != nil || describe(t, down) != describe(t, src) {
		t.Error(err)
	}
}

// runAgent runs an SSH agent that has the keys, and returns where it answers.
func runAgent(t *testing.T, keys ...any) string {
	t.Helper()
	ring := agent.NewKeyring()
	for _, k := range keys {
		if err := ring.Add(agent.AddedKey{PrivateKey: k}); err != nil {
			t.Fatal(err)
		}
	}
	sock := filepath.Join(t.TempDir(), "agent")
	n, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	go func() {
		for {
			c, err := n.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(ring, c)
		}
	}()
	return sock
}

// A server hangs up after six wrong keys, or as many as it is told; the right one
// may be any.
func TestAgentWithManyKeys(t *testing.T) {
	for _, settings := range [][]string{nil, {"MaxAuthTries 2"}} {
		s := sshd(t, "dash", settings...)
		right, err := os.ReadFile(s.key)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := ssh.ParseRawPrivateKey(right)
		if err != nil {
			t.Fatal(err)
		}
		var keys []any
		for range 13 {
			_, k, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, &k)
		}
		m := s.machine()
		m.SSH.PrivateKeyFile, m.SSH.AgentAuth, m.SSH.HandshakeAttempts = "", true, 1
		agent := runAgent(t, append(keys, raw)...)
		if _, err := connect(t, newLab(t, m).asking(agent), Connect{SSH: m.SSH}, m.Endpoint); err != nil {
			t.Errorf("%v: %v", settings, err)
		}
		agent = runAgent(t, keys...)
		if _, err := connect(t, newLab(t, m).asking(agent), Connect{SSH: m.SSH}, m.Endpoint); err == nil || !strings.Contains(err.Error(), "does not let") || !strings.Contains(err.Error(), "ssh_agent_auth") {
			t.Errorf("%v: with wrong keys only: %v", settings, err)
		}
	}
}

// What is wrong with the login to a bastion is told with the bastion's options.
func TestBastionHints(t *testing.T) {
	s := sshd(t, "dash")
	_, wrong, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	agent := runAgent(t, &wrong)
	m := s.machine()
	m.SSH.HandshakeAttempts = 1
	m.SSH.BastionHost, m.SSH.BastionPort, m.SSH.BastionUsername, m.SSH.BastionAgentAuth = "127.0.0.1", s.port, "somebody", true
	m.SSH.PrivateKeyFile, m.SSH.AgentAuth = "", true
	check := func(words ...string) {
		t.Helper()
		_, err := connect(t, newLab(t, m).asking(agent), Connect{SSH: m.SSH}, m.Endpoint)
		for _, w := range words {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%v, want %s", err, w)
			}
		}
	}
	check("does not let somebody in", "ssh_bastion_username", "ssh_bastion_private_key_file")
	agent = ""
	check("ssh_bastion_agent_auth is set")
	m.SSH.BastionAgentAuth = false
	check("set ssh_bastion_private_key_file, ssh_bastion_password or ssh_bastion_agent_auth")
}

func TestAgent(t *testing.T) {
	s := sshd(t, "dash")
	b, _ := os.ReadFile(s.key)
	raw, err := ssh.ParseRawPrivateKey(b)
	if err != nil {
		t.Fatal(err)
	}
	agent := runAgent(t, raw)
	m := s.machine()
	m.SSH.PrivateKeyFile, m.SSH.AgentAuth = "", true
	if _, err := connect(t, newLab(t, m).asking(agent), Connect{SSH: m.SSH}, m.Endpoint); err != nil {
		t.Error(err)
	}
	if _, err := connect(t, newLab(t, m), Connect{SSH: m.SSH}, m.Endpoint); err == nil || !strings.Contains(err.Error(), "no agent") {
		t.Error(err)
	}
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, _ := newPrivateKey("ed25519", 0, "ca")
	os.WriteFile(dir+"/ca", ca, 0o600)
	signer, err := fileSigner(dir+"/ca", "", "ssh_")
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(dir+"/ca.pub", ssh.MarshalAuthorizedKey(signer[0].PublicKey()), 0o644)
	s := sshd(t, "dash", "TrustedUserCAKeys "+dir+"/ca.pub")
	key, _ := newPrivateKey("ed25519", 0, "me")
	os.WriteFile(dir+"/key", key, 0o600)
	mine, _ := fileSigner(dir+"/key", "", "ssh_")
	cert := &ssh.Certificate{Key: mine[0].PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{user()}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, signer[0]); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(dir+"/cert", ssh.MarshalAuthorizedKey(cert), 0o644)
	m := s.machine()
	m.SSH.PrivateKeyFile, m.SSH.CertificateFile = dir+"/key", dir+"/cert"
	if _, err := connect(t, newLab(t, m), Connect{SSH: m.SSH}, m.Endpoint); err != nil {
		t.Error(err)
	}
}

func TestBastion(t *testing.T) {
	t.Parallel()
	s, b := sshd(t, "dash"), sshd(t, "bash")
	m := s.machine()
	m.SSH.BastionHost, m.SSH.BastionPort, m.SSH.BastionUsername, m.SSH.BastionPrivateKeyFile = "127.0.0.1", b.port, user(), b.key
	l := newLab(t, m)
	if x := l.mustRun(t, l.job("exit 3")); x.Code != 3 {
		t.Error(x)
	}
	if w := l.sink.texts(dag.Warned); len(w) != 1 || !strings.Contains(w[0], "bastion") {
		t.Errorf("%q", w)
	}
	got, err := connect(t, l, Connect{SSH: m.SSH}, m.Endpoint)
	if err != nil || !hasKey(got.SSH.BastionHostKeys, b.host) {
		t.Errorf("pinned %q: %v", got.SSH.BastionHostKeys, err)
	}
	m.SSH.BastionHostKeys = []string{s.host}
	var k *HostKeyError
	if _, err := connect(t, newLab(t, m), Connect{SSH: m.SSH}, m.Endpoint); !errors.As(err, &k) {
		t.Error(err)
	}
}

// socksServer admits only one user and forwards.
func socksServer(t *testing.T, userName, password string) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	handle := func(c net.Conn) {
		defer c.Close()
		b := make([]byte, 512)
		read := func(n int) []byte { io.ReadFull(c, b[:n]); return b[:n] }
		read(int(read(2)[1]))
		c.Write([]byte{5, 2})
		name := string(read(int(read(2)[1])))
		if pw := string(read(int(read(1)[0]))); name != userName || pw != password {
			c.Write([]byte{1, 1})
			return
		}
		c.Write([]byte{1, 0})
		if read(4)[3] != 1 {
			return
		}
		ip := net.IP(append([]byte(nil), read(4)...))
		port := read(2)
		to, err := net.Dial("tcp", net.JoinHostPort(ip.String(), strconv.Itoa(int(port[0])<<8|int(port[1]))))
		if err != nil {
			return
		}
		defer to.Close()
		c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		go func() { io.Copy(to, c); to.Close() }()
		io.Copy(c, to)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go handle(c)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func TestProxy(t *testing.T) {
	t.Parallel()
	m := sshd(t, "dash").machine()
	m.SSH.ProxyHost, m.SSH.ProxyPort = "127.0.0.1", socksServer(t, "me", "secret of p")
	m.SSH.ProxyUsername, m.SSH.ProxyPassword = "me", dag.Secret(dag.Mark("p"))
	l := newLab(t, m)
	if x := l.mustRun(t, l.job("exit 3")); x.Code != 3 {
		t.Error(x)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	key, _ := newPrivateKey("ed25519", 0, "")
	os.WriteFile(dir+"/good", key, 0o600)
	os.WriteFile(dir+"/bad", []byte("x"), 0o600)
	block, err := ssh.MarshalPrivateKeyWithPassphrase(mustRaw(t, key), "", []byte("pw"))
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(dir+"/locked", pem.EncodeToMemory(block), 0o600)
	if f := optionErrors(SSH{Username: "u", PrivateKeyFile: dir + "/good", FileTransferMethod: "sftp", Ciphers: []string{"aes128-ctr"}}); f != "" {
		t.Error(f)
	}
	for _, tt := range []struct {
		s    SSH
		want string
	}{
		{SSH{}, "ssh_username: must be set"},
		{SSH{PrivateKeyFile: dir + "/none"}, "ssh_private_key_file: cannot read the private key"},
		{SSH{PrivateKeyFile: dir + "/bad"}, "ssh_private_key_file: cannot use the private key"},
		{SSH{PrivateKeyFile: dir + "/locked"}, "it has a passphrase"},
		{SSH{CertificateFile: "c"}, "ssh_certificate_file: needs ssh_private_key_file"},
		{SSH{PrivateKeyFile: dir + "/good", CertificateFile: dir + "/none"}, "ssh_certificate_file: cannot read"},
		{SSH{FileTransferMethod: "ftp"}, "ssh_file_transfer_method: \"ftp\" is not known"},
		{SSH{Ciphers: []string{"aes128-ctr", "rot13"}}, "ssh_ciphers[1]: \"rot13\" is not known; known are aes"},
		{SSH{KeyExchanges: []string{"x"}}, "ssh_key_exchange_algorithms[0]"},
		{SSH{Port: 70000}, "ssh_port: 70000"},
		{SSH{Timeout: -1}, "ssh_timeout"},
		{SSH{BastionHost: "b"}, "ssh_bastion_username"},
		{SSH{BastionHost: "b", BastionUsername: "u"}, "ssh_bastion_host: needs"},
		{SSH{BastionHost: "b", ProxyHost: "p"}, "ssh_proxy_host: cannot be used together"},
	} {
		if !strings.Contains(optionErrors(tt.s), tt.want) {
			t.Errorf("%+v: %s, want %s", tt.s, optionErrors(tt.s), tt.want)
		}
	}
}

func mustRaw(t *testing.T, pem []byte) any {
	t.Helper()
	raw, err := ssh.ParseRawPrivateKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// report is what is wrong with options, and what has no effect.
type report struct{ wrong, idle []string }

func (r *report) Add(field, format string, a ...any) {
	r.wrong = append(r.wrong, field+": "+fmt.Sprintf(format, a...))
}

func (r *report) Idle(field, format string, a ...any) {
	r.idle = append(r.idle, field+": "+fmt.Sprintf(format, a...))
}

func optionErrors(s SSH) string {
	var r report
	s.Check(&r)
	return strings.Join(slices.Concat(r.wrong, r.idle), "\n")
}

func TestKinds(t *testing.T) {
	var names []string
	for _, k := range Kinds(NewEnv(nil)) {
		names = append(names, k.Name)
	}
	if got := strings.Join(names, " "); got != "comm.key comm.hostkey comm.connect comm.clear" {
		t.Error(got)
	}
}

// The dialing ends with its context.
func TestConnectCancelled(t *testing.T) {
	t.Parallel()
	l := newLab(t, Machine{})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	ep := Endpoint{Host: "127.0.0.1", Port: nettest.Silent(t, "tcp", "127.0.0.1:0").(*net.TCPAddr).Port}
	s := Connect{To: dag.Lit(ep).Take(), SSH: SSH{Username: "me", Password: "x", Timeout: time.Hour}}
	if _, err := s.Do(ctx, l.env, l.task); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A machine that says nothing for longer than ssh_read_write_timeout is left.
func TestReadWriteTimeout(t *testing.T) {
	t.Parallel()
	m := sshd(t, "dash").machine()
	m.SSH.ReadWriteTimeout, m.SSH.KeepAliveInterval = 100*time.Millisecond, -1
	l := newLab(t, m)
	k, err := l.env.conn(t.Context(), l.task, m, patience{})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-k.done:
	case <-time.After(20 * time.Second):
		t.Error("the silent connection is still open")
	}
	if x := l.mustRun(t, l.job("sleep 1; exit 3")); x.Code != 3 {
		t.Error(x)
	}
}

// A machine that boots is tried often when it usually is up; what it refuses is not
// tried sooner for that.
func TestPauseBetweenAttempts(t *testing.T) {
	usually := usual.Span{Lo: 11 * time.Second, Hi: 12 * time.Second, Known: true}
	const grown = 5 * time.Second
	down, no := syscall.ECONNREFUSED, errors.New("ssh: unable to authenticate")
	for _, tt := range []struct {
		name    string
		p       patience
		elapsed time.Duration
		err     error
		least   time.Duration
		most    time.Duration
	}{
		{"early", patience{first: true}, 8 * time.Second, down, time.Second, 3 * time.Second},
		{"when it usually is up", patience{first: true}, 11 * time.Second, down, time.Millisecond, 300 * time.Millisecond},
		{"much later", patience{first: true}, 10 * time.Minute, down, grown, grown},
		{"refused", patience{first: true}, 11 * time.Second, no, grown, grown},
		{"a machine that was reached", patience{}, 11 * time.Second, down, grown, grown},
		{"at the end of its time", patience{total: 12 * time.Second}, 11 * time.Second, no, time.Second, time.Second + time.Millisecond},
	} {
		if got := tt.p.pause(grown, tt.elapsed, usually, tt.err); got < tt.least || got > tt.most {
			t.Errorf("%s: %s, want %s to %s", tt.name, got, tt.least, tt.most)
		}
	}
}

// How long a machine took is learned, but not by a step that was interrupted.
func TestConnectLearns(t *testing.T) {
	t.Parallel()
	s := sshd(t, "dash")
	m := s.machine()
	m.Place, m.Vars = "region/", map[string]string{"SourceAMIName": "ubuntu/images/x"}
	for _, resumed := range []bool{true, false} {
		l := newLab(t, m)
		l.env.Times, l.task.Resumed = usual.Open(filepath.Join(t.TempDir(), "times.json")), resumed
		if _, err := connect(t, l, Connect{SSH: m.SSH}, m.Endpoint); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"ssh region/ at this machine ubuntu", "ssh region/ at this machine"} {
			if got := l.env.Times.Of([]string{name}, usual.Span{}); got.Known == resumed {
				t.Errorf("resumed %v, %s: %+v", resumed, name, got)
			}
		}
	}
}

// That a machine cannot be reached which is there to test its image is the image's fault.
func TestConnectToTest(t *testing.T) {
	t.Parallel()
	l := newLab(t, Machine{})
	ep := Endpoint{Protocol: "pigeon", Host: "loft", Vars: map[string]string{"SourceAMI": "ami-1"}}
	for _, tested := range []bool{false, true} {
		_, err := connect(t, l, Connect{Tested: tested}, ep)
		if err == nil || strings.HasPrefix(err.Error(), "cannot test ami-1: a machine of it does not boot, or does not answer: cannot connect to loft") != tested {
			t.Errorf("tested %v: %v", tested, err)
		}
	}
}
