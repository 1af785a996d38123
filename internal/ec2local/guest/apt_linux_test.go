package guest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestApt installs a server from the host's package mirror, in a guest and not
// on the host, and starts a second guest from the image.
func TestApt(t *testing.T) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("NOT TESTED: this host has no apt-get")
	}
	if _, err := os.Stat("/usr/bin/redis-server"); err == nil {
		t.Skip("NOT TESTED: redis-server is installed on this host")
	}
	c, h := newClient(t), newHost(t, "sandbox")
	if one(h) {
		missing(t, "apt needs more than one user id")
	}
	g := launch(t, h, spec(c))
	if out, code := g.run("ubuntu", "sudo apt-get -q update 2>&1; apt-cache show redis-server >/dev/null 2>&1"); code != 0 {
		t.Skipf("NOT TESTED: no package mirror can be reached:\n%s", out) // in CI too: a mirror is not a tool
	}
	if out, code := g.run("ubuntu", "sudo DEBIAN_FRONTEND=noninteractive apt-get install -y -q redis-server 2>&1"); code != 0 {
		t.Fatalf("apt-get install: %d\n%s", code, out)
	}
	// The host's network is shared, so the port may be taken: another is used.
	c.ssh(g, "sudo systemctl stop redis-server; sudo sed -i 's/^port .*/port 0/; s/^# unixsocket .*/unixsocket \\/run\\/redis\\/s/; s/^# unixsocketperm .*/unixsocketperm 777/' /etc/redis/redis.conf && "+
		"sudo systemctl restart redis-server && systemctl is-enabled redis-server && sudo redis-cli -s /run/redis/s ping", "0 enabled\nPONG")
	g.stop()
	s := spec(c)
	s.Layers = g.freeze()
	g2 := launch(t, h, s)
	c.ssh(g2, "cloud-init status --wait >/dev/null; redis-server --version | cut -d' ' -f1-2; stat -c %U /var/lib/redis; dpkg -s redis-server | grep ^Status; sudo redis-cli -s /run/redis/s ping",
		"0 Redis server\nredis\nStatus: install ok installed\nPONG")
	c.ssh(g2, "ps -o user= -C redis-server; sudo systemctl stop redis; pgrep -c redis-server", "1 redis\n0")
	if _, err := os.Stat("/usr/bin/redis-server"); err == nil {
		t.Error("the host has it")
	}
}

// TestAptWithOneUser installs, where a guest has one user id, what needs no other.
func TestAptWithOneUser(t *testing.T) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("NOT TESTED: this host has no apt-get")
	}
	if _, err := os.Stat("/usr/bin/hello"); err == nil {
		t.Skip("NOT TESTED: hello is installed on this host")
	}
	dir := storeDir(t)
	if err := Probe(dir); err != nil {
		missing(t, "%v", err)
	}
	h, err := newSandboxAs(dir, oneID, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.Close()
		oneID.helper(nil, nil, "rm", dir+"/guests")
	})
	if l := Limits(h); !strings.Contains(l, "one user id") || !strings.Contains(l, "sudo ") {
		t.Errorf("it does not say what mends it: %s", l)
	}
	g := launch(t, h, spec(nil))
	g.sh("root", "id -u; awk '{print $3}' /proc/self/uid_map", "0 0\n1")
	if out, code := g.run("root", "apt-get -q update 2>&1; apt-cache show hello >/dev/null 2>&1"); code != 0 {
		if strings.Contains(out, "setgroups") || strings.Contains(out, "seteuid") {
			t.Fatalf("apt changes its user:\n%s", out)
		}
		t.Skipf("NOT TESTED: no package mirror can be reached:\n%s", out) // in CI too: a mirror is not a tool
	}
	if out, code := g.run("root", "DEBIAN_FRONTEND=noninteractive apt-get install -y -q hello 2>&1 && hello"); code != 0 || !strings.Contains(out, "Hello, world!") {
		t.Fatalf("apt-get install: %d\n%s", code, out)
	}
}
