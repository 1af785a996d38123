package explain

import (
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// TestExpect: what can be done side by side takes as long as the longest of it.
func TestExpect(t *testing.T) {
	key := func(n byte) (k dag.Key) { k[0] = n; return k }
	step := func(n byte, name string, c Change, needs, after []dag.Key) Step {
		return Step{Node: dag.Node{Key: key(n), Name: name, Kind: "k", Needs: needs, After: after}, Change: c}
	}
	steps := []Step{
		step(1, "source", Reuse, nil, nil),
		step(2, "launch", Create, []dag.Key{key(1)}, nil),
		step(3, "short", Rerun, []dag.Key{key(2)}, nil),
		step(4, "long", Rerun, []dag.Key{key(2)}, nil),
		step(5, "image", Replace, []dag.Key{key(3)}, []dag.Key{key(4)}),
	}
	took := map[string]time.Duration{"source": time.Hour, "launch": time.Minute, "short": 2 * time.Minute, "long": 5 * time.Minute, "image": 3 * time.Minute}
	usual := func(_, step string) (time.Duration, bool) { d, ok := took[step]; return d, ok }
	if e := Expect(steps, usual); e != (Expectation{9 * time.Minute, 4, 0}) {
		t.Errorf("%+v", e)
	}
	delete(took, "long")
	if e := Expect(steps, usual); e != (Expectation{6 * time.Minute, 4, 1}) {
		t.Errorf("without one: %+v", e)
	}
	if e := Expect(steps[:1], usual); e != (Expectation{}) {
		t.Errorf("of what is done: %+v", e)
	}
}
