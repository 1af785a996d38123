package aws

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// capacityPool is what one try of a launch asks for. EC2 has room in one pool when it has none
// in another.
type capacityPool struct {
	Type string
	Spot bool
	Subnet
}

// types are those of which the instance may be, the first one first.
func (m MachineOptions) types(s SpotOptions) []string {
	switch {
	case s.on() && len(s.SpotTypes) > 0:
		return s.SpotTypes
	case len(m.InstanceTypes) > 0:
		return m.InstanceTypes
	}
	return []string{m.InstanceType}
}

// on reports whether a spot instance is asked for.
func (s SpotOptions) on() bool {
	n, err := strconv.ParseFloat(s.Price, 64)
	return s.Price != "" && (err != nil || n != 0)
}

// byPrice reports whether the cheapest pool is tried first.
func (s SpotOptions) byPrice() bool {
	return s.on() && (s.AllocationStrategy == "lowest-price" || s.AllocationStrategy == "price-capacity-optimized")
}

// effective are the options without those that have no effect: an edit of one of these
// is no reason to launch another instance.
func (s SpotOptions) effective() SpotOptions {
	if !s.on() {
		return SpotOptions{}
	}
	return SpotOptions{Price: s.Price, SpotTypes: s.SpotTypes, AllocationStrategy: s.AllocationStrategy, OnDemand: s.OnDemand, SpotTags: s.SpotTags, SpotTag: s.SpotTag}
}

// market asks for a spot instance. It is asked for once, so that nothing of the request
// outlives the instance.
func (s SpotOptions) market() *types.InstanceMarketOptionsRequest {
	o := &types.SpotMarketOptions{SpotInstanceType: types.SpotInstanceTypeOneTime, InstanceInterruptionBehavior: types.InstanceInterruptionBehaviorTerminate}
	if s.Price != "auto" {
		o.MaxPrice = ptr(s.Price)
	}
	return &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot, SpotOptions: o}
}

// pools are what is tried, in this order: spot before on demand, every subnet for a type
// before the next type.
func (s Launch) pools() (all []capacityPool) {
	network := s.Network.Value()
	subnets := network.Subnets
	if len(subnets) == 0 {
		subnets = []Subnet{{Zone: network.Zone}}
	}
	of := func(spot bool) (ps []capacityPool) {
		for _, name := range s.types(s.Spot) {
			for _, n := range subnets {
				ps = append(ps, capacityPool{name, spot, n})
			}
		}
		return ps
	}
	if s.Spot.on() {
		all = of(true)
		if s.Prices.Set() {
			price := s.Prices.Value().price
			slices.SortStableFunc(all, func(a, b capacityPool) int { return cmp.Compare(price(a.Type, a.Zone), price(b.Type, b.Zone)) })
		}
		if !s.Spot.OnDemand {
			return all
		}
	}
	return append(all, of(false)...)
}

// name is what messages call an instance of the pool.
func (p capacityPool) name() string {
	if p.Spot {
		return p.Type + " (spot)"
	}
	return p.Type
}

// where is where it would be, after a space, or "" where that is EC2's choice.
func (p capacityPool) where() string {
	switch {
	case p.ID != "":
		return " in " + p.ID
	case p.Zone != "":
		return " in " + p.Zone
	}
	return ""
}

// ask completes a launch with what is the pool's own. Tags are those of a request for a
// spot instance.
func (s Launch) ask(in *ec2.RunInstancesInput, p capacityPool, groups []string, tags map[string]string) {
	in.InstanceType, in.Placement = types.InstanceType(p.Type), s.placement(p.Zone)
	in.SubnetId, in.SecurityGroupIds, in.NetworkInterfaces = nil, nil, nil
	switch {
	case s.PublicIP != nil && p.ID != "":
		in.NetworkInterfaces = []types.InstanceNetworkInterfaceSpecification{{
			DeviceIndex: ptr(int32(0)), SubnetId: &p.ID, Groups: groups, AssociatePublicIpAddress: s.PublicIP, DeleteOnTermination: ptr(true)}}
	case p.ID != "":
		in.SubnetId, in.SecurityGroupIds = &p.ID, groups
	default:
		in.SecurityGroupIds = groups
	}
	in.CreditSpecification = nil
	if burstable(p.Type) {
		credits := "standard"
		if s.UnlimitedCredits || s.T2Unlimited {
			credits = "unlimited"
		}
		in.CreditSpecification = &types.CreditSpecificationRequest{CpuCredits: &credits}
	}
	ofSpot := func(t types.TagSpecification) bool { return t.ResourceType == types.ResourceTypeSpotInstancesRequest }
	in.TagSpecifications, in.InstanceMarketOptions = slices.DeleteFunc(in.TagSpecifications, ofSpot), nil
	if p.Spot {
		in.InstanceMarketOptions = s.Spot.market()
		in.TagSpecifications = append(in.TagSpecifications, tagged(tags, types.ResourceTypeSpotInstancesRequest)...)
	}
}

// burstable types have CPU credits.
func burstable(instanceType string) bool {
	family, _, _ := strings.Cut(instanceType, ".")
	return slices.Contains([]string{"t2", "t3", "t3a", "t4g"}, family)
}

// either names some of which one will do.
func either(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return list(names[:len(names)-1]) + " or " + names[len(names)-1]
}

// tryOf is the name under which a launch keeps which of its pools it tries.
const tryOf = "pool"

// tried is the pool in which an earlier attempt may have an instance.
func tried(t *dag.Task, pools int) (int, error) {
	var i int
	_, err := t.Load(tryOf, &i)
	return max(0, min(i, pools-1)), err
}
