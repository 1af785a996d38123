package ec2local

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strings"
)

var iamOperations = map[string]operation{
	"AddRoleToInstanceProfile":      writes(addRoleToProfile),
	"CreateInstanceProfile":         writes(createProfile),
	"CreateRole":                    writes(createRole),
	"DeleteInstanceProfile":         writes(deleteProfile),
	"DeleteRole":                    writes(deleteRole),
	"DeleteRolePolicy":              writes(deleteRolePolicy),
	"GetInstanceProfile":            reads(getProfile),
	"GetRole":                       reads(getRole),
	"ListInstanceProfiles":          reads(listProfiles),
	"ListRolePolicies":              reads(listRolePolicies),
	"ListRoles":                     reads(listRoles),
	"PutRolePolicy":                 writes(putRolePolicy),
	"RemoveRoleFromInstanceProfile": writes(removeRoleFromProfile),
}

// home is the region of what has none: the name of the partition.
func (c *call) home() string { return partitionOf(c.region).name }

// Roles and profiles are stored by their names, which are unique.
type role struct {
	base
	Path        string            `json:"path"`
	Unique      string            `json:"unique"`
	Trust       string            `json:"trust"`
	Description string            `json:"description,omitempty"`
	Duration    int               `json:"duration"`
	Policies    map[string]string `json:"policies,omitempty"`
}

func (*role) table() string { return "role" }

type profile struct {
	base
	Path   string `json:"path"`
	Unique string `json:"unique"`
	Role   string `json:"role,omitempty"`
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
		if (p.ID == name || p.arn() == arn) && p.seen(c.txn) {
			return p.arn(), nil
		}
	}
	if arn != "" {
		return "", invalid("Value (%s) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN", arn)
	}
	return "", invalid("Value (%s) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", name)
}

func iamBase(c *call, name string) base {
	b := c.born(name)
	b.Region, b.Visible = c.home(), c.s.moods.visible("iam", c.now)
	return b
}

var (
	iamName = regexp.MustCompile(`^[\w+=,.@-]+$`)
	iamPath = regexp.MustCompile(`^/([!-~]*/)?$`)
)

