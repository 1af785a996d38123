package ec2local

import "slices"

// regions are those that are enabled in every account.
var regions = []string{
	"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
	"ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3",
	"sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
}

func knownRegion(name string) bool { return slices.Contains(regions, name) }

// zoneLetters are the zones that a region has here.
const zoneLetters = "abc"

type zone struct {
	ID, Region, Name string
}

func zones(region string) []*zone {
	var z []*zone
	for i, l := range zoneLetters {
		z = append(z, &zone{ID: shortRegion(region) + "-az" + string(rune('1'+i)), Region: region, Name: region + string(l)})
	}
	return z
}

// shortRegion is the form in zone ids: use1 for us-east-1.
func shortRegion(region string) string {
	short := map[string]string{
		"northeast": "ne", "southeast": "se", "central": "c", "south": "s", "north": "n", "east": "e", "west": "w",
	}
	area, rest := region[:2], region[3:]
	name, n := rest[:len(rest)-2], rest[len(rest)-1:]
	return area + short[name] + n
}

type describeRegionsRequest struct {
	RegionNames []string
	AllRegions  bool
	Filters     []filter
}

type regionItem struct {
	Name     string `xml:"regionName"`
	Endpoint string `xml:"regionEndpoint"`
	OptIn    string `xml:"optInStatus"`
}

type describeRegionsResponse struct {
	Regions set[regionItem] `xml:"regionInfo"`
}

var regionFilters = filters[regionItem]{
	"region-name":   func(c *call, r *regionItem) []string { return one(r.Name) },
	"endpoint":      func(c *call, r *regionItem) []string { return one(r.Endpoint) },
	"opt-in-status": func(c *call, r *regionItem) []string { return one(r.OptIn) },
}

func describeRegions(c *call, q *describeRegionsRequest) (*describeRegionsResponse, error) {
	var list []*regionItem
	for _, name := range q.RegionNames {
		if !knownRegion(name) {
			return nil, invalid("Invalid region provided: %s", name)
		}
	}
	for _, name := range regions {
		if len(q.RegionNames) == 0 || slices.Contains(q.RegionNames, name) {
			list = append(list, &regionItem{name, "ec2." + name + ".amazonaws.com", "opt-in-not-required"})
		}
	}
	list, err := regionFilters.plain().apply(c, q.Filters, list)
	if err != nil {
		return nil, err
	}
	r := &describeRegionsResponse{}
	for _, x := range list {
		r.Regions.Items = append(r.Regions.Items, *x)
	}
	return r, nil
}

type describeZonesRequest struct {
	ZoneNames, ZoneIds   []string
	AllAvailabilityZones bool
	Filters              []filter
}

type zoneItem struct {
	OptIn  string `xml:"optInStatus"`
	Region string `xml:"regionName"`
	Name   string `xml:"zoneName"`
	ID     string `xml:"zoneId"`
	Group  string `xml:"groupName"`
	Border string `xml:"networkBorderGroup"`
	Type   string `xml:"zoneType"`
	State  string `xml:"zoneState"`
}

type describeZonesResponse struct {
	Zones set[zoneItem] `xml:"availabilityZoneInfo"`
}

var zoneFilters = filters[zone]{
	"zone-name":     func(c *call, z *zone) []string { return one(z.Name) },
	"zone-id":       func(c *call, z *zone) []string { return one(z.ID) },
	"region-name":   func(c *call, z *zone) []string { return one(z.Region) },
	"group-name":    func(c *call, z *zone) []string { return one(z.Region + "-zg-1") },
	"state":         func(c *call, z *zone) []string { return one("available") },
	"zone-type":     func(c *call, z *zone) []string { return one("availability-zone") },
	"opt-in-status": func(c *call, z *zone) []string { return one("opt-in-not-required") },
}

func describeAvailabilityZones(c *call, q *describeZonesRequest) (*describeZonesResponse, error) {
	var list []*zone
	for _, z := range zones(c.region) {
		if len(q.ZoneNames) > 0 && !slices.Contains(q.ZoneNames, z.Name) || len(q.ZoneIds) > 0 && !slices.Contains(q.ZoneIds, z.ID) {
			continue
		}
		list = append(list, z)
	}
	for _, name := range q.ZoneNames {
		if !slices.ContainsFunc(list, func(z *zone) bool { return z.Name == name }) {
			return nil, invalid("Invalid availability zone: [%s]", name)
		}
	}
	for _, id := range q.ZoneIds {
		if !slices.ContainsFunc(list, func(z *zone) bool { return z.ID == id }) {
			return nil, invalid("Invalid availability zone-id: [%s]", id)
		}
	}
	list, err := zoneFilters.plain().apply(c, q.Filters, list)
	if err != nil {
		return nil, err
	}
	r := &describeZonesResponse{}
	for _, z := range list {
		r.Zones.Items = append(r.Zones.Items, zoneItem{
			OptIn: "opt-in-not-required", Region: z.Region, Name: z.Name, ID: z.ID,
			Group: z.Region + "-zg-1", Border: z.Region, Type: "availability-zone", State: "available",
		})
	}
	return r, nil
}

type describeAccountAttributesRequest struct{ AttributeNames []string }

type attributeValue struct {
	Value string `xml:"attributeValue"`
}

type accountAttribute struct {
	Name   string              `xml:"attributeName"`
	Values set[attributeValue] `xml:"attributeValueSet"`
}

type describeAccountAttributesResponse struct {
	Attributes set[accountAttribute] `xml:"accountAttributeSet"`
}

func describeAccountAttributes(c *call, q *describeAccountAttributesRequest) (*describeAccountAttributesResponse, error) {
	values := []struct{ name, value string }{
		{"supported-platforms", "VPC"},
		{"default-vpc", fixedID("vpc", "default "+c.region)},
		{"max-instances", "20"},
		{"vpc-max-security-groups-per-interface", "5"},
		{"max-elastic-ips", "5"},
		{"vpc-max-elastic-ips", "5"},
	}
	r := &describeAccountAttributesResponse{}
	for _, v := range values {
		if len(q.AttributeNames) == 0 || slices.Contains(q.AttributeNames, v.name) {
			r.Attributes.Items = append(r.Attributes.Items, accountAttribute{v.name, set[attributeValue]{[]attributeValue{{v.value}}}})
		}
	}
	return r, nil
}
