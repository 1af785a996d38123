package ec2local

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// A netInterface is the one network card of an instance; it goes with it.
type netInterface struct {
	base
	Instance    string    `json:"instance"`
	Attachment  string    `json:"attachment"`
	Subnet      string    `json:"subnet"`
	VPC         string    `json:"vpc"`
	Zone        string    `json:"zone"`
	Groups      []string  `json:"groups"`
	Addr        string    `json:"addr"`
	IPv6        bool      `json:"ipv6,omitempty"` // the address is of IPv6; there is no other
	Public      bool      `json:"public"`
	Description string    `json:"description,omitempty"`
	At          time.Time `json:"at"`
	NoCheck     bool      `json:"no_check,omitempty"` // of source and destination
}

func (*netInterface) table() string { return "interface" }
func (*netInterface) refer() (string, string, string) {
	return "eni", "InvalidNetworkInterfaceID", "networkInterface ID"
}

func (e *netInterface) marks() []mark {
	ms := []mark{{"subnet-id", e.Subnet}}
	for _, g := range e.Groups {
		ms = append(ms, mark{"group-id", g})
	}
	return ms
}

func (e *netInterface) mac() string {
	h := sha256.Sum256([]byte(e.ID))
	return fmt.Sprintf("0a:%02x:%02x:%02x:%02x:%02x", h[0], h[1], h[2], h[3], h[4])
}

// ipv4 is the private address, if there is one of IPv4.
func (e *netInterface) ipv4() string {
	if e.IPv6 {
		return ""
	}
	return e.Addr
}

func (e *netInterface) privates(public *publicAddress) (s set[privateAddress]) {
	if !e.IPv6 {
		s.Items = []privateAddress{{e.Addr, e.Addr, true, public}}
	}
	return s
}

type ipv6Address struct {
	Addr    string `xml:"ipv6Address"`
	Primary bool   `xml:"isPrimaryIpv6"`
}

func (e *netInterface) ipv6() (s set[ipv6Address]) {
	if e.IPv6 {
		s.Items = []ipv6Address{{e.Addr, true}}
	}
	return s
}

type groupIdentifier struct {
	ID   string `xml:"groupId"`
	Name string `xml:"groupName"`
}

func (c *call) groupSet(ids []string) set[groupIdentifier] {
	var out set[groupIdentifier]
	for _, id := range ids {
		if g := get[group](c.txn, c.region, id); g != nil {
			out.Items = append(out.Items, groupIdentifier{g.ID, g.Name})
		}
	}
	return out
}

type publicAddress struct {
	Owner string `xml:"ipOwnerId"`
	DNS   string `xml:"publicDnsName"`
	Addr  string `xml:"publicIp"`
}

type privateAddress struct {
	Addr    string         `xml:"privateIpAddress"`
	DNS     string         `xml:"privateDnsName"`
	Primary bool           `xml:"primary"`
	Public  *publicAddress `xml:"association"`
}

type interfaceAttachment struct {
	ID       string `xml:"attachmentId"`
	Instance string `xml:"instanceId"`
	Owner    string `xml:"instanceOwnerId"`
	Index    int    `xml:"deviceIndex"`
	Card     int    `xml:"networkCardIndex"`
	Status   string `xml:"status"`
	At       string `xml:"attachTime"`
	Delete   bool   `xml:"deleteOnTermination"`
}

