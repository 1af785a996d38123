package comm

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/winguest"
)

func TestWindowsRun(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	for name, c := range map[string]struct {
		job      Job
		code     int
		out, err string
	}{
		"command":     {Job{Command: `echo one& echo two>&2& exit /b 3`}, 3, "one\n", "two\n"},
		"no output":   {Job{Command: `exit 0`}, 0, "", ""},
		"wide":        {Job{Command: `exit 3010`}, 3010, "", ""},
		"wider":       {Job{Command: `exit 2300218`}, 2300218, "", ""},
		"negative":    {Job{Command: `exit -1`}, -1, "", ""},
		"access":      {Job{Command: `exit -1073741819`}, -1073741819, "", ""},
		"not found":   {Job{Command: `nosuchprogram`}, 1, "", "'nosuchprogram' is not recognized as an internal or external command,\noperable program or batch file.\n"},
		"batch":       {Job{Ext: ".bat", Script: []byte("@echo off\r\necho from batch %GREETING%\r\nexit /b 7\r\n"), Command: `"{{.Path}}"`, Env: map[string]string{"GREETING": "hällo"}}, 7, "from batch hällo\n", ""},
		"powershell":  {Job{Ext: ".ps1", Script: []byte("Write-Output \"from $env:GREETING\"\nexit 5\n"), Command: `powershell -NoProfile -File {{.Path}}`, Env: map[string]string{"GREETING": "hällo"}}, 5, "from hällo\n", ""},
		"files":       {Job{Files: map[string][]byte{"a.txt": []byte("alpha\r\n"), "empty": nil}, Command: `type "{{.Dir}}\a.txt"& type "{{.Dir}}\empty"`}, 0, "alpha\n", ""},
		"in quotes":   {Job{Command: `echo "a & b" ^& c`}, 0, "\"a & b\" & c\n", ""},
		"environment": {Job{Command: `echo %COMPUTERNAME% %USERNAME%`}, 0, "TESTER Administrator\n", ""},
		"directory":   {Job{Command: `cd`}, 0, `C:\Users\Administrator` + "\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWin(t, g.m)
			c.job.Token = w.task.Token
			x := w.mustRun(t, c.job)
			if x != (Exit{Code: c.code}) {
				t.Errorf("%+v, want code %d", x, c.code)
			}
			if out, err := w.lines(t, "stdout"), w.lines(t, "stderr"); out != c.out || err != c.err {
				t.Errorf("printed %q and %q", out, err)
			}
			// The end is known without the machine.
			if x := w.again(t, Machine{Endpoint: g.m.Endpoint, WinRM: g.m.WinRM}).mustRun(t, c.job); x.Code != c.code {
				t.Errorf("again: %+v", x)
			}
		})
	}
	g.clean()
}

// A script at a place of its own is put there when it runs, and not left.
func TestWindowsScriptPath(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	w := newWin(t, g.m)
	j := w.ps("Write-Output $PSCommandPath")
	j.Path = "c:/Windows/Temp/my script.ps1"
	if x := w.mustRun(t, j); x != (Exit{}) || !strings.EqualFold(w.lines(t, "stdout"), `C:\Windows\Temp\my script.ps1`+"\n") {
		t.Error(x, w.lines(t, "stdout"), w.lines(t, "stderr"))
	}
	if _, err := os.Stat(g.path("Windows/Temp/my script.ps1")); err == nil {
		t.Error("the script was left")
	}
	j.Token, j.Keep = JobToken(w.task, 1), true
	w.mustRun(t, j)
	if got := g.read("Windows/Temp/my script.ps1"); got != string(j.Script) {
		t.Errorf("%q", got)
	}
	j.Token, j.Path = JobToken(w.task, 2), `c:\Windows`
	if _, err := w.Run(t.Context(), j); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Error(err)
	}
	j.Token, j.Path = JobToken(w.task, 3), `c:\new\too\x.ps1`
	w.mustRun(t, j)
	if got := g.read("new/too/x.ps1"); got != string(j.Script) {
		t.Errorf("%q", got)
	}
	j.Token, j.Path = JobToken(w.task, 4), `c:\new\too\x.ps1\y.ps1`
	if _, err := w.Run(t.Context(), j); err == nil || errors.As(err, new(*LostError)) {
		t.Error(err)
	}
	os.Remove(g.path("Windows/Temp/my script.ps1"))
	g.clean()
}

