package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFailureModel checks that every test that the failure model names exists,
// and that no row goes without one.
func TestFailureModel(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "failure-model.md"))
	if err != nil {
		t.Fatal(err)
	}
	defined := map[string]bool{}
	def := regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		for _, m := range def.FindAllSubmatch(src, -1) {
			defined[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile("`(Test\\w+)`")
	rows := 0
	for line := range strings.Lines(string(text)) {
		named := name.FindAllStringSubmatch(line, -1)
		for _, m := range named {
			if !defined[m[1]] {
				t.Errorf("%s does not exist", m[1])
			}
		}
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| what breaks") {
			continue
		}
		rows++
		if len(named) == 0 {
			t.Errorf("nothing proves %s", line)
		}
	}
	if rows < 30 {
		t.Errorf("only %d rows were found", rows)
	}
}
