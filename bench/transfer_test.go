package main

import (
	"strings"
	"testing"
)

func TestTransferTable(t *testing.T) {
	table, err := transferTable("goos: linux\nBenchmarkTransfer/file/text/up-2         \t       1\t         1.015 ratio\t         0.9300 s\t         0.9150 theirs-s\n" +
		"BenchmarkTransfer/tree/text/down         \t       1\t         0.500 ratio\t         1e-01 s\t         0.2 theirs-s\nPASS\n")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range table.rows {
		got = append(got, strings.Join(r, " "))
	}
	if want := "file/text/up 0.93 s 0.92 s 1.01|tree/text/down 0.10 s 0.20 s 0.50"; strings.Join(got, "|") != want {
		t.Errorf("%q, want %q", strings.Join(got, "|"), want)
	}
	if _, err := transferTable("PASS\n"); err == nil {
		t.Error("nothing is a table")
	}
}
