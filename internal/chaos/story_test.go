package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCounterSurvivesKill: a script prints a counter; imgflow is killed with -9
// and resumed later. Every line stands exactly once in the log, and the script
// ran once.
func TestCounterSurvivesKill(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	ticks, pace, away := scaled(60, 60), scaled(100*time.Millisecond, time.Second), scaled(2*time.Second, 20*time.Second)
	s.template(nil,
		inline("echo once >> ~/ran", fmt.Sprintf("i=0; while [ $i -lt %d ]; do i=$((i+1)); echo \"tick <$i>\"; sleep %.1f; done", ticks, pace.Seconds())),
		inline(`test "$(cat ~/ran)" = once`),
	)
	p := s.begin(nil, "run", "t.json")
	s.hears(p, "tick <10>")
	machine := s.machine()
	s.kill(p)
	time.Sleep(away)
	s.must("resume")
	log := s.must("logs")
	for i := 1; i <= ticks; i++ {
		if n := count(log, fmt.Sprintf("tick <%d>", i)); n != 1 {
			t.Errorf("line %d stands %d times in the log", i, n)
		}
	}
	if all := s.things().of("instance"); len(all) != 1 || all[0].ID != machine {
		t.Errorf("the build did not go on with %s: %v", machine, all)
	}
	s.leaves(1)
}

// TestResetInProvisioner: the connection is cut several times in the middle of
// a script and of an upload. The build goes on by itself.
func TestResetInProvisioner(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	cut := newCutter(t, s)
	s.file("big.bin", strings.Repeat("0123456789abcdef", 1<<20))
	s.template(map[string]any{"ssh_host": "127.0.0.1", "ssh_port": cut.at()},
		map[string]any{"type": "file", "source": "big.bin", "destination": "/tmp/big.bin"},
		inline("test $(wc -c < /tmp/big.bin) = 16777216", "echo once >> ~/ran", `i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo "tick <$i>"; sleep 0.1; done`),
		inline(`test "$(cat ~/ran)" = once`),
	)
	cut.limit(2 << 20) // the upload is cut, too
	p := s.begin(nil, "run", "t.json")
	s.hears(p, "tick <1>")
	for i := range 3 {
		s.hears(p, fmt.Sprintf("tick <%d>", 5+10*i))
		cut.now()
	}
	s.ends(p, 0)
	if cut.count() < 4 {
		t.Errorf("only %d connections were cut", cut.count())
	}
	log := s.must("logs")
	for i := 1; i <= 40; i++ {
		if n := count(log, fmt.Sprintf("tick <%d>", i)); n != 1 {
			t.Errorf("line %d stands %d times in the log", i, n)
		}
	}
	s.leaves(1)
}

// TestFixAndResume: the third of four scripts fails, is mended, and resume runs
// the third and the fourth only, on the same instance.
func TestFixAndResume(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for i := 1; i <= 4; i++ {
		s.file(fmt.Sprintf("%d.sh", i), fmt.Sprintf("echo 'ran <%d>'\necho %d >> ~/ran\n", i, i))
	}
	s.file("3.sh", "echo broken\nexit 7\n")
	s.template(nil, script("1.sh"), script("2.sh"), script("3.sh"), script("4.sh"), inline(`test "$(echo $(cat ~/ran))" = "1 2 3 4"`))
	out := s.fails(1, "run", "-on-error=suspend", "t.json")
	if !strings.Contains(out, "exited with status 7") {
		t.Errorf("it does not say why:\n%s", indent(out))
	}
	machine := s.machine()
	s.file("3.sh", "echo mended\necho 3 >> ~/ran\n")
	out = s.must("resume")
	for text, n := range map[string]int{"ran <1>": 0, "ran <2>": 0, "mended": 1, "ran <4>": 1} {
		if count(out, text) != n {
			t.Errorf("%q stands %d times in the output of resume, not %d:\n%s", text, count(out, text), n, indent(out))
		}
	}
	if all := s.things().of("instance"); len(all) != 1 || all[0].ID != machine {
		t.Errorf("it did not go on with %s: %v", machine, all)
	}
	s.leaves(1)
}

