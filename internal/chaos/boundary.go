package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// cut is one place of a kill: before or after the nth write to the run's state,
// and what follows.
type cut struct {
	n          int
	side, then string
}

func (k cut) String() string { return fmt.Sprintf("%d:%s:%s", k.n, k.side, k.then) }

// boundary are the kills at each nth write of a build, until it has no more.
func (c *campaign) boundary(every int) iter.Seq[job] {
	return func(yield func(job) bool) {
		var last atomic.Int64 // a write that the build did not come to
		last.Store(1 << 30)
		for n := 1; int64(n) < last.Load(); n += max(every, 1) {
			for _, side := range []string{"before", "after"} {
				for _, then := range []string{"resume", "destroy"} {
					if !yield(c.cut(cut{n, side, then}, &last)) {
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
	if err != nil || !slices.Contains([]string{"before", "after"}, k.side) || !slices.Contains([]string{"resume", "destroy"}, k.then) {
		return nil, fmt.Errorf("cannot read %q: it must be such as 12:before:resume", text)
	}
	return func(yield func(job) bool) { yield(c.cut(k, &atomic.Int64{})) }, nil
}

// cut makes a job of a kill; last is lowered to a write that was not reached.
func (c *campaign) cut(k cut, last *atomic.Int64) job {
	run := func(ctx context.Context) *outcome {
		p := plan{Guest: c.guest, Latency: "none", Then: k.then}
		if p.Guest != "none" {
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
	w, err := c.world(o.dir, "--guest", o.Guest)
	if err != nil {
		return err
	}
	defer w.close()
	if err := errors.Join(w.write("t.json", o.template()), w.write("cargo.txt", "what is sent\n")); err != nil {
		return err
	}
	return w.watched(func() error {
		p, err := w.start([]string{fmt.Sprintf("IMGFLOW_CRASH_AT=%d:%s", k.n, k.side)}, "run", "t.json")
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
