package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/sdk/log"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local/guest"
	"github.com/imgflow/imgflow/internal/pgtest"
	"github.com/imgflow/imgflow/internal/secrettest"
	"github.com/imgflow/imgflow/internal/temporaltest"
	"github.com/imgflow/imgflow/state"
)

// bench is a fleet: a database, an engine, an endpoint of EC2, and the program.
type bench struct {
	t        *testing.T
	program  string
	database string
	engine   string
	server   *temporaltest.Server // that it is
	endpoint string
	identity string
	dir      string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	if err := guest.Probe(t.TempDir()); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: builds by workers: instances cannot run here: %v", err)
	}
	b := &bench{t: t, server: temporaltest.New(t), database: pgtest.Database(t), dir: t.TempDir()}
	b.engine = b.server.URL()
	var err error
	if b.program, err = built(); err != nil {
		t.Fatal(err)
	}
	b.serve()
	b.identity = filepath.Join(b.dir, "identity")
	h, err := state.OpenHome(b.dir)
	if err == nil {
		_, err = h.Seal(nil) // makes the identity
	}
	if err != nil {
		t.Fatal(err)
	}
	identity, err := os.ReadFile(b.identity)
	if err != nil {
		t.Fatal(err)
	}
	secrettest.Hide(t, "hunTer2", "not-a-secret", strings.TrimSpace(string(identity)))
	return b
}

// built is the program, which all tests have.
var built = sync.OnceValues(func() (string, error) {
	var err error
	if shared, err = os.MkdirTemp("", "imgflow-fleet-"); err != nil {
		return "", err
	}
	program := filepath.Join(shared, "imgflow-fleet")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return program, nil
})

// shared is a directory that all tests of a fleet have; "" before there is one.
var shared string

// serve starts the endpoint.
func (b *bench) serve() {
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, b.program, "ec2local", "--listen", "127.0.0.1:0", "--dir", filepath.Join(b.dir, "ec2"), "--quiet", "--access-key", "AKIDEXAMPLE", "--secret-key", "not-a-secret")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Env = append(os.Environ(), "HOME="+b.dir, "IMGFLOW_STATE=")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { cancel(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	for b.endpoint == "" && lines.Scan() {
		b.endpoint = regexp.MustCompile(`http://[0-9.:]+`).FindString(lines.Text())
	}
	if b.endpoint == "" {
		b.t.Fatal("there is no endpoint")
	}
	go func() {
		for lines.Scan() {
		}
	}()
}

// machine is the program on a machine of that name, which has nothing of the others.
func (b *bench) machine(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(b.program, args...)
	home := filepath.Join(b.dir, name)
	if err := os.MkdirAll(home, 0o700); err != nil {
		b.t.Fatal(err)
	}
	cmd.Dir = home
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, "AWS_") || strings.HasPrefix(e, "IMGFLOW_")
	}), "HOME="+home, "IMGFLOW_HOME="+filepath.Join(home, "state"), "IMGFLOW_STATE="+b.database, "IMGFLOW_IDENTITY="+b.identity,
		"AWS_ENDPOINT_URL="+b.endpoint, "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=not-a-secret", "AWS_EC2_METADATA_DISABLED=true")
	return cmd
}

// quiet is a log that nobody reads.
var quiet = log.NewStructuredLogger(slog.New(slog.DiscardHandler))

// commandTime is how long a command may take, lest one that hangs says nothing. On a machine that builds a Temporal
// server beside the tests, a build of an example has taken most of a minute.
const commandTime = 5 * time.Minute

// output is what a command has printed, which must end with this status.
func (b *bench) output(status int, cmd *exec.Cmd) string {
	b.t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Start()
	if err != nil {
		b.t.Fatal(err)
	}
	defer time.AfterFunc(commandTime, func() { cmd.Process.Signal(syscall.SIGQUIT) }).Stop()
	err = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != status {
		b.t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args[1:], " "), err, out.String())
	}
	secrettest.Check(b.t, "what is printed", out.Bytes())
	return out.String()
}