// TestEditOfAppliedStep: what the machine already has is edited, so it is made
// again, and imgflow says so before it does it.
func TestEditOfAppliedStep(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.file("1.sh", "echo 'ran <1>'\n")
	s.file("2.sh", "exit 7\n")
	s.template(nil, script("1.sh"), script("2.sh"))
	s.fails(1, "run", "-on-error=suspend", "t.json")
	machine := s.machine()
	s.file("1.sh", "echo 'ran <other>'\n")
	s.file("2.sh", "echo 'ran <2>'\n")
	out := s.must("resume")
	said, did := strings.Index(out, machine+" is removed and made again"), strings.Index(out, "ran <other>")
	if said < 0 || did < said || count(out, "ran <2>") != 1 {
		t.Errorf("it does not say first that it rebuilds, or does not do so:\n%s", indent(out))
	}
	if n := s.launched(); n != 2 {
		t.Errorf("there were %d instances, not 2", n)
	}
	s.leaves(1)
}

// TestOrphans: a build is killed and its state deleted. By tags alone all of it
// is found and removed, and a build that runs beside it is left alone.
func TestOrphans(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	wake := newBell(t)
	s.template(nil, wake.wait())
	p := s.begin(nil, "run", "t.json")
	s.hears(p, "napping")
	lost := s.machine()
	s.kill(p)
	if err := os.RemoveAll(s.home()); err != nil {
		t.Fatal(err)
	}
	beside := s.begin(nil, "run", "t.json")
	s.hears(beside, "napping")
	before := s.things()

	out := s.must("destroy", "--orphans", "--region", region, "--yes")
	if !strings.Contains(out, "No orphans") {
		t.Errorf("a lease that holds was not honoured:\n%s", indent(out))
	}
	s.must("destroy", "--orphans", "--older-than", "0s", "--region", region, "--yes")
	inv := s.things()
	if living := inv.living(); len(living) != 1 || living[0].ID == lost {
		t.Errorf("there live %v, and %s was the orphan", living, lost)
	}
	if was, is := len(before.of("security-group")), len(inv.of("security-group")); is != was-1 {
		t.Errorf("%d groups of %d are left", is, was)
	}
	wake.ring(t)
	s.ends(beside, 0)
	s.leaves(1)
}

// TestInterruptIsPrompt: an interrupt during a long wait is answered at
// once, while the wait would go on, ends with 130, and the command that it prints works as printed.
func TestInterruptIsPrompt(t *testing.T) {
	t.Parallel()
	s := newStage(t, "--latency", "image=30s")
	s.template(map[string]any{"communicator": "none"})
	p := s.begin(nil, "run", "t.json")
	s.hears(p, "waiting until ami-")
	p.signal(syscall.SIGINT)
	s.hears(p, "Interrupted")
	out := s.ends(p, 130)
	if images := s.things().of("image"); len(images) != 1 || images[0].State != "pending" {
		t.Errorf("it has waited: %v", images)
	}
	id := s.only()
	command := ""
	for l := range strings.Lines(out) {
		if _, c, ok := strings.Cut(l, "Go on with it:"); ok {
			command = strings.TrimSpace(c)
		}
	}
	words := strings.Fields(command)
	if len(words) < 3 || words[0] != "imgflow" || words[2] != id {
		t.Fatalf("it printed %q as the command that goes on", command)
	}
	machine := s.machine()
	again := s.begin(nil, words[1:]...)
	s.hears(again, "waiting until ami-")
	s.ends(again, 0)
	if all := s.things().of("instance"); len(all) != 1 || all[0].ID != machine {
		t.Errorf("it did not go on with %s: %v", machine, all)
	}
	s.leaves(1)
}

