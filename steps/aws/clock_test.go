package aws

import (
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/ec2local"
)

// withClock is the cloud of a computer whose clock is wrong by as much.
func (w *world) withClock(wrong time.Duration) *Cloud {
	o := w.cloud.o
	o.Now = func() time.Time { return time.Now().Add(wrong) }
	return NewCloud(o)
}

// A wrong clock, on the computer that searches or on the one that builds, neither
// kills a living build nor lets a dead one live.
func TestWrongClock(t *testing.T) {
	for _, wrong := range []time.Duration{-30 * time.Hour, -90 * time.Minute, 90 * time.Minute, 30 * time.Hour} {
		w := newWorld(t, ec2local.Faults{})
		w.launched("t1")
		search := OrphanFilter{Regions: []string{home}}
		searcher := w.withClock(wrong)
		if found, err := searcher.Orphans(t.Context(), search); err != nil || len(found) != 0 {
			t.Errorf("a hunter that is %s wrong: %v, %v", wrong, found, err)
		}
		if err := w.site().renew(t.Context(), "r1", time.Now().Add(-2*time.Minute).UTC().Format(time.RFC3339)); err != nil {
			t.Fatal(err)
		}
		if found, err := searcher.Orphans(t.Context(), search); err != nil || len(found) != 1 {
			t.Errorf("a hunter that is %s wrong, after the lease: %v, %v", wrong, found, err)
		}
		builder := w.withClock(wrong)
		s, err := builder.at(t.Context(), here)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.renewBy(t.Context(), "r1", builder.expires); err != nil {
			t.Fatal(err)
		}
		tags, err := s.tagsOf(t.Context(), filter("key", TagExpires))
		if err != nil || len(tags) == 0 {
			t.Fatalf("%v, %v", tags, err)
		}
		for id, l := range tags {
			if end, err := time.Parse(time.RFC3339, l.tags[TagExpires]); err != nil || time.Until(end) < builder.o.Lease-5*time.Minute || time.Until(end) > builder.o.Lease+5*time.Minute {
				t.Errorf("a builder that is %s wrong gives %s a lease until %v, %v", wrong, id, end, err)
			}
		}
	}
}
