package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/usual"
)

// EnableFastLaunch has EC2 prepare snapshots of a finished image of Windows, from which its
// instances start faster.
type EnableFastLaunch struct {
	Of       dag.Out[ReadyImage]    `json:"of"`
	Template dag.Out[FoundTemplate] `json:"template"`
	Parallel int                    `json:"parallel,omitempty"` // instances at a time; 0 leaves it to EC2
	Target   int                    `json:"target,omitempty"`   // snapshots that are kept ready; 0 leaves it to EC2
}

func (EnableFastLaunch) Kind() string  { return "aws.fast-launch" }
func (EnableFastLaunch) Title() string { return "enable fast launch of the image" }

// untilFast is how long it usually takes until the first snapshots are prepared.
var untilFast = expected{what: "fast launch", span: usual.Span{Lo: 4 * time.Minute, Hi: 15 * time.Minute}}

// Do asks for it, unless it is under way or there already, and waits.
func (s EnableFastLaunch) Do(ctx context.Context, c *Cloud, t *dag.Task) (Attributed, error) {
	of := s.Of.Value()
	at, err := c.at(ctx, of.place())
	if err != nil {
		return Attributed{}, err
	}
	doing := "enable fast launch of " + of.ID
	there, err := at.listFast(ctx, []string{of.ID})
	if err != nil {
		return Attributed{}, wrapAPI(doing, "DescribeFastLaunchImages", old, err)
	}
	if state := there[of.ID].State; state != types.FastLaunchStateCodeEnabling && state != types.FastLaunchStateCodeEnabled {
		t.Say("enabling fast launch of %s", of.ID)
		if _, err := at.api.EnableFastLaunch(ctx, s.request(of.ID)); err != nil {
			return Attributed{}, wrapAPI(doing, "EnableFastLaunch", 0, err)
		}
	}
	_, err = at.fast.wait(ctx, t, of.ID, untilFast, func(i types.DescribeFastLaunchImagesSuccessItem) (bool, error) {
		switch i.State {
		case types.FastLaunchStateCodeEnabled:
			return true, nil
		case types.FastLaunchStateCodeEnabling:
			return false, nil
		}
		return false, fmt.Errorf("cannot %s in %s: it is %s: %s", doing, of.Region, i.State, text(i.StateTransitionReason))
	})
	switch {
	case errors.Is(err, dag.ErrNotFound):
		return Attributed{}, fmt.Errorf("cannot %s in %s: EC2 does not show it any more", doing, of.Region)
	case isCall(err):
		return Attributed{}, wrapAPI(doing, "DescribeFastLaunchImages", old, err)
	case err != nil:
		return Attributed{}, err
	}
	t.Say("%s: fast launch of %s is enabled", of.Region, of.ID)
	return Attributed{of.place(), of.ID}, nil
}

// request is the call for an image.
func (s EnableFastLaunch) request(id string) *ec2.EnableFastLaunchInput {
	in := &ec2.EnableFastLaunchInput{ImageId: &id}
	if s.Parallel > 0 {
		in.MaxParallelLaunches = ptr(int32(s.Parallel))
	}
	if s.Target > 0 {
		in.SnapshotConfiguration = &types.FastLaunchSnapshotConfigurationRequest{TargetResourceCount: ptr(int32(s.Target))}
	}
	if s.Template.Set() {
		found := s.Template.Value()
		in.LaunchTemplate = &types.FastLaunchLaunchTemplateSpecificationRequest{LaunchTemplateId: &found.ID, Version: ptr(strconv.Itoa(found.Version))}
	}
	return in
}

// listFast shows how fast launch stands, by images; those that have none are left out.
func (s *site) listFast(ctx context.Context, ids []string) (map[string]types.DescribeFastLaunchImagesSuccessItem, error) {
	out, err := s.api.DescribeFastLaunchImages(ctx, &ec2.DescribeFastLaunchImagesInput{ImageIds: ids})
	if err != nil {
		return nil, err
	}
	m := map[string]types.DescribeFastLaunchImagesSuccessItem{}
	for _, i := range out.FastLaunchImages {
		m[text(i.ImageId)] = i
	}
	return m, nil
}

