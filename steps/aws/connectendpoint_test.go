package aws

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// raw is a client of the endpoint that makes what is there before a run.
func (w *world) raw() *ec2.Client { return ec2.New(w.site().options) }

// connectEndpoint makes an EC2 Instance Connect Endpoint in a subnet.
func (w *world) connectEndpoint(subnet string, preserve bool) string {
	w.t.Helper()
	out, err := w.raw().CreateInstanceConnectEndpoint(w.t.Context(), &ec2.CreateInstanceConnectEndpointInput{SubnetId: &subnet, PreserveClientIp: &preserve})
	if err != nil {
		w.t.Fatal(err)
	}
	return *out.InstanceConnectEndpoint.InstanceConnectEndpointId
}

// subnetOf is a subnet of a new VPC, without a way in from outside.
func (w *world) subnetOf(cidr string) string {
	w.t.Helper()
	v, err := w.raw().CreateVpc(w.t.Context(), &ec2.CreateVpcInput{CidrBlock: &cidr})
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := w.raw().CreateSubnet(w.t.Context(), &ec2.CreateSubnetInput{VpcId: v.Vpc.VpcId, CidrBlock: awssdk.String(strings.Replace(cidr, "/16", "/24", 1))})
	if err != nil {
		w.t.Fatal(err)
	}
	return *s.Subnet.SubnetId
}

// A build in a subnet without public addresses goes through the endpoint of its VPC: only that
// is let in, no line is lost when the tunnels are cut in the middle, and the policy of the
// build is enough for all of it.
func TestBuildsThroughConnectEndpoints(t *testing.T) {
	for _, preserve := range []bool{false, true} {
		t.Run(fmt.Sprint(preserve), func(t *testing.T) {
			policy := filepath.Join(t.TempDir(), "policy.json")
			writePolicy(t, policy, everything)
			w := newWorldOf(t, ec2local.Options{Guests: guests(t), Policy: policy})
			subnet := w.subnetOf("10.9.0.0/16")
			w.connectEndpoint(subnet, preserve)
			b := template()
			b.Communicator, b.SSH.Username = "ssh", "ubuntu"
			b.Interface, b.Subnet = "instance_connect_endpoint", subnet
			log, done := w.working(b, policy)
			for n, line := range []string{"line 10", "line 25"} {
				log.await(t, line, done)
				if w.endpoint().CutTunnels() == 0 {
					t.Errorf("cut %d: there is no tunnel", n)
				}
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			writePolicy(t, policy, everything)
			log.eachOnce(t)
			w.only(1)
		})
	}
}

func TestFindConnectEndpoint(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	ours, other := w.subnetOf("10.9.0.0/16"), w.subnetOf("10.10.0.0/16")
	find := func(s FindConnectEndpoint, n Network) (ConnectEndpoint, error) {
		s.Place, s.Network = here, dag.Lit(n)
		return s.Do(t.Context(), w.cloud, task("e"))
	}
	network, err := FindNetwork{Place: here, NetworkOptions: NetworkOptions{Subnet: ours}, InstanceType: "t3.micro"}.Do(t.Context(), w.cloud, task("n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []Network{network, {}} { // and in the default VPC
		if _, err := find(FindConnectEndpoint{}, n); err == nil || !strings.Contains(err.Error(), "create-instance-connect-endpoint") {
			t.Errorf("without one: %v", err)
		}
	}
	elsewhere := w.connectEndpoint(other, true)
	made := w.connectEndpoint(ours, false)
	e, err := find(FindConnectEndpoint{}, network)
	if err != nil || e.Name != made || e.Preserve || len(e.Groups) != 1 || !strings.HasPrefix(e.At, made+".") || !strings.HasSuffix(e.At, ".amazonaws.com") {
		t.Errorf("%+v, %v", e, err)
	}
	if e, err := find(FindConnectEndpoint{ID: elsewhere}, network); err != nil || e.Name != elsewhere || !e.Preserve {
		t.Errorf("the one that is named: %+v, %v", e, err)
	}
	if _, err := find(FindConnectEndpoint{ID: "eice-0123456789abcdef0"}, network); err == nil || !strings.Contains(err.Error(), "eice-0123456789abcdef0") {
		t.Errorf("%v", err)
	}
}

// The group lets in the endpoint alone, or those who come through it if it keeps their address.
func TestAdmitThroughConnectEndpoint(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	g, err := Group{Place: here, Network: dag.Lit(Network{})}.Do(t.Context(), w.cloud, task("g"))
	if err != nil {
		t.Fatal(err)
	}
	of := func(e ConnectEndpoint) (sources []string) {
		a := Admit{Group: dag.Lit(g), Ports: []int{22}, Via: dag.Lit(e)}
		if _, err := a.Do(t.Context(), w.cloud, task("a")); err != nil {
			t.Fatal(err)
		}
		out, err := w.raw().DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupIds: []string{g.ID}})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range out.SecurityGroups[0].IpPermissions {
			for _, pair := range p.UserIdGroupPairs {
				sources = append(sources, *pair.GroupId)
			}
			for _, r := range p.IpRanges {
				sources = append(sources, *r.CidrIp)
			}
		}
		return sources
	}
	if got := of(ConnectEndpoint{Groups: []string{g.ID}}); !slices.Equal(got, []string{g.ID}) {
		t.Errorf("%v", got)
	}
	if got := of(ConnectEndpoint{Groups: []string{g.ID}, Preserve: true}); !slices.Equal(got, []string{g.ID, "127.0.0.0/8"}) {
		t.Errorf("%v", got)
	}
}

