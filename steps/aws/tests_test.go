package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// probe is a provisioner that fails if its text is bad.
type probe struct {
	On   dag.Take[comm.Machine] `json:"on"`
	Text string                 `json:"text"`
}

func (probe) Kind() string { return "test.probe" }
func (p probe) Do(context.Context, *comm.Env, *dag.Task) (comm.Machine, error) {
	if p.Text == "bad" {
		return comm.Machine{}, errors.New("the image lacks a file")
	}
	return p.On.Value(), nil
}

// tested adds a build whose image is tested by probes of those texts.
func (w *world) tested(g *dag.Graph, b *EBS, name string, texts ...string) {
	w.t.Helper()
	bd := dag.Build{Name: name, Type: "amazon-ebs"}
	for i, text := range texts {
		test := fmt.Sprintf("test-%d", i+1)
		b.Test().Add(test, func(m dag.Out[comm.Machine]) dag.Out[comm.Machine] {
			return dag.Add(g, bd, test+".probe", probe{m.Take(), text})
		})
	}
	w.add(g, b, name)
}

// try solves a graph with probes in a new process.
func (w *world) try(store dag.Store, g *dag.Graph) *dag.Report {
	w.t.Helper()
	e, err := dag.New(dag.Options{Run: "r1", Store: store, Kinds: append(w.kinds(), dag.Bind[probe](comm.NewEnv(w.vault))), Sink: &events{}})
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := e.Solve(w.t.Context(), g)
	if err != nil || len(r.Left) > 0 {
		w.t.Fatal(err, r.Left)
	}
	return r
}

// published is what others see of images: those that are marked, shared, protected,
// deprecated, and copied.
func (w *world) published() (what []string) {
	w.t.Helper()
	v := w.inventory()
	for _, id := range v.images {
		i := w.describeImage(id)
		if tag(i.Tags, TagArtifact) != "" || tag(i.Tags, TagExpires) == "never" {
			what = append(what, "marked")
		}
		if strings.HasPrefix(text(i.DeregistrationProtection), "enabled") {
			what = append(what, "protected")
		}
		if text(i.DeprecationTime) != "" {
			what = append(what, "deprecated")
		}
		a := must(w.client().DescribeImageAttribute(w.t.Context(), &ec2.DescribeImageAttributeInput{ImageId: &id, Attribute: types.ImageAttributeNameLaunchPermission}))
		if len(a.LaunchPermissions) > 0 {
			what = append(what, "shared")
		}
	}
	there := must(w.cloud.at(w.t.Context(), Place{Region: "eu-west-1"}))
	if out := must(there.api.DescribeImages(w.t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}})); len(out.Images) > 0 {
		what = append(what, "copied")
	}
	return what
}

// An image that has not passed all its tests stays, and nobody gets it; what tested it
// goes. Tested again with success, the same image is published.
func TestNothingIsPublishedBeforeTheTests(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	graph := func(texts ...string) *dag.Graph {
		b := reachable()
		b.AMIRegions, b.Users, b.Protection.Enabled = []string{"eu-west-1"}, []string{"123456789012"}, true
		b.DeprecateAt = time.Now().AddDate(1, 0, 0).UTC().Format("2006-01-02T15:04:00Z")
		g := dag.NewGraph(nil)
		w.tested(g, b, "web", texts...)
		return g
	}
	store := &dag.MemStore{}
	r := w.try(store, graph("good", "bad"))
	if len(r.Failed) != 1 || r.Failed[0].Name != "test-2.probe" || len(r.Stayed) != 1 {
		t.Fatalf("%+v", r)
	}
	w.only(1)
	image := w.inventory().images[0]
	if got := w.published(); len(got) > 0 || r.Stayed[0].Label != "image "+image+" in "+home {
		t.Errorf("it is %q; what stays is %s", got, r.Stayed[0].Label)
	}
	if r = w.try(store, graph("good", "better")); len(r.Failed)+len(r.Stayed) > 0 {
		t.Fatalf("%+v", r)
	}
	if got := w.published(); !slices.Equal(got, []string{"marked", "protected", "deprecated", "shared", "copied"}) {
		t.Errorf("it is %q", got)
	}
	if v := w.inventory(); !slices.Equal(v.images, []string{image}) || len(v.instances)+len(v.keys)+len(v.groups)+len(v.volumes) > 0 {
		t.Errorf("%+v, want %s", v, image)
	}
	launched := len(must(w.site().describeInstances(t.Context())))
	if launched != 4 { // the build's, two tests, and the second of them again
		t.Errorf("%d instances ever were", launched)
	}

}

