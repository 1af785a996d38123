package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

// desk is where a user types commands: a folder with a template and a home.
type desk struct {
	*testing.T
	dir  string
	env  []string    // more than every command has
	goOn atomic.Bool // the script of slow.json may go on after its tenth line
}

const slowTemplate = `{
  "builders": [{"type": "amazon-ebs", "name": "web", "region": "us-east-1", "instance_type": "t3.micro", "ssh_username": "ubuntu", "ami_name": "web-{{timestamp}}",
    "source_ami_filter": {"filters": {"name": "ubuntu/images/*ubuntu-xenial-16.04-amd64-server-*"}, "owners": ["099720109477"], "most_recent": true}}],
  "provisioners": [{"type": "shell", "inline": ["echo run >> /tmp/runs", "for i in $(seq 1 30); do echo line $i; sleep 0.05; done", "test $(wc -l < /tmp/runs) = 1"]}]
}`

func newDesk(t *testing.T) *desk {
	if err := lackingGuests(t); err != nil {
		t.Skipf("NOT TESTED: how a build is interrupted: %v", err)
	}
	t.Parallel()
	d := &desk{T: t, dir: t.TempDir()}
	// However busy this computer is, the script stands at its tenth line until it may go on.
	held := fmt.Sprintf(`[ $i != 10 ] || until bash -c 'read x </dev/tcp/%s && [ $x = go ]'; do sleep 0.1; done`, d.answers())
	if err := os.WriteFile(filepath.Join(d.dir, "slow.json"), []byte(strings.Replace(slowTemplate, "sleep 0.05", held, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopServer(filepath.Join(d.dir, "home", "local")) })
	return d
}

// answers tells a guest that asks whether its script may go on, at host/port.
func (d *desk) answers() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			answer := "wait\n"
			if d.goOn.Load() {
				answer = "go\n"
			}
			io.WriteString(c, answer)
			c.Close()
		}
	}()
	return strings.Replace(l.Addr().String(), ":", "/", 1)
}

func (d *desk) command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Args = append([]string{"imgflow"}, args...)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "IMGFLOW_HOME="+filepath.Join(d.dir, "home"), "AWS_EC2_METADATA_DISABLED=true")
	cmd.Env = append(cmd.Env, d.env...)
	return cmd
}

// do runs a command to its end and returns what it printed, and its status.
func (d *desk) do(args ...string) (string, int) {
	d.Helper()
	out, err := d.command(args...).CombinedOutput()
	return string(out), status(d.T, err)
}

func status(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	t.Fatal(err)
	return 0
}

// begin starts a run and returns when the machine has printed a line. The rest of
// its output is there when it has ended, and the script may go on from then.
func (d *desk) begin(line string) (cmd *exec.Cmd, rest func() string) {
	d.Helper()
	cmd = d.command("run", "--local", "slow.json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		d.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		d.Fatal(err)
	}
	var seen strings.Builder
	r := bufio.NewReader(out)
	for {
		s, err := r.ReadString('\n')
		seen.WriteString(s)
		if err != nil {
			cmd.Wait()
			d.Fatalf("the run ended before %q:\n%s%s", line, seen.String(), errs.String())
		}
		if strings.TrimSpace(s) == line {
			break
		}
	}
	return cmd, func() string {
		p, _ := io.ReadAll(r)
		d.goOn.Store(true)
		return seen.String() + string(p)
	}
}

// run is the newest run.
func (d *desk) run() state.Summary {
	d.Helper()
	out, code := d.do("show", "--json")
	var s state.Summary
	if err := json.Unmarshal([]byte(out), &s); code != 0 || err != nil {
		d.Fatalf("show: %d, %v, %s", code, err, out)
	}
	return s
}

