package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// tail is what a seed decides about how machines are reached, and what becomes of that which was
// built on them.
type tail struct {
	Keys    bool // what is encrypted is so with keys that are named, and shared
	Session bool // the machine is reached through Session Manager
	Volumes bool // volumes are made, and no image
	Publish bool // the image is written where others read it
	Fast    bool // fast launch of an image of Windows
}

// drawTail draws it, apart from all else of the plan.
func (p *plan) drawTail(r *rand.Rand) {
	p.Keys = r.IntN(2) == 0 && p.Encrypted
	p.Session = r.IntN(4) == 0 && p.Guest != "none"
	p.Publish = r.IntN(3) == 0
	p.Fast = r.IntN(3) == 0 && p.Windows != nil
	if r.IntN(5) == 0 {
		p.Volumes, p.Publish, p.Fast, p.Copies = true, false, false, nil
	}
}

func (t tail) String() (text string) {
	for _, is := range []struct {
		so   bool
		name string
	}{{t.Keys, "keys"}, {t.Session, "session"}, {t.Volumes, "volumes"}, {t.Publish, "publish"}, {t.Fast, "fast"}} {
		if is.so {
			text += " +" + is.name
		}
	}
	return text
}

// What is in every world from its start.
const (
	keyID    = "6f1c1d5e-33c3-4a43-9d0e-0c6a5d3f7b21" // in each region
	profile  = "chaos"
	launcher = "chaos" // a launch template
	written  = "/chaos/image"
	other    = "210987654321" // an account

	given = `{"regions": ["us-east-1", "eu-west-1"], "kms_keys": ["` + keyID + `"], "instance_profiles": ["` + profile + `"]}`
)

// given tells whether a thing was there before any build, or stays of what builds publish.
func (t thing) given() bool {
	return t.Kind == "kms-key" && t.ID == keyID || t.Kind == "instance-profile" && t.Name == profile || t.Kind == "launch-template" && t.Name == launcher || t.Kind == "parameter" && t.Name == written
}

// options has a builder do so.
func (t tail) options(builder map[string]any, p plan) {
	if t.Session {
		if builder["ssh_interface"] = "session_manager"; !p.Role {
			builder["iam_instance_profile"] = profile
		}
	}
	if t.Volumes {
		t.volumes(builder, p)
		return
	}
	if t.Keys {
		builder["kms_key_id"], builder["ami_users"], builder["snapshot_users"] = keyID, []string{other}, []string{other}
		if p.Copies != nil {
			keys := map[string]string{}
			for _, r := range p.Copies {
				keys[r] = keyID
			}
			builder["region_kms_key_ids"] = keys
		}
	}
	if t.Publish {
		builder["publish"] = []any{
			map[string]any{"ssm_parameter": written, "ssm_labels": []string{"current"}},
			map[string]any{"launch_template": launcher, "launch_template_default": true},
		}
	}
	if t.Fast {
		builder["fast_launch"] = map[string]any{"enable_fast_launch": true}
	}
}

// volumes makes a builder one of a volume that stays, and of a snapshot of one that goes.
func (t tail) volumes(builder map[string]any, p plan) {
	builder["type"] = "amazon-ebsvolume"
	for _, of := range []string{"ami_name", "tags", "snapshot_tags", "encrypt_boot"} {
		delete(builder, of)
	}
	stays := map[string]any{"device_name": "/dev/sdf", "volume_size": 1, "tags": map[string]string{"From": "{{ .SourceAMI }}"}}
	goes := map[string]any{"device_name": "/dev/sdg", "volume_size": 2, "delete_on_termination": true, "snapshot_volume": true}
	for _, v := range []map[string]any{stays, goes} {
		if p.Encrypted {
			v["encrypted"] = true
		}
		if t.Keys {
			v["kms_key_id"] = keyID
		}
	}
	if t.Keys {
		goes["snapshot_users"] = []string{other}
	}
	builder["ebs_volumes"] = []any{stays, goes}
}

// regions are where there is an image.
func (p plan) regions() []string { return append([]string{region}, p.Copies...) }

// prepare makes what has to be there for a build: a launch template in each region, which is seen.
func (o *outcome) prepare(ctx context.Context, w *world) error {
	if !o.Publish {
		return nil
	}
	for _, r := range o.regions() {
		c, name := w.client(r), launcher
		_, err := c.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name, LaunchTemplateData: &types.RequestLaunchTemplateData{InstanceType: "t3.micro"}})
		if err != nil {
			return err
		}
		err = eventually(func() error {
			_, err := c.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: &name})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eventually waits until something is so: what is new may be seen seconds later.
