package statetest

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

func busy(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	if !p.home(t).Driven(r.ID()) {
		t.Error("a created run is not driven")
	}
	for _, take := range []func(string) (*state.Run, error){p.home(t).Open, p.home(t).Look} {
		_, err := take(r.ID())
		var busy *state.BusyError
		if !errors.As(err, &busy) || busy.PID != os.Getpid() || busy.Command == "" || busy.Since.IsZero() {
			t.Fatalf("the second opener got %v", err)
		}
	}
	if err := r.Put(Record(1)); err != nil {
		t.Errorf("the first can write no more: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if h.Driven(r.ID()) {
		t.Error("a closed run is driven")
	}
	before, err := h.Summary(r.ID())
	if err != nil {
		t.Fatal(err)
	}
	look, err := h.Look(r.ID())
	if err != nil {
		t.Fatal(err)
	}
	if after, err := h.Summary(r.ID()); err != nil || !after.Updated.Equal(before.Updated) {
		t.Errorf("a look has changed the summary: %v", err)
	}
	look.Close()
	open(t, p.home(t), r.ID())
}

// processDies kills a process that drives a run: what it was told is kept is kept, and
// what it had put off before that, too.
func processDies(t *testing.T, p *place) {
	h := p.home(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), placeVar+"="+p.at, dirVar+"="+p.dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(out)
	next := func() string {
		if !lines.Scan() {
			t.Fatalf("the process ends: %v", lines.Err())
		}
		return lines.Text()
	}
	id := next()
	for next() != "25" {
	}
	if s, err := h.Summary(id); err != nil || s.Status != state.Running || s.PID != cmd.Process.Pid {
		t.Errorf("while driven: %+v, %v", s, err)
	}
	var busy *state.BusyError
	if _, err := h.Open(id); !errors.As(err, &busy) || busy.PID != cmd.Process.Pid {
		t.Errorf("open while driven: %v", err)
	}
	cmd.Process.Kill()
	told := 25
	for lines.Scan() {
		fmt.Sscan(lines.Text(), &told)
	}
	cmd.Wait()
	r := open(t, h, id) // at once, though it may take a while
	if r.Close(); r.Summary().Status != state.Running {
		t.Errorf("it is %s", r.Summary().Status)
	}
	if s, err := h.Summary(id); err != nil || s.Status != state.Interrupted {
		t.Errorf("after its death: %+v, %v", s, err)
	}
	if runs, err := h.Runs(); err != nil || len(runs) != 1 || runs[0].Status != state.Interrupted {
		t.Errorf("Runs = %+v, %v", runs, err)
	}
	r = open(t, h, id)
	rs, err := r.All()
	if err != nil || len(rs) < told || len(rs) > told+1 {
		t.Errorf("%d records of %d after its death, %v", len(rs), told, err)
	}
	for _, rec := range rs {
		if rec.Status != dag.Doing && rec.Name != fmt.Sprint("step-", len(rs)) {
			t.Errorf("%s is %s", rec.Name, rec.Status)
		}
	}
	n := int(r.Offset("tok", "stdout"))
	if n < told || n > told+1 {
		t.Errorf("the output is kept up to line %d of %d", n, told)
	}
	var want []string
	for i := range n {
		want = append(want, fmt.Sprint("line ", i+1))
	}
	if got := texts(t, h, id); got != strings.Join(want, "|") {
		t.Errorf("events: %.300s", got)
	}
}

func runs(t *testing.T, p *place) {
	h := p.home(t)
	if runs, err := h.Runs(); err != nil || len(runs) > 0 {
		t.Fatalf("at first: %v, %v", runs, err)
	}
	a, b := create(t, h), create(t, h)
	if err := b.SetSummary(func(s *state.Summary) {
		s.Status = state.Done
		s.Builds = []state.BuildSummary{{Name: "web", Type: "amazon-ebs", Status: state.Done, Artifacts: []state.Artifact{{Region: "us-east-1", ID: "ami-1", Name: "web 1"}}}}
	}); err != nil {
		t.Fatal(err)
	}
	runs, err := p.home(t).Runs()
	if err != nil || len(runs) != 2 || runs[0].ID != b.ID() || runs[1].ID != a.ID() || runs[1].Status != state.Running || runs[0].Builds[0].Artifacts[0].ID != "ami-1" {
		t.Fatalf("Runs = %+v, %v", runs, err)
	}
	if _, err := h.Open("nosuch"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "nosuch") || !strings.Contains(err.Error(), h.Place()) {
		t.Errorf("unknown run: %v", err)
	}
	if _, err := h.Summary(a.ID()[:1]); err == nil || !strings.Contains(err.Error(), a.ID()) {
		t.Errorf("ambiguous prefix: %v", err)
	}
	for _, id := range []string{"", "..", "../runs", "%", a.ID() + "/."} {
		if _, err := h.Summary(id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Summary(%q): %v", id, err)
		}
	}
	if err := a.Put(Record(1)); err != nil || h.Size(a.ID()) <= 0 {
		t.Error("a run takes no room")
	}
}

func summaries(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	r.Redact().Add("hunter2hunter2")
	set := func(s *state.Summary) {
		s.Err, s.Builds = "login with hunter2hunter2 failed", []state.BuildSummary{{Name: "web", Err: "hunter2hunter2"}}
	}
	if err := r.SetSummary(set); err != nil {
		t.Fatal(err)
	}
	s, err := h.Summary(r.ID())
	if err != nil || s.Err != "login with "+state.Redacted+" failed" || s.Builds[0].Err != state.Redacted {
		t.Errorf("%+v, %v", s, err)
	}
	if again := r.SetSummary(set); again != nil {
		t.Error(again)
	}
	if same, _ := h.Summary(r.ID()); !same.Updated.Equal(s.Updated) {
		t.Error("what was no news was written")
	}
	r.SetSummary(func(s *state.Summary) { s.Builds[0].Status = state.Failed })
	if s, err := h.Summary(r.ID()); err != nil || s.Builds[0].Status != state.Failed || r.Summary().Builds[0].Status != state.Failed {
		t.Errorf("a build that has failed is %+v, %v", s, err)
	}
}

func prune(t *testing.T, p *place) {
	h := p.home(t)
	r := create(t, h)
	machine := Record(2)
	if err := r.Put(machine); err != nil {
		t.Fatal(err)
	}
	if err := h.Prune(r.ID()); !errors.As(err, new(*state.BusyError)) {
		t.Errorf("a run that is driven: %v", err)
	}
	r.Close()
	for _, prune := range []func(string) error{h.Prunable, h.Prune} {
		var exist *state.ThingsExistError
		if err := prune(r.ID()); !errors.As(err, &exist) || len(exist.Things) != 1 || exist.Things[0] != "i-2" {
			t.Errorf("with a machine: %v", err)
		}
	}
	r = open(t, h, r.ID())
	machine.Status = dag.Gone
	emit(t, r, printed("tok", "stdout", 1, "x"))
	_, err := r.PutBlob(strings.NewReader("content"))
	if err := errors.Join(err, r.Put(machine), r.Close()); err != nil {
		t.Fatal(err)
	}
	other := create(t, h)
	sum, err := other.PutBlob(strings.NewReader("content"))
	if err := errors.Join(err, other.Close()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.Prunable(r.ID()), h.Prune(r.ID()), h.Sweep()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Summary(r.ID()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after that: %v", err)
	}
	if runs, err := h.Runs(); err != nil || len(runs) != 1 || runs[0].ID != other.ID() {
		t.Errorf("%v, %v", runs, err)
	}
	if p, err := open(t, h, other.ID()).Blob(sum); err != nil || string(p) != "content" {
		t.Errorf("the content of another run is %q, %v", p, err)
	}
}
