package aws

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func many[S ~string](prefix string, n int) map[S]S {
	m := map[S]S{}
	for i := range n {
		m[S(fmt.Sprintf("%s%02d", prefix, i))] = "value"
	}
	return m
}

// EC2 takes 50 tags, and they may all be the user's: ours give way, on the image, on
// its snapshots and on its copies. What is only temporary keeps those by which it is
// found.
func TestOursMakeRoomForTheUsersTags(t *testing.T) {
	for _, c := range []struct{ run, image, snapshot, ours int }{
		{0, 44, 0, 6}, {0, 45, 0, 5}, {0, 46, 0, 4}, {0, 47, 0, 3}, {0, 48, 0, 2}, {0, 49, 0, 1}, {0, 50, 0, 0},
		{50, 0, 0, 0}, {48, 2, 0, 0}, {3, 20, 27, 5},
	} {
		t.Run(fmt.Sprintf("%d+%d+%d", c.run, c.image, c.snapshot), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ec2local.Faults{})
			b := template()
			b.RunTags, b.Tags, b.SnapshotTags = many[dag.Text]("run", c.run), many[dag.Text]("image", c.image), many[dag.Text]("snap", c.snapshot)
			b.AMIRegions = []string{"us-west-2"}
			w.front.setCut(func(action string, n int) cut {
				if n == 1 && (action == "CreateTags" || action == "DeleteTags") {
					return cuts["before the reply"]
				}
				return nil
			})
			log := &events{}
			r, err := w.engine(&dag.MemStore{}, log).Solve(t.Context(), w.graph(b))
			if err != nil || len(r.Failed)+len(r.Left) > 0 {
				t.Fatal(r, err)
			}
			w.only(1)
			for _, region := range []string{home, "us-west-2"} {
				s, err := w.cloud.at(t.Context(), Place{Region: region})
				if err != nil {
					t.Fatal(err)
				}
				for kind, own := range map[string]map[dag.Text]dag.Text{"image": b.imageTags(), "snapshot": mergeTags(b.imageTags(), b.SnapshotTags)} {
					found, err := s.tagsOf(t.Context(), filter("resource-type", kind))
					if err != nil || len(found) != 1 {
						t.Fatalf("%s in %s: %v, %v", kind, region, found, err)
					}
					for _, l := range found {
						ours := 0
						for k, v := range l.tags {
							if strings.HasPrefix(k, ownTags) {
								ours++
							} else if own[dag.Text(k)] != dag.Text(v) {
								t.Errorf("%s in %s: the tag %s is %q", kind, region, k, v)
							}
						}
						want, lease := 6, "never"
						if exceedsTagLimit(mergeTags(b.imageTags(), b.SnapshotTags)) { // the lease gives way first
							want, lease = min(5, maxTags-len(own)), ""
						}
						if len(l.tags) != len(own)+ours || ours != want || l.tags[TagExpires] != lease || want > 0 && l.tags[TagArtifact] == "" {
							t.Errorf("%s in %s: %d tags, %d of them ours, want %d and %d: %v", kind, region, len(l.tags), ours, len(own)+want, want, l.tags)
						}
						if kind == "image" && ours != c.ours {
							t.Errorf("%d of the image's tags are ours, want %d", ours, c.ours)
						}
					}
				}
			}
			warned := ""
			for _, e := range log.list {
				if e.Type == dag.Warned {
					warned += e.Text
				}
			}
			if strings.Contains(warned, "of run_tags only 47 fit") != (c.run > 47) {
				t.Errorf("warned: %q", warned)
			}
		})
	}
}

// However many tags there are, what was made is found by those of its making.
func TestTagsOfTheMakingAlwaysFit(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	for _, n := range []int{0, 44, 45, 46, 47, 48, 50} {
		own := many[string]("t", n)
		m := w.cloud.tags(task("token"), maps.Clone(own))
		if len(m) > maxTags || m[TagRun] == "" || m[TagToken] != "token" || m[TagExpires] == "" || len(m)-min(n, 47) < needed {
			t.Errorf("%d tags of the user's: %v", n, m)
		}
		if got := len(leftOut(own)); got != max(0, n-47) {
			t.Errorf("%d of %d are left out", got, n)
		}
	}
}