// A test that is new when the image is ready is waited for by what was not done yet.
func TestLateTestIsWaitedFor(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	graph := func(texts ...string) *dag.Graph {
		b := template()
		b.AMIRegions, b.Users = []string{"eu-west-1"}, []string{"123456789012"}
		g := dag.NewGraph(nil)
		w.tested(g, b, "web", texts...)
		return g
	}
	store := &dag.MemStore{}
	w.front.setPlay(func(rw http.ResponseWriter, action string, _ int, _ url.Values) bool {
		no := action == "CopyImage" || action == "ModifyImageAttribute"
		if no {
			refuse(rw, 400, "OutOfOrder", "The test says no.")
		}
		return no
	})
	if r := w.try(store, graph("good")); len(r.Failed) != 2 {
		t.Fatalf("%+v", r)
	}
	w.front.setPlay(nil)
	if r := w.try(store, graph("bad")); len(r.Failed) != 1 || !slices.Equal(w.published(), []string{"marked"}) {
		t.Errorf("it is %q although a test has failed: %+v", w.published(), r.Failed)
	}
}

// The image is an orphan when its lease has ended, as all that is no result.
func TestUntestedImageHasALease(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	g := dag.NewGraph(nil)
	w.tested(g, template(), "web", "bad")
	w.try(&dag.MemStore{}, g)
	image := w.inventory().images[0]
	l := must(w.site().tagsOf(t.Context(), filter("resource-id", image)))[image]
	end, err := time.Parse(time.RFC3339, l.tags[TagExpires])
	if err != nil || time.Until(end) < 0 || l.tags[TagRun] != "r1" {
		t.Errorf("%v: %v", l.tags, err)
	}
}

// What a test says of its machine counts there alone; the rest is the build's, but for
// volumes, which the image brings.
func TestOptionsOfATest(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := reachable()
	b.UserData = "#!/bin/sh\necho build\n"
	b.RunTags = map[dag.Text]dag.Text{"team": "images"}
	b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdf", VolumeSize: 1, DeleteOnTermination: ptr(false)}}
	o := b.Test().(*Test)
	o.InstanceType, o.UserData = "t3.small", "#!/bin/sh\necho test\n"
	o.Add("test", unprovisioned)
	b.Test().Add("plain", unprovisioned)
	g := dag.NewGraph(nil)
	w.add(g, b, "web")
	var mu sync.Mutex
	data := map[string]string{} // user data, by the client token of the launch
	w.front.setPlay(func(_ http.ResponseWriter, _ string, _ int, form url.Values) bool {
		mu.Lock()
		defer mu.Unlock()
		data[form.Get("ClientToken")] = form.Get("UserData")
		return false
	})
	if r := w.try(&dag.MemStore{}, g); len(r.Failed) > 0 {
		t.Fatal(r.Failed)
	}
	seen := map[string]string{}
	for _, i := range must(w.site().describeInstances(t.Context())) {
		seen[tag(i.Tags, TagStep)] = strings.Join([]string{string(i.InstanceType), data[text(i.ClientToken)], tag(i.Tags, "team"), tag(i.Tags, TagBuild), tag(i.Tags, TagRun)}, " ")
	}
	for step, want := range map[string]string{
		"launch":       "t2.micro IyEvYmluL3NoCmVjaG8gYnVpbGQK images web r1",
		"test.launch":  "t3.small IyEvYmluL3NoCmVjaG8gdGVzdAo= images web r1",
		"plain.launch": "t2.micro IyEvYmluL3NoCmVjaG8gYnVpbGQK images web r1",
	} {
		if seen[step] != want {
			t.Errorf("the instance of %s is %q, want %q", step, seen[step], want)
		}
	}
	if v := w.inventory(); len(v.volumes) != 1 || len(v.instances) > 0 { // the build's, which is to be kept
		t.Errorf("%+v", v)
	}
}

