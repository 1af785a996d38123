package guest

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("GUEST_TEST_SERVER"); dir != "" { // a server to be killed, with a busy guest
		h, err := NewHost("sandbox", dir, nil)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		m, err := h.Open("victim")
		if errors.Is(err, fs.ErrNotExist) {
			m, err = h.Create("victim", Spec{Hostname: "victim", User: "ubuntu", Addr: os.Getenv("GUEST_TEST_ADDR"), UserData: []byte("#!/bin/sh\necho once >>/etc/once\n")})
		}
		if err == nil {
			err = m.Boot(context.Background(), nil)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("booted")
		r := m.(*sandboxMachine).current()
		null, _ := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		p, err := r.start(command{User: "root", Stdin: null, Stdout: null, Stderr: null,
			Line: "trap '' TERM HUP; i=0; while :; do i=$((i+1)); echo $i >/etc/n.new; mv /etc/n.new /etc/n; rm -rf /usr/local/lib/q; mkdir /usr/local/lib/q; done"})
		if err == nil {
			<-p.done()
		}
		os.Exit(0)
	}
	code := m.Run()
	if shared != "" {
		detectIDs().helper(nil, nil, "rm", shared)
	}
	os.Exit(code)
}

func one(h Host) bool { s, ok := inside(h).(*sandbox); return ok && s.ids == oneID }

func TestSandbox(t *testing.T) {
	h := newHost(t, "sandbox")
	g := launch(t, h, spec(nil))
	me := "ubuntu"
	if one(h) {
		me = "root"
	} else {
		g.sh("ubuntu", "id -u; id -g; stat -c %U .", "0 1000\n1000\nubuntu")
	}
	g.sh("ubuntu", "whoami; pwd", "0 "+me+"\n/home/ubuntu")
	g.sh("ubuntu", "echo $$ >x && sudo -n id -u && sudo -nE sh -c 'echo $HOME' && sudo -u root whoami", "0 0\n/home/ubuntu\nroot")
	g.sh("ubuntu", "exit 7", "7 ")
	g.sh("ubuntu", "kill -9 $$", "137 ")
	g.sh("root", "hostname; cat /etc/hostname; getent hosts ip-10-0-0-7 | cut -d' ' -f1", "0 ip-10-0-0-7\nip-10-0-0-7\n127.0.1.1")
	g.sh("root", ". /etc/os-release; echo $ID $VERSION_ID $NAME, $PRETTY_NAME $VARIANT_ID", "0 ubuntu 16.04 Ubuntu, Ubuntu 16.04 LTS ec2local")
	g.sh("root", "(sleep 100 >/dev/null 2>&1 & ) ; (true &)", "0 ")
	eventually(t, "the end of the last zombie", func() bool { out, _ := g.run("root", "ps -e -o stat= | grep -c Z"); return out == "0" })
	g.sh("root", "echo x >/dev/null; head -c4 /dev/zero | wc -c; head -c4 /dev/urandom | wc -c; touch /dev/shm/a /tmp/a /run/a", "0 4\n4")
	g.sh("root", "dd if=/dev/zero of="+guestExe+" count=1 2>/dev/null", "1 ")
	g.sh("root", "wc -c </etc/machine-id", "0 33")
	g.sh("root", "logger -t t hello; echo from-the-guest >/dev/console", "0 ")
	eventually(t, "a line of the system log", func() bool { out, _ := g.run("root", "grep -c hello /var/log/syslog"); return out == "1" })
	eventually(t, "/dev/console", func() bool { return bytes.Contains(g.Console(), []byte("from-the-guest\n")) })

	// What is there changes in the guest and stays on the host.
	g.sh("root", "echo hi >/etc/new && mkdir /etc/d /usr/local/lib/d && touch /usr/bin/own && rm /usr/bin/env && ls /usr/bin/env 2>/dev/null", "2 ")
	g.stop()
	g.stop()
	g.boot()
	g.sh("root", "cat /etc/new; ls /usr/bin/env 2>/dev/null", "2 hi")
	for _, p := range []string{"/etc/new", "/etc/d", "/usr/local/lib/d", "/usr/bin/own", "/home/ubuntu/x"} {
		if _, err := os.Lstat(p); err == nil {
			t.Error("the host has", p)
		}
	}
	if _, err := os.Lstat("/usr/bin/env"); err != nil {
		t.Fatal("the host lost a file:", err)
	}
	if err := g.Boot(context.Background(), nil); err == nil {
		t.Error("a running guest was booted again")
	}
}

