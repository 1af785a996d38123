package aws

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps/comm"
)

// stray makes one of everything for a run and forgets it.
func (w *world) stray(run string) {
	w.t.Helper()
	tk := func(step string) *dag.Task { return dag.NewTask(run, step, "imgflow-"+run+"-"+step, nil, nil) }
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVmPnPqMGOwIYBiCAnZR2PkBxpUUPNXQuS0Y9sqHnzy test"
	pair, err := do(w, tk("key"), ImportKey{Place: here, Key: dag.Lit(comm.Key{Public: key})})
	must(err)
	group, err := do(w, tk("group"), Group{Place: here, Network: dag.Lit(Network{})})
	must(err)
	source, err := do(w, tk("source"), Source{Place: here, SourceOptions: ubuntu()})
	must(err)
	l := w.launch(source)
	l.KeyPair, l.Groups = dag.Lit(pair), []dag.Out[SecurityGroup]{dag.Lit(group)}
	i, err := do(w, tk("launch"), l)
	must(err)
	_, err = do(w, tk("image"), CreateImage{From: dag.Lit(w.rest(i)), Name: "image of " + run})
	must(err)
	role, err := do(w, tk("role"), MakeRole{Place: here})
	must(err)
	profile, err := do(w, tk("profile"), MakeProfile{Place: here, Role: dag.Lit(role)})
	must(err)
	_, err = do(w, tk("grant"), GrantPolicy{Role: dag.Lit(role), Profile: dag.Lit(profile), Policy: reading})
	must(err)
}

