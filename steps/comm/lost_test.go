package comm

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// dagTask is a task as any process has it that drives the run of the sink, which
// may be nil.
func dagTask(token string, s *fileSink) *dag.Task {
	if s == nil {
		return dag.NewTask("run", "step", token, nil, nil)
	}
	return s.keep(dag.NewTask("run", "step", token, s, nil))
}

// during runs the job and calls f once when its first line has come.
func during(t *testing.T, l *lab, j Job, f func(dir string)) (Exit, error) {
	t.Helper()
	go func() {
		for l.sink.Offset(l.task.Token, "stdout") == 0 {
			select {
			case <-t.Context().Done():
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
		f("/var/tmp/.imgf-" + j.Token)
	}()
	return l.remote.Run(t.Context(), j)
}

// A run whose end cannot be known is lost, and never started again.
func TestLost(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, s *server) {
		for what, f := range map[string]func(dir string){
			"runner killed": func(dir string) {
				b, _ := os.ReadFile(dir + "/run")
				pid, _ := strconv.Atoi(strings.Fields(string(b))[0])
				p, _ := os.FindProcess(pid)
				p.Kill()
			},
			"runner killed, directory removed": func(dir string) {
				b, _ := os.ReadFile(dir + "/run")
				exec.Command("kill", "-9", strings.Fields(string(b))[0]).Run()
				os.RemoveAll(dir)
			},
		} {
			count := filepath.Join(t.TempDir(), "count")
			l := newLab(t, s.machine())
			j := l.job("echo x >>" + count + "; echo one; printf two; sleep 5")
			_, err := during(t, l, j, f)
			var lost *LostError
			if !errors.As(err, &lost) {
				t.Errorf("%s: %v", what, err)
			}
			if _, err = l.remote.Run(t.Context(), j); !errors.As(err, &lost) {
				t.Errorf("%s, again: %v", what, err)
			}
			if b, _ := os.ReadFile(count); string(b) != "x\n" {
				t.Errorf("%s: started %d times", what, len(b)/2)
			}
			if d := left(j.Token); d != nil {
				t.Errorf("%s: left on the machine: %v", what, d)
			}
		}
	})
}

// A changed boot id says that the machine rebooted.
func TestRebooted(t *testing.T) {
	s := sshd(t, "dash")
	boot := filepath.Join(t.TempDir(), "boot")
	os.WriteFile(boot, []byte("aaaa\n"), 0o644)
	defer func(old string) { place.boot = old }(place.boot)
	place.boot = boot
	for what, f := range map[string]func(dir string){
		"directory there": func(string) {},
		"directory gone":  func(dir string) { os.RemoveAll(dir) },
		"record gone":     func(dir string) { os.Remove(dir + "/run") },
		"record empty":    func(dir string) { os.Truncate(dir+"/run", 0) },
	} {
		os.WriteFile(boot, []byte("aaaa\n"), 0o644)
		l := newLab(t, s.machine())
		j := l.job("echo one; exec sleep 10")
		x, err := during(t, l, j, func(dir string) {
			os.WriteFile(boot, []byte("bbbb\n"), 0o644)
			f(dir)
			l.env.drop(s.machine())
		})
		if err != nil || !x.Rebooted {
			t.Errorf("%s: %+v %v", what, x, err)
		}
		if x, err := l.remote.Run(t.Context(), j); err != nil || !x.Rebooted {
			t.Errorf("%s, again: %+v %v", what, x, err)
		}
		if l.lines(t, "stdout") != "one\n" {
			t.Errorf("%s: %q", what, l.lines(t, "stdout"))
		}
		if d := left(j.Token); d != nil {
			t.Errorf("%s: left on the machine: %v", what, d)
		}
	}
}

