package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

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
	b.RunTags = map[dag.Text]dag.Text{"Name": "mine", "base": parsed("{{ .SourceAMI }}")}
	b.RunVolumeTag = []VolumeTag{{Name: "v", Value: "1"}}
	b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdf", VolumeSize: 3, VolumeType: "gp3", Throughput: 200, IOPS: 3000},
		{DeviceName: "/dev/sdg", VolumeSize: 1, DeleteOnTermination: &no}}
	var form url.Values
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, f url.Values) bool {
		if action == "RunInstances" {
			form = f
		}
		return false
	})
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

func TestNoRoomInOneSubnet(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template()
	b.SubnetFilter.Random = true
	var tried []string
	var tokens []string
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		if action != "RunInstances" {
			return false
		}
		tried = append(tried, form.Get("SubnetId"))
		tokens = append(tokens, form.Get("ClientToken"))
		if n < 3 {
			refuse(rw, 500, "InsufficientInstanceCapacity", "We currently do not have sufficient t2.micro capacity.")
			return true
		}
		return false
	})
	w.build(&dag.MemStore{}, w.graph(b))
	if len(tried) != 3 || tried[0] == tried[1] || tried[1] == tried[2] || tried[0] == "" {
		t.Errorf("tried %v", tried)
	}
	if tokens[0] == tokens[1] || tokens[1] == tokens[2] {
		t.Errorf("client tokens %v are not one a try", tokens)
	}
	w.only(1)
}

// Capacity comes back within minutes: a launch that found none anywhere is tried again a while later.
func TestNoRoomAnywhere(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	source := must(Source{Place: here, SourceOptions: ubuntu()}.Do(t.Context(), w.cloud, task("s")))
	for _, c := range []struct {
		code  string
		after time.Duration
	}{{"InsufficientInstanceCapacity", 15 * time.Second}, {"Unsupported", 0}} {
		w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
			if action == "RunInstances" {
				refuse(rw, 400, c.code, "Not here.")
			}
			return action == "RunInstances"
		})
		var again *dag.RetryError
		_, err := w.launch(source).Do(t.Context(), w.cloud, task("t1"))
		if code, _ := apiError(err); code != c.code {
			t.Errorf("%s: %v", c.code, err)
		}
		if later := errors.As(err, &again); later != (c.after > 0) || later && again.After != c.after {
			t.Errorf("%s: again %v, after %+v", c.code, later, again)
		}
	}
}

// What EC2 says is not there may be too young to be seen; the code tells which thing that is.
func TestAgeOfWhatIsMissing(t *testing.T) {
	const young, older = time.Second, 10 * time.Minute
	of := func(key, group time.Duration) Launch {
		return Launch{KeyPair: dag.Lit(KeyPair{Made: now().Add(-key)}), Groups: []dag.Out[SecurityGroup]{dag.Lit(SecurityGroup{Made: now().Add(-group)}), dag.Lit(SecurityGroup{Made: now().Add(-old)})}}
	}
	for _, c := range []struct {
		launch Launch
		code   string
		want   time.Duration
	}{
		{of(young, older), "InvalidKeyPair.NotFound", young},
		{of(young, older), "InvalidGroup.NotFound", older},
		{of(older, young), "InvalidKeyPair.NotFound", older},
		{of(older, young), "InvalidGroup.NotFound", young},
		{of(older, young), "InvalidParameterValue", young},
		{of(young, older), "InvalidParameterValue", young},
		{Launch{}, "InvalidKeyPair.NotFound", old},
		{Launch{}, "InvalidGroup.NotFound", old},
	} {
		got := c.launch.age(&smithy.GenericAPIError{Code: c.code})
		if got < c.want || got > c.want+time.Minute {
			t.Errorf("%s: %v, want %v", c.code, got, c.want)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	for _, c := range []struct{ code, message, want string }{
		{"VcpuLimitExceeded", "You have requested more vCPU capacity than your limit.", "ask AWS for a higher limit"},
		{"UnauthorizedOperation", "You are not authorized.", "the permission ec2:RunInstances"},
		{"AuthFailure", "AWS was not able to validate the provided access credentials", "look at the credentials"},
		{"InvalidParameterValue", "Value (nobody) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", "Profile name (look whether iam_instance_profile exists)"},
		{"InvalidParameterValue", "Invalid value 'x' for hostId.", "Invalid value 'x' for hostId"},
	} {
		w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
			if action == "RunInstances" {
				refuse(rw, 400, c.code, c.message)
				return true
			}
			return false
		})
		r, err := w.engine(&dag.MemStore{}, &events{}).Solve(t.Context(), w.graph(whole()))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Failed) != 1 || len(r.Left) != 0 {
			t.Fatalf("%s: failed %v, left %v", c.code, r.Failed, r.Left)
		}
		if got := r.Failed[0].Err.Error(); !strings.HasPrefix(got, "cannot launch t2.micro: "+c.code) || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.code, got)
		} else if strings.Contains(got, "profile") && !strings.Contains(strings.ToLower(c.message), "profile") {
			t.Errorf("%s: %s speaks of a profile where there is none", c.code, got)
		}
		w.only(0)
	}
}

