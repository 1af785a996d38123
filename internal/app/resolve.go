package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/imgflow/imgflow/dag"
)

// Found is what a step has looked up.
type Found struct {
	Node dag.Node
	Out  json.RawMessage // its output; nil where it failed, or something before it did
	Err  error           // why it failed; nil: it did not
}

// Resolve looks up what a run would before it makes anything: data sources, source images,
// names that must be free, networks. Nothing of that is kept. The session has no run; its template
// is loaded.
func (s *Session) Resolve(ctx context.Context) ([]Found, error) {
	if err := s.LoadLooked(ctx, true); err != nil {
		return nil, err
	}
	e, err := dag.New(dag.Options{Store: &s.passing.store, Kinds: s.world.Kinds(), Runner: s.runner, Secret: s.secret})
	if err != nil {
		return nil, err
	}
	g := s.graph.Looks()
	report, err := e.Solve(ctx, g)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look up what the template refers to: %w", err)
	}
	records, err := s.passing.store.All()
	if err != nil {
		return nil, err
	}
	var all []Found
	for _, n := range g.Nodes {
		f := Found{Node: n}
		if i := slices.IndexFunc(records, func(r dag.Record) bool { return r.Key == n.Key && r.Status == dag.Done }); i >= 0 {
			f.Out = records[i].Out
		}
		if i := slices.IndexFunc(report.Failed, func(x dag.Failure) bool { return x.Node.Key == n.Key }); i >= 0 {
			f.Err = report.Failed[i].Err
		}
		all = append(all, f)
	}
	return all, nil
}

// Examine finds out whether a run would be let do what it is for: it looks up what it would,
// and has the cloud asked for the rest. Nothing is made.
func (s *Session) Examine(ctx context.Context) ([]Finding, error) {
	all, err := s.Resolve(ctx)
	if err != nil {
		return nil, err
	}
	s.world.Learn(s.graph.Nodes)
	found := map[dag.Key]json.RawMessage{}
	var fs []Finding
	for _, f := range all {
		finding := Finding{Status: OK, What: f.Node.Name, Why: f.Node.Title, Builds: f.Node.Builds}
		switch {
		case f.Err != nil:
			finding.Status, finding.Why = Wrong, f.Err.Error()
		case f.Out == nil:
			finding.Status, finding.Why = Unknown, "what comes before it has failed"
		default:
			found[f.Node.Key] = f.Out
		}
		fs = append(fs, finding)
	}
	return append(fs, s.world.Examine(ctx, s.graph.Nodes, found)...), nil
}