// carriers are the processes that carry the run's cookie.
func carriers(token string) (pids []int) {
	fs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range fs {
		if b, _ := os.ReadFile(f); strings.Contains(string(b), "IMGFLOW_RUN="+token) {
			pid, _ := strconv.Atoi(strings.Split(f, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestCancel(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, s *server) {
		l := newLab(t, s.machine())
		j := l.job(`trap '' TERM; setsid sh -c 'trap "" TERM; sleep 61; sleep 62' & sleep 63 & echo ready; sleep 64; sleep 65`)
		j.Become = "env"
		cancelled := make(chan error, 1)
		x, err := during(t, l, j, func(string) { cancelled <- l.remote.Cancel(context.Background(), j) })
		if err != nil || x.Code == 0 {
			t.Error(x, err)
		}
		if err := <-cancelled; err != nil {
			t.Error(err)
		}
		for range 1000 {
			if len(carriers(j.Token)) == 0 {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if p := carriers(j.Token); p != nil {
			t.Errorf("still running: %v", p)
		}
		if err := l.remote.Cancel(t.Context(), j); err != nil {
			t.Errorf("again: %v", err)
		}
	})
}

// A cancelled context leaves the run alone; the next caller finds it.
func TestSuspended(t *testing.T) {
	t.Parallel()
	s := sshd(t, "dash")
	l := newLab(t, s.machine())
	goOn := filepath.Join(t.TempDir(), "go")
	j := l.job("echo one; k=0; while [ ! -e " + goOn + " ] && [ $k -lt 600 ]; do sleep .05; k=$((k+1)); done; echo two; exit 6")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for l.sink.Offset(l.task.Token, "stdout") == 0 {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	if _, err := l.remote.Run(ctx, j); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := os.WriteFile(goOn, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if x := l.mustRun(t, j); x != (Exit{Code: 6}) || l.lines(t, "stdout") != "one\ntwo\n" {
		t.Error(x, l.lines(t, "stdout"))
	}
}

// A daemon that keeps the streams open does not hold the run up, and lives on.
func TestDaemon(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, s *server) {
		l := newLab(t, s.machine())
		j := l.job("(k=0; while [ $k -lt 600 ] && sleep 0.05; do k=$((k+1)); echo noise || exit; done) & sleep 0.2; echo last; exit 5")
		if x := l.mustRun(t, j); x != (Exit{Code: 5}) || !strings.Contains(l.lines(t, "stdout"), "last\n") {
			t.Error(x, l.lines(t, "stdout"))
		}
		time.Sleep(200 * time.Millisecond)
		p := carriers(j.Token)
		if len(p) == 0 {
			t.Error("the daemon died")
		}
		for _, pid := range p {
			if p, err := os.FindProcess(pid); err == nil {
				p.Kill()
			}
		}
	})
}

// A full disk costs output, and neither the command nor its exit status.
func TestDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root to mount a small file system")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m,mode=1777", "none", dir).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: cannot mount a small file system: %s", out)
	}
	defer exec.Command("umount", "-l", dir).Run()
	defer func(old string) { place.base = old }(place.base)
	place.base = dir
	for _, name := range shells {
		l := newLab(t, sshd(t, name).machine())
		j := l.job("seq 1 400000; exit 9")
		if x := l.mustRun(t, j); x != (Exit{Code: 9, Truncated: true}) {
			t.Errorf("%s: %+v", name, x)
		}
		if got := l.lines(t, "stdout"); !strings.HasPrefix(got, "1\n2\n3\n") || len(got) > 2<<20 {
			t.Errorf("%s: %d bytes kept", name, len(got))
		}
		l = newLab(t, sshd(t, name).machine())
		j = l.job("exit 0 #" + strings.Repeat("x", 2<<20))
		if _, err := l.remote.Run(t.Context(), j); err == nil || !strings.Contains(err.Error(), "cannot be stored") {
			t.Errorf("%s: a script too big for the disk: %v", name, err)
		}
		if m, _ := filepath.Glob(dir + "/.imgf-*/script*"); m != nil {
			t.Errorf("%s: left: %v", name, m)
		}
	}
}

func TestNoexec(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root to mount a file system")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "noexec,size=1m,mode=1777", "none", dir).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: cannot mount a file system: %s", out)
	}
	defer exec.Command("umount", "-l", dir).Run()
	defer func(old string) { place.base = old }(place.base)
	place.base = dir
	for _, name := range []string{"dash", "bash"} {
		l := newLab(t, sshd(t, name).machine())
		j := l.job("echo ran; exit 3")
		if x := l.mustRun(t, j); x != (Exit{Code: 3}) {
			t.Errorf("%s: %+v %s", name, x, l.lines(t, "stderr"))
		}
		if d := left(j.Token); d != nil {
			t.Errorf("left: %v", d)
		}
	}
}

// A reboot between the claim of a run and its beginning: it never ran, so it is
// started again, and runs once.
func TestRebootedBeforeItBegan(t *testing.T) {
	s := sshd(t, "dash")
	boot := filepath.Join(t.TempDir(), "boot")
	defer func(old string) { place.boot = old }(place.boot)
	place.boot = boot
	os.WriteFile(boot, []byte("bbbb\n"), 0o644)
	l := newLab(t, s.machine())
	j := l.job("echo one")
	dir := filepath.Join("/var/tmp", ".imgf-"+j.Token)
	if err := os.MkdirAll(filepath.Join(dir, "claim.aaaa"), 0o711); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfifo", filepath.Join(dir, "o"), filepath.Join(dir, "e"), filepath.Join(dir, "d")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	os.WriteFile(filepath.Join(dir, "fail.aaaa"), []byte("no luck\n"), 0o600)
	x, err := l.remote.Run(t.Context(), j)
	if err != nil || x != (Exit{}) {
		t.Errorf("%+v %v", x, err)
	}
	if got := l.lines(t, "stdout"); got != "one\n" {
		t.Errorf("%q", got)
	}
	if d := left(j.Token); d != nil {
		t.Errorf("left on the machine: %v", d)
	}
}