// The policy under which our own scripts run is not that of what they start.
func TestWindowsPolicyStaysBehind(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	w := newWin(t, g.m)
	j := Job{Token: w.task.Token, Command: `set PSExecutionPolicyPreference`}
	if x := w.mustRun(t, j); x.Code == 0 || w.lines(t, "stdout") != "" {
		t.Error(x, w.lines(t, "stdout"))
	}
	j.Token, j.Command, j.Env = JobToken(w.task, 1), "powershell -Command Get-ExecutionPolicy", map[string]string{"PSExecutionPolicyPreference": "AllSigned"}
	if x := w.mustRun(t, j); x != (Exit{}) || w.lines(t, "stdout/1") != "AllSigned\n" {
		t.Error(x, w.lines(t, "stdout/1"))
	}
	g.clean()
}

// environments are values that break those who put them into a program's text.
func environments() map[string]string {
	values := []string{"plain", " lead", "trail ", "tab\there", "a\nb", "a\r\nb", "\n", "\r\n\r\n", "äöüß ÄÖÜ", "日本語", "\U0001F600 emoji \U0001F468\u200d\U0001F469", "\u00a0", "\ufeffbom",
		strings.Repeat("x", 8<<10), strings.Repeat("ä$`\"'%", 1365), `C:\dir\`, `a\"b`, "$(Get-Date)", "$env:PATH", "%PATH%", "!PATH!", "${x}", "@{a=1}", "@'\nx\n'@", "# no comment", "--%", "<#", "#>", "/Date(1)/", `\/Date(1)\/`, "2020-01-01T00:00:00Z", "null", "1", "true", "\x01\x02\x7f"}
	var all strings.Builder
	for c := byte(' '); c < 0x7f; c++ {
		all.WriteByte(c)
	}
	values = append(values, all.String())
	for _, c := range "$`\"'%&|<>^!(){}[];,@#~*?\\/:=+-" {
		s := string(c)
		values = append(values, s, s+"x", "x"+s+"y", "x"+s, s+s)
	}
	env := map[string]string{}
	for i, v := range values {
		env[fmt.Sprintf("IMGF_%03d", i)] = v
	}
	return env
}

// tell prints every one of our variables, as base64 of UTF-8.
const tell = `foreach ($v in @(Get-ChildItem Env:)) {
	if ($v.Name -like 'IMGF_*') {
		Write-Output ($v.Name + ' ' + [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($v.Value)))
	}
}
`

func TestWindowsEnvironment(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	env := environments()
	check := func(t *testing.T, j Job, w *win) {
		t.Helper()
		j.Env = maps.Clone(env)
		if x := w.mustRun(t, j); x != (Exit{}) {
			t.Fatal(x, w.lines(t, "stderr"))
		}
		got := map[string]string{}
		for l := range strings.Lines(w.lines(t, "stdout")) {
			name, text, _ := strings.Cut(strings.TrimSpace(l), " ")
			b, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				t.Errorf("%q", l)
			}
			got[name] = string(b)
		}
		for name, want := range env {
			if got[name] != want {
				t.Errorf("%s: %.80q, want %.80q", name, got[name], want)
			}
		}
	}
	t.Run("powershell", func(t *testing.T) {
		w := newWin(t, g.m)
		check(t, w.ps(tell), w)
	})
	t.Run("through cmd", func(t *testing.T) {
		w := newWin(t, g.m)
		j := w.ps(tell)
		j.Files = map[string][]byte{"go.bat": []byte("@powershell -NoProfile -File %1\r\n")}
		j.Command = `cmd /c ""{{.Dir}}\go.bat" "{{.Path}}""`
		check(t, j, w)
	})
	t.Run("elevated", func(t *testing.T) {
		w := newWin(t, g.m)
		j := w.ps(tell)
		j.Elevate = &Elevate{"Administrator", guestPassword}
		check(t, j, w)
	})
	t.Run("as SYSTEM", func(t *testing.T) {
		w := newWin(t, g.m)
		j := w.ps(tell)
		j.Elevate = &Elevate{User: "SYSTEM"}
		check(t, j, w)
	})
	g.clean()
}

