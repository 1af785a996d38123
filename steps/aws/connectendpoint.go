package aws

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/websock"
	"github.com/imgflow/imgflow/steps/comm"
)

// FindConnectEndpoint looks for the EC2 Instance Connect Endpoint that leads to the instance,
// for ssh_interface instance_connect_endpoint, before anything costs money.
type FindConnectEndpoint struct {
	Place
	Network dag.Out[Network] `json:"network"`
	ID      string           `json:"id,omitempty"` // of the endpoint; "": one of the network
}

// ConnectEndpoint is a way to instances of a VPC that have no public address. It was there
// before, and stays.
type ConnectEndpoint struct {
	Place
	comm.Tunnel
	Groups   []string `json:"groups,omitempty"`
	Preserve bool     `json:"preserve,omitempty"` // the instance sees the caller's address
}

func (FindConnectEndpoint) Kind() string  { return "aws.connect-endpoint" }
func (FindConnectEndpoint) Common()       {}
func (FindConnectEndpoint) Title() string { return "find the EC2 Instance Connect Endpoint" }

// connectEndpointStates are those in which an endpoint carries.
var connectEndpointStates = filter("state", "create-complete", "update-in-progress", "update-complete", "update-failed")

// Do prefers an endpoint of a subnet that the instance may stand in: another one costs what data
// costs between zones.
func (s FindConnectEndpoint) Do(ctx context.Context, c *Cloud, t *dag.Task) (ConnectEndpoint, error) {
	at, err := c.at(ctx, s.Place)
	if err != nil {
		return ConnectEndpoint{}, err
	}
	n := s.Network.Value()
	if n.VPC == "" {
		if n.VPC, err = at.defaultVPC(ctx); err != nil {
			return ConnectEndpoint{}, err
		}
	}
	in := &ec2.DescribeInstanceConnectEndpointsInput{Filters: []types.Filter{connectEndpointStates, filter("vpc-id", n.VPC)}}
	if s.ID != "" {
		in = &ec2.DescribeInstanceConnectEndpointsInput{InstanceConnectEndpointIds: []string{s.ID}}
	}
	var found []types.Ec2InstanceConnectEndpoint
	for range mostPages {
		out, err := at.api.DescribeInstanceConnectEndpoints(ctx, in)
		if err != nil {
			return ConnectEndpoint{}, wrapAPI("find the EC2 Instance Connect Endpoint", "DescribeInstanceConnectEndpoints", old, err)
		}
		found = append(found, out.InstanceConnectEndpoints...)
		if in.NextToken = out.NextToken; text(in.NextToken) == "" {
			break
		}
	}
	if len(found) == 0 {
		return ConnectEndpoint{}, fmt.Errorf("cannot find an EC2 Instance Connect Endpoint in %s: make one in it (aws ec2 create-instance-connect-endpoint), or name another one that leads there as instance_connect_endpoint_id", n.VPC)
	}
	near := func(e types.Ec2InstanceConnectEndpoint) int {
		return slices.IndexFunc(n.Subnets, func(s Subnet) bool { return s.ID == text(e.SubnetId) })
	}
	slices.SortStableFunc(found, func(a, b types.Ec2InstanceConnectEndpoint) int {
		return cmp.Or(cmp.Compare(uint(near(a)), uint(near(b))), cmp.Compare(text(a.InstanceConnectEndpointId), text(b.InstanceConnectEndpointId)))
	})
	e := found[0]
	if !slices.Contains(connectEndpointStates.Values, string(e.State)) {
		return ConnectEndpoint{}, fmt.Errorf("cannot use the EC2 Instance Connect Endpoint %s: it is %s", text(e.InstanceConnectEndpointId), e.State)
	}
	name := text(e.DnsName)
	if at.options.EndpointOptions.UseFIPSEndpoint == awssdk.FIPSEndpointStateEnabled {
		name = text(e.FipsDnsName)
	}
	t.Say("using the EC2 Instance Connect Endpoint %s", text(e.InstanceConnectEndpointId))
	return ConnectEndpoint{at.Place, comm.Tunnel{Name: text(e.InstanceConnectEndpointId), At: name}, e.SecurityGroupIds, e.PreserveClientIp != nil && *e.PreserveClientIp}, nil
}

// defaultVPC is that of the region.
func (s *site) defaultVPC(ctx context.Context) (string, error) {
	out, err := s.api.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: []types.Filter{filter("is-default", "true")}})
	if err != nil {
		return "", wrapAPI("find the default VPC", "DescribeVpcs", old, err)
	}
	if len(out.Vpcs) == 0 {
		return "", errors.New("cannot find an EC2 Instance Connect Endpoint: there is no default VPC, so set subnet_id")
	}
	return text(out.Vpcs[0].VpcId), nil
}

// connectService is what the requests for tunnels are signed for, and how IAM calls it.
const connectService = "ec2-instance-connect"

// tunnelPort is the one that AWS leads to, besides that of RDP.
const tunnelPort = 22

// openTunnel connects to the port of an instance through an EC2 Instance Connect Endpoint. AWS
// ends a tunnel after an hour; whoever uses it connects again, as after any end of a connection.
func (c *Cloud) openTunnel(ctx context.Context, e comm.Endpoint) (net.Conn, error) {
	at, err := c.at(ctx, placeOf(e.Place))
	if err != nil {
		return nil, err
	}
	keys, err := at.options.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("get identity: %w", err)
	}
	where := url.URL{Scheme: "wss", Host: e.Tunnel.At, Path: "/openTunnel", RawQuery: url.Values{
		"instanceConnectEndpointId": {e.Tunnel.Name}, "privateIpAddress": {e.Host}, "remotePort": {strconv.Itoa(tunnelPort)}, "X-Amz-Expires": {"60"},
	}.Encode()}
	if at.loopback { // who plays EC2 on this machine plays its endpoints, too
		base, err := url.Parse(*at.options.BaseEndpoint)
		if err != nil {
			return nil, err
		}
		where.Scheme, where.Host = strings.Replace(base.Scheme, "http", "ws", 1), base.Host
		if base.Hostname() == "localhost" {
			where.Host = net.JoinHostPort("127.0.0.1", base.Port())
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(nil)
	signed, _, err := v4.NewSigner().PresignHTTP(ctx, keys, r, hex.EncodeToString(sum[:]), connectService, at.Region, at.clock.now())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, sessionOpens)
	defer cancel()
	conn, err := websock.Dial(ctx, at.bulk, signed)
	var refused *websock.StatusError
	switch {
	case errors.As(err, &refused) && (refused.Status == http.StatusForbidden || refused.Status == http.StatusUnauthorized):
		return nil, comm.Permanent(errcode.With(errcode.Unauthorized, fmt.Errorf("cannot open a tunnel through %s: AWS refuses it (status %d): "+
			"the credentials have expired, or lack the permission ec2-instance-connect:OpenTunnel", e.Tunnel.Name, refused.Status)))
	case err != nil:
		return nil, fmt.Errorf("cannot open a tunnel through %s: %w", e.Tunnel.Name, err)
	}
	return websock.Stream(conn), nil
}
