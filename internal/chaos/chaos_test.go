package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestCampaign plays a few seeds of the campaign; -chaos.n plays more.
func TestCampaign(t *testing.T) {
	exe := imgflow(t)
	sandboxes(t, exe)
	c := &campaign{imgflow: exe, guest: "sandbox", kind: "linux", dir: worlds(t)}
	check(t)(play(t.Context(), *workers, c.seeds(1, *runs), logged{t}))
}

// TestCampaignOfTwoProcesses plays seeds with the steps in a process of their own,
// which is killed beside the engine's.
func TestCampaignOfTwoProcesses(t *testing.T) {
	exe := imgflow(t)
	sandboxes(t, exe)
	c := &campaign{imgflow: exe, guest: "sandbox", kind: "linux", runner: "process", dir: worlds(t)}
	losing(t, c.seeds(3, scaled(2, *runs)))
}

// losing plays runs of which some lose workers.
func losing(t *testing.T, all iter.Seq[job]) {
	t.Helper()
	var mu sync.Mutex
	lost := 0
	jobs := func(yield func(job) bool) {
		for j := range all {
			run := j.run
			j.run = func(ctx context.Context) *outcome {
				o := run(ctx)
				mu.Lock()
				defer mu.Unlock()
				lost += o.lost
				return o
			}
			if !yield(j) {
				return
			}
		}
	}
	check(t)(play(t.Context(), *workers, jobs, logged{t}))
	if lost == 0 {
		t.Error("no worker was killed")
	}
}

// TestKillAtEveryCheckpoint kills a Linux build with -9 on both sides of its
// writes, then resumes, and destroys: at every write with -chaos.long.
func TestKillAtEveryCheckpoint(t *testing.T) {
	exe := imgflow(t)
	sandboxes(t, exe)
	c := &campaign{imgflow: exe, guest: "sandbox", kind: "linux", dir: worlds(t)}
	check(t)(play(t.Context(), *workers, c.boundary(scaled(17, 1)), logged{t}))
}

func check(t *testing.T) func(good, played int) {
	return func(good, played int) {
		t.Helper()
		if good < played || played == 0 {
			t.Errorf("%d of %d", good, played)
		}
	}
}

// TestSeedsAreRepeatable: all that a seed decides is always the same.
func TestSeedsAreRepeatable(t *testing.T) {
	fates := map[string]bool{}
	for seed := range uint64(300) {
		p, q := newPlan(seed, "sandbox", "windows"), newPlan(seed, "sandbox", "windows")
		if p.template() != q.template() || p.First != q.First || p.Faults != q.Faults || p.Then != q.Then || len(p.More) != len(q.More) || fmt.Sprint(p.Losses) != fmt.Sprint(q.Losses) {
			t.Fatalf("seed %d decides two things: %+v and %+v", seed, p, q)
		}
		fates[p.Then+" "+p.Mischief] = true
	}
	if ends, mischiefs := 3, 4; len(fates) != ends*mischiefs {
		t.Errorf("not everything happens in 300 seeds: %v", fates)
	}
}

// TestNoWrongRunIsLost: its world stays, with how to repeat it, and so does the last
// word of the campaign; the world of one that went as it should does not.
func TestNoWrongRunIsLost(t *testing.T) {
	dir := t.TempDir()
	one := func(name string, err error) job {
		o := &outcome{plan: plan{Guest: "none", Seed: 7}, dir: filepath.Join(dir, name), err: err}
		if err := os.Mkdir(o.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		return job{func(context.Context) *outcome { return o }, "-seed 7 -guest " + name}
	}
	var out strings.Builder
	good, played := play(t.Context(), 1, slices.Values([]job{one("bad", errors.New("two images")), one("good", nil)}), &out)
	if good != 1 || played != 2 {
		t.Errorf("%d of %d", good, played)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if want := fmt.Sprintf("WRONG: go run ./internal/chaos -seed 7 -guest bad: it lies in %s", filepath.Join(dir, "bad")); len(lines) < 2 || lines[len(lines)-2] != want {
		t.Errorf("it does not end with %q and the total:\n%s", want, out.String())
	}
	account, err := os.ReadFile(filepath.Join(dir, "bad", accountName))
	if err != nil || !strings.Contains(string(account), "two images\nrepeat it: go run ./internal/chaos -seed 7 -guest bad\n") {
		t.Errorf("the account is %q, %v", account, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "good")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the world of a good run is left: %v", err)
	}
}

// worlds is where the worlds of a campaign lie; those that went wrong are left.
func worlds(t *testing.T) string {
	dir, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what went wrong lies in %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// logged writes to the log of a test.
type logged struct{ t *testing.T }

func (l logged) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
