package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// FindNetwork decides where the instance stands.
type FindNetwork struct {
	Place
	NetworkOptions
	InstanceType  string   `json:"instance_type,omitempty"`  // that the subnet's zone has to offer
	InstanceTypes []string `json:"instance_types,omitempty"` // or several, of which it has to offer one
	GroupIDs      []string `json:"group_ids,omitempty"`      // existing security groups that the launch will name
	KeyName       string   `json:"key_name,omitempty"`       // an existing key pair that it will name

	Access dag.Out[CheckedAccess] `json:"granted" key:"-"` // what only has to come first
}

// Network is where an instance may stand. All empty, it is EC2's own choice: a
// default subnet of the default VPC.
type Network struct {
	VPC     string   `json:"vpc,omitempty"`
	Zone    string   `json:"zone,omitempty"`    // asked for without a subnet
	Subnets []Subnet `json:"subnets,omitempty"` // to be tried in this order
	Groups  []string `json:"groups,omitempty"`  // existing security groups that a filter found
}

// Subnet is one place in a network.
type Subnet struct {
	ID      string `json:"id"`
	Zone    string `json:"zone,omitempty"`
	Private bool   `json:"private,omitempty"` // it gives no public addresses by itself
	IPv6    bool   `json:"ipv6,omitempty"`    // and none of IPv4 at all
}

// private reports whether an instance may get no public address there.
func (n Network) private() bool {
	return slices.ContainsFunc(n.Subnets, func(s Subnet) bool { return s.Private })
}

// ipv6 reports whether an instance may have an address of IPv6 alone.
func (n Network) ipv6() bool {
	return slices.ContainsFunc(n.Subnets, func(s Subnet) bool { return s.IPv6 })
}

// of has the types in the network's settings. One stands where it has always stood: the
// key of a network that an earlier version has found stays the same.
func (s FindNetwork) of(types []string) FindNetwork {
	if len(types) == 1 {
		s.InstanceType = types[0]
	} else {
		s.InstanceTypes = types
	}
	return s
}

func (s FindNetwork) offered() []string {
	if s.InstanceType != "" {
		return []string{s.InstanceType}
	}
	return s.InstanceTypes
}

func (FindNetwork) Kind() string  { return "aws.network" }
func (FindNetwork) Common()       {}
func (FindNetwork) Title() string { return "find the network" }

// Do makes no call when the template leaves the network to EC2 and names nothing
// of its own that has to exist.
func (s FindNetwork) Do(ctx context.Context, c *Cloud, t *dag.Task) (Network, error) {
	at, err := c.at(ctx, s.Place)
	if err != nil {
		return Network{}, err
	}
	n := Network{VPC: s.VPC, Zone: s.AvailabilityZone}
	ofDefault := false
	if n.VPC == "" && !s.VPCFilter.empty() {
		v, err := s.vpc(ctx, at, append(filters(s.VPCFilter), filter("state", "available"))...)
		if err != nil {
			return n, err
		}
		n.VPC, ofDefault = text(v.VpcId), v.IsDefault != nil && *v.IsDefault
	}
	switch {
	case s.Subnet != "":
		err = s.subnet(ctx, at, &n)
	case !s.SubnetFilter.empty() || s.SubnetFilter.MostFree || s.SubnetFilter.Random:
		err = s.choose(ctx, at, &n)
	case n.VPC != "" && !ofDefault:
		err = s.needDefault(ctx, at, n.VPC)
	}
	if err == nil && s.PublicIP != nil && len(n.Subnets) == 0 {
		err = s.defaultSubnets(ctx, at, &n)
	}
	if err == nil && !s.GroupFilter.empty() {
		err = s.groups(ctx, at, &n)
	}
	if err == nil {
		err = s.named(ctx, at)
	}
	if err != nil {
		return Network{}, err
	}
	if len(n.Subnets) > 0 {
		t.Say("using %s (%s)", n.Subnets[0].ID, n.Subnets[0].Zone)
	}
	return n, nil
}

