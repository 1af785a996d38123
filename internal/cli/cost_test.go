package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/state"
)

// builtRecords are those of a build in eu-west-1: an m5.large with a volume of 8 GiB that
// stood for an hour and was at rest for half of it, and its image.
func builtRecords(t *testing.T) []dag.Record {
	t.Helper()
	key := func(n byte) (k dag.Key) { k[0] = n; return k }
	ref := func(n byte) string {
		p, err := json.Marshal(key(n))
		if err != nil {
			t.Fatal(err)
		}
		return `{"step":` + string(p) + `}`
	}
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	node := func(n byte, name, kind, spec string, needs ...dag.Key) dag.Node {
		return dag.Node{Key: key(n), Name: name, Builds: []string{"web"}, Kind: kind, Spec: json.RawMessage(spec), Needs: needs}
	}
	rs := []dag.Record{
		{Node: node(1, "source", "aws.source", `{}`), Status: dag.Done, Out: json.RawMessage(`{"id":"ami-0","details":"Linux/UNIX","devices":[{"name":"/dev/sda1","size":8,"type":"gp3"}]}`)},
		{Node: node(2, "launch", "aws.launch", `{"region":"eu-west-1","instance_type":"m5.large","source":`+ref(1)+`}`, key(1)), Status: dag.Gone, Begun: noon, Ended: noon.Add(time.Hour), Label: "instance i-1"},
		{Node: node(3, "stop", "aws.stop", `{"instance":`+ref(2)+`}`, key(2)), Status: dag.Done, Begun: noon, Finished: noon.Add(30 * time.Minute)},
		{Node: node(4, "image", "aws.image", `{}`, key(3), key(1)), Status: dag.Done, Kept: true, Label: "image ami-1", Out: json.RawMessage(`{"region":"eu-west-1","id":"ami-1"}`)},
	}
	for i := range rs {
		rs[i].Gen, rs[i].Thing = 1, rs[i].Label != ""
	}
	return rs
}

// What a run costs is told by show, as JSON and by the report alike; where it costs nothing
// or nobody knows, that is told.
func TestCostOfARun(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "home")
	home, err := state.OpenHome(dir)
	if err != nil {
		t.Fatal(err)
	}
	// An hour of half an m5.large (.107), of 8 GiB of gp3 (.088 a month of 730 hours): .0545; and 8 GiB of snapshots (.05).
	const known = "about $0.05; at most $0.40 a month for what is kept, by prices known on "
	for _, c := range []struct {
		name    string
		sum     state.Summary
		records []dag.Record
		driven  bool
		want    string
		usd     float64
	}{
		{"at AWS", state.Summary{Status: state.Done}, builtRecords(t), false, known, .0535 + .704/730},
		{"local", state.Summary{Status: state.Done, Local: true}, builtRecords(t), false, "nothing: it is made on this machine", 0},
		{"elsewhere", state.Summary{Status: state.Done, Endpoint: "http://ec2.example"}, builtRecords(t), false, "unknown: the prices of AWS are not those of http://ec2.example", 0},
		{"driven", state.Summary{Status: state.Running}, builtRecords(t), true, "unknown: it is told when the run is not being driven", 0},
		{"without machines", state.Summary{Status: state.Done}, builtRecords(t)[:1], false, "", 0},
	} {
		run, err := home.Create(c.sum)
		if err != nil {
			t.Fatal(err)
		}
		if err := run.Put(c.records...); err != nil {
			t.Fatal(err)
		}
		if !c.driven {
			if err := run.Close(); err != nil {
				t.Fatal(err)
			}
		}
		do := func(args ...string) string {
			cmd := exec.Command(os.Args[0])
			cmd.Args = append(append([]string{"imgflow"}, args...), run.ID())
			cmd.Env = append(os.Environ(), "IMGFLOW_HOME="+dir)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %s: %v\n%s", c.name, args, err, out)
			}
			return string(out)
		}
		shown, page := do("show"), do("report")
		if has := strings.Contains(strings.Join(strings.Fields(shown), " "), " cost "+c.want); c.want != "" && !has || c.want == "" && strings.Contains(shown, "cost") {
			t.Errorf("%s: show does not say %q:\n%s", c.name, c.want, shown)
		}
		if part := `<h2 id="h-cost">Cost</h2><p>` + c.want; c.want != "" && !strings.Contains(page, part) || c.want == "" && strings.Contains(page, "h-cost") {
			t.Errorf("%s: the report does not say %q", c.name, c.want)
		}
		var j render.ShownJSON
		if err := json.Unmarshal([]byte(do("show", "--json")), &j); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%.6f", j.Cost.USD); j.ID != run.ID() || got != fmt.Sprintf("%.6f", c.usd) || !strings.HasPrefix(j.Cost.Text, c.want) || j.Cost.Prices == "" {
			t.Errorf("%s: as JSON %+v", c.name, j.Cost)
		}
		if c.driven {
			run.Close()
		}
	}
}

// A plan tells how long it will take by the runs that the template has had.
func TestPlanTellsTheTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	do := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(os.Args[0])
		cmd.Args = append([]string{"imgflow"}, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "IMGFLOW_HOME="+filepath.Join(dir, "home"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", args, err, out)
		}
		return string(out)
	}
	write := func(inline string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "t.json"), []byte(`{"builders": [{"type": "null", "communicator": "none"}], "provisioners": [`+inline+`]}`), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	script := `{"type": "shell-local", "inline": ["true"]}`
	write(script)
	if out := do("plan", "t.json"); !strings.Contains(out, "\nTime: unknown: the template has had no run here.\n") {
		t.Error(out)
	}
	do("run", "t.json")
	if out := do("plan", "t.json"); !strings.Contains(out, "\nTime: about ") || !strings.Contains(out, " seconds, as in past runs.\n") {
		t.Error(out)
	}
	write(script + ", " + script)
	if out := do("plan", "t.json"); !strings.Contains(out, "\nTime: more than ") || !strings.Contains(out, ": of 1 of its ") {
		t.Error(out)
	}
	var j render.PlanJSON
	if err := json.Unmarshal([]byte(do("plan", "--json", "t.json")), &j); err != nil || j.Time == nil || j.Time.Unknown != 1 || j.Time.Text == "" {
		t.Errorf("%v, %+v", err, j.Time)
	}
}
