package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// CreateImage makes an image of a stopped instance.
type CreateImage struct {
	From         dag.Out[Stopped]      `json:"from" dag:"attach"`
	Source       dag.Out[SourceImage]  `json:"source"`
	Name         string                `json:"name"` // "" has the image called by its token: it is to be copied alone
	Description  dag.Text              `json:"description,omitempty"`
	Tags         map[dag.Text]dag.Text `json:"tags,omitempty"`
	SnapshotTags map[dag.Text]dag.Text `json:"snapshot_tags,omitempty"`
	Mappings     []BlockDevice         `json:"mappings,omitempty"`
	Launched     []BlockDevice         `json:"launched,omitempty"` // volumes as the template has them
	Builder      BuilderVolume         `json:"builder,omitzero"`   // what the root volume is in their place

	Swapped dag.Out[Volumes] `json:"swapped,omitzero" key:"-" dag:"attach"` // which EC2 would leave when the instance goes

	// What only has to come first.
	Regrouped dag.Out[Regrouped]     `json:"settled" key:"-"`
	Free      dag.Out[Deregistered]  `json:"free" key:"-"`
	Values    dag.Out[CheckedValues] `json:"values" key:"-"` // of an edited template, after the launch
}

// Image is an image that is being made or has been.
type Image struct {
	Place
	ID    string    `json:"id"`
	Name  string    `json:"name"`
	Token string    `json:"token"` // its snapshots carry it too
	Made  time.Time `json:"made"`

	Machine comm.Machine `json:"machine,omitzero"` // that it was made of; of a copy only where that is all that stays
	Others  []string     `json:"others,omitempty"` // snapshots in it that stay when it goes: they were there before
}

// What is kept of an image, under these names, until it is made: what is found by its token knows
// neither its machine nor which of its snapshots were there before.
const (
	machineOf = "machine"
	othersOf  = "others"
)

func (i Image) save(t *dag.Task) error {
	if err := t.Save(machineOf, i.Machine); err != nil || len(i.Others) == 0 {
		return err
	}
	return t.Save(othersOf, i.Others)
}

// placeOfImage is the name under which the place of an image is kept that is in no place of the build's
// own account.
const placeOfImage = "place"

func (CreateImage) Kind() string    { return "aws.image" }
func (CreateImage) Common()         {}
func (s CreateImage) Title() string { return "create the image " + cmp.Or(s.Name, "to copy") }

// Patience covers the limits on snapshots of one volume.
func (CreateImage) Patience() time.Duration { return 15 * time.Minute }

// Do asks for the image and does not wait for it, or adopts what an earlier
// attempt has made.
func (s CreateImage) Do(ctx context.Context, c *Cloud, t *dag.Task) (Image, error) {
	from := s.From.Value()
	at, err := c.at(ctx, from.Place)
	if err != nil {
		return Image{}, err
	}
	description, specs, err := c.words(t, s.Description, s.Tags, s.SnapshotTags)
	if err != nil {
		return Image{}, err
	}
	name := cmp.Or(s.Name, t.Token)
	in := &ec2.CreateImageInput{
		InstanceId: &from.ID, Name: &name, Description: optional(description),
		TagSpecifications: specs,
	}
	if from.Stopping { // there is nothing to reboot
		in.NoReboot = ptr(true)
	}
	for _, d := range s.mappings() {
		in.BlockDeviceMappings = append(in.BlockDeviceMappings, d.mapping())
	}
	image := Image{Place: from.Place, Name: name, Token: t.Token, Machine: from.Machine, Others: given(s.Mappings)}
	if err := image.save(t); err != nil {
		return Image{}, dag.NotMade(err)
	}
	t.Say("creating the image %s from %s", name, from.ID)
	out, err := at.api.CreateImage(ctx, in)
	if err == nil {
		t.Say("image %s", text(out.ImageId))
		image.ID, image.Made = text(out.ImageId), now()
		return image, nil
	}
	doing := fmt.Sprintf("create the image %q", name)
	if classify("CreateImage", 0, err).class == alreadyExists {
		image, lookErr := at.image(ctx, t)
		if lookErr == nil {
			return image, nil
		}
	}
	return Image{}, at.taken(ctx, from.ID, from.Machine.Fleeting, missed(s.Free, asNotMade(doing, "CreateImage", 0, err)))
}

