package provision

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

func do(t testing.TB, s Shell) (*memSink, error) {
	t.Helper()
	e, m := machine(t)
	sink := &memSink{}
	s.On = dag.Lit(m).Take()
	out, err := s.Do(t.Context(), e, task(sink))
	if out.Host != m.Host || out.Vars["ID"] != m.Vars["ID"] {
		t.Errorf("the machine given back is %+v", out)
	}
	return sink, err
}

func TestShellInline(t *testing.T) {
	s := Shell{Build: dag.Build{Name: "web", Type: "amazon-ebs"}}
	s.Inline = []dag.Text{`echo "$PACKER_BUILD_NAME $PACKER_BUILDER_TYPE"`, parsed("echo {{ build `ID` }}"), `printf '%s|' "$A" "$B" "$C"; echo`, "echo bad >&2"}
	s.EnvironmentVars = []dag.Text{"A=it's \"$HOME\" `x`", "B=list"}
	s.Env = map[string]dag.Text{"B": "map", "C": parsed("{{ build `SourceAMI` }}")}
	sink, err := do(t, s)
	if err != nil {
		t.Fatal(err)
	}
	out := sink.printed()
	for _, want := range []string{"web amazon-ebs\n", "i-0abc\n", "it's \"$HOME\" `x`|map|ami-1|\n", "bad\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing from %q", want, out)
		}
	}
	if said := sink.said(dag.Said); said != "running inline shell script\n" {
		t.Errorf("said %q", said)
	}
}

func TestShellInlineStopsAtError(t *testing.T) {
	s := Shell{}
	s.Inline = []dag.Text{"false", "echo on"}
	sink, err := do(t, s)
	wantError(t, err, "exited with status 1: the inline script")
	// Where the machine is removed, and in a warning before the next try, no
	// resume would run it again.
	if strings.Contains(err.Error(), "resume") {
		t.Errorf("the step knows what becomes of the run: %v", err)
	}
	if sink.printed() != "" {
		t.Errorf("printed %q", sink.printed())
	}
	s.InlineShebang = "/bin/sh"
	if sink, err = do(t, s); err != nil || sink.printed() != "on\n" {
		t.Errorf("with another shebang: %q, %v", sink.printed(), err)
	}
	s = Shell{}
	s.Inline = []dag.Text{"#!/bin/cat", "as it is"}
	if sink, err = do(t, s); err != nil || sink.printed() != "#!/bin/cat\nas it is\n" {
		t.Errorf("with its own shebang: %q, %v", sink.printed(), err)
	}
}

func TestShellScripts(t *testing.T) {
	dir := t.TempDir()
	s := Shell{}
	s.Scripts.Scripts = []steps.File{
		file(t, filepath.Join(dir, "a.sh"), "#!/bin/sh\r\necho a$X\r\n"),
		file(t, filepath.Join(dir, "b.sh"), "#!/bin/sh\necho b; exit 3\n"),
		file(t, filepath.Join(dir, "c.sh"), "#!/bin/sh\necho c\n"),
	}
	s.EnvironmentVars = []dag.Text{"X=1"}
	sink, err := do(t, s)
	wantError(t, err, "exited with status 3: "+filepath.Join(dir, "b.sh"))
	if sink.printed() != "a1\nb\n" {
		t.Errorf("printed %q", sink.printed())
	}
	if want := "running shell script: " + filepath.Join(dir, "a.sh"); !strings.Contains(sink.said(dag.Said), want) {
		t.Errorf("said %q", sink.said(dag.Said))
	}
	s.ValidExitCodes = []int{0, 3}
	if sink, err = do(t, s); err != nil || sink.printed() != "a1\nb\nc\n" {
		t.Errorf("with valid_exit_codes: %q, %v", sink.printed(), err)
	}
	os.WriteFile(filepath.Join(dir, "c.sh"), []byte("#!/bin/sh\necho other\n"), 0o644)
	_, err = do(t, s)
	wantError(t, err, "c.sh", "has changed", "imgflow resume")
}

