package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/imgflow/imgflow/internal/pgtest"
	"github.com/imgflow/imgflow/internal/temporaltest"
)

func main() {
	var (
		n        = flag.Int("n", 20, "how many runs")
		seed     = flag.Uint64("seed", 0, "repeat the run of this seed alone; 0 makes -n runs, from -first on")
		first    = flag.Uint64("first", 1, "the first seed")
		workers  = flag.Int("workers", 2*runtime.NumCPU(), "how many runs at once")
		guest    = flag.String("guest", "sandbox", "what stands behind an instance: none, sandbox or process")
		template = flag.String("template", "linux", "what is built: an image of linux or of windows, or with -boundary the example production")
		runner   = flag.String("runner", "engine", "who does the steps: the engine's own process, or another process")
		state    = flag.String("state", "files", "what keeps the runs: files, or postgres, a server that is started for it")
		on       = flag.String("on", "", "who builds: imgflow itself, or temporal, workers of a Temporal server, with the runs in PostgreSQL")
		boundary = flag.Bool("boundary", false, "kill at every checkpoint write instead of at random moments")
		at       = flag.String("at", "", "with -boundary: repeat this one alone, such as 12:before:resume")
		every    = flag.Int("every", 1, "with -boundary: only each nth write, in one way")
		imgflow  = flag.String("imgflow", "", "the program to break, made with -tags chaos; it is built from this source if not given")
	)
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "chaos: cannot use %q: there are only flags; -help lists them\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := newCampaign(ctx, *imgflow, *guest, *template, *runner, *state, *on)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(2)
	}
	var jobs iter.Seq[job]
	switch {
	case *template == "production" && !*boundary:
		fmt.Fprintln(os.Stderr, "chaos: cannot build the template production at random moments: add -boundary")
		os.Exit(2)
	case *boundary && *at != "":
		if jobs, err = c.boundaryAt(*at); err != nil {
			fmt.Fprintln(os.Stderr, "chaos:", err)
			os.Exit(2)
		}
	case *boundary:
		jobs = c.boundary(*every)
	case *seed != 0:
		jobs = c.seeds(*seed, 1)
	default:
		jobs = c.seeds(*first, *n)
	}
	good, played := play(ctx, *workers, jobs, os.Stdout)
	if c.database != nil {
		c.database.Close()
	}
	if good == played {
		os.RemoveAll(c.dir)
	}
	if good < played || ctx.Err() != nil {
		os.Exit(1)
	}
}

// newCampaign prepares a campaign: the program and a place for its worlds.
func newCampaign(ctx context.Context, imgflow, guest, kind, runner, state, on string) (*campaign, error) {
	switch guest {
	case "none", "sandbox", "process":
	default:
		return nil, fmt.Errorf("cannot use the guest %q: choose none, sandbox or process", guest)
	}
	switch {
	case kind != "linux" && kind != "windows" && kind != "production":
		return nil, fmt.Errorf("cannot use the template %q: choose linux, windows or production", kind)
	case runner != "engine" && runner != "process":
		return nil, fmt.Errorf("cannot use the runner %q: choose engine or process", runner)
	case state != "files" && state != "postgres":
		return nil, fmt.Errorf("cannot keep runs in %q: choose files or postgres", state)
	case on != "" && on != "temporal":
		return nil, fmt.Errorf("cannot build on %q: choose temporal, or leave it out", on)
	case on != "" && runner != "engine":
		return nil, fmt.Errorf("cannot have the runner %q with -on: workers do the steps", runner)
	case kind != "linux" && guest == "none":
		return nil, fmt.Errorf("cannot use the guest none for a template of %s: nothing would run its scripts", kind)
	}
	dir, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		return nil, err
	}
	c := &campaign{imgflow: imgflow, guest: guest, kind: kind, runner: runner, dir: dir}
	if kind == "production" {
		if c.production, err = productionFolder(ctx); err != nil {
			return nil, err
		}
	}
	name := "imgflow"
	if on != "" {
		if c.temporal, err = temporaltest.Build(ctx); err != nil {
			return nil, err
		}
	}
	if state == "postgres" || on != "" {
		name = "imgflow-fleet"
		if c.database, err = pgtest.Run(); err != nil {
			return nil, err
		}
	}
	if c.imgflow == "" {
		if c.imgflow, err = build(ctx, dir, name); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// build builds an imgflow, or an imgflow-fleet, that can kill itself at any checkpoint.
func build(ctx context.Context, dir, name string) (string, error) {
	exe := filepath.Join(dir, name)
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", "chaos", "-o", exe, "github.com/imgflow/imgflow/cmd/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // it runs in guests that have another C library, or none
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build %s: %w\n%s", name, err, out)
	}
	return exe, nil
}

// job is one run, and the flags that repeat it.
type job struct {
	run    func(context.Context) *outcome
	repeat string
}

// flags are those that repeat a run of the campaign.
func (c *campaign) flags() string {
	flags := fmt.Sprintf("-guest %s -template %s -runner %s", c.guest, c.kind, cmp.Or(c.runner, "engine"))
	switch {
	case c.temporal != "":
		flags += " -on temporal"
	case c.database != nil:
		flags += " -state postgres"
	}
	return flags
}

// seeds are the runs of n seeds.
func (c *campaign) seeds(first uint64, n int) iter.Seq[job] {
	return c.these(func(yield func(uint64) bool) {
		for i := range uint64(n) {
			if !yield(first + i) {
				return
			}
		}
	})
}

// these are the runs of some seeds.
func (c *campaign) these(seeds iter.Seq[uint64]) iter.Seq[job] {
	return func(yield func(job) bool) {
		for seed := range seeds {
			run := func(ctx context.Context) *outcome { return c.run(ctx, seed) }
			if !yield(job{run, fmt.Sprintf("-seed %d %s", seed, c.flags())}) {
				return
			}
		}
	}
}

// play does the jobs, so many at once, prints a line for each and a total, and
// returns how many went as they should, and how many there were.
func play(ctx context.Context, workers int, jobs iter.Seq[job], to io.Writer) (good, played int) {
	began := time.Now()
	var mu sync.Mutex
	var wg sync.WaitGroup
	var wrong []string
	todo := make(chan job)
	for range workers {
		wg.Go(func() {
			for j := range todo {
				o := j.run(ctx)
				repeat := "go run ./internal/chaos " + j.repeat
				o.leave(repeat)
				mu.Lock()
				played++
				fmt.Fprintln(to, o)
				if o.err == nil {
					good++
				} else {
					fmt.Fprintf(to, "  %v\n  repeat it: %s\n", o.err, repeat)
					wrong = append(wrong, fmt.Sprintf("WRONG: %s: it lies in %s", repeat, o.dir))
				}
				mu.Unlock()
			}
		})
	}
	for j := range jobs {
		if ctx.Err() != nil {
			break
		}
		todo <- j
	}
	close(todo)
	wg.Wait()
	for _, w := range wrong { // once more at the end, where it is seen
		fmt.Fprintln(to, w)
	}
	fmt.Fprintf(to, "%d of %d ended with exactly the wanted inventory (%s)\n", good, played, time.Since(began).Round(time.Second))
	return good, played
}
