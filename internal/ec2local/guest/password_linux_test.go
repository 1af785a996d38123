package guest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// withPassword is an OpenSSH client that has no key but a password.
func (c *client) withPassword(g *guestT, user, word, line string) *exec.Cmd {
	c.t.Helper()
	ask := filepath.Join(c.dir, "ask")
	if err := os.WriteFile(ask, []byte("#!/bin/sh\nprintf '%s\\n' \"$WORD\"\n"), 0o700); err != nil {
		c.t.Fatal(err)
	}
	cmd := c.cmd(g, "ssh", "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1", user+"@"+g.spec.Addr, line)
	cmd.Env = append(os.Environ(), "WORD="+word, "SSH_ASKPASS="+ask, "SSH_ASKPASS_REQUIRE=force", "DISPLAY=:0")
	return cmd
}

const denied = "Permission denied"

func TestPassword(t *testing.T) {
	for _, tool := range []string{"chpasswd", "unix_chkpwd"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, "%v", err)
		}
	}
	c, h := newClient(t), newHost(t, "sandbox")
	s := spec(c)
	s.UserData = []byte(`#cloud-config
ssh_pwauth: true
password: "se cret:'1"
chpasswd:
  expire: false
  users:
    - {name: root, password: of-root, type: text}
`)
	g := launch(t, h, s)
	c.ssh(g, "cloud-init status --wait | tr -d .", "0 status: done")
	no := func(user, word, methods string) {
		t.Helper()
		c.want(c.withPassword(g, user, word, "true"), "255 "+user+"@"+g.spec.Addr+": "+denied+" ("+methods+").")
	}
	c.want(c.withPassword(g, "ubuntu", "se cret:'1", "echo in; exit 3"), "3 in")
	no("ubuntu", "se cret:'", "password,publickey")
	no("ubuntu", "", "password,publickey")
	no("nosuch", "x", "password,publickey")
	no("root", "of-root", "password,publickey")
	c.ssh(g, "echo PermitRootLogin yes | sudo tee -a /etc/ssh/sshd_config.d/50-cloud-init.conf >/dev/null", "0 ")
	c.want(c.withPassword(g, "root", "of-root", "echo $HOME"), "0 /root")

	// What the guest's own tools change counts at once.
	c.ssh(g, "echo ubuntu:other | sudo chpasswd", "0 ")
	no("ubuntu", "se cret:'1", "password,publickey")
	c.want(c.withPassword(g, "ubuntu", "other", "echo in"), "0 in")
	c.ssh(g, "sudo passwd --expire ubuntu >/dev/null 2>&1", "0 ")
	no("ubuntu", "other", "password,publickey")
	g.consoleHas("the password has expired")
	c.ssh(g, "sudo rm /etc/ssh/sshd_config.d/50-cloud-init.conf", "0 ")
	no("root", "of-root", "publickey")
	for _, secret := range []string{"se cret", "other", "of-root"} {
		if bytes.Contains(g.Console(), []byte(secret)) {
			t.Errorf("the console shows %q", secret)
		}
	}
}

// Passwords are off unless somebody turns them on, and expire unless told not to.
func TestPasswordOff(t *testing.T) {
	c, h := newClient(t), newHost(t, "sandbox")
	s := spec(c)
	s.UserData = []byte("#cloud-config\npassword: word\n")
	g := launch(t, h, s)
	c.ssh(g, "cloud-init status --wait | tr -d .", "0 status: done")
	c.want(c.withPassword(g, "ubuntu", "word", "true"), "255 ubuntu@"+g.spec.Addr+": "+denied+" (publickey).")
	c.ssh(g, "sudo mkdir -p /etc/ssh && echo PasswordAuthentication yes | sudo tee /etc/ssh/sshd_config >/dev/null", "0 ")
	c.want(c.withPassword(g, "ubuntu", "word", "true"), "255 ubuntu@"+g.spec.Addr+": "+denied+" (password,publickey).")
	g.consoleHas("the password has expired")
}

func TestProcessPassword(t *testing.T) {
	c, h := newClient(t), reopen(t, "process", t.TempDir())
	s := spec(c)
	s.UserData = []byte("#cloud-config\nssh_pwauth: yes\nchpasswd:\n  expire: false\n  list: |\n    ubuntu:word\n    root:of-root\n")
	g := launch(t, h, s)
	c.want(c.withPassword(g, "ubuntu", "word", "echo in"), "0 in")
	for user, word := range map[string]string{"ubuntu": "words", "root": "of-root"} {
		c.want(c.withPassword(g, user, word, "true"), "255 "+user+"@"+g.spec.Addr+": "+denied+" (password,publickey).")
	}
	if b := string(g.Console()); strings.Contains(b, "not supported") {
		t.Error(b)
	}
}