func TestShellExecuteCommand(t *testing.T) {
	dir := t.TempDir()
	s := Shell{ExecuteCommand: parsed("echo before; {{ .Vars }} sh '{{ .Path }}' arg; echo {{ build `User` }}")}
	s.Script = file(t, filepath.Join(dir, "a.sh"), `echo "$0 $1 $X"`)
	s.EnvironmentVars = []dag.Text{"X=o'clock"}
	s.RemotePath = dag.Text(filepath.Join(dir, "put here.sh"))
	s.SkipClean = true
	sink, err := do(t, s)
	_, m := machine(t)
	if want := "before\n" + string(s.RemotePath) + " arg o'clock\n" + m.SSH.Username + "\n"; err != nil || sink.printed() != want {
		t.Errorf("%q, want %q, %v", sink.printed(), want, err)
	}
	if _, err := os.Stat(string(s.RemotePath)); err != nil {
		t.Errorf("skip_clean: %v", err)
	}
	s.SkipClean = false
	if _, err := do(t, s); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(string(s.RemotePath)); err == nil {
		t.Error("the script was left behind")
	}
	s.ExecuteCommand = parsed("{{ .Vars }} {{ build `Nope` }}")
	_, err = do(t, s)
	wantError(t, err, "execute_command", "Nope")
}

