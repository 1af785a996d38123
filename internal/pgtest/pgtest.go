package pgtest

import (
	"bufio"
	"cmp"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// ErrMissing is the error where PostgreSQL is not installed.
var ErrMissing = errors.New("PostgreSQL is missing: install Debian's package postgresql")

const (
	host = "127.0.0.1"
	user = "postgres" // its superuser, and as root the system's user, too
)

// Server is one that this process has started. Its methods wait until they are done.
type Server struct {
	bin      string // where its programs are
	port     int
	password string

	mu      sync.Mutex // one word to the script at a time
	in      io.WriteCloser
	out     *bufio.Reader
	cmd     *exec.Cmd
	created atomic.Int64 // how many databases
}

//go:embed serve.sh
var script string

// Run starts a server with settings such as "max_connections=500". It does not wait for the
// disk (fsync=off) unless they say so: a process that is killed loses nothing by it.
func Run(settings ...string) (*Server, error) { return run("", "", settings) }

// run is Run with a certificate and its key, in PEM, which are used where the settings say ssl=on. The port that is
// chosen may be taken before the server listens: then it is another one.
func run(cert, key string, settings []string) (s *Server, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	for range 5 {
		if s, err = runAt(bin, cert, key, settings); err == nil || !strings.Contains(err.Error(), "Address already in use") {
			break
		}
	}
	return s, err
}

func runAt(bin, cert, key string, settings []string) (*Server, error) {
	s := &Server{bin: bin, password: rand.Text()}
	var err error
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	var options strings.Builder
	for _, setting := range append([]string{"fsync=off", "max_connections=200", "unix_socket_directories=''", "listen_addresses=" + host, "port=" + strconv.Itoa(s.port)}, settings...) {
		fmt.Fprintf(&options, " -c %s", setting)
	}
	args := []string{"sh", "-c", script, "pgtest", bin, options.String()}
	if os.Getuid() == 0 {
		args = append([]string{"runuser", "-u", user, "--"}, args...)
	}
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Dir = "/" // which every user may enter
	// Only what it needs: PG* of the environment must not lead elsewhere.
	s.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "LC_ALL=C", "PASSWORD=" + s.password, "CERT=" + cert, "KEY=" + key}
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.Start(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// URL is where a database is, with the password.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://%s:%s@%s:%d/%s?sslmode=disable", user, s.password, host, s.port, database)
}

// Create makes an empty database and returns its URL.
func (s *Server) Create() (string, error) {
	name := databaseName(s.created.Add(1))
	cmd := exec.Command(filepath.Join(s.bin, "createdb"), "--maintenance-db", s.URL("postgres"), name)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot create a database: %w: %s", err, out)
	}
	return s.URL(name), nil
}

// databaseName is that of the nth database that was made.
func databaseName(n int64) string { return fmt.Sprint("test", n) }

// Start starts a server again that was stopped or killed.
func (s *Server) Start() error { return s.do("start") }

// Stop ends the server as its service does: connections are closed, what was not committed
// is rolled back.
func (s *Server) Stop() error { return s.do("stop") }

// Kill ends the server's processes on the spot. When it starts again, it recovers.
func (s *Server) Kill() error { return s.do("kill") }

// Close ends the server and removes all that it has stored.
func (s *Server) Close() {
	s.in.Close()
	_ = s.cmd.Wait()
}

// do has the script do a word.
func (s *Server) do(word string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := fmt.Fprintln(s.in, word); err != nil {
		return fmt.Errorf("cannot %s PostgreSQL: %w", word, err)
	}
	var said strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		switch {
		case err != nil:
			return fmt.Errorf("cannot %s PostgreSQL: %w: %s", word, err, said.String())
		case line == "done\n":
			return nil
		case line == "failed\n":
			return fmt.Errorf("cannot %s PostgreSQL: %s", word, said.String())
		}
		said.WriteString(line)
	}
}

// programs is the directory of the newest PostgreSQL here.
func programs() (string, error) {
	newest, dir := 0, ""
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	for _, path := range found {
		bin := filepath.Dir(path)
		if version, err := strconv.Atoi(filepath.Base(filepath.Dir(bin))); err == nil && version > newest {
			newest, dir = version, bin
		}
	}
	if path, err := exec.LookPath("initdb"); dir == "" && err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dir = filepath.Dir(path)
		}
	}
	if dir == "" {
		return "", ErrMissing
	}
	return dir, nil
}

// freePort is one below those that the system hands out by itself, so that nobody takes it
// while the server is down.
func freePort() (int, error) {
	var failed error
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, 15000+mathrand.IntN(16000)))
		if err == nil {
			defer l.Close()
			return l.Addr().(*net.TCPAddr).Port, nil
		}
		failed = cmp.Or(failed, err)
	}
	return 0, failed
}

// shared is the server that tests of one process have databases in.
var shared = sync.OnceValues(func() (*Server, error) { return Run() })

// Database returns the URL of an empty database, in a server that the tests of this process
// share. When the test ends, it may hold none of its secrets (package internal/secrettest). Where PostgreSQL is missing, the test is skipped, but not in CI.
func Database(t testing.TB) string {
	t.Helper()
	s, err := shared()
	need(t, err)
	url, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.clean(t, url) })
	return url
}

// New starts a server for one test, which ends with it, and then may hold none of its secrets
// (package internal/secrettest). Where PostgreSQL is missing, the test is skipped, but not in CI.
func New(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := Run(settings...)
	need(t, err)
	t.Cleanup(func() {
		for n := range s.created.Load() {
			s.clean(t, s.URL(databaseName(n+1)))
		}
		s.Close()
	})
	return s
}

func need(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip("NOT TESTED: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}
