package aws

import (
	"net/http"
	"net/url"
	"reflect"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// Each option is an attribute of the stopped instance, which the image takes over.
func TestEnhance(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	i, _ := w.launched("t1")
	from := w.rest(i)
	sriov := ""
	w.front.setPlay(func(_ http.ResponseWriter, action string, _ int, form url.Values) bool {
		if action == "ModifyInstanceAttribute" && form.Get("SriovNetSupport.Value") != "" {
			sriov = form.Get("SriovNetSupport.Value")
		}
		return false
	})
	for _, c := range []struct {
		step  Enhance
		calls int
	}{
		{Enhance{From: dag.Lit(from), ENA: ptr(false)}, 1},
		{Enhance{From: dag.Lit(from), ENA: ptr(true), SRIOV: true}, 2},
	} {
		before := w.front.count("ModifyInstanceAttribute")
		if out, err := c.step.Do(t.Context(), w.cloud, task("t")); err != nil || !reflect.DeepEqual(out, from) {
			t.Errorf("%+v, %v", out, err)
		}
		if n := w.front.count("ModifyInstanceAttribute") - before; n != c.calls {
			t.Errorf("%d calls, want %d", n, c.calls)
		}
		if sent := sriov == "simple"; sent != c.step.SRIOV {
			t.Errorf("SR-IOV %q was sent", sriov)
		}
		is := must(w.site().describeInstances(t.Context(), filter("instance-id", i.ID)))
		if ena := is[0].EnaSupport; ena == nil || *ena != *c.step.ENA {
			t.Errorf("ENA %v, want %v", ena, *c.step.ENA)
		}
	}
	refused(t, w, "ModifyInstanceAttribute", Enhance{From: dag.Lit(from), SRIOV: true}, "cannot set enhanced networking of "+i.ID+": ")
}
