package ec2local

import (
	"slices"
	"strings"
)

// A partition is a part of AWS with accounts and names of its own.
type partition struct {
	name, suffix string   // of ARNs, of host names
	regions      []string // that are enabled in every account
	optIn        []string // that an account has to enable; here it has
}

// partitions are those of botocore 1.43.11 (partitions.json); which regions need
// to be enabled is told by the AWS documentation on regions.
var partitions = []partition{
	{"aws", "amazonaws.com", []string{
		"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
		"ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3",
		"sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
	}, []string{
		"af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
		"ap-southeast-6", "ap-southeast-7", "ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2", "il-central-1",
		"me-central-1", "me-south-1", "mx-central-1",
	}},
	{"aws-cn", "amazonaws.com.cn", []string{"cn-north-1", "cn-northwest-1"}, nil},
	{"aws-us-gov", "amazonaws.com", []string{"us-gov-east-1", "us-gov-west-1"}, nil},
	{"aws-eusc", "amazonaws.eu", []string{"eusc-de-east-1"}, nil},
	{"aws-iso", "c2s.ic.gov", []string{"us-iso-east-1", "us-iso-west-1"}, nil},
	{"aws-iso-b", "sc2s.sgov.gov", []string{"us-isob-east-1", "us-isob-west-1"}, nil},
	{"aws-iso-e", "cloud.adc-e.uk", []string{"eu-isoe-west-1"}, nil},
	{"aws-iso-f", "csp.hci.ic.gov", []string{"us-isof-east-1", "us-isof-south-1"}, nil},
}

func (p *partition) has(region string) bool {
	return slices.Contains(p.regions, region) || slices.Contains(p.optIn, region)
}

// all are the regions in the order of their names.
func (p *partition) all() []string {
	list := slices.Concat(p.regions, p.optIn)
	slices.Sort(list)
	return list
}

// partitionOf is the partition of a region; nil of one that there is not.
func partitionOf(region string) *partition {
	for n := range partitions {
		if partitions[n].has(regionOf(region)) {
			return &partitions[n]
		}
	}
	return nil
}

// regions are those of all partitions.
var regions = func() (list []string) {
	for _, p := range partitions {
		list = append(list, p.all()...)
	}
	return list
}()

// knownRegion tells whether there is such a place.
func knownRegion(name string) bool {
	return partitionOf(name) != nil && accountID.MatchString(accountOf(name)) && name == placeIn(regionOf(name), accountOf(name))
}

// arn is the name of something of a region.
func arn(service, region, rest string) string {
	return "arn:" + partitionOf(region).name + ":" + service + ":" + regionOf(region) + ":" + accountOf(region) + ":" + rest
}

// globalARN is the name of something of a whole partition, the home of a call.
func globalARN(partition, service, rest string) string {
	return "arn:" + regionOf(partition) + ":" + service + "::" + accountOf(partition) + ":" + rest
}

// zoneLetters are the zones that a region has here.
const zoneLetters = "abc"

type zone struct {
	ID, Region, Name string
}

func zones(region string) []*zone {
	region = regionOf(region)
	var z []*zone
	for i, l := range zoneLetters {
		z = append(z, &zone{ID: shortRegion(region) + "-az" + string(rune('1'+i)), Region: region, Name: region + string(l)})
	}
	return z
}

// shortRegion is the form in zone ids: use1 for us-east-1, usgw1 for
// us-gov-west-1.
func shortRegion(region string) string {
	short := map[string]string{
		"northeast": "ne", "northwest": "nw", "southeast": "se", "central": "c", "south": "s", "north": "n", "east": "e", "west": "w",
		"gov": "g", "iso": "i", "isob": "ib", "isoe": "ie", "isof": "if",
	}
	words := strings.Split(region, "-")
	for i, w := range words {
		if s, ok := short[w]; ok {
			words[i] = s
		}
	}
	return strings.Join(words, "")
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
	p := partitionOf(c.region)
	for _, name := range q.RegionNames {
		if !p.has(name) {
			return nil, invalid("Invalid region provided: %s", name)
		}
	}
	for _, name := range p.all() {
		if len(q.RegionNames) == 0 || slices.Contains(q.RegionNames, name) {
			list = append(list, &regionItem{name, "ec2." + name + "." + p.suffix, p.optInStatus(name)})
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

func (p *partition) optInStatus(region string) string {
	if slices.Contains(p.optIn, region) {
		return "opted-in"
	}
	return "opt-in-not-required"
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