// TestSecondInterrupt: a second interrupt ends imgflow at once, and loses
// nothing.
func TestSecondInterrupt(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	wake := newBell(t)
	s.template(nil, wake.wait())
	p := s.begin(nil, "run", "t.json")
	s.hears(p, "napping")
	p.signal(syscall.SIGINT)
	p.signal(syscall.SIGINT)
	s.ends(p, 130) // while the script waits
	wake.ring(t)
	s.must("resume")
	if n := count(s.must("logs"), "awake"); n != 1 {
		t.Errorf("the script's line stands %d times in the log", n)
	}
	s.leaves(1)
}

// TestTwoResumes: of two resumes of one run at once, the second says who has it.
func TestTwoResumes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	wake := newBell(t)
	s.template(nil, wake.wait())
	p := s.begin(nil, "run", "t.json")
	s.hears(p, "napping")
	s.kill(p)
	id := s.only()
	one := s.begin(nil, "resume", id)
	s.hears(one, "Run "+id)
	s.hears(one, "running inline") // so it is known as driven
	for _, args := range [][]string{{"resume", id}, {"resume"}, {"destroy", "--yes", id}, {"destroy", "--yes"}} {
		out := s.fails(1, args...)
		if !strings.Contains(out, fmt.Sprintf("process %d", one.cmd.Process.Pid)) {
			t.Errorf("%s does not say who has the run:\n%s", args, indent(out))
		}
	}
	wake.ring(t)
	s.ends(one, 0)
	s.leaves(1)
}

// TestCorruptState: a damaged state file is named, nothing panics, and what it
// knew of is found by its tags.
func TestCorruptState(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.template(nil, inline("echo napping", "sleep 60"))
	p := s.begin(nil, "run", "t.json")
	s.hears(p, "napping")
	s.kill(p)
	id := s.only()
	db := filepath.Join(s.home(), "runs", id, "state.db")
	whole, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	damage := map[string]func() []byte{
		"empty":        func() []byte { return nil },
		"cut short":    func() []byte { return whole[:10000] },
		"zeroes":       func() []byte { return make([]byte, len(whole)) },
		"other bytes":  func() []byte { return []byte(strings.Repeat("not a database\n", 1000)) },
		"scrambled":    func() []byte { return scrambled(whole) },
		"head missing": func() []byte { return append(make([]byte, 8192), whole[8192:]...) },
	}
	for name, bytes := range damage {
		if err := os.WriteFile(db, bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"resume", id}, {"destroy", id, "--yes"}} {
			out := s.fails(1, args...)
			if !strings.Contains(out, db) || !strings.Contains(out, "--orphans") || strings.Contains(out, "goroutine ") {
				t.Errorf("%s, %s: it prints\n%s", name, args[0], indent(out))
			}
		}
		if out := s.must("list"); !strings.Contains(out, id) {
			t.Errorf("%s: the run is not listed:\n%s", name, indent(out))
		}
	}
	s.must("destroy", "--orphans", "--older-than", "0s", "--region", region, "--yes")
	s.leaves(0)
}

// scrambled spoils every page but those that a database begins with.
func scrambled(p []byte) []byte {
	q := append([]byte{}, p...)
	for i := 4 * 4096; i < len(q); i += 512 {
		q[i] ^= 0x5a
	}
	for i := 8192; i+16 < 4*4096 && i+16 < len(q); i += 64 {
		q[i+16] ^= 0xff
	}
	return q
}

// TestLostReplies: every third reply is lost after the call had its effect. What
// was made is adopted, and made once.
func TestLostReplies(t *testing.T) {
	t.Parallel()
	s := newStage(t, "--fault", "lostreply=0.34,seed=5")
	s.template(map[string]any{"ami_regions": []string{"eu-west-1"}, "tags": map[string]string{"a": "b"}}, inline("echo here"))
	s.must("run", "t.json")
	if n := s.launched(); n != 1 {
		t.Errorf("%d instances were launched", n)
	}
	s.leaves(2)
}

