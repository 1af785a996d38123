package ec2local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/internal/websock"
)

// connectEndpoint makes one in the default subnet of the first zone.
func (b *bench) connectEndpoint(preserve bool) *types.Ec2InstanceConnectEndpoint {
	b.t.Helper()
	return must1[*ec2.CreateInstanceConnectEndpointOutput](b.t)(b.CreateInstanceConnectEndpoint(ctx, &ec2.CreateInstanceConnectEndpointInput{
		SubnetId: b.defaultSubnet().SubnetId, PreserveClientIp: &preserve})).InstanceConnectEndpoint
}

func (b *bench) defaultSubnet() types.Subnet {
	b.t.Helper()
	return must1[*ec2.DescribeSubnetsOutput](b.t)(b.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: []types.Filter{{Name: aws.String("default-for-az"), Values: []string{"true"}}}})).Subnets[0]
}

// tunnel is a WebSocket to an endpoint, as a request that is signed by k asks for it.
func (b *bench) tunnel(k Key, service string, query url.Values) (net.Conn, error) {
	b.t.Helper()
	query.Set("X-Amz-Expires", "60")
	r, err := http.NewRequest(http.MethodGet, "ws"+strings.TrimPrefix(b.http.URL, "http")+openTunnelPath+"?"+query.Encode(), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	sum := sha256.Sum256(nil)
	signed, _, err := v4.NewSigner().PresignHTTP(ctx, aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret}, r, hex.EncodeToString(sum[:]), service, "us-east-1", time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := websock.Dial(ctx, &http.Client{}, signed)
	if err != nil {
		return nil, err
	}
	s := websock.Stream(c)
	b.t.Cleanup(func() { s.Close() })
	return s, nil
}

func TestConnectEndpoints(t *testing.T) {
	b := newBench(t)
	in := &ec2.CreateInstanceConnectEndpointInput{SubnetId: b.defaultSubnet().SubnetId, ClientToken: aws.String("t"),
		TagSpecifications: []types.TagSpecification{{ResourceType: "instance-connect-endpoint", Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String("way")}}}}}
	made := must1[*ec2.CreateInstanceConnectEndpointOutput](t)(b.CreateInstanceConnectEndpoint(ctx, in)).InstanceConnectEndpoint
	again := must1[*ec2.CreateInstanceConnectEndpointOutput](t)(b.CreateInstanceConnectEndpoint(ctx, in)).InstanceConnectEndpoint
	if *again.InstanceConnectEndpointId != *made.InstanceConnectEndpointId || made.State != "create-complete" || len(made.SecurityGroupIds) != 1 || *made.PreserveClientIp {
		t.Errorf("%+v, then %+v", made, again)
	}
	for name, value := range map[string]string{"vpc-id": *made.VpcId, "subnet-id": *made.SubnetId, "state": "create-complete", "tag:Name": "way", "instance-connect-endpoint-id": *made.InstanceConnectEndpointId} {
		for _, x := range []struct {
			value string
			n     int
		}{{value, 1}, {"other", 0}} {
			l := must1[*ec2.DescribeInstanceConnectEndpointsOutput](t)(b.DescribeInstanceConnectEndpoints(ctx, &ec2.DescribeInstanceConnectEndpointsInput{
				Filters: []types.Filter{{Name: aws.String(name), Values: []string{x.value}}}})).InstanceConnectEndpoints
			if len(l) != x.n {
				t.Errorf("%s %s: %+v", name, x.value, l)
			}
		}
	}
	_, err := b.CreateInstanceConnectEndpoint(ctx, &ec2.CreateInstanceConnectEndpointInput{SubnetId: in.SubnetId})
	wantCode(t, err, "ResourceLimitExceeded")
	_, err = b.CreateInstanceConnectEndpoint(ctx, &ec2.CreateInstanceConnectEndpointInput{SubnetId: in.SubnetId, IpAddressType: "ipv6"})
	wantCode(t, err, "UnsupportedOperation")
	_, err = b.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: in.SubnetId})
	wantCode(t, err, "DependencyViolation")
	if n := len(b.server.Inventory().Of("instance-connect-endpoint")); n != 1 {
		t.Errorf("%d in the inventory", n)
	}
	must1[*ec2.DeleteInstanceConnectEndpointOutput](t)(b.DeleteInstanceConnectEndpoint(ctx, &ec2.DeleteInstanceConnectEndpointInput{InstanceConnectEndpointId: made.InstanceConnectEndpointId}))
	_, err = b.DescribeInstanceConnectEndpoints(ctx, &ec2.DescribeInstanceConnectEndpointsInput{InstanceConnectEndpointIds: []string{*made.InstanceConnectEndpointId}})
	wantCode(t, err, "InvalidInstanceConnectEndpointId.NotFound")
}

