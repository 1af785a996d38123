package provision

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/template"
)

// memSink keeps events in memory, and what tasks save.
type memSink struct {
	mu     sync.Mutex
	events []dag.Event
	off    map[string]int64
	saved  map[string]json.RawMessage
	on     func(dag.Event)
}

func (s *memSink) Emit(e dag.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	if e.Type == dag.Printed {
		if s.off == nil {
			s.off = map[string]int64{}
		}
		s.off[e.Token+" "+e.Stream] = e.Offset
	}
	if s.on != nil {
		s.on(e)
	}
	return nil
}

// keep lets a task of a process find what those before it have saved.
func (s *memSink) keep(t *dag.Task) *dag.Task {
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.Keep(maps.Clone(s.saved), func(name string, value json.RawMessage) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.saved == nil {
			s.saved = map[string]json.RawMessage{}
		}
		s.saved[name] = value
		return nil
	})
}

func (s *memSink) Sync() error { return nil }

func (s *memSink) Break(_ []byte, most int) int { return most }

func (s *memSink) Offset(token, stream string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.off[token+" "+stream]
}

// printed is all remote output of both streams, a line each.
func (s *memSink) printed() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, e := range s.events {
		if e.Type == dag.Printed {
			b.WriteString(e.Text + "\n")
		}
	}
	return b.String()
}

// said is all messages of a type, a line each.
func (s *memSink) said(typ dag.EventType) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, e := range s.events {
		if e.Type == typ {
			b.WriteString(e.Text + "\n")
		}
	}
	return b.String()
}

// prefix begins the tokens of this process.
var prefix = "imgflow-test-" + strings.ToLower(rand.Text()[:8])

func task(sink *memSink) *dag.Task {
	return taskOf(fmt.Sprintf("%s%s-1", prefix, strings.ToLower(rand.Text()[:12])), sink)
}

func taskOf(token string, sink *memSink) *dag.Task {
	secret := func(name string) (string, error) {
		if name == "key-1" {
			return "PRIVATE", nil
		}
		return "", errors.New("no secret " + name)
	}
	if sink == nil {
		return dag.NewTask("run1", "step", token, nil, secret)
	}
	return sink.keep(dag.NewTask("run1", "step", token, sink, secret))
}

// again is the task of a process that goes on with it.
func again(t *dag.Task, sink *memSink) *dag.Task {
	n := taskOf(t.Token, sink)
	n.Resumed = true
	return n
}

// sshd is a real OpenSSH server of the test's own.
type sshd struct {
	bare bool // with neither SFTP nor tar
	once sync.Once
	dir  string
	m    comm.Machine
	stop func()
	err  error
}

var usual, bare = &sshd{}, &sshd{bare: true}

func TestMain(m *testing.M) {
	if dir := os.Getenv("PROVISION_TEST_CALLER"); dir != "" {
		caller(dir)
		return
	}
	sweep("/var/tmp/.imgf-imgflow-test-*", filepath.Join(os.TempDir(), "provision-sshd*"))
	code := m.Run()
	for _, d := range left() {
		os.RemoveAll(d)
	}
	for _, s := range []*sshd{usual, bare} {
		if s.stop != nil {
			s.stop()
		}
		os.RemoveAll(s.dir)
	}
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

// left are the directories of this process's runs that are still there.
func left() (dirs []string) {
	for _, base := range []string{"/var/tmp", os.Getenv("HOME"), "/tmp"} {
		found, _ := filepath.Glob(filepath.Join(base, ".imgf-"+prefix+"*"))
		dirs = append(dirs, found...)
	}
	return dirs
}

// machine is this computer behind the usual server.
func machine(t testing.TB) (*comm.Env, comm.Machine) { return usual.machine(t) }

func (s *sshd) machine(t testing.TB) (*comm.Env, comm.Machine) {
	t.Helper()
	bin := "/usr/sbin/sshd"
	if _, err := os.Stat(bin); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("an OpenSSH server is missing")
		}
		t.Skip("NOT TESTED: an OpenSSH server is missing")
	}
	s.once.Do(func() { s.err = s.start(bin) })
	if s.err != nil {
		t.Fatal(s.err)
	}
	e := comm.NewEnv(nil)
	t.Cleanup(func() { e.Close() })
	m := s.m
	m.Vars = map[string]string{"ID": "i-0abc", "SourceAMI": "ami-1"}
	return e, m
}

