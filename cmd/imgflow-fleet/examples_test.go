package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
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

// offline are the templates of all examples that need no network, by the table of examples/README.md; one for each.
func offline(t *testing.T, examples string) (files []string) {
	t.Helper()
	table, err := os.ReadFile(filepath.Join(examples, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range regexp.MustCompile(`(?m)^\| \[\w+\]\((\w+)\) .*\| yes \|$`).FindAllStringSubmatch(string(table), -1) {
		of := func(pattern string) []string {
			found, err := filepath.Glob(filepath.Join(examples, row[1], pattern))
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		// What is two templates in JSON is one in HCL2.
		one := of("*.json")
		if len(one) != 1 {
			one = of("*.pkr.hcl")
		}
		if len(one) != 1 {
			t.Fatalf("the example %s has the templates %q", row[1], one)
		}
		files = append(files, one...)
	}
	if len(files) < 12 {
		t.Fatalf("the examples that need no network are %q: the test looks for the wrong thing", files)
	}
	return files
}

// takeFiles returns what runs have written where they were begun, by the files' names, without what is another in
// every run, and takes it away.
func (b *bench) takeFiles(name string) map[string]string {
	b.t.Helper()
	wrote := map[string]string{}
	dir := filepath.Join(b.dir, name)
	entries, err := os.ReadDir(dir)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") { // the home of imgflow, and of tools
			continue
		}
		path := filepath.Join(dir, e.Name())
		text, err := os.ReadFile(path)
		if err := errors.Join(err, os.Remove(path)); err != nil {
			b.t.Fatal(err)
		}
		wrote[e.Name()] = strings.Join(told(others.ReplaceAllString(string(text), "N")), "\n")
	}
	return wrote
}

// others are what is another in each run of an example.
var others = regexp.MustCompile(`[0-9]{6,}|EC2AMAZ-\w+|\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b(snap|vol|ami|key)-[0-9a-f]{17}|([0-9]+m)?[0-9.]+ ?m?s\b|\b[0-9]{2}:[0-9]{2}(:[0-9]{2})?\b`)

// Examples are built by workers as they are here: of one plan they tell the same lines, have the same steps by the same
// keys, and make the same artifacts and files.
func TestExamplesElsewhereAreLikeHere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	examples := filepath.Join(b.dir, "examples")
	if err := os.CopyFS(examples, os.DirFS("../../examples")); err != nil {
		t.Fatal(err)
	}
	b.worker("one")
	b.worker("two")
	for _, file := range offline(t, examples) {
		name, _ := filepath.Rel(examples, file)
		plan := filepath.Join(b.dir, "plan")
		var flags []string
		if name == "nightly/image.json" {
			flags = []string{"-var", "commit=abc1"}
		}
		b.output(0, b.machine("me", slices.Concat([]string{"plan", "-out", plan}, flags, []string{file})...))
		lines, artifacts := map[string][]string{}, map[string][]string{}
		keys, files := map[string]map[string]string{}, map[string]map[string]string{}
		for where, args := range map[string][]string{"here": {"run", plan}, "elsewhere": {"run", "--on", b.engine, plan}} {
			out := b.output(0, b.machine("me", args...))
			lines[where] = told(others.ReplaceAllString(strings.Join(told(out), "\n"), "N"))
			keys[where], artifacts[where], files[where] = b.keys(b.newest()), b.artifacts(), b.takeFiles("me")
			b.output(0, b.machine("me", "destroy", "--artifacts", "--yes", b.newest()))
		}
		if here, away := lines["here"], lines["elsewhere"]; !slices.Equal(here, away) {
			t.Errorf("%s: only elsewhere it told\n%s\n\nand only here\n%s", name, strings.Join(without(away, here), "\n"), strings.Join(without(here, away), "\n"))
		}
		if here, away := slices.Sorted(maps.Keys(keys["here"])), slices.Sorted(maps.Keys(keys["elsewhere"])); len(here) < 5 || !slices.Equal(here, away) {
			t.Errorf("%s: elsewhere it has the steps %s, and here %s", name, away, here)
		}
		for step, key := range keys["here"] { // what is made of an image that the run has made is another in each
			if keys["elsewhere"][step] != key && !strings.HasPrefix(step, "app.") {
				t.Errorf("%s: elsewhere %s has another key", name, step)
			}
		}
		if !slices.Equal(artifacts["here"], artifacts["elsewhere"]) {
			t.Errorf("%s: elsewhere it makes %s, and here %s", name, artifacts["elsewhere"], artifacts["here"])
		}
		if !maps.Equal(files["here"], files["elsewhere"]) {
			t.Errorf("%s: elsewhere it writes %q, and here %q", name, files["elsewhere"], files["here"])
		}
		t.Logf("%s: %d steps, %d files", name, len(keys["here"]), len(files["here"]))
	}
}
