package aws

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// The temporary group admits the caller alone, who is on this machine here.
func TestAdmit(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	g, err := Group{Place: here, Network: dag.Lit(Network{})}.Do(t.Context(), w.cloud, task("g"))
	if err != nil {
		t.Fatal(err)
	}
	a := Admit{Group: dag.Lit(g), Ports: []int{22}}
	for range 2 { // the second finds its rules there already
		in, err := a.Do(t.Context(), w.cloud, task("a"))
		if err != nil || !slices.Equal(in.CIDRs, []string{"127.0.0.0/8"}) {
			t.Errorf("%v, %v", in, err)
		}
	}
	a.CIDRs = []string{"192.0.2.0/24", "2001:db8::/32"}
	if in, err := a.Do(t.Context(), w.cloud, task("a")); err != nil || !slices.Equal(in.CIDRs, a.CIDRs) {
		t.Errorf("%v, %v", in, err)
	}
}

// In a network that has IPv6 alone nobody's address of IPv4 is of use.
func TestAdmitToIPv6(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	g, err := Group{Place: here, Network: dag.Lit(Network{})}.Do(t.Context(), w.cloud, task("g"))
	if err != nil {
		t.Fatal(err)
	}
	a := Admit{Group: dag.Lit(g), Ports: []int{22}, Network: dag.Lit(Network{Subnets: []Subnet{{ID: "a", IPv6: true}}})}
	if in, err := a.Do(t.Context(), w.cloud, task("a")); err != nil || !slices.Equal(in.CIDRs, []string{"::/0"}) {
		t.Errorf("%v, %v", in, err)
	}
}

// Who reaches the machine by its private address is not seen by the public one.
func TestAdmitFromInside(t *testing.T) {
	yes, no := true, false
	open, closed := Network{Subnets: []Subnet{{ID: "a"}}}, Network{Subnets: []Subnet{{ID: "a"}, {ID: "b", Private: true}}}
	for _, c := range []struct {
		iface  string
		public *bool
		own    bool
		n      Network
		want   int
	}{
		{"", nil, false, Network{}, 1}, {"", nil, false, open, 1}, {"", nil, false, closed, 5}, {"", &yes, false, closed, 1}, {"", &no, false, Network{}, 5},
		{"private_ip", nil, false, Network{}, 5}, {"private_dns", &yes, false, Network{}, 5}, {"public_ip", nil, false, closed, 1}, {"public_dns", nil, false, Network{}, 1},
		{"", nil, true, closed, 1}, {"private_ip", nil, true, Network{}, 1},
	} {
		b := whole()
		b.Interface, b.PublicIP, b.SourcePublicIP = c.iface, c.public, c.own
		if got := b.admit(dag.Out[SecurityGroup]{}, dag.Lit(c.n)).callers("192.0.2.1/32", false); len(got) != c.want || got[0] != "192.0.2.1/32" {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if got := (Admit{Inside: true}).callers(anyIPv4, false); len(got) != 1 {
		t.Errorf("everybody and %v", got[1:])
	}
}

// Without ports nobody is asked, and a refusal says which group stays closed.
func TestAdmitPorts(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	g := must(Group{Place: here, Network: dag.Lit(Network{})}.Do(t.Context(), w.cloud, task("g")))
	a := Admit{Group: dag.Lit(g)}
	if in := twice(t, w, a); len(in.CIDRs) != 0 || w.front.count("AuthorizeSecurityGroupIngress") != 0 {
		t.Errorf("without ports: %v, %v", in, w.front.calls)
	}
	a.Ports, a.CIDRs = []int{5985, 5986}, []string{"192.0.2.0/24", "2001:db8::/32"}
	twice(t, w, a)
	groups, err := w.site().api.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("group-id", g.ID)}})
	if err != nil || len(groups.SecurityGroups) != 1 {
		t.Fatal(err)
	}
	var open []string
	for _, p := range groups.SecurityGroups[0].IpPermissions {
		for _, r := range p.IpRanges {
			open = append(open, fmt.Sprint(*p.FromPort, " ", *r.CidrIp))
		}
		for _, r := range p.Ipv6Ranges {
			open = append(open, fmt.Sprint(*p.FromPort, " ", *r.CidrIpv6))
		}
	}
	slices.Sort(open)
	if want := []string{"5985 192.0.2.0/24", "5985 2001:db8::/32", "5986 192.0.2.0/24", "5986 2001:db8::/32"}; !slices.Equal(open, want) {
		t.Errorf("open are %q, want %q", open, want)
	}
	refused(t, w, "AuthorizeSecurityGroupIngress", a, "cannot open the security group "+g.ID+": ")
}
