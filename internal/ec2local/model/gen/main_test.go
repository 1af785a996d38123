package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// What lies beside package model is what this program writes.
func TestExcerpts(t *testing.T) {
	for name, ops := range operations {
		want, err := excerpt(name)
		if err != nil {
			t.Error(err)
			continue
		}
		got, err := os.ReadFile("../" + name + ".json")
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s.json is not what gen makes of botocore %s: run go run ./gen in internal/ec2local/model", name, release)
		}
		for _, op := range ops {
			if n := strings.Count(string(want), "\n\""+op+"\":{"); n != 1 {
				t.Errorf("%s: %d lines are of %s", name, n, op)
			}
		}
	}
}

// The papers beside the excerpts name the release that they are made from.
func TestRelease(t *testing.T) {
	for _, file := range []string{"../doc.go", "../CHANGES.md", "../NOTICE"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), release) {
			t.Errorf("%s does not name botocore %s", file, release)
		}
	}
}
