package ec2local

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// oneOf is a launch of one instance of the catalogue's first image.
func oneOf(instanceType, zone string, spot bool) *ec2.RunInstancesInput {
	in := &ec2.RunInstancesInput{ImageId: &catalogue("us-east-1")[0].ID, InstanceType: types.InstanceType(instanceType), MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}
	if zone != "" {
		in.Placement = &types.Placement{AvailabilityZone: &zone}
	}
	if spot {
		in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: "spot"}
	}
	return in
}

// There is room in one pool where there is none in another.
func TestFullPools(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Faults.Full, o.Guests = "spot@us-east-1b+t2.small+t2.micro@us-east-1a", nil })
	for _, c := range []struct {
		name, zone string
		spot       bool
		want       string
	}{
		{"t2.micro", "us-east-1a", false, "InsufficientInstanceCapacity"},
		{"t2.micro", "us-east-1b", false, ""},
		{"t2.micro", "us-east-1b", true, "InsufficientInstanceCapacity"},
		{"t2.micro", "us-east-1c", true, ""},
		{"t2.small", "us-east-1c", false, "InsufficientInstanceCapacity"},
		{"t2.medium", "us-east-1a", false, ""},
	} {
		_, err := b.RunInstances(ctx, oneOf(c.name, c.zone, c.spot))
		if c.want != "" {
			wantCode(t, err, c.want)
		} else if err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// So many spot instances are taken back as is said, and no more.
func TestReclaims(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Faults.Spot, o.Faults.Reclaims, o.Guests = time.Millisecond, 1, nil })
	state := func(id string) string {
		out := must1[*ec2.DescribeInstancesOutput](t)(b.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}}))
		i := out.Reservations[0].Instances[0]
		if i.StateReason != nil {
			return string(i.State.Name) + " " + *i.StateReason.Code
		}
		return string(i.State.Name)
	}
	first := must1[*ec2.RunInstancesOutput](t)(b.RunInstances(ctx, oneOf("t2.micro", "", true)))
	second := must1[*ec2.RunInstancesOutput](t)(b.RunInstances(ctx, oneOf("t2.micro", "", true)))
	end := time.Now().Add(10 * time.Second)
	for state(*first.Instances[0].InstanceId) != "terminated Server.SpotInstanceTermination" {
		if time.Now().After(end) {
			t.Fatal("the first is " + state(*first.Instances[0].InstanceId))
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got := state(*second.Instances[0].InstanceId); got != "running" {
		t.Errorf("the second is %s", got)
	}
}

// Prices are told by type, zone and product, and who pays too little gets nothing.
func TestSpotPrices(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Guests = nil })
	out := must1[*ec2.DescribeSpotPriceHistoryOutput](t)(b.DescribeSpotPriceHistory(ctx, &ec2.DescribeSpotPriceHistoryInput{
		InstanceTypes: []types.InstanceType{"m5.large", "t2.micro"}, ProductDescriptions: []string{"Linux/UNIX"}, StartTime: aws.Time(time.Now())}))
	prices := map[string]string{}
	for _, p := range out.SpotPriceHistory {
		prices[string(p.InstanceType)+" "+*p.AvailabilityZone] = *p.SpotPrice
	}
	if len(prices) != 6 || prices["m5.large us-east-1b"] != "0.022000" {
		t.Errorf("%v", prices)
	}
	cheap := oneOf("m5.large", "us-east-1b", true)
	cheap.InstanceMarketOptions.SpotOptions = &types.SpotMarketOptions{MaxPrice: aws.String("0.021")}
	_, err := b.RunInstances(ctx, cheap)
	wantCode(t, err, "SpotMaxPriceTooLow")
	cheap.InstanceMarketOptions.SpotOptions.MaxPrice = aws.String("0.022")
	if _, err := b.RunInstances(ctx, cheap); err != nil {
		t.Error(err)
	}
}

// What a launch says of hardware, licences and reservations is kept, or refused as EC2 refuses it.
func TestHardware(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Guests = nil })
	in := oneOf("m5.xlarge", "", false)
	in.CpuOptions = &types.CpuOptionsRequest{CoreCount: aws.Int32(1), ThreadsPerCore: aws.Int32(1)}
	in.LicenseSpecifications = []types.LicenseConfigurationRequest{{LicenseConfigurationArn: aws.String("arn:aws:license-manager:us-east-1:123456789012:license-configuration:lic-1")}}
	i := must1[*ec2.RunInstancesOutput](t)(b.RunInstances(ctx, in)).Instances[0]
	if *i.CpuOptions.CoreCount != 1 || *i.CpuOptions.ThreadsPerCore != 1 || len(i.Licenses) != 1 {
		t.Errorf("%+v, %+v", i.CpuOptions, i.Licenses)
	}
	for want, change := range map[string]func(*ec2.RunInstancesInput){
		"InvalidParameterValue": func(in *ec2.RunInstancesInput) {
			in.CpuOptions = &types.CpuOptionsRequest{CoreCount: aws.Int32(3), ThreadsPerCore: aws.Int32(1)}
		},
		"InvalidParameterCombination": func(in *ec2.RunInstancesInput) {
			in.CpuOptions = &types.CpuOptionsRequest{CoreCount: aws.Int32(1)}
		},
		"InvalidHostID.NotFound": func(in *ec2.RunInstancesInput) {
			in.Placement = &types.Placement{HostId: aws.String("h-0123456789abcdef0")}
		},
		"InsufficientHostCapacity": func(in *ec2.RunInstancesInput) { in.Placement = &types.Placement{Tenancy: "host"} },
		"InvalidCapacityReservationId.NotFound": func(in *ec2.RunInstancesInput) {
			in.CapacityReservationSpecification = &types.CapacityReservationSpecification{CapacityReservationTarget: &types.CapacityReservationTarget{CapacityReservationId: aws.String("cr-0123456789abcdef0")}}
		},
	} {
		in := oneOf("m5.xlarge", "", false)
		change(in)
		_, err := b.RunInstances(ctx, in)
		wantCode(t, err, want)
	}
}
