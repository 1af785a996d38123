package dag_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/dag/dagtest"
)

// work is one of the things that the engine does with a graph. Its function makes
// all that it needs for a number of nodes, and returns what is to be measured.
type work struct {
	name string
	of   func(tb testing.TB, nodes int) func() error
}

// engine is one that knows the toy cloud.
func engine(tb testing.TB, toy *dagtest.Toy, st dag.Store) *dag.Engine {
	tb.Helper()
	e, err := dag.New(dag.Options{Run: "bench", Store: st, Kinds: toy.Kinds(),
		OnFailure: func(context.Context, dag.Node, error) dag.Decision { return dag.Suspend }})
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// half is an engine whose machines are all there and provisioned, and whose next
// step has failed.
func half(tb testing.TB, g *dag.Graph) *dag.Engine {
	tb.Helper()
	toy := &dagtest.Toy{}
	toy.Fail = func(kind string) error {
		if kind == "toy.stop" {
			return errors.New("not now")
		}
		return nil
	}
	st := &dag.MemStore{}
	if _, err := engine(tb, toy, st).Solve(context.Background(), g); err != nil {
		tb.Fatal(err)
	}
	return engine(tb, &dagtest.Toy{}, st)
}

func builds(nodes int) int { return max(1, nodes/12) }

var works = []work{
	{"Add", func(tb testing.TB, nodes int) func() error {
		return func() error { return dagtest.Builds(builds(nodes), "").Err() }
	}},
	{"Plan", func(tb testing.TB, nodes int) func() error {
		g, e := dagtest.Builds(builds(nodes), ""), engine(tb, &dagtest.Toy{}, &dag.MemStore{})
		return func() error {
			g.Forget()
			_, err := e.Plan(g)
			return err
		}
	}},
	{"Rebuild", func(tb testing.TB, nodes int) func() error { // the plan for as many machines as there are builds
		e, g := half(tb, dagtest.Builds(builds(nodes), "")), dagtest.Builds(builds(nodes), ", edited")
		return func() error {
			g.Forget()
			p, err := e.Plan(g)
			if err == nil && len(p.Rebuilds) != builds(nodes) {
				err = fmt.Errorf("%d things are to be made again", len(p.Rebuilds))
			}
			return err
		}
	}},
	{"Refresh", func(tb testing.TB, nodes int) func() error {
		g := dagtest.Builds(builds(nodes), "")
		e := half(tb, g)
		return func() error { return e.Refresh(context.Background(), g) }
	}},
	{"Solve", func(tb testing.TB, nodes int) func() error {
		g := dagtest.Builds(builds(nodes), "")
		return func() error {
			r, err := engine(tb, &dagtest.Toy{}, &dag.MemStore{}).Solve(context.Background(), g)
			if err == nil && (r.Suspended || len(r.Failed)+len(r.Left) > 0) {
				err = fmt.Errorf("%+v", r)
			}
			return err
		}
	}},
	{"SolveInTurn", func(tb testing.TB, nodes int) func() error { // two builds at a time
		g := dagtest.Builds(builds(nodes), "")
		return func() error {
			e, err := dag.New(dag.Options{Run: "bench", Store: &dag.MemStore{}, Kinds: (&dagtest.Toy{}).Kinds(), Parallel: 2})
			if err == nil {
				_, err = e.Solve(context.Background(), g)
			}
			return err
		}
	}},
	{"Remove", func(tb testing.TB, nodes int) func() error {
		g := dagtest.Builds(builds(nodes), "")
		return func() error { // Solve beside: what has been removed cannot be removed again
			e := half(tb, g)
			left, err := e.Destroy(context.Background(), dag.Unkept)
			if len(left) > 0 {
				err = left[0].Err
			}
			return err
		}
	}},
	{"Draw", func(tb testing.TB, nodes int) func() error {
		g := dagtest.Builds(builds(nodes), "")
		return func() error {
			g.Forget()
			return errors.Join(g.DOT(io.Discard, nil), g.Mermaid(io.Discard, nil))
		}
	}},
	{"DrawShared", func(tb testing.TB, nodes int) func() error {
		g := shared(nodes)
		return func() error {
			g.Forget()
			return g.Mermaid(io.Discard, nil)
		}
	}},
}

// shared is a graph in which one step reads many things, and begins a long chain.
func shared(nodes int) *dag.Graph {
	g := &dag.Graph{}
	var before []dag.Key
	for i := range nodes {
		n := dag.Node{Name: fmt.Sprint(i), Key: dag.Key{byte(i), byte(i >> 8), byte(i >> 16), 1}, Builds: []string{"b"}, Thing: i < nodes/2}
		if n.Thing {
			before = append(before, n.Key)
		} else {
			n.Needs, before = before, []dag.Key{n.Key}
		}
		g.Nodes = append(g.Nodes, n)
	}
	g.Goals = before
	return g
}

func bench(b *testing.B, name string) {
	for _, w := range works {
		if w.name != name {
			continue
		}
		for _, nodes := range []int{10, 100, 1_000, 10_000, 100_000} {
			b.Run(fmt.Sprint(nodes), func(b *testing.B) {
				b.ReportAllocs()
				do := w.of(b, nodes)
				for b.Loop() {
					if err := do(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(nodes)/1000, "µs/node")
			})
		}
	}
}

func BenchmarkAdd(b *testing.B)         { bench(b, "Add") }
func BenchmarkPlan(b *testing.B)        { bench(b, "Plan") }
func BenchmarkRebuild(b *testing.B)     { bench(b, "Rebuild") }
func BenchmarkRefresh(b *testing.B)     { bench(b, "Refresh") }
func BenchmarkSolve(b *testing.B)       { bench(b, "Solve") }
func BenchmarkSolveInTurn(b *testing.B) { bench(b, "SolveInTurn") }
func BenchmarkRemove(b *testing.B)      { bench(b, "Remove") }
func BenchmarkDraw(b *testing.B)        { bench(b, "Draw") }
func BenchmarkDrawShared(b *testing.B)  { bench(b, "DrawShared") }
