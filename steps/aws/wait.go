package aws

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/sleep"
	"github.com/imgflow/imgflow/steps/comm"
)

// Wait waits until the instance runs and says where it can be reached.
type Wait struct {
	Instance     dag.Take[Instance]   `json:"instance"`
	Source       dag.Out[SourceImage] `json:"source"`
	HostKey      dag.Out[comm.Key]    `json:"host_key"`           // that the machine was given
	KeyFrom      string               `json:"key_from,omitempty"` // preset, console or first-use; "": the best that there is
	Communicator string               `json:"protocol,omitempty"` // ssh, winrm or none
	TLS          bool                 `json:"tls,omitempty"`      // winrm over HTTPS
	Interface    string               `json:"interface,omitempty"`
	User         string               `json:"user,omitempty"`
	Stops        bool                 `json:"stops,omitempty" key:"-"`  // by itself, when it has been provisioned
	Tested       bool                 `json:"tested,omitempty" key:"-"` // the instance is there to test the image
}

func (Wait) Kind() string  { return "aws.wait" }
func (Wait) Title() string { return "wait until the instance runs" }

// Do has no deadline: an instance that will never run says so itself.
func (s Wait) Do(ctx context.Context, c *Cloud, t *dag.Task) (comm.Endpoint, error) {
	in := s.Instance.Value()
	at, err := c.at(ctx, in.Place)
	if err != nil {
		return comm.Endpoint{}, err
	}
	t.Say("waiting until %s runs", in.ID)
	var host string
	looks := 0
	i, err := at.instances.wait(ctx, t, in.ID, untilRunning.since(in.Made), func(i types.Instance) (bool, error) {
		switch i.State.Name {
		case types.InstanceStateNameRunning:
			looks++
			host = address(i, s.Interface, looks)
			return host != "" || s.Communicator == "none", nil
		case types.InstanceStateNameShuttingDown, types.InstanceStateNameTerminated, types.InstanceStateNameStopping, types.InstanceStateNameStopped:
			err := errcode.With(errcode.MachineDown, fmt.Errorf("cannot wait for %s: it is %s%s", in.ID, i.State.Name, reason(i)))
			return false, takenIf(reclaimed(i), err)
		}
		return false, nil
	})
	source := s.Source.Value()
	switch {
	case err != nil && s.Tested && !isCall(err) && ctx.Err() == nil:
		return comm.Endpoint{}, fmt.Errorf("cannot test %s: an instance of it does not boot: %w", source.ID, waitFault(in.ID, err))
	case err != nil:
		return comm.Endpoint{}, waitFault(in.ID, err)
	}
	e := comm.Endpoint{Protocol: s.Communicator, Host: host, Port: s.port(i), Thing: in.ID, Place: in.Place.text(), Stops: s.Stops, Fleeting: in.Spot, Vars: source.vars()}
	if e.Protocol == "ssh" {
		if e.HostKeys, err = s.keys(ctx, at, t, in.ID); err != nil {
			return comm.Endpoint{}, err
		}
	}
	e.Vars["ID"] = in.ID
	e.Vars["Host"] = host
	e.Vars["Port"] = strconv.Itoa(e.Port)
	e.Vars["User"] = s.User
	e.Vars["ConnType"] = s.Communicator
	e.Vars["PackerRunUUID"] = t.Run
	if host != "" {
		t.Say("%s runs at %s", in.ID, host)
	}
	return e, nil
}

// keys are the host keys that the machine must show; none where the first that it
// shows is to be trusted.
func (s Wait) keys(ctx context.Context, at *site, t *dag.Task, id string) ([]string, error) {
	preset := hostKeys(s.Source.Value(), s.HostKey)
	switch {
	case s.KeyFrom == "first-use" || len(preset) > 0:
		return preset, nil
	case s.KeyFrom == "preset":
		return nil, fmt.Errorf("cannot give %s its host key: only images of Canonical, Debian and Amazon Linux are known to take one from user data; set ssh_host_key to console or first-use", id)
	}
	for began, told := time.Now(), false; ; {
		keys := parseConsole(at.console(ctx, id))
		if len(keys) > 0 || s.KeyFrom == "" {
			return keys, nil
		}
		if time.Since(began) > consoleTime {
			return nil, fmt.Errorf("cannot learn the host keys of %s: it has not printed them on its console in %s; set ssh_host_key to first-use to trust what it shows", id, consoleTime)
		}
		if !told {
			t.Say("waiting until the console of %s shows its host keys", id)
			told = true
		}
		if err := sleep.For(ctx, consolePause); err != nil {
			return nil, err
		}
	}
}

// How long EC2 may take to show what was printed on the console of a machine that
// boots, and between two looks.
const (
	consoleTime  = 10 * time.Minute
	consolePause = 5 * time.Second
)

// waitFault words the end of a wait that came to nothing.
func waitFault(id string, err error) error {
	if errors.Is(err, dag.ErrNotFound) {
		return errcode.With(errcode.MachineDown, fmt.Errorf("cannot wait for %s: it does not exist any more", id))
	}
	if isCall(err) {
		return wrapAPI("wait for "+id, "DescribeInstances", old, err)
	}
	return err
}

