package aws

import (
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestDeprecate(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	of := w.ready("name")
	at := time.Now().AddDate(1, 0, 0).UTC().Format("2006-01-02T15:04:00Z")
	step := Deprecate{Of: dag.Lit(of), At: at}
	if a := twice(t, w, step); a.ID != of.ID || a.Place != here {
		t.Errorf("%+v", a)
	}
	if got := text(w.describeImage(of.ID).DeprecationTime); !strings.HasPrefix(got, at[:16]) {
		t.Errorf("deprecated at %q, want %s", got, at)
	}
	refused(t, w, "EnableImageDeprecation", step, "cannot deprecate "+of.ID+": ")
	step.At = "tomorrow"
	if _, err := step.Do(t.Context(), w.cloud, task("t")); err == nil || !strings.Contains(err.Error(), `"tomorrow" is not a time such as`) {
		t.Errorf("what is no time: %v", err)
	}
}