// cell prepares the directory of a run, with the boot id of a machine that has
// none of its processes any more.
func cell(t *testing.T, token string, files map[string]string) {
	t.Helper()
	dir := "/var/tmp/.imgf-" + token
	t.Cleanup(func() { os.RemoveAll(dir) })
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o711); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A runner that was claimed in this boot and does not begin is lost.
func TestNeverBegan(t *testing.T) {
	s := sshd(t, "dash")
	defer func(old int) { place.late = old }(place.late)
	place.late = 3
	b, err := os.ReadFile(place.boot)
	if err != nil {
		missing(t, "a boot id")
	}
	l := newLab(t, s.machine())
	j := l.job("echo one")
	cell(t, j.Token, map[string]string{"claim." + strings.TrimSpace(string(b)) + "/x": ""})
	if err := l.remote.Cancel(t.Context(), j); err == nil || !strings.Contains(err.Error(), `"L late"`) {
		t.Errorf("cancel: %v", err)
	}
	var lost *LostError
	if _, err := l.remote.Run(t.Context(), j); !errors.As(err, &lost) || !strings.Contains(err.Error(), "not begun after 3 s") {
		t.Error(err)
	}
	if d := left(j.Token); d != nil {
		t.Errorf("left on the machine: %v", d)
	}
}

// After a reboot the process ids of a run are others'.
func TestCancelRebooted(t *testing.T) {
	s := sshd(t, "dash")
	boot := filepath.Join(t.TempDir(), "boot")
	defer func(old string) { place.boot = old }(place.boot)
	place.boot = boot
	os.WriteFile(boot, []byte("bbbb\n"), 0o644)
	if _, err := exec.LookPath("setsid"); err != nil {
		missing(t, "setsid")
	}
	other := exec.Command("setsid", "sleep", "30")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { other.Wait(); close(ended) }()
	l := newLab(t, s.machine())
	j := l.job("echo one")
	pid := strconv.Itoa(other.Process.Pid)
	cell(t, j.Token, map[string]string{"claim.aaaa/x": "", "run": pid + " 1 aaaa .\n", "main": pid + " .\n", "st": "-\n", "out": "", "err": ""})
	if err := l.remote.Cancel(t.Context(), j); err != nil {
		t.Error(err)
	}
	select {
	case <-ended:
		t.Error("somebody else's process was killed")
	case <-time.After(200 * time.Millisecond):
	}
	other.Process.Kill()
	<-ended
}

// A run that is cancelled when nobody follows it any more leaves nothing on the
// machine, is not lost, and never starts again.
func TestCancelUnfollowed(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, s *server) {
		count := filepath.Join(t.TempDir(), "count")
		l := newLab(t, s.machine())
		j := l.job("echo x >>" + count + "; echo one; sleep 30; echo late")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			for l.sink.Offset(l.task.Token, "stdout") == 0 && t.Context().Err() == nil {
				time.Sleep(5 * time.Millisecond)
			}
			cancel()
		}()
		if _, err := l.remote.Run(ctx, j); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err := l.remote.Cancel(t.Context(), j); err != nil {
			t.Error(err)
		}
		if d := left(j.Token); d != nil {
			t.Errorf("left on the machine: %v", d)
		}
		if x, err := l.remote.Run(t.Context(), j); err != nil || x.Code != 143 {
			t.Errorf("afterwards: %+v %v", x, err)
		}
		if b, _ := os.ReadFile(count); string(b) != "x\n" || l.lines(t, "stdout") != "one\n" {
			t.Errorf("started %d times, printed %q", len(b)/2, l.lines(t, "stdout"))
		}
		// One that was never started stays so.
		j.Token += "-2"
		if err := l.remote.Cancel(t.Context(), j); err != nil || left(j.Token) != nil {
			t.Errorf("never started: %v %v", err, left(j.Token))
		}
		if b, _ := os.ReadFile(count); string(b) != "x\n" {
			t.Error("it was started to be cancelled")
		}
	})
}
