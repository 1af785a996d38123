package aws

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/aws/ec2local"
)

func (w *world) network(o NetworkOptions) (Network, error) {
	return FindNetwork{Place: here, NetworkOptions: o, InstanceType: "t2.micro"}.Do(w.t.Context(), w.cloud, task("n"))
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

func TestSourceImages(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	find := func(o SourceOptions) (SourceImage, error) {
		return Source{Place: here, SourceOptions: o}.Do(t.Context(), w.cloud, task("s"))
	}
	found, err := find(ubuntu())
	if err != nil || !found.cloudInit() || found.RootDevice == "" {
		t.Fatalf("%+v, %v", found, err)
	}
	if again, err := find(SourceOptions{SourceAMI: found.ID}); err != nil || again.Name != found.Name {
		t.Errorf("by id: %+v, %v", again, err)
	}
	if _, err := find(SourceOptions{SourceAMI: "ami-00000000000000000"}); err == nil || !strings.Contains(err.Error(), "cannot find the source image ami-0000") {
		t.Errorf("unknown id: %v", err)
	}
	none := ubuntu()
	none.Filter.Filters = map[string]string{"name": "no such image"}
	if _, err := find(none); err == nil || !strings.Contains(err.Error(), "name=no such image") {
		t.Errorf("no match: %v", err)
	}
	many := SourceOptions{Filter: SourceFilter{Owners: []string{"099720109477"}}}
	if _, err := find(many); err == nil || !strings.Contains(err.Error(), "most_recent") {
		t.Errorf("many matches: %v", err)
	}
}

// Every option of the launch is in the call, in a form that EC2 takes.
func TestLaunchOptions(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	yes, no := true, false
	b := template()
	b.PublicIP = &yes
	b.EBSOptimized = true
	b.UnlimitedCredits = true
	b.Metadata = Metadata{HTTPTokens: "required", HTTPEndpoint: "enabled", HopLimit: 2, Tags: "enabled"}
	b.Placement.Tenancy = "default"
	b.CapacityPreference = "none"
	b.MaxLifetime = time.Hour
	b.RunTags = map[string]string{"Name": "mine", "base": "{{ .SourceAMI }}"}
	b.RunVolumeTag = []VolumeTag{{Name: "v", Value: "1"}}
	b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdf", VolumeSize: 3, VolumeType: "gp3", Throughput: 200, IOPS: 3000},
		{DeviceName: "/dev/sdg", VolumeSize: 1, DeleteOnTermination: &no}}
	var form url.Values
	w.front.play = func(rw http.ResponseWriter, action string, n int, f url.Values) bool {
		if action == "RunInstances" {
			form = f
		}
		return false
	}
	store := &dag.MemStore{}
	w.build(store, w.graph(b))
	has := func(key, want string) {
		t.Helper()
		if got := form.Get(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	has("EbsOptimized", "true")
	has("CreditSpecification.CpuCredits", "unlimited")
	has("MetadataOptions.HttpTokens", "required")
	has("MetadataOptions.HttpPutResponseHopLimit", "2")
	has("InstanceInitiatedShutdownBehavior", "terminate")
	has("NetworkInterface.1.AssociatePublicIpAddress", "true")
	has("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true")
	has("BlockDeviceMapping.2.Ebs.DeleteOnTermination", "false")
	if len(form.Get("ClientToken")) == 0 || len(form.Get("ClientToken")) > 64 {
		t.Errorf("client token %q", form.Get("ClientToken"))
	}
	tags := map[string]map[string]string{}
	for i := 1; form.Get(tagKey(i, 0, "ResourceType")) != ""; i++ {
		m := map[string]string{}
		for j := 1; form.Get(tagKey(i, j, "Key")) != ""; j++ {
			m[form.Get(tagKey(i, j, "Key"))] = form.Get(tagKey(i, j, "Value"))
		}
		tags[form.Get(tagKey(i, 0, "ResourceType"))] = m
	}
	if tags["instance"]["Name"] != "mine" || !strings.HasPrefix(tags["instance"]["base"], "ami-") || tags["volume"]["v"] != "1" {
		t.Errorf("the user's tags: %v", tags)
	}
	for _, kind := range []string{"instance", "volume", "network-interface"} {
		for _, k := range []string{TagRun, TagBuild, TagStep, TagToken, TagExpires} {
			if tags[kind][k] == "" {
				t.Errorf("%s has no tag %s", kind, k)
			}
		}
	}
	// What the user asked to outlive the instance does, and nothing else.
	if v := w.inventory(); len(v.volumes) != 1 || len(v.instances) > 0 {
		t.Errorf("left: %+v", v)
	}
}

func tagKey(spec, n int, field string) string {
	if n == 0 {
		return fmt.Sprintf("TagSpecification.%d.%s", spec, field)
	}
	return fmt.Sprintf("TagSpecification.%d.Tag.%d.%s", spec, n, field)
}

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
	if got := (Admit{Inside: true}).callers(everybody, false); len(got) != 1 {
		t.Errorf("everybody and %v", got[1:])
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
		if err := ec2Error(c.code); judge("RunInstances", l.age(err), err).is != absent {
			t.Errorf("%s: a launch would wait for what the user named", c.code)
		}
		if err := ec2Error("InvalidAMIID.NotFound"); judge("RunInstances", l.age(err), err).is != passes {
			t.Errorf("%s: what is young is not waited for", c.code)
		}
	}
}
