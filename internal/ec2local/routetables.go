package ec2local

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
	"owner-id":         func(c *call, r *routeTable) []string { return one(c.account()) },
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
			t.ID, t.VPC, c.account(), set[routeItem]{routes},
			set[routeAssociation]{[]routeAssociation{{"rtbassoc-" + t.ID[4:], t.ID, true, cidrState{"associated"}}}}, c.tagSet(t.ID),
		})
	}
	return r, nil
}