// vpc is the one VPC that the filters hit.
func (s FindNetwork) vpc(ctx context.Context, at *site, fs ...types.Filter) (types.Vpc, error) {
	out, err := at.api.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: fs})
	if err != nil {
		return types.Vpc{}, wrapAPI("find the VPC", "DescribeVpcs", old, err)
	}
	if len(out.Vpcs) != 1 {
		return types.Vpc{}, fmt.Errorf("cannot choose the VPC: vpc_filter must hit exactly one, and hits %d", len(out.Vpcs))
	}
	return out.Vpcs[0], nil
}

// needDefault refuses a VPC in which EC2 would have no default subnet.
func (s FindNetwork) needDefault(ctx context.Context, at *site, id string) error {
	out, err := at.api.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{id}})
	if err != nil {
		return wrapAPI("find the VPC "+id, "DescribeVpcs", old, err)
	}
	for _, v := range out.Vpcs {
		if v.IsDefault != nil && *v.IsDefault {
			return nil
		}
	}
	return fmt.Errorf("cannot launch in %s: it is not the default VPC, so subnet_id or subnet_filter must say in which subnet", id)
}

func (s FindNetwork) subnet(ctx context.Context, at *site, n *Network) error {
	out, err := at.api.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{s.Subnet}})
	if err != nil {
		return wrapAPI("find the subnet "+s.Subnet, "DescribeSubnets", old, err)
	}
	if len(out.Subnets) == 0 {
		return fmt.Errorf("cannot find the subnet %s in %s", s.Subnet, s.Region)
	}
	return n.take(out.Subnets[:1])
}

// take puts the subnets, all of one VPC, into the network.
func (n *Network) take(subnets []types.Subnet) error {
	for _, s := range subnets {
		if n.VPC != "" && n.VPC != text(s.VpcId) {
			return fmt.Errorf("cannot use the subnet %s: it is in %s, not in %s", text(s.SubnetId), text(s.VpcId), n.VPC)
		}
		if n.Zone != "" && n.Zone != text(s.AvailabilityZone) {
			return fmt.Errorf("cannot use the subnet %s: it is in %s, not in %s", text(s.SubnetId), text(s.AvailabilityZone), n.Zone)
		}
		n.VPC = text(s.VpcId)
		n.Subnets = append(n.Subnets, Subnet{text(s.SubnetId), text(s.AvailabilityZone), s.MapPublicIpOnLaunch == nil || !*s.MapPublicIpOnLaunch, s.Ipv6Native != nil && *s.Ipv6Native})
	}
	return nil
}

// choose puts the subnets of the filter in order: the first is taken, and where
// the template does not care which, the others are tried when it is full.
func (s FindNetwork) choose(ctx context.Context, at *site, n *Network) error {
	fs := append(filters(s.SubnetFilter.Filter), filter("state", "available"))
	if n.VPC != "" {
		fs = append(fs, filter("vpc-id", n.VPC))
	}
	if n.Zone != "" {
		fs = append(fs, filter("availability-zone", n.Zone))
	}
	found, err := at.subnets(ctx, fs...)
	if err != nil {
		return err
	}
	switch {
	case len(found) == 0:
		return errors.New("cannot choose the subnet: subnet_filter hits none")
	case s.SubnetFilter.MostFree:
	case s.SubnetFilter.Random:
		rand.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	case len(found) > 1:
		var ids []string
		for _, f := range found {
			ids = append(ids, text(f.SubnetId))
		}
		return fmt.Errorf("cannot choose the subnet: subnet_filter hits %d: %s; narrow it, or set random or most_free", len(found), list(ids))
	}
	vpc := text(found[0].VpcId) // a security group is of one VPC
	found = slices.DeleteFunc(found, func(f types.Subnet) bool { return text(f.VpcId) != vpc })
	return n.take(found)
}

