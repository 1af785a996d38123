package comm

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// TestMain lets the test binary be the caller that the tests kill.
func TestMain(m *testing.M) {
	if os.Getenv("COMM_TEST_CALLER") != "" {
		os.Exit(caller())
	}
	sweep("/var/tmp/.imgf-t-*", filepath.Join(os.TempDir(), "comm-sshd*"))
	flag.Parse()
	flag.Set("test.parallel", "8") // they wait more than they work
	code := m.Run()
	for _, d := range left(prefix) {
		os.RemoveAll(d)
	}
	servers.Range(func(_, v any) bool { v.(*server).stop(); return true })
	os.Exit(code)
}

// sweep removes what interrupted tests have left an hour ago or earlier; others
// may be at work.
func sweep(patterns ...string) {
	for _, p := range patterns {
		found, _ := filepath.Glob(p)
		for _, f := range found {
			if fi, err := os.Lstat(f); err == nil && time.Since(fi.ModTime()) > time.Hour {
				os.RemoveAll(f)
			}
		}
	}
}

// server is a real OpenSSH server of the test's own, on loopback.
type server struct {
	dir  string
	port int
	key  string // private key file to log in with
	host string // its host key, public
	cmd  *exec.Cmd
	in   io.Closer
	err  error
	once sync.Once
}

var servers sync.Map // by name of the shell that is its sh

// missing skips loudly, but on CI, where all tools must be there.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing", what)
	}
	t.Skipf("NOT TESTED: %s is missing", what)
}

// sshd returns a server whose sh is the named shell; the name may be followed
// by settings of sshd_config. One that is called "tarless dash" has none but the
// smallest of the usual commands.
func sshd(t testing.TB, shell string, settings ...string) *server {
	t.Helper()
	bin, err := exec.LookPath("sshd")
	if err != nil {
		bin = "/usr/sbin/sshd"
		if _, err := os.Stat(bin); err != nil {
			missing(t, "an OpenSSH server")
		}
	}
	tool := strings.TrimPrefix(shell, "tarless ")
	if _, err := exec.LookPath(tool); err != nil {
		missing(t, tool)
	}
	v, _ := servers.LoadOrStore(shell+strings.Join(settings, "\n"), &server{})
	s := v.(*server)
	s.once.Do(func() { s.err = s.start(bin, shell, settings) })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s
}

func (s *server) start(bin, shell string, settings []string) (err error) {
	if s.dir, err = os.MkdirTemp("", "comm-sshd"); err != nil {
		return err
	}
	tools := filepath.Join(s.dir, "bin")
	os.Mkdir(tools, 0o755)
	p := tools + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	shell, tarless := strings.CutPrefix(shell, "tarless ")
	give := func(name, as string) {
		at, _ := exec.LookPath(name)
		os.Symlink(at, filepath.Join(tools, as))
	}
	switch {
	case shell == "busybox": // nothing but busybox
		if out, err := exec.Command("busybox", "--install", "-s", tools).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		if p = tools; tarless {
			os.Remove(filepath.Join(tools, "tar"))
		}
	case tarless:
		for _, name := range []string{"dd", "mkdir", "rm", "chmod", "ln", "touch", "stat", "head", "readlink"} {
			give(name, name)
		}
		p = tools
		fallthrough
	default:
		give(shell, "sh")
	}
	for _, name := range []string{"host", "user"} {
		b, err := newPrivateKey("ed25519", 0, name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.dir, name), b, 0o600); err != nil {
			return err
		}
		sig, err := fileSigner(filepath.Join(s.dir, name), "", "ssh_")
		if err != nil {
			return err
		}
		line := authorizedLine(sig[0].PublicKey(), "")
		os.WriteFile(filepath.Join(s.dir, name+".pub"), []byte(line+"\n"), 0o644)
		if name == "host" {
			s.host = line
		}
	}
	s.key = filepath.Join(s.dir, "user")
	if os.Getuid() == 0 {
		os.MkdirAll("/run/sshd", 0o755)
	}
	for range 5 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.port = l.Addr().(*net.TCPAddr).Port
		l.Close()
		conf := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/user.pub\nStrictModes no\nUsePAM no\n"+
			"PidFile none\nPermitRootLogin yes\nMaxStartups 500\nPrintMotd no\n"+
			// Bash run by sshd reads .bashrc, whatever that may hold here, but not at a deeper level.
			"SetEnv PATH=%s SHLVL=3\n", s.port, s.dir, s.dir, p)
		if !strings.Contains(strings.Join(settings, "\n"), "Subsystem") {
			conf += "Subsystem sftp internal-sftp\n"
		}
		conf += strings.Join(settings, "\n") + "\n"
		os.WriteFile(filepath.Join(s.dir, "conf"), []byte(conf), 0o644)
		if s.boot(bin) == nil {
			return nil
		}
	}
	log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return fmt.Errorf("cannot start sshd: %s", log)
}