// address is where to dial. By itself it prefers the public address, and takes
// the private one when no public one has come by the third look; that of IPv6 in a
// network which has no other.
func address(i types.Instance, iface string, looks int) string {
	switch iface {
	case "public_ip":
		return text(i.PublicIpAddress)
	case "session_manager", "instance_connect_endpoint": // it is not dialed, but known by it
		if a := text(i.PrivateIpAddress); a != "" {
			return a
		}
		return address(i, "ipv6", looks)
	case "private_ip":
		return text(i.PrivateIpAddress)
	case "public_dns":
		return text(i.PublicDnsName)
	case "private_dns":
		return text(i.PrivateDnsName)
	case "ipv6":
		for _, n := range i.NetworkInterfaces {
			for _, a := range n.Ipv6Addresses {
				return text(a.Ipv6Address)
			}
		}
		return text(i.Ipv6Address)
	}
	if a := text(i.PublicIpAddress); a != "" || looks < 3 {
		return a
	}
	if a := text(i.PrivateIpAddress); a != "" {
		return a
	}
	return address(i, "ipv6", looks)
}

// port is where the communicator listens, which an embedded EC2 may not serve at
// its usual number.
func (s Wait) port(i types.Instance) int {
	name, usual := portTag, 22
	switch {
	case s.Communicator == "winrm" && s.TLS:
		name, usual = winrmsTag, 5986
	case s.Communicator == "winrm":
		name, usual = winrmTag, 5985
	}
	if p, err := strconv.Atoi(tag(i.Tags, name)); err == nil && p > 0 {
		return p
	}
	return usual
}

// reason is why an instance is in the state that it is in.
func reason(i types.Instance) string {
	if i.StateReason != nil && text(i.StateReason.Message) != "" {
		return ": " + text(i.StateReason.Message)
	}
	if r := text(i.StateTransitionReason); r != "" {
		return ": " + r
	}
	return ""
}

// reclaimed reports whether EC2 has taken an instance back, or has had no room for one that it had
// promised.
func reclaimed(i types.Instance) bool {
	if i.State == nil || !ended(*i.State) || i.StateReason == nil {
		return false
	}
	code := text(i.StateReason.Code)
	return strings.HasPrefix(code, "Server.SpotInstance") || code == "Server.InsufficientInstanceCapacity"
}

// taken is the error of a step that works on an instance. Where that is one which EC2 may take
// back, and has, this is why.
func (s *site) taken(ctx context.Context, id string, fleeting bool, err error) error {
	if err == nil || !fleeting || ctx.Err() != nil {
		return err
	}
	found, lookErr := s.describeInstances(ctx, filter("instance-id", id))
	if lookErr != nil || len(found) == 0 || !reclaimed(found[0]) {
		return err
	}
	return dag.Taken(fmt.Errorf("%w (it is %s%s)", err, found[0].State.Name, reason(found[0])))
}

func takenIf(taken bool, err error) error {
	if taken {
		return dag.Taken(err)
	}
	return err
}

// console is what the machine has printed on its console, as far as EC2 shows it
// at once; early output is often not there yet.
func (s *site) console(ctx context.Context, id string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	in := &ec2.GetConsoleOutputInput{InstanceId: &id, Latest: ptr(true)}
	out, err := s.api.GetConsoleOutput(ctx, in)
	if err != nil { // only types on Nitro have their latest output shown
		in.Latest = nil
		out, err = s.api.GetConsoleOutput(ctx, in)
	}
	if err != nil {
		return ""
	}
	p, err := base64.StdEncoding.DecodeString(text(out.Output))
	if err != nil {
		return ""
	}
	return string(p)
}

// consoleTail is the end of what the machine printed, without what it printed of
// a password.
func (s *site) consoleTail(ctx context.Context, id string) string {
	var lines []string
	for line := range strings.Lines(s.console(ctx, id)) {
		line = strings.TrimSpace(strings.ToValidUTF8(line, ""))
		if line != "" && !strings.Contains(strings.ToLower(line), "password") {
			lines = append(lines, "  "+line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// Console is the end of what an instance that [Wait] told of has printed, or "".
func (c *Cloud) Console(ctx context.Context, e comm.Endpoint) string {
	at, err := c.at(ctx, placeOf(e.Place))
	if err != nil {
		return ""
	}
	return at.consoleTail(ctx, e.Thing)
}

// Status is what has become of an instance that [Wait] told of. One that EC2 does not
// show any more was terminated an hour ago or earlier.
func (c *Cloud) Status(ctx context.Context, e comm.Endpoint) comm.Status {
	at, err := c.at(ctx, placeOf(e.Place))
	if err != nil {
		return comm.Status{}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*at.window+time.Second)
	defer cancel()
	i, err := at.instances.wait(ctx, nil, e.Thing, expected{}, func(types.Instance) (bool, error) { return true, nil })
	switch {
	case errors.Is(err, dag.ErrNotFound):
		return comm.Status{State: comm.Terminated, Why: "EC2 does not know it any more"}
	case err != nil || i.State == nil:
		return comm.Status{}
	}
	f := comm.Status{Why: strings.TrimPrefix(reason(i), ": ")}
	switch i.State.Name {
	case types.InstanceStateNameStopped:
		f.State = comm.Stopped
	case types.InstanceStateNameTerminated, types.InstanceStateNameShuttingDown:
		f.State, f.Taken = comm.Terminated, reclaimed(i)
	}
	return f
}

// parseConsole takes the first block of host keys, as cloud-init prints them; a later one may come from
// whatever runs on the machine.
func parseConsole(console string) (keys []string) {
	inside := false
	for line := range strings.Lines(console) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "ec2:"))
		switch {
		case strings.Contains(line, "BEGIN SSH HOST KEY KEYS"):
			inside = true
		case strings.Contains(line, "END SSH HOST KEY KEYS"):
			return keys
		case inside && (strings.HasPrefix(line, "ssh-") || strings.HasPrefix(line, "ecdsa-")):
			keys = append(keys, line)
		}
	}
	return nil
}
