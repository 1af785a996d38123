//go:build unix

package graphsvg

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/cputime"
)

// comb is a long chain from each of whose nodes an edge leads to the last: with a bend in
// every rank these would be half of the square of them.
func comb(nodes int) Picture {
	var p Picture
	for i := range nodes {
		p.Nodes = append(p.Nodes, Node{ID: fmt.Sprint(i), Label: "x"})
		if i > 0 {
			p.Edges = append(p.Edges, Edge{From: fmt.Sprint(i - 1), To: fmt.Sprint(i)})
		}
		if i < nodes-2 {
			p.Edges = append(p.Edges, Edge{From: fmt.Sprint(i), To: fmt.Sprint(nodes - 1)})
		}
	}
	return p
}

// Eight times the nodes cost about eight times as much: a logarithm and caches are allowed, a square is not.
func TestGrowth(t *testing.T) {
	for name, make := range map[string]func(int) Picture{
		"builds": func(n int) Picture { return builds(n/12, 2) },
		"comb":   comb,
	} {
		cost := func(nodes int) time.Duration {
			p, times := make(nodes), 16000/nodes
			begun := cputime.Spent(t)
			for range times {
				if err := p.SVG(io.Discard); err != nil {
					t.Fatal(err)
				}
			}
			return (cputime.Spent(t) - begun) / time.Duration(times)
		}
		small, large := cost(1000), cost(8000)
		t.Logf("%s: %v for 1,000 nodes, %v for 8,000", name, small, large)
		if large > 24*small {
			t.Errorf("%s: 8,000 nodes cost %v, 1,000 cost %v", name, large, small)
		}
	}
}
