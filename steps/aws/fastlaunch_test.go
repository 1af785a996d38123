package aws

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// fromWindows is a build of a Windows image that nobody logs in to.
func fromWindows() *EBS {
	b := template()
	b.SourceOptions = SourceOptions{Filter: SourceFilter{MostRecent: true, Owners: []string{"amazon"}, Filters: map[string]string{"name": "Windows_Server-2022-English-Full-Base-*"}}}
	b.InstanceType = "t3.medium"
	return b
}

// fastIn is how fast launch stands in a region, of the only image there.
func (w *world) fastIn(region string) (all []types.DescribeFastLaunchImagesSuccessItem) {
	w.t.Helper()
	at := must(w.cloud.at(w.t.Context(), Place{Region: region}))
	return must(at.api.DescribeFastLaunchImages(w.t.Context(), &ec2.DescribeFastLaunchImagesInput{})).FastLaunchImages
}

// Each region has its own template, or none, or no fast launch; one that fails fails alone, and a
// resume does it again.
func TestFastLaunch(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := fromWindows()
	b.AMIRegions = []string{west, "eu-west-1", "ap-south-1"}
	b.FastLaunch = FastLaunch{TemplateName: "fast", MaxParallelLaunches: 7, TargetResourceCount: 2, Regions: []RegionLaunch{
		{Region: west, TemplateID: w.launchTemplate(west, "far")}, {Region: "eu-west-1", Enable: ptr(false)}}}
	w.launchTemplate(home, "fast")
	w.front.setPlay(func(rw http.ResponseWriter, action string, _ int, form url.Values) bool {
		if action == "EnableFastLaunch" && form.Get("LaunchTemplate.LaunchTemplateId") == "" {
			refuse(rw, 400, "OutOfOrder", "The test says no.")
			return true
		}
		return false
	})
	store, g := &dag.MemStore{}, w.graph(b)
	r, err := w.engine(store, &events{}).Solve(t.Context(), g)
	if err != nil || len(r.Failed) != 1 || r.Failed[0].Name != "fast-launch-ap-south-1" || !strings.HasPrefix(r.Failed[0].Err.Error(), "cannot enable fast launch of ami-") {
		t.Fatalf("%v, failed %v", err, r.Failed)
	}
	for region, name := range map[string]string{home: "fast", west: "far"} {
		l := w.fastIn(region)
		if len(l) != 1 || l[0].State != "enabled" || *l[0].MaxParallelLaunches != 7 || *l[0].SnapshotConfiguration.TargetResourceCount != 2 || text(l[0].LaunchTemplate.Version) != "1" {
			t.Errorf("%s (%s): %+v", region, name, l)
		}
	}
	if l := w.fastIn("eu-west-1"); len(l) != 0 {
		t.Errorf("where it is off: %+v", l)
	}
	w.front.setPlay(nil)
	before := w.made()
	w.build(store, g)
	if l := w.fastIn("ap-south-1"); len(l) != 1 || l[0].State != "enabled" || w.made() != before {
		t.Errorf("after the resume: %+v, %d things made", l, w.made()-before)
	}
}

func TestEnableFastLaunch(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	w.build(&dag.MemStore{}, w.graph(fromWindows()))
	var of ReadyImage
	of.ID, of.Region = w.inventory().images[0], home
	step := EnableFastLaunch{Of: dag.Lit(of)}
	twice(t, w, step)
	if n := w.front.count("EnableFastLaunch"); n != 1 {
		t.Errorf("asked for %d times", n)
	}
	linux := step
	linux.Of = dag.Lit(ReadyImage{Artifact: w.ready("linux").Artifact})
	fails(t, w, linux, "cannot enable fast launch of ami-", "only for Windows images")
	refused(t, w, "DescribeFastLaunchImages", step, "cannot enable fast launch of "+of.ID+": ")
	asked := 0
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, _ url.Values) bool {
		if action == "EnableFastLaunch" {
			asked++
		}
		if action != "DescribeFastLaunchImages" {
			return false
		}
		io.WriteString(rw, `<DescribeFastLaunchImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><fastLaunchImageSet><item><imageId>`+of.ID+
			`</imageId><state>enabling-failed</state><stateTransitionReason>no room</stateTransitionReason></item></fastLaunchImageSet></DescribeFastLaunchImagesResponse>`)
		return true
	})
	fails(t, w, step, "cannot enable fast launch of "+of.ID+" in us-east-1: it is enabling-failed: no room")
	if asked != 1 {
		t.Errorf("one that has failed is asked for %d times more", asked)
	}
}

