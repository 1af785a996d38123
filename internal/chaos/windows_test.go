package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// windowsTemplate writes t.json: a builder of a Windows image with a password of
// its own making and NTLM, with more options, and its provisioners.
func (s *stage) windowsTemplate(more map[string]any, provisioners ...map[string]any) {
	s.t.Helper()
	b := map[string]any{"type": "amazon-ebs", "region": region, "instance_type": "t3.micro", "ami_name": "story-{{timestamp}}"}
	(plan{Windows: &windowsPlan{}}).windows(b)
	for k, v := range more {
		b[k] = v
	}
	text, err := json.MarshalIndent(map[string]any{"builders": []any{b}, "provisioners": provisioners}, "", "  ")
	if err != nil {
		s.t.Fatal(err)
	}
	s.file("t.json", string(text))
}

func powershell(lines ...string) map[string]any {
	return map[string]any{"type": "powershell", "inline": lines}
}

var restart = map[string]any{"type": "windows-restart"}

// ticking prints lines slowly.
func ticking(n int, pace time.Duration) string {
	return fmt.Sprintf(`for ($i = 1; $i -le %d; $i++) { "tick <$i>"; Start-Sleep -Milliseconds %d }`, n, pace.Milliseconds())
}

// ticked checks that each of so many lines stands in the log once.
func (s *stage) ticked(n int) {
	s.t.Helper()
	log := s.must("logs")
	for i := 1; i <= n; i++ {
		if got := count(log, fmt.Sprintf("tick <%d>", i)); got != 1 {
			s.t.Errorf("line %d stands %d times in the log", i, got)
		}
	}
}

const (
	onceMore = `Add-Content -LiteralPath C:\ran.txt -Value once`
	ranOnce  = `if (@(Get-Content -LiteralPath C:\ran.txt) -join ',' -ne 'once') { throw 'it did not run once' }`
)

// TestWindowsCampaign plays a few seeds of the campaign with Windows images.
func TestWindowsCampaign(t *testing.T) {
	t.Parallel()
	exe := imgflow(t)
	c := &campaign{imgflow: exe, guest: "process", kind: "windows", dir: worlds(t)}
	check(t)(play(t.Context(), *workers, c.few(chosen["windows"]...), logged{t}))
}

// TestWindowsKillAtEveryCheckpoint kills a Windows build with -9 on both sides of
// its writes, then resumes, and destroys: at every write with -chaos.long.
func TestWindowsKillAtEveryCheckpoint(t *testing.T) {
	t.Parallel()
	exe := imgflow(t)
	c := &campaign{imgflow: exe, guest: "process", kind: "windows", dir: worlds(t)}
	check(t)(play(t.Context(), *workers, c.boundary(scaled(30, 1)), logged{t}))
}

// newWindowsStage makes a world in which Windows instances are real; they need
// nothing of the host.
func newWindowsStage(t *testing.T, args ...string) *stage {
	t.Helper()
	return stageOf(t, imgflow(t), append([]string{"--guest", "process"}, args...)...)
}

// TestWindowsScriptSurvivesKill: imgflow is killed with -9 while a PowerShell
// script prints, and resumed later. The script ran once, and each of its lines
// stands once in the log; so it is with an elevated one.
func TestWindowsScriptSurvivesKill(t *testing.T) {
	for name, elevate := range map[string]func(map[string]any){
		"plain":  func(map[string]any) {},
		"system": func(p map[string]any) { p["elevated_user"] = "SYSTEM" },
		"elevated": func(p map[string]any) {
			p["elevated_user"], p["elevated_password"] = "Administrator", "{{build `Password`}}"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newWindowsStage(t)
			slow := powershell(onceMore, ticking(40, 100*time.Millisecond))
			elevate(slow)
			s.windowsTemplate(nil, slow, powershell(ranOnce))
			p := s.begin(nil, "run", "t.json")
			s.hears(p, "tick <10>")
			machine := s.machine()
			s.kill(p)
			time.Sleep(scaled(time.Second, 20*time.Second))
			s.must("resume")
			s.ticked(40)
			if all := s.things().of("instance"); len(all) != 1 || all[0].ID != machine {
				t.Errorf("the build did not go on with %s: %v", machine, all)
			}
			s.leaves(1)
		})
	}
}

// TestWindowsResets: the connection is cut several times in the middle of an
// upload and of a script. The build goes on by itself.
func TestWindowsResets(t *testing.T) {
	t.Parallel()
	s := newWindowsStage(t)
	cut := cutterOf(t, s, "winrm", 5985)
	s.file("big.bin", noise(8<<20))
	s.windowsTemplate(map[string]any{"winrm_host": "127.0.0.1", "winrm_port": cut.at()},
		map[string]any{"type": "file", "source": "big.bin", "destination": `C:\big.bin`},
		powershell(`if ((Get-Item -LiteralPath C:\big.bin).Length -ne 8388608) { throw 'it is not whole' }`, onceMore, ticking(40, 100*time.Millisecond)),
		powershell(ranOnce),
	)
	cut.limit(3 << 20)
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
	s.ticked(40)
	s.leaves(1)
}