// do runs one step as the engine would, with the retries that it asks for.
func do[T any](w *world, t *dag.Task, s dag.Step[*Cloud, T]) (T, error) {
	for try := 1; ; try++ {
		out, err := s.Do(context.Background(), w.cloud, t)
		var again *dag.RetryError
		if !errors.As(err, &again) || try == 50 {
			return out, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestOrphansAreFoundByTagsAlone(t *testing.T) {
	w := newWorld(t, ec2local.Faults{Lag: 100 * time.Millisecond})
	w.build(&dag.MemStore{}, w.graph(template())) // leaves an image that is nobody's orphan
	w.stray("lost")
	w.stray("alive")
	time.Sleep(300 * time.Millisecond)
	ctx := t.Context()
	other := NewCloud(w.cloud.o) // knows nothing but the region
	search := OrphanFilter{Regions: []string{home}, Driven: func(run string) bool { return run == "alive" }}
	if found, err := other.Orphans(ctx, search); err != nil || len(found) != 0 {
		t.Fatalf("with unexpired leases: %v, %v", found, err)
	}
	now := time.Duration(0)
	search.OlderThan = &now
	found, err := other.Orphans(ctx, search)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, o := range found {
		kinds[o.Type]++
		if o.Run != "lost" {
			t.Errorf("not an orphan: %+v", o)
		}
	}
	for _, k := range []string{"instance", "key-pair", "security-group", "image", "snapshot", "instance-profile", "role"} {
		if kinds[k] != 1 {
			t.Errorf("%d orphans of type %s, want 1: %v", kinds[k], k, found)
		}
	}
	for _, o := range found {
		if err := other.Remove(ctx, o); err != nil {
			t.Errorf("remove %s: %v", o.ID, err)
		}
	}
	for _, o := range found { // and again, as after a kill
		if err := other.Remove(ctx, o); err != nil {
			t.Errorf("remove %s again: %v", o.ID, err)
		}
	}
	if left, err := other.iamLabels(ctx, here); err != nil || len(left) != 2 {
		t.Errorf("what should have stayed in IAM: %v, %v", left, err)
	}
	v := w.inventory()
	if len(v.instances) != 1 || len(v.images) != 2 || len(v.keys) != 1 || len(v.groups) != 1 {
		t.Errorf("what should have stayed: %+v", v)
	}
	if found, err := other.Orphans(ctx, search); err != nil || len(found) != 0 {
		t.Errorf("after removal: %v, %v", found, err)
	}
	search.Artifacts = true
	if found, err := other.Orphans(ctx, search); err != nil || len(found) != 2 {
		t.Errorf("with artifacts: %v, %v", found, err)
	}
}

func TestLeaseRunsOutAndIsKept(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	w.launched("t1")
	s := w.site()
	expired := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	if err := s.renew(t.Context(), "r1", expired); err != nil {
		t.Fatal(err)
	}
	search := OrphanFilter{Regions: []string{home}}
	found, err := w.cloud.Orphans(t.Context(), search)
	if err != nil || len(found) != 1 || found[0].Type != "instance" {
		t.Fatalf("with an expired lease: %v, %v", found, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { w.cloud.KeepLease(ctx, "r1", time.Time{}); close(ended) }()
	for range 100 {
		if found, err = w.cloud.Orphans(t.Context(), search); err != nil || len(found) == 0 {
			break
		}
	}
	cancel()
	<-ended
	if err != nil || len(found) != 0 {
		t.Errorf("with a renewed lease: %v, %v", found, err)
	}
}

// Results have no lease, so nothing on them reads as if they were to be deleted;
// a search for artifacts goes by the time when they were finished.
func TestResultsHaveNoLease(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	w.build(&dag.MemStore{}, w.graph(template()))
	v, s, ctx := w.inventory(), w.site(), t.Context()
	ids := slices.Concat(v.images, v.snapshots)
	unbounded := func() {
		t.Helper()
		for _, id := range ids {
			tags, err := s.tagsOf(ctx, filter("resource-id", id))
			if err != nil || tags[id].tags[TagExpires] != "never" || tags[id].tags[TagArtifact] == "" {
				t.Errorf("%s has a lease: %v, %v", id, tags[id], err)
			}
		}
	}
	unbounded()

	// Finished while its lease is being renewed.
	const listed = "DescribeTags"
	_, err := s.api.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: ids, Tags: []types.Tag{{Key: ptr(TagArtifact)}}})
	if err != nil {
		t.Fatal(err)
	}
	before := w.front.count(listed)
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		if action == "CreateTags" && form.Get("Tag.1.Key") == TagExpires && w.front.count(listed) == before+2 {
			w.front.mu.Lock()
			w.front.play = nil
			w.front.mu.Unlock()
			if err := s.markFinished(ctx, ids...); err != nil {
				t.Error(err)
			}
		}
		return false
	})
	if err := s.renew(ctx, "r1", w.cloud.expires(time.Now())); err != nil {
		t.Fatal(err)
	}
	unbounded()

	searched := func(h OrphanFilter, want int) {
		t.Helper()
		h.Regions, h.Artifacts = []string{home}, true
		if found, err := w.cloud.Orphans(ctx, h); err != nil || len(found) != want {
			t.Errorf("%+v: %v, %v, want %d", h, found, err, want)
		}
	}
	hours := func(n int) *time.Duration { d := time.Duration(n) * time.Hour; return &d }
	if err := s.renew(ctx, "r1", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)); err != nil { // the terminated instance is still listed
		t.Fatal(err)
	}
	searched(OrphanFilter{}, 0) // a lease long they are left alone
	if err := s.setTags(ctx, map[string]string{TagArtifact: time.Now().Add(-2 * time.Hour).UTC().Format(time.RFC3339)}, ids...); err != nil {
		t.Fatal(err)
	}
	searched(OrphanFilter{}, 2)
	searched(OrphanFilter{OlderThan: hours(1)}, 2)
}

// A run that ends between the two looks has removed its things itself: what tags
// still show of it is nobody's orphan.
func TestARunThatEndsDuringTheHuntIsLeftAlone(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	w.stray("ending")
	now, asked := time.Duration(0), 0
	search := OrphanFilter{Regions: []string{home}, OlderThan: &now, Driven: func(run string) bool { asked++; return asked == 1 }}
	if found, err := NewCloud(w.cloud.o).Orphans(t.Context(), search); err != nil || len(found) != 0 || asked == 0 {
		t.Errorf("asked %d times: %v, %v", asked, found, err)
	}
	search.Driven = func(string) bool { return false }
	if found, err := NewCloud(w.cloud.o).Orphans(t.Context(), search); err != nil || len(found) == 0 {
		t.Errorf("nobody drives it: %v, %v", found, err)
	}
}
