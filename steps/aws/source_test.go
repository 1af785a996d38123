package aws

import (
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps"
)

func TestSourceImages(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	find := func(o SourceOptions) (SourceImage, error) {
		return Source{Place: here, SourceOptions: o}.Do(t.Context(), w.cloud, task("s"))
	}
	found, err := find(ubuntu())
	if err != nil || !found.cloudInit() || found.RootDevice == "" {
		t.Fatalf("%+v, %v", found, err)
	}
	if again, err := find(SourceOptions{SourceAMI: dag.Text(found.ID)}); err != nil || again.Name != found.Name {
		t.Errorf("by id: %+v, %v", again, err)
	}
	if _, err := find(SourceOptions{SourceAMI: "ami-00000000000000000"}); err == nil || !strings.Contains(err.Error(), "cannot find the source image ami-0000") {
		t.Errorf("unknown id: %v", err)
	}
	none := ubuntu()
	none.Filter.Filters = map[string]string{"name": "no such image"}
	if _, err := find(none); err == nil || !strings.Contains(err.Error(), "name=no such image") {
		t.Errorf("no match: %v", err)
	}
	many := SourceOptions{Filter: SourceFilter{Owners: []string{"099720109477"}}}
	if _, err := find(many); err == nil || !strings.Contains(err.Error(), "most_recent") {
		t.Errorf("many matches: %v", err)
	}
}

// A system that makes no password is told from its image, before it is launched.
func TestPasswordOfAnotherSystem(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	_, err := Source{Place: here, SourceOptions: ubuntu(), NeedWindows: true}.Do(t.Context(), w.cloud, dag.NewTask("r1", "source", "t", nil, nil))
	if err == nil || !strings.Contains(err.Error(), "winrm_password") || !strings.Contains(err.Error(), "Linux/UNIX") {
		t.Error(err)
	}
}

// What templates may ask of a source image is what it knows.
func TestSourceWords(t *testing.T) {
	for _, name := range steps.SourceWords {
		for _, action := range []string{"{{ build `" + name + "` }}", "{{ ." + name + " }}"} {
			if _, err := (SourceImage{}).Evaluate(action); err != nil {
				t.Errorf("%s: %v", action, err)
			}
		}
	}
	if _, err := (SourceImage{}).Evaluate("{{ build `ID` }}"); err == nil {
		t.Error("the machine is known before it is there")
	}
}
