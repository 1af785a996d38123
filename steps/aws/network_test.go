package aws

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func (w *world) network(o NetworkOptions) (Network, error) {
	return FindNetwork{Place: here, NetworkOptions: o, InstanceTypes: []string{"t2.micro"}}.Do(w.t.Context(), w.cloud, task("n"))
}

func TestNetworks(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	n, err := w.network(NetworkOptions{})
	if err != nil || len(n.Subnets) > 0 || w.front.total() > 0 {
		t.Errorf("no options cost %v: %+v, %v", w.front.calls, n, err)
	}
	yes := true
	n, err = w.network(NetworkOptions{PublicIP: &yes})
	if err != nil || len(n.Subnets) == 0 || n.VPC == "" {
		t.Fatalf("public address: %+v, %v", n, err)
	}
	first := n.Subnets[0]
	one, err := w.network(NetworkOptions{Subnet: first.ID})
	if err != nil || len(one.Subnets) != 1 || one.Subnets[0] != first || one.VPC != n.VPC {
		t.Errorf("by id: %+v, %v", one, err)
	}
	if _, err := w.network(NetworkOptions{Subnet: first.ID, AvailabilityZone: "us-east-1zz"}); err == nil || !strings.Contains(err.Error(), first.Zone) {
		t.Errorf("subnet of another zone: %v", err)
	}
	zone, err := w.network(NetworkOptions{PublicIP: &yes, AvailabilityZone: first.Zone})
	if err != nil || len(zone.Subnets) != 1 || zone.Subnets[0] != first {
		t.Errorf("zone: %+v, %v", zone, err)
	}
	filter := SubnetFilter{Filter: Filter{Filters: map[string]string{"vpc-id": n.VPC}}}
	if _, err := w.network(NetworkOptions{SubnetFilter: filter}); err == nil || !strings.Contains(err.Error(), "random or most_free") {
		t.Errorf("several subnets: %v", err)
	}
	filter.MostFree = true
	if most, err := w.network(NetworkOptions{SubnetFilter: filter}); err != nil || len(most.Subnets) < 2 {
		t.Errorf("most_free: %+v, %v", most, err)
	}
	none := SubnetFilter{Filter: Filter{Filter: []NameValue{{"vpc-id", "vpc-00000000000000000"}}}}
	if _, err := w.network(NetworkOptions{SubnetFilter: none}); err == nil {
		t.Error("no subnet was enough")
	}
	if _, err := w.network(NetworkOptions{Subnet: "subnet-00000000000000000"}); err == nil || !strings.Contains(err.Error(), "look at subnet_id") {
		t.Errorf("unknown subnet: %v", err)
	}
	byDefault := Filter{Filters: map[string]string{"is-default": "true"}}
	if v, err := w.network(NetworkOptions{VPCFilter: byDefault}); err != nil || v.VPC != n.VPC {
		t.Errorf("vpc_filter: %+v, %v", v, err)
	}
	if g, err := w.network(NetworkOptions{GroupFilter: Filter{Filters: map[string]string{"group-name": "default"}}}); err != nil || len(g.Groups) != 1 {
		t.Errorf("security_group_filter: %+v, %v", g, err)
	}
}

// hasVPCs has EC2 tell of other VPCs than there are.
func (w *world) hasVPCs(items string) {
	w.front.setPlay(func(rw http.ResponseWriter, action string, _ int, _ url.Values) bool {
		if action != "DescribeVpcs" {
			return false
		}
		io.WriteString(rw, `<DescribeVpcsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><vpcSet>`+items+`</vpcSet></DescribeVpcsResponse>`)
		return true
	})
}

// A VPC that is not the default one needs a subnet to be named, whatever becomes of the image.
func TestOtherVPCNeedsSubnet(t *testing.T) {
	for name, set := range map[string]func(*EBS){
		"force_deregister":       func(b *EBS) { b.ForceDeregister = true },
		"skip_save_build_region": func(b *EBS) { b.SkipSaveBuildRegion, b.AMIRegions = true, []string{"eu-west-1"} },
		"skip_create_ami":        func(b *EBS) { b.SkipCreateAMI = true },
	} {
		w := newWorld(t, ec2local.Faults{})
		w.hasVPCs(`<item><vpcId>vpc-0123456789abcdef0</vpcId><isDefault>false</isDefault></item>`)
		b := whole()
		b.VPC = "vpc-0123456789abcdef0"
		set(b)
		r, err := w.engine(&dag.MemStore{}, &events{}).Solve(t.Context(), w.graph(b))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Err.Error(), "it is not the default VPC, so subnet_id or subnet_filter must say") || w.front.count("RunInstances") != 0 {
			t.Errorf("%s: failed %v, calls %v", name, r.Failed, w.front.calls)
		}
	}
}

// Where no subnet can be told, associate_public_ip_address is no option that may be dropped.
func TestPublicAddressNeedsASubnet(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	yes := true
	w.hasVPCs("")
	if _, err := w.network(NetworkOptions{PublicIP: &yes}); err == nil || !strings.Contains(err.Error(), "so set subnet_id") {
		t.Error(err)
	}
}

// What the user's template names and does not exist is reported before anything
// is made, and not waited for at the launch.
func TestNamedThingsMustExist(t *testing.T) {
	for _, c := range []struct {
		set  func(*EBS)
		code string
		want string
	}{
		{func(b *EBS) { b.GroupIDs = []string{"sg-0123456789abcdef0"} }, "InvalidGroup.NotFound", "the security group does not exist in this region"},
		{func(b *EBS) { b.KeyPairName, b.AgentAuth = "nobody's", true }, "InvalidKeyPair.NotFound", "the key pair does not exist in this region"},
	} {
		w := newWorld(t, ec2local.Faults{})
		b := whole()
		c.set(b)
		r, err := w.engine(&dag.MemStore{}, &events{}).Solve(t.Context(), w.graph(b))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Failed) != 1 || r.Failed[0].Name != "network" || !strings.Contains(r.Failed[0].Err.Error(), c.want) || w.front.count("RunInstances") != 0 {
			t.Errorf("failed %v, calls %v", r.Failed, w.front.calls)
		}
		w.only(0)

		// It goes between the check and the launch, beside what this run made a moment ago.
		l := Launch{Groups: []dag.Out[SecurityGroup]{dag.Lit(SecurityGroup{Made: now()})}}
		if c.code == "InvalidGroup.NotFound" {
			l = Launch{KeyPair: dag.Lit(KeyPair{Made: now()})}
		}
		if err := ec2Error(c.code); classify("RunInstances", l.age(err), err).class != notFound {
			t.Errorf("%s: a launch would wait for what the user named", c.code)
		}
		if err := ec2Error("InvalidSnapshot.NotFound"); classify("RunInstances", l.age(err), err).class != transient {
			t.Errorf("%s: what is young is not waited for", c.code)
		}
	}
}
