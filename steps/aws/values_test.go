package aws

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// What only the source image tells is looked at before the launch, all of it at once.
func TestLateValuesAreCheckedBeforeTheLaunch(t *testing.T) {
	yes := true
	for _, c := range []struct {
		name  string
		spoil func(*EBS)
		want  []string
	}{
		{"words", func(b *EBS) {
			b.AMIDescription = parsed("made from {{ .SourceAMI }} {{ printf `–%s` .SourceAMI }} today")
			b.Tags = map[dag.Text]dag.Text{parsed("{{ .SourceAMI }}"): "1", parsed("{{ build `SourceAMI` }}"): "2"}
			b.SnapshotTags = map[dag.Text]dag.Text{"base": parsed(strings.Repeat("{{ .SourceAMI }}", 13))}
			b.RunTags = map[dag.Text]dag.Text{parsed("aws:{{ .SourceAMI }}"): "x"}
		}, []string{"ami_description: EC2 takes ASCII", "two of its keys are \"ami-", "snapshot_tags.base: the value of a tag has at most 256 characters, and this one 273", "run_tags.aws:ami-"}},
		{"braces", func(b *EBS) { // what looks like words when it is final
			b.AMIDescription = parsed(`{{ "{{" }}` + strings.Repeat("x", 240) + "{{ .SourceAMI }}")
		}, []string{"ami_description: must have at most 255 characters, and has 263"}},
		{"no such tag", func(b *EBS) {
			b.Tags = map[dag.Text]dag.Text{"a": parsed("{{ .SourceAMITags.Nope | upper }}")}
			b.SnapshotTags = map[dag.Text]dag.Text{parsed("{{ .SourceAMITags.One }}"): "1", parsed("{{ .SourceAMITags.Two }}"): "2"}
			b.RunTags = map[dag.Text]dag.Text{"b": parsed("{{ split .SourceAMIName `-` 99 }}")}
		}, []string{"cannot evaluate tags: the key is not there, and a function needs its value", "snapshot_tags: two of its keys are \"<no value>\"",
			"cannot evaluate run_tags: split has no piece 99"}},
		{"no volume", func(b *EBS) {
			b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdf"}, {DeviceName: "/dev/sda1", VolumeSize: 1}}
			b.AMIMappings = []BlockDevice{{DeviceName: "/dev/xvda"}}
		}, []string{"volume_size of /dev/sdf in launch_block_device_mappings: must be set, or snapshot_id: ami-",
			"volume_size of /dev/sda1 in launch_block_device_mappings: must be at least the 8 GiB",
			"volume_size of /dev/xvda in ami_block_device_mappings: must be set"}},
		{"root", func(b *EBS) {
			b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sda1", VirtualName: "ephemeral0"}}
			b.AMIMappings = []BlockDevice{{DeviceName: "/dev/sda1", NoDevice: true}}
		}, []string{"device_name of /dev/sda1 in launch_block_device_mappings: it is the root device", "device_name of /dev/sda1 in ami_block_device_mappings: it is the root device"}},
		{"snapshot", func(b *EBS) {
			b.AMIMappings = []BlockDevice{{DeviceName: "/dev/sda1", SnapshotID: "snap-0123456789abcdef0"}}
		}, []string{"snapshot_id of /dev/sda1 in ami_block_device_mappings: cannot be given"}},
		{"type", func(b *EBS) {
			b.AMIMappings = []BlockDevice{{DeviceName: "/dev/sda1", VolumeType: "st1", VolumeSize: 125}}
		}, []string{"volume_type of /dev/sda1 in ami_block_device_mappings: no machine starts"}},
		{"smaller", func(b *EBS) {
			b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sda1", VolumeType: "gp3"}}
			b.AMIMappings = []BlockDevice{{DeviceName: "/dev/sda1", VolumeSize: 7}}
		}, []string{"volume_size of /dev/sda1 in ami_block_device_mappings: must be at least the 8 GiB"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ec2local.Faults{})
			b := template()
			c.spoil(b)
			r, err := w.engine(&dag.MemStore{}, &events{}).Solve(t.Context(), w.graph(b))
			if err != nil || len(r.Failed) != 1 || r.Failed[0].Name != "values" {
				t.Fatalf("%v, failed %v", err, r.Failed)
			}
			for _, want := range c.want {
				if !strings.Contains(r.Failed[0].Err.Error(), want) {
					t.Errorf("no %q in:\n%v", want, r.Failed[0].Err)
				}
			}
			if n := strings.Count(r.Failed[0].Err.Error(), "\n") + 1; n != len(c.want) {
				t.Errorf("%d faults, want %d:\n%v", n, len(c.want), r.Failed[0].Err)
			}
			if n := w.front.count("RunInstances"); n > 0 {
				t.Errorf("launched all the same")
			}
		})
	}
	// The endpoint is as strict where nobody looks.
	s := newStage(t)
	for _, d := range []BlockDevice{{DeviceName: "/dev/sda1", NoDevice: true}, {DeviceName: "/dev/sda1", VirtualName: "ephemeral0"}, {DeviceName: "/dev/sda1", VolumeSize: 7},
		{DeviceName: "/dev/sda1", VolumeType: "st1", VolumeSize: 125}, {DeviceName: "/dev/xvda"}, {DeviceName: "/dev/sda1", SnapshotID: "snap-0123456789abcdef0"}} {
		b := template()
		b.AMIMappings = []BlockDevice{d}
		err := s.create(b)
		if code, _ := apiError(err); code == "" || strings.HasSuffix(code, ".Duplicate") {
			t.Errorf("%+v: the endpoint says %v", d, err)
		}
	}
	// An encrypted source image, which the endpoint's catalogue does not have.
	f := optionErrors{final: true}
	v := CheckValues{Sharing: Sharing{Groups: []string{"all"}}, LaunchMappings: []BlockDevice{{DeviceName: "/dev/sdb", NoDevice: true}, {DeviceName: "/dev/sdc", VolumeSize: 1, Encrypted: &yes}}}
	v.devices(&f, SourceImage{RootDevice: "/dev/sda1", Devices: []SourceDevice{{Name: "/dev/sda1", Size: 8, Encrypted: true}, {Name: "/dev/sdb", Size: 8, Encrypted: true}}})
	if len(f.OptionErrors) != 2 || !strings.Contains(f.OptionErrors[0].Text, "/dev/sda1") || !strings.Contains(f.OptionErrors[1].Text, "/dev/sdc") {
		t.Error(f.OptionErrors)
	}
}

