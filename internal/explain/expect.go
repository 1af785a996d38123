package explain

import (
	"time"

	"github.com/imgflow/imgflow/dag"
)

// Expectation is how long the steps of a plan will take.
type Expectation struct {
	For     time.Duration // along the longest way, of the steps that past runs have done
	Steps   int           // that are done
	Unknown int           // of these, that no past run has done
}

// Expect adds up how long steps usually take, each after what it needs. What stays as it is
// takes no time.
func Expect(steps []Step, usual func(kind, step string) (took time.Duration, known bool)) (e Expectation) {
	by := make(map[dag.Key]*Step, len(steps))
	for i := range steps {
		by[steps[i].Key] = &steps[i]
	}
	ends := make(map[dag.Key]time.Duration, len(steps))
	var end func(k dag.Key) time.Duration
	end = func(k dag.Key) time.Duration {
		if d, ok := ends[k]; ok {
			return d
		}
		s := by[k]
		if s == nil || s.Change == Reuse {
			return 0
		}
		ends[k] = 0 // no step comes before itself
		var begin time.Duration
		for _, before := range [][]dag.Key{s.Needs, s.After} {
			for _, b := range before {
				begin = max(begin, end(b))
			}
		}
		took, known := usual(s.Kind, s.Name)
		e.Steps++
		if !known {
			e.Unknown++
		}
		ends[k] = begin + took
		return ends[k]
	}
	for _, s := range steps {
		e.For = max(e.For, end(s.Key))
	}
	return e
}