// The launch that is repeated in another process says other things: the lease
// ends later. What the first one made is the instance all the same.
func TestLaunchAdoptsAfterALostReply(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	i, source := w.launched("t1")
	l := w.launch(source)
	l.RunTags = map[dag.Text]dag.Text{"changed": "since"}
	again, err := l.Do(t.Context(), w.cloud, task("t1"))
	if err != nil || again.ID != i.ID {
		t.Fatalf("got %v, %v, want %v", again, err, i)
	}
	if v := w.inventory(); len(v.instances) != 1 {
		t.Errorf("instances: %v", v.instances)
	}
}

// An instance of an earlier attempt that has ended meanwhile is not given back.
func TestLaunchDoesNotAdoptTheDead(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	i, source := w.launched("t1")
	if err := i.Undo(t.Context(), w.cloud, task("t1")); err != nil {
		t.Fatal(err)
	}
	again, err := w.launch(source).Do(t.Context(), w.cloud, task("t1"))
	if err != nil || again.ID == i.ID {
		t.Errorf("got %v, %v", again, err)
	}
}

// A build that is done does not wait for the end of its instance, which it has asked
// for and which has begun.
func TestTerminationIsNotWaitedFor(t *testing.T) {
	w := newWorldOf(t, ec2local.Options{Latency: "terminated=1h"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	store := &dag.MemStore{}
	e := w.engine(store, &events{})
	r, err := e.Solve(ctx, w.graph(reachable()))
	if err != nil || len(r.Failed)+len(r.Left) > 0 || r.Suspended {
		t.Fatalf("%+v, %v", r, err)
	}
	v := w.inventory()
	if len(v.instances) != 1 || len(v.keys)+len(v.groups) > 0 || len(v.images) != 1 {
		t.Errorf("left: %+v", v)
	}
	if i, err := w.site().describeInstances(ctx, filter("instance-id", v.instances...)); err != nil || i[0].State.Name != "shutting-down" {
		t.Errorf("%v, %v", i, err)
	}
	// Nothing is taken for existing that is ending.
	if r, err := w.engine(store, &events{}).Solve(ctx, w.graph(reachable())); err != nil || len(r.Failed)+len(r.Left) > 0 || w.front.count("RunInstances") != 1 {
		t.Errorf("a resume: %+v, %v, %v", r, err, w.front.calls)
	}
	now := time.Duration(0)
	search := OrphanFilter{Regions: []string{home}, OlderThan: &now}
	if found, err := w.cloud.Orphans(ctx, search); err != nil || len(found) > 0 {
		t.Errorf("orphans: %v, %v", found, err)
	}
}

// An answer that does not say that the end has begun is not believed.
func TestTerminationHasBegun(t *testing.T) {
	w := newWorldOf(t, ec2local.Options{Latency: "terminated=1h"})
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		if action == "TerminateInstances" && n == 1 {
			rw.Write([]byte(`<TerminateInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><instancesSet><item><instanceId>` +
				form.Get("InstanceId.1") + `</instanceId><currentState><code>16</code><name>running</name></currentState></item></instancesSet></TerminateInstancesResponse>`))
			return true
		}
		return false
	})
	i, _ := w.launched("launch")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := w.site().terminate(ctx, i.ID, i.Made); err == nil {
		t.Error("it was believed")
	}
	if _, err := w.site().terminate(t.Context(), i.ID, i.Made); err != nil {
		t.Error(err)
	}
}

func TestLaunch(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	source := must(Source{Place: here, SourceOptions: ubuntu()}.Do(t.Context(), w.cloud, task("s")))
	i := testThing(t, w, w.launch(source), func(a, b Instance) bool { return a.ID == b.ID && a.VPC == b.VPC })
	if i.Label() != "instance "+i.ID {
		t.Error(i.Label())
	}
	w.only(0)
	refused(t, w, "RunInstances", w.launch(source), "cannot launch t2.micro: ")
}

// launched is an instance to stand on, made outside any graph.
func (w *world) launched(token string) (Instance, SourceImage) {
	w.t.Helper()
	ctx := context.Background()
	source, err := Source{Place: here, SourceOptions: ubuntu()}.Do(ctx, w.cloud, task(token+"-source"))
	if err != nil {
		w.t.Fatal(err)
	}
	i, err := w.launch(source).Do(ctx, w.cloud, task(token))
	if err != nil {
		w.t.Fatal(err)
	}
	return i, source
}

func (w *world) launch(source SourceImage) Launch {
	return Launch{Place: here, Build: "b", MachineOptions: MachineOptions{InstanceType: "t2.micro"},
		Source: dag.Lit(source), Network: dag.Lit(Network{})}
}

// A metadata service that is turned off is told EC2, with the rest of its block.
func TestDisabledMetadataIsSent(t *testing.T) {
	s := Launch{MachineOptions: MachineOptions{Metadata: Metadata{HTTPEndpoint: "disabled", Tags: "enabled"}}}
	in, err := s.described(NewCloud(CloudOptions{}), task("t"), SourceImage{})
	if err != nil {
		t.Fatal(err)
	}
	if m := in.MetadataOptions; m == nil || m.HttpEndpoint != "disabled" || m.InstanceMetadataTags != "enabled" {
		t.Errorf("%+v", m)
	}
}
