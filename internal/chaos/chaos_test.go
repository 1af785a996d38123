package main

import (
	"strings"
	"testing"
)

// TestCampaign plays a few seeds of the campaign; -chaos.n plays more.
func TestCampaign(t *testing.T) {
	exe := imgflow(t)
	sandboxes(t, exe)
	c := &campaign{imgflow: exe, guest: "sandbox", kind: "linux", dir: t.TempDir()}
	check(t)(play(t.Context(), *workers, c.seeds(1, *runs), logged{t}))
}

// TestKillAtEveryCheckpoint kills a Linux build with -9 on both sides of its
// writes, then resumes, and destroys: at every write with -chaos.long.
func TestKillAtEveryCheckpoint(t *testing.T) {
	exe := imgflow(t)
	sandboxes(t, exe)
	c := &campaign{imgflow: exe, guest: "sandbox", kind: "linux", dir: t.TempDir()}
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
		if p.template() != q.template() || p.First != q.First || p.Faults != q.Faults || p.Then != q.Then || len(p.More) != len(q.More) {
			t.Fatalf("seed %d decides two things: %+v and %+v", seed, p, q)
		}
		fates[p.Then+" "+p.Mischief] = true
	}
	if len(fates) != 9 {
		t.Errorf("not everything happens in 300 seeds: %v", fates)
	}
}

// logged writes to the log of a test.
type logged struct{ t *testing.T }

func (l logged) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