// A tunnel that AWS refuses is refused again however long one waits.
func TestATunnelThatIsRefused(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy.json")
	writePolicy(t, policy, Policy{Version: "2012-10-17", Statement: []Statement{{Sid: "EC2", Effect: "Allow", Action: []string{"ec2:*"}, Resource: []string{"*"}}}})
	w := newWorldOf(t, ec2local.Options{Policy: policy})
	e := comm.Endpoint{Place: here.text(), Host: "127.0.0.1", Port: 22, Tunnel: comm.Tunnel{Name: "eice-0123456789abcdef0", At: "nowhere"}}
	if _, err := w.cloud.Tunnel(t.Context(), e); err == nil || !strings.Contains(err.Error(), "ec2-instance-connect:OpenTunnel") {
		t.Errorf("%v", err)
	}
	writePolicy(t, policy, everything)
	if _, err := w.cloud.Tunnel(t.Context(), e); err == nil || !strings.Contains(err.Error(), "status 400") {
		t.Errorf("%v", err)
	}
}

func TestCheckOfConnectEndpoints(t *testing.T) {
	for _, c := range []struct {
		field, words string
		spoil        func(*EBS)
	}{
		{"", "", func(*EBS) {}},
		{"", "", func(b *EBS) { b.ConnectEndpoint = "eice-0123456789abcdef0" }},
		{"ssh_port", "must be 22", func(b *EBS) { b.SSH.Port = 2222 }},
		{"ssh_host", "through the endpoint", func(b *EBS) { b.SSH.Host = "192.0.2.1" }},
		{"ssh_bastion_host", "through the endpoint", func(b *EBS) {
			b.SSH.BastionHost, b.SSH.BastionUsername, b.SSH.BastionAgentAuth = "192.0.2.1", "u", true
		}},
		{"instance_connect_endpoint_id", "no id", func(b *EBS) { b.ConnectEndpoint = "vpce-1" }},
		{"instance_connect_endpoint_id", "there is no tunnel", func(b *EBS) { b.ConnectEndpoint, b.Interface = "eice-0123456789abcdef0", "private_ip" }},
	} {
		b := template()
		b.Communicator, b.SSH.Username, b.Interface = "ssh", "ubuntu", "instance_connect_endpoint"
		c.spoil(b)
		fs := b.Check()
		if c.field == "" && len(fs) == 0 {
			continue
		}
		if len(fs) != 1 || fs[0].Field != c.field || !strings.Contains(fs[0].Text, c.words) {
			t.Errorf("%s: %v", c.field, fs)
		}
	}
	b := windows()
	b.Interface = "instance_connect_endpoint"
	if fs := b.Check(); len(fs) == 0 || !slices.ContainsFunc(fs, func(f steps.OptionError) bool { return strings.Contains(f.Text, "session_manager") }) {
		t.Errorf("WinRM: %v", fs)
	}
}