// What can be known is told before the launch, and what is off asks for nothing.
func TestCheckFastLaunch(t *testing.T) {
	no := false
	const lt = "lt-0123456789abcdef0"
	for name, c := range map[string]struct {
		field string
		set   func(*FastLaunch)
	}{
		"two names":     {"fast_launch.template_name", func(o *FastLaunch) { o.TemplateID, o.TemplateName = lt, "x" }},
		"no id":         {"fast_launch.template_id", func(o *FastLaunch) { o.TemplateID = "x" }},
		"version alone": {"fast_launch.template_version", func(o *FastLaunch) { o.TemplateVersion = 1 }},
		"negative":      {"fast_launch.template_version", func(o *FastLaunch) { o.TemplateName, o.TemplateVersion = "x", -1 }},
		"few launches":  {"fast_launch.max_parallel_launches", func(o *FastLaunch) { o.MaxParallelLaunches = 5 }},
		"few snapshots": {"fast_launch.target_resource_count", func(o *FastLaunch) { o.TargetResourceCount = -1 }},
		"no region":     {"fast_launch.region_launch_templates[0].region", func(o *FastLaunch) { o.Regions = []RegionLaunch{{TemplateID: lt}} }},
		"other region":  {"fast_launch.region_launch_templates[0].region", func(o *FastLaunch) { o.Regions = []RegionLaunch{{Region: "eu-west-1"}} }},
		"region twice":  {"fast_launch.region_launch_templates[1].region", func(o *FastLaunch) { o.Regions = []RegionLaunch{{Region: west}, {Region: west}} }},
		"region's id":   {"fast_launch.region_launch_templates[0].template_id", func(o *FastLaunch) { o.Regions = []RegionLaunch{{Region: west, TemplateID: "x"}} }},
		"off there":     {"fast_launch.region_launch_templates[0].enable_fast_launch", func(o *FastLaunch) { o.Regions = []RegionLaunch{{Region: west, TemplateID: lt, Enable: &no}} }},
		"all is well": {"", func(o *FastLaunch) {
			o.TemplateName, o.TemplateVersion, o.Regions = "x", 3, []RegionLaunch{{Region: west, TemplateID: lt}, {Region: home}}
		}},
		"nothing at all": {"", func(o *FastLaunch) { o.Regions = []RegionLaunch{{Region: west, Enable: &no}} }},
	} {
		b := template()
		b.AMIRegions = []string{west}
		c.set(&b.FastLaunch)
		fs := b.Check()
		if c.field == "" && len(fs) > 0 || c.field != "" && (len(fs) != 1 || fs[0].Field != c.field) {
			t.Errorf("%s: %v", name, fs)
		}
		if on := b.FastLaunch.on(); on != (name != "nothing at all" && name != "no region") && c.field == "" {
			t.Errorf("%s: on is %v", name, on)
		}
	}
	b := template()
	b.SkipCreateAMI, b.FastLaunch.Enable = true, true
	if fs := b.Check(); len(fs) != 1 || fs[0].Field != "fast_launch" || !fs[0].Harmless {
		t.Error(fs)
	}
	w := newWorld(t, ec2local.Faults{})
	b = template()
	b.FastLaunch.Enable = true
	r, err := w.engine(&dag.MemStore{}, &events{}).Solve(t.Context(), w.graph(b))
	if err != nil || len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Err.Error(), "fast_launch: it is for images of Windows, and EC2 takes ami-") || w.front.count("RunInstances") > 0 {
		t.Errorf("on Linux: %v, %v", err, r.Failed)
	}
}
