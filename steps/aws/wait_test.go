package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/steps/comm"
)

func TestPort(t *testing.T) {
	var i types.Instance
	tags := func(names ...string) {
		for n, name := range names {
			i.Tags = append(i.Tags, types.Tag{Key: &name, Value: ptr(fmt.Sprint(2222 + n))})
		}
	}
	all := []Wait{{Communicator: "ssh"}, {Communicator: "winrm"}, {Communicator: "winrm", TLS: true}, {Communicator: "none"}}
	ports := func() (ps []int) {
		for _, w := range all {
			ps = append(ps, w.port(i))
		}
		return ps
	}
	if got := ports(); !slices.Equal(got, []int{22, 5985, 5986, 22}) {
		t.Error(got)
	}
	tags(portTag, winrmTag, winrmsTag)
	if got := ports(); !slices.Equal(got, []int{2222, 2223, 2224, 2222}) {
		t.Error(got)
	}
}

func TestConsoleKeys(t *testing.T) {
	const console = "boot\nec2: -----BEGIN SSH HOST KEY KEYS-----\r\nec2: ssh-ed25519 AAAA root@a\r\necdsa-sha2-nistp256 BBBB\n-----END SSH HOST KEY KEYS-----\n" +
		"-----BEGIN SSH HOST KEY KEYS-----\nssh-rsa EVIL\n-----END SSH HOST KEY KEYS-----\n"
	if keys := parseConsole(console); strings.Join(keys, "|") != "ssh-ed25519 AAAA root@a|ecdsa-sha2-nistp256 BBBB" {
		t.Errorf("%q", keys)
	}
	if keys := parseConsole("-----BEGIN SSH HOST KEY KEYS-----\nssh-ed25519 AA"); keys != nil {
		t.Errorf("half a block: %q", keys)
	}
}

func TestAddress(t *testing.T) {
	i := types.Instance{PublicIpAddress: ptr("1.1.1.1"), PrivateIpAddress: ptr("10.0.0.1"), PublicDnsName: ptr("pub"), PrivateDnsName: ptr("priv"), Ipv6Address: ptr("::2")}
	for iface, want := range map[string]string{"": "1.1.1.1", "public_ip": "1.1.1.1", "private_ip": "10.0.0.1", "public_dns": "pub", "private_dns": "priv", "ipv6": "::2"} {
		if got := address(i, iface, 1); got != want {
			t.Errorf("%s: %s, want %s", iface, got, want)
		}
	}
	i.PublicIpAddress = nil
	if address(i, "", 1) != "" || address(i, "", 3) != "10.0.0.1" {
		t.Error("the private address is for who has no public one")
	}
	for _, iface := range []string{"", "session_manager", "instance_connect_endpoint", "ipv6"} {
		i := types.Instance{NetworkInterfaces: []types.InstanceNetworkInterface{{Ipv6Addresses: []types.InstanceIpv6Address{{Ipv6Address: ptr("::3")}}}}}
		if got := address(i, iface, 3); got != "::3" {
			t.Errorf("%s of a machine with IPv6 alone: %q", iface, got)
		}
	}
}

// How the host key comes to be known is the template's to say.
func TestHostKeyFrom(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	key := dag.Lit(comm.Key{Public: "ssh-ed25519 AAAA", Secret: "hk"})
	canonical := SourceImage{Owner: "099720109477"}
	for _, c := range []struct {
		from   string
		key    dag.Out[comm.Key]
		source SourceImage
		want   string // the key, or of the error
	}{
		{"", key, canonical, "ssh-ed25519 AAAA"},
		{"preset", key, canonical, "ssh-ed25519 AAAA"},
		{"preset", key, SourceImage{Owner: "self"}, "set ssh_host_key to console or first-use"},
		{"first-use", dag.Out[comm.Key]{}, canonical, ""},
		{"", key, SourceImage{Owner: "self"}, ""},
	} {
		keys, err := Wait{Source: dag.Lit(c.source), HostKey: c.key, KeyFrom: c.from}.keys(t.Context(), w.site(), nil, "i-0123456789abcdef0")
		got := strings.Join(keys, " ")
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%q of %s: %q, want %q", c.from, c.source.Owner, got, c.want)
		}
	}
}

// What became of an instance is asked of EC2.
func TestStatus(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	ctx, s := t.Context(), w.site()
	images, err := s.api.DescribeImages(ctx, &ec2.DescribeImagesInput{Filters: []types.Filter{filter("name", "ubuntu/images/*")}})
	if err != nil || len(images.Images) == 0 {
		t.Fatal(err)
	}
	out, err := s.api.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: images.Images[0].ImageId, InstanceType: "t3.micro", MinCount: ptr(int32(1)), MaxCount: ptr(int32(1))})
	if err != nil {
		t.Fatal(err)
	}
	e := comm.Endpoint{Thing: *out.Instances[0].InstanceId, Place: here.text()}
	is := func(want comm.Status) {
		t.Helper()
		if got := w.cloud.Status(ctx, e); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	state := func(name types.InstanceStateName) {
		t.Helper()
		if _, err := s.instances.wait(ctx, nil, e.Thing, expected{}, func(i types.Instance) (bool, error) { return i.State.Name == name, nil }); err != nil {
			t.Fatal(err)
		}
	}
	state("running")
	is(comm.Status{})
	if _, err := s.api.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{e.Thing}}); err != nil {
		t.Fatal(err)
	}
	state("stopped")
	is(comm.Status{State: comm.Stopped, Why: "Client.UserInitiatedShutdown: User initiated shutdown"})
	if _, err := s.api.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{e.Thing}}); err != nil {
		t.Fatal(err)
	}
	state("terminated")
	is(comm.Status{State: comm.Terminated, Why: "Client.UserInitiatedShutdown: User initiated shutdown"})
	e.Thing = "i-0123456789abcdef0"
	is(comm.Status{State: comm.Terminated, Why: "EC2 does not know it any more"})
	w.fail("DescribeInstances")
	is(comm.Status{})
}

