package aws

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/aws/ec2local"
)

// mostCalls is what a default build may cost beside the looks at instances and
// images, which grow with the time that it takes; see the package comment.
const mostCalls = 14

func TestDefaultBuildEndsWithTheImageAlone(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template()
	b.AMIDescription = "made from {{ .SourceAMIName }}"
	b.Tags = map[string]string{"base": "{{ .SourceAMI }}", "os": "linux"}
	b.RunTags = map[string]string{"team": "images"}
	b.SnapshotTags = map[string]string{"os": "snapshot of linux"}
	w.build(&dag.MemStore{}, w.graph(b))
	w.only(1)

	image := w.describeImage(w.inventory().images[0])
	if !strings.HasPrefix(text(image.Description), "made from ubuntu/images/") {
		t.Errorf("description %q", text(image.Description))
	}
	tags := tagMap(image.Tags)
	if !strings.HasPrefix(tags["base"], "ami-") || tags["team"] != "images" || tags[TagRun] != "r1" || tags[TagArtifact] == "" || tags[TagExpires] != "" {
		t.Errorf("tags of the image: %v", tags)
	}
	snaps, err := w.site().tagsOf(t.Context(), filter("resource-type", "snapshot"))
	if err != nil {
		t.Fatal(err)
	}
	for id, l := range snaps {
		if l.tags["os"] != "snapshot of linux" || l.tags[TagArtifact] == "" || l.tags[TagExpires] != "" || l.tags["base"] == "" {
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

func TestCopiesAndSharesAreGoalsOfTheirOwn(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template()
	b.AMIRegions = []string{"us-west-2", home, "us-west-2"}
	b.Sharing.Users = []string{"123456789012"}
	denied := true
	w.front.play = func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		if action == "ModifyImageAttribute" && denied {
			refuse(rw, 403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
			return true
		}
		return false
	}
	store := &dag.MemStore{}
	g := w.graph(b)
	r, err := w.engine(store, &events{}).Solve(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Failed) != 2 || len(r.Left) != 0 {
		t.Fatalf("failed %v, left %v", r.Failed, r.Left)
	}
	if !strings.Contains(r.Failed[0].Err.Error(), "ec2:ModifyImageAttribute") {
		t.Errorf("the error does not name the permission: %v", r.Failed[0].Err)
	}
	w.only(1)
	denied = false
	before := w.front.count("CreateImage")
	w.build(store, g)
	w.only(1)
	if w.front.count("CreateImage") != before || w.front.count("CopyImage") != 1 || w.front.count("RunInstances") != 1 {
		t.Errorf("the resume made something again: %v", w.front.calls)
	}
	there, err := w.cloud.at(t.Context(), Place{Region: "us-west-2"})
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := there.namesakes(t.Context(), "image-1"); err != nil || len(ids) != 1 {
		t.Errorf("copies: %v, %v", ids, err)
	}
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

func TestNameIsCheckedBeforeAnythingIsLaunched(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	w.build(&dag.MemStore{}, w.graph(template()))
	launches := w.front.count("RunInstances")
	e, err := dag.New(dag.Options{Run: "r2", Store: &dag.MemStore{}, Kinds: w.kinds()})
	if err != nil {
		t.Fatal(err)
	}
	b := template()
	g := w.graph(b)
	r, err := e.Solve(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Err.Error(), `cannot use ami_name "image-1": ami-`) {
		t.Fatalf("failed: %v", r.Failed)
	}
	if n := w.front.count("RunInstances"); n != launches {
		t.Errorf("launched %d instances all the same", n-launches)
	}
	w.only(1)

	first := w.inventory().images[0]
	b = template()
	b.ForceDeregister, b.ForceDeleteSnapshot = true, true
	e, err = dag.New(dag.Options{Run: "r3", Store: &dag.MemStore{}, Kinds: w.kinds()})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := e.Solve(t.Context(), w.graph(b)); err != nil || len(r.Failed) > 0 {
		t.Fatal(r, err)
	}
	w.only(1)
	if second := w.inventory().images[0]; second == first {
		t.Error("the older image is still there")
	}
}

func TestSkipCreateAMILeavesNothing(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template()
	b.SkipCreateAMI = true
	w.build(&dag.MemStore{}, w.graph(b))
	w.only(0)
}

func TestLateFailureOfTheImageCleansUp(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template()
	w.front.play = func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		if action == "CreateImage" {
			refuse(rw, 400, "InvalidParameterValue", "Some rule that nobody knows.")
		}
		return action == "CreateImage"
	}
	r, err := w.engine(&dag.MemStore{}, &events{}).Solve(t.Context(), w.graph(b))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Failed) != 1 || len(r.Left) != 0 {
		t.Fatalf("failed %v, left %v", r.Failed, r.Left)
	}
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
		b.Capture(g, bd, b.Machine(g, bd))
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
