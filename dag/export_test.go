package dag

import "context"

// Refresh is the part of Solve that asks what exists.
func (e *Engine) Refresh(ctx context.Context, g *Graph) error {
	d := newPass(g, e.recs, Rules{})
	d.last = looking
	e.carryOut(ctx, d)
	return d.fatal
}

// Forget forgets what was derived from the graph.
func (g *Graph) Forget() { g.known, g.whole = nil, nil }
