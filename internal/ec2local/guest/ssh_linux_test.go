package guest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestSSH(t *testing.T) {
	c, h := newClient(t), newHost(t, "sandbox")
	g := launch(t, h, spec(c))
	who := "ubuntu"
	if one(h) {
		who = "root"
	}
	c.ssh(g, "whoami; pwd; exit 3", "3 "+who+"\n/home/ubuntu")
	c.ssh(g, "echo err >&2", "0 err")
	c.ssh(g, "kill -9 $$", "255 ")
	c.want(c.cmd(g, "ssh", "-tt", c.at(g), "tty; echo $SSH_TTY; stty size; echo $TERM | wc -l; exit 4"), "4 /dev/pts/0\n/dev/pts/0\n0 0\n1")
	c.want(c.cmd(g, "ssh", "-tt", c.at(g), "sudo -n id -u; test -t 0; echo $?"), "0 0\n0")
	login := c.cmd(g, "ssh", "-tt", c.at(g))
	login.Stdin = strings.NewReader("PS1=; stty -echo\necho $0 $((6*7)); exit 5\n")
	out, _ := login.CombinedOutput()
	if login.ProcessState.ExitCode() != 5 || !strings.Contains(string(out), "-bash 42") {
		t.Errorf("login shell: %d %q", login.ProcessState.ExitCode(), out)
	}
	in := c.cmd(g, "ssh", c.at(g), "wc -c")
	in.Stdin = bytes.NewReader(make([]byte, 5<<20))
	c.want(in, "0 5242880")
	c.want(c.cmd(g, "ssh", "-o", "SetEnv=COLOUR=blue", c.at(g), "echo $COLOUR ${SSH_CONNECTION%% *}"), "0 blue 127.0.0.1")
	c.ssh(g, "sudo sh -c 'echo LAST=word >>/etc/environment'", "0 ")
	c.ssh(g, "echo $LAST", "0 word")
	c.ssh(g, "nohup sleep 30 >/dev/null 2>&1 </dev/null & echo bg", "0 bg")
	c.want(c.cmd(g, "ssh", "-A", "-R", "0:127.0.0.1:1", c.at(g), "echo ${SSH_AUTH_SOCK:-none}"), "0 none")

	// The first line comes before the command ends.
	slow := c.cmd(g, "ssh", c.at(g), "echo one; cat; echo two")
	hold, _ := slow.StdinPipe()
	p, _ := slow.StdoutPipe()
	if err := slow.Start(); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Read(make([]byte, 10)); n != 4 {
		t.Errorf("the first line: %d %v", n, err)
	}
	hold.Close()
	slow.Wait()

	// Forwarding reaches loopback.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, "through")
			conn.Close()
		}
	}()
	c.want(c.cmd(g, "ssh", "-W", l.Addr().String(), c.at(g)), "0 through")
	if out, err := c.cmd(g, "ssh", "-W", "10.1.2.3:80", c.at(g)).CombinedOutput(); err == nil {
		t.Errorf("forwarded off loopback: %s", out)
	}
	back, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(back.Addr().(*net.TCPAddr).Port)
	taken := c.cmd(g, "ssh", "-o", "ExitOnForwardFailure=yes", "-R", port+":127.0.0.1:1", c.at(g), "true")
	if out, err := taken.CombinedOutput(); err == nil || !strings.Contains(string(out), "remote port forwarding failed") {
		t.Errorf("a port that is taken: %s, %v", out, err)
	}
	back.Close()
	c.want(c.cmd(g, "ssh", "-o", "ExitOnForwardFailure=yes", "-R", port+":"+l.Addr().String(), c.at(g), "exec bash -c 'cat </dev/tcp/127.0.0.1/"+port+"'"), "0 through")
	g.sh("root", "ps -e -o stat= | grep -c Z", "1 0")
}

