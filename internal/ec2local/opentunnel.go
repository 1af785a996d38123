package ec2local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/imgflow/imgflow/internal/websock"
)

// openTunnelPath is where the tunnels of EC2 Instance Connect Endpoints begin. AWS has it below
// the name of each endpoint; here the endpoint is told by the request.
const openTunnelPath = "/openTunnel"

// connectService is what requests for tunnels are signed for.
const connectService = "ec2-instance-connect"

// longestTunnel is how long AWS lets one be, in seconds.
const longestTunnel = 3600

// openTunnels are the WebSockets of tunnels, and through which endpoint each goes.
type openTunnels struct {
	mu   sync.Mutex
	open map[*websocket.Conn]string
}

func (o *openTunnels) add(c *websocket.Conn, endpoint string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open == nil {
		o.open = map[*websocket.Conn]string{}
	}
	o.open[c] = endpoint
}

func (o *openTunnels) remove(c *websocket.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.open, c)
}

// cut breaks the tunnels of an endpoint; all if it is "".
func (o *openTunnels) cut(endpoint string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c, of := range o.open {
		if endpoint == "" || of == endpoint {
			go c.CloseNow()
			n++
		}
	}
	return n
}

// CutTunnels breaks all tunnels of EC2 Instance Connect Endpoints, and says how many there were.
func (s *Server) CutTunnels() int { return s.openTunnels.cut("") }

// A wantedTunnel is what the query of a request asks for.
type wantedTunnel struct {
	endpoint string
	addr     string
	port     int
	lasts    time.Duration
}

// readTunnel reads the query, of which nothing is overlooked.
func readTunnel(m *message) (w wantedTunnel, err error) {
	w.lasts = longestTunnel * time.Second
	for name, values := range m.query {
		if len(values) != 1 {
			return w, fmt.Errorf("the parameter %s stands there more than once", name)
		}
		v := values[0]
		n, no := strconv.Atoi(v)
		switch name {
		case "instanceConnectEndpointId":
			w.endpoint = v
		case "privateIpAddress":
			w.addr = v
		case "remotePort":
			if no != nil || n != 22 && n != 3389 {
				return w, errors.New("remotePort must be 22 or 3389")
			}
			w.port = n
		case "maxTunnelDuration":
			if no != nil || n < 1 || n > longestTunnel {
				return w, fmt.Errorf("maxTunnelDuration must be between 1 and %d", longestTunnel)
			}
			w.lasts = time.Duration(n) * time.Second
		case "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-SignedHeaders":
		default:
			return w, errors.New("there is a parameter that this endpoint does not know")
		}
	}
	if w.endpoint == "" || w.addr == "" || w.port == 0 {
		return w, errors.New("it needs instanceConnectEndpointId, privateIpAddress and remotePort")
	}
	return w, nil
}

// serveTunnel answers a request for a tunnel, and carries it. The error is for the log.
func (s *Server) serveTunnel(w http.ResponseWriter, r *http.Request) error {
	refuse := func(status int, err error) error {
		body, _ := json.Marshal(map[string]string{"message": err.Error()}) // a text always marshals
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		w.Write(body)
		return err
	}
	m, err := readMessage(r)
	if err != nil {
		return refuse(http.StatusBadRequest, err)
	}
	who, err := s.authenticate(m)
	if err == nil && who.service != connectService {
		err = fail("AuthFailure", "The signature must be for %s.", connectService)
	}
	if err != nil {
		return refuse(http.StatusForbidden, errors.New(asAPI(err).Message))
	}
	want, err := readTunnel(m)
	if err != nil {
		return refuse(http.StatusBadRequest, err)
	}
	var to string
	err = s.view(func(t *txn) (err error) {
		to, err = (&call{txn: t, caller: who, action: "OpenTunnel"}).tunnelTo(want, r.RemoteAddr)
		return err
	})
	if err != nil {
		status := http.StatusBadRequest
		if asAPI(err).Code == "AccessDenied" {
			status = http.StatusForbidden
		}
		return refuse(status, errors.New(asAPI(err).Message))
	}
	c, err := websock.Accept(w, r)
	if err != nil {
		return err
	}
	s.openTunnels.add(c, want.endpoint)
	s.spawn(func() {
		defer s.openTunnels.remove(c)
		if err := s.carryTunnel(c, to, want.lasts); err != nil {
			s.logf("%s OpenTunnel %s: %v", who.region, want.endpoint, err)
		}
	})
	return nil
}

