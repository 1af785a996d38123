//go:build unix

package drive

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/cputime"
	"github.com/imgflow/imgflow/state"
)

// many is a run of so many builds which share their first step, and make an image
// each. Of every four builds the second has failed and the third was not tried.
func many(builds int) (sum state.Summary, g *dag.Graph, recs []dag.Record, report *dag.Report) {
	g, report = &dag.Graph{}, &dag.Report{}
	key := func(text string) dag.Key { return sha256.Sum256([]byte(text)) }
	shared := dag.Node{Key: key("shared"), Name: "lookup"}
	for b := range builds {
		name := fmt.Sprint("b", b)
		shared.Builds = append(shared.Builds, name)
		sum.Builds = append(sum.Builds, state.BuildSummary{Name: name})
		for s := range 10 {
			n := dag.Node{Key: key(fmt.Sprint(name, "/", s)), Name: fmt.Sprint("step ", s), Builds: []string{name}}
			r := dag.Record{Node: n, Status: dag.Done}
			if last := s == 9; last {
				g.Goals = append(g.Goals, n.Key)
				r.Artifacts = []dag.Artifact{{Kind: "image", ID: "ami-" + name}}
				switch b % 4 {
				case 1:
					r = dag.Record{Node: n, Status: dag.StatusFailed}
					report.Failed = append(report.Failed, dag.Failure{Node: n, Err: errors.New("broken")})
				case 2:
					r = dag.Record{Node: n}
					report.Skipped = append(report.Skipped, n)
				}
			}
			g.Nodes, recs = append(g.Nodes, n), append(recs, r)
		}
	}
	g.Nodes, recs = append(g.Nodes, shared), append(recs, dag.Record{Node: shared, Status: dag.Done})
	return sum, g, recs, report
}

// To judge eight times the builds takes about eight times as long. The processor's
// time is counted, not the clock's.
func TestJudgingIsNearLinear(t *testing.T) {
	took := func(builds int) time.Duration {
		sum, g, recs, report := many(builds)
		begun := cputime.Spent(t)
		for range 3 {
			sum = judge(sum, g, recs, report, nil)
		}
		spent := cputime.Spent(t) - begun
		got := ""
		for _, b := range sum.Builds[4:8] {
			got += fmt.Sprint(b.Name, " ", b.Status, " ", b.Err)
			for _, a := range b.Artifacts {
				got += a.ID
			}
			got += "\n"
		}
		want := "b4 done ami-b4\nb5 failed step 9: broken\nb6 failed \nb7 done ami-b7\n"
		if got = fmt.Sprintf("%s%s", got, sum.Status); got != want+state.Partial {
			t.Fatalf("judged\n%s, not\n%s", got, want+state.Partial)
		}
		return spent
	}
	one, eight := took(500), took(4000)
	for try := 0; try < 4 && eight > 10*one; try++ { // a busy machine spends more
		one, eight = max(one, took(500)), min(eight, took(4000))
	}
	t.Logf("500 builds: %s, 4,000: %s, %.1f times", one, eight, float64(eight)/float64(one))
	if eight > 12*one {
		t.Errorf("4,000 builds take %s, which is %.1f times what 500 take", eight, float64(eight)/float64(one))
	}
}
