package ec2local

import (
	"slices"
	"strings"
	"time"
)

type profile struct {
	base
	Path   string    `json:"path"`
	Unique string    `json:"unique"`
	Role   string    `json:"role,omitempty"`
	Known  time.Time `json:"known,omitzero"` // to EC2, which hears of a profile later than IAM shows it
}

func (*profile) table() string { return "profile" }

func (p *profile) arn() string {
	return globalARN(p.Region, "iam", "instance-profile"+p.Path+p.ID)
}

// profileID is what EC2 shows of a profile; it outlives the profile.
func profileID(arn string) string {
	return "AIPA" + strings.ToUpper(fixedID("p", arn)[3:])[:16]
}

// profile finds the instance profile that a launch names.
func (c *call) profile(arn, name string) (string, error) {
	if arn != "" && name != "" {
		return "", fail("InvalidParameterCombination", "The parameter iamInstanceProfile.name may not be used in combination with iamInstanceProfile.arn")
	}
	for _, p := range all[profile](c.txn, c.home()) {
		if (p.ID == name || p.arn() == arn) && p.seen(c.txn) && !c.now.Before(p.Known) {
			return p.arn(), nil
		}
	}
	if arn != "" {
		return "", invalid("Value (%s) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN", arn)
	}
	return "", invalid("Value (%s) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", name)
}

type profileItemIAM struct {
	Path    string
	Name    string `xml:"InstanceProfileName"`
	ID      string `xml:"InstanceProfileId"`
	ARN     string `xml:"Arn"`
	Created string `xml:"CreateDate"`
	Roles   roleList
	Tags    *iamTags
}

func (c *call) profileItem(p *profile) profileItemIAM {
	i := profileItemIAM{Path: p.Path, Name: p.ID, ID: p.Unique, ARN: p.arn(), Created: iamStamp(p.base), Tags: c.iamTags(p)}
	if r := get[role](c.txn, c.home(), p.Role); r != nil {
		x := c.roleItem(r)
		x.Tags = nil
		i.Roles.Items = append(i.Roles.Items, x)
	}
	return i
}

func (c *call) findProfile(name string) (*profile, error) {
	if p := get[profile](c.txn, c.home(), name); p != nil && p.seen(c.txn) {
		return p, nil
	}
	return nil, fail("NoSuchEntity", "Instance Profile %s cannot be found.", name)
}

type createProfileRequest struct {
	InstanceProfileName, Path string
	Tags                      []tagRequest
}

type profileResponse struct {
	Profile profileItemIAM `xml:"InstanceProfile"`
}

func createProfile(c *call, q *createProfileRequest) (*profileResponse, error) {
	path, err := checkIAM("instanceProfileName", q.InstanceProfileName, q.Path, 128)
	if err != nil {
		return nil, err
	}
	if get[profile](c.txn, c.home(), q.InstanceProfileName) != nil {
		return nil, fail("EntityAlreadyExists", "Instance Profile %s already exists.", q.InstanceProfileName)
	}
	p := &profile{base: iamBase(c, q.InstanceProfileName), Path: path}
	p.Unique = profileID(p.arn())
	put(c.txn, p)
	if err := c.setTags(c.home(), tagKey(p), q.Tags); err != nil {
		return nil, err
	}
	return &profileResponse{c.profileItem(p)}, nil
}

type profileNameRequest struct{ InstanceProfileName string }

func getProfile(c *call, q *profileNameRequest) (*profileResponse, error) {
	p, err := c.findProfile(q.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	return &profileResponse{c.profileItem(p)}, nil
}

func deleteProfile(c *call, q *profileNameRequest) (*nothing, error) {
	p, err := c.findProfile(q.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	if p.Role != "" {
		return nil, fail("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.")
	}
	drop(c.txn, p)
	c.remove("tags", rowKey(c.home(), tagKey(p)))
	return &nothing{}, nil
}

type profileRoleRequest struct{ InstanceProfileName, RoleName string }

func addRoleToProfile(c *call, q *profileRoleRequest) (*nothing, error) {
	p, err := c.findProfile(q.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	r, err := c.findRole(q.RoleName)
	if err != nil {
		return nil, err
	}
	if p.Role != "" {
		return nil, fail("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
	}
	p.Role, p.Known = r.ID, c.s.injector.visible("profile", c.now)
	put(c.txn, p)
	return &nothing{}, nil
}

func removeRoleFromProfile(c *call, q *profileRoleRequest) (*nothing, error) {
	p, err := c.findProfile(q.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	if p.Role != q.RoleName {
		return nil, fail("NoSuchEntity", "The role %s is not in the instance profile %s.", q.RoleName, p.ID)
	}
	p.Role = ""
	put(c.txn, p)
	return &nothing{}, nil
}

type listProfilesResponse struct {
	Profiles struct {
		Items []profileItemIAM `xml:"member"`
	} `xml:"InstanceProfiles"`
	Truncated bool   `xml:"IsTruncated"`
	Marker    string `xml:",omitempty"`
}

func listProfiles(c *call, q *iamPage) (*listProfilesResponse, error) {
	ps := slices.DeleteFunc(all[profile](c.txn, c.home()), func(p *profile) bool { return !strings.HasPrefix(p.Path, q.PathPrefix) || !p.seen(c.txn) })
	ps, next, err := iamCut(ps, *q)
	if err != nil {
		return nil, err
	}
	out := &listProfilesResponse{Marker: next, Truncated: next != ""}
	for _, p := range ps {
		x := c.profileItem(p)
		x.Tags = nil
		out.Profiles.Items = append(out.Profiles.Items, x)
	}
	return out, nil
}
