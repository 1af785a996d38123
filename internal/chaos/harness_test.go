package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/imgflow/imgflow/internal/secrettest"
)

var (
	long    = flag.Bool("chaos.long", false, "play the stories at full length")
	runs    = flag.Int("chaos.n", 0, "play the first seeds of each campaign, as many; 0 plays a few that were chosen")
	workers = flag.Int("chaos.workers", 3, "runs of a campaign at once")
)

var binDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "chaos-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binDir = dir
	// They wait most of their time: as many at once as fill the processors.
	flag.Parse()
	if p := flag.Lookup("test.parallel"); p.Value.String() == p.DefValue {
		p.Value.Set(fmt.Sprint(3 * runtime.NumCPU()))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// program is an imgflow that can kill itself, built once.
var program = sync.OnceValues(func() (string, error) { return build(context.Background(), binDir, "imgflow") })

// fleetProgram is an imgflow-fleet, built once.
var fleetProgram = sync.OnceValues(func() (string, error) { return build(context.Background(), binDir, "imgflow-fleet") })

func imgflow(t *testing.T) string {
	t.Helper()
	exe, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// stage is a world of one test.
type stage struct {
	*world
	t *testing.T
}

// newStage makes a world whose instances are real; args are further flags of its
// embedded EC2.
func newStage(t *testing.T, args ...string) *stage {
	t.Helper()
	exe := imgflow(t)
	sandboxes(t, exe)
	return stageOf(t, exe, append([]string{"--guest", "sandbox"}, args...)...)
}

func stageOf(t *testing.T, exe string, args ...string) *stage {
	t.Helper()
	w, err := newWorld(exe, t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.close() })
	secrettest.Hide(t, key.SecretAccessKey)
	return &stage{w, t}
}

// canSandbox tries whether this machine can have sandbox guests.
var canSandbox = sync.OnceValue(func() error {
	exe, err := program()
	if err != nil {
		return err
	}
	e, err := serve(exe, filepath.Join(binDir, "probe"), "--guest", "sandbox")
	if err == nil {
		e.close()
	}
	return err
})

func sandboxes(t *testing.T, exe string) {
	t.Helper()
	if err := canSandbox(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no sandbox guests on this machine: %v", err)
		}
		t.Skipf("NOT TESTED: no sandbox guests on this machine: %v", err)
	}
}

// file writes a file beside the template.
func (s *stage) file(name, text string) {
	s.t.Helper()
	if err := s.write(name, text); err != nil {
		s.t.Fatal(err)
	}
}

// template writes t.json: a builder, with more options, and its provisioners.
func (s *stage) template(more map[string]any, provisioners ...map[string]any) {
	s.t.Helper()
	b := map[string]any{"type": "amazon-ebs", "region": region, "instance_type": "t3.micro", "ssh_username": "ubuntu",
		"ami_name": "story-{{timestamp}}", "source_ami_filter": sourceFilter()}
	for k, v := range more {
		b[k] = v
	}
	template := map[string]any{"builders": []any{b}}
	if len(provisioners) > 0 {
		template["provisioners"] = provisioners
	}
	text, err := json.MarshalIndent(template, "", "  ")
	if err != nil {
		s.t.Fatal(err)
	}
	s.file("t.json", string(text))
}

// cleaning gives t.json a line to be run on the machine of a build that has failed.
func (s *stage) cleaning(line string) {
	s.t.Helper()
	text, err := os.ReadFile(s.path("t.json"))
	template := map[string]any{}
	if err == nil {
		err = json.Unmarshal(text, &template)
	}
	if err == nil {
		template["error-cleanup-provisioner"] = inline(line)
		text, err = json.Marshal(template)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.file("t.json", string(text))
}

func script(name string) map[string]any {
	return map[string]any{"type": "shell", "script": "./" + name}
}

func inline(lines ...string) map[string]any {
	return map[string]any{"type": "shell", "inline": lines}
}

// begin starts an imgflow that ends with the test at the latest.
func (s *stage) begin(env []string, args ...string) *proc {
	s.t.Helper()
	p, err := s.start(env, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if p.alive() {
			p.signal(syscall.SIGKILL)
			<-p.ended
		}
		secrettest.Check(s.t, "what is printed", []byte(p.output()))
	})
	return p
}

// must runs an imgflow that has to succeed.
func (s *stage) must(args ...string) string {
	s.t.Helper()
	out, err := s.ok(args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// fails runs an imgflow that has to end with the status.
func (s *stage) fails(code int, args ...string) string {
	s.t.Helper()
	got, out, err := s.do(args...)
	if err != nil {
		s.t.Fatalf("%v; it printed:\n%s", err, indent(out))
	}
	if got != code {
		s.t.Fatalf("`imgflow %s` ended with exit status %d, not %d; it printed:\n%s", strings.Join(args, " "), got, code, indent(out))
	}
	return out
}

// hears waits until the process says the text.
func (s *stage) hears(p *proc, text string) {
	s.t.Helper()
	if !p.saying(text, patience) {
		s.t.Fatalf("`imgflow %s` did not say %q; it printed:\n%s", strings.Join(p.args, " "), text, indent(p.output()))
	}
}

// kill kills with -9.
func (s *stage) kill(p *proc) {
	s.t.Helper()
	p.signal(syscall.SIGKILL)
	<-p.ended
	if !p.killed() {
		s.t.Fatalf("`imgflow %s` ended with exit status %d before it was killed; it printed:\n%s", strings.Join(p.args, " "), p.code(), indent(p.output()))
	}
}

// ends waits for the exit status.
func (s *stage) ends(p *proc, code int) string {
	s.t.Helper()
	if err := p.wait(patience); err != nil {
		s.t.Fatalf("%v; it printed:\n%s", err, indent(p.output()))
	}
	if p.code() != code {
		s.t.Fatalf("`imgflow %s` ended with exit status %d, not %d; it printed:\n%s", strings.Join(p.args, " "), p.code(), code, indent(p.output()))
	}
	return p.output()
}

// only is the id of the one run that there is.
func (s *stage) only() string {
	s.t.Helper()
	rs, err := s.runs()
	if err != nil {
		s.t.Fatal(err)
	}
	if len(rs) != 1 {
		s.t.Fatalf("there are %d runs", len(rs))
	}
	return rs[0].ID
}

// leaves checks that there are so many finished images, and nothing else.
func (s *stage) leaves(images int) {
	s.t.Helper()
	if err := s.holds(images); err != nil {
		s.t.Fatal(err)
	}
}

// things is the inventory.
func (s *stage) things() inventory {
	s.t.Helper()
	inv, err := s.inventory()
	if err != nil {
		s.t.Fatal(err)
	}
	return inv
}

// machine is the id of the one instance that lives.
func (s *stage) machine() string {
	s.t.Helper()
	living := s.things().living()
	if len(living) != 1 {
		s.t.Fatalf("there are %d living instances: %v", len(living), living)
	}
	return living[0].ID
}

// launched counts all instances that there were.
func (s *stage) launched() int {
	s.t.Helper()
	return len(s.things().of("instance"))
}

// count is how many lines hold the text.
func count(output, text string) int {
	n := 0
	for l := range strings.Lines(output) {
		if strings.Contains(l, text) {
			n++
		}
	}
	return n
}

// scaled is the first when the stories are short, and the second at full length.
func scaled[T any](short, full T) T {
	if *long {
		return full
	}
	return short
}
