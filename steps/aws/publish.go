package aws

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
)

// Publish is one block publish: a parameter of Systems Manager, or a launch template.
type Publish struct {
	// The name of a parameter of Systems Manager whose newest value becomes the id of the image, such as /images/web.
	// Earlier values stay in its history. Default: none.
	Parameter string `json:"ssm_parameter,omitempty"`
	// The data type of the parameter, `aws:ec2:image`, with which AWS looks whether there is such an image, or `text`.
	// Default: `aws:ec2:image`.
	DataType string `json:"ssm_data_type,omitempty"`
	// Labels that move to the new value of the parameter. Default: none.
	Labels []string `json:"ssm_labels,omitempty"`
	// The id or the name of a launch template that gets a new version, made of its latest one with the new image.
	// Default: none.
	Template string `json:"launch_template,omitempty"`
	// Makes the new version the default one of the launch template. Default: `false`.
	SetDefault bool `json:"launch_template_default,omitempty"`
	// The role of another account to publish in, taken with the credentials of the build. Default: none.
	AssumeRole AssumeRole `json:"assume_role,omitzero"`
	// The regions to publish in, of those that get an image. Default: all of them.
	Regions []string `json:"regions,omitempty"`
}

// Published is where an image is published, and as which version.
type Published struct {
	Place
	Image   string `json:"image"`
	Name    string `json:"name"`
	Version int    `json:"version"`
}

// publish adds the steps that publish a region's image. They come last: whoever reads what is
// published can use the image.
func (w *wiring) publish(region string, of dag.Out[ReadyImage], after []dag.Key) (goals []dag.Key) {
	for i, p := range w.Publish {
		if len(p.Regions) > 0 && !slices.Contains(p.Regions, region) {
			continue
		}
		goal := w.publishBlock(named(publishName(i), region, w.place.Region), p, w.publishers[i], p.AssumeRole.RoleARN, of)
		w.g.Sequence(goal, after...)
		goals = append(goals, goal)
	}
	return goals
}

// ofRole says whose a role is, if there is one, as people see it.
func ofRole(arn string) string {
	if parts := strings.Split(arn, ":"); len(parts) > 4 && !unknown(arn) {
		return " of the account " + parts[4]
	}
	return ""
}

// publishName is that of the step of a block.
func publishName(i int) string {
	if i == 0 {
		return "publish"
	}
	return fmt.Sprintf("publish-%d", i+1)
}

// publishBlock adds the step of a block, as an account that is called by that role, if there is one.
func (w *wiring) publishBlock(step string, p Publish, account, role string, of dag.Out[ReadyImage]) dag.Key {
	var goal dag.Out[Published]
	if p.Parameter != "" {
		goal = dag.Add(w.g, w.build, step, PublishParameter{Of: of, Account: account, Role: role, Name: p.Parameter, DataType: p.DataType, Labels: p.Labels})
	} else {
		goal = dag.Add(w.g, w.build, step, PublishTemplate{Of: of, Account: account, Role: role, Template: p.Template, Default: p.SetDefault})
	}
	dag.Goal(w.g, goal)
	return goal.Key()
}

// locatePublishers makes the accounts known in which is published.
func (b *EBS) locatePublishers() {
	b.publishers = nil
	for _, p := range b.Publish {
		name := b.place.Account
		if p.AssumeRole.RoleARN != "" {
			a := b.Access
			a.Then = p.AssumeRole
			name = b.cloud.Register(a)
		}
		b.publishers = append(b.publishers, name)
	}
}

// mayBeUsedIn reports whether an account may be one that can use the images.
func (b *EBS) mayBeUsedIn(account string) bool {
	return slices.Contains(b.Users, account) || slices.ContainsFunc(b.Users, unknown) || len(b.Groups)+len(b.OrgARNs)+len(b.OUARNs) > 0
}

var (
	parameterName  = regexp.MustCompile(`^(/[a-zA-Z0-9_.-]+){1,15}$|^[a-zA-Z0-9_.-]+$`)
	parameterLabel = regexp.MustCompile(`^[a-zA-Z_.-][a-zA-Z0-9_.-]{0,99}$`)
	templateName   = regexp.MustCompile(`^[a-zA-Z0-9()./_-]{3,128}$`)
)

