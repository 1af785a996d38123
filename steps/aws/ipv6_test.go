package aws

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps/comm"
)

// A build in a subnet that has IPv6 alone finds its machine by itself, and the template need
// not say so.
func TestBuildsInNetworksOfIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("NOT TESTED: a machine with IPv6 alone: %v", err)
	}
	l.Close()
	for _, iface := range []string{"", "ipv6"} {
		t.Run(iface, func(t *testing.T) {
			w := newWorldOf(t, ec2local.Options{Guests: guests(t)})
			v, err := w.raw().CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: awssdk.String("10.9.0.0/16"), AmazonProvidedIpv6CidrBlock: awssdk.Bool(true)})
			if err != nil {
				t.Fatal(err)
			}
			block := strings.Replace(*v.Vpc.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock, "/56", "/64", 1)
			s, err := w.raw().CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: v.Vpc.VpcId, Ipv6Native: awssdk.Bool(true), Ipv6CidrBlock: &block})
			if err != nil {
				t.Fatal(err)
			}
			b := template()
			b.Communicator, b.SSH.Username, b.Interface, b.Subnet = "ssh", "ubuntu", iface, *s.Subnet.SubnetId
			b.cloud = w.cloud
			log := &events{}
			env := comm.NewEnv(w.vault)
			env.Status, env.Console = w.cloud.Status, w.cloud.Console
			defer env.Close()
			e, err := dag.New(dag.Options{Run: "r1", Store: &dag.MemStore{}, Sink: log, Secret: w.secret, Kinds: append(append(Kinds(w.cloud), comm.Kinds(env)...), dag.Bind[work](env))})
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
			g, bd := dag.NewGraph(nil), dag.Build{Name: "web", Type: "amazon-ebs"}
			b.Wire(g, bd, func(m dag.Out[comm.Machine]) dag.Out[comm.Machine] { return dag.Add(g, bd, "work", work{m.Take()}) })
			r, err := e.Solve(t.Context(), g)
			for _, f := range r.Failed {
				err = errors.Join(err, fmt.Errorf("%s: %w", f.Name, f.Err))
			}
			if err != nil {
				t.Fatal(err)
			}
			if n := log.lines(fmt.Sprintf("line %d", workLines)); n != 1 {
				t.Errorf("the last line was printed %d times", n)
			}
			if n := w.front.count("AuthorizeSecurityGroupIngress"); n != 1 {
				t.Errorf("the group was opened %d times", n)
			}
			w.only(1)
		})
	}
}