// TestInstanceGone: the instance is terminated behind the back of a suspended
// run. It is launched again, and only what was on it is done again.
func TestInstanceGone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	wake := newBell(t)
	s.template(nil, inline("echo 'ran <1>'"), wake.wait())
	p := s.begin(nil, "run", "t.json")
	s.hears(p, "napping")
	s.kill(p)
	if err := s.terminate(context.Background(), s.machine()); err != nil {
		t.Fatal(err)
	}
	wake.ring(t)
	out := s.must("resume")
	if count(out, "ran <1>") != 1 {
		t.Errorf("the first script did not run on the new machine:\n%s", indent(out))
	}
	if n := s.launched(); n != 2 {
		t.Errorf("there were %d instances, not 2", n)
	}
	s.leaves(1)
}

// TestRebootBetween: the machine reboots while imgflow is dead and no script
// runs. The build goes on on the same machine.
func TestRebootBetween(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.file("2.sh", "exit 7\n")
	s.template(nil, inline("echo 1 >> ~/ran"), script("2.sh"), inline(`test "$(cat ~/ran)" = 1`))
	s.fails(1, "run", "-on-error=suspend", "t.json")
	if err := s.reboot(context.Background(), s.machine()); err != nil {
		t.Fatal(err)
	}
	s.file("2.sh", "echo fine\n")
	s.must("resume")
	if n := s.launched(); n != 1 {
		t.Errorf("there were %d instances", n)
	}
	s.leaves(1)
}

// TestKilledDestroy: a destroy that is killed again and again ends when it is
// repeated.
func TestKilledDestroy(t *testing.T) {
	t.Parallel()
	s := newStage(t, "--latency", "aws/100")
	s.template(nil, inline("exit 7"))
	s.fails(1, "run", "-on-error=suspend", "t.json")
	id := s.only()
	for n := 1; n < 20; n += scaled(6, 1) {
		p := s.begin([]string{fmt.Sprintf("IMGFLOW_CRASH_AT=%d:%s", n, []string{"before", "after"}[n%2])}, "destroy", id, "--yes")
		if err := p.wait(patience); err != nil {
			t.Fatal(err)
		}
	}
	s.must("destroy", id, "--yes")
	s.leaves(0)
}

// TestInterruptDestroy: a destroy that is interrupted says so with 130, and
// touches no further run; repeated, it ends.
func TestInterruptDestroy(t *testing.T) {
	t.Parallel()
	s := newStage(t, "--latency", "aws/10")
	s.template(map[string]any{"ami_name": "story-{{uuid}}"}, inline("exit 7"))
	for range 2 {
		s.fails(1, "run", "-on-error=suspend", "t.json")
	}
	p := s.begin(nil, "destroy", "--all", "--yes")
	s.hears(p, "Removing instance")
	p.signal(syscall.SIGTERM)
	out := s.ends(p, 130)
	if n := count(out, "Removing instance"); n != 1 || len(s.things().living()) == 0 {
		t.Errorf("it went on with the next run:\n%s", indent(out))
	}
	s.must("destroy", "--all", "--yes")
	s.leaves(0)
}

// TestFailureCleansUp: by default a failed build leaves nothing.
func TestFailureCleansUp(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.template(nil, inline("exit 7"))
	s.fails(1, "run", "t.json")
	s.leaves(0)
}

