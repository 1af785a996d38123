package aws

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// What an ending instance still uses is removed as soon as it has ended, without
// trying again and again.
func TestGroupWaitsForTheEndOfItsInstance(t *testing.T) {
	w := newWorldOf(t, ec2local.Options{Latency: "terminated=5s"})
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		if action == "StopInstances" || action == "ModifyInstanceAttribute" {
			refuse(rw, 400, "InvalidParameterValue", "Some rule that nobody knows.")
			return true
		}
		return false
	})
	b := reachable()
	b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdf", VolumeSize: 1, DeleteOnTermination: ptr(false)}}
	r, err := w.engine(&dag.MemStore{}, &events{}).Solve(t.Context(), w.graph(b))
	if err != nil || len(r.Failed) == 0 || len(r.Left) > 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	w.only(0)
	for _, call := range []string{"DeleteSecurityGroup", "DeleteVolume", "TerminateInstances"} {
		if n := w.front.count(call); n == 0 || n > 3 { // a volume may be tried before the end has begun
			t.Errorf("%d calls of %s", n, call)
		}
	}
}

func TestGroup(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	step := Group{Place: here, Network: dag.Lit(Network{})}
	g := testThing(t, w, step, func(a, b SecurityGroup) bool { return a.ID == b.ID })
	if g.Label() != "security group "+g.ID {
		t.Error(g.Label())
	}
	w.only(0)

	step.Network = dag.Lit(must(w.network(NetworkOptions{PublicIP: ptr(true)})))
	step.Tags = map[dag.Text]dag.Text{"team": "images"}
	g = must(step.Do(t.Context(), w.cloud, task("t")))
	tags := must(w.site().tagsOf(t.Context(), filter("resource-id", g.ID)))
	if g.VPC == "" || g.VPC != step.Network.Value().VPC || tags[g.ID] == nil || tags[g.ID].tags["team"] != "images" {
		t.Errorf("%+v with the tags %+v", g, tags[g.ID])
	}
	refused(t, w, "CreateSecurityGroup", step, "cannot create a security group: ")
	step.Network = dag.Lit(Network{VPC: "vpc-00000000000000000"})
	if _, err := step.Do(t.Context(), w.cloud, task("t2")); err == nil || !strings.Contains(err.Error(), "look at vpc_id") {
		t.Errorf("a VPC that does not exist: %v", err)
	}
}