// boot runs sshd below a shell that ends it when the test process ends.
func (s *server) boot(bin string) error {
	s.cmd = exec.Command("sh", "-c", `"$1" -D -f "$2/conf" -E "$2/log" & p=$!; cat; kill $p`, "sh", bin, s.dir)
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return err
	}
	s.in = in
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for range 2000 {
		if c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))); err == nil {
			c.Close()
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.in.Close()
	s.cmd.Wait()
	return errors.New("no answer")
}

func (s *server) stop() {
	if s.in != nil {
		s.in.Close()
		s.cmd.Wait()
	}
	os.RemoveAll(s.dir)
}

func user() string {
	if u := os.Getenv("USER"); u != "" && os.Getuid() != 0 {
		return u
	}
	return "root"
}

func (s *server) machine() Machine {
	return Machine{
		Endpoint: Endpoint{Protocol: "ssh", Host: "127.0.0.1", Port: s.port, HostKeys: []string{s.host}},
		SSH:      SSH{Username: user(), PrivateKeyFile: s.key, Timeout: 2 * time.Minute},
	}
}

// memVault is a Vault in memory.
type memVault struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (v *memVault) Get(name string) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	b, ok := v.m[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return b, nil
}

func (v *memVault) Put(name string, b []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.m == nil {
		v.m = map[string][]byte{}
	}
	v.m[name] = bytes.Clone(b)
	return nil
}

// fileSink keeps printed lines in a file, one write for each, and finds the
// offsets there again, as a run's event file does. What tasks save it keeps there,
// too, as lines of streams that are called "saved/" and the name.
type fileSink struct {
	mu     sync.Mutex
	f      *os.File
	off    map[string]int64
	saved  map[string]map[string]json.RawMessage // by token and name
	events []dag.Event
	on     func(dag.Event)
	fail   func(dag.Event) error
	synced func()
}

func openSink(path string) (*fileSink, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	s, good := &fileSink{f: f, off: map[string]int64{}, saved: map[string]map[string]json.RawMessage{}}, int64(0)
	for r := bufio.NewReaderSize(f, 1<<20); ; {
		l, err := r.ReadBytes('\n')
		if err != nil {
			break
		}
		good += int64(len(l))
		var e dag.Event
		if err := json.Unmarshal(l, &e); err != nil {
			return nil, err
		}
		s.learn(e)
	}
	if err := f.Truncate(good); err != nil {
		return nil, err
	}
	_, err = f.Seek(good, io.SeekStart)
	return s, err
}

func (s *fileSink) Emit(e dag.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(e); err != nil {
			return err
		}
	}
	if s.on != nil {
		s.on(e)
	}
	if e.Type != dag.Printed {
		s.events = append(s.events, e)
		return nil
	}
	b, err := json.Marshal(dag.Event{Token: e.Token, Stream: e.Stream, Offset: e.Offset, Text: e.Text})
	if err != nil {
		return err
	}
	if _, err := s.f.Write(append(b, '\n')); err != nil {
		return err
	}
	s.learn(e)
	return nil
}

func (s *fileSink) learn(e dag.Event) {
	name, ok := strings.CutPrefix(e.Stream, "saved/")
	switch {
	case !ok:
		s.off[e.Token+" "+e.Stream] = e.Offset
	case s.saved[e.Token] == nil:
		s.saved[e.Token] = map[string]json.RawMessage{}
		fallthrough
	default:
		s.saved[e.Token][name] = json.RawMessage(e.Text)
	}
}

