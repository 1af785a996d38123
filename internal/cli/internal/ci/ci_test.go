package ci

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/runview"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/template"
)

var update = flag.Bool("update", false, "write testdata anew")

func TestDetect(t *testing.T) {
	for name, want := range map[string]string{"GITHUB_ACTIONS=true": "github", "GITLAB_CI=true": "gitlab", "TEAMCITY_VERSION=2025.07": "teamcity", "TF_BUILD=True": "azure", "CI=true": "none", "GITHUB_ACTIONS=false": "none"} {
		key, value, _ := strings.Cut(name, "=")
		if got := Detect(func(k string) string { return map[string]string{key: value}[k] }); got != want {
			t.Errorf("%s is %s, not %s", name, got, want)
		}
	}
	if New("none", nil) != nil || New("auto", nil) != nil || New("github", nil) == nil {
		t.Error("a job of none, or none of GitHub")
	}
}

// story is a run as it is told to a server.
func story(kind string, builds int) string {
	var b bytes.Buffer
	j := New(kind, &b)
	j.now = func() time.Time { return time.Unix(1796000000, 0) }
	people := &Safe{Raw: &b}
	show := j.Watch(builds, func(e dag.Event) { people.Write([]byte("    web: " + string(e.Type) + " " + e.Text + "\n")) })
	for _, e := range []dag.Event{
		{Type: dag.RunBegun},
		{Type: dag.Started, Kind: "aws.launch", Step: "launch", Text: "launch t3.micro"},
		{Type: dag.Started, Kind: "provision.shell", Step: "shell", Text: "run 100% [of] it's | setup.sh"},
		{Type: dag.Printed, Text: "##vso[task.setvariable variable=PATH]x ##teamcity[buildStop] ##[error]"},
		{Type: dag.Warned, Builds: []string{"web"}, Text: "it's 100%, [really]; no: a|b\nand more\x1b[2J"},
		{Type: dag.Started, Kind: "provision.file", Step: "file", Text: "upload"},
		{Type: dag.Started, Kind: "aws.stop", Step: "stop", Text: "stop the instance"},
		{Type: dag.Failed, Builds: []string{"web"}, Step: "image", Err: "no room\n::set-env name=X::y", Code: "no-capacity"},
		{Type: dag.RunEnded},
	} {
		show(e)
	}
	at := template.NewFile("dir,a:b;c]/t.json", []byte("{\n \"x\": 1}")).Pos(3)
	j.Faults("error", template.Errors{{Pos: at, Text: "cannot use x: 100%\nno", Hint: "leave it out", Code: "unknown-name"}, {Text: "nowhere"}})
	j.Faults("warning", template.Errors{{Pos: at, Text: "idle", Code: "option-idle"}})
	var file bytes.Buffer
	j.Output(&file, "MARK", "image-web-us-east-1", "ami-1\nfoo=bar")
	j.Attach("/tmp/a%b.md")
	return b.String() + "-- file --\n" + file.String()
}

func TestWords(t *testing.T) {
	for _, kind := range Kinds[1:5] {
		path := "testdata/" + kind + ".txt"
		got := story(kind, 1)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || got != string(want) {
			t.Errorf("%s (%v):\n%s", path, err, got)
		}
	}
}

func TestSeveralBuildsHaveNoGroups(t *testing.T) {
	for _, kind := range Kinds[1:5] {
		if got := story(kind, 2); strings.Contains(got, "group") || strings.Contains(got, "section_start") || strings.Contains(got, "block") {
			t.Errorf("%s:\n%s", kind, got)
		}
	}
}

// What a machine prints is no command, however it is cut up.
func TestSafe(t *testing.T) {
	for text, want := range map[string]string{
		"::error::x\n":                            ": :error::x\n",
		"  ::set-env name=A::b\nx ::y\n":          "  : :set-env name=A::b\nx ::y\n",
		"a ##vso[task.x]b ##VSO[y] ##teamcity[z]": "a # #vso[task.x]b # #VSO[y] # #teamcity[z]",
		"##[group]x":                              "# #[group]x",
		"## heading, ::: and #[x\n":               "## heading, ::: and #[x\n",
	} {
		var b bytes.Buffer
		(&Safe{Raw: &b}).Write([]byte(text))
		if b.String() != want {
			t.Errorf("%q is %q, not %q", text, b.String(), want)
		}
	}
	var b bytes.Buffer
	w := &Safe{Raw: &b}
	w.Write([]byte("a\n"))
	w.Write([]byte("::x\n"))
	if b.String() != "a\n: :x\n" {
		t.Errorf("%q", b.String())
	}
}

func TestSummary(t *testing.T) {
	v := runview.New()
	began := time.Unix(1796000000, 0)
	key := strings.Repeat("a", 64)
	for _, e := range []dag.Event{
		{Type: dag.RunBegun, Time: began, Text: "t.json"},
		{Type: dag.Planned, Time: began, Key: key, Step: "shell|x", Builds: []string{"web"}},
		{Type: dag.Started, Time: began, Key: key, Step: "shell|x", Builds: []string{"web"}, Token: "t", Attempt: 1},
		{Type: dag.Finished, Time: began.Add(3 * time.Second), Key: key, Step: "shell|x", Builds: []string{"web"}, Token: "t", Attempt: 1},
		{Type: dag.RunEnded, Time: began.Add(4 * time.Second), Text: "partial"},
	} {
		v.Apply(e)
	}
	sum := state.Summary{ID: "r1", Status: "partial", Template: "t.json", Builds: []state.BuildSummary{
		{Name: "web", Status: "done", Artifacts: []state.Artifact{{Region: "us-east-1", ID: "ami-1"}}},
		{Name: "<b>|db", Status: "failed", Err: "no\n| room | `x` </table>\x1b[2J"}}}
	got := Summary(sum, v, "flowchart LR\n  a --> b\n", "about $0.02 | <b>", 4*time.Second)
	for _, want := range []string{"| web | done | us-east-1: ami-1 |\n", "| &lt;b&gt;\\|db | failed: no \\| room \\| \\`x\\` &lt;/table&gt; |  |\n", "| shell\\|x | web | done | 3s |\n", "\n\nCost: about $0.02 \\| &lt;b&gt;.\n\n", "```mermaid\nflowchart LR\n  a --> b\n```\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	for range 20000 {
		sum.Builds = append(sum.Builds, state.BuildSummary{Name: strings.Repeat("x", 100), Err: strings.Repeat("y", 10000)})
	}
	if got := Summary(sum, v, strings.Repeat("z", 2*MaxSummary), strings.Repeat("c", MaxSummary), 0); len(got) > MaxSummary || strings.Contains(got, "zzz") {
		t.Errorf("a summary has %d bytes", len(got))
	}
}
