package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every command has a page that says all its help says, and that a reader of such
// pages finds no fault with.
func TestManualPages(t *testing.T) {
	mandoc, err := exec.LookPath("mandoc")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "man1")
	if out, err := exec.Command("imgflow", "man", "--dir", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmds := newCommands()
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) != len(cmds.VisibleCommands())+1 {
		t.Fatalf("%d pages for %d commands, %v", len(pages), len(cmds.VisibleCommands()), err)
	}
	for _, c := range cmds.VisibleCommands() {
		src, err := os.ReadFile(filepath.Join(dir, "imgflow-"+c.Name+".1"))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, f := range c.VisibleFlags() {
			if want := `\-\-` + strings.ReplaceAll(f.Names()[0], "-", `\-`); !strings.Contains(string(src), want) && len(f.Names()[0]) > 1 {
				t.Errorf("the page of %s lacks %s", c.Name, want)
			}
		}
	}
	if mandoc == "" {
		t.Skip("NOT TESTED: that manual pages can be read: there is no mandoc")
	}
	lint, _ := exec.Command(mandoc, append([]string{"-T", "lint", "-W", "warning"}, pages...)...).CombinedOutput()
	for line := range strings.Lines(string(lint)) {
		if !strings.Contains(line, "missing date") { // the same program has the same pages on any day
			t.Error(line)
		}
	}
	out, err := exec.Command(mandoc, "-T", "ascii", filepath.Join(dir, "imgflow-run.1")).Output()
	if err != nil || !strings.Contains(string(out), "--on-error WHAT") || !strings.Contains(string(out), "imgflow run --local template.json") {
		t.Errorf("imgflow-run reads %v:\n%s", err, out)
	}
}

// What begins as a request, or holds an escape, is text all the same.
func TestRoffText(t *testing.T) {
	for in, want := range map[string]string{".so /etc/passwd": `\&.so /etc/passwd`, "a\n'br": "a\n\\(aqbr", `C:\n`: `C:\en`, "-x `y`": `\-x \(gay\(ga`} {
		if got := roffText(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}
