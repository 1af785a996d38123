package aws

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// mostCalls is what a default build may cost beside the looks at instances and
// images, which grow with the time that it takes; see the package comment.
const mostCalls = 12

func TestDefaultBuildEndsWithTheImageAlone(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template()
	b.AMIDescription = parsed("made from {{ .SourceAMIName }}")
	b.Tags = map[dag.Text]dag.Text{"base": parsed("{{ .SourceAMI }}"), "os": "linux"}
	b.RunTags = map[dag.Text]dag.Text{"team": "images"}
	b.SnapshotTags = map[dag.Text]dag.Text{"os": "snapshot of linux"}
	w.build(&dag.MemStore{}, w.graph(b))
	w.only(1)

	image := w.describeImage(w.inventory().images[0])
	if !strings.HasPrefix(text(image.Description), "made from ubuntu/images/") {
		t.Errorf("description %q", text(image.Description))
	}
	tags := tagMap(image.Tags)
	if !strings.HasPrefix(tags["base"], "ami-") || tags["team"] != "images" || tags[TagRun] != "r1" || tags[TagArtifact] == "" || tags[TagExpires] != "never" {
		t.Errorf("tags of the image: %v", tags)
	}
	snaps, err := w.site().tagsOf(t.Context(), filter("resource-type", "snapshot"))
	if err != nil {
		t.Fatal(err)
	}
	for id, l := range snaps {
		if l.tags["os"] != "snapshot of linux" || l.tags[TagArtifact] == "" || l.tags[TagExpires] != "never" || l.tags["base"] == "" {
			t.Errorf("tags of %s: %v", id, l.tags)
		}
	}
}

// A build with a key, a group and a host key, but for what needs a guest.
func TestDefaultBuildIsCheap(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template()
	b.Communicator = "ssh"
	b.SSH.Username = "ubuntu"
	g := w.graph(b)
	w.build(&dag.MemStore{}, g)
	if n := w.front.total() - w.front.count("DescribeInstances") - w.front.count("DescribeImages"); n != mostCalls {
		t.Errorf("%d calls, want %d: %v", n, mostCalls, w.front.calls)
	}
	w.only(1)
}

func TestImageAttributes(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template()
	b.IMDSSupport = "v2.0"
	b.DeprecateAt = time.Now().AddDate(1, 0, 0).UTC().Format("2006-01-02T15:04:00Z")
	b.Protection.Enabled = true
	store := &dag.MemStore{}
	e := w.build(store, w.graph(b))
	image := w.describeImage(w.inventory().images[0])
	if image.ImdsSupport != "v2.0" || !strings.HasPrefix(text(image.DeprecationTime), b.DeprecateAt[:16]) || !strings.HasPrefix(text(image.DeregistrationProtection), "enabled") {
		t.Errorf("imds %q, deprecation %q, protection %q", image.ImdsSupport, text(image.DeprecationTime), text(image.DeregistrationProtection))
	}
	left, err := e.Destroy(t.Context(), func(dag.Record) bool { return true })
	if err != nil || len(left) > 0 {
		t.Fatalf("destroy: %v, %v", left, err)
	}
	w.only(0)
}

func TestSkipCreateAMILeavesNothing(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template()
	b.SkipCreateAMI = true
	w.build(&dag.MemStore{}, w.graph(b))
	w.only(0)
}

// Outputs and settings survive being stored, and the graph does not depend on
// the day.
func TestSameTemplateSameKeys(t *testing.T) {
	keys := func() (ks []string) {
		b := template()
		b.place = here
		g := dag.NewGraph(nil)
		bd := dag.Build{Name: "b"}
		b.Wire(g, bd, unprovisioned)
		for _, n := range g.Nodes {
			ks = append(ks, n.Key.String())
			if !json.Valid(n.Spec) || n.Title == "" {
				t.Errorf("%s: spec %s, title %q", n.Name, n.Spec, n.Title)
			}
		}
		return ks
	}
	a := keys()
	time.Sleep(2 * time.Millisecond)
	if b := keys(); strings.Join(a, " ") != strings.Join(b, " ") {
		t.Error("two compilations of one template differ")
	}
}
