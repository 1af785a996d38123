package ec2local

import (
	"net/netip"
	"strings"
)

type vpc struct {
	base
	CIDR    string `json:"cidr"`
	Default bool   `json:"default,omitempty"`
	IPv6    string `json:"ipv6,omitempty"` // its block of IPv6, if it has one
}

func (*vpc) table() string                   { return "vpc" }
func (*vpc) refer() (string, string, string) { return "vpc", "InvalidVpcID", "vpc ID" }

func (t *txn) defaultVPC(region string) *vpc {
	for _, v := range all[vpc](t, region) {
		if v.Default {
			return v
		}
	}
	return nil
}

type describeVpcsRequest struct {
	pageRequest
	VpcIds  []string
	Filters []filter
}

type cidrState struct {
	State string `xml:"state"`
}

type cidrAssociation struct {
	ID    string    `xml:"associationId"`
	CIDR  string    `xml:"cidrBlock"`
	State cidrState `xml:"cidrBlockState"`
}

type ipv6Association struct {
	ID    string    `xml:"associationId"`
	CIDR  string    `xml:"ipv6CidrBlock"`
	State cidrState `xml:"ipv6CidrBlockState"`
}

// ipv6Set is a block of IPv6 as describing shows it.
func ipv6Set(kind, id, cidr string) (s set[ipv6Association]) {
	if cidr != "" {
		s.Items = []ipv6Association{{kind + "-cidr-assoc-" + strings.TrimPrefix(id, kind+"-"), cidr, cidrState{"associated"}}}
	}
	return s
}

type vpcItem struct {
	ID      string               `xml:"vpcId"`
	Owner   string               `xml:"ownerId"`
	State   string               `xml:"state"`
	CIDR    string               `xml:"cidrBlock"`
	CIDRs   set[cidrAssociation] `xml:"cidrBlockAssociationSet"`
	IPv6    set[ipv6Association] `xml:"ipv6CidrBlockAssociationSet"`
	DHCP    string               `xml:"dhcpOptionsId"`
	Tags    set[tag]             `xml:"tagSet"`
	Tenancy string               `xml:"instanceTenancy"`
	Default bool                 `xml:"isDefault"`
}

type describeVpcsResponse struct {
	Vpcs set[vpcItem] `xml:"vpcSet"`
	pageResponse
}

var vpcFilters = filters[vpc]{
	"vpc-id":                            func(c *call, v *vpc) []string { return one(v.ID) },
	"cidr":                              func(c *call, v *vpc) []string { return one(v.CIDR) },
	"cidr-block-association.cidr-block": func(c *call, v *vpc) []string { return one(v.CIDR) },
	"is-default":                        func(c *call, v *vpc) []string { return yes(v.Default) },
	"isDefault":                         func(c *call, v *vpc) []string { return yes(v.Default) },
	"owner-id":                          func(c *call, v *vpc) []string { return one(c.account()) },
	"state":                             func(c *call, v *vpc) []string { return one("available") },
}.tagged(tagsOf[vpc])

func (c *call) vpcItem(v *vpc) vpcItem {
	return vpcItem{
		ID: v.ID, Owner: c.account(), State: "available", CIDR: v.CIDR,
		CIDRs: set[cidrAssociation]{[]cidrAssociation{{"vpc-cidr-assoc-" + v.ID[4:], v.CIDR, cidrState{"associated"}}}},
		IPv6:  ipv6Set("vpc", v.ID, v.IPv6), DHCP: "dopt-" + v.ID[4:], Tags: c.tagSet(v.ID), Tenancy: "default", Default: v.Default,
	}
}

func describeVpcs(c *call, q *describeVpcsRequest) (*describeVpcsResponse, error) {
	vs, err := list[vpc](c, q.VpcIds)
	if err != nil {
		return nil, err
	}
	raw, next, err := narrow(c, vpcFilters, q.Filters, vs, q.pageRequest)
	if err != nil {
		return nil, err
	}
	r := &describeVpcsResponse{pageResponse: next}
	for _, v := range raw {
		r.Vpcs.Items = append(r.Vpcs.Items, c.vpcItem(v))
	}
	return r, nil
}

type createVpcRequest struct {
	CidrBlock         string
	InstanceTenancy   string
	TagSpecifications []tagSpec

	AmazonProvidedIpv6CidrBlock bool
}

type createVpcResponse struct {
	Vpc vpcItem `xml:"vpc"`
}

func createVpc(c *call, q *createVpcRequest) (*createVpcResponse, error) {
	p, err := cidr(q.CidrBlock)
	if err != nil {
		return nil, err
	}
	if p.Bits() < 16 || p.Bits() > 28 {
		return nil, fail("InvalidVpc.Range", "The CIDR '%s' is invalid.", q.CidrBlock)
	}
	tags, err := specTags(q.TagSpecifications, "vpc", "vpc")
	if err != nil {
		return nil, err
	}
	v := &vpc{base: c.newBase(newID("vpc")), CIDR: p.String()}
	if q.AmazonProvidedIpv6CidrBlock {
		x := strings.TrimPrefix(v.ID, "vpc-0")
		v.IPv6 = netip.MustParsePrefix("2600:1f18:" + x[:4] + ":" + x[4:6] + "00::/56").String()
	}
	put(c.txn, v)
	put(c.txn, &routeTable{base: c.newBase(newID("rtb")), VPC: v.ID, CIDR: v.CIDR})
	c.defaultGroup(c.newBase(newID("sg")), v.ID)
	if err := c.setTags(c.region, v.ID, tags); err != nil {
		return nil, err
	}
	return &createVpcResponse{c.vpcItem(v)}, nil
}

func cidr(text string) (netip.Prefix, error) {
	if text == "" {
		return netip.Prefix{}, missing("CidrBlock")
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || !p.Addr().Is4() {
		return netip.Prefix{}, invalid("Value (%s) for parameter cidrBlock is invalid. This is not a valid CIDR block.", text)
	}
	return p.Masked(), nil
}

type deleteVpcRequest struct{ VpcId string }

func deleteVpc(c *call, q *deleteVpcRequest) (*empty, error) {
	v, err := find[vpc](c, q.VpcId)
	if err != nil {
		return nil, err
	}
	for _, s := range all[subnet](c.txn, c.region) {
		if s.VPC == v.ID {
			return nil, inUse("vpc", v.ID)
		}
	}
	for _, g := range all[gateway](c.txn, c.region) {
		if g.VPC == v.ID {
			return nil, inUse("vpc", v.ID)
		}
	}
	for _, g := range all[group](c.txn, c.region) {
		if g.VPC == v.ID && g.Name != "default" {
			return nil, inUse("vpc", v.ID)
		}
	}
	for _, g := range all[group](c.txn, c.region) {
		if g.VPC == v.ID {
			drop(c.txn, g)
		}
	}
	for _, r := range all[routeTable](c.txn, c.region) {
		if r.VPC == v.ID {
			drop(c.txn, r)
		}
	}
	drop(c.txn, v)
	return nil, nil
}

func inUse(noun, id string) error {
	return fail("DependencyViolation", "The %s '%s' has dependencies and cannot be deleted.", noun, id)
}
