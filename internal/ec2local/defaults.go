package ec2local

import "fmt"

// seedDefaults gives regions what an account finds there: a default VPC with a
// subnet in each zone, a way out, and a default security group.
func (t *txn) seedDefaults(regions ...string) error {
	for _, region := range regions {
		id := fixedID("vpc", "default "+region)
		if get[vpc](t, region, id) != nil {
			continue
		}
		made := func(id string) base { return base{ID: id, Region: region, Created: t.now.UTC()} }
		put(t, &vpc{base: made(id), CIDR: "172.31.0.0/16", Default: true})
		for i, z := range zones(region) {
			put(t, &subnet{
				base: made(fixedID("subnet", "default "+placeIn(z.Name, accountOf(region)))), VPC: id, CIDR: fmt.Sprintf("172.31.%d.0/20", 16*i),
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