func TestShellEnvVarFile(t *testing.T) {
	dir := t.TempDir()
	s := Shell{UseEnvVarFile: true, RemoteFolder: dag.Text(dir), ExecuteCommand: parsed("ls -l {{.EnvVarFile}}; . {{.EnvVarFile}} && {{.Path}}")}
	s.Inline = []dag.Text{`echo "$X"`}
	s.Env = map[string]dag.Text{"X": "it's sealed"}
	sink, err := do(t, s)
	if err != nil || !strings.HasPrefix(sink.printed(), "-rw-------") || !strings.HasSuffix(sink.printed(), "\nit's sealed\n") {
		t.Errorf("%q, %v", sink.printed(), err)
	}
	s.ExecuteCommand = ""
	s.Inline = append(s.Inline, "exit 9")
	sink, err = do(t, s)
	wantError(t, err, "status 9")
	if sink.printed() != "it's sealed\n" {
		t.Errorf("%q", sink.printed())
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestShellResume suspends a step while its second script runs, as the end of
// the process does, and goes on with it.
func TestShellResume(t *testing.T) {
	dir := t.TempDir()
	s := Shell{}
	s.Scripts.Scripts = []steps.File{
		file(t, filepath.Join(dir, "a.sh"), "#!/bin/sh\necho a >>"+dir+"/ran; echo one\n"),
		file(t, filepath.Join(dir, "b.sh"), "#!/bin/sh\necho b >>"+dir+"/ran; echo two; k=0; while [ ! -e "+dir+"/go ] && [ $k -lt 600 ]; do sleep .05; k=$((k+1)); done; echo three\n"),
	}
	e, m := machine(t)
	defer os.WriteFile(filepath.Join(dir, "go"), nil, 0o644) // whatever happens, the script ends
	s.On = dag.Lit(m).Take()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sink := &memSink{}
	sink.on = func(ev dag.Event) {
		if ev.Text == "two" {
			cancel()
		}
	}
	first := task(sink)
	suspended := make(chan error, 1)
	go func() {
		_, err := s.Do(ctx, e, first)
		suspended <- err
	}()
	select {
	case err := <-suspended:
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("suspended: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the step waits for its script although it was told to stop")
	}
	os.WriteFile(filepath.Join(dir, "go"), nil, 0o644)
	other := comm.NewEnv(nil)
	defer other.Close()
	if _, err := s.Do(t.Context(), other, again(first, sink)); err != nil {
		t.Fatal(err)
	}
	if sink.printed() != "one\ntwo\nthree\n" {
		t.Errorf("printed %q", sink.printed())
	}
	if ran, _ := os.ReadFile(filepath.Join(dir, "ran")); string(ran) != "a\nb\n" {
		t.Errorf("ran %q", ran)
	}
}

func TestShellTimeout(t *testing.T) {
	var dir string
	for timeout := 2 * time.Second; ; timeout *= 4 {
		dir = t.TempDir()
		s := Shell{Common: steps.Common{Timeout: timeout, MaxRetries: 1}}
		s.Inline = []dag.Text{dag.Text("echo x >>" + dir + "/tries"), dag.Text("sleep 1000; echo late >" + dir + "/late")}
		sink, err := do(t, s)
		tries, _ := os.ReadFile(filepath.Join(dir, "tries"))
		if len(tries) < len("x\nx\n") && timeout < 2*time.Minute {
			continue // a busy machine had not begun by then
		}
		wantError(t, err, "timed out after "+timeout.String()+": the inline script was stopped", `a longer "timeout"`)
		if !strings.Contains(sink.said(dag.Warned), "trying again (1 of 1)") {
			t.Errorf("warned %q", sink.said(dag.Warned))
		}
		if string(tries) != "x\nx\n" {
			t.Errorf("tries: %q", tries)
		}
		break
	}
	if running(t, dir+"/late") {
		t.Error("the script still runs")
	}
	if d := left(); d != nil {
		t.Errorf("left on the machine: %v", d)
	}
}

func TestShellRetries(t *testing.T) {
	dir := t.TempDir()
	s := Shell{Common: steps.Common{MaxRetries: 3}}
	s.Inline = []dag.Text{dag.Text("echo x >>" + dir + "/n"), dag.Text("[ $(wc -l <" + dir + "/n) = 3 ]")}
	if _, err := do(t, s); err != nil {
		t.Error(err)
	}
}

func TestShellReboot(t *testing.T) {
	reboots := func(context.Context, comm.Job) (comm.Exit, error) { return comm.Exit{Rebooted: true}, nil }
	loses := func(context.Context, comm.Job) (comm.Exit, error) { return comm.Exit{}, &comm.LostError{Why: "gone"} }
	for _, c := range []struct {
		name   string
		run    func(context.Context, comm.Job) (comm.Exit, error)
		expect bool
		codes  []int
		boots  []string
		want   string // of the error
		waited bool
	}{
		{"reboot", reboots, true, nil, []string{"boot1", "boot1 stopping", "boot2"}, "", true},
		{"back at once", reboots, true, nil, []string{"boot1", "boot2"}, "", false},
		{"not expected", reboots, false, nil, nil, "set expect_disconnect", false},
		{"by Packer's number", reboots, false, []int{0, lostCode}, []string{"boot1", "boot2"}, "", false},
		{"exits before it goes down", exits(0), true, nil, []string{"boot1", "boot1 stopping", "boot2"}, "", true},
		{"nothing happens", exits(0), true, nil, []string{"boot1", "boot1"}, "", false},
		{"fails", exits(4), true, nil, []string{"boot1", "boot1"}, "status 4", false},
		{"lost", loses, true, nil, []string{"boot1", "boot1"}, "", false},
		{"stops", is(comm.Stopped), true, nil, []string{"boot1"}, "", false},
		{"stops, by Packer's number", is(comm.Stopped), false, []int{0, lostCode}, []string{"boot1"}, "", false},
		{"stops, not expected", is(comm.Stopped), false, nil, nil, "it is stopped (by itself); set expect_disconnect if it is meant to stop the machine", false},
		{"is terminated", is(comm.Terminated), true, nil, []string{"boot1"}, "it is terminated (by itself)", false},
		{"lost, not expected", loses, false, nil, nil, "gone", false},
		{"memory", func(context.Context, comm.Job) (comm.Exit, error) {
			return comm.Exit{Code: 137, Signal: 9, OOM: true}, nil
		}, false, nil, nil, "memory", false},
		{"signal", func(context.Context, comm.Job) (comm.Exit, error) { return comm.Exit{Code: 139, Signal: 11}, nil }, false, nil, nil, "signal 11", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Shell{ExpectDisconnect: c.expect}
			s.Inline, s.ValidExitCodes = []dag.Text{"reboot"}, c.codes
			sink := &memSink{}
			err := s.run(t.Context(), &fakeRemote{run: c.run, boots: c.boots}, values{t: task(sink)}, 0)
			if c.want != "" {
				wantError(t, err, c.want)
			} else if err != nil {
				t.Error(err)
			}
			if waited := strings.Contains(sink.said(dag.Said), "waiting for the machine"); waited != c.waited {
				t.Errorf("said %q", sink.said(dag.Said))
			}
		})
	}
	// A resumed process cannot know the boot before: it must not wait for another.
	s := Shell{ExpectDisconnect: true}
	s.Inline = []dag.Text{"reboot"}
	r := &fakeRemote{run: reboots, boots: []string{"boot2"}}
	if err := s.run(t.Context(), r, values{t: again(task(nil), nil)}, 0); err != nil {
		t.Error(err)
	}
}

// Where the template leaves it to the machine to stop itself, or a script is meant to, that is its last word: nothing is
// sent or removed after it, and no script counts as run that comes behind.
func TestLastWord(t *testing.T) {
	for _, c := range []struct {
		name             string
		stops, accepts   bool // the machine is to stop by itself; the script may lose it
		already, resumed bool // it has stopped before, and an earlier process has begun
		scripts          int
		want             string
	}{
		{name: "it is to stop", stops: true, scripts: 1},
		{name: "a script is meant to", accepts: true, scripts: 1},
		{name: "neither", scripts: 1, want: "it is stopped"},
		{name: "resumed", stops: true, already: true, resumed: true, scripts: 1},
		{name: "resumed, a script is meant to", accepts: true, already: true, resumed: true, scripts: 1},
		{name: "before the script began", stops: true, already: true, scripts: 1, want: "it is stopped"},
		{name: "before one began that is meant to", accepts: true, already: true, scripts: 1, want: "it is stopped"},
		{name: "another script comes behind", stops: true, scripts: 2, want: "a.sh has stopped the machine"},
		{name: "... after an interruption, too", stops: true, already: true, resumed: true, scripts: 2, want: "a.sh has stopped the machine"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			scripts := Scripts{Env: map[string]dag.Text{"A": "b"}}
			for _, name := range []string{"a.sh", "b.sh"}[:c.scripts] {
				scripts.Scripts = append(scripts.Scripts, file(t, dir+"/"+name, "x"))
			}
			if c.accepts {
				scripts.ValidExitCodes = []int{0, lostCode}
			}
			judge := func(err error, sink *memSink, ran int, left string, after []string) {
				t.Helper()
				if c.want != "" {
					wantError(t, err, c.want)
				} else if warned := sink.said(dag.Warned); err != nil || ran != 1 || !strings.Contains(warned, left+" could be removed: the image holds the variables") {
					t.Errorf("%v, ran %d times, warned %q", err, ran, warned)
				}
				if c.already && !c.resumed && ran > 0 {
					t.Error("it ran")
				}
				if len(after) > 0 && c.want == "" {
					t.Errorf("after the last word: %q", after)
				}
			}
			sink := &memSink{}
			tk := task(sink)
			tk.Resumed = c.resumed
			r := &fakeRemote{boots: []string{"boot1"}, stopped: c.already}
			var before int
			r.run = func(ctx context.Context, j comm.Job) (comm.Exit, error) {
				r.stopped, before = true, len(r.execs)
				return is(comm.Stopped)(ctx, j)
			}
			sends := c.resumed || !c.already // else that would notice
			err := Shell{Scripts: scripts, UseEnvVarFile: sends}.run(t.Context(), r, values{tk, comm.Machine{Endpoint: comm.Endpoint{Stops: c.stops}}, ""}, 0)
			judge(err, sink, len(r.ran), ".sh", r.execs[min(before, len(r.execs)):])

			sink = &memSink{}
			tk = task(sink)
			tk.Resumed = c.resumed
			w := &fakeWindows{stopped: c.already}
			w.run = func(ctx context.Context, j comm.Job) (comm.Exit, error) {
				w.stopped = true
				return is(comm.Stopped)(ctx, j)
			}
			m := winMachine()
			m.Stops = c.stops
			ps := PowerShell{Scripts: scripts}
			if sends {
				ps.RemoteEnvVarPath = "C:/v.ps1"
			}
			err = ps.run(t.Context(), w, values{tk, m, ""}, 0)
			judge(err, sink, len(w.ran), "C:/v.ps1", w.removed)
		})
	}
}

