package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// drawn is the portrait of what a build of the example production leaves.
//
//go:embed testdata/production.json
var drawn string

// productionRegions are those of its images, and publishedIn the accounts that get their ids; "" is
// that of the build.
var (
	productionRegions = []string{region, "ap-southeast-2", "eu-central-1", "eu-west-1"}
	publishedIn       = []string{"", "210987654321"}
)

// productionFolder is where the example lies.
func productionFolder(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/imgflow/imgflow").Output()
	if err != nil {
		return "", fmt.Errorf("cannot find the example production: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "examples", "production"), nil
}

// productionEndpoint are the flags of an embedded EC2 that has what the example needs.
func productionEndpoint(folder string) []string {
	return []string{"--seed", filepath.Join(folder, "local", "seed.json")}
}

// endpoint are flags of the embedded EC2 that the plan needs.
func (p plan) endpoint() []string {
	if p.Production == "" {
		return nil
	}
	return productionEndpoint(p.Production)
}

// furnish puts t.json and what it sends in its place.
func (p plan) furnish(w *world) error {
	if p.Production == "" {
		return errors.Join(w.write("t.json", p.template()), w.write("cargo.txt", "what is sent\n"))
	}
	return w.bring(p.Production, "image.json", "t.json")
}

// bring copies the example's template of a language, under another name.
func (w *world) bring(folder, template, as string) error {
	for from, to := range map[string]string{template: as, "release.sh": "release.sh"} {
		text, err := os.ReadFile(filepath.Join(folder, from))
		if err == nil {
			err = w.write(to, string(text))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// asDrawn says in what there is something else than a build of the example leaves.
func (w *world) asDrawn(ctx context.Context) error {
	is, err := w.portrait(ctx, productionRegions, publishedIn)
	if err != nil {
		return err
	}
	return differs(is, drawn)
}

// productionVerdict compares what there is with what is wanted after a build of the example.
func (w *world) productionVerdict(ctx context.Context, inv inventory, o *outcome, then string) error {
	if then == "resume" || then == "run" {
		if err := w.asDrawn(ctx); err != nil {
			return fmt.Errorf("after %s: %w", then, err)
		}
	} else if err := inv.whole(); err != nil {
		return fmt.Errorf("after %s: %w", then, err)
	}
	o.tell("%d images", len(inv.of("image")))
	if err := w.destroyAll(); err != nil {
		return err
	}
	inv, err := w.atRest()
	if err == nil {
		err = inv.whole()
	}
	if left := len(inv.of("image")); err == nil && left > 0 {
		err = fmt.Errorf("there are %d images after destroy --artifacts", left)
	}
	return err
}

// whole says in what there is something else than finished images of the example, each with the
// snapshots of its two volumes, and what a seed or their publishing has left.
func (inv inventory) whole() error {
	bad, snapshots := besides(inv), map[string]int{}
	for _, t := range slices.Concat(inv.of("image"), inv.of("snapshot")) {
		if snapshots[t.Region]++; t.Kind == "image" {
			snapshots[t.Region] -= 3
		}
		if t.State != "available" && t.State != "completed" {
			bad = append(bad, t.String())
		}
	}
	for r, n := range snapshots {
		if n != 0 {
			bad = append(bad, fmt.Sprintf("%d snapshots too many in %s", n, r))
		}
	}
	if len(bad) > 0 {
		return fmt.Errorf("there is wrongly: %s", strings.Join(bad, ", "))
	}
	return nil
}

// differs shows the first line in which a text is not as wanted.
func differs(is, want string) error {
	a, b := strings.Split(is, "\n"), strings.Split(want, "\n")
	for i := range max(len(a), len(b)) {
		if i < len(a) && i < len(b) && a[i] == b[i] {
			continue
		}
		around := func(l []string) string { return strings.Join(l[min(len(l), max(0, i-8)):min(len(l), i+4)], "\n") }
		return fmt.Errorf("line %d is not as drawn; there is\n%s\nand not\n%s", i+1, indent(around(a)), indent(around(b)))
	}
	return nil
}