func TestWindowsElevated(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	w := newWin(t, g.m)
	j := Job{Token: w.task.Token, Command: "whoami& exit 4", Elevate: &Elevate{"Administrator", guestPassword}}
	if x := w.mustRun(t, j); x != (Exit{Code: 4}) || !strings.EqualFold(w.lines(t, "stdout"), `tester\administrator`+"\n") {
		t.Error(x, w.lines(t, "stdout"), w.lines(t, "stderr"))
	}
	j.Token, j.Elevate = JobToken(w.task, 1), &Elevate{User: "SYSTEM"}
	if x := w.mustRun(t, j); x != (Exit{Code: 4}) || !strings.Contains(w.lines(t, "stdout/1"), `nt authority\system`) {
		t.Error(x, w.lines(t, "stdout/1"))
	}
	j.Token, j.Elevate = JobToken(w.task, 2), &Elevate{"Administrator", "wrong"}
	if _, err := w.Run(t.Context(), j); err == nil || errors.As(err, new(*LostError)) || strings.Contains(err.Error(), "wrong") {
		t.Error(err)
	}
	if err := w.Cancel(t.Context(), j); err != nil {
		t.Error(err)
	}
	g.clean()
}

// Lines come while the command runs.
func TestWindowsStreams(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	w := newWin(t, g.m)
	flag := `C:\Windows\Temp\flag`
	j := w.ps("Write-Output one\nwhile (-not (Test-Path " + flag + ")) { Start-Sleep -Milliseconds 20 }\nWrite-Output two\n")
	x, err := w.during(t, j, func() { g.write("Windows/Temp/flag", "") })
	if err != nil || x != (Exit{}) || w.lines(t, "stdout") != "one\ntwo\n" {
		t.Error(x, err, w.lines(t, "stdout"))
	}
	os.Remove(g.path("Windows/Temp/flag"))
	g.clean()
}

