package ec2local

import (
	"fmt"
	"slices"
	"strings"
)

type group struct {
	base
	Name        string      `json:"name"`
	Description string      `json:"description"`
	VPC         string      `json:"vpc"`
	Rules       []groupRule `json:"rules,omitempty"`
}

func (*group) table() string                   { return "group" }
func (*group) refer() (string, string, string) { return "sg", "InvalidGroupId", "security group" }

func (g *group) marks() []mark {
	ms := []mark{{"group-name", g.Name}}
	for _, r := range g.Rules {
		ms = append(ms, mark{"rule", r.ID})
		if r.Group != "" {
			ms = append(ms, mark{"grants", r.Group})
		}
	}
	return ms
}

// findGroup differs from find in the code that EC2 has for a missing group.
func (c *call) findGroup(id string) (*group, error) {
	g, err := find[group](c, id)
	if err != nil && wellFormed("sg", id) {
		return nil, fail("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
	}
	return g, err
}

// groupNamed finds a group of a VPC, the default VPC if vpc is empty.
func (c *call) groupNamed(vpc, name string) (*group, error) {
	if vpc == "" {
		v := c.defaultVPC(c.region)
		if v == nil {
			return nil, fail("VPCIdNotSpecified", "No default VPC for this user")
		}
		vpc = v.ID
	}
	for _, g := range having[group](c.txn, c.region, mark{"group-name", name}) {
		if g.VPC == vpc && g.seen(c.txn) {
			return g, nil
		}
	}
	return nil, fail("InvalidGroup.NotFound", "The security group '%s' does not exist in VPC '%s'", name, vpc)
}

// defaultGroup makes the group that every VPC has: members reach each other.
func (t *txn) defaultGroup(b base, vpc string) {
	rule := func(egress bool) groupRule {
		return groupRule{ID: fixedID("sgr", fmt.Sprint(b.ID, egress)), Egress: egress, Protocol: "-1", From: -1, To: -1}
	}
	in, out := rule(false), rule(true)
	in.Group, out.IPv4 = b.ID, "0.0.0.0/0"
	put(t, &group{base: b, Name: "default", Description: "default VPC security group", VPC: vpc, Rules: []groupRule{in, out}})
}

var groupText = patternOf(`^[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]*$`)

type createGroupRequest struct {
	GroupName, Description, VpcId string
	TagSpecifications             []tagSpec
}

type createGroupResponse struct {
	ID   string   `xml:"groupId"`
	ARN  string   `xml:"securityGroupArn"`
	Tags set[tag] `xml:"tagSet"`
}

func (r *createGroupResponse) summary() string { return r.ID }

func createSecurityGroup(c *call, q *createGroupRequest) (*createGroupResponse, error) {
	switch {
	case q.GroupName == "" || len(q.GroupName) > 255 || !groupText.MatchString(q.GroupName):
		return nil, invalid("Value (%s) for parameter GroupName is invalid. Character sets beyond ASCII are not supported; up to 255 characters from a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*", q.GroupName)
	case strings.HasPrefix(q.GroupName, "sg-"):
		return nil, invalid("Value (%s) for parameter GroupName is invalid. Group names may not be in the format sg-*.", q.GroupName)
	case q.Description == "" || len(q.Description) > 255 || !groupText.MatchString(q.Description):
		return nil, invalid("Value (%s) for parameter GroupDescription is invalid. Character sets beyond ASCII are not supported; up to 255 characters from a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*", q.Description)
	}
	v := c.defaultVPC(c.region)
	if q.VpcId != "" {
		var err error
		if v, err = find[vpc](c, q.VpcId); err != nil {
			return nil, err
		}
	}
	if v == nil {
		return nil, fail("VPCIdNotSpecified", "No default VPC for this user")
	}
	if q.GroupName == "default" {
		return nil, fail("InvalidParameterValue", "Cannot use reserved security group name: default")
	}
	for _, g := range having[group](c.txn, c.region, mark{"group-name", q.GroupName}) {
		if g.VPC == v.ID {
			return nil, fail("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", q.GroupName, v.ID)
		}
	}
	tags, err := specTags(q.TagSpecifications, "security-group", "security-group")
	if err != nil {
		return nil, err
	}
	g := &group{base: c.newBase(newID("sg")), Name: q.GroupName, Description: q.Description, VPC: v.ID}
	g.Rules = []groupRule{{ID: newID("sgr"), Egress: true, Protocol: "-1", From: -1, To: -1, IPv4: "0.0.0.0/0"}}
	put(c.txn, g)
	if err := c.setTags(c.region, g.ID, tags); err != nil {
		return nil, err
	}
	return &createGroupResponse{g.ID, g.arn(), c.tagSet(g.ID)}, nil
}

func (g *group) arn() string {
	return arn("ec2", g.Region, "security-group/"+g.ID)
}

type describeGroupsRequest struct {
	pageRequest
	GroupIds, GroupNames []string
	Filters              []filter
}

type groupItem struct {
	Owner       string          `xml:"ownerId"`
	ID          string          `xml:"groupId"`
	ARN         string          `xml:"securityGroupArn"`
	Name        string          `xml:"groupName"`
	Description string          `xml:"groupDescription"`
	VPC         string          `xml:"vpcId"`
	In          set[permission] `xml:"ipPermissions"`
	Out         set[permission] `xml:"ipPermissionsEgress"`
	Tags        set[tag]        `xml:"tagSet"`
}

type describeGroupsResponse struct {
	Groups set[groupItem] `xml:"securityGroupInfo"`
	pageResponse
}

func ruleValues(egress bool, f func(r *groupRule) []string) func(c *call, g *group) []string {
	return func(c *call, g *group) []string {
		var v []string
		for i := range g.Rules {
			if g.Rules[i].Egress == egress {
				v = append(v, f(&g.Rules[i])...)
			}
		}
		return v
	}
}

var groupFilters = filters[group]{
	"group-id":                      func(c *call, g *group) []string { return one(g.ID) },
	"group-name":                    func(c *call, g *group) []string { return one(g.Name) },
	"description":                   func(c *call, g *group) []string { return one(g.Description) },
	"vpc-id":                        func(c *call, g *group) []string { return one(g.VPC) },
	"owner-id":                      func(c *call, g *group) []string { return one(c.account()) },
	"ip-permission.cidr":            ruleValues(false, func(r *groupRule) []string { return one(r.IPv4) }),
	"ip-permission.ipv6-cidr":       ruleValues(false, func(r *groupRule) []string { return one(r.IPv6) }),
	"ip-permission.group-id":        ruleValues(false, func(r *groupRule) []string { return one(r.Group) }),
	"ip-permission.protocol":        ruleValues(false, func(r *groupRule) []string { return one(r.Protocol) }),
	"ip-permission.from-port":       ruleValues(false, func(r *groupRule) []string { return number(int64(r.From)) }),
	"ip-permission.to-port":         ruleValues(false, func(r *groupRule) []string { return number(int64(r.To)) }),
	"egress.ip-permission.cidr":     ruleValues(true, func(r *groupRule) []string { return one(r.IPv4) }),
	"egress.ip-permission.protocol": ruleValues(true, func(r *groupRule) []string { return one(r.Protocol) }),
}.tagged(tagsOf[group]).found("group-id", "group-name")

func describeSecurityGroups(c *call, q *describeGroupsRequest) (*describeGroupsResponse, error) {
	if err := onePage(q.pageRequest, q.GroupIds, "groupIds"); err != nil {
		return nil, err
	}
	var gs []*group
	for _, id := range q.GroupIds {
		g, err := c.findGroup(id)
		if err != nil {
			return nil, err
		}
		gs = append(gs, g)
	}
	for _, name := range q.GroupNames {
		g, err := c.groupNamed("", name)
		if err != nil {
			return nil, err
		}
		gs = append(gs, g)
	}
	if len(q.GroupIds)+len(q.GroupNames) == 0 {
		gs, _ = about(c, groupFilters, nil, q.Filters)
	}
	gs, next, err := narrow(c, groupFilters, q.Filters, gs, q.pageRequest)
	if err != nil {
		return nil, err
	}
	r := &describeGroupsResponse{pageResponse: next}
	for _, g := range gs {
		r.Groups.Items = append(r.Groups.Items, groupItem{
			Owner: c.account(), ID: g.ID, ARN: g.arn(), Name: g.Name, Description: g.Description, VPC: g.VPC,
			In: permissions(g.Rules, false, c.account()), Out: permissions(g.Rules, true, c.account()), Tags: c.tagSet(g.ID),
		})
	}
	return r, nil
}

type deleteGroupRequest struct{ GroupId, GroupName string }

type deleteGroupResponse struct {
	Return bool   `xml:"return"`
	ID     string `xml:"groupId"`
}

func deleteSecurityGroup(c *call, q *deleteGroupRequest) (*deleteGroupResponse, error) {
	g, err := c.groupOf(q.GroupId, q.GroupName)
	if err != nil {
		return nil, err
	}
	if g.Name == "default" {
		return nil, fail("CannotDelete", "the specified group: \"%s\" name: \"default\" cannot be deleted by a user", g.ID)
	}
	used := fail("DependencyViolation", "resource %s has a dependent object", g.ID)
	if len(c.ids("interface", c.region, mark{"group-id", g.ID})) > 0 {
		return nil, used
	}
	if slices.ContainsFunc(c.ids("group", c.region, mark{"grants", g.ID}), func(other string) bool { return other != g.ID }) {
		return nil, used
	}
	for _, r := range g.Rules {
		c.remove("tags", rowKey(c.region, r.ID))
	}
	drop(c.txn, g)
	return &deleteGroupResponse{true, g.ID}, nil
}

func (c *call) groupOf(id, name string) (*group, error) {
	switch {
	case id != "":
		return c.findGroup(id)
	case name != "":
		return c.groupNamed("", name)
	}
	return nil, fail("MissingParameter", "The request must contain the parameter groupName or groupId")
}
