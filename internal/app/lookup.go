package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/compile"
)

// looked is what the run's data sources have yielded and its builds have made so far, as the records have it: it is read
// again for each evaluation, so that a resume sees what the run has seen, and looks again only for what has other arguments now.
type looked struct {
	data map[string]template.Looked
	made template.Made
}

func nothingLooked() looked { return looked{map[string]template.Looked{}, template.Made{}} }

// recall adds what is recorded of the lookups and results of a graph, and tells whether that is anything new.
func (s *Session) recall(c compile.Catalog, g *dag.Graph, known looked) (more bool, err error) {
	if g == nil || len(g.Lookups)+len(g.Results) == 0 {
		return false, nil
	}
	recs, err := s.records()
	if err != nil {
		return false, err
	}
	done := map[dag.Key]dag.Record{}
	for _, r := range recs {
		if r.Status == dag.Done {
			done[r.Key] = r
		}
	}
	for _, build := range slices.Sorted(maps.Keys(g.Results)) {
		r, ok := done[g.Results[build]]
		if _, old := known.made[build]; old || !ok {
			continue
		}
		if known.made[build], err = compile.Result(build, r.Out); err != nil {
			return false, err
		}
		more = true
	}
	run := s.Summary().ID
	for _, label := range slices.Sorted(maps.Keys(g.Lookups)) {
		r, ok := done[g.Lookups[label]]
		if _, old := known.data[label]; old || !ok {
			continue
		}
		kind, name, _ := strings.Cut(label, ".")
		known.data[label], err = c.Looked(kind, name, r.Out, r.Token(run), func(sealed string) (string, error) {
			v, err := (vault{s}).Get(sealed)
			if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("the run has no secret called %s", sealed)
			}
			return string(v), err
		})
		if err != nil {
			return false, err
		}
		more = true
	}
	return more, nil
}

// records are those of the run, or of what is looked up without one.
func (s *Session) records() ([]dag.Record, error) {
	if s.run == nil {
		return s.passing.store.All()
	}
	return s.run.All()
}

// rest evaluates the template again, now that more is known, and stores what the run wants.
func (s *Session) rest(ctx context.Context) (*dag.Graph, error) {
	if err := s.Load(ctx, true); err != nil {
		return nil, err
	}
	if err := s.store(); err != nil {
		return nil, err
	}
	s.known = false
	if err := s.Verify(ctx); err != nil {
		return nil, err
	}
	if r, ok := s.runner.(interface{ Renew() }); ok {
		r.Renew() // its world knows only what was known when it was made
	}
	return s.graph, nil
}

// LoadLooked is Load for who only wants to know whether the template is right, with what its data sources yield: they
// are looked up, and nothing of that is kept.
func (s *Session) LoadLooked(ctx context.Context, forRun bool) error {
	for {
		if err := s.Load(ctx, forRun); err != nil || s.graph == nil || len(s.graph.Awaited) == 0 {
			return err
		}
		e, err := dag.New(dag.Options{Store: &s.passing.store, Kinds: s.world.Kinds(), Runner: s.runner, Secret: s.secret})
		if err != nil {
			return err
		}
		report, err := e.Solve(ctx, s.graph.First())
		switch {
		case err != nil:
			return err
		case len(report.Failed) > 0:
			return fmt.Errorf("cannot look up %s: %w", report.Failed[0].Name, report.Failed[0].Err)
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// passing is what a session without a run keeps for as long as it lasts.
type passing struct {
	salt  []byte
	store dag.MemStore

	mu     sync.Mutex
	sealed map[string][]byte
}

func (p *passing) get(name string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.sealed[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return v, nil
}

func (p *passing) put(name string, value []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sealed == nil {
		p.sealed = map[string][]byte{}
	}
	p.sealed[name] = value
	return nil
}
