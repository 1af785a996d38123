package fleet

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/state"
)

// A submitter that dies between saying that the engine drives a run and telling the engine leaves one that is shown as
// running, and that nobody drives; so does somebody who ends a workflow by hand while nobody follows the run. Workers look for such
// runs, and give them back.

// strayEvery is how often a worker looks; what it finds twice is astray. Whoever submits takes no such time.
const strayEvery = 15 * time.Second

// mostStrays is of how many runs that are not suspected yet a worker asks at a time.
const mostStrays = 100

// strays are runs that are said to be driven by an engine which has nothing of them.
type strays struct {
	home *state.Home
	url  string // of the engine
	// going tells whether the engine has anything of a run; here, whether this worker does something of it.
	going func(ctx context.Context, run string) (bool, error)
	here  func(run string) bool
	warn  func(format string, a ...any)
	found map[string]int64 // their epochs, by their ids, at the last look
}

// watch looks until ctx ends.
func (s *strays) watch(ctx context.Context) {
	tick := time.NewTicker(strayEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.look(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// look gives those back that were astray at the last look, too. What cannot be asked now is asked the next time.
func (s *strays) look(ctx context.Context) {
	all, err := s.home.Assignments()
	if err != nil {
		return
	}
	before := s.found
	s.found = map[string]int64{}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	asked := 0
	for _, a := range all {
		if a.Owner.Command != s.url || s.here(a.Run) || asked >= mostStrays && before[a.Run] == 0 {
			continue
		}
		asked++
		if going, err := s.going(ctx, a.Run); going || err != nil {
			continue
		}
		if before[a.Run] != a.Epoch {
			s.found[a.Run] = a.Epoch
			continue
		}
		if s.home.Release(a.Run, a.Epoch) == nil { // else somebody has begun it anew, or the next look tries again
			s.warn("run %s is said to be driven by %s, which has nothing of it: it is given back; %s goes on with it", a.Run, s.url, self.Command("resume", a.Run))
		}
	}
}
