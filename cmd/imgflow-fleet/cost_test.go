package main

import (
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// cost is what a run of scripts that do nothing takes besides its machine.
type cost struct {
	start time.Duration // from the command until the first step begins
	step  time.Duration // of each script, from its begin until that of the next
}

// costOf runs a template and takes its cost.
func (b *bench) costOf(args ...string) cost {
	b.t.Helper()
	began := time.Now()
	b.output(0, b.machine("me", append([]string{"run"}, args...)...))
	var first, from, to time.Time
	scripts := 0
	for _, e := range b.events(b.newest()) {
		if e.Type != dag.Started {
			continue
		}
		if first.IsZero() {
			first = e.Time
		}
		if e.Kind == "provision.shell-local" {
			if scripts++; scripts == 1 {
				from = e.Time
			}
			to = e.Time
		}
	}
	if scripts < 2 {
		b.t.Fatalf("%d scripts have run", scripts)
	}
	return cost{first.Sub(began), to.Sub(from) / time.Duration(scripts-1)}
}

// What it takes until the first step begins, and what each step takes besides what it does, is told for one process that keeps
// its run in files, for one that keeps it in PostgreSQL, and for a fleet. A fleet is slower, within bounds.
func TestWhatStepsTake(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.worker("one")
	b.worker("two")
	template := b.file("t.json", `{"builders": [{"type": "null", "communicator": "none"}], "provisioners": [`+
		strings.Repeat(`{"type": "shell-local", "inline": ["true"]}, `, 39)+`{"type": "shell-local", "inline": ["true"]}]}`)
	least := func(args ...string) (c cost) { // a busy machine only makes it more
		for i := range 3 {
			d := b.costOf(append(args, template)...)
			if i == 0 {
				c = d
			}
			c = cost{min(c.start, d.start), min(c.step, d.step)}
		}
		return c
	}
	database := b.database
	b.database = ""
	files := least()
	b.database = database
	rows, fleet := least(), least("--on", b.engine)
	for name, c := range map[string]cost{"files": files, "PostgreSQL": rows, "a fleet": fleet} {
		t.Logf("%s: %d ms until the first step, %d ms a step", name, c.start.Milliseconds(), c.step.Milliseconds())
	}
	for what, r := range map[string]struct {
		is, than time.Duration
		times    int
	}{
		"PostgreSQL to start": {rows.start, files.start, 5}, "PostgreSQL for a step": {rows.step, files.step, 5},
		"a fleet to start": {fleet.start, files.start, 20}, "a fleet for a step": {fleet.step, files.step, 20},
	} {
		if r.is > time.Duration(r.times)*r.than {
			t.Errorf("%s takes %s, more than %d times the %s of files", what, r.is, r.times, r.than)
		}
	}
}