// during runs the job and calls f once when its first line has come.
func (w *win) during(t *testing.T, j Job, f func()) (Exit, error) {
	t.Helper()
	stream := "stdout" + mustJournal(t, w.task, j.Token).tail
	over := make(chan struct{})
	defer close(over)
	go func() {
		for w.sink.Offset(w.task.Token, stream) == 0 {
			select {
			case <-over:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
		f()
	}()
	return w.Run(t.Context(), j)
}

// winSteady prints 2 000 lines in bursts and slow ones to the other stream, and
// counts its starts.
const winSteady = `[IO.File]::AppendAllText('C:\Windows\Temp\count', 'x')
for ($i = 0; $i -lt 20; $i++) {
	for ($k = 1; $k -le 100; $k++) { [Console]::Out.WriteLine($i * 100 + $k) }
	[Console]::Error.Write('slow')
	Start-Sleep -Milliseconds 40
	[Console]::Error.WriteLine(' ' + $i)
}
exit 7
`

func checkWinSteady(t *testing.T, g *guest, log string) {
	t.Helper()
	var o, e []string
	for i := range 2000 {
		o = append(o, strconv.Itoa(i+1))
	}
	for i := range 20 {
		e = append(e, fmt.Sprint("slow ", i))
	}
	for stream, want := range map[string][]string{"stdout": o, "stderr": e} {
		if got := printed(t, log, stream); !slices.Equal(got, want) {
			t.Errorf("%s: %d lines, want %d, each once", stream, len(got), len(want))
		}
	}
	if got := g.read("Windows/Temp/count"); got != "x" {
		t.Errorf("the script was started %d times", len(got))
	}
	os.Remove(g.path("Windows/Temp/count"))
	g.clean()
}

// kill -9 of the caller at any moment, and another caller goes on.
func TestWindowsCallerKilled(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	for range 3 * *campaign {
		c := callerConf{Log: filepath.Join(t.TempDir(), "log"), Machine: g.m}
		c.Job = (&win{lab: &lab{task: dagTask(newToken(), nil)}}).ps(winSteady)
		out, kills := callUntilDone(t, c, func(n int) <-chan time.Time {
			return time.After(time.Duration(rand.IntN(400)+n*150) * time.Millisecond) // so that a slow machine gets on
		})
		if out != "exit status 7" {
			t.Errorf("the caller ended with %q", out)
		}
		checkWinSteady(t, g, c.Log)
		t.Logf("%d kills", kills)
	}
}

// The connection is cut every few kilobytes, then every few hundred bytes.
func TestWindowsCut(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	for range *campaign {
		c := newCutter(t, g.ports["winrm"])
		w := newWin(t, c.machine(g.m))
		c.limit.Store(30 << 10)
		go func() {
			for range 40 {
				time.Sleep(100 * time.Millisecond)
				c.limit.Add(2 << 10)
			}
		}()
		if x := w.mustRun(t, w.ps(winSteady)); x != (Exit{Code: 7}) {
			t.Error(x)
		}
		await(t, "the machine is clean", func() bool {
			return len(g.left()) == 0
		})
		checkWinSteady(t, g, w.log)
		t.Logf("%d cuts of %d connections", c.cuts.Load(), c.conns.Load())
	}
}

// All connections are cut at any moment.
func TestWindowsReset(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	for range *campaign {
		c := newCutter(t, g.ports["winrm"])
		w := newWin(t, c.machine(g.m))
		stop := make(chan struct{})
		go func() {
			for n := 0; n < 12; n++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(37+n*31) * time.Millisecond):
					c.cutAll()
				}
			}
		}()
		if x := w.mustRun(t, w.ps(winSteady)); x != (Exit{Code: 7}) {
			t.Error(x)
		}
		close(stop)
		checkWinSteady(t, g, w.log)
	}
}

// A run whose end cannot be known is lost, and never started again.
func TestWindowsLost(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	for what, f := range map[string]func(dir string){
		"runner killed": func(dir string) {
			for _, p := range g.Processes() {
				if strings.Contains(p.Line, "-EncodedCommand") && strings.Contains(strings.ToLower(p.Line), "powershell.exe") && !strings.HasPrefix(p.Line, "powershell.exe") && p.Parent == parentOf(g) {
					g.KillProcess(p.ID, false)
				}
			}
		},
		"directory removed": func(dir string) { os.RemoveAll(dir) },
	} {
		t.Run(what, func(t *testing.T) {
			w := newWin(t, g.m)
			j := w.ps("[IO.File]::AppendAllText('C:\\Windows\\Temp\\count', 'x')\n[Console]::Out.Write(\"one`ntwo\")\nStart-Sleep 2")
			_, err := w.during(t, j, func() { time.Sleep(50 * time.Millisecond); f(g.path("ProgramData/imgf-" + j.Token)) })
			var lost *LostError
			if !errors.As(err, &lost) {
				t.Error(err)
			}
			if got := w.lines(t, "stdout"); got != "one\ntwo\n" {
				t.Errorf("%q", got)
			}
			if _, err = w.Run(t.Context(), j); !errors.As(err, &lost) {
				t.Errorf("again: %v", err)
			}
			if got := g.read("Windows/Temp/count"); got != "x" {
				t.Errorf("started %d times", len(got))
			}
			os.Remove(g.path("Windows/Temp/count"))
			g.clean()
		})
	}
}