func TestFiles(t *testing.T) {
	c, h := newClient(t), newHost(t, "sandbox")
	g := launch(t, h, spec(c))
	src := filepath.Join(c.dir, "src")
	os.MkdirAll(filepath.Join(src, "sub"), 0o755)
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	os.WriteFile(filepath.Join(src, "big"), big, 0o640)
	os.WriteFile(filepath.Join(src, "sub", "x"), []byte("x"), 0o755)
	check := "cd %s && stat -c '%%a %%s' big sub/x | tr '\\n' ' '"
	for _, mode := range []string{"-O", "-s"} {
		c.want(c.cmd(g, "scp", mode, "-pqr", src, c.at(g)+":scp"+mode), "0 ")
		g.sh("ubuntu", fmt.Sprintf(check, "~/scp"+mode), "0 640 4194304 755 1 ")
		back := filepath.Join(c.dir, "back"+mode)
		c.want(c.cmd(g, "scp", mode, "-q", c.at(g)+":scp"+mode+"/big", back), "0 ")
		if b, _ := os.ReadFile(back); !bytes.Equal(b, big) {
			t.Errorf("scp %s changed the file", mode)
		}
	}
	batch := c.cmd(g, "sftp", "-q", "-b", "-", c.at(g))
	batch.Stdin = strings.NewReader("put " + src + "/big put\nchmod 600 put\nsymlink put ln\nls -1 ln\nget put " + c.dir + "/got\ncd /etc\npwd\n")
	out, err := batch.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Remote working directory: /etc") {
		t.Errorf("sftp: %v %s", err, out)
	}
	denied := c.cmd(g, "sftp", "-q", "-b", "-", c.at(g))
	denied.Stdin = strings.NewReader("put " + src + "/big /etc/big\n")
	if out, err := denied.CombinedOutput(); err == nil && !one(h) {
		t.Errorf("sftp wrote to /etc: %s", out)
	}
	if _, err := exec.LookPath("rsync"); err != nil {
		missing(t, "%v", err)
	}
	rs := exec.Command("rsync", "-rlpt", "-e", "ssh "+strings.Join(c.opts(g), " "), src+"/", c.at(g)+":rs")
	if out, err := rs.CombinedOutput(); err != nil {
		t.Errorf("rsync: %v %s", err, out)
	}
	g.sh("ubuntu", fmt.Sprintf(check, "~/rs"), "0 640 4194304 755 1 ")
}

// TestDisconnect: what sshd does when its client dies.
func TestDisconnect(t *testing.T) {
	c, h := newClient(t), newHost(t, "sandbox")
	g := launch(t, h, spec(c))
	alive := func(n string) bool { _, code := g.run("root", "pgrep -f '^sleep "+n+"' >/dev/null"); return code == 0 }
	for tty, n := range map[string]string{"-T": "11111", "-tt": "22222"} {
		long := c.cmd(g, "ssh", tty, c.at(g), "exec sleep "+n)
		if err := long.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "sleep "+n, func() bool { return alive(n) })
		long.Process.Kill()
		long.Wait()
	}
	eventually(t, "the end of a command with a terminal", func() bool { return !alive("22222") })
	if !alive("11111") {
		t.Error("a command without a terminal ended with its connection")
	}
	// A run that is detached goes on, and its output is kept.
	run := c.cmd(g, "ssh", c.at(g), "mkdir -p /var/tmp/run && cd /var/tmp/run && setsid sh -c 'echo $$ >pid; while [ ! -e go ]; do sleep .05; done; echo finished' >out 2>&1 </dev/null & sleep 1000")
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the detached run", func() bool { _, code := g.run("root", "test -s /var/tmp/run/pid"); return code == 0 })
	run.Process.Kill()
	run.Wait()
	c.ssh(g, "kill -0 $(cat /var/tmp/run/pid) && touch /var/tmp/run/go", "0 ")
	eventually(t, "the output of the detached run", func() bool { out, _ := g.run("ubuntu", "cat /var/tmp/run/out"); return out == "finished" })
}

func TestAuthorizedKeys(t *testing.T) {
	c, other, h := newClient(t), newClient(t), newHost(t, "sandbox")
	g := launch(t, h, spec(c))
	fails := func(c *client, who string) {
		t.Helper()
		out, err := c.cmd(g, "ssh", "-o", "BatchMode=yes", who+"@"+g.spec.Addr, "true").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "Permission denied (publickey)") {
			t.Errorf("%s got in, or was refused in another way: %v %s", who, err, out)
		}
	}
	g.sh("ubuntu", "cat .ssh/authorized_keys; stat -c %a .ssh .ssh/authorized_keys", "0 "+c.pub+"\n700\n600")
	fails(other, "ubuntu")
	fails(c, "root")
	fails(c, "nobody-at-all")
	c.ssh(g, "echo '"+other.pub+"' >>~/.ssh/authorized_keys", "0 ")
	other.ssh(g, "true", "0 ")
	c.ssh(g, "sudo mkdir -p -m 700 /root/.ssh && sudo cp ~/.ssh/authorized_keys /root/.ssh/ && sudo chown root:root /root/.ssh/authorized_keys", "0 ")
	c.want(c.cmd(g, "ssh", "root@"+g.spec.Addr, "id -u"), "0 0")
	c.ssh(g, "echo 'command=\"echo only $SSH_ORIGINAL_COMMAND\",no-pty "+other.pub+"' >~/.ssh/authorized_keys; echo '"+c.pub+"' >>~/.ssh/authorized_keys", "0 ")
	other.ssh(g, "id", "0 only id")
	c.ssh(g, "sed -i s/^command/from/ ~/.ssh/authorized_keys", "0 ")
	fails(other, "ubuntu")
	g.consoleHas("option from of authorized_keys is not supported")
	c.ssh(g, "chmod 666 ~/.ssh/authorized_keys", "0 ")
	fails(c, "ubuntu")
	g.sh("ubuntu", "chmod 600 .ssh/authorized_keys; rm .ssh/authorized_keys", "0 ")
	fails(c, "ubuntu")
}