// TestWindowsKillInUpload: imgflow is killed in the middle of an upload. Resume
// sends what is missing.
func TestWindowsKillInUpload(t *testing.T) {
	t.Parallel()
	s := newWindowsStage(t)
	cut := cutterOf(t, s, "winrm", 5985)
	s.file("big.bin", noise(8<<20))
	s.windowsTemplate(map[string]any{"winrm_host": "127.0.0.1", "winrm_port": cut.at()},
		map[string]any{"type": "file", "source": "big.bin", "destination": `C:\big.bin`},
		powershell(`if ((Get-Item -LiteralPath C:\big.bin).Length -ne 8388608) { throw 'it is not whole' }`),
	)
	reached := cut.stall(4 << 20)
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

// noise is text that no archive makes small.
func noise(n int) string {
	var b strings.Builder
	for x := uint64(88172645463325252); b.Len() < n; {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b.WriteByte(byte(x >> 24))
	}
	return b.String()
}

// boots counts them on the machine.
const boots = "<persist>true</persist>\n<script>\necho booted>>C:\\boots.txt\n</script>\n"

// TestWindowsRestartSurvivesKill: imgflow is killed while the machine restarts.
// Resume waits for it, and does not restart it again.
func TestWindowsRestartSurvivesKill(t *testing.T) {
	t.Parallel()
	s := newWindowsStage(t)
	s.windowsTemplate(map[string]any{"user_data": (&windowsPlan{}).userData() + boots},
		powershell("'before'"),
		restart,
		powershell(`if (@(Get-Content -LiteralPath C:\boots.txt).Count -ne 2) { throw 'it did not boot twice' }`))
	p := s.begin(nil, "run", "t.json")
	s.hears(p, "restart")
	s.kill(p)
	s.must("resume")
	s.leaves(1)
}

// TestWindowsRebootBetween: the machine reboots while imgflow is dead and no
// script runs. The build goes on on the same machine.
func TestWindowsRebootBetween(t *testing.T) {
	t.Parallel()
	s := newWindowsStage(t)
	s.file("2.ps1", "exit 7\n")
	s.windowsTemplate(nil, powershell(onceMore), map[string]any{"type": "powershell", "script": "./2.ps1"}, powershell(ranOnce))
	s.fails(1, "run", "-on-error=suspend", "t.json")
	machine := s.machine()
	if err := s.reboot(context.Background(), machine); err != nil {
		t.Fatal(err)
	}
	s.file("2.ps1", "exit 0\n")
	s.must("resume")
	if n := s.launched(); n != 1 {
		t.Errorf("there were %d instances, and %s was the first", n, machine)
	}
	s.leaves(1)
}

// TestWindowsRebootInScript: the machine reboots under a script. The step fails
// and says so; it does not run again on its own.
func TestWindowsRebootInScript(t *testing.T) {
	t.Parallel()
	s := newWindowsStage(t)
	s.windowsTemplate(nil, powershell(onceMore, ticking(600, 100*time.Millisecond)))
	p := s.begin(nil, "run", "-on-error=suspend", "t.json")
	s.hears(p, "tick <5>")
	if err := s.reboot(context.Background(), s.machine()); err != nil {
		t.Fatal(err)
	}
	if out := s.ends(p, 1); !strings.Contains(out, "the machine rebooted while") {
		t.Errorf("it does not say why:\n%s", indent(out))
	}
	s.must("destroy", s.only(), "--yes")
	s.leaves(0)
}

// TestWindowsInstanceGone: the instance is terminated behind the back of a
// suspended run. It is launched again, with another password, and only what was
// on it is done again.
func TestWindowsInstanceGone(t *testing.T) {
	t.Parallel()
	s := newWindowsStage(t)
	s.windowsTemplate(nil, powershell("'ran <1>'"), powershell(ticking(20, 100*time.Millisecond)))
	p := s.begin(nil, "run", "t.json")
	s.hears(p, "tick <1>")
	s.kill(p)
	if err := s.terminate(context.Background(), s.machine()); err != nil {
		t.Fatal(err)
	}
	out := s.must("resume")
	if count(out, "ran <1>") != 1 {
		t.Errorf("the first script did not run on the new machine:\n%s", indent(out))
	}
	if n := s.launched(); n != 2 {
		t.Errorf("there were %d instances, not 2", n)
	}
	s.leaves(1)
}
