package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/state"
)

// gate stands before an EC2 endpoint. It counts the calls that pass, and refuses
// those of some actions for want of a permission.
type gate struct {
	*httptest.Server
	mu      sync.Mutex
	refused map[string]bool
	passed  map[string]int
}

func newGate(t *testing.T, endpoint string) *gate {
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	g := &gate{passed: map[string]int{}}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		form, _ := url.ParseQuery(string(body))
		action := form.Get("Action")
		g.mu.Lock()
		refuse := g.refused[action]
		if !refuse {
			g.passed[action]++
		}
		g.mu.Unlock()
		if refuse {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized to perform this operation.</Message></Error></Errors><RequestID>1</RequestID></Response>`)
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

// refuse sets what is refused from now on, and begins to count anew.
func (g *gate) refuse(actions ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused, g.passed = map[string]bool{}, map[string]int{}
	for _, a := range actions {
		g.refused[a] = true
	}
}

// changes are the calls that passed and change something besides tags: leases
// are renewed whenever a run is driven.
func (g *gate) changes() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	made := maps.Clone(g.passed)
	maps.DeleteFunc(made, func(action string, _ int) bool {
		return strings.HasPrefix(action, "Describe") || strings.HasPrefix(action, "Get") || action == "CreateTags" || action == "DeleteTags" || action == ""
	})
	return made
}

// serve starts an endpoint of the desk's own, and returns where it answers.
func (d *desk) serve() string {
	d.Helper()
	_, at := d.serveWith("--access-key", "AKIDEXAMPLE", "--secret-key", "x")
	return at
}

// serveWith starts an endpoint with these flags, and returns what it says when
// it serves, and where.
func (d *desk) serveWith(flags ...string) (said, at string) {
	d.Helper()
	dir := filepath.Join(d.dir, "ec2")
	cmd := d.command(append([]string{"ec2local", "--quiet", "--listen", "127.0.0.1:0", "--dir", dir}, flags...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		d.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() {
		stopServer(dir)
		cmd.Wait()
	})
	r := bufio.NewReader(out)
	for !strings.Contains(said, "describe-instances") {
		line, err := r.ReadString('\n')
		if said += line; err != nil {
			d.Fatalf("the endpoint says %q, %v", said, err)
		}
	}
	go io.Copy(io.Discard, r)
	return said, regexp.MustCompile(`http://[0-9.:]+`).FindString(said)
}

const sharedTemplate = `{
  "builders": [{"type": "amazon-ebs", "name": "web", "region": "us-east-1", "instance_type": "t3.micro", "ssh_username": "ubuntu", "ami_name": "web-{{timestamp}}",
    "ami_users": ["210987654321"], "ami_regions": ["us-west-2"],
    "source_ami_filter": {"filters": {"name": "ubuntu/images/*ubuntu-xenial-16.04-amd64-server-*"}, "owners": ["099720109477"], "most_recent": true}}]
}`

// The exit status tells a run in which every build has failed, whatever images it has, from one of which some are done.
func TestStatusOfSomeBuilds(t *testing.T) {
	good := state.BuildSummary{Name: "web", Status: state.Done, Artifacts: []state.Artifact{{ID: "ami-1"}}}
	late, bad := good, state.BuildSummary{Name: "db", Status: state.Failed}
	late.Status = state.Partial
	for want, builds := range map[int][]state.BuildSummary{exitFailed: {late}, exitPartial: {good, bad}} {
		err := outcome(&app.Result{Report: &dag.Report{}, Summary: state.Summary{ID: "r", Status: state.Partial, Builds: builds}}, false, strings.Clone)
		var exit *exitError
		if !errors.As(err, &exit) || exit.code != want {
			t.Errorf("%v: %v, want status %d", builds, err, want)
		}
	}
}

// TestResumeOfAPartialRunDoesWhatIsMissing has the calls refused that come after
// the image is finished.
func TestResumeOfAPartialRunDoesWhatIsMissing(t *testing.T) {
	d := newDesk(t)
	if err := os.WriteFile(filepath.Join(d.dir, "shared.json"), []byte(sharedTemplate), 0o644); err != nil {
		t.Fatal(err)
	}
	g := newGate(t, d.serve())
	d.env = append(d.env, "AWS_ENDPOINT_URL="+g.URL, "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=x", "AWS_REGION=us-east-1")

	g.refuse("CopyImage", "ModifyImageAttribute")
	out, code := d.do("run", "shared.json")
	if code != exitFailed {
		t.Fatalf("exit status %d\n%s", code, out)
	}
	s := d.run()
	if s.Status != state.Partial || len(s.Builds[0].Artifacts) != 1 {
		t.Fatalf("after the run: %+v", s)
	}
	image := s.Builds[0].Artifacts[0].ID
	if !strings.Contains(out, "us-east-1: "+image) || !strings.Contains(out, "imgflow resume "+s.ID) {
		t.Errorf("neither the image nor the way on is told:\n%s", out)
	}
	if out, code := d.do("list", "--unfinished"); code != 0 || !strings.Contains(out, s.ID) {
		t.Errorf("list: %d, %s", code, out)
	}

	// Sharing is allowed again: the copy is what is missing then.
	g.refuse("CopyImage")
	if out, code := d.do("resume"); code != exitFailed {
		t.Fatalf("first resume: %d\n%s", code, out)
	}
	if made := g.changes(); !maps.Equal(made, map[string]int{"ModifyImageAttribute": 1}) {
		t.Errorf("the first resume made %v; want the image shared", made)
	}

	g.refuse()
	out, code = d.do("resume")
	if code != 0 || !strings.Contains(out, "us-east-1: "+image) || !strings.Contains(out, "us-west-2: ami-") {
		t.Fatalf("second resume: %d\n%s", code, out)
	}
	if made := g.changes(); !maps.Equal(made, map[string]int{"CopyImage": 1, "ModifyImageAttribute": 1}) {
		t.Errorf("the second resume made %v; want the copy, and the copy shared", made)
	}
	if s := d.run(); s.Status != state.Done || len(s.Builds[0].Artifacts) != 2 {
		t.Errorf("after it: %+v", s)
	}
}

// TestTheServerOutlivesTheProgram removes the file that a run was started from,
// as `go run` does, and has the server boot another machine.
func TestTheServerOutlivesTheProgram(t *testing.T) {
	d := newDesk(t)
	if err := os.WriteFile(filepath.Join(d.dir, "broken.json"), []byte(strings.Replace(slowTemplate, `"for i in`, `"exit 1", "for i in`, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	passing := filepath.Join(d.dir, "passing")
	if err := os.WriteFile(passing, program, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := d.command("run", "--local", "-on-error=suspend", "broken.json")
	cmd.Path = passing
	if out, err := cmd.CombinedOutput(); status(t, err) != exitFailed || !strings.Contains(string(out), "is suspended") {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Remove(passing); err != nil {
		t.Fatal(err)
	}
	out, _ := d.do("resume", "--fresh", "-on-error=suspend")
	if strings.Contains(out, "cannot boot") || strings.Count(out, ": connected") != 1 {
		t.Errorf("the machine is not made anew:\n%s", out)
	}
	old, _ := filepath.Glob(filepath.Join(d.dir, "home", "local", "program-*"))
	if len(old) != 1 {
		t.Errorf("copies of the program: %v", old)
	}
}

// TestWhoHoldsTheRun: an open shell holds the run, and whoever is turned away is
// told of it.
func TestWhoHoldsTheRun(t *testing.T) {
	d := newDesk(t)
	broken := strings.Replace(slowTemplate, `"echo run >> /tmp/runs"`, `"exit 1"`, 1)
	if err := os.WriteFile(filepath.Join(d.dir, "broken.json"), []byte(broken), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, code := d.do("run", "--local", "-on-error=suspend", "broken.json"); code != exitFailed {
		t.Fatalf("%d\n%s", code, out)
	}
	cmd := d.command("shell", "--", "echo open; cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
		t.Fatalf("the shell says %q, %v", line, err)
	}
	want := fmt.Sprintf("process %d on ", cmd.Process.Pid)
	if out, code := d.do("resume"); code != exitFailed || !strings.Contains(out, want) || !strings.Contains(out, "(imgflow shell -- ") {
		t.Errorf("a resume beside a shell: %d, %s", code, out)
	}
	in.Close()
	if code := status(t, cmd.Wait()); code != 0 {
		t.Errorf("the shell ended with %d", code)
	}
}

// TestARunThatWasKilledBeforeItBegan: its records are made before its summary is,
// so between the two there is nothing but them, and they say enough.
func TestARunThatWasKilledBeforeItBegan(t *testing.T) {
	d := newDesk(t)
	home, err := state.OpenHome(filepath.Join(d.dir, "home"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		command []string
		says    string
		code    int
	}{
		{[]string{"list"}, "unreadable", 0},
		{[]string{"resume"}, "it was interrupted before it had a plan and has made nothing; run the template again", exitFailed},
		{[]string{"shell"}, "has no machine that was reached", exitFailed},
		{[]string{"destroy", "--yes"}, "nothing to remove", 0},
	} {
		run, err := home.Create(state.Summary{}) // for each: whoever opens it writes its summary
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(run.Close(), os.Remove(filepath.Join(home.RunDir(run.ID()), "run.json"))); err != nil {
			t.Fatal(err)
		}
		args := c.command
		if args[0] != "list" {
			args = append(args, run.ID())
		}
		if out, code := d.do(args...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit status %d, want %d and %q:\n%s", args, code, c.code, c.says, out)
		}
	}
}
