//go:build unix

package cli

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLiveViewInTmux changes the window of a terminal that breaks its lines anew:
// the frame is there once, whatever was broken, and each step is told of once.
func TestLiveViewInTmux(t *testing.T) {
	d := newDesk(t)
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("NOT TESTED: the live view where lines are broken anew: tmux is not installed")
	}
	socket := filepath.Join(d.dir, "tmux")
	tmux := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("tmux", append([]string{"-S", socket, "-f", "/dev/null"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run := d.command("run", "--local", "slow.json")
	line := fmt.Sprintf("exec -a imgflow '%s' run --local slow.json; echo ended $?; sleep 120", run.Path)
	start := exec.Command("tmux", "-S", socket, "-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "30", "bash", "-c", "("+strings.Replace(line, ";", ");", 1))
	start.Dir, start.Env = run.Dir, append(run.Env, "CI=", "BUILD_NUMBER=", "TEAMCITY_VERSION=", "TF_BUILD=")
	if out, err := start.CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: the live view where lines are broken anew: tmux does not start: %v\n%s", err, out)
	}
	t.Cleanup(func() { exec.Command("tmux", "-S", socket, "kill-server").Run() })
	shown := func() string { return tmux("capture-pane", "-p", "-J", "-S", "-") }
	until := func(text string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !strings.Contains(shown(), text); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%q does not come:\n%s", text, shown())
			}
		}
	}
	until("╰ line 10")
	for _, size := range [][2]string{{"50", "12"}, {"160", "40"}, {"30", "6"}, {"60", "15"}} {
		tmux("resize-window", "-x", size[0], "-y", size[1])
		time.Sleep(3 * 125 * time.Millisecond) // for some turns of the frame
		got := shown()
		if strings.Count(got, "╰ line 10") != 1 || strings.Count(got, " steps") != 1 || strings.Count(got, "web: Run an") != 1 {
			t.Errorf("%s×%s:\n%s", size[0], size[1], got)
		}
	}
	d.goOn.Store(true)
	until("ended 0")
	got := shown()
	for _, want := range []string{"==> web: Check the access", "==> web: Launch t3.micro", "==> web: Run an inline shell script", "==> web: Wait until the image is ready", "==> Steps: "} {
		if strings.Count(got, want) != 1 {
			t.Errorf("%q is there %d times:\n%s", want, strings.Count(got, want), got)
		}
	}
	if strings.Contains(got, "╰") || strings.Contains(got, " running") {
		t.Errorf("something of the frame is left:\n%s", got)
	}
}
