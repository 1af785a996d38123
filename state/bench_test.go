package state

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/dag/dagtest"
)

func BenchmarkPut(b *testing.B) {
	r := create(b, home(b))
	for i := 0; b.Loop(); i++ {
		if err := r.Put(rec(i % 500)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPut32(b *testing.B) {
	r := create(b, home(b))
	b.SetParallelism(16) // of two processors
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if err := r.Put(rec(i % 500)); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkEmit(b *testing.B) {
	for _, secrets := range []int{0, 1, 50} {
		b.Run(fmt.Sprint(secrets, "secrets"), func(b *testing.B) {
			r := create(b, home(b))
			for i := range secrets {
				r.Redact().Add(fmt.Sprintf("s3cret-%d-%s", i, strings.Repeat("x", 30)))
			}
			e := printed("imgflow-run-12345678-1", "stdout", 0, "Get:1 http://deb.debian.org/debian bookworm/main amd64 redis-server amd64 5:7.0.15-1 [72.7 kB]")
			for b.Loop() {
				e.Offset += 100
				if err := r.Emit(e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSolve is what the engine costs with its checkpoints and events on the
// disk, for toy builds of 12 steps each.
func BenchmarkSolve(b *testing.B) {
	for _, nodes := range []int{10, 100, 1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(nodes), func(b *testing.B) {
			b.ReportAllocs()
			g := dagtest.Builds(max(1, nodes/12), "")
			for b.Loop() {
				r := create(b, home(b))
				e, err := dag.New(dag.Options{Run: r.ID(), Store: r, Sink: r, Kinds: (&dagtest.Toy{}).Kinds()})
				if err != nil {
					b.Fatal(err)
				}
				if rep, err := e.Solve(context.Background(), g); err != nil || rep.Suspended || len(rep.Failed)+len(rep.Left) > 0 {
					b.Fatal(rep, err)
				}
				r.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(nodes)/1000, "µs/node")
		})
	}
}

// BenchmarkOpen opens a run with a hundred thousand lines of output.
func BenchmarkOpen(b *testing.B) {
	h := home(b)
	r := create(b, h)
	for i := range 100_000 {
		r.Emit(printed("imgflow-run-12345678-1", "stdout", int64(100*(i+1)), strings.Repeat("x", 99)))
	}
	r.Close()
	for b.Loop() {
		r, err := h.Open(r.ID())
		if err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}
