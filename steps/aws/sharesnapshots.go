package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// ShareSnapshots lets others make volumes of what a finished image is made of, or of a
// snapshot.
type ShareSnapshots struct {
	Of       dag.Out[ReadyImage]    `json:"of"`
	Snapshot dag.Out[ReadySnapshot] `json:"snapshot,omitzero"`
	Users    []string               `json:"users,omitempty"`
	Groups   []string               `json:"groups,omitempty"`
}

func (ShareSnapshots) Kind() string  { return "aws.share-snapshots" }
func (ShareSnapshots) Title() string { return "share snapshots" }

// Do makes one call for each snapshot; doing it twice is no error.
func (s ShareSnapshots) Do(ctx context.Context, c *Cloud, t *dag.Task) (Attributed, error) {
	var done Attributed
	var ids []string
	if s.Snapshot.Set() {
		one := s.Snapshot.Value()
		done, ids = Attributed{one.place(), one.ID}, []string{one.ID}
	} else {
		of := s.Of.Value()
		done, ids = Attributed{of.place(), of.ID}, of.Snapshots
	}
	at, err := c.at(ctx, done.Place)
	if err != nil {
		return Attributed{}, err
	}
	add := Sharing{SnapshotUsers: s.Users, SnapshotGroups: s.Groups}.readers()
	for _, id := range ids {
		t.Say("sharing %s", id)
		_, err := at.api.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{
			SnapshotId: &id, CreateVolumePermission: &types.CreateVolumePermissionModifications{Add: add}})
		if err != nil {
			return Attributed{}, wrapAPI("share "+id, "ModifySnapshotAttribute", 0, err)
		}
	}
	return done, nil
}
