package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// One round against a cloud that takes no time: what is measured makes sense.
func TestBuild(t *testing.T) {
	b, err := buildFlags([]string{"-n", "1", "-svg", filepath.Join(t.TempDir(), "chart.svg")})
	if err != nil {
		t.Fatal(err)
	}
	b.packers, b.times, b.guest = nil, times{}, "none"
	var out bytes.Buffer
	if err := b.run(&out); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", out.String())
	rows := strings.Split(strings.TrimSpace(out.String()), "\n")
	cells := strings.Split(rows[len(rows)-1], " | ")
	if len(cells) != 7 || !strings.Contains(cells[0], "imgflow") || cells[1] == "0.0 s" && cells[3] == "0.0 s" || cells[5] != "11" || cells[6] != "1.00 |" {
		t.Errorf("the table ends with %q", cells)
	}
	chart, err := os.ReadFile(b.chart)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(chart)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, chart)
		}
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"-n", "0"}, {"-n", "x"}, {"more"}, {"-nothing"}} {
		if _, err := buildFlags(args); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
	b, err := buildFlags([]string{"-packer", "a", "-packer", "b", "-n", "2"})
	if err != nil || len(b.packers) != 2 || b.rounds != 2 || b.times.path().String() != "1m37s" {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{0: nil, 1: {1}, 2: {9, 2, 1}, 2.5: {4, 1, 2, 3}} {
		if got := median(values); got != want {
			t.Errorf("the median of %v is %v", values, got)
		}
	}
}
