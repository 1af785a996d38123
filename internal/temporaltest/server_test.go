package temporaltest

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func answers(address string) bool {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}

func TestItIsKilledAndStartsAgainAtItsAddress(t *testing.T) {
	s := New(t)
	address := s.Address
	if host, _, err := net.SplitHostPort(address); err != nil || host != "127.0.0.1" || !answers(address) {
		t.Fatalf("it is at %s: %v", address, err)
	}
	s.Kill()
	if answers(address) {
		t.Error("it answers after its end")
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if s.Address != address || !answers(address) {
		t.Errorf("it was at %s, and is at %s", address, s.Address)
	}
}

// TestItMayBeTooSlow: a server that gives up for want of time is started again, and a new one whose ports were taken
// chooses others; one that cannot be started is not.
func TestItMayBeTooSlow(t *testing.T) {
	for reason, want := range map[string]string{"context deadline exceeded": "xp", "bind: address already in use": "xx", "no such flag": "x"} {
		there, dir := t.TempDir(), t.TempDir()
		program := filepath.Join(there, "server")
		script := `#!/bin/sh
starts="$(dirname "$0")/starts"
mkdir -p "$1"
if [ -e "$1/ports" ]; then printf p >> "$starts"; else printf x >> "$starts"; fi
touch "$1/ports"
if [ "$(cat "$starts")" = x ]; then echo "failed to start a part: ` + reason + `" >&2; exit 1; fi
echo 127.0.0.1:7; cat
`
		if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		s, err := Run(program, dir)
		if err == nil {
			s.Kill()
		}
		starts, _ := os.ReadFile(filepath.Join(there, "starts"))
		if string(starts) != want || (err == nil) != (len(want) == 2) {
			t.Errorf("%s: started %q, %v", reason, starts, err)
		}
	}
}

// TestItEndsWithItsStarter: a process that is killed leaves no server.
func TestItEndsWithItsStarter(t *testing.T) {
	if dir := os.Getenv("TEMPORALTEST_CHILD"); dir != "" {
		program, err := find(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s, err := Run(program, dir)
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("address=" + s.Address + "\n")
		select {}
	}
	Program(t)
	child := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	child.Env = append(os.Environ(), "TEMPORALTEST_CHILD="+t.TempDir())
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "address=")
	if !ok || !answers(address) {
		t.Fatalf("the child says %q", line)
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	for deadline := time.Now().Add(30 * time.Second); answers(address); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s still answers", address)
		}
	}
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	if _, err := Run(Program(t), "/dev/null/nowhere"); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("it says %v", err)
	}
}
