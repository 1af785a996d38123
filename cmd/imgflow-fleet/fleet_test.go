package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
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

	"github.com/imgflow/imgflow/internal/ec2local/guest"
	"github.com/imgflow/imgflow/internal/pgtest"
	"github.com/imgflow/imgflow/internal/temporaltest"
	"github.com/imgflow/imgflow/state"
)

// bench is a fleet: a database, an engine, an endpoint of EC2, and the program.
type bench struct {
	t        *testing.T
	program  string
	database string
	engine   string
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
		t.Skipf("instances cannot run here: %v", err)
	}
	b := &bench{t: t, engine: temporaltest.New(t).URL(), database: pgtest.Database(t), dir: t.TempDir()}
	b.program = filepath.Join(b.dir, "imgflow-fleet")
	if out, err := exec.Command("go", "build", "-o", b.program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
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
	return b
}

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

// commandTime is how long a command may take, lest one that hangs says nothing.
const commandTime = 20 * time.Second

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
	return out.String()
}

// worker starts one, which ends with the test.
func (b *bench) worker(name string) *exec.Cmd {
	b.t.Helper()
	cmd := b.machine(name, "worker", "--on", b.engine, "--dir", filepath.Join(b.dir, name, "files"))
	var said lockedBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if b.t.Failed() {
			b.t.Logf("%s: %s", name, said.String())
		}
	})
	return cmd
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

// told is what a run has printed, line by line, without what is another in every run, and without the
// order in which steps beside each other came.
func told(out string) []string {
	out = regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(out, "")
	for _, x := range []struct{ what, as string }{
		{`mx[0-9a-z]{10}`, "RUN"}, {`\b(ami|i|sg)-[0-9a-f]{17}`, "$1-ID"}, {`image-[0-9]+`, "IMAGE"}, {`127\.[0-9]+\.[0-9]+\.[0-9]+`, "ADDRESS"},
		{`after [0-9.m]+s`, "after TIME"}, {`Longest chain: .*`, "Longest chain"},
	} {
		out = regexp.MustCompile(x.what).ReplaceAllString(out, x.as)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	slices.Sort(lines)
	return lines
}

// keys are those of the run's steps that do not depend on its time, by their names.
func (b *bench) keys(run string) map[string]string {
	b.t.Helper()
	m := map[string]string{}
	for _, line := range strings.Split(b.output(0, b.machine("me", "logs", "--json", run)), "\n") {
		var e struct{ Type, Step, Key string }
		if json.Unmarshal([]byte(line), &e) == nil && e.Type == "planned" {
			m[e.Step] = e.Key
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
		if want[name] == "" || got[name] != want[name] {
			t.Errorf("%s has the key %s, and here %s", name, got[name], want[name])
		}
	}
}
