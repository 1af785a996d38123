package app

import (
	"context"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

// Joining tells which steps of the session's graph other runs of a home make now, by their keys, and which run each of them is: a run by
// workers would wait for what these make, if it has the same means. What comes after one of them is had of the run, too, where
// that has begun with it.
func (s *Session) Joining(home *state.Home) (map[dag.Key]string, error) {
	look := &looker{home: home, runs: map[dag.Key]string{}}
	o := dag.Options{Store: &dag.MemStore{}, Kinds: s.world.Kinds(), Makers: look, Leaves: s.leaves}
	if s.run != nil {
		o.Store = s.run
	}
	e, err := dag.New(o)
	if err != nil {
		return nil, err
	}
	if _, err := e.Elsewhere(s.graph); err != nil {
		return nil, err
	}
	var lookups []dag.Key
	for _, n := range s.graph.Nodes {
		if n.Common && !n.Thing {
			lookups = append(lookups, n.Key)
		}
	}
	return look.runs, look.Claim(lookups, func(map[dag.Key]string) []dag.Key { return nil })
}

// leaves tells of a step whether it leaves local files that others look for.
func (s *Session) leaves(n dag.Node) bool {
	f, _ := s.world.LocalFiles(n.Kind, n.Spec)
	return f.Any || len(f.Writes)+len(f.Fills) > 0
}

// looker is for who only wants to know who makes what: it makes nothing, and waits for nobody.
type looker struct {
	home *state.Home
	runs map[dag.Key]string // that make the steps it was asked for
}

func (l *looker) Claim(steps []dag.Key, choose func(others map[dag.Key]string) []dag.Key) error {
	runs, err := l.home.Makers(steps)
	for k, run := range runs {
		l.runs[k] = run
	}
	choose(runs)
	return err
}

func (*looker) Await(context.Context, dag.Key, []dag.Key, func(string)) (string, []dag.Record, error) {
	return "", nil, nil
}

func (*looker) Leave(...dag.Key) error { return nil }