// keep lets a task find what those before it have saved.
func (s *fileSink) keep(t *dag.Task) *dag.Task {
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.Keep(maps.Clone(s.saved[t.Token]), func(name string, value json.RawMessage) error {
		return s.Emit(dag.Event{Type: dag.Printed, Token: t.Token, Stream: "saved/" + name, Text: string(value)})
	})
}

func (s *fileSink) Sync() error {
	if s.synced != nil {
		s.synced()
	}
	return nil
}

func (s *fileSink) Break(_ []byte, most int) int { return most }

func (s *fileSink) Offset(token, stream string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.off[token+" "+stream]
}

// texts are the messages of a type.
func (s *fileSink) texts(typ dag.EventType) (texts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Type == typ {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

// printed are the stream's lines, and checks that their offsets add up.
func printed(t testing.TB, path, stream string) (lines []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := int64(0)
	for l := range bytes.Lines(b) {
		var e dag.Event
		if err := json.Unmarshal(l, &e); err != nil {
			t.Fatal(err)
		}
		if e.Stream != stream {
			continue
		}
		if e.Offset <= last {
			t.Fatalf("%s goes back from %d to %d", stream, last, e.Offset)
		}
		last = e.Offset
		lines = append(lines, e.Text)
	}
	return lines
}

// lab is a task on a server.
type lab struct {
	remote Remote
	env    *Env
	task   *dag.Task
	sink   *fileSink
	log    string
}

// prefix begins the tokens of this process.
var prefix = "t-" + strings.ToLower(rand.Text()[:8])

func newToken() string { return prefix + strings.ToLower(rand.Text()) }

// asking lets the lab ask an SSH agent; "" is none.
func (l *lab) asking(agent string) *lab {
	l.env.Environ = []string{"SSH_AUTH_SOCK=" + agent}
	return l
}

func newLab(t testing.TB, m Machine) *lab {
	t.Helper()
	l := &lab{log: filepath.Join(t.TempDir(), "log"), env: NewEnv(&memVault{})}
	t.Cleanup(func() { l.env.Close() })
	var err error
	if l.sink, err = openSink(l.log); err != nil {
		t.Fatal(err)
	}
	l.task = l.sink.keep(dag.NewTask("run", "step", newToken(), l.sink, func(name string) (string, error) { return "secret of " + name, nil }))
	if l.remote, err = l.env.Remote(l.task, m); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) lines(t testing.TB, stream string) string {
	t.Helper()
	ls := printed(t, l.log, stream)
	if len(ls) == 0 {
		return ""
	}
	return strings.Join(ls, "\n") + "\n"
}

func (l *lab) job(script string) Job {
	return Job{Token: l.task.Token, Command: "chmod +x {{.Path}}; {{.Path}}", Script: []byte("#!/bin/sh\n" + script)}
}

func (l *lab) mustRun(t testing.TB, j Job) Exit {
	t.Helper()
	x, err := l.remote.Run(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// left are the run directories of a token that are still there.
func left(token string) []string {
	var ds []string
	for _, base := range []string{"/var/tmp", os.Getenv("HOME"), "/tmp"} {
		m, _ := filepath.Glob(base + "/.imgf-" + token + "*")
		ds = append(ds, m...)
	}
	return ds
}

var shells = []string{"dash", "bash", "busybox"}

func eachShell(t *testing.T, f func(t *testing.T, s *server)) {
	for _, name := range shells {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, sshd(t, name))
		})
	}
}

// caller runs one job, as told by the environment, until it ends or the
// process is killed.
func caller() int {
	var c callerConf
	if err := json.Unmarshal([]byte(os.Getenv("COMM_TEST_CALLER")), &c); err != nil {
		fmt.Println(err)
		return 3
	}
	sink, err := openSink(c.Log)
	if err != nil {
		fmt.Println(err)
		return 3
	}
	e := NewEnv(nil)
	r, err := e.Remote(dagTask(c.Job.Token, sink), c.Machine)
	if err != nil {
		fmt.Println(err)
		return 3
	}
	x, err := r.Run(context.Background(), c.Job)
	if err != nil {
		fmt.Println(err)
		return 2
	}
	fmt.Print(x)
	return 0
}

type callerConf struct {
	Log     string
	Machine Machine
	Job     Job
}
