package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// median is the middle of the values, or of the two in the middle.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	if len(v) == 0 {
		return 0
	}
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// table is what was measured: as rows, and as bars.
type table struct {
	head []string
	rows [][]string
	bars []bar
	mark float64 // a line across all bars, in their unit; 0 is none
}

// bar is one that has a second part: from a to b.
type bar struct {
	name string
	a, b float64
}

// write writes the rows as Markdown.
func (t table) write(w io.Writer) {
	fmt.Fprintf(w, "\n| %s |\n|%s\n", strings.Join(t.head, " | "), strings.Repeat("---|", len(t.head)))
	for _, r := range t.rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(r, " | "))
	}
}

// svg draws the bars.
func (t table) svg(title string) []byte {
	const width, left, height, gap = 720, 140, 26, 12
	most := t.mark
	for _, b := range t.bars {
		most = max(most, b.a, b.b)
	}
	if most == 0 {
		most = 1
	}
	at := func(v float64) float64 { return left + v/most*(width-left-110) }
	var s strings.Builder
	bottom := 40 + len(t.bars)*(height+gap)
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", width, bottom+24)
	fmt.Fprintf(&s, `<rect width="100%%" height="100%%" fill="#fff"/><text x="8" y="20" font-weight="bold">%s</text>`+"\n", escaped(title))
	for i, b := range t.bars {
		y := 36 + i*(height+gap)
		fmt.Fprintf(&s, `<text x="%d" y="%d" text-anchor="end">%s</text>`, left-8, y+18, escaped(b.name))
		fmt.Fprintf(&s, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="#4a7ebb"/>`, left, y, at(b.a)-left, height)
		fmt.Fprintf(&s, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="#b9cde5"/>`, at(b.a), y, max(0, at(b.b)-at(b.a)), height)
		label := fmt.Sprintf("%.1f", b.a)
		if b.b > b.a {
			label += fmt.Sprintf(" / %.1f", b.b)
		}
		fmt.Fprintf(&s, `<text x="%.1f" y="%d">%s</text>`+"\n", at(max(b.a, b.b))+4, y+18, label)
	}
	if t.mark > 0 {
		fmt.Fprintf(&s, `<line x1="%.1f" y1="30" x2="%.1f" y2="%d" stroke="#c0504d" stroke-dasharray="4 3"/><text x="%.1f" y="%d" text-anchor="middle" fill="#c0504d">critical path %.1f</text>`+"\n",
			at(t.mark), at(t.mark), bottom, at(t.mark), bottom+16, t.mark)
	}
	s.WriteString("</svg>\n")
	return []byte(s.String())
}

var escaped = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