// carryTunnel connects a WebSocket with an address of this machine; "" for one that lets
// nobody in.
func (s *Server) carryTunnel(c *websocket.Conn, to string, lasts time.Duration) error {
	ctx, cancel := context.WithTimeout(s.ctx, lasts)
	defer cancel()
	far, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", to)
	if err != nil {
		c.Close(websocket.StatusInternalError, "Unable to connect to target")
		return err
	}
	near := websock.Stream(c)
	end := sync.OnceFunc(func() { near.Close(); far.Close() })
	defer context.AfterFunc(ctx, end)()
	go func() {
		io.Copy(far, near)
		end()
	}()
	io.Copy(near, far)
	end()
	return nil
}

// tunnelTo is the address of this machine that a tunnel leads to.
func (c *call) tunnelTo(want wantedTunnel, from string) (string, error) {
	e := get[connectEndpoint](c.txn, c.region, want.endpoint)
	err := c.authorize(func() []demand {
		keys := map[string][]string{
			"ec2-instance-connect:remoteport": {strconv.Itoa(want.port)}, "ec2-instance-connect:privateipaddress": {want.addr},
			"ec2-instance-connect:maxtunnelduration": {strconv.Itoa(int(want.lasts.Seconds()))},
		}
		if e != nil {
			for k, v := range c.resourceTags(c.region, e.ID) {
				keys[k] = v
			}
		}
		return []demand{c.demand(arn("ec2", c.region, "instance-connect-endpoint/"+want.endpoint), keys)}
	})
	if err != nil {
		return "", err
	}
	if e == nil {
		return "", fail("InvalidParameter", "There is no instance connect endpoint %q.", want.endpoint)
	}
	for _, i := range all[instance](c.txn, c.region) {
		if i.Addr != want.addr || i.VPC != e.VPC || i.State != running {
			continue
		}
		if !c.admits(i, e, want.port, from) {
			return "", fail("InvalidParameter", "The security groups of %s do not let %s in at port %d.", i.ID, e.ID, want.port)
		}
		port := want.port
		if served, ok := i.Ports["ssh"]; ok && port == 22 { // a guest that could not have the usual one
			port = served
		}
		return net.JoinHostPort(i.Addr, strconv.Itoa(port)), nil
	}
	return "", fail("InvalidParameter", "No instance that runs in %s has the address %s.", e.VPC, want.addr)
}

// admits tells whether the groups of an instance let an endpoint in: from its own groups, or
// from the client's address where it keeps that.
func (c *call) admits(i *instance, e *connectEndpoint, port int, from string) bool {
	host, _, _ := net.SplitHostPort(from)
	client, _ := netip.ParseAddr(host)
	for _, id := range i.Groups {
		g := get[group](c.txn, c.region, id)
		if g == nil {
			continue
		}
		for _, r := range g.Rules {
			if r.Egress || r.Protocol != "-1" && (r.Protocol != "tcp" || port < r.From || port > r.To) {
				continue
			}
			if !e.Preserve && slices.Contains(e.Groups, r.Group) {
				return true
			}
			source := client
			if !e.Preserve { // an address of its subnet, which only rules of all of it surely have
				source = netip.MustParsePrefix(get[subnet](c.txn, c.region, e.Subnet).CIDR).Addr()
			}
			if p, err := netip.ParsePrefix(r.IPv4); err == nil && p.Contains(source.Unmap()) {
				return true
			}
		}
	}
	return false
}