// mappings are the volumes of the image that differ from the instance's. A root volume that only
// the build had gives way to the one that there would be without it.
func (s CreateImage) mappings() []BlockDevice {
	if !s.Builder.given() {
		return s.Mappings
	}
	source := s.Source.Value()
	root := BlockDevice{DeviceName: source.RootDevice}
	for _, d := range source.Devices {
		if d.Name == root.DeviceName {
			root.VolumeType, root.IOPS, root.Throughput = d.Type, d.IOPS, d.Throughput
		}
	}
	for _, d := range s.Launched {
		if d.DeviceName == root.DeviceName {
			root = root.under(d)
		}
	}
	ms := slices.Clone(s.Mappings)
	if i := slices.IndexFunc(ms, func(d BlockDevice) bool { return d.DeviceName == root.DeviceName }); i >= 0 {
		kind := root.under(ms[i]).plain()
		ms[i].VolumeType, ms[i].IOPS, ms[i].Throughput = kind.VolumeType, kind.IOPS, kind.Throughput
		return ms
	}
	return append(ms, root.plain())
}

// plain has a volume of gp3 say what one has that says nothing, since EC2 takes that of the instance's.
func (d BlockDevice) plain() BlockDevice {
	if d.VolumeType == "gp3" {
		d.IOPS, d.Throughput = cmp.Or(d.IOPS, 3000), cmp.Or(d.Throughput, 125)
	}
	return d
}

// under is the kind of a volume that a block changes.
func (d BlockDevice) under(block BlockDevice) BlockDevice {
	if block.VolumeType != "" && block.VolumeType != d.VolumeType {
		d.VolumeType, d.IOPS, d.Throughput = block.VolumeType, 0, 0
	}
	d.IOPS, d.Throughput = cmp.Or(block.IOPS, d.IOPS), cmp.Or(block.Throughput, d.Throughput)
	return d
}

// words are the final description of an image and the tags of it and its
// snapshots, which have the image's beside their own.
func (c *Cloud) words(t *dag.Task, description dag.Text, tags, snapshotTags map[dag.Text]dag.Text) (string, []types.TagSpecification, error) {
	told, err := filled(t, "ami_description", description)
	if err != nil {
		return "", nil, err
	}
	image, err := filledTags(t, "tags", tags)
	if err != nil {
		return "", nil, err
	}
	snapshots, err := filledTags(t, "snapshot_tags", snapshotTags)
	if err != nil {
		return "", nil, err
	}
	return told, append(tagged(c.tags(t, image), types.ResourceTypeImage), tagged(c.tags(t, mergeTags(image, snapshots)), types.ResourceTypeSnapshot)...), nil
}

// image is the one that a task has made, when EC2 had time to show it. All who look for
// theirs look together.
func (s *site) image(ctx context.Context, t *dag.Task) (Image, error) {
	i, err := s.creations.wait(ctx, t, t.Token, untilShown(s.window), there)
	if err != nil {
		return Image{}, lookFault("look for the image", "DescribeImages", err)
	}
	image := Image{Place: s.Place, ID: text(i.ImageId), Name: text(i.Name), Token: t.Token, Made: now()}
	if _, err := t.Load(machineOf, &image.Machine); err != nil {
		return image, err
	}
	_, err = t.Load(othersOf, &image.Others)
	return image, err
}