func (s *sshd) start(bin string) (err error) {
	if s.dir, err = os.MkdirTemp("", "provision-sshd"); err != nil {
		return err
	}
	pub := map[string]string{}
	for _, name := range []string{"host", "user"} {
		p, priv, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		block, err := ssh.MarshalPrivateKey(priv, name)
		if err != nil {
			return err
		}
		sp, err := ssh.NewPublicKey(p)
		if err != nil {
			return err
		}
		pub[name] = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sp)))
		os.WriteFile(filepath.Join(s.dir, name), pem.EncodeToMemory(block), 0o600)
		os.WriteFile(filepath.Join(s.dir, name+".pub"), []byte(pub[name]+"\n"), 0o644)
	}
	if os.Getuid() == 0 {
		os.MkdirAll("/run/sshd", 0o755)
	}
	files := "Subsystem sftp internal-sftp"
	if s.bare {
		// Bash run by sshd reads .bashrc, whatever that may hold here, but not at a deeper level.
		files = "SetEnv PATH=" + s.dir + "/bin SHLVL=3"
		if err := s.withoutTar(); err != nil {
			return err
		}
	}
	me, err := user.Current()
	if err != nil {
		return err
	}
	for range 5 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		conf := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/user.pub\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\n%s\n", port, s.dir, s.dir, files)
		os.WriteFile(filepath.Join(s.dir, "conf"), []byte(conf), 0o644)
		// The shell ends the server when this process does.
		cmd := exec.Command("sh", "-c", `"$1" -D -f "$2/conf" -E "$2/log" & p=$!; cat; kill $p`, "sh", bin, s.dir)
		in, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		s.stop = func() { in.Close(); cmd.Wait() }
		for range 2000 {
			if c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port)); err == nil {
				c.Close()
				s.m = comm.Machine{
					Endpoint: comm.Endpoint{Protocol: "ssh", Host: "127.0.0.1", Port: port, HostKeys: []string{pub["host"]}},
					SSH:      comm.SSH{Username: me.Username, PrivateKeyFile: filepath.Join(s.dir, "user"), Timeout: 20 * time.Second},
				}
				return nil
			}
			time.Sleep(10 * time.Millisecond)
		}
		s.stop()
	}
	log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return fmt.Errorf("cannot start sshd: %s", log)
}

// withoutTar makes a directory of all usual programs but tar.
func (s *sshd) withoutTar() error {
	bin := filepath.Join(s.dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	for _, dir := range []string{"/usr/bin", "/bin"} {
		list, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, d := range list {
			if d.Name() != "tar" {
				os.Symlink(filepath.Join(dir, d.Name()), filepath.Join(bin, d.Name())) // the first of a name counts
			}
		}
	}
	return nil
}

// fakeRemote is a machine whose behaviour a test scripts.
type fakeRemote struct {
	comm.Remote
	run      func(ctx context.Context, j comm.Job) (comm.Exit, error)
	boots    []string // what the boot probe prints, one after the other
	ran      []comm.Job
	execs    []string
	canceled []string
	stopped  bool // it answers nothing but runs
}

func (r *fakeRemote) Run(ctx context.Context, j comm.Job) (comm.Exit, error) {
	r.ran = append(r.ran, j)
	return r.run(ctx, j)
}

func (r *fakeRemote) Cancel(_ context.Context, j comm.Job) error {
	r.canceled = append(r.canceled, j.Token)
	return nil
}

func (r *fakeRemote) Exec(_ context.Context, command string, _ io.Reader) ([]byte, comm.Exit, error) {
	r.execs = append(r.execs, command)
	if r.stopped {
		_, err := is(comm.Stopped)(nil, comm.Job{})
		return nil, comm.Exit{}, err
	}
	out := r.boots[0]
	if len(r.boots) > 1 {
		r.boots = r.boots[1:]
	}
	return []byte(out), comm.Exit{}, nil
}

func (r *fakeRemote) Upload(ctx context.Context, path string, _ io.Reader, _ int64, _ fs.FileMode) error {
	_, _, err := r.Exec(ctx, "upload "+path, nil)
	return err
}

func (r *fakeRemote) Stat(context.Context, string) (fs.FileInfo, error) { return nil, fs.ErrNotExist }

// is is a run on a machine that is down.
func is(state string) func(context.Context, comm.Job) (comm.Exit, error) {
	return func(context.Context, comm.Job) (comm.Exit, error) {
		return comm.Exit{}, fmt.Errorf("cannot follow the run: %w", &comm.DownError{Status: comm.Status{State: state, Why: "by itself"}})
	}
}

func exits(code int) func(context.Context, comm.Job) (comm.Exit, error) {
	return func(context.Context, comm.Job) (comm.Exit, error) { return comm.Exit{Code: code}, nil }
}

// parsed is the text of an option as a template has it.
func parsed(source string) dag.Text {
	text, err := template.ParseText(source)
	if err != nil {
		panic(err)
	}
	return text
}

func file(t testing.TB, path, text string) steps.File {
	t.Helper()
	os.MkdirAll(filepath.Dir(path), 0o755)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := steps.NewFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func fields(fs []steps.OptionError) string {
	var s []string
	for _, f := range fs {
		if f.Harmless {
			f.Field += " (idle)"
		}
		s = append(s, f.Field)
	}
	return strings.Join(s, ", ")
}

func wantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("the error does not say %q: %v", p, err)
		}
	}
}

// running reports whether a process has the text in its command line.
func running(t testing.TB, text string) bool {
	t.Helper()
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		t.Skip("NOT TESTED: no /proc to look for processes in")
	}
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range all {
		if b, err := os.ReadFile(p); err == nil && strings.Contains(string(b), text) {
			return true
		}
	}
	return false
}