// TestHostKeys: one for each guest, over reboots, never in an image.
func TestHostKeys(t *testing.T) {
	c, h := newClient(t), newHost(t, "sandbox")
	pair, err := os.ReadFile(c.key)
	if err != nil {
		t.Fatal(err)
	}
	s := spec(c)
	s.UserData = []byte("#cloud-config\nssh_deletekeys: true\nssh_keys:\n  ed25519_private: |\n    " + strings.ReplaceAll(strings.TrimSpace(string(pair)), "\n", "\n    ") +
		"\n  ed25519_public: " + c.pub + "\n")
	g := launch(t, h, s)
	key := func(g *guestT) string {
		_, rest, _ := strings.Cut(string(g.Console()), "-----BEGIN SSH HOST KEY KEYS-----\n")
		k, _, _ := strings.Cut(rest, " root@")
		return k
	}
	if !strings.HasPrefix(c.pub, key(g)) || key(g) == "" {
		t.Errorf("the injected host key is not used: %q", key(g))
	}
	g.consoleHas("-----BEGIN SSH HOST KEY FINGERPRINTS-----\n256 SHA256:")
	g.consoleHas("-----END SSH HOST KEY KEYS-----\n")
	c.ssh(g, "true", "0 ")
	g.stop()
	img := g.freeze()
	port := g.Ports()["ssh"]
	g.boot()
	c.ssh(g, "true", "0 ") // checked against the key of the first boot
	if g.Ports()["ssh"] != port {
		t.Error("the port has changed over a reboot")
	}
	s2 := spec(nil)
	s2.Layers = img
	g2 := launch(t, h, s2)
	if key(g2) == key(g) || key(g2) == "" {
		t.Errorf("the new guest's host key is %q, the image's guest had %q", key(g2), key(g))
	}
	c.ssh(g2, "sort -u ~/.ssh/authorized_keys | wc -l", "0 1") // keys of the image let in, as on EC2
	names, err := exported(h, img)
	if err != nil {
		t.Fatal(err)
	}
	for n := range names {
		if strings.Contains(n, "ssh_host") {
			t.Error("the image holds", n)
		}
	}
}

func TestPower(t *testing.T) {
	c, h := newClient(t), newHost(t, "sandbox")
	g := launch(t, h, spec(c))
	id := func() string { out, _ := g.run("ubuntu", "cat /proc/sys/kernel/random/boot_id"); return out }
	host, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	before := id()
	if before == id()[1:] || len(before) != 36 || before == strings.TrimSpace(string(host)) {
		t.Errorf("boot id %q", before)
	}
	for _, line := range []string{"sudo reboot", "sudo shutdown -r now", "sudo systemctl reboot", "sudo /sbin/reboot -f"} {
		cmd := c.cmd(g, "ssh", c.at(g), line+"; sleep 1000")
		if cmd.Run(); cmd.ProcessState.ExitCode() != 255 {
			t.Errorf("%s: the connection did not break: %v", line, cmd.ProcessState)
		}
		g.exit(Reboot)
		if !refused(g) {
			t.Error("SSH is still served")
		}
		g.boot()
		if now := id(); now == before {
			t.Errorf("%s: the boot id is the same", line)
		}
		before = id()
	}
	for _, line := range []string{"sudo poweroff", "sudo shutdown -h now", "sudo halt -p", "sudo shutdown +0", "sudo init 0"} {
		c.cmd(g, "ssh", c.at(g), line).Run() // its exit status may or may not come before the end
		g.exit(PowerOff)
		g.boot()
	}
	if !one(h) {
		c.ssh(g, "reboot", "1 reboot: must be root")
	}
	c.ssh(g, "sudo shutdown -h +5 2>&1 | cut -d' ' -f1-3; sudo shutdown -c; sudo shutdown -h +1 bye 2>/dev/null; sudo shutdown -c", "0 Shutdown scheduled for")
	c.ssh(g, "sudo shutdown --fast", "1 shutdown: option --fast is not supported by the embedded EC2")
	// What is asked to end may end in order.
	g.sh("root", "(trap 'echo bye >/etc/bye; exit' TERM; touch /run/trapped; while :; do sleep .05; done) >/dev/null 2>&1 & until [ -e /run/trapped ]; do sleep .05; done", "0 ")
	g.stop()
	g.boot()
	g.sh("root", "cat /etc/bye", "0 bye")
	// The first process dies.
	g.Machine.(*sandboxMachine).current().cmd.Process.Kill()
	g.exit(Crash)
	g.boot()
	select {
	case e := <-g.exited:
		t.Errorf("exited was called again: %s", e)
	default:
	}
	g.stop()
	select {
	case e := <-g.exited:
		t.Errorf("exited was called by Stop: %s", e)
	case <-time.After(100 * time.Millisecond):
	}
	if err := g.Remove(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := h.Open("i-none"); err == nil {
		t.Error("a guest that never was can be opened")
	}
}
