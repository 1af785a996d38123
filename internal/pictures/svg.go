package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image/color"
	"strings"
	"time"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
)

// Sizes in a picture, in pixels.
const (
	cell   = 8.4
	line   = 18
	margin = 16
	title  = 34
)

// frame is what a terminal shows: the SVG of each of its lines, on the line's own height.
type frame [rows]string

func newFrame(e *vt.Emulator) (f frame) {
	for y := range rows {
		f[y] = row(e, y)
	}
	return f
}

// row draws a line of the terminal: runs of cells that look alike.
func row(e *vt.Emulator, y int) string {
	var b strings.Builder
	for x := 0; x < columns; {
		c := e.CellAt(x, y)
		if c == nil || c.Content == "" || c.Content == " " {
			x++
			continue
		}
		from, text := x, ""
		for x < columns {
			n := e.CellAt(x, y)
			if n == nil || n.Content == "" || !n.Style.Equal(&c.Style) {
				break
			}
			text += n.Content
			x += max(1, n.Width)
		}
		if trimmed := strings.TrimRight(text, " "); len(trimmed) < len(text) {
			x -= len(text) - len(trimmed)
			text = trimmed
		}
		fmt.Fprintf(&b, `<text x="%.1f" textLength="%.1f"%s>%s</text>`, float64(from)*cell, float64(x-from)*cell, look(c.Style), escape(text))
	}
	return b.String()
}

// look is how cells of a style are drawn.
func look(s uv.Style) (attrs string) {
	if c := s.Fg; c != nil {
		attrs += fmt.Sprintf(` fill="%s"`, hex(c))
	}
	if s.Attrs&uv.AttrBold != 0 {
		attrs += ` font-weight="700"`
	}
	if s.Attrs&uv.AttrFaint != 0 {
		attrs += ` opacity=".6"`
	}
	return attrs
}

// palette are the sixteen colours of a terminal, readable on the picture's ground.
var palette = [16]string{
	"#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#c9d1d9",
	"#6e7681", "#ffa198", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#f0f6fc",
}

func hex(c color.Color) string {
	if basic, ok := c.(ansi.BasicColor); ok && int(basic) < len(palette) {
		return palette[basic]
	}
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}

func escape(text string) string {
	var b bytes.Buffer
	xml.EscapeText(&b, []byte(text))
	return b.String()
}

// picture is an SVG of frames, which are shown one after the other if there are several.
func picture(name string, frames []frame) []byte {
	still := int(hold / interval)
	if len(frames) == 1 {
		still = 0
	}
	n := len(frames) + still
	width, height := 2*margin+columns*cell, title+rows*line+margin
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" role="img" aria-label="%s in a terminal" fill="#c9d1d9">`+"\n", width, height, escape(name))
	fmt.Fprintf(&b, "<style>text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}\n")
	strip := rows * line * (n - 1)
	if n > 1 {
		fmt.Fprintf(&b, ".strip{animation:roll %.2fs steps(%d,jump-none) infinite}\n@keyframes roll{to{transform:translateY(-%dpx)}}\n", (time.Duration(n) * interval).Seconds(), n, strip)
		fmt.Fprintf(&b, "@media(prefers-reduced-motion:reduce){.strip{animation:none;transform:translateY(-%dpx)}}", strip)
	}
	b.WriteString("</style>\n<defs>\n")
	ids := map[string]int{}
	for _, f := range frames {
		for _, r := range f {
			if _, known := ids[r]; !known && r != "" {
				ids[r] = len(ids)
				fmt.Fprintf(&b, `<g id="l%d">%s</g>`+"\n", ids[r], r)
			}
		}
	}
	fmt.Fprintf(&b, `<clipPath id="window"><rect width="%.0f" height="%d"/></clipPath></defs>`+"\n", columns*cell+2*margin, rows*line)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="#0d1117"/>`+"\n")
	for i, c := range []string{"#ff5f56", "#ffbd2e", "#27c93f"} {
		fmt.Fprintf(&b, `<circle cx="%d" cy="16" r="5" fill="%s"/>`, 18+16*i, c)
	}
	fmt.Fprintf(&b, "\n"+`<g transform="translate(%d,%d)" clip-path="url(#window)"><g class="strip">`+"\n", margin, title)
	for i := range n {
		for y, r := range frames[min(i, len(frames)-1)] {
			if r != "" {
				fmt.Fprintf(&b, `<use href="#l%d" y="%d"/>`, ids[r], (i*rows+y)*line+line-5)
			}
		}
		b.WriteByte('\n')
	}
	b.WriteString("</g></g></svg>\n")
	return b.Bytes()
}