func TestShellJobs(t *testing.T) {
	s := Shell{ExecuteCommand: parsed("sudo {{.Vars}} {{.Path}}")}
	s.Inline = []dag.Text{"true"}
	r := &fakeRemote{run: exits(0)}
	tk := task(nil)
	tk.Attempt = 2
	if err := s.run(t.Context(), r, values{t: tk}, 1); err != nil {
		t.Fatal(err)
	}
	if j := r.ran[0]; j.Token != tk.Token+"-2-1-0" || j.Become != "sudo -n" || !strings.HasSuffix(j.Command, " {{.Path}}") || string(j.Script) != "#!/bin/sh -e\ntrue\n" {
		t.Errorf("%+v", j)
	}

	tries := 0
	r.run = func(context.Context, comm.Job) (comm.Exit, error) {
		if tries++; tries == 1 {
			return comm.Exit{}, errors.New("cannot start")
		}
		return comm.Exit{}, nil
	}
	if err := s.run(t.Context(), r, values{t: tk}, 0); err == nil || tries != 1 {
		t.Errorf("without start_retry_timeout: %d tries, %v", tries, err)
	}
	s.StartRetryTimeout = time.Minute
	tries = 0
	if err := s.run(t.Context(), r, values{t: tk}, 0); err != nil || tries != 2 {
		t.Errorf("with start_retry_timeout: %d tries, %v", tries, err)
	}
}

