package ec2local

import "strings"

// A connectEndpoint is an EC2 Instance Connect Endpoint: a way to the instances of a VPC that
// have no public address.
type connectEndpoint struct {
	base
	Subnet   string   `json:"subnet"`
	VPC      string   `json:"vpc"`
	Zone     string   `json:"zone"`
	ZoneID   string   `json:"zone_id"`
	Groups   []string `json:"groups"`
	Preserve bool     `json:"preserve,omitempty"` // instances see the client's address
}

func (*connectEndpoint) table() string { return "eice" }
func (*connectEndpoint) refer() (string, string, string) {
	return "eice", "InvalidInstanceConnectEndpointId", "instance connect endpoint ID"
}

type connectEndpointItem struct {
	Owner    string      `xml:"ownerId"`
	ID       string      `xml:"instanceConnectEndpointId"`
	ARN      string      `xml:"instanceConnectEndpointArn"`
	State    string      `xml:"state"`
	DNS      string      `xml:"dnsName"`
	FIPS     string      `xml:"fipsDnsName"`
	VPC      string      `xml:"vpcId"`
	Zone     string      `xml:"availabilityZone"`
	ZoneID   string      `xml:"availabilityZoneId"`
	At       string      `xml:"createdAt"`
	Subnet   string      `xml:"subnetId"`
	Preserve bool        `xml:"preserveClientIp"`
	Groups   set[string] `xml:"securityGroupIdSet"`
	Tags     set[tag]    `xml:"tagSet"`
	Type     string      `xml:"ipAddressType"`
}

type connectEndpointResponse struct {
	Endpoint connectEndpointItem `xml:"instanceConnectEndpoint"`
	Token    string              `xml:"clientToken,omitempty"`
}

func (c *call) connectEndpointItem(e *connectEndpoint, state string) connectEndpointItem {
	at := strings.TrimPrefix(e.VPC, "vpc-")[:8] + "."
	below := "ec2-instance-connect-endpoint." + regionOf(e.Region) + ".amazonaws.com"
	return connectEndpointItem{
		Owner: c.account(), ID: e.ID, ARN: arn("ec2", e.Region, "instance-connect-endpoint/"+e.ID), State: state,
		DNS: e.ID + "." + at + below, FIPS: e.ID + "." + at + "fips." + below, VPC: e.VPC, Zone: e.Zone, ZoneID: e.ZoneID,
		At: stamp(e.Created), Subnet: e.Subnet, Preserve: e.Preserve, Groups: set[string]{e.Groups}, Tags: c.tagSet(e.ID), Type: "ipv4",
	}
}

type createConnectEndpointRequest struct {
	SubnetId, ClientToken, IpAddressType string
	SecurityGroupIds                     []string
	PreserveClientIp                     bool
	TagSpecifications                    []tagSpec
}

