package provision

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

func local(t testing.TB, ctx context.Context, s ShellLocal) (*memSink, error) {
	t.Helper()
	if f := s.Check(); len(f) > 0 {
		t.Fatal(f)
	}
	sink := &memSink{}
	s.On = dag.Lit(comm.Machine{Endpoint: comm.Endpoint{Host: "10.0.0.1", Vars: map[string]string{"ID": "i-0abc"}}}).Take()
	_, err := s.Do(ctx, nil, task(sink))
	return sink, err
}

func TestShellLocal(t *testing.T) {
	dir := t.TempDir()
	s := ShellLocal{Build: dag.Build{Name: "web", Type: "amazon-ebs"}, Cwd: dir}
	s.Inline = []string{"echo $PACKER_BUILD_NAME {{ build `ID` }} {{ build `Host` }} \"$Q\"", "pwd", "printf part >&2"}
	s.Env = map[string]string{"Q": "it's"}
	sink, err := local(t, t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"web i-0abc 10.0.0.1 it's\n", dir + "\n", "part\n"} {
		if !strings.Contains(sink.printed(), want) {
			t.Errorf("%q is missing from %q", want, sink.printed())
		}
	}

	s = ShellLocal{Command: "exit 5"}
	_, err = local(t, t.Context(), s)
	wantError(t, err, "exited with status 5", "the inline script")
	s.ValidExitCodes = []int{5}
	if _, err = local(t, t.Context(), s); err != nil {
		t.Error(err)
	}

	s = ShellLocal{ExecuteCommand: []string{"/bin/sh", "-c", "echo {{.Vars}}; {{.Vars}} sh {{.Script}}"}}
	s.Script = file(t, filepath.Join(dir, "x.sh"), "echo [$X]")
	s.EnvironmentVars = []string{"X=1"}
	if sink, err = local(t, t.Context(), s); err != nil || !strings.Contains(sink.printed(), "X=1\n") || !strings.HasSuffix(sink.printed(), "[1]\n") {
		t.Errorf("%q, %v", sink.printed(), err)
	}

	other := "windows"
	if runtime.GOOS == other {
		other = "linux"
	}
	s = ShellLocal{Command: "exit 1", OnlyOn: []string{other}}
	if sink, err = local(t, t.Context(), s); err != nil || !strings.Contains(sink.said(dag.Said), "skipped") {
		t.Errorf("only_on: %q, %v", sink.said(dag.Said), err)
	}
	s = ShellLocal{Command: "yes 0123456789 | tr -d '\\n' | head -c 200000; sleep 60 & echo end"}
	sink, err = local(t, t.Context(), s)
	if n := strings.Count(sink.printed(), "0"); err != nil || n < 19999 || !strings.HasSuffix(sink.printed(), "end\n") {
		t.Errorf("long line: %d zeros, %v", n, err)
	}
}

