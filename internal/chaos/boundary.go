package main

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// cut is one place of a kill: before or after the nth write to the run's state,
// and what follows: resume, destroy, or worker, where it is a worker that is killed, and
// another one goes on.
type cut struct {
	n          int
	side, then string
}

func (k cut) String() string { return fmt.Sprintf("%d:%s:%s", k.n, k.side, k.then) }

// boundary are the kills at each nth write of a build, until it has no more: on both sides, with
// all that may follow. Where not each write has its turn, each has one of these, by turns.
func (c *campaign) boundary(every int) iter.Seq[job] {
	return func(yield func(job) bool) {
		for _, thens := range [][]string{{"resume", "destroy"}, {"worker"}} {
			if thens[0] == "worker" && c.temporal == "" {
				continue
			}
			var last atomic.Int64 // a write that nobody came to
			last.Store(1 << 30)
			var ways []cut
			for _, then := range thens {
				ways = append(ways, cut{0, "before", then}, cut{0, "after", then})
			}
			for i, n := 0, 1; int64(n) < last.Load(); i, n = i+1, n+max(every, 1) {
				these := ways
				if every > 1 {
					these = ways[i%len(ways):][:1]
				}
				for _, k := range these {
					k.n = n
					if !yield(c.cut(k, &last)) {
						return
					}
				}
			}
		}
	}
}

// boundaryAt is one kill alone.
func (c *campaign) boundaryAt(text string) (iter.Seq[job], error) {
	var k cut
	_, err := fmt.Sscanf(strings.ReplaceAll(text, ":", " "), "%d %s %s", &k.n, &k.side, &k.then)
	if err != nil || !slices.Contains([]string{"before", "after"}, k.side) || !slices.Contains([]string{"resume", "destroy", "worker"}, k.then) || k.then == "worker" && c.temporal == "" {
		return nil, fmt.Errorf("cannot read %q: it must be such as 12:before:resume", text)
	}
	return c.cuts(k), nil
}

// cuts are some kills alone.
func (c *campaign) cuts(ks ...cut) iter.Seq[job] {
	return func(yield func(job) bool) {
		for _, k := range ks {
			if !yield(c.cut(k, &atomic.Int64{})) {
				return
			}
		}
	}
}

// cut makes a job of a kill; last is lowered to a write that was not reached.
func (c *campaign) cut(k cut, last *atomic.Int64) job {
	run := func(ctx context.Context) *outcome {
		p := plan{Guest: c.guest, Latency: "none", Then: k.then}
		switch {
		case c.kind == "production":
			p.Production = c.production
		case p.Guest != "none":
			p.Scripts, p.Naps = 2, make([]time.Duration, 2)
			if c.kind == "windows" {
				p.Windows = &windowsPlan{As: []string{"", "SYSTEM"}, Ticks: 3}
			}
		}
		o := &outcome{plan: p, dir: filepath.Join(c.dir, strings.ReplaceAll(k.String(), ":", "-"))}
		began := time.Now()
		o.err = c.playCut(ctx, o, k, last)
		o.took = time.Since(began)
		return o
	}
	return job{run, fmt.Sprintf("-boundary -at %s %s", k, c.flags())}
}

func (c *campaign) playCut(ctx context.Context, o *outcome, k cut, last *atomic.Int64) error {
	w, err := c.world(o.dir, append([]string{"--guest", o.Guest}, o.endpoint()...)...)
	if err != nil {
		return err
	}
	defer w.close()
	if err := o.furnish(w); err != nil {
		return err
	}
	crash := fmt.Sprintf("IMGFLOW_CRASH_AT=%d:%s", k.n, k.side)
	if k.then == "worker" {
		o.Then = "resume"
		return w.watched(func() error { return o.cutWorker(ctx, w, k, crash, last) })
	}
	return w.watched(func() error {
		p, err := w.start([]string{crash}, "run", "t.json")
		if err != nil {
			return err
		}
		if err := p.wait(patience); err != nil {
			return fmt.Errorf("%w; it printed:\n%s", err, indent(p.output()))
		}
		switch {
		case p.killed():
			o.tell("killed %s write %d (%.48s)", k.side, k.n, p.last())
		case p.code() == 0 && k.n == 1: // every build writes
			return fmt.Errorf("cannot kill at a write: the program does not know how; build it with -tags chaos")
		case p.code() == 0:
			o.tell("finished before write %d", k.n)
			last.Store(min(last.Load(), int64(k.n)))
		default:
			return fmt.Errorf("`imgflow run` ended with exit status %d; it printed:\n%s", p.code(), indent(p.output()))
		}
		return o.aftermath(ctx, w, p.killed())
	})
}

// cutWorker is a build by one worker, which is killed, and by another.
func (o *outcome) cutWorker(ctx context.Context, w *world, k cut, crash string, last *atomic.Int64) error {
	for _, m := range w.crew.machines {
		m.kill()
	}
	struck := w.crew.machines[0]
	if err := w.crew.replace(struck, crash); err != nil {
		return err
	}
	p, err := w.start(nil, "run", "t.json")
	if err != nil {
		return err
	}
	select {
	case <-p.ended:
		o.tell("finished before write %d of a worker", k.n)
		last.Store(min(last.Load(), int64(k.n)))
	case <-struck.ended:
		o.tell("a worker killed %s write %d (%.48s)", k.side, k.n, p.last())
		if !struck.killed() {
			return fmt.Errorf("a worker ended by itself; it printed:\n%s", indent(struck.output()))
		}
	case <-time.After(patience):
	}
	struck.kill() // it would be killed by a write of what follows
	if err := w.crew.replace(struck); err != nil {
		return err
	}
	if err := p.wait(patience); err != nil || p.code() != 0 {
		return fmt.Errorf("`imgflow run` ended with exit status %d, %v; it printed:\n%s", p.code(), err, indent(p.output()))
	}
	return o.aftermath(ctx, w, false)
}
