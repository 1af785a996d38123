package sshtest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"time"

	"golang.org/x/crypto/ssh"
)

// ErrMissing is the error where there is no OpenSSH server.
var ErrMissing = errors.New("an OpenSSH server is missing")

// Server is one that runs.
type Server struct {
	Port    int
	User    string // who may log in
	KeyFile string // with what
	in      io.Closer
	cmd     *exec.Cmd
}

// Start starts a server that has its files in a directory, which must be there.
func Start(dir string) (*Server, error) {
	bin := "/usr/sbin/sshd"
	if _, err := os.Stat(bin); err != nil {
		return nil, ErrMissing
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"host", "user"} {
		if err := newKey(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	if os.Getuid() == 0 {
		os.MkdirAll("/run/sshd", 0o755) // it asks for it
	}
	s := &Server{User: me.Username, KeyFile: filepath.Join(dir, "user")}
	for range 5 { // somebody else may take the port
		if err = s.start(bin, dir); err == nil {
			return s, nil
		}
	}
	log, _ := os.ReadFile(filepath.Join(dir, "log"))
	return nil, fmt.Errorf("cannot start sshd: %w: %s", err, log)
}

func newKey(path string) error {
	p, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(priv, "test")
	if err != nil {
		return err
	}
	pub, err := ssh.NewPublicKey(p)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(path, pem.EncodeToMemory(block), 0o600), os.WriteFile(path+".pub", ssh.MarshalAuthorizedKey(pub), 0o644))
}

func (s *Server) start(bin, dir string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	// Bash run by sshd reads .bashrc, whatever that may hold here, but not at a deeper level.
	conf := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/user.pub\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nSubsystem sftp internal-sftp\nSetEnv SHLVL=3\n", s.Port, dir, dir)
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o644); err != nil {
		return err
	}
	// The shell ends the server when this process does.
	s.cmd = exec.Command("sh", "-c", `"$1" -D -f "$2/conf" -E "$2/log" & p=$!; cat; kill $p; wait $p`, "sh", bin, dir)
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for range 1000 {
		c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", s.Port))
		if err == nil {
			return c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.Close()
	return errors.New("it does not answer")
}

// Close ends it.
func (s *Server) Close() {
	s.in.Close()
	s.cmd.Wait()
}