// A run whose record is just being written is waited for.
func TestWindowsRecordHalfWritten(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	c := newCutter(t, g.ports["winrm"])
	w := newWin(t, c.machine(g.m))
	flag := `C:\Windows\Temp\whole`
	j := w.ps("Write-Output one\nwhile (-not (Test-Path " + flag + ")) { Start-Sleep -Milliseconds 20 }\nWrite-Output two")
	var wrote atomic.Bool
	x, err := w.during(t, j, func() {
		record := "ProgramData/imgf-" + j.Token + "/run"
		whole := g.read(record)
		g.write(record, whole[:len(whole)/2])
		conns := c.conns.Load()
		c.cutAll()
		for c.conns.Load() == conns {
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		wrote.Store(true)
		g.write(record, whole)
		g.write("Windows/Temp/whole", "")
	})
	if err != nil || x != (Exit{}) || w.lines(t, "stdout") != "one\ntwo\n" || !wrote.Load() {
		t.Error(x, err, w.lines(t, "stdout"), wrote.Load())
	}
	os.Remove(g.path("Windows/Temp/whole"))
	g.clean()
}

// parentOf is the process that makes processes for Win32_Process.
func parentOf(g *guest) int {
	for _, p := range g.Processes() {
		if strings.EqualFold(p.Name, "WmiPrvSE.exe") {
			return p.ID
		}
	}
	return -1
}

func TestWindowsRebooted(t *testing.T) {
	t.Parallel()
	for what, f := range map[string]func(dir string){
		"directory there": func(string) {},
		"directory gone":  func(dir string) { os.RemoveAll(dir) },
		"record empty":    func(dir string) { os.Truncate(dir+"/run", 0) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			g := newGuest(t)
			w := newWin(t, g.m)
			j := w.ps("Write-Output one\nStart-Sleep 30\nWrite-Output two")
			x, err := w.during(t, j, func() {
				g.restart()
				f(g.path("ProgramData/imgf-" + j.Token))
			})
			if err != nil || !x.Rebooted {
				t.Errorf("%+v %v", x, err)
			}
			if x, err := w.Run(t.Context(), j); err != nil || !x.Rebooted {
				t.Errorf("again: %+v %v", x, err)
			}
			if got := w.lines(t, "stdout"); got != "one\n" {
				t.Errorf("%q", got)
			}
			g.clean()
		})
	}
}

// A reboot that comes before anybody has heard of the run costs it its record. Who has started it, this process or
// the one before, knows since when it may have run. What the machine says of its boot may be on its way for any time,
// so here it was an hour before the runs that it is held against, or after them.
func TestWindowsRebootedBeforeHeard(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	for _, c := range []struct {
		what                string
		before, here, again bool // the machine boots after the task has begun; after this process has asked; this process goes on
		lost                bool
	}{
		{what: "of this process, which began after the boot", before: true, lost: true},
		{what: "of an earlier process", before: true, again: true},
		{what: "of this process", here: true},
	} {
		w := newWin(t, g.m)
		w.task.Resumed = c.again
		restart := func() {
			time.Sleep(20 * time.Millisecond)
			g.restart()
			if _, _, err := w.Exec(t.Context(), "ver", nil); err != nil { // which waits until it is back
				t.Fatal(err)
			}
		}
		if c.before {
			restart()
		}
		j := w.ps("Write-Output one")
		jr, err := newJournal(w.task, j.Token)
		if err != nil {
			t.Fatal(err)
		}
		if c.lost {
			jr.open = jr.open.Add(time.Hour)
		}
		if c.here {
			restart()
		}
		dir := g.path("ProgramData/imgf-" + j.Token)
		if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(dir+"/run", nil, 0o644)); err != nil {
			t.Fatal(err)
		}
		x, err := w.Windows.(*winremote).follow(t.Context(), j, jr, func() {})
		if (errcode.Of(err) == errcode.JobLost) != c.lost || x.Rebooted == c.lost {
			t.Errorf("%s: %+v, %v", c.what, x, err)
		}
		os.RemoveAll(dir)
		jr.t.Resumed = true
		if x, err := lostWindows(jr, []string{"gone", "3600000"}, false); errcode.Of(err) != errcode.JobLost || x.Rebooted {
			t.Errorf("of an earlier process, on a machine that is up for an hour: %+v, %v", x, err)
		}
	}
}

