package temporaltest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/secrettest"
)

// Namespace is there from the beginning.
const Namespace = "default"

// Server is one that this process has started.
type Server struct {
	Address string // host:port
	program string
	dir     string
	cmd     *exec.Cmd
	in      io.Closer
}

// New starts a server for one test, which ends with it, and then may hold none of the test's secrets
// (package internal/secrettest). Where it was not built, the test is skipped, but not in CI.
func New(t testing.TB) *Server {
	t.Helper()
	s, err := Run(Program(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.end(t) })
	return s
}

// end ends the server of a test, once it was looked at for what it may not hold.
func (s *Server) end(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	secrets := secrettest.Of(t)
	workflows, err := s.Scan(ctx, secrets)
	if err == nil && workflows > 0 && len(secrets) == 0 {
		err = errors.New("there are workflows, and the test does not say what they may not hold: secrettest.Hide does")
	}
	s.Kill()
	if err := errors.Join(err, s.ScanFiles(secrets)); err != nil {
		t.Errorf("the Temporal server: %v", err)
	}
}

// Program is the server's. Where it was not built, the test is skipped, but not in CI.
func Program(t testing.TB) string {
	t.Helper()
	program, err := find(t.Context())
	if errors.Is(err, ErrMissing) {
		t.Skip("NOT TESTED: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// Run starts the server that a program is, with what it has stored in dir. The ports that it chooses when it is new
// there may be taken before it listens: then it chooses others.
func Run(program, dir string) (*Server, error) {
	s := &Server{program: program, dir: dir}
	had, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	for range 5 {
		if err = s.Start(); err == nil || len(had) > 0 || !strings.Contains(err.Error(), "address already in use") {
			return s, err
		}
		if err := os.RemoveAll(dir); err != nil {
			return s, err
		}
	}
	return s, err
}

// URL is where its namespace is.
func (s *Server) URL() string { return "temporal://" + s.Address + "/" + Namespace }

// Kill ends the server as kill -9 does.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	s.in.Close() // first, so that what the program has started ends, too, and lets go of its output
	_ = s.cmd.Wait()
}

// Start starts a server again that was killed, and waits until it answers. On a busy machine it may give up because
// a part of it did not come up in the time that it has: then it is started once more.
func (s *Server) Start() (err error) {
	for range 3 {
		if err = s.begin(); err == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
			return err
		}
	}
	return err
}

func (s *Server) begin() error {
	cmd := exec.Command(s.program, s.dir)
	cmd.Env = []string{"HOME=" + s.dir} // nothing of it is ours to say
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.in = cmd, in
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	context.AfterFunc(ctx, func() {
		if ctx.Err() == context.DeadlineExceeded {
			_ = cmd.Process.Kill()
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.Kill()
		log, _ := os.ReadFile(filepath.Join(s.dir, "server.log"))
		return fmt.Errorf("cannot start the Temporal server: %s%s", said.String(), log)
	}
	s.Address = strings.TrimSpace(line)
	return nil
}