func checkIAM(kind, name, path string, most int) (string, error) {
	if len(name) > most || !iamName.MatchString(name) {
		return "", fail("ValidationError", "The specified value for %s is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_- and at most %d of them", kind, most)
	}
	if path == "" {
		path = "/"
	}
	if len(path) > 512 || !iamPath.MatchString(path) {
		return "", fail("ValidationError", "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
	return path, nil
}

type iamTag struct {
	Key   string
	Value string
}

type iamTags struct {
	Items []iamTag `xml:"member"`
}

type roleItem struct {
	Path        string
	Name        string `xml:"RoleName"`
	ID          string `xml:"RoleId"`
	ARN         string `xml:"Arn"`
	Created     string `xml:"CreateDate"`
	Trust       string `xml:"AssumeRolePolicyDocument"`
	Description string `xml:",omitempty"`
	Duration    int    `xml:"MaxSessionDuration"`
	Tags        *iamTags
}

func (c *call) iamTags(r record) *iamTags {
	tags := c.tags(c.home(), tagKey(r))
	if len(tags) == 0 {
		return nil
	}
	out := &iamTags{}
	for _, t := range tags {
		out.Items = append(out.Items, iamTag{t.Key, t.Value})
	}
	return out
}

// tagKey keeps a role and a profile of the same name apart.
func tagKey(r record) string { return r.table() + ":" + r.ident().ID }

func (c *call) roleItem(r *role) roleItem {
	return roleItem{
		Path: r.Path, Name: r.ID, ID: r.Unique, ARN: globalARN(r.Region, "iam", "role"+r.Path+r.ID), Created: iamStamp(r.base),
		Trust: url.QueryEscape(r.Trust), Description: r.Description, Duration: r.Duration, Tags: c.iamTags(r),
	}
}

func iamStamp(b base) string { return b.Created.UTC().Format("2006-01-02T15:04:05Z") }

type roleList struct {
	Items []roleItem `xml:"member"`
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

func (c *call) findRole(name string) (*role, error) {
	if r := get[role](c.txn, c.home(), name); r != nil && r.seen(c.txn) {
		return r, nil
	}
	return nil, fail("NoSuchEntity", "The role with name %s cannot be found.", name)
}

func (c *call) findProfile(name string) (*profile, error) {
	if p := get[profile](c.txn, c.home(), name); p != nil && p.seen(c.txn) {
		return p, nil
	}
	return nil, fail("NoSuchEntity", "Instance Profile %s cannot be found.", name)
}

type createRoleRequest struct {
	RoleName, Path, AssumeRolePolicyDocument, Description string
	MaxSessionDuration                                    *int
	Tags                                                  []tagRequest
}

type roleResponse struct {
	Role roleItem
}

func createRole(c *call, q *createRoleRequest) (*roleResponse, error) {
	path, err := checkIAM("roleName", q.RoleName, q.Path, 64)
	if err != nil {
		return nil, err
	}
	if !json.Valid([]byte(q.AssumeRolePolicyDocument)) {
		return nil, fail("MalformedPolicyDocument", "This policy contains invalid Json")
	}
	if get[role](c.txn, c.home(), q.RoleName) != nil {
		return nil, fail("EntityAlreadyExists", "Role with name %s already exists.", q.RoleName)
	}
	r := &role{
		base: iamBase(c, q.RoleName), Path: path, Unique: "AROA" + strings.ToUpper(strings.ReplaceAll(uuid(), "-", ""))[:16],
		Trust: q.AssumeRolePolicyDocument, Description: q.Description, Duration: 3600,
	}
	if q.MaxSessionDuration != nil {
		r.Duration = *q.MaxSessionDuration
	}
	put(c.txn, r)
	if err := c.setTags(c.home(), tagKey(r), q.Tags); err != nil {
		return nil, err
	}
	return &roleResponse{c.roleItem(r)}, nil
}

type roleNameRequest struct{ RoleName string }

func getRole(c *call, q *roleNameRequest) (*roleResponse, error) {
	r, err := c.findRole(q.RoleName)
	if err != nil {
		return nil, err
	}
	return &roleResponse{c.roleItem(r)}, nil
}

type nothing struct{}

func deleteRole(c *call, q *roleNameRequest) (*nothing, error) {
	r, err := c.findRole(q.RoleName)
	if err != nil {
		return nil, err
	}
	if len(r.Policies) > 0 {
		return nil, fail("DeleteConflict", "Cannot delete entity, must delete policies first.")
	}
	for _, p := range all[profile](c.txn, c.home()) {
		if p.Role == r.ID {
			return nil, fail("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.")
		}
	}
	drop(c.txn, r)
	c.remove("tags", rowKey(c.home(), tagKey(r)))
	return &nothing{}, nil
}

type rolePolicyRequest struct{ RoleName, PolicyName, PolicyDocument string }

func putRolePolicy(c *call, q *rolePolicyRequest) (*nothing, error) {
	r, err := c.findRole(q.RoleName)
	if err != nil {
		return nil, err
	}
	if !json.Valid([]byte(q.PolicyDocument)) {
		return nil, fail("MalformedPolicyDocument", "This policy contains invalid Json")
	}
	if r.Policies == nil {
		r.Policies = map[string]string{}
	}
	r.Policies[q.PolicyName] = q.PolicyDocument
	put(c.txn, r)
	return &nothing{}, nil
}

type deleteRolePolicyRequest struct{ RoleName, PolicyName string }

func deleteRolePolicy(c *call, q *deleteRolePolicyRequest) (*nothing, error) {
	r, err := c.findRole(q.RoleName)
	if err != nil {
		return nil, err
	}
	if _, ok := r.Policies[q.PolicyName]; !ok {
		return nil, fail("NoSuchEntity", "The role policy with name %s cannot be found.", q.PolicyName)
	}
	delete(r.Policies, q.PolicyName)
	put(c.txn, r)
	return &nothing{}, nil
}

type iamPage struct {
	Marker     string
	MaxItems   *int
	PathPrefix string
}

// iamCut cuts a page; markers are the tokens of page.
func iamCut[T any](list []T, q iamPage) ([]T, string, error) {
	out, next, err := page(list, pageRequest{q.MaxItems, q.Marker}, 1, 1000)
	if err != nil {
		return nil, "", fail("ValidationError", "%s", asAPI(err).Message)
	}
	return out, next, nil
}

type listRolesResponse struct {
	Roles     roleList
	Truncated bool   `xml:"IsTruncated"`
	Marker    string `xml:",omitempty"`
}

func listRoles(c *call, q *iamPage) (*listRolesResponse, error) {
	rs := slices.DeleteFunc(all[role](c.txn, c.home()), func(r *role) bool { return !strings.HasPrefix(r.Path, q.PathPrefix) || !r.seen(c.txn) })
	rs, next, err := iamCut(rs, *q)
	if err != nil {
		return nil, err
	}
	out := &listRolesResponse{Marker: next, Truncated: next != ""}
	for _, r := range rs {
		x := c.roleItem(r)
		x.Tags = nil
		out.Roles.Items = append(out.Roles.Items, x)
	}
	return out, nil
}

type listRolePoliciesRequest struct {
	RoleName, Marker string
	MaxItems         *int
}

type nameList struct {
	Items []string `xml:"member"`
}

type listRolePoliciesResponse struct {
	Names     nameList `xml:"PolicyNames"`
	Truncated bool     `xml:"IsTruncated"`
	Marker    string   `xml:",omitempty"`
}

func listRolePolicies(c *call, q *listRolePoliciesRequest) (*listRolePoliciesResponse, error) {
	r, err := c.findRole(q.RoleName)
	if err != nil {
		return nil, err
	}
	var names []string
	for n := range r.Policies {
		names = append(names, n)
	}
	sort.Strings(names)
	names, next, err := iamCut(names, iamPage{Marker: q.Marker, MaxItems: q.MaxItems})
	if err != nil {
		return nil, err
	}
	return &listRolePoliciesResponse{nameList{names}, next != "", next}, nil
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
	p.Role = r.ID
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
