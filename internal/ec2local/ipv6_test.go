package ec2local

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// A subnet of IPv6 alone is of the VPC's block, and its instances have no other address.
func TestIPv6Alone(t *testing.T) {
	b := newBench(t)
	v := must1[*ec2.CreateVpcOutput](t)(b.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.9.0.0/16"), AmazonProvidedIpv6CidrBlock: aws.Bool(true)})).Vpc
	block := *v.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock
	inside := block[:len(block)-len("/56")] + "/64"
	for _, x := range []struct {
		code string
		in   ec2.CreateSubnetInput
	}{
		{"InvalidSubnet.Range", ec2.CreateSubnetInput{Ipv6Native: aws.Bool(true), Ipv6CidrBlock: aws.String("2001:db8::/64")}},
		{"InvalidSubnet.Range", ec2.CreateSubnetInput{Ipv6Native: aws.Bool(true), Ipv6CidrBlock: &block}},
		{"InvalidParameterCombination", ec2.CreateSubnetInput{Ipv6Native: aws.Bool(true), Ipv6CidrBlock: &inside, CidrBlock: aws.String("10.9.1.0/24")}},
		{"MissingParameter", ec2.CreateSubnetInput{Ipv6Native: aws.Bool(true)}},
		{"UnsupportedOperation", ec2.CreateSubnetInput{Ipv6CidrBlock: &inside, CidrBlock: aws.String("10.9.1.0/24")}},
	} {
		x.in.VpcId = v.VpcId
		_, err := b.CreateSubnet(ctx, &x.in)
		wantCode(t, err, x.code)
	}
	in := &ec2.CreateSubnetInput{VpcId: v.VpcId, Ipv6Native: aws.Bool(true), Ipv6CidrBlock: &inside}
	s := must1[*ec2.CreateSubnetOutput](t)(b.CreateSubnet(ctx, in)).Subnet
	if !*s.Ipv6Native || s.CidrBlock != nil || *s.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock != inside {
		t.Errorf("%+v", s)
	}
	_, err := b.CreateSubnet(ctx, in)
	wantCode(t, err, "InvalidSubnet.Conflict")
	must1[*ec2.CreateSubnetOutput](t)(b.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: v.VpcId, CidrBlock: aws.String("10.9.1.0/24")}))
	if l := must1[*ec2.DescribeSubnetsOutput](t)(b.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: []types.Filter{{Name: aws.String("ipv6-native"), Values: []string{"true"}}}})).Subnets; len(l) != 1 {
		t.Errorf("%d subnets of IPv6 alone", len(l))
	}
	id := b.run(func(in *ec2.RunInstancesInput) { in.SubnetId = s.SubnetId })
	i := b.until(id, "running")
	if aws.ToString(i.Ipv6Address) != "::1" || i.PrivateIpAddress != nil || i.PublicIpAddress != nil {
		t.Errorf("%+v", i)
	}
	n := i.NetworkInterfaces[0]
	if len(n.Ipv6Addresses) != 1 || *n.Ipv6Addresses[0].Ipv6Address != "::1" || len(n.PrivateIpAddresses) != 0 {
		t.Errorf("%+v", n)
	}
	must1[*ec2.DescribeNetworkInterfacesOutput](t)(b.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{*n.NetworkInterfaceId}}))
}