func TestShellCheck(t *testing.T) {
	some := steps.File{Path: "/x", Digest: "sha256:1"}
	for want, s := range map[string]*Shell{
		"":                    {Scripts: Scripts{Inline: []dag.Text{"x"}, EnvironmentVars: []dag.Text{"A=", dag.Text(dag.Mark("pair")), parsed("{{ build `ID` }}")}, ValidExitCodes: []int{0, 255, lostCode}}},
		"script":              {Scripts: Scripts{Script: some, Scripts: []steps.File{some}}},
		"inline":              {Scripts: Scripts{Script: some, Inline: []dag.Text{"x"}}},
		"environment_vars[1]": {Scripts: Scripts{Script: some, EnvironmentVars: []dag.Text{"A=1", "B"}}},
		"valid_exit_codes[0]": {Scripts: Scripts{Script: some, ValidExitCodes: []int{256}}},
		"env_var_format":      {Scripts: Scripts{Script: some}, EnvVarFormat: "export %s"},
		"start_retry_timeout": {Scripts: Scripts{Script: some}, StartRetryTimeout: -1},
		"remote_file":         {Scripts: Scripts{Script: some}, RemoteFile: "a/b"},
		"pause_after":         {Scripts: Scripts{Script: some}, PauseAfter: -1},
	} {
		if got := fields(s.Check()); got != want {
			t.Errorf("option errors of %q, want %q: %v", got, want, s.Check())
		}
	}
	s := Shell{Scripts: Scripts{Script: some, EnvironmentVars: []dag.Text{"opensesame"}}}
	if f := s.Check(); len(f) != 1 || strings.Contains(f[0].Text, "opensesame") {
		t.Errorf("a variable without name is shown: %v", f)
	}
	if f := (&Shell{}).Check(); len(f) != 1 || f[0].Field != "" || !strings.Contains(f[0].Text, "nothing to run") {
		t.Errorf("of nothing: %v", f)
	}
}

// TestShellKey says what makes another step of it, and that the step survives
// being stored.
func TestShellKey(t *testing.T) {
	key := func(change func(s *Shell)) dag.Key {
		g := dag.NewGraph(func(string) string { return "digest" })
		s := &Shell{}
		s.Script = steps.File{Path: "/a/x.sh", Digest: "sha256:1"}
		change(s)
		s.Add(g, dag.Build{Name: "web"}, "shell", dag.Lit(comm.Machine{}))
		return g.Nodes[0].Key
	}
	base := key(func(*Shell) {})
	for name, same := range map[string]func(s *Shell){
		"path": func(s *Shell) { s.Script.Path = "/b/y.sh" },
		"timeout": func(s *Shell) {
			s.SetCommon(steps.Common{PauseBefore: 1, Timeout: 2, MaxRetries: 3})
			s.PauseAfter, s.StartRetryTimeout = 4, 5
		},
	} {
		if key(same) != base {
			t.Errorf("%s is part of the key", name)
		}
	}
	for name, differ := range map[string]func(s *Shell){
		"content": func(s *Shell) { s.Script.Digest = "sha256:2" },
		"env":     func(s *Shell) { s.Env = map[string]dag.Text{"A": "1"} },
		"command": func(s *Shell) { s.ExecuteCommand = "x" },
	} {
		if key(differ) == base {
			t.Errorf("%s is not part of the key", name)
		}
	}
	if n := len(Kinds(comm.NewEnv(nil))); n != 21 {
		t.Errorf("%d kinds", n)
	}
}
