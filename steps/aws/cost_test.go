package aws

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/cost"
	"github.com/imgflow/imgflow/internal/ec2local"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// history are the records of a build that has ended, at times that can be reckoned with:
// launched at noon, stopped 30 minutes later, removed after an hour.
func history(t *testing.T, change func(*EBS)) []dag.Record {
	t.Helper()
	w := newWorld(t, ec2local.Faults{})
	b := template()
	change(b)
	store := &dag.MemStore{}
	w.build(store, w.graph(b))
	records, err := store.All()
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		switch r := &records[i]; r.Kind {
		case Launch{}.Kind():
			r.Begun, r.Ended = noon, noon.Add(time.Hour)
		case Stop{}.Kind():
			r.Begun, r.Finished = noon.Add(29*time.Minute), noon.Add(30*time.Minute)
		}
	}
	return records
}

// of is the record of a kind.
func of(t *testing.T, records []dag.Record, kind string) *dag.Record {
	t.Helper()
	for i := range records {
		if records[i].Kind == kind {
			return &records[i]
		}
	}
	t.Fatalf("no record of %s", kind)
	return nil
}

// respec changes the settings of a record's step.
func respec[S any](t *testing.T, r *dag.Record, change func(*S)) {
	t.Helper()
	var s S
	if err := json.Unmarshal(r.Spec, &s); err != nil {
		t.Fatal(err)
	}
	change(&s)
	spec, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	r.Spec = spec
}

// costs compares what things cost with what they should, each in its order.
func costs(t *testing.T, items []cost.Item, want ...float64) {
	t.Helper()
	var got []float64
	for _, x := range items {
		if x.Unknown != "" {
			t.Errorf("%s: unknown: %s", x.What, x.Unknown)
		}
		got = append(got, x.USD)
	}
	if len(got) != len(want) {
		t.Fatalf("%d items %v, want %v", len(got), items, want)
	}
	for i := range got {
		if math.Abs(got[i]-want[i]) > 1e-9 {
			t.Errorf("%s costs %v, want %v", items[i].What, got[i], want[i])
		}
	}
}

func TestCost(t *testing.T) {
	records := history(t, func(b *EBS) {
		b.InstanceType = "m5.large"
		b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdb", VolumeType: "gp3", VolumeSize: 100, IOPS: 4000}}
	})
	b := Cost(records, noon.Add(24*time.Hour))
	costs(t, b.Items,
		.048,             // half an hour of .096: it was at rest then
		(.8+8+5)*1/730.0) // an hour of 8 GiB gp2, and of 100 GiB gp3 with 1000 IOPS more
	costs(t, b.Monthly, 5.4) // 108 GiB × .05
	if b.Items[0].For != 30*time.Minute || b.Items[1].For != time.Hour {
		t.Errorf("%v and %v", b.Items[0].For, b.Items[1].For)
	}
	for i, want := range []string{"m5.large with Linux in us-east-1", "its volumes: 8 GiB gp2, 100 GiB gp3"} {
		if !strings.Contains(b.Items[i].What, want) {
			t.Errorf("%q is not called %q", b.Items[i].What, want)
		}
	}
	if what := b.Monthly[0].What; !strings.HasSuffix(what, " in us-east-1, for 108 GiB") {
		t.Error(what)
	}
	if text := b.Text(); text != "about $0.07; at most $5.40 a month for what is kept, by prices known on "+b.Prices {
		t.Error(text)
	}
}

// A machine that nobody has stopped is paid for until it goes, or until now; one that
// went at once, for a minute.
func TestCostCountsWhileAnInstanceStands(t *testing.T) {
	records := history(t, func(b *EBS) { b.InstanceType = "m5.large" })
	launch, stop := of(t, records, Launch{}.Kind()), of(t, records, Stop{}.Kind())
	stop.Finished = time.Time{}
	costs(t, Cost(records, noon.Add(24*time.Hour)).Items, .096, .8/730)
	launch.Ended = noon.Add(time.Second)
	costs(t, Cost(records, noon.Add(24*time.Hour)).Items, .096/60, .8/730/60)
	launch.Status, launch.Ended = dag.Done, noon.Add(time.Minute)
	costs(t, Cost(records, noon.Add(24*time.Hour)).Items, 2.304, 24*.8/730)
	stop.Finished = noon.Add(-time.Hour) // of an instance before
	costs(t, Cost(records, noon.Add(24*time.Hour)).Items, 2.304, 24*.8/730)
	launch.Label = "" // it was never made
	costs(t, Cost(records, noon).Items)
}

