package ec2local

import (
	"cmp"
	"net/netip"
	"slices"
)

type subnet struct {
	base
	VPC      string `json:"vpc"`
	CIDR     string `json:"cidr"`
	Zone     string `json:"zone"`
	ZoneID   string `json:"zone_id"`
	Default  bool   `json:"default,omitempty"`
	PublicIP bool   `json:"public_ip,omitempty"`
	IPv6     string `json:"ipv6,omitempty"` // the block of one that has no addresses of IPv4
}

func (*subnet) table() string                   { return "subnet" }
func (*subnet) refer() (string, string, string) { return "subnet", "InvalidSubnetID", "subnet ID" }

type describeSubnetsRequest struct {
	pageRequest
	SubnetIds []string
	Filters   []filter
}

type subnetItem struct {
	ID        string               `xml:"subnetId"`
	ARN       string               `xml:"subnetArn"`
	State     string               `xml:"state"`
	Owner     string               `xml:"ownerId"`
	VPC       string               `xml:"vpcId"`
	CIDR      string               `xml:"cidrBlock,omitempty"`
	Available int                  `xml:"availableIpAddressCount"`
	Zone      string               `xml:"availabilityZone"`
	ZoneID    string               `xml:"availabilityZoneId"`
	Default   bool                 `xml:"defaultForAz"`
	PublicIP  bool                 `xml:"mapPublicIpOnLaunch"`
	IPv6      bool                 `xml:"assignIpv6AddressOnCreation"`
	Native    bool                 `xml:"ipv6Native"`
	IPv6CIDRs set[ipv6Association] `xml:"ipv6CidrBlockAssociationSet"`
	Tags      set[tag]             `xml:"tagSet"`
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
	"ipv6-native":                func(c *call, s *subnet) []string { return yes(s.IPv6 != "") },
	"default-for-az":             func(c *call, s *subnet) []string { return yes(s.Default) },
	"defaultForAz":               func(c *call, s *subnet) []string { return yes(s.Default) },
	"map-public-ip-on-launch":    func(c *call, s *subnet) []string { return yes(s.PublicIP) },
	"owner-id":                   func(c *call, s *subnet) []string { return one(c.account()) },
	"state":                      func(c *call, s *subnet) []string { return one("available") },
	"available-ip-address-count": func(c *call, s *subnet) []string { return number(int64(c.room(s))) },
}.tagged(tagsOf[subnet])

// room is how many addresses of IPv4 are free in a subnet; EC2 keeps five.
func (c *call) room(s *subnet) int {
	p, err := netip.ParsePrefix(s.CIDR)
	if err != nil {
		return 0
	}
	return 1<<(32-p.Bits()) - 5 - len(c.ids("interface", c.region, mark{"subnet-id", s.ID}))
}

func (c *call) subnetItem(s *subnet) subnetItem {
	return subnetItem{
		ID: s.ID, ARN: arn("ec2", s.Region, "subnet/"+s.ID), State: "available", Owner: c.account(),
		VPC: s.VPC, CIDR: s.CIDR, Available: c.room(s), Zone: s.Zone, ZoneID: s.ZoneID, Default: s.Default, PublicIP: s.PublicIP,
		IPv6: s.IPv6 != "", Native: s.IPv6 != "", IPv6CIDRs: ipv6Set("subnet", s.ID, s.IPv6), Tags: c.tagSet(s.ID),
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
	Ipv6CidrBlock                                          string
	Ipv6Native                                             bool
	TagSpecifications                                      []tagSpec
}

// block is what of the VPC the subnet is to have: IPv4, or IPv6 alone.
func (q *createSubnetRequest) block(v *vpc) (netip.Prefix, error) {
	if q.Ipv6Native {
		p, err := netip.ParsePrefix(q.Ipv6CidrBlock)
		switch {
		case q.CidrBlock != "":
			return p, fail("InvalidParameterCombination", "The parameters ipv6Native and cidrBlock cannot be used together.")
		case q.Ipv6CidrBlock == "":
			return p, missing("Ipv6CidrBlock")
		case err != nil || p.Bits() != 64 || v.IPv6 == "" || !netip.MustParsePrefix(v.IPv6).Contains(p.Addr()):
			return p, fail("InvalidSubnet.Range", "The CIDR '%s' is invalid.", q.Ipv6CidrBlock)
		}
		return p.Masked(), nil
	}
	if q.Ipv6CidrBlock != "" {
		return netip.Prefix{}, fail("UnsupportedOperation", "A subnet with both IPv4 and IPv6 is not supported by this endpoint.")
	}
	p, err := cidr(q.CidrBlock)
	if err != nil {
		return p, err
	}
	whole := netip.MustParsePrefix(v.CIDR)
	if p.Bits() < whole.Bits() || p.Bits() > 28 || !whole.Contains(p.Addr()) {
		return p, fail("InvalidSubnet.Range", "The CIDR '%s' is invalid.", q.CidrBlock)
	}
	return p, nil
}

type createSubnetResponse struct {
	Subnet subnetItem `xml:"subnet"`
}

func createSubnet(c *call, q *createSubnetRequest) (*createSubnetResponse, error) {
	v, err := find[vpc](c, q.VpcId)
	if err != nil {
		return nil, err
	}
	p, err := q.block(v)
	if err != nil {
		return nil, err
	}
	for _, s := range all[subnet](c.txn, c.region) {
		if s.VPC == v.ID && netip.MustParsePrefix(cmp.Or(s.CIDR, s.IPv6)).Overlaps(p) {
			return nil, fail("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", cmp.Or(q.CidrBlock, q.Ipv6CidrBlock))
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
	s := &subnet{base: c.newBase(newID("subnet")), VPC: v.ID, Zone: z.Name, ZoneID: z.ID}
	if q.Ipv6Native {
		s.IPv6 = p.String()
	} else {
		s.CIDR = p.String()
	}
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
	ways := slices.ContainsFunc(all[connectEndpoint](c.txn, c.region), func(e *connectEndpoint) bool { return e.Subnet == s.ID })
	if ways || len(c.ids("interface", c.region, mark{"subnet-id", s.ID})) > 0 {
		return nil, inUse("subnet", s.ID)
	}
	drop(c.txn, s)
	return nil, nil
}
