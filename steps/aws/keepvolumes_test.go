package aws

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// A volume with delete_on_termination false stays after a good build, is no
// orphan, and goes with the run's results.
func TestVolumesThatAreKept(t *testing.T) {
	for _, skip := range []bool{false, true} {
		w := newWorld(t, ec2local.Faults{})
		b := template()
		b.SkipCreateAMI = skip
		b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdb", VolumeSize: 1, DeleteOnTermination: ptr(false)}, {DeviceName: "/dev/sdg", VolumeSize: 1}} // the image has an instance store at sdb
		e := w.build(&dag.MemStore{}, w.graph(b))
		if v := w.inventory(); len(v.volumes) != 1 || len(v.instances) != 0 {
			t.Fatalf("left %+v, want one volume", v)
		}
		var made []string
		for _, r := range e.Records() {
			for _, a := range r.Artifacts {
				made = append(made, a.Kind+" in "+a.Region)
				if a.Kind == "volume" && a.ID != w.inventory().volumes[0] {
					t.Errorf("%s is not the volume that is kept", a.ID)
				}
			}
		}
		want := []string{"image in " + home, "volume in " + home}
		if skip {
			want = want[1:]
		}
		if slices.Sort(made); !slices.Equal(made, want) {
			t.Errorf("artifacts are %q, want %q", made, want)
		}
		if err := w.site().renew(t.Context(), "r1", w.cloud.expires(time.Now())); err != nil {
			t.Error(err)
		}
		now := time.Duration(0)
		found, err := w.cloud.Orphans(t.Context(), OrphanFilter{Regions: []string{home}, OlderThan: &now})
		if err != nil || len(found) != 0 {
			t.Errorf("orphans %v, %v", found, err)
		}
		if left, err := e.Destroy(t.Context(), dag.Unkept); err != nil || len(left) > 0 || len(w.inventory().volumes) != 1 {
			t.Errorf("destroy of what is not kept: %v, %v", left, err)
		}
		if left, err := e.Destroy(t.Context(), func(dag.Record) bool { return true }); err != nil || len(left) > 0 {
			t.Errorf("destroy: %v, %v", left, err)
		}
		w.only(0)
	}
}

// A volume that is kept has no lease any more; where there is none nobody is called.
func TestKeepVolumes(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	if kept := twice(t, w, KeepVolumes{Volumes: dag.Lit(Volumes{Place: here})}); len(kept.Artifacts()) != 0 || w.front.total() != 0 {
		t.Errorf("%+v, %v", kept, w.front.calls)
	}
	volume := must(w.client().CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: ptr(home + "a"), Size: ptr(int32(1))}))
	step := KeepVolumes{Volumes: dag.Lit(Volumes{Place: here, IDs: []string{*volume.VolumeId}})}
	kept := twice(t, w, step)
	if as := kept.Artifacts(); len(as) != 1 || as[0].ID != *volume.VolumeId || as[0].Kind != "volume" {
		t.Errorf("%+v", kept)
	}
	tags := must(w.site().tagsOf(t.Context(), filter("resource-id", *volume.VolumeId)))[*volume.VolumeId]
	if tags == nil || tags.tags[TagExpires] != "never" || tags.tags[TagArtifact] == "" {
		t.Errorf("tags: %+v", tags)
	}
	refused(t, w, "CreateTags", step, "cannot keep "+*volume.VolumeId+": ")
}