// whole checks that the run printed every line once and launched one machine.
func (d *desk) whole() {
	d.Helper()
	out, code := d.do("logs", "--json")
	if code != 0 {
		d.Fatal(out)
	}
	lines, launches := map[string]int{}, 0
	for l := range strings.Lines(out) {
		var e dag.Event
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			d.Fatal(err)
		}
		switch {
		case e.Type == dag.Printed && strings.HasPrefix(e.Text, "line "):
			lines[e.Text]++
		case e.Type == dag.Finished && e.Step == "launch":
			launches++
		}
	}
	for i := 1; i <= 30; i++ {
		if n := lines[fmt.Sprintf("line %d", i)]; n != 1 {
			d.Errorf("line %d appears %d times", i, n)
		}
	}
	if launches != 1 {
		d.Errorf("%d machines were launched", launches)
	}
}

func TestInterruptSuspendsAndThePrintedCommandGoesOn(t *testing.T) {
	d := newDesk(t)
	cmd, rest := d.begin("web: line 3")

	// Meanwhile nobody else may drive it.
	id := d.run().ID
	if out, code := d.do("resume", id); code != 1 || !strings.Contains(out, "is driving it") {
		t.Errorf("a second driver: %d, %s", code, out)
	}
	if out, code := d.do("destroy", "--yes", id); code != 1 || !strings.Contains(out, "is driving it") {
		t.Errorf("destroy beside the driver: %d, %s", code, out)
	}
	cmd.Process.Signal(os.Interrupt)
	out := rest()
	if code := status(t, cmd.Wait()); code != exitInterrupt {
		t.Fatalf("exit status %d:\n%s", code, out)
	}
	if s := d.run(); s.Status != state.Suspended {
		t.Errorf("status %s", s.Status)
	}
	printed := regexp.MustCompile(`imgflow (resume \S+)\n`).FindStringSubmatch(out)
	if printed == nil || !strings.Contains(out, "imgflow destroy "+id) {
		t.Fatalf("no commands to go on in:\n%s", out)
	}
	out, code := d.do(strings.Fields(printed[1])...)
	if code != 0 || !regexp.MustCompile(`us-east-1: ami-[0-9a-f]+\n==> Steps: `).MatchString(out) {
		t.Fatalf("%s: %d\n%s", printed[1], code, out)
	}
	d.whole()
}

func TestAKilledRunGoesOn(t *testing.T) {
	d := newDesk(t)
	cmd, rest := d.begin("web: line 3")
	cmd.Process.Signal(syscall.SIGKILL)
	rest()
	cmd.Wait()
	if s := d.run(); s.Status != state.Interrupted {
		t.Errorf("status %s", s.Status)
	}
	if out, code := d.do("resume"); code != 0 {
		t.Fatalf("resume: %d\n%s", code, out)
	}
	d.whole()
}

func TestAKilledRunIsDestroyed(t *testing.T) {
	d := newDesk(t)
	cmd, rest := d.begin("web: line 3")
	cmd.Process.Signal(syscall.SIGKILL)
	rest()
	cmd.Wait()
	if out, code := d.do("destroy", "--yes"); code != 0 || !strings.Contains(out, "instance i-") {
		t.Fatalf("destroy: %d\n%s", code, out)
	}
	out, code := d.do("destroy", "--orphans", "--local", "--older-than=0s", "--dry-run")
	if code != 0 || !strings.Contains(out, "No orphans") {
		t.Errorf("orphans: %d\n%s", code, out)
	}
	if s := d.run(); s.Status != state.Destroyed {
		t.Errorf("status %s", s.Status)
	}
}

func TestCleanupOnInterrupt(t *testing.T) {
	d := newDesk(t)
	cmd := d.command("run", "--local", "-on-interrupt=cleanup", "slow.json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for r := bufio.NewScanner(out); r.Scan(); {
		all.WriteString(r.Text() + "\n")
		if r.Text() == "    web: line 2" {
			cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	if code := status(t, cmd.Wait()); code != exitInterrupt {
		t.Fatalf("exit status %d\n%s", code, all.String())
	}
	if s := d.run(); s.Status != state.Destroyed {
		t.Errorf("status %s\n%s", s.Status, all.String())
	}
}
