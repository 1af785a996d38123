package aws

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestCopyImage(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	of := w.ready("name")
	step := CopyImage{Place: Place{Region: "us-west-2"}, Of: dag.Lit(of)}
	testThing(t, w, step, func(a, b Image) bool { return a.ID == b.ID })

	var form url.Values
	w.front.setPlay(func(_ http.ResponseWriter, action string, _ int, f url.Values) bool {
		if action == "CopyImage" {
			form = f
		}
		return false
	})
	step.Description, step.Tags, step.Minutes = "told", map[dag.Text]dag.Text{"os": "linux"}, 30
	m := must(step.Do(t.Context(), w.cloud, task("t2")))
	for name, want := range map[string]string{"Name": "name", "Description": "told", "SourceImageId": of.ID, "SourceRegion": home, "SnapshotCopyCompletionDurationMinutes": "30"} {
		if form.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, form.Get(name), want)
		}
	}
	there := must(w.cloud.at(t.Context(), step.Place))
	found, err := there.listImages(t.Context(), []string{m.ID})
	if image := found[m.ID]; err != nil || text(image.Description) != "told" || tagMap(image.Tags)["os"] != "linux" || text(image.Name) != "name" {
		t.Errorf("%+v, %v", image, err)
	}
	refused(t, w, "CopyImage", step, "cannot copy "+of.ID+" to us-west-2: ")
}
