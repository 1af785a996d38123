package aws

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// The default group of a VPC that was not seen at the beginning is looked for when
// it is needed.
func TestRegroupLooksForTheGroup(t *testing.T) {
	for _, ask := range []struct {
		refused bool
		calls   int
	}{{false, 1}, {true, 2}} {
		w := newWorld(t, ec2local.Faults{})
		w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
			refused := ask.refused && action == "DescribeSecurityGroups" && n == 1
			if refused {
				refuse(rw, 403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
			}
			return refused
		})
		w.build(&dag.MemStore{}, w.graph(reachable()))
		if n := w.front.count("DescribeSecurityGroups"); n != ask.calls || w.front.count("ModifyInstanceAttribute") != 1 {
			t.Errorf("refused %v: %v", ask.refused, w.front.calls)
		}
		w.only(1)
	}
}

// The instance is in the default group alone, by what was known of it before or by
// a look.
func TestRegroup(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	source := must(Source{Place: here, SourceOptions: ubuntu()}.Do(t.Context(), w.cloud, task("s")))
	group := must(Group{Place: here, Network: dag.Lit(Network{})}.Do(t.Context(), w.cloud, task("g")))
	launch := w.launch(source)
	launch.Groups = []dag.Out[SecurityGroup]{dag.Lit(group)}
	i := must(launch.Do(t.Context(), w.cloud, task("t1")))
	granted := must(CheckAccess{here}.Do(t.Context(), w.cloud, task("a")))
	looks := w.front.count("DescribeSecurityGroups")
	step := Regroup{Instance: dag.Lit(i), Access: dag.Lit(granted)}
	known := twice(t, w, step)
	if n := w.front.count("DescribeSecurityGroups"); n != looks {
		t.Errorf("looked %d times for what is known", n-looks)
	}
	step.Access = dag.Lit(CheckedAccess{})
	if looked := twice(t, w, step); looked != known || known.Group == "" || known.Group == group.ID {
		t.Errorf("%+v, and by a look %+v", known, looked)
	}
	is := must(w.site().describeInstances(t.Context(), filter("instance-id", i.ID)))
	if gs := is[0].SecurityGroups; len(gs) != 1 || text(gs[0].GroupId) != known.Group {
		t.Errorf("it is in %v", gs)
	}
	refused(t, w, "ModifyInstanceAttribute", step, "cannot move "+i.ID+" to the group "+known.Group+": ")
	refused(t, w, "DescribeSecurityGroups", step, "cannot find the default group of "+i.VPC+": ")
}
