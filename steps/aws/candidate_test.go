package aws

import (
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// An image that can be tested is one to begin from, and no result.
func TestCandidate(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	m := w.image("name")
	m.Machine.Vars = map[string]string{"SourceAMIOwner": "099720109477"}
	step := Candidate{Image: dag.Lit(m)}
	c := twice(t, w, step)
	if c.ID != m.ID || c.Place != here || c.Name != "name" || len(c.Devices) != 1 || c.RootDevice == "" || c.age() > time.Hour {
		t.Errorf("%+v", c)
	}
	if c.Owner == "099720109477" || !c.cloudInit() {
		t.Errorf("it is not taken for an image that was made of one of Canonical's: %+v", c)
	}
	if l := must(w.site().tagsOf(t.Context(), filter("resource-id", m.ID)))[m.ID]; l == nil || l.tags[TagExpires] == "never" || l.tags[TagArtifact] != "" {
		t.Errorf("tags %+v", l)
	}
	refused(t, w, "DescribeImages", step, "cannot wait for "+m.ID+": ")
	step.Image = dag.Lit(Image{Place: here, ID: "ami-00000000000000000", Made: time.Now().Add(-time.Hour)})
	if _, err := step.Do(t.Context(), w.cloud, task("t")); err == nil || !strings.Contains(err.Error(), "does not exist any more") {
		t.Errorf("one that is not there: %v", err)
	}
}

// EC2 may deny an image that is young, and then one that is old is not there.
func TestAgeOfAnImage(t *testing.T) {
	for age, least := range map[time.Duration]time.Duration{time.Second: 0, 24 * time.Hour: 24 * time.Hour} {
		s := SourceImage{CreationDate: time.Now().Add(-age).UTC().Format("2006-01-02T15:04:05.000Z")}
		launch := Launch{Source: dag.Lit(s)}
		for _, code := range []string{"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"} {
			if got := launch.age(ec2Error(code)); got < least || got > least+time.Hour {
				t.Errorf("%s of an image of %s: %s", code, age, got)
			}
		}
	}
	if (SourceImage{}).age() != old {
		t.Error("one without a date is young")
	}
}