// checkPublish looks at the blocks publish.
func (b *EBS) checkPublish(f *optionErrors) {
	if len(b.Publish) > 0 && b.SkipCreateAMI {
		f.Idle("publish", "skip_create_ami makes no image")
		return
	}
	home, seen := b.home(), map[string]bool{}
	for i, p := range b.Publish {
		at := fmt.Sprintf("publish[%d].", i)
		b.checkPublishBlock(f, at, p)
		f.given(at+"assume_role.role_arn", p.AssumeRole.RoleARN, wrongARN)
		if arn := strings.Split(p.AssumeRole.RoleARN, ":"); len(arn) > 4 && !unknown(p.AssumeRole.RoleARN) && !b.mayBeUsedIn(arn[4]) {
			f.Doubt(at+"assume_role.role_arn", "the account %s cannot use the image: ami_users does not name it", arn[4])
		}
		if n := p.AssumeRole.DurationSeconds; n != 0 && (n < 900 || n > 3600) {
			f.Add(at+"assume_role.duration_seconds", "must be from 900 to 3600: AWS gives no longer session to who has a role already")
		}
		for n, r := range p.Regions {
			if !unknown(r) && home != "" && r != home && !slices.Contains(b.AMIRegions, r) && !slices.ContainsFunc(b.AMIRegions, unknown) {
				f.Add(fmt.Sprintf("%sregions[%d]", at, n), "%s is not in ami_regions, so there is no image", r)
			}
		}
		b.checkPublishRegions(f, at, p, p.AssumeRole.RoleARN, append([]string{home}, b.AMIRegions...), seen)
	}
}

// checkPublishBlock looks at what a block publishes, wherever it does.
func (b *EBS) checkPublishBlock(f *optionErrors, at string, p Publish) {
	f.exclusive(at+"launch_template", p.Template != "", "ssm_parameter", p.Parameter != "")
	if p.Parameter+p.Template == "" {
		f.Add(at+"ssm_parameter", "is missing: name a parameter, or a launch_template")
	}
	f.given(at+"ssm_parameter", p.Parameter, func(name string) string {
		first, _, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(name, "/")), "/")
		switch {
		case !parameterName.MatchString(name) || len(name) > 1011:
			return "is not a name such as /images/web: letters, digits, dots, dashes and underscores, at most 15 levels"
		case strings.HasPrefix(first, "aws") || strings.HasPrefix(first, "ssm"):
			return "begins with aws or ssm, which AWS keeps for itself"
		}
		return ""
	})
	f.given(at+"ssm_data_type", p.DataType, func(kind string) string {
		if kind != "text" && kind != "aws:ec2:image" {
			return "must be aws:ec2:image or text"
		}
		return ""
	})
	if len(p.Labels) > 10 {
		f.Add(at+"ssm_labels", "are more than 10")
	}
	for n, label := range p.Labels {
		f.given(fmt.Sprintf("%sssm_labels[%d]", at, n), label, func(label string) string {
			lower := strings.ToLower(label)
			if !parameterLabel.MatchString(label) || strings.HasPrefix(lower, "aws") || strings.HasPrefix(lower, "ssm") {
				return "is no label: letters, digits, dots, dashes and underscores, not beginning with a digit, aws or ssm"
			}
			return ""
		})
	}
	f.given(at+"launch_template", p.Template, func(name string) string {
		if !templateName.MatchString(name) {
			return "is neither an id such as lt-0123456789abcdef0 nor a name of 3 to 128 letters, digits and ()./_-"
		}
		return ""
	})
	if p.Parameter == "" && (p.DataType != "" || len(p.Labels) > 0) {
		f.Idle(at+"ssm_parameter", "ssm_data_type and ssm_labels are of a parameter, and none is named")
	}
	if p.Template == "" && p.SetDefault {
		f.Idle(at+"launch_template_default", "no launch_template is named")
	}
}

// checkPublishRegions refuses what a block publishes as another does, of those that were seen. Images are where
// there are some if it names no regions.
func (b *EBS) checkPublishRegions(f *optionErrors, at string, p Publish, role string, images []string, seen map[string]bool) {
	regions := p.Regions
	if len(regions) == 0 {
		regions = images
	}
	for _, r := range slices.Compact(slices.Sorted(slices.Values(regions))) {
		where := r + " " + p.Parameter + " " + p.Template + " " + role
		if seen[where] {
			f.Add(strings.TrimSuffix(at, "."), "publishes in %s what another block does", r)
			break
		}
		seen[where] = true
	}
}
