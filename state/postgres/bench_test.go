package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/dag/dagtest"
	"github.com/imgflow/imgflow/internal/pgtest"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/state/statetest"
)

// benched is a home in a server that waits for its disk.
func benched(b *testing.B) (*state.Home, string) {
	url, err := pgtest.New(b, "fsync=on").Create()
	if err != nil {
		b.Fatal(err)
	}
	h, err := Open(b.TempDir(), url)
	if err != nil {
		b.Fatal(err)
	}
	return h, url
}

func begin(b *testing.B, h *state.Home) *state.Run {
	r, err := h.Create(state.Summary{})
	if err != nil {
		b.Fatal(err)
	}
	return r
}

func BenchmarkPut(b *testing.B) {
	h, _ := benched(b)
	r := begin(b, h)
	defer r.Close()
	for i := 0; b.Loop(); i++ {
		if err := r.Put(statetest.Record(i % 500)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPut32(b *testing.B) {
	h, _ := benched(b)
	r := begin(b, h)
	defer r.Close()
	b.SetParallelism(16) // of two processors
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if err := r.Put(statetest.Record(i % 500)); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkClaim is what it takes to do a step of a run that is shared: to claim it, read what
// others have changed, keep the intent and the checkpoint with a line of output between; by 32
// at once in one process.
func BenchmarkClaim(b *testing.B) {
	h, _ := benched(b)
	r := begin(b, h)
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
	epoch, err := h.Assign(r.ID(), state.Owner{})
	if err != nil {
		b.Fatal(err)
	}
	if r, err = h.Join(r.ID(), epoch); err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	var n atomic.Int64
	b.SetParallelism(16) // of two processors
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			rec := statetest.Record(int(n.Add(1)))
			c, err := r.Claim(rec.Key)
			if err == nil {
				_, err = r.Refresh()
			}
			if err := errors.Join(err, c.Put(rec), c.Emit(line(1)), c.Put(rec)); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkEmit(b *testing.B) {
	h, _ := benched(b)
	r := begin(b, h)
	e := line(0)
	e.Text = strings.Repeat("x", 99)
	for b.Loop() {
		e.Offset += 100
		if err := r.Emit(e); err != nil {
			b.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSolve is what the engine costs with its checkpoints and events in a database, for
// toy builds of 12 steps each, and what that leaves there.
func BenchmarkSolve(b *testing.B) {
	for _, builds := range []int{1, 10, 100, 1_000} {
		b.Run(fmt.Sprint(builds), func(b *testing.B) {
			h, url := benched(b)
			g := dagtest.Builds(builds, "")
			for b.Loop() {
				r := begin(b, h)
				e, err := dag.New(dag.Options{Run: r.ID(), Store: r, Sink: r, Kinds: (&dagtest.Toy{}).Kinds()})
				if err != nil {
					b.Fatal(err)
				}
				if rep, err := e.Solve(context.Background(), g); err != nil || rep.Suspended || len(rep.Failed)+len(rep.Left) > 0 {
					b.Fatal(rep, err)
				}
				if err := r.Close(); err != nil {
					b.Fatal(err)
				}
			}
			ctx := context.Background()
			c, err := pgx.Connect(ctx, url)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close(ctx)
			var entries, events, changes, bytes float64
			if err := c.QueryRow(ctx, `SELECT (SELECT count(*) FROM imgflow.entries), (SELECT count(*) FROM imgflow.events), (SELECT sum(changes)::float8 FROM imgflow.runs),
				(SELECT sum(pg_column_size(e)) FROM imgflow.entries e) + (SELECT sum(pg_column_size(e)) FROM imgflow.events e)`).Scan(&entries, &events, &changes, &bytes); err != nil {
				b.Fatal(err)
			}
			all := float64(b.N * builds)
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/all, "ms/build")
			b.ReportMetric(entries/all, "records/build")
			b.ReportMetric(events/all, "events/build")
			b.ReportMetric(changes/all, "transactions/build")
			b.ReportMetric(bytes/all, "bytes/build")
		})
	}
}