// TestHidden looks for what a guest must not see.
func TestHidden(t *testing.T) {
	h := newHost(t, "sandbox")
	g := launch(t, h, spec(nil))
	g.sh("root", "ls /home /root /mnt /srv", "0 /home:\nubuntu\n\n/mnt:\n\n/root:\n\n/srv:")
	g.sh("root", "ls /etc/ssh | grep -c _key; ls /etc/sudoers.d", "0 0\n90-cloud-init-users")
	g.sh("root", "cut -d: -f2 /etc/shadow | sort -u | tr '\\n' ' '", "0 ! * ")
	g.sh("root", "awk -F: '$3>=1000 && $3<65534 {print $1}' /etc/passwd", "0 ubuntu")
	g.sh("root", "set -- /proc/[0-9]*; echo $# | grep -qx '[1-9]'", "0 ")
	g.sh("root", "grep -cF "+inside(h).(*sandbox).s.dir+" /proc/mounts", "1 0")
	g.sh("root", "ls /usr/sbin/policy-rc.d 2>/dev/null; find /etc/systemd/system -mindepth 1 | wc -l", "0 0")
	tops, err := os.ReadDir("/")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range tops {
		switch "/" + e.Name() {
		case "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/libx32", "/media", "/mnt", "/opt", "/proc", "/root", "/run",
			"/sbin", "/srv", "/sys", "/tmp", "/usr", "/var":
		default:
			g.sh("root", "ls -d /"+e.Name()+" 2>/dev/null", "2 ")
		}
	}
	if env, _ := g.run("root", "cat /proc/1/environ | tr '\\0' '\\n'"); strings.Contains(env, "HOME=") {
		t.Errorf("the server's environment is in the guest: %s", env)
	}
}

func TestLayers(t *testing.T) {
	h := newHost(t, "sandbox")
	g := launch(t, h, spec(nil))
	g.sh("root", "mkdir -p /opt/a/b /srv/q && echo 1 >/opt/a/one && echo 2 >/opt/a/two && echo 3 >/opt/a/b/three; echo t >/srv/q/t", "0 ")
	g.stop()
	first := g.freeze()
	g.boot()
	g.sh("root", "rm /opt/a/one; rm -r /opt/a/b; mkdir /opt/a/b; echo 4 >/opt/a/b/four; rm /usr/bin/env; rm -r /srv/q", "0 ")
	g.stop()
	two := g.freeze()
	if len(first) != 1 || len(two) != 2 || two[1] != first[0] {
		t.Fatalf("layers %q then %q", first, two)
	}
	g.boot()
	g.sh("root", "echo 5 >/opt/a/five", "0 ")
	live := g.freeze()
	g.sh("root", "cat /opt/a/five", "0 5")
	find := "cd /opt/a && find . -type f | sort | tr '\\n' ' '; ls /usr/bin/env /srv/q 2>/dev/null"
	g.sh("root", find, "2 ./b/four ./five ./two ")
	from := func(layers []string) *guestT {
		s := spec(nil)
		s.Layers = layers
		return launch(t, h, s)
	}
	from(live).sh("root", find, "2 ./b/four ./five ./two ")
	from(two).sh("root", find, "2 ./b/four ./two ")
	from(first).sh("root", "cat /opt/a/one /opt/a/b/three /srv/q/t; ls /opt/a/b /usr/bin/env", "0 1\n3\nt\n/usr/bin/env\n\n/opt/a/b:\nthree")

	names, err := exported(h, live)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []string{"opt/a/two", "opt/a/five", "opt/a/b/four", "opt/a/b/.wh..wh..opq", "usr/bin/.wh.env", "opt/a/.wh.one", "srv/.wh.q"} {
		if !names[w] {
			t.Errorf("the tar lacks %s", w)
		}
	}
	for w := range names {
		if strings.Contains(w, "three") || strings.HasSuffix(w, "a/one") || strings.HasPrefix(w, "srv/q") || strings.Contains(w, "ssh_host") {
			t.Errorf("the tar has %s", w)
		}
	}
	if err := h.RemoveLayer(context.Background(), first[0]); err == nil {
		t.Error("a layer was removed from under guests")
	}
	if err := h.RemoveLayer(context.Background(), "../guests"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a path was taken for a layer: %v", err)
	}
	lone := launch(t, h, spec(nil))
	lone.stop()
	l := lone.freeze()
	if err := lone.Remove(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := h.RemoveLayer(context.Background(), l[0]); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(inside(h).(*sandbox).s.layer(l[0])); err == nil {
		t.Error("the layer is still there")
	}
	if _, err := h.Create("i-x", Spec{Layers: l}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a guest of a missing layer: %v", err)
	}
	if err := h.Export(context.Background(), io.Discard, l); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an export of a missing layer: %v", err)
	}
}

func exported(h Host, layers []string) (map[string]bool, error) {
	var b bytes.Buffer
	if err := h.Export(context.Background(), &b, layers); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for tr := tar.NewReader(&b); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
		names[strings.TrimSuffix(h.Name, "/")] = true
	}
}