// TestKilledErrorCleanup: imgflow is killed with -9 while a failed build is cleaned up on
// its machine. Whatever goes on with the run, the script that runs there is followed to
// its end before the machine goes, and a resume builds on another one.
func TestKilledErrorCleanup(t *testing.T) {
	t.Parallel()
	for _, then := range []string{"destroy", "resume"} {
		s := newStage(t)
		s.template(nil, inline("test -e ~/never"))
		s.cleaning("for i in 1 2 3 4 5 6 7 8 9; do echo \"tick <$i>\"; sleep 0.3; done")
		p := s.begin(nil, "run", "t.json")
		s.hears(p, "tick <2>")
		s.kill(p)
		first := s.machine()
		if then == "destroy" {
			s.must("destroy", s.only(), "--yes")
		} else {
			s.template(nil, inline("true"))
			s.cleaning("echo never")
			s.must("resume")
		}
		log := s.must("logs")
		for i := 1; i <= 9; i++ {
			if n := count(log, fmt.Sprintf("tick <%d>", i)); n != 1 {
				t.Errorf("%s: line %d stands %d times in the log", then, i, n)
			}
		}
		if strings.Contains(log, "never") {
			t.Errorf("%s: cleaned up after a good build:\n%s", then, indent(log))
		}
		if then == "resume" && (s.launched() != 2 || s.things().of("instance")[0].ID != first && s.things().of("instance")[1].ID != first) {
			t.Errorf("the build went on with the machine that was cleaned up")
		}
		s.leaves(map[string]int{"destroy": 0, "resume": 1}[then])
	}
}

// TestKilledBeforeTheLastWord: imgflow is killed with -9 while the script runs that stops the
// machine as its last act. The resume finds it at rest, and makes the image.
func TestKilledBeforeTheLastWord(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.template(map[string]any{"disable_stop_instance": true},
		inline("echo 'tick <1>'", "sleep 1", "sudo poweroff", "sleep 60"))
	p := s.begin(nil, "run", "t.json")
	s.hears(p, "tick <1>")
	s.kill(p)
	for until := time.Now().Add(patience); s.things().of("instance")[0].State != "stopped"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the machine does not stop")
		}
	}
	if out := s.must("resume"); !strings.Contains(out, "the machine has stopped") {
		t.Errorf("it does not say so:\n%s", indent(out))
	}
	if s.launched() != 1 {
		t.Error("there was another machine")
	}
	s.leaves(1)
}

// TestMaxLifetime: with --max-lifetime the instance of a build that is killed
// and never looked at again ends itself.
func TestMaxLifetime(t *testing.T) {
	if !*long && os.Getenv("CI") != "true" {
		t.Skip("NOT TESTED: an instance that ends itself: it takes two minutes; -chaos.long plays it, and so does CI")
	}
	t.Parallel()
	s := newStage(t)
	s.template(nil, inline("echo napping", "sleep 600"))
	p := s.begin(nil, "run", "--max-lifetime", "1m", "t.json")
	s.hears(p, "napping")
	machine := s.machine()
	s.kill(p)
	for start := time.Now(); time.Since(start) < 5*time.Minute; time.Sleep(time.Second) {
		for _, i := range s.things().of("instance") {
			if i.ID == machine && i.State == "terminated" {
				return
			}
		}
	}
	t.Errorf("%s did not end itself", machine)
}

// TestKillInUpload: imgflow is killed in the middle of an upload. Resume sends
// the file again, whole.
func TestKillInUpload(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	cut := newCutter(t, s)
	s.file("big.bin", strings.Repeat("0123456789abcdef", 2<<20))
	s.template(map[string]any{"ssh_host": "127.0.0.1", "ssh_port": cut.at()},
		map[string]any{"type": "file", "source": "big.bin", "destination": "/tmp/big.bin"},
		inline("test $(wc -c < /tmp/big.bin) = 33554432"),
	)
	reached := cut.stall(8 << 20)
	p := s.begin(nil, "run", "t.json")
	select {
	case <-reached:
	case <-time.After(patience):
		t.Fatalf("the upload did not begin:\n%s", indent(p.output()))
	}
	s.kill(p)
	cut.now()
	s.must("resume")
	if n := s.launched(); n != 1 {
		t.Errorf("there were %d instances", n)
	}
	s.leaves(1)
}
