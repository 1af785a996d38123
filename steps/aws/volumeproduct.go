package aws

import (
	"context"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// VolumeProduct tells post-processors which volumes and snapshots a build has made.
type VolumeProduct struct {
	Of        dag.Out[Stopped]         `json:"of"` // which knows the machine
	Kept      dag.Out[KeptVolumes]     `json:"kept"`
	Snapshots []dag.Out[ReadySnapshot] `json:"snapshots,omitempty"`
}

func (VolumeProduct) Kind() string  { return "aws.volume-product" }
func (VolumeProduct) Title() string { return "gather what was made" }

// Do asks nobody. The order is Packer's, whose readers may rely on it.
func (s VolumeProduct) Do(_ context.Context, _ *Cloud, _ *dag.Task) (steps.Product, error) {
	var ids []string
	if s.Kept.Set() {
		for _, id := range s.Kept.Value().IDs {
			ids = append(ids, s.Kept.Value().Region+":"+id)
		}
	}
	for _, sn := range s.Snapshots {
		ids = append(ids, sn.Value().Region+":"+sn.Value().ID)
	}
	slices.Sort(ids)
	return steps.Product{Builder: "mitchellh.amazon.ebsvolume", ID: strings.Join(ids, ","), Machine: s.Of.Value().Machine}, nil
}