// worker starts one, which ends with the test.
func (b *bench) worker(name string, flags ...string) *exec.Cmd {
	b.t.Helper()
	cmd, _ := b.saying(name, flags...)
	return cmd
}

// saying is worker, with what it says.
func (b *bench) saying(name string, flags ...string) (*exec.Cmd, *lockedBuffer) {
	b.t.Helper()
	cmd, said := b.machine(name, append([]string{"worker", "--on", b.engine, "--dir", filepath.Join(b.dir, name, "files")}, flags...)...), new(lockedBuffer)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		secrettest.Check(b.t, "what a worker prints", []byte(said.String()))
		if b.t.Failed() {
			b.t.Logf("%s: %s", name, said.String())
		}
	})
	return cmd, said
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// template makes a folder of a template that uploads a file and runs a script.
func (b *bench) template() string {
	b.t.Helper()
	dir := filepath.Join(b.dir, "checkout")
	for name, text := range map[string]string{
		"welcome.txt": "welcome to the machine\n",
		"greet.sh":    "echo \"$GREETING, says a script\"\n",
		"t.json": `{"variables": {"word": null}, "sensitive-variables": ["word"], "builders": [{"type": "amazon-ebs", "region": "us-east-1",
 "source_ami_filter": {"owners": ["099720109477"], "most_recent": true, "filters": {"name": "ubuntu/images/*ubuntu-xenial-16.04-amd64-server-*"}},
 "instance_type": "t3.micro", "ssh_username": "ubuntu", "ami_name": "image-{{timestamp}}"}],
 "provisioners": [{"type": "file", "source": "welcome.txt", "destination": "/home/ubuntu/"}, {"type": "shell", "inline": ["cat /home/ubuntu/welcome.txt"]},
 {"type": "shell", "environment_vars": ["GREETING={{user ` + "`word`" + `}} hello"], "script": "greet.sh"}]}`,
	} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	return filepath.Join(dir, "t.json")
}

// passing are lines that come when something takes long, or has to be tried again: how far it is, and what is found
// by a worker that goes on with what a busy one was too silent about.
var passing = regexp.MustCompile(`(?m)^    .*(: [0-9]+ %( \([^()]* of [^()]*\))?|: trying again in [0-9.hm]+s)$|^==> .*Found what an interrupted attempt had made: `)

// told is what a run has printed, line by line, without what is another in every run, without what comes of a busy
// machine, and without the order in which steps beside each other came.
func told(out string) []string {
	out = regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(out, "")
	for _, x := range []struct{ what, as string }{
		{`mx[0-9a-z]{10}`, "RUN"}, {`\b(ami|i|sg)-[0-9a-f]{17}`, "$1-ID"}, {`image-[0-9]+`, "IMAGE"}, {`127\.[0-9]+\.[0-9]+\.[0-9]+`, "ADDRESS"},
		{`after [0-9.m]+s`, "after TIME"}, {`Longest chain: .*`, "Longest chain"},
	} {
		out = regexp.MustCompile(x.what).ReplaceAllString(out, x.as)
	}
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(out), "\n"), passing.MatchString)
	slices.Sort(lines)
	return lines
}

