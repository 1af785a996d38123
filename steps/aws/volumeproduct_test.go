package aws

import (
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// Post-processors read volumes and snapshots as one sorted list, as Packer writes it; either may be missing.
func TestVolumeProduct(t *testing.T) {
	kept := dag.Lit(KeptVolumes{here, []string{"vol-2", "vol-1"}})
	snapshot := dag.Lit(ReadySnapshot{Artifact: steps.Artifact{Kind: "snapshot", ID: "snap-1", Region: home}})
	for want, step := range map[string]VolumeProduct{
		home + ":snap-1," + home + ":vol-1," + home + ":vol-2": {Kept: kept, Snapshots: []dag.Out[ReadySnapshot]{snapshot}},
		home + ":vol-1," + home + ":vol-2":                     {Kept: kept},
		home + ":snap-1":                                       {Snapshots: []dag.Out[ReadySnapshot]{snapshot}},
	} {
		step.Of = dag.Lit(Stopped{})
		p, err := step.Do(t.Context(), nil, nil)
		if err != nil || p.ID != want || p.Builder != "mitchellh.amazon.ebsvolume" {
			t.Errorf("%+v, %v; want %s", p, err, want)
		}
	}
}
