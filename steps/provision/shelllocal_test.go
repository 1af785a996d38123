package provision

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// here is this computer, as local scripts find it.
var here = &comm.Env{Environ: os.Environ(), Dir: os.TempDir()}

func local(t testing.TB, ctx context.Context, s ShellLocal) (*memSink, error) {
	t.Helper()
	if f := s.Check(); len(f) > 0 {
		t.Fatal(f)
	}
	sink := &memSink{}
	s.On = dag.Lit(comm.Machine{Endpoint: comm.Endpoint{Host: "10.0.0.1", Vars: map[string]string{"ID": "i-0abc"}}}).Take()
	_, err := s.Do(ctx, &comm.Env{Environ: os.Environ(), Dir: here.Dir}, task(sink))
	return sink, err
}

func TestShellLocal(t *testing.T) {
	dir := t.TempDir()
	s := ShellLocal{Build: dag.Build{Name: "web", Type: "amazon-ebs"}}
	s.Inline = []dag.Text{parsed("echo $PACKER_BUILD_NAME {{ build `ID` }} {{ build `Host` }} \"$Q\""), "pwd", "printf part >&2"}
	s.Env = map[string]dag.Text{"Q": "it's"}
	sink, err := local(t, t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"web i-0abc 10.0.0.1 it's\n", os.TempDir() + "\n", "part\n"} {
		if !strings.Contains(sink.printed(), want) {
			t.Errorf("%q is missing from %q", want, sink.printed())
		}
	}

	s = ShellLocal{LocalScriptOptions: LocalScriptOptions{Command: "exit 5"}}
	_, err = local(t, t.Context(), s)
	wantError(t, err, "exited with status 5", "the inline script")
	s.ValidExitCodes = []int{5}
	if _, err = local(t, t.Context(), s); err != nil {
		t.Error(err)
	}

	s = ShellLocal{LocalScriptOptions: LocalScriptOptions{ExecuteCommand: []dag.Text{"/bin/sh", "-c", parsed("echo {{.Vars}}; {{.Vars}} sh {{.Script}}")}}}
	s.Script = file(t, filepath.Join(dir, "x.sh"), "echo [$X]")
	s.EnvironmentVars = []dag.Text{"X=1"}
	if sink, err = local(t, t.Context(), s); err != nil || !strings.Contains(sink.printed(), "X=1\n") || !strings.HasSuffix(sink.printed(), "[1]\n") {
		t.Errorf("%q, %v", sink.printed(), err)
	}

	other := "windows"
	if runtime.GOOS == other {
		other = "linux"
	}
	s = ShellLocal{LocalScriptOptions: LocalScriptOptions{Command: "exit 1", OnlyOn: []string{other}}}
	if sink, err = local(t, t.Context(), s); err != nil || !strings.Contains(sink.said(dag.Said), "skipped") {
		t.Errorf("only_on: %q, %v", sink.said(dag.Said), err)
	}
	s = ShellLocal{LocalScriptOptions: LocalScriptOptions{Command: "yes 0123456789 | tr -d '\\n' | head -c 200000; sleep 60 & echo end"}}
	sink, err = local(t, t.Context(), s)
	if n := strings.Count(sink.printed(), "0"); err != nil || n < 19999 || !strings.HasSuffix(sink.printed(), "end\n") {
		t.Errorf("long line: %d zeros, %v", n, err)
	}
}

// A session's environment is its own: this process's may be another's, or none.
func TestShellLocalHasItsSessionsEnvironment(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("NOT TESTED: its shell is found by the system")
	}
	dir, temp := t.TempDir(), t.TempDir()
	tool := file(t, filepath.Join(dir, "tool"), "#!/bin/sh\necho \"called $0 with $1\"\n")
	if err := os.Chmod(tool.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	sink := &memSink{}
	s := ShellLocal{LocalScriptOptions: LocalScriptOptions{ExecuteCommand: []dag.Text{"tool", parsed("{{.Script}}")}}}
	s.Inline = []dag.Text{"true"}
	s.On = dag.Lit(comm.Machine{}).Take()
	env := &comm.Env{Environ: []string{"PATH=/nowhere:" + dir + ":/bin", "TMPDIR=" + temp}, Dir: dir}
	if _, err := s.Do(t.Context(), env, task(sink)); err != nil {
		t.Fatal(err)
	}
	if got := sink.printed(); !strings.Contains(got, "called "+tool.Path+" with "+temp+"/imgflow-") {
		t.Errorf("%q", got)
	}
}

func TestShellLocalEnds(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	s := ShellLocal{Common: steps.Common{Timeout: time.Second}, LocalScriptOptions: LocalScriptOptions{Command: dag.Text("sh -c 'sleep 77; touch " + dir + "/late'")}}
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
	for want, s := range map[string]*LocalScriptOptions{
		"":           {Command: "x", OnlyOn: []string{"linux"}},
		"command":    {Command: "x", Scripts: Scripts{Inline: []dag.Text{"y"}}},
		"only_on[0]": {Command: "x", OnlyOn: []string{"beos"}},
		"inline":     {Command: "x", Scripts: Scripts{Script: steps.File{Path: "/x"}}},
	} {
		if got := fields(s.Check()); got != want {
			t.Errorf("option errors of %q, want %q", got, want)
		}
	}
}