// What the volumes of the source image make doubtful is told before the launch, and EC2
// decides.
func TestLateDoubts(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template()
	b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sda1", VolumeType: "io1", IOPS: 500}}
	told := &events{}
	w.engine(&dag.MemStore{}, told).Solve(t.Context(), w.graph(b))
	if !slices.ContainsFunc(told.list, func(e dag.Event) bool {
		return e.Step == "values" && strings.Contains(e.Text, "50 for each GiB of io1: 400 here")
	}) {
		t.Errorf("no doubt in %+v", told.list)
	}
}

// A tag that the source image does not have comes to what Packer writes for it, and fails nothing.
func TestTagThatTheSourceDoesNotHave(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template()
	b.Tags = map[dag.Text]dag.Text{"base": parsed("{{ .SourceAMITags.Nope }}"), "release": parsed("{{ index .SourceAMITags `Nope` }}")}
	b.RunTags = map[dag.Text]dag.Text{"team": parsed("of {{ .SourceAMITags.Team }}")}
	b.AMIDescription = parsed("from {{ .SourceAMITags.Nope }}")
	w.build(&dag.MemStore{}, w.graph(b))
	image := w.describeImage(w.inventory().images[0])
	tags := tagMap(image.Tags)
	if tags["base"] != "<no value>" || tags["release"] != "" || tags["team"] != "of <no value>" || text(image.Description) != "from <no value>" {
		t.Errorf("tags %q, description %q", tags, text(image.Description))
	}
}

// A sensitive value is known to no check of the template, and to no message.
func TestSensitiveValuesAreCheckedBeforeTheLaunch(t *testing.T) {
	b := template()
	b.Users, b.AMIName = []string{dag.Mark("who")}, dag.Mark("name")
	b.Tags = map[dag.Text]dag.Text{"x": dag.Text(dag.Mark("word"))}
	if fs := b.Check(); len(fs) > 0 {
		t.Fatal(fs)
	}
	b.place = here
	g := dag.NewGraph(func(string) string { return "digest" })
	bd := dag.Build{Name: "b"}
	b.Wire(g, bd, unprovisioned)
	found := false
	for _, n := range g.Nodes {
		found = found || n.Name == "values"
	}
	if !found {
		t.Error("nothing looks at it")
	}
	if _, err := (NameCheck{Place: here, Name: "ab"}).Do(t.Context(), NewCloud(CloudOptions{}), task("t")); err == nil || !strings.Contains(err.Error(), "3 to 128") {
		t.Error(err)
	}
}

// Other words of the image are looked at again, and the machine stays.
func TestEditedWordsKeepTheMachine(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	refused := true
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		if action == "CreateImage" && refused {
			refuse(rw, 400, "InvalidParameterValue", "Some rule that nobody knows.")
			return true
		}
		return false
	})
	store := &dag.MemStore{}
	solve := func(description string) *dag.Report {
		b := template()
		b.AMIDescription = parsed(description)
		e, err := dag.New(dag.Options{Run: "r1", Store: store, Kinds: w.kinds(), Sink: &events{}, OnFailure: func(context.Context, dag.Node, error) dag.Decision { return dag.Suspend }})
		if err != nil {
			t.Fatal(err)
		}
		r, err := e.Solve(t.Context(), w.graph(b))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := solve("first {{ .SourceAMI }}"); len(r.Failed) != 1 || r.Failed[0].Name != "image" {
		t.Fatal(r.Failed)
	}
	refused = false
	if r := solve("too long {{ .SourceAMI }}" + strings.Repeat("x", 240)); len(r.Failed) != 1 || r.Failed[0].Name != "values" {
		t.Fatal(r.Failed)
	}
	if r := solve("second {{ .SourceAMI }}"); len(r.Failed) != 0 {
		t.Fatal(r.Failed)
	}
	w.only(1)
	if n := w.front.count("RunInstances"); n != 1 {
		t.Errorf("launched %d times", n)
	}
}
