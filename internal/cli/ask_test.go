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

	"github.com/imgflow/imgflow/internal/nettest"
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
	return nettest.Serve(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		if _, chans, reqs, err := ssh.NewServerConn(c, conf); err == nil {
			go ssh.DiscardRequests(reqs)
			for nc := range chans {
				go lead(nc)
			}
		}
	}).(*net.TCPAddr).Port
}

// A bastion's question is answered at a real terminal, which does not show the answer, by a build and by a shell; with nobody
// there nothing begins, unless there is no bastion.
func TestInteractiveBastionAtATerminal(t *testing.T) {
	d := newDesk(t)
	template := func(file, host, script string) {
		src := fmt.Sprintf(`{"builders": [{"type": "amazon-ebs", "region": "us-east-1", "instance_type": "t3.micro", "ssh_username": "ubuntu", "ami_name": "far", "skip_create_ami": true,
    "source_ami_filter": {"filters": {"name": "ubuntu/images/*ubuntu-xenial-16.04-amd64-server-*"}, "owners": ["099720109477"], "most_recent": true}, "ssh_bastion_interactive": true%s}],
  "provisioners": [{"type": "shell", "inline": [%q]}]}`, host, script)
		if err := os.WriteFile(filepath.Join(d.dir, file), []byte(src), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	template("far.json", fmt.Sprintf(`, "ssh_bastion_host": "127.0.0.1", "ssh_bastion_port": %d, "ssh_bastion_username": "jump"`, bastion(t, "314159")), "exit 3")
	template("near.json", "", "true")
	if out, code := d.do("run", "--local", "near.json"); code != exitOK {
		t.Errorf("without a bastion: %d\n%s", code, out)
	}
	if out, code := d.do("run", "--local", "far.json"); code != exitUsage || !strings.Contains(out, "somebody has to answer it at the terminal") {
		t.Errorf("with nobody at a terminal: %d\n%s", code, out)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"run", "--local", "-on-error=suspend", "far.json"}, exitFailed, "script exited with status 3"},
		{[]string{"shell", "--", "echo", "through", "to", "it"}, exitOK, "through to it"},
	} {
		cmd := d.command(c.args...)
		cmd.Env = append(cmd.Env, "TERM=xterm")
		tty, err := pty.Start(cmd)
		if err != nil {
			t.Skipf("NOT TESTED: questions at a terminal: there are no terminals here: %v", err)
		}
		timer := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() }) // rather than to hang
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
		cmd.Wait()
		timer.Stop()
		tty.Close()
		if cmd.ProcessState.ExitCode() != c.code || !strings.Contains(seen.String(), c.want) || strings.Contains(seen.String(), "314159") {
			t.Errorf("%v: %v\n%s", c.args, cmd.ProcessState, seen.String())
		}
	}
}