// One that is ending has ended, as far as a build goes: nothing brings it back.
func TestStatusWhileEnding(t *testing.T) {
	w := newWorldOf(t, ec2local.Options{Latency: "terminated=1h"})
	i, _ := w.launched("t1")
	if err := i.Undo(t.Context(), w.cloud, task("t1")); err != nil {
		t.Fatal(err)
	}
	if got := must(w.site().describeInstances(t.Context(), filter("instance-id", i.ID))); got[0].State.Name != types.InstanceStateNameShuttingDown {
		t.Fatalf("it is %s", got[0].State.Name)
	}
	if got := w.cloud.Status(t.Context(), comm.Endpoint{Thing: i.ID, Place: here.text()}); got.State != comm.Terminated {
		t.Errorf("%+v", got)
	}
	if found, err := i.Find(t.Context(), w.cloud, task("t1")); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("found by its id: %v, %v", found, err)
	}
	if found, err := (Instance{Place: here}).Find(t.Context(), w.cloud, task("t1")); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("found by its token: %v, %v", found, err)
	}
}

// An instance that runs tells where it is; one that never will says so.
func TestWait(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	i, source := w.launched("t1")
	step := Wait{Instance: dag.Lit(i).Take(), Source: dag.Lit(source), Communicator: "none", User: "ubuntu"}
	e, err := step.Do(t.Context(), w.cloud, task("t2"))
	if err != nil || e.Protocol != "none" || e.Thing != i.ID || placeOf(e.Place) != here || e.Host == "" {
		t.Errorf("%+v, %v", e, err)
	}
	for name, want := range map[string]string{"ID": i.ID, "Host": e.Host, "User": "ubuntu", "ConnType": "none", "PackerRunUUID": "r1"} {
		if e.Vars[name] != want {
			t.Errorf("%s is %q, want %q", name, e.Vars[name], want)
		}
	}
	refused(t, w, "DescribeInstances", step, "cannot wait for "+i.ID+": ")
	w.rest(i)
	within, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := step.Do(within, w.cloud, task("t5")); errcode.Of(err) != errcode.MachineDown || !strings.HasPrefix(err.Error(), "cannot wait for "+i.ID+": it is stopped") {
		t.Errorf("one that has stopped: %v", err)
	}
	if err := i.Undo(t.Context(), w.cloud, task("t1")); err != nil {
		t.Fatal(err)
	}
	if _, err := step.Do(t.Context(), w.cloud, task("t3")); err == nil || !strings.HasPrefix(err.Error(), "cannot wait for "+i.ID+": it ") {
		t.Errorf("one that has ended: %v", err)
	}
	step.Instance = dag.Lit(Instance{Place: here, ID: "i-00000000000000000", Made: time.Now().Add(-time.Hour)}).Take()
	if _, err := step.Do(t.Context(), w.cloud, task("t4")); err == nil || !strings.Contains(err.Error(), "does not exist any more") {
		t.Errorf("one that is not there: %v", err)
	}
}

// A spot instance that EC2 takes back is an interruption: the run goes on with another one, and
// ends with its image.
func TestReclaimIsAnInterruption(t *testing.T) {
	for reclaims := 1; reclaims <= 3; reclaims++ {
		w := newWorld(t, ec2local.Faults{Spot: time.Nanosecond, Reclaims: reclaims})
		b := template()
		b.Price = "auto"
		log := &events{}
		r, err := w.engine(&dag.MemStore{}, log).Solve(t.Context(), w.graph(b))
		if err != nil || len(r.Failed)+len(r.Left) > 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		w.only(1)
		all, err := w.site().describeInstances(t.Context())
		if err != nil || len(all) != reclaims+1 {
			t.Errorf("%d instances ever were, %v", len(all), err)
		}
		told := 0
		for _, e := range log.list {
			if e.Type == dag.Warned && strings.Contains(e.Text, "Spot") && strings.Contains(e.Text, "another one is made") {
				told++
			}
		}
		if told != reclaims {
			t.Errorf("it was told %d times, want %d", told, reclaims)
		}
	}
}

// One that is taken back again and again is a failure in the end, which leaves nothing.
func TestReclaimedTooOften(t *testing.T) {
	w := newWorld(t, ec2local.Faults{Spot: time.Nanosecond})
	b := template()
	b.Price = "auto"
	r, err := w.engine(&dag.MemStore{}, &events{}).Solve(t.Context(), w.graph(b))
	if err != nil || len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Err.Error(), "(3 new machines were made before)") {
		t.Fatalf("%+v, %v", r, err)
	}
	w.only(0)
}