// sizeOfFast is what the time depends on: on nothing that is known.
func sizeOfFast(types.DescribeFastLaunchImagesSuccessItem) string { return "" }

// on reports whether fast launch is asked for at all.
func (o FastLaunch) on() bool {
	return o.Enable || o.TemplateID != "" || o.TemplateName != "" || o.TemplateVersion != 0 || o.MaxParallelLaunches != 0 || o.TargetResourceCount != 0 ||
		slices.ContainsFunc(o.Regions, func(r RegionLaunch) bool { return r.Region != "" && (r.Enable == nil || *r.Enable) })
}

// in is what it is in a region, and whether it is on there. The template of the image is for
// the region of the build alone.
func (o FastLaunch) in(region, home string) (here RegionLaunch, on bool) {
	if region == home {
		here = RegionLaunch{TemplateID: o.TemplateID, TemplateName: o.TemplateName, TemplateVersion: o.TemplateVersion}
	}
	for _, r := range o.Regions {
		switch {
		case r.Region != region:
		case r.TemplateID+r.TemplateName == "":
			here.Enable = r.Enable
		default:
			here = r
		}
	}
	return here, o.on() && (here.Enable == nil || *here.Enable)
}

// templates adds the steps that find the launch templates of fast launch, by region.
func (w *wiring) templates(access func(string) dag.Out[CheckedAccess]) map[string]dag.Out[FoundTemplate] {
	found := map[string]dag.Out[FoundTemplate]{}
	for _, r := range w.resultRegions() {
		if l, on := w.FastLaunch.in(r, w.place.Region); on && !w.SkipCreateAMI && l.TemplateID+l.TemplateName != "" {
			found[r] = dag.Add(w.g, w.build, named("fast-launch-template", r, w.place.Region),
				FindTemplate{Place: Place{w.place.Account, r}, ID: l.TemplateID, Name: l.TemplateName, Version: l.TemplateVersion, Access: access(r)})
		}
	}
	return found
}

// checkFastLaunch looks at the block fast_launch.
func (b *EBS) checkFastLaunch(f *optionErrors) {
	o := b.FastLaunch
	if o.on() && b.SkipCreateAMI {
		f.Idle("fast_launch", "skip_create_ami makes no image")
		return
	}
	template := func(at, id, name string, version int) {
		f.exclusive(at+"template_name", name != "", "template_id", id != "")
		f.given(at+"template_id", id, func(id string) string { return wrongID("lt", id) })
		switch {
		case version < 0:
			f.Add(at+"template_version", "cannot be negative")
		case version > 0 && id+name == "":
			f.Add(at+"template_version", "needs template_id or template_name")
		}
	}
	template("fast_launch.", o.TemplateID, o.TemplateName, o.TemplateVersion)
	if n := o.MaxParallelLaunches; n != 0 && n < 6 {
		f.Add("fast_launch.max_parallel_launches", "must be 6 or more")
	}
	if o.TargetResourceCount < 0 {
		f.Add("fast_launch.target_resource_count", "cannot be negative")
	}
	home, seen := b.home(), map[string]bool{}
	for i, r := range o.Regions {
		at := fmt.Sprintf("fast_launch.region_launch_templates[%d].", i)
		template(at, r.TemplateID, r.TemplateName, r.TemplateVersion)
		switch {
		case r.Region == "":
			f.Add(at+"region", "must be set")
		case seen[r.Region]:
			f.Add(at+"region", "%s has a block already", r.Region)
		case unknown(r.Region) || r.Region == home || home == "" || slices.Contains(b.AMIRegions, r.Region) || slices.ContainsFunc(b.AMIRegions, unknown):
		default:
			f.Add(at+"region", "%s is not in ami_regions, so there is no image", r.Region)
		}
		seen[r.Region] = true
		if r.Enable != nil && !*r.Enable && r.TemplateID+r.TemplateName != "" {
			f.Idle(at+"enable_fast_launch", "it is false, so nothing is done with the template")
		}
	}
}
