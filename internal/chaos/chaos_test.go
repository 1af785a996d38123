package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestCampaign plays a few seeds of the campaign; -chaos.n plays more.
func TestCampaign(t *testing.T) {
	t.Parallel()
	exe := imgflow(t)
	sandboxes(t, exe)
	c := &campaign{imgflow: exe, guest: "sandbox", kind: "linux", dir: worlds(t)}
	check(t)(play(t.Context(), *workers, c.few(chosen["linux"]...), logged{t}))
}

// chosen are the seeds that are played each time, by what is built.
var chosen = map[string][]uint64{"linux": {7, 10, 12, 17, 18, 47}, "windows": {7, 18, 30, 33, 40}}

// few are some seeds in which as much as possible happens, or the first ones, as many as
// -chaos.n says.
func (c *campaign) few(seeds ...uint64) iter.Seq[job] {
	if *runs > 0 {
		return c.seeds(1, *runs)
	}
	return c.these(slices.Values(seeds))
}

// TestCampaignOfTwoProcesses plays seeds with the steps in a process of their own,
// which is killed beside the engine's.
func TestCampaignOfTwoProcesses(t *testing.T) {
	t.Parallel()
	exe := imgflow(t)
	sandboxes(t, exe)
	c := &campaign{imgflow: exe, guest: "sandbox", kind: "linux", runner: "process", dir: worlds(t)}
	losing(t, c.few(36, 41))
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
	t.Parallel()
	exe := imgflow(t)
	sandboxes(t, exe)
	c := &campaign{imgflow: exe, guest: "sandbox", kind: "linux", dir: worlds(t)}
	check(t)(play(t.Context(), *workers, c.boundary(scaled(20, 1)), logged{t}))
}

func check(t *testing.T) func(good, played int) {
	return func(good, played int) {
		t.Helper()
		if good < played || played == 0 {
			t.Errorf("%d of %d", good, played)
		}
	}
}

// both are the runs of one and of another.
func both(one, other iter.Seq[job]) iter.Seq[job] {
	return func(yield func(job) bool) {
		for j := range one {
			if !yield(j) {
				return
			}
		}
		other(yield)
	}
}

// features adds what is so of a plan.
func (p plan) features(to map[string]bool) {
	to["then "+p.Then], to["mischief "+p.Mischief], to[fmt.Sprint("copies ", len(p.Copies))], to[fmt.Sprint("encrypted ", p.Encrypted)] = true, true, true, true
	for _, word := range strings.Fields(p.tail.String()) {
		to[word] = true
	}
}

// TestSeedsAreRepeatable: all that a seed decides is always the same, and each kind of thing is in those
// that are played each time.
func TestSeedsAreRepeatable(t *testing.T) {
	for kind, seeds := range chosen {
		all, played := map[string]bool{}, map[string]bool{}
		for seed := range uint64(300) {
			newPlan(seed, "sandbox", kind).features(all)
		}
		for _, seed := range seeds {
			newPlan(seed, "sandbox", kind).features(played)
		}
		for what := range all {
			if !played[what] {
				t.Errorf("%s: %q is in none of the seeds that were chosen", kind, what)
			}
		}
	}
	fates, tails, words := map[string]bool{}, map[tail]bool{}, map[string]bool{}
	for seed := range uint64(300) {
		p, q := newPlan(seed, "sandbox", "windows"), newPlan(seed, "sandbox", "windows")
		if p.template() != q.template() || p.First != q.First || p.Faults != q.Faults || p.Then != q.Then || len(p.More) != len(q.More) || fmt.Sprint(p.Losses) != fmt.Sprint(q.Losses) {
			t.Fatalf("seed %d decides two things: %+v and %+v", seed, p, q)
		}
		fates[p.Then+" "+p.Mischief] = true
		tails[p.tail] = true
		for _, word := range strings.Fields(p.tail.String()) {
			words[word] = true
		}
	}
	if ends, mischiefs := 3, 4; len(fates) != ends*mischiefs {
		t.Errorf("not everything happens in 300 seeds: %v", fates)
	}
	if of := reflect.TypeFor[tail]().NumField(); len(words) != of || len(tails) < 3*of {
		t.Errorf("not everything of a tail happens in 300 seeds: %v", words)
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

// TestInventoryIsExact: what is there too much or too little is wrong, whatever it is.
func TestInventoryIsExact(t *testing.T) {
	image, copied := thing{Kind: "image", Region: region, State: "available"}, thing{Kind: "image", Region: "eu-west-1", State: "available"}
	snapshot, its := thing{Kind: "snapshot", Region: region, State: "completed"}, thing{Kind: "snapshot", Region: "eu-west-1", State: "completed"}
	volume := thing{Kind: "volume", Region: region, State: "available"}
	gone, key := thing{Kind: "instance", Region: region, State: "terminated"}, thing{Kind: "kms-key", Region: region, ID: keyID}
	for name, c := range map[string]struct {
		there inventory
		want  results
		right bool
	}{
		"nothing":                   {inventory{gone, key}, results{}, true},
		"an image and its copy":     {inventory{image, snapshot, copied, its, gone}, results{images: 2}, true},
		"volumes":                   {inventory{volume, snapshot}, results{volumes: 1, snapshots: 1}, true},
		"an image too few":          {inventory{image, snapshot}, results{images: 2}, false},
		"a snapshot of none":        {inventory{image, snapshot, its}, results{images: 1}, false},
		"a snapshot elsewhere":      {inventory{image, its}, results{images: 1}, false},
		"a volume too many":         {inventory{image, snapshot, volume}, results{images: 1}, false},
		"a volume in use":           {inventory{{Kind: "volume", Region: region, State: "in-use"}}, results{}, false},
		"an instance":               {inventory{{Kind: "instance", State: "running"}}, results{}, false},
		"a session":                 {inventory{{Kind: "session"}}, results{}, false},
		"the profile of all":        {inventory{{Kind: "instance-profile", Name: profile}}, results{}, true},
		"a build's profile":         {inventory{{Kind: "instance-profile", Name: "imgflow-x"}}, results{}, false},
		"another key":               {inventory{{Kind: "kms-key", ID: "x"}}, results{}, false},
		"a parameter of another":    {inventory{{Kind: "parameter", Name: "/other"}}, results{}, false},
		"a volume, no snapshot":     {inventory{volume}, results{volumes: 1, snapshots: 1}, false},
		"the snapshot is of abroad": {inventory{volume, its}, results{volumes: 1, snapshots: 1}, false},
	} {
		if err := c.there.wrong(c.want); (err == nil) != c.right {
			t.Errorf("%s: %v", name, err)
		}
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