type interfaceItem struct {
	ID          string               `xml:"networkInterfaceId"`
	Subnet      string               `xml:"subnetId"`
	VPC         string               `xml:"vpcId"`
	Zone        string               `xml:"availabilityZone"`
	Description string               `xml:"description"`
	Owner       string               `xml:"ownerId"`
	Managed     bool                 `xml:"requesterManaged"`
	Status      string               `xml:"status"`
	MAC         string               `xml:"macAddress"`
	Addr        string               `xml:"privateIpAddress,omitempty"`
	DNS         string               `xml:"privateDnsName,omitempty"`
	IPv6        set[ipv6Address]     `xml:"ipv6AddressesSet"`
	Check       bool                 `xml:"sourceDestCheck"`
	Groups      set[groupIdentifier] `xml:"groupSet"`
	Attachment  *interfaceAttachment `xml:"attachment"`
	Public      *publicAddress       `xml:"association"`
	Addrs       set[privateAddress]  `xml:"privateIpAddressesSet"`
	Type        string               `xml:"interfaceType"`
	Tags        set[tag]             `xml:"tagSet"`
}

func (e *netInterface) public() *publicAddress {
	if !e.Public {
		return nil
	}
	return &publicAddress{"amazon", e.Addr, e.Addr}
}

var interfaceFilters = filters[netInterface]{
	"network-interface-id":         func(c *call, e *netInterface) []string { return one(e.ID) },
	"subnet-id":                    func(c *call, e *netInterface) []string { return one(e.Subnet) },
	"vpc-id":                       func(c *call, e *netInterface) []string { return one(e.VPC) },
	"availability-zone":            func(c *call, e *netInterface) []string { return one(e.Zone) },
	"description":                  func(c *call, e *netInterface) []string { return one(e.Description) },
	"group-id":                     func(c *call, e *netInterface) []string { return e.Groups },
	"attachment.instance-id":       func(c *call, e *netInterface) []string { return one(e.Instance) },
	"attachment.status":            func(c *call, e *netInterface) []string { return one("attached") },
	"status":                       func(c *call, e *netInterface) []string { return one("in-use") },
	"private-ip-address":           func(c *call, e *netInterface) []string { return one(e.Addr) },
	"addresses.private-ip-address": func(c *call, e *netInterface) []string { return one(e.Addr) },
	"owner-id":                     func(c *call, e *netInterface) []string { return one(c.account()) },
	"attachment.attachment-id":     func(c *call, e *netInterface) []string { return one(e.Attachment) },
	"addresses.association.public-ip": func(c *call, e *netInterface) []string {
		if !e.Public {
			return nil
		}
		return one(e.Addr)
	},
}.tagged(tagsOf[netInterface]).found("network-interface-id", "subnet-id", "group-id")

type describeInterfacesRequest struct {
	pageRequest
	NetworkInterfaceIds []string
	Filters             []filter
}

type describeInterfacesResponse struct {
	Interfaces set[interfaceItem] `xml:"networkInterfaceSet"`
	pageResponse
}

func describeNetworkInterfaces(c *call, q *describeInterfacesRequest) (*describeInterfacesResponse, error) {
	if err := onePage(q.pageRequest, q.NetworkInterfaceIds, "networkInterfaceIds"); err != nil {
		return nil, err
	}
	es, err := about(c, interfaceFilters, q.NetworkInterfaceIds, q.Filters)
	if err != nil {
		return nil, err
	}
	es, next, err := narrow(c, interfaceFilters, q.Filters, es, q.pageRequest)
	if err != nil {
		return nil, err
	}
	r := &describeInterfacesResponse{pageResponse: next}
	for _, e := range es {
		r.Interfaces.Items = append(r.Interfaces.Items, interfaceItem{
			ID: e.ID, Subnet: e.Subnet, VPC: e.VPC, Zone: e.Zone, Description: e.Description, Owner: c.account(), Status: "in-use",
			MAC: e.mac(), Addr: e.ipv4(), DNS: e.ipv4(), IPv6: e.ipv6(), Check: !e.NoCheck, Groups: c.groupSet(e.Groups),
			Attachment: &interfaceAttachment{e.Attachment, e.Instance, c.account(), 0, 0, "attached", stamp(e.At), true},
			Public:     e.public(), Addrs: e.privates(e.public()), Type: "interface", Tags: c.tagSet(e.ID),
		})
	}
	return r, nil
}
