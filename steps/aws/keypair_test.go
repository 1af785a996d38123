package aws

import (
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps/comm"
)

func TestImportKey(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	step := ImportKey{Place: here, Key: dag.Lit(comm.Key{Public: public})}
	k := testThing(t, w, step, func(a, b KeyPair) bool { return a.ID == b.ID && a.Name == b.Name })
	if k.Label() != "key pair "+k.Name {
		t.Error(k.Label())
	}
	w.only(0)

	step.Name, step.Tags = "mine", map[dag.Text]dag.Text{"team": "images"}
	k = must(step.Do(t.Context(), w.cloud, task("t")))
	tags := must(w.site().tagsOf(t.Context(), filter("resource-id", k.ID)))
	if k.Name != "mine" || tags[k.ID] == nil || tags[k.ID].tags["team"] != "images" || tags[k.ID].tags[TagToken] != "t" {
		t.Errorf("%+v with the tags %+v", k, tags[k.ID])
	}
	step.Name = "other"
	refused(t, w, "ImportKeyPair", step, `cannot import the key pair "other": `)
	step.Key = dag.Lit(comm.Key{Public: "no key"})
	if _, err := step.Do(t.Context(), w.cloud, task("t2")); err == nil {
		t.Error("what is no key was imported")
	}
}