func TestPendingFreeze(t *testing.T) {
	dir := storeDir(t)
	h := reopen(t, "sandbox", dir)
	g := launch(t, h, spec(nil))
	g.sh("root", "echo 1 >/opt/one", "0 ")
	g.stop()
	m := g.Machine.(*sandboxMachine)
	// The server dies between the rename and the record.
	m.rec.update(func(st *state) { st.Pending = "abc" })
	if err := os.Rename(inside(h).(*sandbox).s.guest(m.id, "upper"), inside(h).(*sandbox).s.layer("abc")); err != nil {
		t.Fatal(err)
	}
	h.Close()
	h = reopen(t, "sandbox", dir)
	again, err := h.Open(m.id)
	if err != nil {
		t.Fatal(err)
	}
	g.Machine = again
	g.boot()
	g.sh("root", "cat /opt/one", "0 1")
}

func TestTenAtOnce(t *testing.T) {
	h := newHost(t, "sandbox")
	var wg sync.WaitGroup
	guests := make([]*guestT, 12)
	for i := range guests {
		guests[i] = create(t, h, spec(nil))
		wg.Go(func() {
			if err := guests[i].Boot(context.Background(), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, g := range guests {
		g.sh("ubuntu", fmt.Sprintf("echo %d >mine; cat mine", i), fmt.Sprintf("0 %d", i))
	}
	for i, g := range guests {
		g.sh("ubuntu", "cat mine", fmt.Sprintf("0 %d", i))
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	for _, g := range guests {
		if !refused(g) {
			t.Error("a guest outlived Close")
		}
	}
}

// TestKillServer kills the server at any moment: nothing of the guest is left,
// and the same files boot again.
func TestKillServer(t *testing.T) {
	dir := storeDir(t)
	if err := Probe(dir); err != nil {
		missing(t, "%v", err)
	}
	at := addr()
	for i := range 6 {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), "GUEST_TEST_SERVER="+dir, "GUEST_TEST_ADDR="+at)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if i%3 != 2 { // else while it boots
			if n, _ := out.Read(make([]byte, 10)); n == 0 {
				t.Error("the server did not boot the guest")
			}
			time.Sleep(time.Duration(i) * 13 * time.Millisecond)
		} else {
			time.Sleep(time.Duration(i) * 30 * time.Millisecond)
		}
		cmd.Process.Kill()
		cmd.Wait()
	}
	h := reopen(t, "sandbox", dir)
	m, err := h.Open("victim")
	if err != nil {
		t.Fatal(err)
	}
	g := &guestT{t, m, Spec{Addr: at}, make(chan Exit, 1)}
	g.boot()
	g.sh("root", "grep -cx '[0-9]*' /etc/n; touch /usr/local/lib/z /etc/z; cloud-init status --wait >/dev/null", "0 1")
	// Once, but for a kill in the moment between the mark and the run.
	if out, _ := g.run("root", "cat /etc/once"); strings.Count(out, "once\n") > 0 {
		t.Errorf("user data has run twice: %q", out)
	}
	if b, _ := os.ReadFile("/proc/self/mountinfo"); bytes.Contains(b, []byte("victim")) {
		t.Error("a mount is left")
	}
}

func TestStore(t *testing.T) {
	dir := t.TempDir()
	h, err := NewHost("none", dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the store is %v %v", st.Mode(), err)
	}
	if _, err := NewHost("none", dir, nil); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Errorf("two servers on one directory: %v", err)
	}
	if _, err := h.Open("i-1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a guest that never was: %v", err)
	}
	m, err := h.Create("i-1", Spec{Hostname: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Create("i-1", Spec{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second guest of one id: %v", err)
	}
	if err := m.Boot(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	l, err := m.Freeze(context.Background())
	if err != nil || len(l) != 1 {
		t.Fatal(l, err)
	}
	if err := h.Export(context.Background(), io.Discard, l); err != nil {
		t.Error(err)
	}
	h.Close()
	if h, err = NewHost("none", dir, nil); err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if m, err = h.Open("i-1"); err != nil {
		t.Fatal(err)
	}
	if err := m.Remove(context.Background()); err != nil {
		t.Error(err)
	}
	if err := h.RemoveLayer(context.Background(), l[0]); err != nil {
		t.Error(err)
	}
	if _, err := NewHost("cloud", dir, nil); err == nil || !strings.Contains(err.Error(), "auto, sandbox, process or none") {
		t.Error(err)
	}
}

// inside is the host that keeps the guests of Linux.
func inside(h Host) Host {
	if w, ok := h.(*windowsHost); ok {
		return w.Host
	}
	return h
}
