package aws

import (
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestDescribeImport(t *testing.T) {
	w := newImportWorld(t, ec2local.Options{})
	of := w.importedImage("r1")
	step := DescribeImport{Of: dag.Lit(of), Description: "told", Tags: map[dag.Text]dag.Text{"os": "linux"}}
	ready := twice(t, w, step)
	i := w.describeImage(of.ID)
	if ready.Kind != "image" || ready.ID != of.ID || ready.Region != home || len(ready.Snapshots) != 1 || text(i.Description) != "told" {
		t.Errorf("%+v, %s", ready, text(i.Description))
	}
	if tags := tagMap(i.Tags); tags["os"] != "linux" || tags[TagArtifact] == "" || tags[TagExpires] != "never" {
		t.Errorf("%v", tags)
	}
	refused(t, w, "ModifyImageAttribute", step, "cannot describe "+of.ID+": ")
	refused(t, w, "CreateTags", step, "cannot tag "+of.ID+": ")

	of = w.importedImage("r2")
	step.Of, step.Tags = dag.Lit(of), many[dag.Text]("tag", maxTags)
	if twice(t, w, step); len(w.describeImage(of.ID).Tags) != maxTags {
		t.Errorf("%d tags", len(w.describeImage(of.ID).Tags))
	}
}
