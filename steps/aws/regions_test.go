package aws

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// snapshotsIn and imagesIn are what the caller has in a region.
func (w *world) snapshotsIn(region string) []types.Snapshot {
	w.t.Helper()
	at := must(w.cloud.at(w.t.Context(), Place{Region: region}))
	return must(at.api.DescribeSnapshots(w.t.Context(), &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})).Snapshots
}

func (w *world) imagesIn(region string) []types.Image {
	w.t.Helper()
	at := must(w.cloud.at(w.t.Context(), Place{Region: region}))
	return must(at.api.DescribeImages(w.t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}, IncludeDeprecated: ptr(true)})).Images
}

// called insists that a region has one image, of that name, with its snapshot, and no lease.
func (w *world) called(region, name string) {
	w.t.Helper()
	images, snapshots := w.imagesIn(region), w.snapshotsIn(region)
	if len(images) != 1 || len(snapshots) != 1 || text(images[0].Name) != name || tagMap(images[0].Tags)[TagExpires] != "never" || tagMap(snapshots[0].Tags)[TagExpires] != "never" {
		w.t.Errorf("%s has the images %+v and the snapshots %+v", region, images, snapshots)
	}
}

var threeRegions = []string{"ap-south-1", "eu-west-1", west}

// One of three copies fails for good: the others stand, with all that is done to them, and a
// resume makes the missing one alone.
func TestOneCopyFails(t *testing.T) {
	for _, only := range []bool{false, true} {
		t.Run(fmt.Sprint("only copies ", only), func(t *testing.T) {
			t.Parallel()
			w := seeded(t, `{"regions": ["us-east-1", "ap-south-1", "us-west-2"], "kms_keys": ["alias/a"]}`)
			w.deny("DescribeKey", "no")
			b := template().encrypted("alias/a").regions(map[string]string{"ap-south-1": "alias/a", "eu-west-1": "alias/a", west: "alias/a"})
			b.SkipSaveBuildRegion, b.Users, b.IMDSSupport = only, []string{"210987654321"}, "v2.0"
			g, store := w.graph(b), &dag.MemStore{}
			r, err := w.engine(store, &events{}).Solve(t.Context(), g)
			if err != nil || len(r.Failed) != 1 || r.Failed[0].Name != "copy-ready-eu-west-1" {
				t.Fatalf("%v, failed %v", err, r.Failed)
			}
			for _, want := range []string{" in eu-west-1: it is failed: ", "Given key ID is not accessible", "it was to be encrypted with alias/a: look whether that key is there in eu-west-1, is enabled, and lets you use it, then resume"} {
				if !strings.Contains(r.Failed[0].Err.Error(), want) {
					t.Errorf("no %q in %v", want, r.Failed[0].Err)
				}
			}
			for _, region := range []string{"ap-south-1", west} {
				w.called(region, "image-1")
				if i := w.imagesIn(region)[0]; i.ImdsSupport != "v2.0" {
					t.Errorf("%s: %+v", region, i)
				}
			}
			if left := len(w.imagesIn("eu-west-1")) + len(w.snapshotsIn("eu-west-1")); left > 0 {
				t.Errorf("%d things are left of what failed", left)
			}
			if v := w.inventory(); len(v.instances)+len(v.volumes) > 0 || len(v.images) != 1 {
				t.Errorf("after the failure: %+v", v)
			}

			var keys struct{ KeyMetadata struct{ KeyId string } }
			if err := w.cloud.callJSON(t.Context(), Place{Region: "eu-west-1"}, keyService, "CreateKey", struct{}{}, &keys); err != nil {
				t.Fatal(err)
			}
			if err := w.cloud.callJSON(t.Context(), Place{Region: "eu-west-1"}, keyService, "CreateAlias", map[string]string{"AliasName": "alias/a", "TargetKeyId": keys.KeyMetadata.KeyId}, &struct{}{}); err != nil {
				t.Fatal(err)
			}
			before := w.made()
			w.forget(g)
			e := w.build(store, g)
			if made := w.made(); made != before+1 {
				t.Errorf("the resume made %d things, not one: %v", made-before, w.front.calls)
			}
			w.called("eu-west-1", "image-1")
			if only {
				w.only(0)
			} else {
				w.called(home, "image-1")
			}
			left, err := e.Destroy(t.Context(), func(dag.Record) bool { return true })
			if err != nil || len(left) > 0 {
				t.Fatal(left, err)
			}
			for _, region := range append(threeRegions, home) {
				if n := len(w.imagesIn(region)) + len(w.snapshotsIn(region)); n > 0 {
					t.Errorf("%d things are left in %s", n, region)
				}
			}
		})
	}
}

