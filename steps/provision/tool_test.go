package provision

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// near is this computer as a machine that needs no connection: a run is over when Run
// returns, and its token's end is known from then on.
type near struct {
	comm.Remote
	t     *dag.Task
	ended map[string]comm.Exit
	open  []string // directories that others could read when something came there
}

func (r *near) Run(ctx context.Context, j comm.Job) (comm.Exit, error) {
	if x, ok := r.ended[j.Token]; ok {
		return x, nil
	}
	f, err := os.CreateTemp("", "script-"+prefix)
	if err != nil {
		return comm.Exit{}, err
	}
	defer os.Remove(f.Name())
	f.Write(j.Script)
	f.Close()
	out, x, err := r.Exec(ctx, strings.ReplaceAll(j.Command, "{{.Path}}", f.Name()), nil)
	for line := range strings.Lines(string(out)) {
		r.t.Print("stdout", 0, strings.TrimSuffix(line, "\n"))
	}
	if err == nil {
		r.ended[j.Token] = x
	}
	return x, err
}

func (r *near) Exec(ctx context.Context, command string, _ io.Reader) ([]byte, comm.Exit, error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	out, err := cmd.Output()
	if errors.As(err, new(*exec.ExitError)) {
		err = nil
	}
	return out, comm.Exit{Code: cmd.ProcessState.ExitCode()}, err
}

func (r *near) Upload(_ context.Context, path string, from io.Reader, _ int64, mode fs.FileMode) error {
	text, err := io.ReadAll(from)
	os.Remove(path)
	if err == nil {
		err = os.WriteFile(path, text, mode)
	}
	return err
}

func (r *near) UploadDir(_ context.Context, dst, src string) error {
	if fi, err := os.Stat(dst); err == nil && fi.Mode().Perm()&0o077 != 0 {
		r.open = append(r.open, filepath.Base(dst))
	}
	return filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		to := filepath.Join(dst, strings.TrimPrefix(path, src))
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(to, text, 0o644)
		}
		return err
	})
}

func (r *near) Download(_ context.Context, path string, to io.Writer) error {
	text, err := os.ReadFile(path)
	to.Write(text)
	return err
}

// onHere is a tool for one try of a task, whose values are those of a machine.
func onHere(sink *memSink) *tool {
	k := task(sink)
	m := comm.Machine{Endpoint: comm.Endpoint{Protocol: "ssh", Host: "h", Port: 22, Vars: map[string]string{"ID": "i-0abc"}}}
	return &tool{r: &near{t: k, ended: map[string]comm.Exit{}}, v: values{t: k, m: m}}
}

// doHere is one try of a step here.
func doHere(t testing.TB, run func(context.Context, *tool) error) (*memSink, error) {
	t.Helper()
	sink := &memSink{}
	return sink, onHere(sink).do(t.Context(), run)
}

