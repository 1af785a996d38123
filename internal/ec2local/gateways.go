package ec2local

type gateway struct {
	base
	VPC string `json:"vpc"`
}

func (*gateway) table() string { return "gateway" }
func (*gateway) refer() (string, string, string) {
	return "igw", "InvalidInternetGatewayID", "internetGateway ID"
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
	"owner-id":            func(c *call, g *gateway) []string { return one(c.account()) },
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
			g.ID, c.account(), set[gatewayAttachment]{[]gatewayAttachment{{g.VPC, "available"}}}, c.tagSet(g.ID),
		})
	}
	return r, nil
}
