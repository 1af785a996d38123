package guest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// hostAs is a host of root's whose guests have the given ids, if the kernel has them.
func hostAs(t *testing.T, as ids) *sandbox {
	t.Helper()
	if detectIDs() != rootIDs {
		t.Skip("NOT TESTED: only root's guests can choose")
	}
	dir := t.TempDir()
	if err := Probe(dir); err != nil {
		missing(t, "%v", err)
	}
	h, err := newSandboxAs(dir, as, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	s := inside(h).(*sandbox)
	if s.procs != as {
		missing(t, "no user namespace for root's guests: %v", s.noMap)
	}
	return s
}

// eachIDs runs a test for each kind of ids that guests can have here.
func eachIDs(t *testing.T, test func(*testing.T, Host)) {
	if detectIDs() != rootIDs {
		test(t, newHost(t, "sandbox"))
		return
	}
	for _, as := range []ids{mappedIDs, rootIDs} {
		t.Run(as.String(), func(t *testing.T) { test(t, hostAs(t, as)) })
	}
}

// TestRootIsNobody: what belongs to root of the host is out of reach for root of a
// guest, even where the guest gets hold of it.
func TestRootIsNobody(t *testing.T) {
	h := hostAs(t, mappedIDs)
	if h.ids != rootIDs {
		t.Errorf("on the disk the ids are those of %q", h.ids)
	}
	a, b := launch(t, h, spec(nil)), launch(t, h, spec(nil))
	uid := func(g *guestT) int {
		n, err := strconv.Atoi(procStatus(strconv.Itoa(g.Machine.(*sandboxMachine).current().cmd.Process.Pid), "Uid"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if uid(a) < firstMapped || uid(b) < firstMapped || uid(a) == uid(b) {
		t.Errorf("on the host, root of the guests is %d and %d", uid(a), uid(b))
	}
	a.sh("root", "id -u; stat -c %u /usr/bin/env /etc/passwd /root /tmp", "0 0\n0\n0\n0\n0")

	secret := t.TempDir()
	if err := os.WriteFile(secret+"/secret", []byte("hush"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(secret)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for _, line := range []string{"cat secret", "echo x >secret", "touch new", "chown 0 .", "chmod 777 secret"} {
		r, null := a.Machine.(*sandboxMachine).current(), devNull(t)
		p, err := r.start(command{User: "root", Stdin: dir, Stdout: null, Stderr: null, Line: "cd -P /proc/self/fd/0 && " + line})
		if err != nil {
			t.Fatal(err)
		}
		<-p.done()
		if code, _ := p.result(); code == 0 {
			t.Errorf("root of a guest can %q in a directory of root of the host", line)
		}
	}
	if b, err := os.ReadFile(secret + "/secret"); err != nil || string(b) != "hush" {
		t.Errorf("root of a guest made of the secret %q, %v", b, err)
	}
}

func devNull(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestMappedFiles: with a user namespace files keep their owners, and what
// packages do to them works, from one life of the guest to the next.
func TestMappedFiles(t *testing.T) {
	h := hostAs(t, mappedIDs)
	g := launch(t, h, spec(nil))
	g.sh("root", "echo x >/opt/a && chown 33:70000 /opt/a && chown 33 /usr/bin/env && chown 5 /etc/fstab && stat -c %u:%g /opt/a /usr/bin/env /etc/fstab",
		"0 33:70000\n33:0\n5:0")
	g.sh("root", "cp /bin/true /opt/own && chown root:ubuntu /opt/own && chmod 4750 /opt/own && stat -c %A /opt/own", "0 -rwsr-x---")
	g.sh("root", "cp /usr/bin/id /opt/id && chmod 4755 /opt/id", "0 ")
	g.sh("ubuntu", "/opt/id -u; su -c true </dev/null 2>/dev/null || echo asked", "0 0\nasked")
	if _, err := exec.LookPath("useradd"); err == nil {
		g.sh("root", "useradd -m bob && su bob -c 'id -un && echo hi >~/x && stat -c %U ~/x' && userdel -r bob 2>/dev/null", "0 bob\nbob")
	}
	g.sh("root", "echo err >/dev/stderr; echo out >/dev/stdout", "0 err\nout")
	setcap, err := exec.LookPath("setcap")
	if err != nil {
		missing(t, "%v", err)
	}
	g.sh("root", "cp /usr/bin/python3 /opt/py && "+setcap+" cap_net_bind_service+ep /opt/py && "+setcap+" -v -q cap_net_bind_service+ep /opt/py", "0 ")

	g.stop()
	on := h.s.layer(g.freeze()[0])
	for path, want := range map[string]string{"%opt/a": "33:70000", "%usr/bin/env": "33:0", "%etc/fstab": "5:0", "%opt/own": "0:1000"} {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(on, path), &st); err != nil || fmt.Sprintf("%d:%d", st.Uid, st.Gid) != want {
			t.Errorf("on the disk %s is of %d:%d, %v", path, st.Uid, st.Gid, err)
		}
	}
	g.boot()
	g.sh("root", "stat -c %u:%g /opt/a /usr/bin/env /etc/fstab", "0 33:70000\n33:0\n5:0")
	g.sh("ubuntu", "/opt/id -u; grep -c . /proc/self/uid_map", "0 0\n1")
	g.sh("ubuntu", "/opt/py -c 'print(open(\"/proc/self/status\").read().split(\"CapEff:\")[1].split()[0])'", "0 0000000000000400")
}

// TestLowPorts: the host's network is the guest's, with the ports that are root's:
// for whom they are for in the guest, and for nobody else.
func TestLowPorts(t *testing.T) {
	eachIDs(t, func(t *testing.T, h Host) {
		if p := inside(h).(*sandbox).procs; p == subIDs || p == oneID {
			t.Skip("NOT TESTED: guests of an ordinary user have no such ports")
		}
		g := launch(t, h, spec(nil))
		bind := func(user, python, sockets, want string) {
			t.Helper()
			g.sh(user, python+" -c 'import os, socket; a = \""+g.spec.Addr+"\"; s = socket.socket(); "+sockets+"' 2>&1 | tail -1", "0 "+want)
		}
		denied := "PermissionError: [Errno 13] Permission denied"
		if strings.TrimSpace(sysctl("net/ipv4/ip_unprivileged_port_start")) == "0" {
			denied = "80" // this host gives them to everybody
		}
		const python = "/usr/bin/python3"
		bind("root", python, "s.bind((a, 80)); s.listen(); socket.create_connection((a, 80)); print(s.getsockname()[1])", "80")
		bind("root", python, "s = socket.socket(socket.AF_INET6); s.bind((\"::1\", 81)); print(s.getsockname()[1])", "81")
		bind("root", python, "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((a, 80)); print(s.getsockname()[1])", "80")
		bind("root", python, "s.bind((a, 80)); r = socket.socket(); r.bind((a, 80))", "OSError: [Errno 98] Address already in use")
		bind("root", python, "s.bind((\"192.0.2.1\", 80))", "OSError: [Errno 99] Cannot assign requested address")
		bind("root", python, "s.bind((a, 0)); s.listen(); print(s.getsockname()[1] > 1023)", "True")
		bind("root", python, "u = socket.socket(socket.AF_UNIX); u.bind(\"/run/u\"); print(os.path.exists(\"/run/u\"))", "True")
		bind("root", python, "os.setuid(33); s.bind((a, 80)); print(80)", denied)
		bind("ubuntu", python, "s.bind((a, 80)); print(80)", denied)
		bind("ubuntu", "unshare -Ur "+python, "s.bind((a, 80)); print(80)", denied)
		bind("ubuntu", "sudo -n "+python, "s.bind((a, 80)); print(80)", "80")
		// From many threads of many processes, with signals, which Python gives to the first thread.
		g.sh("root", `cat >/opt/many.py <<'E'
import signal, socket, sys, threading
signal.signal(signal.SIGALRM, lambda *a: None)
signal.siginterrupt(signal.SIGALRM, False)
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
bad = []
def some(ports):
    for port in ports:
        try:
            s = socket.socket(); s.bind((sys.argv[1], port)); s.listen()
            assert s.getsockname()[1] == port
        except Exception as e: bad.append((port, e))
ts = [threading.Thread(target=some, args=(range(n, n + 10),)) for n in range(600, 680, 10)]
[t.start() for t in ts]
some(range(100, 600))
[t.join() for t in ts]
signal.setitimer(signal.ITIMER_REAL, 0)
print(bad)
E
for i in 1 2 3; do `+python+` /opt/many.py 127.9.9.$i & done; wait`, "0 []\n[]\n[]")
	})
}

// TestHostPackage: a package that the host has is installed anew, files of root's
// and setuid programs among them.
func TestHostPackage(t *testing.T) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("NOT TESTED: this host has no apt-get")
	}
	eachIDs(t, func(t *testing.T, h Host) {
		if p := inside(h).(*sandbox).procs; p == subIDs || p == oneID {
			t.Skip("NOT TESTED: guests of an ordinary user cannot")
		}
		g := launch(t, h, spec(nil))
		if out, code := g.run("root", "apt-get -q update 2>&1; apt-cache show passwd >/dev/null 2>&1"); code != 0 {
			t.Skipf("NOT TESTED: no package mirror can be reached:\n%s", out) // in CI too: a mirror is not a tool
		}
		if out, code := g.run("root", "touch /opt/before; sleep 1; DEBIAN_FRONTEND=noninteractive apt-get install -y -q --reinstall passwd hostname 2>&1 && dpkg --audit"); code != 0 {
			t.Fatalf("apt-get install: %d\n%s", code, out)
		}
		g.sh("root", "stat -c '%A %U %G' /usr/bin/passwd; test $(stat -c %Z /usr/bin/passwd) -gt $(stat -c %Z /opt/before) && echo new; dpkg -V hostname", "0 -rwsr-xr-x root root\nnew")
	})
}

// TestNoUserNamespace: where the kernel cannot, root's guests go without, and that
// is said.
func TestNoUserNamespace(t *testing.T) {
	h := hostAs(t, rootIDs)
	err := h.s.tryMapped([]overlay{{Path: "/"}, {Path: "/proc"}}) // no file system of owners
	if err == nil || !strings.Contains(err.Error(), "idmapped mount of /proc") {
		t.Errorf("it says %v", err)
	}
	if left, err := filepath.Glob(h.s.dir + "/probe*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	h.noMap = err
	if l := Limits(h); !strings.Contains(l, "no boundary against hostile code") || !strings.Contains(l, err.Error()) {
		t.Errorf("the limits are: %s", l)
	}
	g := launch(t, h, spec(nil))
	out, _ := g.run("root", "cat /proc/self/uid_map")
	if f := strings.Fields(out); !slices.Equal(f, []string{"0", "0", "4294967295"}) {
		t.Errorf("the guest's ids are %v", f)
	}
	if l := Limits(hostAs(t, mappedIDs)); !strings.Contains(l, "nobody on this host") {
		t.Errorf("the limits are: %s", l)
	}
}