func TestShellLocalEnds(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	s := ShellLocal{Common: Common{Timeout: time.Second}, Command: "sh -c 'sleep 77; touch " + dir + "/late'"}
	_, err := local(t, t.Context(), s)
	wantError(t, err, "timed out after 1s")
	if running(t, dir+"/late") {
		t.Error("it still runs")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	s.Timeout = 0
	if _, err := local(t, ctx, s); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("suspended: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "imgflow-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestShellLocalCheck(t *testing.T) {
	for want, s := range map[string]*ShellLocal{
		"":           {Command: "x", OnlyOn: []string{"linux"}},
		"command":    {Command: "x", Scripts: Scripts{Inline: []string{"y"}}},
		"only_on[0]": {Command: "x", OnlyOn: []string{"beos"}},
		"inline":     {Command: "x", Scripts: Scripts{Script: dag.File{Path: "/x"}}},
	} {
		if got := fields(s.Check()); got != want {
			t.Errorf("faults of %q, want %q", got, want)
		}
	}
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Sleep{On: dag.Lit(comm.Machine{}).Take(), Duration: time.Hour, Common: Common{PauseBefore: time.Minute}}
		tk, start := task(nil), time.Now()
		if _, err := s.Do(t.Context(), nil, tk); err != nil || time.Since(start) != time.Hour+time.Minute {
			t.Errorf("slept %s, %v", time.Since(start), err)
		}
		// An interrupted one sleeps only for what is left.
		tk, start = task(nil), time.Now()
		time.Sleep(20 * time.Minute)
		tk.Resumed = true
		if _, err := s.Do(t.Context(), nil, tk); err != nil || time.Since(start) != time.Hour {
			t.Errorf("slept %s, %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Do(ctx, nil, task(nil)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("suspended: %v", err)
		}
		s.SetCommon(0, time.Minute, 1)
		start = time.Now()
		if _, err := s.Do(t.Context(), nil, task(nil)); err == nil || !strings.Contains(err.Error(), "timed out after 1m0s") || time.Since(start) != 2*time.Minute {
			t.Errorf("timed out after %s: %v", time.Since(start), err)
		}
	})
	if got := fields((&Sleep{}).Check()); got != "duration" {
		t.Errorf("faults of %q", got)
	}
}

// TestPauseAndTimeout: the one does not disable the other, nor counts as it.
func TestPauseAndTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Common{PauseBefore: time.Hour, Timeout: time.Minute}
		start := time.Now()
		err := c.tries(t.Context(), task(nil), func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() })
		if err == nil || time.Since(start) != time.Hour+time.Minute {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		n := 0
		c = Common{PauseBefore: time.Hour, MaxRetries: 2}
		start = time.Now()
		err = c.tries(t.Context(), task(nil), func(context.Context, int) error { n++; return errors.New("no") })
		if err == nil || n != 3 || time.Since(start) != 3*time.Hour {
			t.Errorf("%d tries in %s: %v", n, time.Since(start), err)
		}
	})
}

func TestBuildValues(t *testing.T) {
	dir := t.TempDir()
	keyFile := filepath.Join(dir, "key")
	os.WriteFile(keyFile, []byte("KEY"), 0o600)
	m := comm.Machine{Endpoint: comm.Endpoint{Protocol: "ssh", Host: "h", Port: 22, Vars: map[string]string{"ID": "i-1", "Host": "other", "Port": "2222"}}, SSH: comm.SSH{Username: "admin", KeyName: "key-1"}}
	v := values{task(nil), m}
	for name, want := range map[string]string{"ID": "i-1", "Host": "h", "Port": "22", "User": "admin", "ConnType": "ssh", "PackerRunUUID": "run1", "SSHPrivateKey": "PRIVATE", "Password": "", "PackerHTTPAddr": "ERR_HTTP_ADDR_NOT_IMPLEMENTED_BY_BUILDER"} {
		if got, err := v.build(name); err != nil || got != want {
			t.Errorf("%s is %q, want %q, %v", name, got, want, err)
		}
	}
	v.m.SSH = comm.SSH{PrivateKeyFile: keyFile}
	if got, err := v.build("SSHPrivateKey"); err != nil || got != "KEY" {
		t.Errorf("from a file: %q, %v", got, err)
	}
	_, m = machine(t)
	v.m = m
	if got, err := v.build("SSHPublicKey"); err != nil || !strings.HasPrefix(got, "ssh-ed25519 ") {
		t.Errorf("public: %q, %v", got, err)
	}
	_, err := v.build("SourceAmi")
	wantError(t, err, "SourceAMI")
}

func TestBreakpoint(t *testing.T) {
	if err := (&Breakpoint{}).Supported(); err == nil || !strings.Contains(err.Error(), "not supported yet") {
		t.Error(err)
	}
	if err := (&Breakpoint{Disable: true}).Supported(); err != nil {
		t.Error(err)
	}
	g := dag.NewGraph(nil)
	if (&Breakpoint{}).Add(g, dag.Build{}, "x", dag.Lit(comm.Machine{})); len(g.Nodes) != 0 {
		t.Error("a breakpoint is a step")
	}
}
