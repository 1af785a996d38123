package aws

import (
	"slices"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestPublishTemplate(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	id := w.launchTemplate(home, "web")
	of := ReadyImage{}
	of.ID, of.Name, of.Region = "ami-00000000000000001", "image-1", home
	if p := twice(t, w, PublishTemplate{Of: dag.Lit(of), Template: "web"}); p.Version != 2 || p.Image != of.ID {
		t.Errorf("%+v", p)
	}
	if _, standard := w.templateImages(home, "web"); standard != 1 {
		t.Errorf("the default version is %d", standard)
	}
	// By its id, and only the default is missing.
	twice(t, w, PublishTemplate{Of: dag.Lit(of), Template: id, Default: true})
	if ids, standard := w.templateImages(home, "web"); !slices.Equal(ids, []string{of.ID, ""}) || standard != 2 {
		t.Errorf("the versions have %q, the default one is %d", ids, standard)
	}
	of.ID = "ami-00000000000000002"
	step := PublishTemplate{Of: dag.Lit(of), Template: "web", Default: true}
	refused(t, w, "DescribeLaunchTemplateVersions", step, "cannot publish "+of.ID+" in the launch template web of us-east-1: ")
	refused(t, w, "CreateLaunchTemplateVersion", step, "cannot publish "+of.ID+" in the launch template web of us-east-1: ")
	refused(t, w, "ModifyLaunchTemplate", step, "cannot make version 3 the default of the launch template web in us-east-1: ")
	fails(t, w, PublishTemplate{Of: dag.Lit(of), Template: "none"}, "cannot publish "+of.ID+" in the launch template none of us-east-1: ")
}
