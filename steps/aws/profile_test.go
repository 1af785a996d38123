package aws

import (
	"errors"
	"net/url"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestMakeProfile(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	step := MakeProfile{Place: here, Role: dag.Lit(TemporaryRole{Place: here, Name: "r"}), Tags: map[dag.Text]dag.Text{"team": "images"}}
	p := testThing(t, w, step, func(a, b TemporaryProfile) bool { return a.Name == b.Name && a.Place == b.Place })
	if p.Label() != "instance profile "+p.Name {
		t.Error(p.Label())
	}
	w.nothingOfIAM()
	refused(t, w, "CreateInstanceProfile", step, "cannot create an instance profile: ")
}

// A profile is removed with a role in it, though nobody has noted that there is one.
func TestProfilesGoWithTheirRoles(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	k := task("t")
	made := w.grant(k)
	if err := made.role.Undo(t.Context(), w.cloud, k); err == nil {
		t.Error("removed a role that a profile has")
	} else if again := new(dag.RetryError); !errors.As(err, &again) {
		t.Errorf("that it is in use does not pass: %v", err)
	}
	found, err := TemporaryProfile{}.Find(t.Context(), w.cloud, task("t-profile"))
	if err != nil {
		t.Fatal(err)
	}
	if err := found.Undo(t.Context(), w.cloud, k); err != nil {
		t.Error(err)
	}
	if err := made.role.Undo(t.Context(), w.cloud, k); err != nil {
		t.Error(err)
	}
	w.nothingOfIAM()

	// One of the user's own is no thing of a build, whatever it is called.
	if err := w.cloud.callIAM(t.Context(), here, "CreateInstanceProfile", url.Values{"InstanceProfileName": {"mine"}}, &struct{}{}); err != nil {
		t.Fatal(err)
	}
	if _, err := (TemporaryProfile{Place: here, Name: "mine"}).Find(t.Context(), w.cloud, k); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("found %v", err)
	}
}