// events are those of a run.
func (b *bench) events(run string) (all []dag.Event) {
	b.t.Helper()
	for line := range strings.Lines(b.output(0, b.machine("me", "logs", "--json", run))) {
		var e dag.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			b.t.Fatalf("logs prints %q: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

// keys are those of the run's steps, by their builds and names.
func (b *bench) keys(run string) map[string]string {
	b.t.Helper()
	m := map[string]string{}
	for _, e := range b.events(run) {
		if e.Type == dag.Planned {
			m[strings.Join(e.Builds, "+")+": "+e.Step] = e.Key
		}
	}
	return m
}

// newest is the id of the newest run.
func (b *bench) newest() string {
	b.t.Helper()
	var runs []struct{ ID string }
	if out := b.output(0, b.machine("me", "list", "--json")); json.Unmarshal([]byte(out), &runs) != nil || len(runs) == 0 {
		b.t.Fatalf("there is no run: %s", out)
	}
	return runs[0].ID
}

// A run that workers build is told as one that is built here: the same lines, the same
// steps by the same keys.
func TestARunElsewhereIsLikeOneHere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	template := b.template()
	b.worker("one")
	b.worker("two")
	began := time.Now()
	here := b.output(0, b.machine("me", "run", "-var", "word=hunTer2", template))
	tookHere, runHere := time.Since(began), b.newest()
	began = time.Now()
	away := b.output(0, b.machine("me", "run", "--on", b.engine, "--team", "web", "--priority", "2", "-var", "word=hunTer2", template))
	t.Logf("here %s, elsewhere %s", tookHere, time.Since(began))
	if want, got := told(here), told(away); !slices.Equal(got, want) {
		t.Errorf("elsewhere it told\n%s\n\nand here\n%s", away, here)
	}
	if !strings.Contains(away, "<sensitive> hello, says a script") {
		t.Errorf("the script has not run:\n%s", away)
	}
	want, got := b.keys(runHere), b.keys(b.newest())
	if len(want) < 15 || len(got) != len(want) {
		t.Errorf("there are %d steps, and here %d", len(got), len(want))
	}
	for _, name := range []string{"source", "network", "group", "launch", "file"} { // without the run's time and its salt
		name = "amazon-ebs: " + name
		if want[name] == "" || got[name] != want[name] {
			t.Errorf("%s has the key %s, and here %s", name, got[name], want[name])
		}
	}
}

// What is interrupted where nobody is at a terminal is suspended, keeps its machine, and goes on from any machine without
// its template; and what it has made is removed by the workers, too.
func TestSuspendResumeDestroyElsewhere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	template := b.slow("cat /home/ubuntu/welcome.txt; echo step began; sleep 20; echo step ended")
	b.worker("one")
	for _, how := range []string{"resume", "destroy"} {
		cmd, out := b.begin(template)
		b.await(out, "step began")
		run := b.newest()
		busy := b.output(1, b.machine("other", "resume", run))
		if !strings.Contains(busy, b.engine+" since") || !strings.Contains(busy, "is driving it; `imgflow-fleet logs -f "+run) {
			t.Errorf("a second resume says %s", busy)
		}
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 130 {
			t.Errorf("interrupted it ends with %d:\n%s", code, out.String())
		}
		if list := b.output(0, b.machine("other", "list")); !strings.Contains(list, "suspended") {
			t.Errorf("list shows %s", list)
		}
		switch how {
		case "resume":
			away := b.output(0, b.machine("other", "resume", "--frozen", run))
			for _, want := range []string{"step ended", "<sensitive> hello, says a script", "These images were made"} {
				if strings.Count(away, want) != 1 {
					t.Errorf("resumed, %q was not told once:\n%s", want, away)
				}
			}
			logs := b.output(0, b.machine("other", "logs", run))
			if strings.Count(logs, "step began") != 1 || strings.Count(logs, "step ended") != 1 {
				t.Errorf("the logs are\n%s", logs)
			}
		case "destroy":
			gone := b.output(0, b.machine("other", "destroy", "--yes", run))
			if !strings.Contains(gone, "all of it is removed") || !strings.Contains(gone, "Removing instance") {
				t.Errorf("destroy says\n%s", gone)
			}
		}
		if left := b.output(0, b.machine("other", "destroy", "--dry-run", run)); strings.Contains(left, "instance") {
			t.Errorf("there is %s", left)
		}
	}
}

// slow is a template whose script does something else in place of its first command.
func (b *bench) slow(commands string) (file string) {
	b.t.Helper()
	file = b.template()
	p, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, bytes.ReplaceAll(p, []byte("cat /home/ubuntu/welcome.txt"), []byte(commands)), 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return file
}

// begin begins a run by the workers.
func (b *bench) begin(template string) (*exec.Cmd, *lockedBuffer) {
	b.t.Helper()
	cmd, out := b.machine("me", "run", "--on", b.engine, "-var", "word=hunTer2", template), new(lockedBuffer)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	late := time.AfterFunc(commandTime, func() { cmd.Process.Signal(syscall.SIGQUIT) }) // one that hangs says where
	b.t.Cleanup(func() {
		late.Stop()
		secrettest.Check(b.t, "what is printed", []byte(out.String()))
	})
	return cmd, out
}

// await waits until a command has printed a text.
func (b *bench) await(out *lockedBuffer, text string) {
	b.t.Helper()
	for deadline := time.Now().Add(commandTime); !strings.Contains(out.String(), text); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("%q did not come:\n%s", text, out.String())
		}
	}
}

