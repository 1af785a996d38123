package aws

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/sleep"
)

// SwapRoot puts a volume of a stopped instance in the place of its root.
type SwapRoot struct {
	From    dag.Out[Stopped] `json:"from"`
	Volumes dag.Out[Volumes] `json:"volumes"` // both, which nothing else would remove from here on
	Device  string           `json:"device"`  // the volume is this one until then
}

func (SwapRoot) Kind() string    { return "aws.swap-root" }
func (s SwapRoot) Title() string { return "make " + s.Device + " the root of the instance" }

// swapLook is how long EC2 is given between two looks.
const swapLook = time.Second

// Do takes what is the next step from how the instance stands, until the volume is its root: so an attempt
// goes on where another has ended.
func (s SwapRoot) Do(ctx context.Context, c *Cloud, t *dag.Task) (Stopped, error) {
	in, v := s.From.Value(), s.Volumes.Value()
	at, err := c.at(ctx, in.Place)
	if err != nil {
		return Stopped{}, err
	}
	filled, root := v.Devices[s.Device], v.Devices[v.Root]
	if filled == "" || root == "" {
		return Stopped{}, fmt.Errorf("cannot swap the root of %s: it had no volume %s when it ran", in.ID, s.Device)
	}
	for asked := ""; ; {
		is, err := at.describeInstances(ctx, filter("instance-id", in.ID))
		switch {
		case err != nil:
			return Stopped{}, wrapAPI("look for "+in.ID, "DescribeInstances", old, err)
		case len(is) == 0 || is[0].State == nil || ended(*is[0].State):
			return Stopped{}, fmt.Errorf("cannot swap the root of %s: it is not there any more", in.ID)
		}
		there, moving := volumeAt(is[0], v.Root), false
		for _, d := range is[0].BlockDeviceMappings {
			moving = moving || d.Ebs != nil && (d.Ebs.Status == types.AttachmentStatusAttaching || d.Ebs.Status == types.AttachmentStatusDetaching)
		}
		detach, next := "", ""
		switch {
		case moving:
		case there == filled:
			t.Say("%s is the root of %s", filled, in.ID)
			return in, nil
		case there != "":
			detach, next = there, "detach "+there
		case volumeAt(is[0], s.Device) == filled:
			detach, next = filled, "detach "+filled
		default:
			next = "attach " + filled
		}
		if next == "" || next == asked {
			if err := sleep.For(ctx, swapLook); err != nil {
				return Stopped{}, err
			}
			continue
		}
		t.Say("%s", next)
		call := "DetachVolume"
		if detach != "" {
			_, err = at.api.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: &detach, InstanceId: &in.ID})
		} else {
			call = "AttachVolume"
			_, err = at.api.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: &filled, InstanceId: &in.ID, Device: &v.Root})
		}
		if err != nil {
			return Stopped{}, wrapAPI(next, call, old, err)
		}
		asked = next
	}
}
