package aws

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// A finished image and its snapshots are results, without a lease.
func TestImageReady(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	m := w.image("name")
	step := ImageReady{Image: dag.Lit(m)}
	a := twice(t, w, step)
	if a.Kind != "image" || a.ID != m.ID || a.Name != "name" || a.place() != here || len(a.Snapshots) != 1 || a.Label() != home+": "+m.ID {
		t.Errorf("%+v", a)
	}
	for _, id := range []string{a.ID, a.Snapshots[0]} {
		l := must(w.site().tagsOf(t.Context(), filter("resource-id", id)))[id]
		if l == nil || l.tags[TagExpires] != "never" || l.tags[TagArtifact] == "" {
			t.Errorf("tags of %s: %+v", id, l)
		}
	}
	refused(t, w, "CreateTags", step, "cannot mark "+m.ID+" as finished: ")
	refused(t, w, "DescribeImages", step, "cannot wait for "+m.ID+": ")
	at := w.site()
	watched := func() int {
		at.progress.mu.Lock()
		defer at.progress.mu.Unlock()
		return len(at.progress.of)
	}
	meanwhile := 0
	state := func(state string) {
		w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
			if action != "DescribeImages" {
				return false
			}
			meanwhile = watched()
			io.WriteString(rw, `<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><imagesSet><item><imageId>`+m.ID+
				`</imageId><imageState>`+state+`</imageState><stateReason><message>no space</message></stateReason></item></imagesSet></DescribeImagesResponse>`)
			return true
		})
	}
	state("failed")
	if _, err := step.Do(t.Context(), w.cloud, task("t")); err == nil || err.Error() != "cannot use "+m.ID+" in us-east-1: it is failed: no space" {
		t.Errorf("one that has failed: %v", err)
	}
	if after := watched(); meanwhile != 1 || after != 0 {
		t.Errorf("%d were told how far the image is while they waited for it, and %d afterwards", meanwhile, after)
	}
	w.front.setPlay(nil)
	if v := w.inventory(); len(v.images)+len(v.snapshots) > 0 {
		t.Errorf("what has failed is of no use, and left: %+v", v)
	}
	step.Image = dag.Lit(Image{Place: here, ID: "ami-00000000000000000", Made: time.Now().Add(-time.Hour)})
	if _, err := step.Do(t.Context(), w.cloud, task("t")); err == nil || !strings.Contains(err.Error(), "does not exist any more") {
		t.Errorf("one that is not there: %v", err)
	}
}
