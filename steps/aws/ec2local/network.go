package ec2local

import (
	"fmt"
	"net/netip"
)

type vpc struct {
	base
	CIDR    string `json:"cidr"`
	Default bool   `json:"default,omitempty"`
}

func (*vpc) table() string                   { return "vpc" }
func (*vpc) refer() (string, string, string) { return "vpc", "InvalidVpcID", "vpc ID" }

type subnet struct {
	base
	VPC      string `json:"vpc"`
	CIDR     string `json:"cidr"`
	Zone     string `json:"zone"`
	ZoneID   string `json:"zone_id"`
	Default  bool   `json:"default,omitempty"`
	PublicIP bool   `json:"public_ip,omitempty"`
}

func (*subnet) table() string                   { return "subnet" }
func (*subnet) refer() (string, string, string) { return "subnet", "InvalidSubnetID", "subnet ID" }

type gateway struct {
	base
	VPC string `json:"vpc"`
}

func (*gateway) table() string { return "gateway" }
func (*gateway) refer() (string, string, string) {
	return "igw", "InvalidInternetGatewayID", "internetGateway ID"
}

type routeTable struct {
	base
	VPC     string `json:"vpc"`
	CIDR    string `json:"cidr"`
	Gateway string `json:"gateway,omitempty"`
}

func (*routeTable) table() string { return "route" }
func (*routeTable) refer() (string, string, string) {
	return "rtb", "InvalidRouteTableID", "routeTable ID"
}

// furnish gives every region what an account finds there: a default VPC with a
// subnet in each zone, a way out, and a default security group.
func (t *txn) furnish() error {
	for _, region := range regions {
		id := fixedID("vpc", "default "+region)
		if get[vpc](t, region, id) != nil {
			continue
		}
		made := func(id string) base { return base{ID: id, Region: region, Created: t.now.UTC()} }
		put(t, &vpc{base: made(id), CIDR: "172.31.0.0/16", Default: true})
		for i, z := range zones(region) {
			put(t, &subnet{
				base: made(fixedID("subnet", "default "+z.Name)), VPC: id, CIDR: fmt.Sprintf("172.31.%d.0/20", 16*i),
				Zone: z.Name, ZoneID: z.ID, Default: true, PublicIP: true,
			})
		}
		igw := fixedID("igw", "default "+region)
		put(t, &gateway{base: made(igw), VPC: id})
		put(t, &routeTable{base: made(fixedID("rtb", "default "+region)), VPC: id, CIDR: "172.31.0.0/16", Gateway: igw})
		t.defaultGroup(made(fixedID("sg", "default "+region)), id)
	}
	return nil
}

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

type vpcItem struct {
	ID      string               `xml:"vpcId"`
	Owner   string               `xml:"ownerId"`
	State   string               `xml:"state"`
	CIDR    string               `xml:"cidrBlock"`
	CIDRs   set[cidrAssociation] `xml:"cidrBlockAssociationSet"`
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
	"owner-id":                          func(c *call, v *vpc) []string { return one(account) },
	"state":                             func(c *call, v *vpc) []string { return one("available") },
}.tagged(tagsOf[vpc])

