package ec2local

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A groupRule admits one source; a permission of a request becomes one rule for
// each source it names.
type groupRule struct {
	ID          string `json:"id"`
	Egress      bool   `json:"egress,omitempty"`
	Protocol    string `json:"protocol"` // tcp, udp, icmp, icmpv6, -1, or a number
	From        int    `json:"from"`
	To          int    `json:"to"`
	IPv4        string `json:"ipv4,omitempty"`
	IPv6        string `json:"ipv6,omitempty"`
	Group       string `json:"group,omitempty"`
	PrefixList  string `json:"prefix_list,omitempty"`
	Description string `json:"description,omitempty"`
}

func (r groupRule) same(o groupRule) bool {
	r.ID, o.ID, r.Description, o.Description = "", "", "", ""
	return r == o
}

// ports are pointers, for rules of all protocols have none.
func (r groupRule) ports() (from, to *int) {
	if r.Protocol == "-1" {
		return nil, nil
	}
	return &r.From, &r.To
}

type ipRange struct {
	CIDR        string `xml:"cidrIp"`
	Description string `xml:"description,omitempty"`
}

type ipv6Range struct {
	CIDR        string `xml:"cidrIpv6"`
	Description string `xml:"description,omitempty"`
}

type groupPair struct {
	Owner       string `xml:"userId"`
	Group       string `xml:"groupId"`
	Description string `xml:"description,omitempty"`
}

type prefixList struct {
	ID          string `xml:"prefixListId"`
	Description string `xml:"description,omitempty"`
}

type permission struct {
	Protocol string          `xml:"ipProtocol"`
	From     *int            `xml:"fromPort"`
	To       *int            `xml:"toPort"`
	Groups   set[groupPair]  `xml:"groups"`
	IPv4     set[ipRange]    `xml:"ipRanges"`
	IPv6     set[ipv6Range]  `xml:"ipv6Ranges"`
	Prefixes set[prefixList] `xml:"prefixListIds"`
}

// permissions gathers rules of the same protocol and ports, as describing shows them.
func permissions(rules []groupRule, egress bool, owner string) set[permission] {
	var out set[permission]
	for _, r := range rules {
		if r.Egress != egress {
			continue
		}
		from, to := r.ports()
		i := slices.IndexFunc(out.Items, func(p permission) bool {
			return p.Protocol == r.Protocol && (p.From == nil || *p.From == r.From && *p.To == r.To)
		})
		if i < 0 {
			i = len(out.Items)
			out.Items = append(out.Items, permission{Protocol: r.Protocol, From: from, To: to})
		}
		p := &out.Items[i]
		switch {
		case r.IPv4 != "":
			p.IPv4.Items = append(p.IPv4.Items, ipRange{r.IPv4, r.Description})
		case r.IPv6 != "":
			p.IPv6.Items = append(p.IPv6.Items, ipv6Range{r.IPv6, r.Description})
		case r.Group != "":
			p.Groups.Items = append(p.Groups.Items, groupPair{owner, r.Group, r.Description})
		case r.PrefixList != "":
			p.Prefixes.Items = append(p.Prefixes.Items, prefixList{r.PrefixList, r.Description})
		}
	}
	return out
}

type permissionRequest struct {
	IpProtocol       string
	FromPort, ToPort *int
	IpRanges         []struct{ CidrIp, Description string }
	Ipv6Ranges       []struct{ CidrIpv6, Description string }
	UserIdGroupPairs []struct{ GroupId, GroupName, UserId, VpcId, Description string }
	PrefixListIds    []struct{ PrefixListId, Description string }
}

type authorizeRequest struct {
	GroupId, GroupName         string
	IpProtocol, CidrIp         string
	FromPort, ToPort           *int
	SourceSecurityGroupName    string
	SourceSecurityGroupOwnerId string
	IpPermissions              []permissionRequest
	TagSpecifications          []tagSpec
}

type ruleItem struct {
	ID          string          `xml:"securityGroupRuleId"`
	Group       string          `xml:"groupId"`
	Owner       string          `xml:"groupOwnerId"`
	Egress      bool            `xml:"isEgress"`
	Protocol    string          `xml:"ipProtocol"`
	From        int             `xml:"fromPort"`
	To          int             `xml:"toPort"`
	IPv4        string          `xml:"cidrIpv4,omitempty"`
	IPv6        string          `xml:"cidrIpv6,omitempty"`
	PrefixList  string          `xml:"prefixListId,omitempty"`
	Reference   *groupReference `xml:"referencedGroupInfo"`
	Description string          `xml:"description,omitempty"`
	Tags        set[tag]        `xml:"tagSet"`
	ARN         string          `xml:"securityGroupRuleArn"`
}