// standIn makes a program of a name that plays another one, and returns its directory.
func standIn(t testing.TB, name, script string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// directory makes one with files.
func directory(t testing.TB, files map[string]string) steps.File {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file(t, filepath.Join(dir, name), text)
	}
	f, err := steps.NewFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func text(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// TestToolFiles: what is staged lies there as it should, once, and what is private is
// gone in the end.
func TestToolFiles(t *testing.T) {
	there := t.TempDir()
	_, err := doHere(t, func(ctx context.Context, w *tool) error {
		files := []staged{
			{to: there + "/deep/text", text: "hello"},
			{to: there + "/secret", text: "hush", private: true},
			{to: there + "/file", file: file(t, filepath.Join(t.TempDir(), "x"), "a file")},
			{to: there + "/tree", file: directory(t, map[string]string{"a/b": "deep"})},
			{to: there + "/keys", file: directory(t, map[string]string{"key": "hush"}), private: true},
			{to: there + "/pem", file: file(t, filepath.Join(t.TempDir(), "pem"), "hush"), private: true}, // which others may read here
		}
		if err := w.stage(ctx, there+"/made/too", files); err != nil {
			return err
		}
		for path, want := range map[string]string{"deep/text": "hello", "secret": "hush", "file": "a file", "tree/a/b": "deep", "keys/key": "hush"} {
			if got := text(t, filepath.Join(there, path)); got != want {
				t.Errorf("%s holds %q", path, got)
			}
		}
		for path, want := range map[string]os.FileMode{"secret": 0o600, "pem": 0o600, "keys/key": 0o600, "keys": 0o700, "deep/text": 0o644} {
			if fi, err := os.Stat(filepath.Join(there, path)); err != nil || fi.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", path, fi.Mode(), err)
			}
		}
		if open := w.r.(*near).open; !slices.Equal(open, []string{"tree"}) {
			t.Errorf("others could read %v when something came there", open)
		}
		os.WriteFile(there+"/file", []byte("in use"), 0o644)
		if err := w.stage(ctx, there, files); err != nil || text(t, there+"/file") != "in use" {
			t.Errorf("staged again: %v", err)
		}
		w.try++
		if err := w.stage(ctx, there, files); err != nil || text(t, there+"/file") != "a file" {
			t.Errorf("not staged for another try: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"secret", "keys", "pem"} {
		if _, err := os.Stat(filepath.Join(there, path)); err == nil {
			t.Errorf("%s is left for the image", path)
		}
	}
}

// TestToolChanged: a file that is not what was planned is no file to upload.
func TestToolChanged(t *testing.T) {
	f := file(t, filepath.Join(t.TempDir(), "x"), "one")
	os.WriteFile(f.Path, []byte("two"), 0o644)
	err := onHere(nil).stage(t.Context(), t.TempDir(), []staged{{to: t.TempDir() + "/x", file: f}})
	wantError(t, err, "it has changed since the run was planned")
}

// TestToolEnvironment: it arrives byte for byte, and stands in no list of processes.
func TestToolEnvironment(t *testing.T) {
	sink := &memSink{}
	w := onHere(sink)
	const hidden = "s3cret'\"$HOME`id`"
	code, err := w.run(t.Context(), "it", `printf '%s\n' "$A"; ps -ww -o args= -p $$ | grep s3cre[t]; exit 3`, map[string]string{"A": hidden})
	if err != nil || code != 3 || sink.printed() != hidden+"\n" {
		t.Errorf("%d, %v, printed %q", code, err, sink.printed())
	}
	err = w.must(t.Context(), "it", "exit 4", nil)
	wantError(t, err, "it exited with status 4")
}

// TestToolJobs: each run of each try is one of its own, and the same after an interruption; what it
// takes beside the command is what the machine and the options say.
func TestToolJobs(t *testing.T) {
	sink := &memSink{}
	first := task(sink)
	r := &fakeRemote{run: func(context.Context, comm.Job) (comm.Exit, error) { return comm.Exit{Truncated: true}, nil }}
	two := func(k *dag.Task, try int) {
		w := &tool{r: r, v: values{t: k, m: comm.Machine{SSH: comm.SSH{Pty: true}}}, try: try}
		for _, command := range []string{"sudo -E it", "it"} {
			if err := w.must(t.Context(), "it", command, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	two(first, 0)
	two(again(first, sink), 0)
	two(first, 1)
	later := again(first, sink)
	later.Attempt++
	two(later, 0)
	seen := map[string]int{}
	for i, j := range r.ran {
		seen[j.Token]++
		if want := map[int]string{0: "sudo -n"}[i%2]; j.Become != want || !j.Pty {
			t.Errorf("%+v", j)
		}
	}
	if len(seen) != 6 || r.ran[0].Token != r.ran[2].Token || r.ran[1].Token != r.ran[3].Token {
		t.Errorf("%v", seen)
	}
	if n := strings.Count(sink.said(dag.Warned), "some output of it was lost"); n != len(r.ran) {
		t.Errorf("warned %q", sink.said(dag.Warned))
	}
	w := &tool{r: &fakeWindows{run: exits(0)}, v: values{t: task(nil), m: winMachine()}}
	wantError(t, w.must(t.Context(), "it", strings.Repeat("x", maxCommand+1), nil), "cannot run it: its command line has 8001 characters")
}

// TestToolRemoves: by sudo what the user may not remove, and it is told what stays.
func TestToolRemoves(t *testing.T) {
	for sudo, want := range map[bool]string{false: "{ rm -rf -- '/a' '/b c'; } 2>&1", true: "{ rm -rf -- '/a' '/b c' 2>/dev/null || sudo -n rm -rf -- '/a' '/b c'; } 2>&1"} {
		r, sink := &fakeRemote{boots: []string{""}}, &memSink{}
		w := &tool{r: r, v: values{t: task(sink)}, sudo: sudo}
		w.remove(t.Context(), "/a", "/b c")
		r.stopped = true
		if w.remove(t.Context(), "/d"); r.execs[0] != want || !strings.Contains(sink.said(dag.Warned), "/d stays on the machine, and in the image: ") {
			t.Errorf("%q, warned %q", r.execs, sink.said(dag.Warned))
		}
	}
}

// TestToolResumed: a run that has begun is followed, not begun again, and its files stay.
func TestToolResumed(t *testing.T) {
	e, m := machine(t)
	dir := t.TempDir()
	defer os.WriteFile(filepath.Join(dir, "go"), nil, 0o644)
	run := func(ctx context.Context, w *tool) error {
		if err := w.stage(ctx, dir, []staged{{to: dir + "/key", text: "key", private: true}}); err != nil {
			return err
		}
		if err := w.must(ctx, "one", "echo one >>"+dir+"/ran", nil); err != nil {
			return err
		}
		return w.must(ctx, "two", "echo two >>"+dir+"/ran; echo begun; k=0; while [ ! -e "+dir+"/go ] && [ $k -lt 600 ]; do sleep .05; k=$((k+1)); done; cat "+dir+"/key; echo", nil)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sink := &memSink{}
	sink.on = func(ev dag.Event) {
		if ev.Text == "begun" {
			cancel()
		}
	}
	first := task(sink)
	if _, err := withTool(ctx, e, first, m, steps.Common{}, run); !errors.Is(err, context.Canceled) {
		t.Fatalf("suspended: %v", err)
	}
	os.WriteFile(filepath.Join(dir, "go"), nil, 0o644)
	other := comm.NewEnv(nil)
	defer other.Close()
	if _, err := withTool(t.Context(), other, again(first, sink), m, steps.Common{}, run); err != nil {
		t.Fatal(err)
	}
	if ran := text(t, dir+"/ran"); ran != "one\ntwo\n" || sink.printed() != "begun\nkey\n" {
		t.Errorf("ran %q, printed %q", ran, sink.printed())
	}
	if _, err := os.Stat(dir + "/key"); err == nil {
		t.Error("the key is left for the image")
	}
}

// TestToolTimeout: what runs too long is stopped, and its private files go.
func TestToolTimeout(t *testing.T) {
	dir := t.TempDir()
	sink := &memSink{}
	w := onHere(sink)
	r := &fakeRemote{Remote: w.r, run: func(ctx context.Context, _ comm.Job) (comm.Exit, error) {
		<-ctx.Done()
		return comm.Exit{}, ctx.Err()
	}, boots: []string{""}}
	w.r = r
	err := steps.Common{Timeout: 20 * time.Millisecond}.Try(t.Context(), w.v.t, func(ctx context.Context, _ int) error {
		return w.do(ctx, func(ctx context.Context, w *tool) error {
			w.private = []string{dir + "/key"}
			return w.must(ctx, "it", "sleep 60", nil)
		})
	})
	wantError(t, err, "timed out after 20ms: it was stopped")
	if len(r.canceled) != 1 || len(r.execs) != 1 || r.execs[0] != "{ rm -rf -- '"+dir+"/key'; } 2>&1" {
		t.Errorf("canceled %v, done %v", r.canceled, r.execs)
	}
}

// TestToolEnds are those that are no exit status.
func TestToolEnds(t *testing.T) {
	for want, run := range map[string]func(context.Context, comm.Job) (comm.Exit, error){
		"cannot tell how it ended: the run was lost: gone": func(context.Context, comm.Job) (comm.Exit, error) { return comm.Exit{}, &comm.LostError{Why: "gone"} },
		"cannot tell how it ended":                         is(comm.Stopped),
		"the machine rebooted while it ran":                func(context.Context, comm.Job) (comm.Exit, error) { return comm.Exit{Rebooted: true}, nil },
		"signal 11":                                        func(context.Context, comm.Job) (comm.Exit, error) { return comm.Exit{Signal: 11}, nil },
		"too little memory":                                func(context.Context, comm.Job) (comm.Exit, error) { return comm.Exit{Code: 137, OOM: true}, nil },
	} {
		w := &tool{r: &fakeRemote{run: run}, v: values{t: task(nil)}}
		wantError(t, w.must(t.Context(), "it", "true", nil), want)
	}
}

func TestMayBeRemoved(t *testing.T) {
	for dir, may := range map[string]bool{"/tmp/x": true, "/srv/a/b": true, "C:/Windows/Temp": true, `C:\Windows\Temp\x`: true,
		"/": false, "/tmp": false, "/tmp/": false, "/tmp/x/..": false, "C:/": false, `C:\Windows`: false, "x/y": false, "": false} {
		if err := mayBeRemoved(dir); (err == nil) != may {
			t.Errorf("%q: %v", dir, err)
		}
	}
}

// located has a step find the files that its options name.
func located(t testing.TB, s steps.FileUser) string {
	t.Helper()
	return fields(s.ResolveFiles(steps.NewFile))
}

func TestGuestOfTools(t *testing.T) {
	for system, want := range map[string]string{"": "ssh winrm", "unix": "ssh", "windows": "winrm"} {
		if got := strings.Join(Guest{system}.Communicators(), " "); got != want {
			t.Errorf("%q: %s", system, got)
		}
	}
	var f steps.OptionErrors
	if (Guest{"dos"}).check(&f); fields(f) != "guest_os_type" {
		t.Errorf("%v", f)
	}
}

// TestToolsBySudo: sudo is used where it is not forbidden, and keeps the environment that
// a tool is given.
func TestToolsBySudo(t *testing.T) {
	withPath(t, standIn(t, "sudo", `echo "sudo $*"; case $1 in -*) shift;; esac; exec "$@"`))
	programs := standIn(t, "puppet", `echo "puppet $FACTER_role"`)
	for _, name := range []string{"chef-solo", "salt-call", "goss"} {
		os.WriteFile(filepath.Join(programs, name), []byte("#!/bin/sh\necho "+name+" $WHO\n"), 0o755)
	}
	withPath(t, programs)
	dir := func() dag.Text { return dag.Text(t.TempDir() + "/d") }
	goss := Goss{SkipInstall: true, SkipDownload: true, UseSudo: true, RemotePath: dir(), DownloadPath: dag.Text(programs + "/goss")}
	env := goss
	env.VarsEnv = map[string]dag.Text{"WHO": "me"}
	for want, run := range map[string]func(context.Context, *tool) error{
		"sudo -E puppet apply":       PuppetMasterless{Puppet: Puppet{StagingDirectory: dir(), Facter: map[string]dag.Text{"role": "web"}}, Manifest: file(t, t.TempDir()+"/site.pp", "")}.run,
		"sudo chef-solo --no-color":  ChefSolo{Chef: Chef{SkipInstall: true, StagingDirectory: dir()}}.run,
		"sudo " + programs + "/goss": goss.run,
		"sudo -E " + programs:        env.run,
	} {
		sink, err := doHere(t, run)
		if err != nil || !strings.HasPrefix(sink.printed(), want) || strings.Contains(want, "-E") && !strings.HasSuffix(sink.printed(), " web\n") && !strings.HasSuffix(sink.printed(), " me\n") {
			t.Errorf("%s: %v, printed %q", want, err, sink.printed())
		}
	}
	// A directory that the user cannot make is made by it, for the user.
	w := onHere(nil)
	w.sudo = true
	err := w.mkdir(t.Context(), file(t, t.TempDir()+"/file", "").Path+"/d", false)
	wantError(t, err, "cannot make the directory", "sudo -n mkdir -p -- ")
}