// A run that ends while the machine shuts down has its exit all the same.
func TestWindowsRestartCommand(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	w := newWin(t, g.m)
	was := g.Booted()
	j := Job{Token: w.task.Token, Command: `shutdown /r /t 0& exit 0`}
	x, err := w.Run(t.Context(), j)
	if err != nil || x.Code != 0 && !x.Rebooted {
		t.Errorf("%+v %v", x, err)
	}
	await(t, "a new boot", func() bool { return g.Booted().After(was) })
	if _, _, err := w.Exec(t.Context(), "ver", nil); err != nil {
		t.Error(err)
	}
}

func TestWindowsCancel(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	for what, e := range map[string]*Elevate{"plain": nil, "elevated": {"Administrator", guestPassword}} {
		t.Run(what, func(t *testing.T) {
			w := newWin(t, g.m)
			j := w.ps("Start-Process powershell -ArgumentList '-Command Start-Sleep 61'\nWrite-Output ready\nStart-Sleep 62")
			j.Elevate = e
			cancelled := make(chan error, 1)
			x, err := w.during(t, j, func() { cancelled <- w.Cancel(context.Background(), j) })
			if err != nil || x.Code == 0 {
				t.Error(x, err)
			}
			if t.Failed() {
				return
			}
			if err := <-cancelled; err != nil {
				t.Error(err)
			}
			for _, p := range g.Processes() {
				if strings.Contains(p.Line, "Start-Sleep 6") || strings.Contains(p.Line, "script.ps1") {
					t.Errorf("still running: %s", p.Line)
				}
			}
			if err := w.Cancel(t.Context(), j); err != nil {
				t.Errorf("again: %v", err)
			}
			g.clean()
		})
	}
}

// Whoever cancels a run may meet its follower, who lets the machine forget it at
// any moment.
func TestWindowsCancelForgotten(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	for at, want := range map[string]string{
		"$alive = held": "L gone",
		"$f = [IO.File]::Open($s.dir + '\\' + $name, 'Open', 'Read', 'ReadWrite')": "C done",
	} {
		w := newWin(t, g.m)
		j := w.ps("Write-Output one")
		j.Token = newToken()
		answer := func(text, op, until string) string {
			lines, err := j.orders(op, [2]int64{})
			if err != nil {
				t.Fatal(err)
			}
			c, err := w.Windows.(*winremote).client()
			if err != nil {
				t.Fatal(err)
			}
			defer hangUp(c)
			k, err := startScript(t.Context(), c, text, lines...)
			for err == nil {
				var l string
				if l, err = k.line(t.Context()); strings.HasPrefix(l, until) {
					return l
				}
			}
			return err.Error()
		}
		if got := answer(psLaunch, "start", "S "); got != "S 0 0" {
			t.Fatal(got)
		}
		await(t, "the end of the runner", func() bool {
			return !slices.ContainsFunc(g.Processes(), func(p winguest.Info) bool { return strings.Contains(p.Line, "run.ps1") })
		})
		text := strings.Replace(psLaunch, at, "if ('"+want+"' -eq 'L gone' -or $name -eq 'main') { discard $s.dir }; "+at, 1)
		if got := answer(text, "cancel", ""); !strings.HasPrefix(got, want) {
			t.Errorf("forgotten before %s: %q, want %q", at, got, want)
		}
		if err := w.Cancel(t.Context(), j); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		g.clean()
	}
}

// A run that is cancelled when nobody follows it leaves nothing on the machine
// and never starts again.
func TestWindowsCancelUnfollowed(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	w := newWin(t, g.m)
	j := w.ps("Write-Output one\nStart-Sleep 30\nWrite-Output late")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for w.sink.Offset(w.task.Token, "stdout") == 0 && t.Context().Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	if _, err := w.Run(ctx, j); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := w.Cancel(t.Context(), j); err != nil {
		t.Error(err)
	}
	g.clean()
	if x, err := w.Run(t.Context(), j); err != nil || x.Code == 0 {
		t.Errorf("afterwards: %+v %v", x, err)
	}
	if got := w.lines(t, "stdout"); got != "one\n" {
		t.Errorf("%q", got)
	}
	j.Token = JobToken(w.task, 1) // never started
	if err := w.Cancel(t.Context(), j); err != nil {
		t.Error(err)
	}
	g.clean()
}