func createConnectEndpoint(c *call, q *createConnectEndpointRequest) (*connectEndpointResponse, error) {
	if ids, err := c.replay(q.ClientToken); err != nil {
		return nil, err
	} else if ids != nil {
		e, err := find[connectEndpoint](c, ids[0])
		if err != nil {
			return nil, err
		}
		return &connectEndpointResponse{c.connectEndpointItem(e, "create-complete"), q.ClientToken}, nil
	}
	s, err := find[subnet](c, q.SubnetId)
	if err != nil {
		return nil, err
	}
	if q.IpAddressType != "" && q.IpAddressType != "ipv4" {
		return nil, fail("UnsupportedOperation", "The IP address type %s is not supported by this endpoint.", q.IpAddressType)
	}
	if s.IPv6 != "" {
		return nil, fail("UnsupportedOperation", "An instance connect endpoint with addresses of IPv6 is not supported by this endpoint.")
	}
	for _, e := range all[connectEndpoint](c.txn, c.region) {
		if e.VPC == s.VPC {
			return nil, fail("ResourceLimitExceeded", "The maximum number of instance connect endpoints of the VPC %s, 1, is reached.", s.VPC)
		}
	}
	groups := q.SecurityGroupIds
	if len(groups) == 0 {
		g, err := c.groupNamed(s.VPC, "default")
		if err != nil {
			return nil, err
		}
		groups = []string{g.ID}
	}
	for _, id := range groups {
		g, err := c.findGroup(id)
		if err != nil {
			return nil, err
		}
		if g.VPC != s.VPC {
			return nil, invalid("The security group '%s' is not of the VPC %s.", id, s.VPC)
		}
	}
	tags, err := specTags(q.TagSpecifications, "instance-connect-endpoint", "instance-connect-endpoint")
	if err != nil {
		return nil, err
	}
	e := &connectEndpoint{base: c.newBase(newID("eice")), Subnet: s.ID, VPC: s.VPC, Zone: s.Zone, ZoneID: s.ZoneID, Groups: groups, Preserve: q.PreserveClientIp}
	put(c.txn, e)
	if err := c.setTags(c.region, e.ID, tags); err != nil {
		return nil, err
	}
	c.remember(q.ClientToken, []string{e.ID})
	return &connectEndpointResponse{c.connectEndpointItem(e, "create-complete"), q.ClientToken}, nil
}

// sowConnectEndpoint has the default VPC have an endpoint.
func (c *call) sowConnectEndpoint() error {
	v := c.defaultVPC(c.region)
	if v == nil {
		return nil
	}
	for _, e := range all[connectEndpoint](c.txn, c.region) {
		if e.VPC == v.ID {
			return nil
		}
	}
	_, err := createConnectEndpoint(c, &createConnectEndpointRequest{SubnetId: fixedID("subnet", "default "+placeIn(zones(c.region)[0].Name, accountOf(c.region)))})
	return err
}

type deleteConnectEndpointRequest struct{ InstanceConnectEndpointId string }

func deleteConnectEndpoint(c *call, q *deleteConnectEndpointRequest) (*connectEndpointResponse, error) {
	e, err := find[connectEndpoint](c, q.InstanceConnectEndpointId)
	if err != nil {
		return nil, err
	}
	r := &connectEndpointResponse{Endpoint: c.connectEndpointItem(e, "delete-in-progress")}
	drop(c.txn, e)
	id := e.ID
	c.after = append(c.after, func() { c.s.openTunnels.cut(id) })
	return r, nil
}

type describeConnectEndpointsRequest struct {
	pageRequest
	InstanceConnectEndpointIds []string
	Filters                    []filter
}

type describeConnectEndpointsResponse struct {
	Endpoints set[connectEndpointItem] `xml:"instanceConnectEndpointSet"`
	pageResponse
}

var connectEndpointFilters = filters[connectEndpoint]{
	"instance-connect-endpoint-id": func(c *call, e *connectEndpoint) []string { return one(e.ID) },
	"state":                        func(c *call, e *connectEndpoint) []string { return one("create-complete") },
	"subnet-id":                    func(c *call, e *connectEndpoint) []string { return one(e.Subnet) },
	"vpc-id":                       func(c *call, e *connectEndpoint) []string { return one(e.VPC) },
}.tagged(tagsOf[connectEndpoint])

func describeConnectEndpoints(c *call, q *describeConnectEndpointsRequest) (*describeConnectEndpointsResponse, error) {
	es, err := list[connectEndpoint](c, q.InstanceConnectEndpointIds)
	if err != nil {
		return nil, err
	}
	if es, err = connectEndpointFilters.apply(c, q.Filters, es); err != nil {
		return nil, err
	}
	es, next, err := page(es, q.pageRequest, 1, 50)
	if err != nil {
		return nil, err
	}
	r := &describeConnectEndpointsResponse{pageResponse: pageResponse{next}}
	for _, e := range es {
		r.Endpoints.Items = append(r.Endpoints.Items, c.connectEndpointItem(e, "create-complete"))
	}
	return r, nil
}
