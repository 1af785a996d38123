package aws

import (
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestProtect(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	of := w.ready("name")
	for _, cooldown := range []bool{false, true} {
		if a := twice(t, w, Protect{Of: dag.Lit(of), Cooldown: cooldown}); a.ID != of.ID || a.Place != here {
			t.Errorf("%+v", a)
		}
		want := "enabled-without-cooldown"
		if cooldown {
			want = "enabled-with-cooldown"
		}
		if got := text(w.describeImage(of.ID).DeregistrationProtection); got != want {
			t.Errorf("protection is %q, want %q", got, want)
		}
	}
	refused(t, w, "EnableImageDeregistrationProtection", Protect{Of: dag.Lit(of)}, "cannot protect "+of.ID+": ")
}
