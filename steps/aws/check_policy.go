package aws

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// maxRolePolicy is how many characters the policies of a role may have, but for white space.
const maxRolePolicy = 10_240

// given reports whether there is a policy at all.
func (p PolicyRecord) given() bool { return p.Version != "" || len(p.Statement) > 0 }

// temporaryProfile reports whether a role and a profile are to be made for the build.
func (b *EBS) temporaryProfile() bool { return b.InstanceProfile == "" && b.TemporaryPolicy.given() }

// checkPolicy checks what IAM takes as a policy of a role.
func (b *EBS) checkPolicy(f *optionErrors) {
	const option = "temporary_iam_instance_profile_policy_document"
	p := b.TemporaryPolicy
	if !p.given() {
		return
	}
	if b.InstanceProfile != "" {
		f.Idle(option, "the instance has the profile that iam_instance_profile names")
	}
	f.oneOf(option+".Version", p.Version, policyVersion, "2008-10-17")
	if len(p.Statement) == 0 {
		f.Add(option+".Statement", "must be set: a policy without statements allows nothing")
	}
	for i, s := range p.Statement {
		at := fmt.Sprintf("%s.Statement[%d]", option, i)
		if s.Effect == "" {
			f.Add(at+".Effect", "must be set: Allow or Deny")
		} else if !f.unknown(s.Effect) {
			f.oneOf(at+".Effect", s.Effect, "Allow", "Deny")
		}
		if len(s.Action) == 0 {
			f.Add(at+".Action", "must be set, such as s3:GetObject")
		}
		if len(s.Resource) == 0 {
			f.Add(at+".Resource", "must be set: an ARN, or *")
		}
		f.each(at+".Action", s.Action, wrongAction)
		f.each(at+".Resource", s.Resource, wrongResource)
	}
	if raw, err := json.Marshal(p); err == nil && len(raw) > maxRolePolicy {
		f.Add(option, "has %d characters, and a policy of a role may have %d", len(raw), maxRolePolicy)
	}
}

var actions = regexp.MustCompile(`^[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+$`)

func wrongAction(name string) string {
	if name == "*" || actions.MatchString(name) {
		return ""
	}
	return fmt.Sprintf("%s is no action of IAM, such as s3:GetObject or s3:*", shown(name))
}

// wrongResource takes what IAM takes: in an ARN all but its first part may be a pattern.
func wrongResource(arn string) string {
	if arn == "*" || strings.HasPrefix(arn, "arn:") && strings.Count(arn, ":") >= 5 && strings.IndexFunc(arn, notASCII) < 0 {
		return ""
	}
	return fmt.Sprintf("%s is neither * nor an ARN, such as arn:aws:s3:::bucket/*", shown(arn))
}
