package ec2local

import (
	"encoding/json"
	"net/url"
	"slices"
	"sort"
	"strings"

	"github.com/google/uuid"
)

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

func (r *role) arn() string { return globalARN(r.Region, "iam", "role"+r.Path+r.ID) }

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

func (c *call) roleItem(r *role) roleItem {
	return roleItem{
		Path: r.Path, Name: r.ID, ID: r.Unique, ARN: r.arn(), Created: iamStamp(r.base),
		Trust: url.QueryEscape(r.Trust), Description: r.Description, Duration: r.Duration, Tags: c.iamTags(r),
	}
}

type roleList struct {
	Items []roleItem `xml:"member"`
}

func (c *call) findRole(name string) (*role, error) {
	if r := get[role](c.txn, c.home(), name); r != nil && r.seen(c.txn) {
		return r, nil
	}
	return nil, fail("NoSuchEntity", "The role with name %s cannot be found.", name)
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
		base: iamBase(c, q.RoleName), Path: path, Unique: "AROA" + strings.ToUpper(strings.ReplaceAll(uuid.NewString(), "-", ""))[:16],
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
