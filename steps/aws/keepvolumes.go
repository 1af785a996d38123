package aws

import (
	"context"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// KeepVolumes makes the volumes of a good build results of it.
type KeepVolumes struct {
	Volumes dag.Out[Volumes]    `json:"volumes"`
	Image   dag.Out[ReadyImage] `json:"image" key:"-"` // what only has to come first,
	Stopped dag.Out[Stopped]    `json:"stopped" key:"-"`
}

func (KeepVolumes) Kind() string  { return "aws.keep-volumes" }
func (KeepVolumes) Title() string { return "keep volumes" }

// Do ends their lease, so that nobody takes them for orphans.
func (s KeepVolumes) Do(ctx context.Context, c *Cloud, t *dag.Task) (KeptVolumes, error) {
	v := s.Volumes.Value()
	kept := KeptVolumes{v.Place, v.IDs}
	if len(v.IDs) == 0 {
		return kept, nil
	}
	at, err := c.at(ctx, v.Place)
	if err != nil {
		return KeptVolumes{}, err
	}
	if err := at.markFinished(ctx, v.IDs...); err != nil {
		return KeptVolumes{}, wrapAPI("keep "+list(v.IDs), "CreateTags", since(v.Made), err)
	}
	t.Say("%s: keeping %s, since delete_on_termination is false", v.Region, list(v.IDs))
	return kept, nil
}

// KeptVolumes stay in the user's account.
type KeptVolumes struct {
	Place
	IDs []string `json:"ids,omitempty"`
}

// Artifacts are the volumes.
func (v KeptVolumes) Artifacts() (list []steps.Artifact) {
	for _, id := range v.IDs {
		list = append(list, steps.Artifact{Kind: "volume", ID: id, Region: v.Region})
	}
	return list
}
