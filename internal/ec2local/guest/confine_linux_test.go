package guest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestConfined tries, as root of a guest, what would reach the host: each line of
// docs/local.md about what is contained.
func TestConfined(t *testing.T) {
	eachIDs(t, testConfined)
}

func testConfined(t *testing.T, h Host) {
	g := launch(t, h, spec(nil))

	// The host's settings: readable, and of no guest's to write.
	before, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		t.Fatal(err)
	}
	g.sh("root", "cat /proc/sys/kernel/ostype", "0 Linux")
	if out, code := g.run("root", "echo '|/tmp/evil' >/proc/sys/kernel/core_pattern"); code == 0 {
		t.Errorf("core_pattern was written: %s", out)
		os.WriteFile("/proc/sys/kernel/core_pattern", before, 0)
	}
	g.sh("root", "find /proc/sys /proc/irq /proc/bus /proc/fs /proc/sysrq-trigger -writable ! -type l ! -path '*boot_id' 2>/dev/null | head -3", "0 ")
	g.sh("root", "mount -o remount,rw /proc/sys 2>/dev/null || umount /proc/sys 2>/dev/null", "32 ")
	g.sh("root", "cat /proc/sys/kernel/random/boot_id | wc -c", "0 37")

	// The host's memory, log and keys.
	for _, name := range procHidden {
		g.sh("root", "p=/proc/"+name+"; if test -d $p; then ls $p | wc -l; elif test -e $p; then head -c 1 $p 2>/dev/null | wc -c; else echo 0; fi", "0 0")
	}
	python := func(code, want string) {
		t.Helper()
		g.sh("root", "/usr/bin/python3 -c '"+code+"' 2>&1 | tail -1", "0 "+want)
	}
	for _, calls := range closed[runtime.GOARCH] {
		if calls[0] > 280 { // of 32-bit programs
			continue
		}
		for _, nr := range calls {
			python(fmt.Sprintf("import ctypes; l = ctypes.CDLL(None, use_errno=True); print(l.syscall(%d, 0, 0, 0, 0), ctypes.get_errno())", nr), "-1 1")
		}
	}

	// The network is the host's; its traffic is not for guests.
	for _, family := range []string{"socket.AF_PACKET, socket.SOCK_RAW, 768", "socket.AF_INET, socket.SOCK_RAW, 1"} {
		python("import socket; socket.socket("+family+")", "PermissionError: [Errno 1] Operation not permitted")
	}

	// Devices, modules, mounts, and the time.
	g.sh("root", "mknod /tmp/sda b 8 0 2>/dev/null", "1 ")
	g.sh("root", "mount -t tmpfs x /mnt 2>/dev/null", "32 ")
	g.sh("root", "date -s @0 >/dev/null 2>&1; date +%Y | grep -c 1970", "1 0")
	g.sh("root", "chroot / true", "0 ") // what stays, as package managers need it
	if !one(h) {
		g.sh("ubuntu", "sudo -n id -u", "0 0")
	}
}

// TestLimits: what a guest may take of the host is bounded where there are
// control groups that the server may make.
// The groups of one boot are nobody else's: not those of the guest's next boot, nor
// those of a guest with the same id on another server.
func TestLimitsAreOfOneBoot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "i-1")
	first := newCgroup(dir)
	if len(first) == 0 {
		if detectIDs() == rootIDs {
			missing(t, "this host lets nobody make control groups")
		}
		t.Skip("NOT TESTED: an ordinary user has no control groups of their own here")
	}
	namesake := newCgroup(filepath.Join(t.TempDir(), "i-1"))
	defer namesake.remove()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	if err := first.add(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	next := newCgroup(dir)
	defer next.remove()
	cmd.Process.Kill()
	cmd.Wait()
	eventually(t, "the first boot's groups are gone", func() bool {
		first.remove()
		return !slices.ContainsFunc(first, isDir)
	})
	for _, c := range []cgroup{namesake, next} {
		for _, dir := range c {
			if !isDir(dir) {
				t.Errorf("%s went with the first boot's", dir)
			}
		}
	}
	newCgroup(dir).remove()
	if slices.ContainsFunc(next, isDir) {
		t.Errorf("%v is left of a server that was killed", next)
	}
}

func TestLimits(t *testing.T) {
	h := newHost(t, "sandbox")
	g := launch(t, h, spec(nil))
	groups := cgroupsOf(t, g)
	if len(groups) == 0 {
		if detectIDs() == rootIDs {
			missing(t, "this host lets nobody make control groups")
		}
		t.Skip("NOT TESTED: an ordinary user has no control groups of their own here")
	}
	pids, memory := "", ""
	for _, dir := range groups {
		if b, err := os.ReadFile(filepath.Join(dir, "pids.max")); err == nil {
			pids = dir
			if got := strings.TrimSpace(string(b)); got != fmt.Sprint(maxProcesses) {
				t.Errorf("%s processes are allowed, want %d", got, maxProcesses)
			}
		}
		for _, f := range []string{"memory.max", "memory.limit_in_bytes"} {
			if b, err := os.ReadFile(filepath.Join(dir, f)); err == nil {
				memory = strings.TrimSpace(string(b))
			}
		}
	}
	if pids == "" || memory == "" || memory == "max" {
		t.Fatalf("limits of %v: processes %q, memory %q", groups, pids, memory)
	}
	// The limit holds all that runs in the guest: a small one, above what the booted
	// guest has, ends a fork bomb.
	g.run("root", "cloud-init status --wait")
	var now int
	if b, err := os.ReadFile(filepath.Join(pids, "pids.current")); err != nil {
		t.Fatal(err)
	} else if _, err := fmt.Sscan(string(b), &now); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(pids, "pids.max"), []byte(fmt.Sprint(now+40)), 0); err != nil {
		t.Fatal(err)
	}
	out, _ := g.run("root", "for i in $(seq 100); do sleep 3 >/dev/null 2>&1 & done; wait")
	if out2, code := g.run("root", "true"); code != 0 {
		t.Errorf("afterwards the guest is gone: %s", out2)
	}
	t.Logf("a fork bomb says %.200q", out)
	if b, err := os.ReadFile(filepath.Join(pids, "pids.events")); err != nil || strings.HasPrefix(string(b), "max 0") {
		t.Errorf("the limit did not hold: %s, %v", b, err)
	}
	g.stop()
	for _, dir := range groups {
		eventually(t, "the end of the groups", func() bool { _, err := os.Stat(dir); return os.IsNotExist(err) })
	}
}

// cgroupsOf are the control groups of a guest, as the host sees them.
func cgroupsOf(t *testing.T, g *guestT) (dirs []string) {
	t.Helper()
	for _, parent := range cgroupParents() {
		m := g.Machine.(*sandboxMachine)
		found, err := filepath.Glob(filepath.Join(parent, cgroupPrefix(m.h.s.guest(m.id))+"*"))
		if err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, found...)
	}
	return dirs
}
