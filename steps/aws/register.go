package aws

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// RegisterImage makes an image of snapshots. It stands on them for as long as it is there.
type RegisterImage struct {
	From        dag.Out[Stopped]      `json:"from"` // whose machine has filled the volumes
	Parts       []Part                `json:"parts"`
	Name        string                `json:"name"` // "" has the image called by its token: it is to be copied alone
	Description dag.Text              `json:"description,omitempty"`
	Tags        map[dag.Text]dag.Text `json:"tags,omitempty"`
	Root        string                `json:"root"`               // the device that instances start from, which is one of the parts
	Mappings    []BlockDevice         `json:"mappings,omitempty"` // what there is beside the parts
	Character

	// What only has to come first.
	Regrouped dag.Out[Regrouped]     `json:"settled" key:"-"`
	Free      dag.Out[Deregistered]  `json:"free" key:"-"`
	Values    dag.Out[CheckedValues] `json:"values" key:"-"` // of an edited template, after the launch
}

// Part is a snapshot as a volume of an image.
type Part struct {
	Snapshot dag.Out[ReadySnapshot] `json:"snapshot" dag:"attach"`
	BlockDevice
}

// Character is what EC2 cannot tell from the snapshots of an image.
type Character struct {
	Architecture   string `json:"architecture"`
	Virtualization string `json:"virtualization"`
	BootMode       string `json:"boot_mode,omitempty"`
	UEFIData       string `json:"uefi_data,omitempty"`
	TPM            string `json:"tpm_support,omitempty"`
	ENA            *bool  `json:"ena,omitempty"`
	SRIOV          bool   `json:"sriov,omitempty"`
}

func (RegisterImage) Kind() string    { return "aws.register" }
func (RegisterImage) Common()         {}
func (s RegisterImage) Title() string { return "register the image " + cmp.Or(s.Name, "to copy") }

// Do registers the image, or adopts what an earlier attempt has: EC2 takes no client token
// here, but there is one image of a name, and it carries the token as a tag.
func (s RegisterImage) Do(ctx context.Context, c *Cloud, t *dag.Task) (Image, error) {
	from := s.From.Value()
	at, err := c.at(ctx, from.Place)
	if err != nil {
		return Image{}, err
	}
	description, specs, err := c.words(t, s.Description, s.Tags, nil)
	if err != nil {
		return Image{}, err
	}
	name := cmp.Or(s.Name, t.Token)
	in := &ec2.RegisterImageInput{
		Name: &name, Description: optional(description), RootDeviceName: &s.Root, BlockDeviceMappings: s.mappings(),
		Architecture: types.ArchitectureValues(s.Architecture), VirtualizationType: &s.Virtualization,
		BootMode: types.BootModeValues(s.BootMode), UefiData: optional(s.UEFIData), TpmSupport: types.TpmSupportValues(s.TPM), EnaSupport: s.ENA,
	}
	for _, spec := range specs {
		if spec.ResourceType == types.ResourceTypeImage {
			in.TagSpecifications = append(in.TagSpecifications, spec)
		}
	}
	if s.SRIOV {
		in.SriovNetSupport = ptr("simple")
	}
	image := Image{Place: from.Place, Name: name, Token: t.Token, Machine: from.Machine, Others: s.snapshots()}
	if err := image.save(t); err != nil {
		return Image{}, dag.NotMade(err)
	}
	t.Say("registering the image %s", name)
	out, err := at.api.RegisterImage(ctx, in)
	if err == nil {
		t.Say("image %s", text(out.ImageId))
		image.ID, image.Made = text(out.ImageId), now()
		return image, nil
	}
	if classify("RegisterImage", 0, err).class == alreadyExists {
		if found, lookErr := at.image(ctx, t); lookErr == nil {
			return found, nil
		}
	}
	return Image{}, asNotMade(fmt.Sprintf("register the image %q", name), "RegisterImage", 0, err)
}

// snapshots are those that the image is made of. They are things of their own.
func (s RegisterImage) snapshots() (ids []string) {
	for _, p := range s.Parts {
		ids = append(ids, p.Snapshot.Value().ID)
	}
	return append(ids, given(s.Mappings)...)
}

// given are the snapshots that blocks name.
func given(blocks []BlockDevice) (ids []string) {
	for _, d := range blocks {
		if d.volume() && d.SnapshotID != "" {
			ids = append(ids, d.SnapshotID)
		}
	}
	return ids
}

// mappings are the volumes of the image, its root first. Of a snapshot EC2 takes no word on encryption:
// the volume is as the snapshot is.
func (s RegisterImage) mappings() (ms []types.BlockDeviceMapping) {
	for _, p := range s.Parts {
		m := p.mapping()
		m.Ebs.SnapshotId = ptr(p.Snapshot.Value().ID)
		m.Ebs.Encrypted, m.Ebs.KmsKeyId = nil, nil
		ms = append(ms, m)
	}
	slices.SortStableFunc(ms, func(a, b types.BlockDeviceMapping) int {
		switch {
		case text(a.DeviceName) == s.Root:
			return -1
		case text(b.DeviceName) == s.Root:
			return 1
		}
		return 0
	})
	for _, d := range s.Mappings {
		m := d.mapping()
		if m.Ebs != nil && d.SnapshotID != "" {
			m.Ebs.Encrypted = nil
		}
		ms = append(ms, m)
	}
	return ms
}
