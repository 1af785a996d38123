//go:build unix

package cli

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"

	"github.com/imgflow/imgflow/internal/sshtest"
)

// TestAsk answers the questions of -on-error=ask at a real terminal: a shell to
// mend the machine, then the step again.
func TestAsk(t *testing.T) {
	d := newDesk(t)
	src := strings.Replace(slowTemplate, `"echo run >> /tmp/runs"`, `"test -e /tmp/mended"`, 1)
	src = strings.Replace(src, "seq 1 30", "seq 1 2", 1)
	src = strings.Replace(src, `, "test $(wc -l < /tmp/runs) = 1"`, "", 1)
	src = strings.Replace(src, `"provisioners": [`, `"provisioners": [{"type": "breakpoint", "note": "have a look"}, {"type": "breakpoint", "disable": true},`, 1)
	if err := os.WriteFile(filepath.Join(d.dir, "ask.json"), []byte(src), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := d.command("run", "--local", "-on-error=ask", "ask.json")
	cmd.Env = append(cmd.Env, "TERM=xterm")
	tty, err := pty.Start(cmd)
	if err != nil {
		t.Skipf("NOT TESTED: questions at a terminal: there are no terminals here: %v", err)
	}
	defer tty.Close()
	defer time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() }).Stop() // rather than to hang
	var seen strings.Builder
	until := func(text string) {
		t.Helper()
		from := seen.Len()
		for b := make([]byte, 4096); ; {
			n, err := tty.Read(b)
			seen.Write(b[:n])
			if strings.Contains(seen.String()[from:], text) {
				return
			}
			if err != nil {
				t.Fatalf("%q does not come: %v\n%s", text, err, seen.String())
			}
		}
	}
	until("wait at a breakpoint: have a look. Enter goes on.")
	tty.WriteString("\n")
	const question = "[o]pen a shell"
	until(question)
	tty.WriteString("what?\n")
	until(question)
	tty.WriteString("o\n")
	until("$")
	tty.WriteString("touch /tmp/mended; exit\n")
	until(question)
	tty.WriteString("r\n")
	until("us-east-1: ami-")
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, seen.String())
	}
	if !strings.Contains(seen.String(), "\x1b[") {
		t.Error("no colours on a terminal")
	}
}

// bastion is a jump host that asks for a code. It returns its port.
func bastion(t *testing.T, code string) int {
	t.Helper()
	_, priv, _ := ed25519.GenerateKey(rand.Reader)
	host, err := ssh.NewSignerFromKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	conf := &ssh.ServerConfig{KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		as, err := ask("", "", []string{"Code of today: "}, []bool{false})
		if err != nil || as[0] != code {
			return nil, errors.New("wrong")
		}
		return nil, nil
	}}
	conf.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	lead := func(nc ssh.NewChannel) {
		var to struct {
			Host string
			Port uint32
			From string
			At   uint32
		}
		ssh.Unmarshal(nc.ExtraData(), &to)
		c, err := net.Dial("tcp", net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port))))
		if err != nil {
			nc.Reject(ssh.ConnectionFailed, err.Error())
			return
		}
		defer c.Close()
		ch, reqs, err := nc.Accept()
		if err != nil {
			return
		}
		go ssh.DiscardRequests(reqs)
		go io.Copy(c, ch)
		io.Copy(ch, c)
		ch.Close()
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, chans, reqs, err := ssh.NewServerConn(c, conf); err == nil {
					go ssh.DiscardRequests(reqs)
					for nc := range chans {
						go lead(nc)
					}
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// A bastion's question is answered at a real terminal, which does not show the answer; with nobody there nothing begins.
func TestInteractiveBastionAtATerminal(t *testing.T) {
	d := newDesk(t)
	srv, err := sshtest.Start(t.TempDir())
	if errors.Is(err, sshtest.ErrMissing) {
		t.Skipf("NOT TESTED: a bastion that asks: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	src := fmt.Sprintf(`{"builders": [{"type": "null", "ssh_host": "127.0.0.1", "ssh_port": %d, "ssh_username": %q, "ssh_private_key_file": %q,
  "ssh_bastion_host": "127.0.0.1", "ssh_bastion_port": %d, "ssh_bastion_username": "jump", "ssh_bastion_interactive": true}],
  "provisioners": [{"type": "shell", "inline": ["echo through to it"]}]}`, srv.Port, srv.User, srv.KeyFile, bastion(t, "314159"))
	if err := os.WriteFile(filepath.Join(d.dir, "far.json"), []byte(src), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, code := d.do("run", "far.json"); code != exitUsage || !strings.Contains(out, "somebody has to answer it at the terminal") {
		t.Errorf("with nobody at a terminal: %d\n%s", code, out)
	}
	cmd := d.command("run", "far.json")
	cmd.Env = append(cmd.Env, "TERM=xterm")
	tty, err := pty.Start(cmd)
	if err != nil {
		t.Skipf("NOT TESTED: questions at a terminal: there are no terminals here: %v", err)
	}
	defer tty.Close()
	defer time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() }).Stop() // rather than to hang
	var seen strings.Builder
	for typed := false; ; {
		b := make([]byte, 4096)
		n, err := tty.Read(b)
		seen.Write(b[:n])
		if !typed && strings.Contains(seen.String(), "127.0.0.1 asks: Code of today:") {
			typed = true
			time.AfterFunc(100*time.Millisecond, func() { tty.WriteString("314159\n") }) // as soon as a person could
		}
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(seen.String(), "Finished after") || strings.Contains(seen.String(), "314159") {
		t.Errorf("%v\n%s", err, seen.String())
	}
}