// One image may be tested on machines that the build could not use.
func TestFaultsOfATest(t *testing.T) {
	for _, x := range []struct {
		field string
		edit  func(*EBS, *Test)
	}{
		{"instance_type", func(_ *EBS, o *Test) { o.InstanceType = "big one" }},
		{"user_data_file", func(_ *EBS, o *Test) { o.UserData, o.UserDataFile.Path = "x", "tests_test.go" }},
		{"user_data_file", func(_ *EBS, o *Test) { o.UserDataFile.Path = t.TempDir() }},
		{"user_data", func(_ *EBS, o *Test) { o.UserData = strings.Repeat("x", 1<<20) }},
		{"max_lifetime", func(b *EBS, o *Test) { b.MaxLifetime, o.UserData = time.Hour, "text" }},
		{"", func(_ *EBS, o *Test) { o.InstanceType, o.UserData = "m5.large", "#!/bin/sh\n" }},
		{"", func(b *EBS, o *Test) { b.UserData = strings.Repeat("x", 1<<20) }}, // which is told of the build
	} {
		b := template()
		o := b.Test().(*Test)
		x.edit(b, o)
		faults := o.Check()
		if x.field == "" && len(faults) > 0 || x.field != "" && !slices.ContainsFunc(faults, func(f steps.OptionError) bool { return f.Field == x.field }) {
			t.Errorf("%+v: %v, want a fault of %q", o, faults, x.field)
		}
	}
}

// An instance of the image that ends while it boots is the image's fault, and that of a
// build's source is not.
func TestImageThatDoesNotBoot(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	i, _ := w.launched("dies")
	if err := i.Undo(t.Context(), w.cloud, task("dies")); err != nil {
		t.Fatal(err)
	}
	for _, tested := range []bool{false, true} {
		_, err := Wait{Instance: dag.Lit(i).Take(), Source: dag.Lit(SourceImage{ID: "ami-1"}), Communicator: "none", Tested: tested}.Do(t.Context(), w.cloud, task("wait"))
		if err == nil || strings.HasPrefix(err.Error(), "cannot test ami-1: an instance of it does not boot: cannot wait for "+i.ID) != tested {
			t.Errorf("tested %v: %v", tested, err)
		}
	}
}

// A build with a test dies at writes of its store. Resumed, it ends with exactly one
// image, of the only instance that ever was beside that of the test.
func TestDeathInATest(t *testing.T) {
	graph := func(w *world) *dag.Graph {
		g := dag.NewGraph(nil)
		w.tested(g, reachable(), "web", "good")
		return g
	}
	count := &mortal{}
	w := newWorld(t, ec2local.Faults{})
	w.try(count, graph(w))
	step := 3
	if *every {
		step = 1
	}
	for at := 1; at <= count.writes; at += step {
		for _, lands := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d landed %v", at, lands), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, ec2local.Faults{})
				w.cloud.o.ConsistencyWindow = 50 * time.Millisecond
				store := &mortal{at: at, lands: lands}
				e := must(dag.New(dag.Options{Run: "r1", Store: store, Kinds: append(w.kinds(), dag.Bind[probe](comm.NewEnv(w.vault))), Sink: &events{}}))
				if _, err := e.Solve(t.Context(), graph(w)); err == nil && store.dead {
					t.Fatal("the death was not noticed")
				}
				last := &dag.MemStore{}
				last.Put(must(store.All())...)
				g := graph(w)
				w.forget(g)
				if r := w.try(last, g); len(r.Failed) > 0 {
					t.Fatalf("%+v", r.Failed)
				}
				w.only(1)
				if got := w.published(); !slices.Equal(got, []string{"marked"}) {
					t.Errorf("it is %q", got)
				}
				if all := must(w.site().describeInstances(t.Context())); len(all) != 2 {
					t.Errorf("%d instances ever were", len(all))
				}
			})
		}
	}
}

// Ten builds with a test each call EC2 for what each has of its own: two launches, and
// the image. All else is shared, or goes together.
func TestTestsAreCheap(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	g := dag.NewGraph(nil)
	const n = 10
	for i := range n {
		b := reachable()
		b.AMIName = fmt.Sprintf("image-%d", i)
		w.tested(g, b, b.AMIName, "good")
	}
	if r := w.try(&dag.MemStore{}, g); len(r.Failed) > 0 {
		t.Fatal(r.Failed)
	}
	w.front.mu.Lock()
	defer w.front.mu.Unlock()
	for action, most := range map[string]int{"RunInstances": 2 * n, "CreateImage": n, "ImportKeyPair": 1, "CreateSecurityGroup": 1, "AuthorizeSecurityGroupIngress": 1, "DeleteSecurityGroup": 1,
		"ModifyInstanceAttribute": 0, "StopInstances": n, "CreateTags": n, "DeleteKeyPair": 1, "DescribeSecurityGroups": 1} {
		if got := w.front.calls[action]; got > most {
			t.Errorf("%d calls of %s, want %d at most: %v", got, action, most, w.front.calls)
		}
	}
}