func eventually(is func() error) error {
	for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		if err := is(); err == nil || time.Since(begun) > 30*time.Second {
			return err
		}
	}
}

// finished says in what that which was built is not as the template has it.
func (o *outcome) finished(ctx context.Context, w *world) error {
	inv, err := w.inventory()
	if err != nil {
		return err
	}
	for _, r := range o.regions() {
		if err := eventually(func() error { return o.encryptedIn(ctx, w, r) }); err != nil {
			return err
		}
		for _, image := range inv.of("image") {
			if image.Region != r {
				continue
			}
			if o.Publish {
				if err := eventually(func() error { return w.published(ctx, r, image.ID) }); err != nil {
					return err
				}
			}
			if o.Fast {
				if err := eventually(func() error { return w.startsFast(ctx, r, image.ID) }); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// encryptedIn looks at the volumes and snapshots of a region.
func (o *outcome) encryptedIn(ctx context.Context, w *world, r string) error {
	c := w.client(r)
	snapshots, err := c.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
	if err != nil {
		return err
	}
	volumes, err := c.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{})
	if err != nil {
		return err
	}
	look := func(id *string, encrypted *bool, key *string) error {
		with := ""
		if key != nil {
			with = *key
		}
		if *encrypted != o.Encrypted || o.Keys != strings.HasSuffix(with, ":"+r+":"+account+":key/"+keyID) {
			return fmt.Errorf("%s in %s is encrypted: %t, with %q", *id, r, *encrypted, with)
		}
		return nil
	}
	for _, v := range volumes.Volumes {
		if err := look(v.VolumeId, v.Encrypted, v.KmsKeyId); err != nil {
			return err
		}
	}
	for _, s := range snapshots.Snapshots {
		if err := look(s.SnapshotId, s.Encrypted, s.KmsKeyId); err != nil {
			return err
		}
		may, err := c.DescribeSnapshotAttribute(ctx, &ec2.DescribeSnapshotAttributeInput{SnapshotId: s.SnapshotId, Attribute: types.SnapshotAttributeNameCreateVolumePermission})
		if err != nil {
			return err
		}
		if shared := len(may.CreateVolumePermissions) == 1 && *may.CreateVolumePermissions[0].UserId == other; shared != o.Keys {
			return fmt.Errorf("%s in %s has the permissions %v", *s.SnapshotId, r, may.CreateVolumePermissions)
		}
	}
	return nil
}

// account is that of every world.
const account = "123456789012"

// published looks whether an image is written where others read it, once.
func (w *world) published(ctx context.Context, r, image string) error {
	var history struct {
		Parameters []struct {
			Value  string
			Labels []string
		}
	}
	if err := w.json("ssm", "AmazonSSM.GetParameterHistory", r, key.AccessKeyID, map[string]string{"Name": written}, &history); err != nil {
		return err
	}
	if ps := history.Parameters; len(ps) != 1 || ps[0].Value != image || !slices.Equal(ps[0].Labels, []string{"current"}) {
		return fmt.Errorf("the parameter in %s has been %v, and the image is %s", r, ps, image)
	}
	name := launcher
	out, err := w.client(r).DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: &name})
	if err != nil {
		return err
	}
	vs := out.LaunchTemplateVersions
	slices.SortFunc(vs, func(a, b types.LaunchTemplateVersion) int { return int(*a.VersionNumber - *b.VersionNumber) })
	if len(vs) != 2 || vs[1].LaunchTemplateData.ImageId == nil || *vs[1].LaunchTemplateData.ImageId != image || !*vs[1].DefaultVersion {
		return fmt.Errorf("the launch template in %s has %d versions, and the image is %s", r, len(vs), image)
	}
	return nil
}

// startsFast looks whether instances of an image start fast.
func (w *world) startsFast(ctx context.Context, r, image string) error {
	out, err := w.client(r).DescribeFastLaunchImages(ctx, &ec2.DescribeFastLaunchImagesInput{ImageIds: []string{image}})
	if err == nil && (len(out.FastLaunchImages) != 1 || out.FastLaunchImages[0].State != types.FastLaunchStateCodeEnabled) {
		err = fmt.Errorf("fast launch of %s in %s is %v", image, r, out.FastLaunchImages)
	}
	return err
}