func (c *call) vpcItem(v *vpc) vpcItem {
	return vpcItem{
		ID: v.ID, Owner: account, State: "available", CIDR: v.CIDR,
		CIDRs: set[cidrAssociation]{[]cidrAssociation{{"vpc-cidr-assoc-" + v.ID[4:], v.CIDR, cidrState{"associated"}}}},
		DHCP:  "dopt-" + v.ID[4:], Tags: c.tagSet(v.ID), Tenancy: "default", Default: v.Default,
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

// narrow filters a list and cuts a page of it.
func narrow[T any](c *call, s filterSet[T], asked []filter, list []*T, q pageRequest) ([]*T, pageResponse, error) {
	out, err := s.apply(c, asked, list)
	if err != nil {
		return nil, pageResponse{}, err
	}
	out, next, err := page(out, q, 5, 1000)
	return out, pageResponse{next}, err
}

type createVpcRequest struct {
	CidrBlock         string
	InstanceTenancy   string
	TagSpecifications []tagSpec
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
	v := &vpc{base: c.born(newID("vpc")), CIDR: p.String()}
	put(c.txn, v)
	put(c.txn, &routeTable{base: c.born(newID("rtb")), VPC: v.ID, CIDR: v.CIDR})
	c.defaultGroup(c.born(newID("sg")), v.ID)
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

type describeSubnetsRequest struct {
	pageRequest
	SubnetIds []string
	Filters   []filter
}

type subnetItem struct {
	ID        string   `xml:"subnetId"`
	ARN       string   `xml:"subnetArn"`
	State     string   `xml:"state"`
	Owner     string   `xml:"ownerId"`
	VPC       string   `xml:"vpcId"`
	CIDR      string   `xml:"cidrBlock"`
	Available int      `xml:"availableIpAddressCount"`
	Zone      string   `xml:"availabilityZone"`
	ZoneID    string   `xml:"availabilityZoneId"`
	Default   bool     `xml:"defaultForAz"`
	PublicIP  bool     `xml:"mapPublicIpOnLaunch"`
	IPv6      bool     `xml:"assignIpv6AddressOnCreation"`
	Tags      set[tag] `xml:"tagSet"`
}

type describeSubnetsResponse struct {
	Subnets set[subnetItem] `xml:"subnetSet"`
	pageResponse
}

var subnetFilters = filters[subnet]{
	"subnet-id":                  func(c *call, s *subnet) []string { return one(s.ID) },
	"vpc-id":                     func(c *call, s *subnet) []string { return one(s.VPC) },
	"availability-zone":          func(c *call, s *subnet) []string { return one(s.Zone) },
	"availabilityZone":           func(c *call, s *subnet) []string { return one(s.Zone) },
	"availability-zone-id":       func(c *call, s *subnet) []string { return one(s.ZoneID) },
	"cidr-block":                 func(c *call, s *subnet) []string { return one(s.CIDR) },
	"cidr":                       func(c *call, s *subnet) []string { return one(s.CIDR) },
	"default-for-az":             func(c *call, s *subnet) []string { return yes(s.Default) },
	"defaultForAz":               func(c *call, s *subnet) []string { return yes(s.Default) },
	"map-public-ip-on-launch":    func(c *call, s *subnet) []string { return yes(s.PublicIP) },
	"owner-id":                   func(c *call, s *subnet) []string { return one(account) },
	"state":                      func(c *call, s *subnet) []string { return one("available") },
	"available-ip-address-count": func(c *call, s *subnet) []string { return number(int64(c.room(s))) },
}.tagged(tagsOf[subnet])

// room is how many addresses of a subnet are free; EC2 keeps five.
func (c *call) room(s *subnet) int {
	p, err := netip.ParsePrefix(s.CIDR)
	if err != nil {
		return 0
	}
	n := 1<<(32-p.Bits()) - 5
	for _, e := range all[netInterface](c.txn, c.region) {
		if e.Subnet == s.ID {
			n--
		}
	}
	return n
}

func (c *call) subnetItem(s *subnet) subnetItem {
	return subnetItem{
		ID: s.ID, ARN: arn("ec2", s.Region, "subnet/"+s.ID), State: "available", Owner: account,
		VPC: s.VPC, CIDR: s.CIDR, Available: c.room(s), Zone: s.Zone, ZoneID: s.ZoneID, Default: s.Default, PublicIP: s.PublicIP,
		Tags: c.tagSet(s.ID),
	}
}

func describeSubnets(c *call, q *describeSubnetsRequest) (*describeSubnetsResponse, error) {
	ss, err := list[subnet](c, q.SubnetIds)
	if err != nil {
		return nil, err
	}
	ss, next, err := narrow(c, subnetFilters, q.Filters, ss, q.pageRequest)
	if err != nil {
		return nil, err
	}
	r := &describeSubnetsResponse{pageResponse: next}
	for _, s := range ss {
		r.Subnets.Items = append(r.Subnets.Items, c.subnetItem(s))
	}
	return r, nil
}

type createSubnetRequest struct {
	VpcId, CidrBlock, AvailabilityZone, AvailabilityZoneId string
	TagSpecifications                                      []tagSpec
}

type createSubnetResponse struct {
	Subnet subnetItem `xml:"subnet"`
}

func createSubnet(c *call, q *createSubnetRequest) (*createSubnetResponse, error) {
	v, err := find[vpc](c, q.VpcId)
	if err != nil {
		return nil, err
	}
	p, err := cidr(q.CidrBlock)
	if err != nil {
		return nil, err
	}
	whole := netip.MustParsePrefix(v.CIDR)
	if p.Bits() < whole.Bits() || p.Bits() > 28 || !whole.Contains(p.Addr()) {
		return nil, fail("InvalidSubnet.Range", "The CIDR '%s' is invalid.", q.CidrBlock)
	}
	for _, s := range all[subnet](c.txn, c.region) {
		if s.VPC == v.ID && netip.MustParsePrefix(s.CIDR).Overlaps(p) {
			return nil, fail("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", q.CidrBlock)
		}
	}
	z := zones(c.region)[0]
	for _, other := range zones(c.region) {
		if other.Name == q.AvailabilityZone || other.ID == q.AvailabilityZoneId {
			z = other
		}
	}
	if q.AvailabilityZone != "" && z.Name != q.AvailabilityZone {
		return nil, invalid("Value (%s) for parameter availabilityZone is invalid.", q.AvailabilityZone)
	}
	if q.AvailabilityZoneId != "" && z.ID != q.AvailabilityZoneId {
		return nil, invalid("Value (%s) for parameter availabilityZoneId is invalid.", q.AvailabilityZoneId)
	}
	tags, err := specTags(q.TagSpecifications, "subnet", "subnet")
	if err != nil {
		return nil, err
	}
	s := &subnet{base: c.born(newID("subnet")), VPC: v.ID, CIDR: p.String(), Zone: z.Name, ZoneID: z.ID}
	put(c.txn, s)
	if err := c.setTags(c.region, s.ID, tags); err != nil {
		return nil, err
	}
	return &createSubnetResponse{c.subnetItem(s)}, nil
}

type deleteSubnetRequest struct{ SubnetId string }

func deleteSubnet(c *call, q *deleteSubnetRequest) (*empty, error) {
	s, err := find[subnet](c, q.SubnetId)
	if err != nil {
		return nil, err
	}
	for _, e := range all[netInterface](c.txn, c.region) {
		if e.Subnet == s.ID {
			return nil, inUse("subnet", s.ID)
		}
	}
	drop(c.txn, s)
	return nil, nil
}

type describeGatewaysRequest struct {
	pageRequest
	InternetGatewayIds []string
	Filters            []filter
}

type gatewayAttachment struct {
	VPC   string `xml:"vpcId"`
	State string `xml:"state"`
}

type gatewayItem struct {
	ID          string                 `xml:"internetGatewayId"`
	Owner       string                 `xml:"ownerId"`
	Attachments set[gatewayAttachment] `xml:"attachmentSet"`
	Tags        set[tag]               `xml:"tagSet"`
}

type describeGatewaysResponse struct {
	Gateways set[gatewayItem] `xml:"internetGatewaySet"`
	pageResponse
}

var gatewayFilters = filters[gateway]{
	"internet-gateway-id": func(c *call, g *gateway) []string { return one(g.ID) },
	"attachment.vpc-id":   func(c *call, g *gateway) []string { return one(g.VPC) },
	"attachment.state":    func(c *call, g *gateway) []string { return one("available") },
	"owner-id":            func(c *call, g *gateway) []string { return one(account) },
}.tagged(tagsOf[gateway])

func describeInternetGateways(c *call, q *describeGatewaysRequest) (*describeGatewaysResponse, error) {
	gs, err := list[gateway](c, q.InternetGatewayIds)
	if err != nil {
		return nil, err
	}
	gs, next, err := narrow(c, gatewayFilters, q.Filters, gs, q.pageRequest)
	if err != nil {
		return nil, err
	}
	r := &describeGatewaysResponse{pageResponse: next}
	for _, g := range gs {
		r.Gateways.Items = append(r.Gateways.Items, gatewayItem{
			g.ID, account, set[gatewayAttachment]{[]gatewayAttachment{{g.VPC, "available"}}}, c.tagSet(g.ID),
		})
	}
	return r, nil
}

type describeRouteTablesRequest struct {
	pageRequest
	RouteTableIds []string
	Filters       []filter
}

type routeItem struct {
	CIDR    string `xml:"destinationCidrBlock"`
	Gateway string `xml:"gatewayId"`
	State   string `xml:"state"`
	Origin  string `xml:"origin"`
}

type routeAssociation struct {
	ID    string    `xml:"routeTableAssociationId"`
	Table string    `xml:"routeTableId"`
	Main  bool      `xml:"main"`
	State cidrState `xml:"associationState"`
}

type routeTableItem struct {
	ID           string                `xml:"routeTableId"`
	VPC          string                `xml:"vpcId"`
	Owner        string                `xml:"ownerId"`
	Routes       set[routeItem]        `xml:"routeSet"`
	Associations set[routeAssociation] `xml:"associationSet"`
	Tags         set[tag]              `xml:"tagSet"`
}

type describeRouteTablesResponse struct {
	Tables set[routeTableItem] `xml:"routeTableSet"`
	pageResponse
}

var routeTableFilters = filters[routeTable]{
	"route-table-id":   func(c *call, r *routeTable) []string { return one(r.ID) },
	"vpc-id":           func(c *call, r *routeTable) []string { return one(r.VPC) },
	"owner-id":         func(c *call, r *routeTable) []string { return one(account) },
	"route.gateway-id": func(c *call, r *routeTable) []string { return append(one(r.Gateway), "local") },
	"association.main": func(c *call, r *routeTable) []string { return yes(true) },
}.tagged(tagsOf[routeTable])

func describeRouteTables(c *call, q *describeRouteTablesRequest) (*describeRouteTablesResponse, error) {
	ts, err := list[routeTable](c, q.RouteTableIds)
	if err != nil {
		return nil, err
	}
	ts, next, err := narrow(c, routeTableFilters, q.Filters, ts, q.pageRequest)
	if err != nil {
		return nil, err
	}
	r := &describeRouteTablesResponse{pageResponse: next}
	for _, t := range ts {
		routes := []routeItem{{t.CIDR, "local", "active", "CreateRouteTable"}}
		if t.Gateway != "" {
			routes = append(routes, routeItem{"0.0.0.0/0", t.Gateway, "active", "CreateRoute"})
		}
		r.Tables.Items = append(r.Tables.Items, routeTableItem{
			t.ID, t.VPC, account, set[routeItem]{routes},
			set[routeAssociation]{[]routeAssociation{{"rtbassoc-" + t.ID[4:], t.ID, true, cidrState{"associated"}}}}, c.tagSet(t.ID),
		})
	}
	return r, nil
}
