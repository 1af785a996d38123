package guest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// missing ends a test for want of a tool: CI must have all of them.
func missing(t testing.TB, format string, a ...any) {
	t.Helper()
	msg := "NOT TESTED: " + fmt.Sprintf(format, a...)
	if os.Getenv("CI") == "true" {
		t.Fatal(msg)
	}
	t.Skip(msg)
}

// shared is the store of all tests where a base layer takes long to make.
var shared string

func storeDir(t testing.TB) string {
	t.Helper()
	if detectIDs() == rootIDs {
		return t.TempDir()
	}
	if shared == "" {
		dir, err := os.MkdirTemp("", "guests")
		if err != nil {
			t.Fatal(err)
		}
		shared = dir
	}
	return shared
}

func newHost(t testing.TB, kind string) Host {
	t.Helper()
	return reopen(t, kind, storeDir(t))
}

func reopen(t testing.TB, kind, dir string) Host {
	t.Helper()
	if kind == "sandbox" {
		if err := Probe(dir); err != nil {
			missing(t, "%v", err)
		}
	}
	h, err := NewHost(kind, dir, openWindows)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.Close()
		if s, ok := inside(h).(*sandbox); ok { // what subordinate ids own
			gone := []string{dir + "/guests"}
			layers, _ := filepath.Glob(dir + "/layers/*")
			for _, l := range layers {
				if shared == "" || filepath.Base(l) != baseLayer {
					gone = append(gone, l)
				}
			}
			if err := s.ids.helper(nil, nil, "rm", gone...); err != nil {
				t.Error(err)
			}
		}
	})
	return h
}

var lastAddr atomic.Int32

// addr is a loopback address of the test's own.
func addr() string {
	n := int(lastAddr.Add(1))
	return fmt.Sprintf("127.%d.%d.%d", 64+os.Getpid()%128, os.Getpid()/128%256, n)
}

func spec(c *client) Spec {
	s := Spec{Hostname: "ip-10-0-0-7", User: "ubuntu", Addr: addr(), Release: Release{ID: "ubuntu", Version: "16.04", Name: "Ubuntu 16.04 LTS"}}
	if c != nil {
		s.AuthorizedKey = c.pub
	}
	return s
}

type guestT struct {
	t testing.TB
	Machine
	spec   Spec
	exited chan Exit
}

var lastID atomic.Int32

func create(t testing.TB, h Host, s Spec) *guestT {
	t.Helper()
	m, err := h.Create(fmt.Sprintf("i-%017x", lastID.Add(1)), s)
	if err != nil {
		t.Fatal(err)
	}
	return &guestT{t, m, s, make(chan Exit, 4)}
}

func launch(t testing.TB, h Host, s Spec) *guestT {
	t.Helper()
	g := create(t, h, s)
	g.boot()
	return g
}

func (g *guestT) boot() {
	g.t.Helper()
	if err := g.Boot(context.Background(), func(e Exit) { g.exited <- e }); err != nil {
		g.t.Fatalf("%v\n%s", err, g.Console())
	}
}

func (g *guestT) exit(want Exit) {
	g.t.Helper()
	select {
	case e := <-g.exited:
		if e != want {
			g.t.Errorf("the guest ended with %q, want %q", e, want)
		}
	case <-time.After(20 * time.Second):
		g.t.Fatalf("the guest did not end (%s)", want)
	}
}

func (g *guestT) freeze() []string {
	g.t.Helper()
	l, err := g.Freeze(context.Background())
	if err != nil {
		g.t.Fatal(err)
	}
	return l
}

func (g *guestT) stop() {
	g.t.Helper()
	if err := g.Stop(context.Background()); err != nil {
		g.t.Fatal(err)
	}
}

// run executes a line in a sandbox guest without SSH.
func (g *guestT) run(user, line string) (string, int) {
	g.t.Helper()
	r := g.Machine.(*sandboxMachine).current()
	if r == nil {
		g.t.Fatalf("the guest does not run\n%s", g.Console())
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		g.t.Fatal(err)
	}
	defer null.Close()
	pr, pw, err := os.Pipe()
	if err != nil {
		g.t.Fatal(err)
	}
	defer pr.Close()
	p, err := r.start(command{User: user, Line: line, Stdin: null, Stdout: pw, Stderr: pw})
	pw.Close()
	if err != nil {
		g.t.Fatalf("%s$ %s: %v", user, line, err)
	}
	b, _ := io.ReadAll(pr)
	<-p.done()
	code, sig := p.result()
	if sig != 0 {
		code = 128 + int(sig)
	}
	return strings.TrimRight(string(b), "\n"), code
}

// sh compares "code output".
func (g *guestT) sh(user, line, want string) {
	g.t.Helper()
	out, code := g.run(user, line)
	if got := fmt.Sprintf("%d %s", code, out); got != want {
		g.t.Errorf("%s$ %s\n got %q\nwant %q", user, line, got, want)
	}
}

func (g *guestT) consoleHas(want string) {
	g.t.Helper()
	if !bytes.Contains(g.Console(), []byte(want)) {
		g.t.Errorf("the console lacks %q:\n%s", want, g.Console())
	}
}

// eventually waits for what must come.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came: %s", what)
		}
	}
}

// client is an OpenSSH client with a key of its own.
type client struct {
	t   testing.TB
	dir string
	key string
	pub string
}

func newClient(t testing.TB) *client {
	t.Helper()
	for _, c := range []string{"ssh", "ssh-keygen", "scp", "sftp"} {
		if _, err := exec.LookPath(c); err != nil {
			missing(t, "%v", err)
		}
	}
	c := &client{t: t, dir: t.TempDir()}
	c.key = filepath.Join(c.dir, "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", c.key).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	b, err := os.ReadFile(c.key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	c.pub = strings.TrimSpace(string(b))
	return c
}

// opts verify the host key that the console shows.
func (c *client) opts(g *guestT) []string {
	known := filepath.Join(c.dir, "known")
	_, rest, _ := strings.Cut(string(g.Console()), "-----BEGIN SSH HOST KEY KEYS-----\n")
	key, _, _ := strings.Cut(rest, "\n")
	port := g.Ports()["ssh"]
	name := g.spec.Addr
	if port != 22 {
		name = fmt.Sprintf("[%s]:%d", name, port)
	}
	if err := os.WriteFile(known, []byte(name+" "+key+"\n"), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return []string{"-F", "none", "-i", c.key, "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + known,
		"-o", "LogLevel=ERROR", "-o", "Port=" + strconv.Itoa(port)}
}

func (c *client) cmd(g *guestT, name string, args ...string) *exec.Cmd {
	return exec.Command(name, append(c.opts(g), args...)...)
}

func (c *client) at(g *guestT) string { return g.spec.User + "@" + g.spec.Addr }

// want runs a client and compares "code output".
func (c *client) want(cmd *exec.Cmd, want string) {
	c.t.Helper()
	out, _ := cmd.CombinedOutput()
	got := fmt.Sprintf("%d %s", cmd.ProcessState.ExitCode(), strings.TrimSpace(strings.ReplaceAll(string(out), "\r\n", "\n")))
	if got != want {
		c.t.Errorf("%s\n got %q\nwant %q", strings.Join(cmd.Args, " "), got, want)
	}
}

func (c *client) ssh(g *guestT, line, want string) {
	c.t.Helper()
	c.want(c.cmd(g, "ssh", c.at(g), line), want)
}

func refused(g *guestT) bool {
	conn, err := net.Dial("tcp", net.JoinHostPort(g.spec.Addr, strconv.Itoa(g.Ports()["ssh"])))
	if err == nil {
		conn.Close()
	}
	return err != nil
}
