package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// artifacts are what the newest run has made, without what is another in every run.
func (b *bench) artifacts() (made []string) {
	b.t.Helper()
	var runs []struct {
		Builds []struct {
			Name, Status string
			Artifacts    []struct{ Kind, Region, Name string }
		}
	}
	if err := json.Unmarshal([]byte(b.output(0, b.machine("me", "list", "--json"))), &runs); err != nil || len(runs) == 0 {
		b.t.Fatalf("there is no run: %v", err)
	}
	for _, build := range runs[0].Builds {
		made = append(made, regexp.MustCompile(`[0-9]{6,}`).ReplaceAllString(fmt.Sprint(build), "N"))
	}
	return made
}

// without are lines that are not among others as often.
func without(lines, others []string) []string {
	n := map[string]int{}
	for _, l := range others {
		n[l]++
	}
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool { n[l]--; return n[l] >= 0 })
}

// Examples are built by workers as they are here: they tell the same lines, have the same steps by the same
// names, and make the same artifacts. What a fleet costs is told for each of them.
func TestExamplesElsewhereAreLikeHere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	examples := filepath.Join(b.dir, "examples")
	if err := os.CopyFS(examples, os.DirFS("../../examples")); err != nil {
		t.Fatal(err)
	}
	b.worker("one")
	b.worker("two")
	numbers := regexp.MustCompile(`[0-9]{6,}|EC2AMAZ-\w+|\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b(snap|vol|ami|key)-[0-9a-f]{17}|[0-9.]+ ?m?s\b|\b[0-9]{2}:[0-9]{2}(:[0-9]{2})?\b`)
	for _, x := range []struct {
		file  string
		flags []string
	}{
		{"first/image.json", nil}, {"linux/firstrun.json", nil}, {"windows/firstrun.json", nil}, {"arm/image.json", nil}, {"regions/image.pkr.hcl", nil},
		{"hardened/image.pkr.hcl", nil}, {"chain/image.pkr.hcl", nil}, {"test/image.json", nil}, {"nightly/image.json", []string{"-var", "commit=abc1"}},
	} {
		lines, keys, artifacts, took := map[string][]string{}, map[string]map[string]string{}, map[string][]string{}, map[string]time.Duration{}
		for _, where := range []string{"here", "elsewhere"} {
			args := append([]string{"run"}, x.flags...)
			if where == "elsewhere" {
				args = append(args, "--on", b.engine)
			}
			began := time.Now()
			out := b.output(0, b.machine(where, append(args, filepath.Join(examples, x.file))...))
			took[where] = time.Since(began)
			lines[where] = told(numbers.ReplaceAllString(strings.Join(told(out), "\n"), "N"))
			keys[where], artifacts[where] = b.keys(b.newest()), b.artifacts()
			b.output(0, b.machine("me", "destroy", "--artifacts", "--yes", b.newest()))
		}
		if here, away := lines["here"], lines["elsewhere"]; !slices.Equal(here, away) {
			t.Errorf("%s: only elsewhere it told\n%s\n\nand only here\n%s", x.file, strings.Join(without(away, here), "\n"), strings.Join(without(here, away), "\n"))
		}
		if here, away := slices.Sorted(maps.Keys(keys["here"])), slices.Sorted(maps.Keys(keys["elsewhere"])); len(here) < 5 || !slices.Equal(here, away) {
			t.Errorf("%s: elsewhere it has the steps %s, and here %s", x.file, away, here)
		}
		for _, name := range []string{"access", "network"} { // without the run's time, its salt, and images that it has made
			if keys["here"][name] != keys["elsewhere"][name] {
				t.Errorf("%s: elsewhere %s has another key", x.file, name)
			}
		}
		if !slices.Equal(artifacts["here"], artifacts["elsewhere"]) {
			t.Errorf("%s: elsewhere it makes %s, and here %s", x.file, artifacts["elsewhere"], artifacts["here"])
		}
		steps, more := len(keys["here"]), took["elsewhere"]-took["here"]
		t.Logf("%s: %d steps, here %s, elsewhere %s: %d ms more a step", x.file, steps, took["here"].Round(time.Millisecond), took["elsewhere"].Round(time.Millisecond), more.Milliseconds()/int64(max(steps, 1)))
	}
}