// made is how many calls there were that make something.
func (w *world) made() (n int) {
	for _, call := range []string{"RunInstances", "CreateImage", "CopyImage", "ImportKeyPair", "CreateSecurityGroup"} {
		n += w.front.count(call)
	}
	return n
}

// Only the copies are results: the image itself has another name, and goes. One of the user's with
// the name stays, whatever gives way elsewhere.
func TestOnlyCopies(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	w.build(&dag.MemStore{}, w.graph(template()))
	older := w.inventory().images
	b := template()
	b.SkipSaveBuildRegion, b.AMIRegions, b.ForceDeregister, b.Users = true, []string{home, west, "eu-west-1"}, true, []string{"210987654321"}
	g := dag.NewGraph(nil)
	b.cloud = w.cloud
	if err := b.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	made := b.Wire(g, dag.Build{Name: "b", Type: "amazon-ebs"}, unprovisioned)
	product := made.Product()
	store := &dag.MemStore{}
	e, err := dag.New(dag.Options{Run: "r2", Store: store, Kinds: w.kinds()})
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.Solve(t.Context(), g)
	if err != nil || len(r.Failed)+len(r.Left) > 0 {
		t.Fatal(err, r.Failed, r.Left)
	}
	for _, region := range []string{west, "eu-west-1"} {
		w.called(region, "image-1")
	}
	if v := w.inventory(); !slices.Equal(v.images, older) || len(v.snapshots) != 1 || len(v.instances) > 0 {
		t.Errorf("in the region of the build: %+v", v)
	}
	var artifacts []string
	for _, rec := range must(store.All()) {
		for _, a := range rec.Artifacts {
			artifacts = append(artifacts, a.Region)
		}
		if rec.Key == product.Key() {
			if out := string(rec.Out); !strings.Contains(out, "eu-west-1:ami-") || !strings.Contains(out, west+":ami-") || strings.Contains(out, home+":") || !strings.Contains(out, `"SourceAMI"`) {
				t.Errorf("the product is %s", out)
			}
		}
	}
	slices.Sort(artifacts)
	if !slices.Equal(artifacts, []string{"eu-west-1", west}) {
		t.Errorf("artifacts in %v", artifacts)
	}
	for _, c := range b.Claims() {
		if strings.HasSuffix(c.What, home) {
			t.Errorf("the name is claimed where it is not taken: %+v", c)
		}
	}
	calls := w.front.total()
	if r, err := e.Solve(t.Context(), g); err != nil || len(r.Failed) > 0 || w.made() != 2*(1+1)+2 {
		t.Errorf("again: %v, %v, %d calls more, %v", err, r, w.front.total()-calls, w.front.calls)
	}
	b.Access.Region = "" // which a profile may say
	b.AMIRegions = []string{home}
	b.cloud.o.Getenv = func(name string) string { return map[string]string{"AWS_REGION": home}[name] }
	if err := b.Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "no image would be left of a build in us-east-1") {
		t.Errorf("no copies: %v", err)
	}
}

// A build of copies alone dies at its writes. Resumed, it ends with them and nothing else; destroyed, with nothing.
func TestOnlyCopiesSurviveDeath(t *testing.T) {
	plan := func() *EBS {
		b := template().encrypted("").regions(map[string]string{west: "", "eu-west-1": ""})
		b.SkipSaveBuildRegion, b.IMDSSupport = true, "v2.0"
		return b
	}
	deaths(t, 4, func(w *world) *dag.Graph { return w.graph(plan()) }, func(w *world, g *dag.Graph, _ int, store *dag.MemStore) {
		e := w.build(store, g)
		w.only(0)
		for _, region := range []string{west, "eu-west-1"} {
			w.called(region, "image-1")
		}
		w.destroyed(e)
		for _, region := range []string{west, "eu-west-1"} {
			if n := len(w.imagesIn(region)) + len(w.snapshotsIn(region)); n > 0 {
				w.t.Errorf("%d things are left in %s", n, region)
			}
		}
	})
}