type groupReference struct {
	Group string `xml:"groupId"`
	User  string `xml:"userId"`
}

type authorizeResponse struct {
	Return bool          `xml:"return"`
	Rules  set[ruleItem] `xml:"securityGroupRuleSet"`
}

func (c *call) ruleItem(g *group, r groupRule) ruleItem {
	i := ruleItem{
		ID: r.ID, Group: g.ID, Owner: accountOf(g.Region), Egress: r.Egress, Protocol: r.Protocol, From: r.From, To: r.To,
		IPv4: r.IPv4, IPv6: r.IPv6, PrefixList: r.PrefixList, Description: r.Description, Tags: c.tagSet(r.ID),
		ARN: arn("ec2", c.region, "security-group-rule/"+r.ID),
	}
	if r.Group != "" {
		i.Reference = &groupReference{r.Group, accountOf(g.Region)}
	}
	return i
}

// maxRules is EC2's quota for one direction.
const maxRules = 60

func authorizeIngress(c *call, q *authorizeRequest) (*authorizeResponse, error) {
	return authorize(c, q, false)
}

// egressRequest has no group name: those are of the default VPC only.
type egressRequest struct {
	GroupId           string
	IpPermissions     []permissionRequest
	TagSpecifications []tagSpec
}

func authorizeEgress(c *call, q *egressRequest) (*authorizeResponse, error) {
	return authorize(c, &authorizeRequest{GroupId: q.GroupId, IpPermissions: q.IpPermissions, TagSpecifications: q.TagSpecifications}, true)
}

func authorize(c *call, q *authorizeRequest, egress bool) (*authorizeResponse, error) {
	g, err := c.groupOf(q.GroupId, q.GroupName)
	if err != nil {
		return nil, err
	}
	rules, err := c.rules(g, q, egress)
	if err != nil {
		return nil, err
	}
	tags, err := specTags(q.TagSpecifications, "security-group-rule", "security-group-rule")
	if err != nil {
		return nil, err
	}
	r := &authorizeResponse{Return: true}
	for _, n := range rules {
		if slices.ContainsFunc(g.Rules, n.same) {
			source := n.IPv4 + n.IPv6 + n.Group + n.PrefixList
			ports := "ALL"
			if n.Protocol != "-1" {
				ports = "from port: " + strconv.Itoa(n.From) + ", to port: " + strconv.Itoa(n.To)
			}
			return nil, fail("InvalidPermission.Duplicate", "the specified rule \"peer: %s, %s, %s, ALLOW\" already exists", source, strings.ToUpper(n.Protocol), ports)
		}
		n.ID = newID("sgr")
		g.Rules = append(g.Rules, n)
		if err := c.setTags(c.region, n.ID, tags); err != nil {
			return nil, err
		}
		r.Rules.Items = append(r.Rules.Items, c.ruleItem(g, n))
	}
	count := 0
	for _, x := range g.Rules {
		if x.Egress == egress {
			count++
		}
	}
	if count > maxRules {
		return nil, fail("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")
	}
	put(c.txn, g)
	return r, nil
}