// withEcho is an instance with a server behind its port of SSH that says what it is told.
func (b *bench) withEcho() (id, addr string) {
	b.t.Helper()
	id = b.run()
	addr = *b.until(id, "running").PrivateIpAddress
	echoAt(b.t, addr)
	return id, addr
}

// A tunnel leads to where the groups of the instance let the endpoint in, and ends with its
// endpoint.
func TestTunnels(t *testing.T) {
	b := newBench(t)
	id, addr := b.withEcho()
	e := b.connectEndpoint(false)
	want := func(more ...string) url.Values {
		q := url.Values{"instanceConnectEndpointId": {*e.InstanceConnectEndpointId}, "privateIpAddress": {addr}, "remotePort": {"22"}}
		for i := 0; i < len(more); i += 2 {
			q.Set(more[i], more[i+1])
		}
		return q
	}
	group := *b.instance(id).SecurityGroups[0].GroupId // the default one, which lets itself in
	c, err := b.tunnel(keyOfTests, connectService, want())
	if err != nil {
		t.Fatal(err)
	}
	says(t, c, strings.Repeat("hello ", 50_000))
	if n := b.server.CutTunnels(); n != 1 {
		t.Errorf("%d tunnels were cut", n)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a tunnel that was cut goes on")
	}
	for name, x := range map[string]struct {
		k       Key
		service string
		query   url.Values
		status  int
	}{
		"another key":       {Key{keyOfTests.ID, "no"}, connectService, want(), 403},
		"another service":   {keyOfTests, "ec2", want(), 403},
		"no such endpoint":  {keyOfTests, connectService, want("instanceConnectEndpointId", "eice-0123456789abcdef0"), 400},
		"no such address":   {keyOfTests, connectService, want("privateIpAddress", "127.255.255.254"), 400},
		"another port":      {keyOfTests, connectService, want("remotePort", "5985"), 400},
		"too long":          {keyOfTests, connectService, want("maxTunnelDuration", "3601"), 400},
		"another parameter": {keyOfTests, connectService, want("shout", "yes"), 400},
		"nothing":           {keyOfTests, connectService, url.Values{}, 400},
	} {
		var status *websock.StatusError
		if _, err := b.tunnel(x.k, x.service, x.query); !errors.As(err, &status) || status.Status != x.status {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err = b.tunnel(keyOfTests, connectService, want("maxTunnelDuration", "1"))
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after its time: %v", err)
	}

	must1[*ec2.RevokeSecurityGroupIngressOutput](t)(b.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: &group,
		IpPermissions: []types.IpPermission{{IpProtocol: aws.String("-1"), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &group}}}}}))
	if _, err := b.tunnel(keyOfTests, connectService, want()); err == nil {
		t.Error("opened where no rule lets it in")
	}
}

// With PreserveClientIp the client's address is the one that rules are about.
func TestTunnelsThatKeepTheAddress(t *testing.T) {
	b := newBench(t)
	id, addr := b.withEcho()
	e := b.connectEndpoint(true)
	q := func() url.Values {
		return url.Values{"instanceConnectEndpointId": {*e.InstanceConnectEndpointId}, "privateIpAddress": {addr}, "remotePort": {"22"}}
	}
	if _, err := b.tunnel(keyOfTests, connectService, q()); err == nil {
		t.Error("opened by a rule for the endpoint's group")
	}
	must1[*ec2.AuthorizeSecurityGroupIngressOutput](t)(b.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: b.instance(id).SecurityGroups[0].GroupId,
		IpPermissions: []types.IpPermission{{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22), IpRanges: []types.IpRange{{CidrIp: aws.String("127.0.0.1/32")}}}}}))
	c, err := b.tunnel(keyOfTests, connectService, q())
	if err != nil {
		t.Fatal(err)
	}
	says(t, c, "hello")
}

// A policy binds tunnels as it does calls.
func TestTunnelsTakeAPermission(t *testing.T) {
	b := newBench(t)
	_, addr := b.withEcho()
	e := b.connectEndpoint(false)
	q := url.Values{"instanceConnectEndpointId": {*e.InstanceConnectEndpointId}, "privateIpAddress": {addr}, "remotePort": {"22"}}
	for _, x := range []struct {
		port string
		ok   bool
	}{{"3389", false}, {"22", true}} {
		b.bind(`{"Effect": "Allow", "Action": "ec2-instance-connect:OpenTunnel", "Resource": "` + *e.InstanceConnectEndpointArn + `",
			"Condition": {"NumericEquals": {"ec2-instance-connect:remotePort": "` + x.port + `"}}}`)
		_, err := b.tunnel(keyOfTests, connectService, q)
		var status *websock.StatusError
		if x.ok && err != nil || !x.ok && (!errors.As(err, &status) || status.Status != 403) {
			t.Errorf("port %s: %v", x.port, err)
		}
	}
}
