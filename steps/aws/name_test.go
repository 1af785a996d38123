package aws

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/internal/errcode"
)

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

func TestNameCheck(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	w.image("taken")
	check := func(name string, force bool) (Namesakes, error) {
		return NameCheck{Place: here, Name: name, Force: force}.Do(t.Context(), w.cloud, task("t"))
	}
	if n, err := check("free", false); err != nil || len(n.IDs) != 0 {
		t.Errorf("a free name: %v, %v", n, err)
	}
	if _, err := check("taken", false); errcode.Of(err) != errcode.NameTaken || !strings.Contains(err.Error(), "set force_deregister") {
		t.Errorf("a name that is taken: %v", err)
	}
	if n, err := check("taken", true); err != nil || len(n.IDs) != 1 {
		t.Errorf("a name that is taken, with force: %v, %v", n, err)
	}
	others, err := w.site().api.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"amazon", "099720109477"}})
	if err != nil || len(others.Images) == 0 {
		t.Fatal(err)
	}
	if n, err := check(text(others.Images[0].Name), false); err != nil || len(n.IDs) != 0 {
		t.Errorf("a name that somebody else's image has: %v, %v", n, err)
	}
	if n, err := check("tak*", false); err == nil || len(n.IDs) != 0 {
		t.Errorf("a pattern: %v, %v", n, err)
	}
	refused(t, w, "DescribeImages", NameCheck{Place: here, Name: "free"}, `cannot look for images called "free": `)
}