// subnets are those that the filters hit, the one with most free addresses first.
func (s *site) subnets(ctx context.Context, fs ...types.Filter) ([]types.Subnet, error) {
	out, err := s.api.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: fs})
	if err != nil {
		return nil, wrapAPI("find the subnet", "DescribeSubnets", old, err)
	}
	free := func(f types.Subnet) int32 {
		if f.AvailableIpAddressCount == nil {
			return 0
		}
		return *f.AvailableIpAddressCount
	}
	slices.SortStableFunc(out.Subnets, func(a, b types.Subnet) int {
		return cmp.Or(cmp.Compare(free(b), free(a)), cmp.Compare(text(a.SubnetId), text(b.SubnetId)))
	})
	return out.Subnets, nil
}

// defaultSubnets are those of the default VPC whose zone offers the type: a
// public address can be switched only where the subnet is named.
func (s FindNetwork) defaultSubnets(ctx context.Context, at *site, n *Network) error {
	if n.VPC == "" {
		out, err := at.api.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: []types.Filter{filter("is-default", "true")}})
		if err != nil {
			return wrapAPI("find the default VPC", "DescribeVpcs", old, err)
		}
		if len(out.Vpcs) == 0 {
			return errors.New("cannot use associate_public_ip_address: there is no default VPC, so set subnet_id")
		}
		n.VPC = text(out.Vpcs[0].VpcId)
	}
	offers, err := at.api.DescribeInstanceTypeOfferings(ctx, &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: types.LocationTypeAvailabilityZone, Filters: []types.Filter{filter("instance-type", s.offered()...)}})
	if err != nil {
		return wrapAPI("find the zones that offer "+either(s.offered()), "DescribeInstanceTypeOfferings", old, err)
	}
	zones := map[string]bool{}
	for _, o := range offers.InstanceTypeOfferings {
		zones[text(o.Location)] = true
	}
	fs := []types.Filter{filter("vpc-id", n.VPC), filter("default-for-az", "true"), filter("state", "available")}
	if n.Zone != "" {
		fs = append(fs, filter("availability-zone", n.Zone))
	}
	found, err := at.subnets(ctx, fs...)
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(f types.Subnet) bool { return !zones[text(f.AvailabilityZone)] })
	if len(found) == 0 {
		return fmt.Errorf("cannot use associate_public_ip_address: no default subnet of %s is in a zone that offers %s; set subnet_id", n.VPC, either(s.offered()))
	}
	return n.take(found)
}

// groups are the existing security groups that a filter hits.
func (s FindNetwork) groups(ctx context.Context, at *site, n *Network) error {
	fs := filters(s.GroupFilter)
	if n.VPC != "" {
		fs = append(fs, filter("vpc-id", n.VPC))
	}
	out, err := at.api.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: fs})
	if err != nil {
		return wrapAPI("find the security groups", "DescribeSecurityGroups", old, err)
	}
	for _, g := range out.SecurityGroups {
		n.Groups = append(n.Groups, text(g.GroupId))
	}
	if len(n.Groups) == 0 {
		return errors.New("cannot choose the security groups: security_group_filter hits none")
	}
	slices.Sort(n.Groups)
	return nil
}

// named looks for what the user's template names before anything is made: the
// launch would take what is missing for what is not visible yet.
func (s FindNetwork) named(ctx context.Context, at *site) error {
	if len(s.GroupIDs) > 0 {
		if _, err := at.api.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: s.GroupIDs}); err != nil {
			return wrapAPI("find the security group "+list(s.GroupIDs), "DescribeSecurityGroups", old, err)
		}
	}
	if s.KeyName != "" {
		if _, err := at.api.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{KeyNames: []string{s.KeyName}}); err != nil {
			return wrapAPI(fmt.Sprintf("find the key pair %q of ssh_keypair_name", s.KeyName), "DescribeKeyPairs", old, err)
		}
	}
	return nil
}