// A worker that is killed in the middle of a script is replaced by another: the script runs once, and no line is lost or
// told twice.
func TestAKilledWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	template := b.slow("for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 1; done")
	first := b.worker("one")
	cmd, out := b.begin(template)
	b.await(out, "line 2")
	b.worker("two")
	first.Process.Kill()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for i := range 8 {
		if line := fmt.Sprintf("line %d\n", i+1); strings.Count(out.String(), line) != 1 {
			t.Errorf("%q was told %d times", line, strings.Count(out.String(), line))
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

// A run whose workflow was terminated is as one whose process was killed: whoever follows it is told, and it goes on, or what it has
// made is removed.
func TestATerminatedRunIsNotLost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	template := b.slow("echo step began; sleep 20; echo step ended")
	b.worker("one")
	for how, wants := range map[string][]string{
		"resume":  {"step ended", "These images were made"},
		"destroy": {"Removing instance", "all of it is removed"},
	} {
		cmd, out := b.begin(template)
		b.await(out, "step began")
		run := b.newest()
		if err := b.dial().TerminateWorkflow(t.Context(), run, "", "a test"); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(out.String(), "its engine has given it up: imgflow-fleet resume "+run) {
			t.Errorf("who follows it is told (%d)\n%s", code, out.String())
		}
		args := []string{how, run}
		if how == "destroy" {
			args = []string{how, "--yes", run}
		}
		said := b.output(0, b.machine("other", args...))
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("%s says nothing of %q:\n%s", how, want, said)
			}
		}
		if logs := b.output(0, b.machine("other", "logs", run)); strings.Count(logs, "step began") != 1 {
			t.Errorf("after %s the script was begun twice:\n%s", how, logs)
		}
	}
}

// What workers cannot do is refused, and what needs a database says so, before anything is begun.
func TestWhatWorkersCannotBuild(t *testing.T) {
	t.Parallel()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, program: program, dir: t.TempDir()}
	dir := filepath.Join(b.dir, "me")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"down.json": `{"builders": [{"type": "null", "ssh_host": "127.0.0.1", "ssh_username": "u", "ssh_agent_auth": true}], "provisioners": [{"type": "file", "direction": "download", "source": "/etc/hostname", "destination": "h"}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const engine = "temporal://127.0.0.1:1/default"
	if out := b.output(2, b.machine("me", "run", "--on", engine, "down.json")); !strings.Contains(out, "set IMGFLOW_STATE to the database") {
		t.Error(out)
	}
	b.database = pgtest.Database(t)
	for flags, why := range map[string]string{"--local": "the embedded EC2 is one of this machine", "--priority=6": "it is from 1", "-debug": "no terminal"} {
		if out := b.output(2, b.machine("me", "run", "--on", engine, flags, "file.json")); !strings.Contains(out, why) {
			t.Error(out)
		}
	}
	if out := b.output(0, b.machine("me", "list")); !strings.Contains(out, "no such runs") {
		t.Error(out)
	}
}