// listCreations shows the images that were made by tokens.
func (s *site) listCreations(ctx context.Context, tokens []string) (map[string]types.Image, error) {
	out, err := s.api.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{filter("tag:"+TagToken, tokens...)}, IncludeDeprecated: ptr(true)})
	if err != nil {
		return nil, err
	}
	m := map[string]types.Image{}
	for _, i := range out.Images {
		if i.State != types.ImageStateDeregistered {
			m[tag(i.Tags, TagToken)] = i
		}
	}
	return m, nil
}

// Find looks for the image by its id, or by the token of its making.
func (i Image) Find(ctx context.Context, c *Cloud, t *dag.Task) (Image, error) {
	if i.Place.Region == "" {
		if _, err := t.Load(placeOfImage, &i.Place); err != nil {
			return i, err
		}
	}
	return findAnywhere(ctx, c, i.Place, func(s *site) (Image, error) {
		if i.ID == "" {
			return s.image(ctx, t)
		}
		v, err := s.images.wait(ctx, t, i.ID, untilShown(s.window), there)
		if err == nil && v.State == types.ImageStateDeregistered {
			err = dag.ErrNotFound
		}
		return i, lookFault("look for "+i.ID, "DescribeImages", err)
	})
}

// Undo deregisters the image and deletes its own snapshots. Those of an image that is
// not finished may not be listed in it yet: they carry its token.
func (i Image) Undo(ctx context.Context, c *Cloud, t *dag.Task) error {
	i, err := withID(ctx, c, t, i, i.ID)
	if err != nil {
		return err
	}
	at, err := c.at(ctx, i.Place)
	if err != nil {
		return err
	}
	return at.removeImage(ctx, i)
}

// removeImage removes an image, and its snapshots but for those that were there before.
func (s *site) removeImage(ctx context.Context, i Image) error {
	id, made := i.ID, i.Made
	image, err := untilVisible(ctx, s.window-since(made), func() (types.Image, error) {
		found, err := s.listImages(ctx, []string{id})
		if err != nil {
			return types.Image{}, wrapAPI("look for "+id, "DescribeImages", old, err)
		}
		if _, ok := found[id]; !ok {
			return types.Image{}, dag.ErrNotFound
		}
		return found[id], nil
	})
	there := err == nil
	if err != nil && !errors.Is(err, dag.ErrNotFound) {
		return err
	}
	if there && text(image.DeregistrationProtection) != "" && text(image.DeregistrationProtection) != "disabled" {
		if _, err := s.api.DisableImageDeregistrationProtection(ctx, &ec2.DisableImageDeregistrationProtectionInput{ImageId: &id}); err != nil {
			return wrapAPI("lift the protection of "+id, "DisableImageDeregistrationProtection", old, err)
		}
	}
	ids := snapshots(image)
	if err := s.deregister(ctx, id, made); err != nil {
		return err
	}
	look := func() ([]string, error) {
		more, err := s.snapshotsOf(ctx, i.Token)
		if err == nil && len(more) == 0 {
			err = dag.ErrNotFound
		}
		return more, err
	}
	more, err := look()
	if errors.Is(err, dag.ErrNotFound) && there && len(ids) == 0 { // a young image's snapshots come after it
		more, err = untilVisible(ctx, s.window, look)
	}
	if err != nil && !errors.Is(err, dag.ErrNotFound) {
		return err
	}
	for _, id := range more {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return slices.Contains(i.Others, id) })
	return s.deleteSnapshots(ctx, ids, made)
}

// snapshotsOf are the snapshots that carry a token.
func (s *site) snapshotsOf(ctx context.Context, token string) (ids []string, err error) {
	if token == "" {
		return nil, nil
	}
	out, err := s.api.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{filter("tag:"+TagToken, token)}})
	if err != nil {
		return nil, wrapAPI("look for snapshots", "DescribeSnapshots", old, err)
	}
	for _, sn := range out.Snapshots {
		ids = append(ids, text(sn.SnapshotId))
	}
	return ids, nil
}

// Label is where the image is, too: it may outlive the run.
func (i Image) Label() string { return "image " + i.ID + " in " + i.Region }
