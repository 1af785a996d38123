package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
)

// Who may reach the machine.
//
// The temporary group admits the caller's public address and nobody else, unless
// the template names others. Where the machine is reached by its private address,
// since ssh_interface says so or its subnet gives no public one, the caller comes
// from a private network, all of which are admitted as well;
// temporary_security_group_source_public_ip keeps them out.
// Where the endpoint is on this machine, the caller is loopback; where the address
// cannot be learned, everybody is admitted and a warning says so. The address is
// learned once: from another network a resume reaches the machine only if the
// template names it.
//
// Images of Canonical, Debian and Amazon Linux get a host key in user data, so
// that the machine is known before it boots, unless the template has user data
// of its own. Otherwise the keys are read off the console if they are there
// already, and else pinned at first sight, with a warning. ssh_host_key decides it:
// preset is the first of these or an error, console waits up to 10 minutes for the
// keys on the console, first-use pins.

// Admit opens a temporary security group for the communicator, and for nobody
// but those that the template names or else the caller.
type Admit struct {
	Group  dag.Out[SecurityGroup] `json:"group"`
	Ports  []int                  `json:"ports,omitempty"`
	CIDRs  []string               `json:"cidrs,omitempty"`  // none: the caller's own address
	Insist bool                   `json:"insist,omitempty"` // fail where the caller's address cannot be learned

	// The machine is reached by its private address, and so from a private network,
	// with an address that nobody outside can tell: for sure, or if Network has it so.
	Inside  bool             `json:"inside,omitempty"`
	Network dag.Out[Network] `json:"network,omitempty"`

	Via dag.Out[ConnectEndpoint] `json:"via,omitzero"` // through which the machine is reached
}

// Any address.
const (
	anyIPv4 = "0.0.0.0/0"
	anyIPv6 = "::/0"
)

// privateNetworks are those that are not the Internet's: a VPC's, and those that
// are joined to it.
var privateNetworks = []string{"10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"}

// Admitted says who may reach the machine.
type Admitted struct {
	CIDRs []string `json:"cidrs,omitempty"`
}

func (Admit) Kind() string  { return "aws.admit" }
func (Admit) Title() string { return "open the security group" }

// Do adds the rules; those that are there already are no error.
func (s Admit) Do(ctx context.Context, c *Cloud, t *dag.Task) (Admitted, error) {
	g := s.Group.Value()
	at, err := c.at(ctx, g.Place)
	if err != nil || len(s.Ports) == 0 {
		return Admitted{}, err
	}
	cidrs, groups := s.CIDRs, []string(nil)
	if s.Via.Set() && !s.Via.Value().Preserve { // the machine sees the endpoint, whoever comes through it
		groups = s.Via.Value().Groups
	} else if len(cidrs) == 0 && s.Network.Set() && s.Network.Value().ipv6() { // the caller's own cannot be told from outside
		cidrs = []string{anyIPv6}
	} else if len(cidrs) == 0 {
		own, err := callerCIDR(ctx, at, environ(c.o.Getenv))
		if err != nil {
			if s.Insist {
				return Admitted{}, fmt.Errorf("cannot learn this machine's public address for temporary_security_group_source_public_ip: %w", err)
			}
			own = anyIPv4
			t.Warn("this machine's public address cannot be learned (%v): the security group admits everybody; set temporary_security_group_source_cidrs to narrow it", err)
		}
		cidrs = s.callers(own, at.loopback)
	}
	in := &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &g.ID}
	for _, port := range s.Ports {
		p := types.IpPermission{IpProtocol: ptr("tcp"), FromPort: ptr(int32(port)), ToPort: ptr(int32(port))}
		for _, c := range cidrs {
			if strings.Contains(c, ":") {
				p.Ipv6Ranges = append(p.Ipv6Ranges, types.Ipv6Range{CidrIpv6: ptr(c)})
			} else {
				p.IpRanges = append(p.IpRanges, types.IpRange{CidrIp: ptr(c)})
			}
		}
		for _, id := range groups {
			p.UserIdGroupPairs = append(p.UserIdGroupPairs, types.UserIdGroupPair{GroupId: ptr(id)})
		}
		in.IpPermissions = append(in.IpPermissions, p)
	}
	_, err = at.api.AuthorizeSecurityGroupIngress(ctx, in)
	if err != nil && classify("AuthorizeSecurityGroupIngress", since(g.Made), err).class != alreadyExists {
		return Admitted{}, wrapAPI("open the security group "+g.ID, "AuthorizeSecurityGroupIngress", since(g.Made), err)
	}
	t.Say("admitting %s to port %s", list(append(groups, cidrs...)), strings.Trim(fmt.Sprint(s.Ports), "[]"))
	return Admitted{CIDRs: cidrs}, nil
}

// callers are whom the group admits when only the caller's public address is known.
func (s Admit) callers(own string, loopback bool) []string {
	inside := s.Inside || s.Network.Set() && s.Network.Value().private()
	if !inside || loopback || own == anyIPv4 {
		return []string{own}
	}
	return append([]string{own}, privateNetworks...)
}

// publicIP answers with the address that it was asked from.
const publicIP = "https://checkip.amazonaws.com"

// callerCIDR is the caller as the instance will see it. Whoever plays EC2 on this
// machine sees it from this machine, so nobody is asked.
func callerCIDR(ctx context.Context, at *site, env environ) (string, error) {
	if at.loopback {
		return "127.0.0.0/8", nil
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, publicIP, nil)
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{Proxy: env.proxy(), DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	p, err := io.ReadAll(io.LimitReader(resp.Body, 100))
	if err != nil {
		return "", err
	}
	ip, err := netip.ParseAddr(strings.TrimSpace(string(p)))
	if err != nil || resp.StatusCode != http.StatusOK {
		return "", errors.New(publicIP + " gave no address")
	}
	return netip.PrefixFrom(ip, ip.BitLen()).String(), nil
}