// A run that is cancelled before its runner has begun does not begin: PowerShell
// may need seconds for that.
func TestWindowsCancelEarly(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	for what, e := range map[string]*Elevate{"plain": nil, "elevated": {"Administrator", guestPassword}} {
		w := newWin(t, g.m)
		j := w.ps(`[IO.File]::WriteAllText('C:\Windows\Temp\ran', '')`)
		j.Elevate = e
		lines, err := j.orders("start", [2]int64{})
		if err != nil {
			t.Fatal(err)
		}
		var o order
		b, _ := base64.StdEncoding.DecodeString(lines[0])
		if err := json.Unmarshal(b, &o); err != nil {
			t.Fatal(err)
		}
		o.Runner = strings.Replace(o.Runner, `"powershell`, `"ping -n 3 127.0.0.1 >nul & powershell`, 1)
		if lines[0], err = header(o); err != nil {
			t.Fatal(err)
		}
		c, err := w.Windows.(*winremote).client()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := startScript(t.Context(), c, psLaunch, lines...); err != nil {
			t.Fatal(err)
		}
		slow := func() bool {
			return slices.ContainsFunc(g.Processes(), func(p winguest.Info) bool { return strings.HasPrefix(p.Line, "ping") })
		}
		await(t, "a runner on its way", slow)
		if err := w.Cancel(t.Context(), j); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		hangUp(c)
		await(t, "the end of the wait", func() bool { return !slow() })
		time.Sleep(time.Second)
		if _, err := os.Stat(g.path("Windows/Temp/ran")); err == nil {
			t.Errorf("%s: it ran after it was cancelled", what)
			os.Remove(g.path("Windows/Temp/ran"))
		}
		await(t, "the machine is clean", func() bool { return len(g.left()) == 0 })
	}
}

// A starter that died between its claim and its run: it never ran, so it is
// started again, and runs once.
func TestWindowsStarterDied(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	w := newWin(t, g.m)
	j := w.ps("Write-Output one")
	dir := "ProgramData/imgf-" + j.Token
	if err := os.MkdirAll(g.path(dir+"/1234"), 0o700); err != nil {
		t.Fatal(err)
	}
	g.write(dir+"/lock", "")
	g.write(dir+"/fail", "no luck")
	g.write(dir+"/1234/job.json", "{}")
	if x := w.mustRun(t, j); x != (Exit{}) || w.lines(t, "stdout") != "one\n" {
		t.Error(x, w.lines(t, "stdout"))
	}
	g.clean()
}

// Several callers start the same run at once.
func TestWindowsStartedTwice(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	for range 3 * *campaign {
		token := newToken()
		var wg sync.WaitGroup
		for range 3 {
			w := newWin(t, g.m)
			wg.Go(func() {
				j := w.ps("[IO.File]::AppendAllText('C:\\Windows\\Temp\\count', 'x')\nexit 3")
				j.Token = token
				lines, err := j.orders("start", [2]int64{})
				if err != nil {
					t.Error(err)
					return
				}
				c, err := w.Windows.(*winremote).client()
				if err != nil {
					t.Error(err)
					return
				}
				defer hangUp(c)
				k, err := startScript(t.Context(), c, psLaunch, lines...)
				if err != nil {
					t.Error(err)
					return
				}
				for { // nobody lets the machine forget the run
					l, err := k.line(t.Context())
					if err != nil || strings.HasPrefix(l, "L ") {
						t.Error(l, err)
						return
					}
					if strings.HasPrefix(l, "S ") {
						if l != "S 3 0" {
							t.Error(l)
						}
						return
					}
				}
			})
		}
		wg.Wait()
		if got := g.read("Windows/Temp/count"); got != "x" {
			t.Errorf("started %d times", len(got))
		}
		os.Remove(g.path("Windows/Temp/count"))
		w := newWin(t, g.m)
		if err := w.Windows.(*winremote).forget(t.Context(), Job{Token: token}); err != nil {
			t.Error(err)
		}
		g.clean()
	}
}