// A copy costs what its own region asks for, and what nobody has kept costs nothing.
func TestCostOfWhatIsKept(t *testing.T) {
	records := history(t, func(b *EBS) { b.AMIRegions = []string{"us-west-1"} })
	costs(t, Cost(records, noon).Monthly, .4, .44)
	for i := range records {
		records[i].Status = dag.Gone
	}
	costs(t, Cost(records, noon).Monthly)

	yes, no := true, false
	records = history(t, func(b *EBS) {
		b.SkipCreateAMI = true
		b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdb", VolumeType: "gp3", VolumeSize: 10, DeleteOnTermination: &no}, {DeviceName: "/dev/sdc", VolumeType: "gp3", VolumeSize: 10, DeleteOnTermination: &yes}}
	})
	costs(t, Cost(records, noon).Monthly, .8)
}

// What is not known is said, and makes no figure of another thing's.
func TestCostThatIsNotKnown(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, records []dag.Record)
		want   string
	}{
		{"region", func(t *testing.T, rs []dag.Record) {
			respec(t, of(t, rs, Launch{}.Kind()), func(s *Launch) { s.Region = "sa-east-1" })
		}, "no price of t2.micro with Linux in sa-east-1"},
		{"type", func(t *testing.T, rs []dag.Record) {
			respec(t, of(t, rs, Launch{}.Kind()), func(s *Launch) { s.InstanceType = "m99.large" })
		}, "no price of m99.large with Linux in us-east-1"},
		{"hardware", func(t *testing.T, rs []dag.Record) {
			respec(t, of(t, rs, Launch{}.Kind()), func(s *Launch) { s.Placement.Tenancy = "dedicated" })
		}, "hardware that is not shared"},
		{"older hardware", func(t *testing.T, rs []dag.Record) {
			respec(t, of(t, rs, Launch{}.Kind()), func(s *Launch) { s.Tenancy = "host" })
		}, "hardware that is not shared"},
		{"system", func(t *testing.T, rs []dag.Record) { reout(t, rs, func(s *SourceImage) { s.Details = "SUSE Linux" }) }, "no price of t2.micro with SUSE Linux"},
		{"system of an earlier run", func(t *testing.T, rs []dag.Record) { reout(t, rs, func(s *SourceImage) { s.Details = "" }) }, "what runs on t2.micro"},
		{"volume of an earlier run", func(t *testing.T, rs []dag.Record) { reout(t, rs, func(s *SourceImage) { s.Devices[0].Type = "" }) }, "how large volumes are, or of what type"},
		{"volume", func(t *testing.T, rs []dag.Record) { reout(t, rs, func(s *SourceImage) { s.Devices[0].Type = "gp9" }) }, "no price of such gp9 volumes in us-east-1"},
		{"size", func(t *testing.T, rs []dag.Record) { reout(t, rs, func(s *SourceImage) { s.Devices[0].Size = 0 }) }, "how large image ami-"},
		{"generations", func(t *testing.T, rs []dag.Record) { of(t, rs, Launch{}.Kind()).Gen = 2 }, "what earlier tries of launch have made"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			records := history(t, func(*EBS) {})
			c.change(t, records)
			b := Cost(records, noon)
			if text := b.Text(); !strings.Contains(text, c.want) || !strings.Contains(text, "unknown") && !strings.Contains(text, "more than") {
				t.Errorf("%q does not say %q", text, c.want)
			}
		})
	}
}

// reout changes the source image that was found.
func reout(t *testing.T, records []dag.Record, change func(*SourceImage)) {
	t.Helper()
	r := of(t, records, Source{}.Kind())
	var s SourceImage
	if err := json.Unmarshal(r.Out, &s); err != nil {
		t.Fatal(err)
	}
	change(&s)
	out, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	r.Out = out
}

// Records may be of anything, and of any imgflow.
func TestCostOfOddRecords(t *testing.T) {
	records := []dag.Record{{Node: dag.Node{Kind: "aws.launch", Spec: []byte(`{"region":7}`), Thing: true}, Label: "instance i-1", Status: dag.Done},
		{Node: dag.Node{Kind: "aws.image", Thing: true}, Kept: true, Status: dag.Done, Label: "image ami-1"}, {Node: dag.Node{Kind: "aws.stop", Spec: []byte(`[]`)}, Finished: noon},
		{Node: dag.Node{Kind: "aws.import-copy", Thing: true}, Kept: true, Status: dag.Done, Label: "image ami-2"}, {}}
	b := Cost(records, noon)
	if spent, kept := b.Spent(), b.Kept(); spent.Known+kept.Known != 0 || len(kept.Unknown) != 2 || len(spent.Unknown) != 1 {
		t.Errorf("%+v, %+v", spent, kept)
	}
}