// rules reads the permissions of a request, in either way of writing them.
func (c *call) rules(g *group, q *authorizeRequest, egress bool) ([]groupRule, error) {
	asked := q.IpPermissions
	if q.IpProtocol != "" || q.CidrIp != "" || q.SourceSecurityGroupName != "" {
		if len(asked) > 0 {
			return nil, fail("InvalidParameterCombination", "The parameter ipPermissions cannot be used with the parameters ipProtocol and cidrIp")
		}
		p := permissionRequest{IpProtocol: q.IpProtocol, FromPort: q.FromPort, ToPort: q.ToPort}
		if q.CidrIp != "" {
			p.IpRanges = append(p.IpRanges, struct{ CidrIp, Description string }{q.CidrIp, ""})
		}
		if q.SourceSecurityGroupName != "" {
			p.UserIdGroupPairs = append(p.UserIdGroupPairs, struct{ GroupId, GroupName, UserId, VpcId, Description string }{
				GroupName: q.SourceSecurityGroupName, UserId: q.SourceSecurityGroupOwnerId,
			})
		}
		asked = []permissionRequest{p}
	}
	if len(asked) == 0 {
		return nil, missing("ipPermissions")
	}
	var rules []groupRule
	add := func(r groupRule) error {
		if len(r.Description) > 255 || !groupText.MatchString(r.Description) {
			return invalid("Invalid rule description. Valid descriptions are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
		}
		if slices.ContainsFunc(rules, r.same) {
			return invalid("The same permission must not appear multiple times")
		}
		rules = append(rules, r)
		return nil
	}
	for _, p := range asked {
		one, err := protocolRule(p)
		if err != nil {
			return nil, err
		}
		one.Egress = egress
		if len(p.IpRanges)+len(p.Ipv6Ranges)+len(p.UserIdGroupPairs)+len(p.PrefixListIds) == 0 {
			return nil, missing("cidrIp, cidrIpv6, group or prefixListId")
		}
		for _, x := range p.IpRanges {
			n, err := netip.ParsePrefix(x.CidrIp)
			if err != nil || !n.Addr().Is4() {
				return nil, invalid("CIDR block %s is malformed", x.CidrIp)
			}
			r := one
			r.IPv4, r.Description = n.Masked().String(), x.Description
			if err := add(r); err != nil {
				return nil, err
			}
		}
		for _, x := range p.Ipv6Ranges {
			n, err := netip.ParsePrefix(x.CidrIpv6)
			if err != nil || !n.Addr().Is6() {
				return nil, invalid("CIDR block %s is malformed", x.CidrIpv6)
			}
			r := one
			r.IPv6, r.Description = n.Masked().String(), x.Description
			if err := add(r); err != nil {
				return nil, err
			}
		}
		for _, x := range p.UserIdGroupPairs {
			other, err := c.groupOf(x.GroupId, x.GroupName)
			if err != nil {
				return nil, err
			}
			r := one
			r.Group, r.Description = other.ID, x.Description
			if err := add(r); err != nil {
				return nil, err
			}
		}
		for _, x := range p.PrefixListIds {
			return nil, fail("InvalidPrefixListID.NotFound", "The prefix list ID '%s' does not exist", x.PrefixListId)
		}
	}
	return rules, nil
}

func protocolRule(p permissionRequest) (groupRule, error) {
	names := map[string]string{"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}
	r := groupRule{Protocol: strings.ToLower(p.IpProtocol)}
	if r.Protocol == "" {
		return r, missing("ipProtocol")
	}
	if name, ok := names[r.Protocol]; ok {
		r.Protocol = name
	}
	if p.FromPort != nil {
		r.From = *p.FromPort
	}
	if p.ToPort != nil {
		r.To = *p.ToPort
	}
	switch r.Protocol {
	case "-1":
		r.From, r.To = -1, -1
	case "tcp", "udp":
		if p.FromPort == nil || p.ToPort == nil {
			return r, invalid("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
		}
		if r.From < 0 || r.To > 65535 {
			return r, invalid("Invalid value '%d' for portRange. Must be between 0 and 65535", r.From)
		}
		if r.From > r.To {
			return r, invalid("Invalid TCP/UDP port range (%d:%d)", r.From, r.To)
		}
	case "icmp", "icmpv6":
		if p.FromPort == nil {
			r.From, r.To = -1, -1
		}
	default:
		if n, err := strconv.Atoi(r.Protocol); err != nil || n < 0 || n > 255 {
			return r, invalid("Invalid value '%s' for IP protocol. Unknown protocol.", p.IpProtocol)
		}
		r.From, r.To = -1, -1
	}
	return r, nil
}

type revokeRequest struct {
	GroupId, GroupName         string
	IpProtocol, CidrIp         string
	FromPort, ToPort           *int
	SourceSecurityGroupName    string
	SourceSecurityGroupOwnerId string
	IpPermissions              []permissionRequest
	SecurityGroupRuleIds       []string
}

type revokedRule struct {
	ID          string `xml:"securityGroupRuleId"`
	Group       string `xml:"groupId"`
	Egress      bool   `xml:"isEgress"`
	Protocol    string `xml:"ipProtocol"`
	From        int    `xml:"fromPort"`
	To          int    `xml:"toPort"`
	IPv4        string `xml:"cidrIpv4,omitempty"`
	IPv6        string `xml:"cidrIpv6,omitempty"`
	Reference   string `xml:"referencedGroupId,omitempty"`
	Description string `xml:"description,omitempty"`
}

type revokeResponse struct {
	Return  bool             `xml:"return"`
	Revoked set[revokedRule] `xml:"revokedSecurityGroupRuleSet"`
	Unknown *set[permission] `xml:"unknownIpPermissionSet"`
}

func revokeIngress(c *call, q *revokeRequest) (*revokeResponse, error) { return revoke(c, q, false) }

type revokeEgressRequest struct {
	GroupId              string
	IpPermissions        []permissionRequest
	SecurityGroupRuleIds []string
}

func revokeEgress(c *call, q *revokeEgressRequest) (*revokeResponse, error) {
	return revoke(c, &revokeRequest{GroupId: q.GroupId, IpPermissions: q.IpPermissions, SecurityGroupRuleIds: q.SecurityGroupRuleIds}, true)
}

func revoke(c *call, q *revokeRequest, egress bool) (*revokeResponse, error) {
	g, err := c.groupOf(q.GroupId, q.GroupName)
	if err != nil {
		return nil, err
	}
	res := &revokeResponse{Return: true}
	take := func(i int) {
		r := g.Rules[i]
		g.Rules = slices.Delete(g.Rules, i, i+1)
		c.remove("tags", rowKey(c.region, r.ID))
		res.Revoked.Items = append(res.Revoked.Items, revokedRule{r.ID, g.ID, r.Egress, r.Protocol, r.From, r.To, r.IPv4, r.IPv6, r.Group, r.Description})
	}
	for _, id := range q.SecurityGroupRuleIds {
		i := slices.IndexFunc(g.Rules, func(r groupRule) bool { return r.ID == id && r.Egress == egress })
		if i < 0 {
			return nil, fail("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
		}
		take(i)
	}
	if len(q.SecurityGroupRuleIds) == 0 {
		rules, err := c.rules(g, &authorizeRequest{
			IpProtocol: q.IpProtocol, CidrIp: q.CidrIp, FromPort: q.FromPort, ToPort: q.ToPort,
			SourceSecurityGroupName: q.SourceSecurityGroupName, IpPermissions: q.IpPermissions,
		}, egress)
		if err != nil {
			return nil, err
		}
		for _, r := range rules {
			i := slices.IndexFunc(g.Rules, r.same)
			if i < 0 {
				return nil, fail("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
			}
			take(i)
		}
	}
	put(c.txn, g)
	return res, nil
}

// rule finds a rule by its id.
func (c *call) rule(id string) (*group, groupRule, error) {
	for _, g := range having[group](c.txn, c.region, mark{"rule", id}) {
		for _, r := range g.Rules {
			if r.ID == id && g.seen(c.txn) {
				return g, r, nil
			}
		}
	}
	return nil, groupRule{}, fail("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
}

type describeRulesRequest struct {
	pageRequest
	SecurityGroupRuleIds []string
	Filters              []filter
}

type describeRulesResponse struct {
	Rules set[ruleItem] `xml:"securityGroupRuleSet"`
	pageResponse
}

var ruleFilters = filters[ruleItem]{
	"group-id":               func(c *call, r *ruleItem) []string { return one(r.Group) },
	"security-group-rule-id": func(c *call, r *ruleItem) []string { return one(r.ID) },
}.tagged(func(c *call, r *ruleItem) []tag { return r.Tags.Items })

func describeSecurityGroupRules(c *call, q *describeRulesRequest) (*describeRulesResponse, error) {
	var rules []*ruleItem
	for _, id := range q.SecurityGroupRuleIds {
		g, r, err := c.rule(id)
		if err != nil {
			return nil, err
		}
		i := c.ruleItem(g, r)
		rules = append(rules, &i)
	}
	if len(q.SecurityGroupRuleIds) == 0 {
		gs, _ := list[group](c, nil)
		for _, g := range gs {
			for _, r := range g.Rules {
				i := c.ruleItem(g, r)
				rules = append(rules, &i)
			}
		}
	}
	rules, next, err := narrow(c, ruleFilters, q.Filters, rules, q.pageRequest)
	if err != nil {
		return nil, err
	}
	out := &describeRulesResponse{pageResponse: next}
	for _, r := range rules {
		out.Rules.Items = append(out.Rules.Items, *r)
	}
	return out, nil
}
