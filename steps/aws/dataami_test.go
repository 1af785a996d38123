package aws

import (
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestDataAMI(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	step := DataAMI{here, ubuntu().Filter}
	found := twice(t, w, step)
	if !strings.HasPrefix(found.ID, "ami-") || found.Name != "ubuntu/images/hvm-ssd/ubuntu-xenial-16.04-amd64-server-20210928" || found.Owner != "099720109477" || found.CreationDate != "2021-09-28T20:07:00.000Z" || found.Tags == nil {
		t.Errorf("%+v", found)
	}
	if source := must(Source{Place: here, SourceOptions: ubuntu()}.Do(t.Context(), w.cloud, task("source"))); source.ID != found.ID {
		t.Errorf("the source image of the same filter is %s", source.ID)
	}
	amazon := must(DataAMI{here, SourceFilter{Owners: []string{"amazon"}, MostRecent: true, Filters: map[string]string{"name": "al2023-ami-*-x86_64"}}}.Do(t.Context(), w.cloud, task("amazon")))
	if amazon.OwnerName != "amazon" {
		t.Errorf("%+v", amazon)
	}
	refused(t, w, "DescribeImages", step, "cannot find an image with name=ubuntu/")
	step.MostRecent = false
	if _, err := step.Do(t.Context(), w.cloud, task("many")); err == nil || !strings.Contains(err.Error(), "cannot choose an image: 3 images fit: ami-") || !strings.Contains(err.Error(), "set most_recent") {
		t.Error(err)
	}
	step.Filters = map[string]string{"name": "no such image"}
	if _, err := step.Do(t.Context(), w.cloud, task("none")); err == nil || !strings.Contains(err.Error(), "cannot find an image with name=no such image of 099720109477 in us-east-1: no image fits") {
		t.Error(err)
	}

	o := Data(w.cloud)["amazon-ami"]().(*AMIOptions)
	if f := o.Check(); len(f) != 2 || f[0].Field != "filters" || f[1].Field != "owners" {
		t.Errorf("without options: %v", f)
	}
	o.SourceFilter, o.Access.Region = ubuntu().Filter, "eu-west-1"
	if err := o.Prepare(t.Context()); err != nil || len(o.Check()) > 0 {
		t.Error(err, o.Check())
	}
	g := dag.NewGraph(nil)
	key := o.Add(g, dag.Build{Name: "b"}, "data.amazon-ami.x")
	if err := g.Err(); err != nil || len(g.Nodes) != 1 || g.Nodes[0].Key != key || !strings.Contains(string(g.Nodes[0].Spec), `"region":"eu-west-1"`) {
		t.Errorf("%v, %s", err, g.Nodes[0].Spec)
	}
}
