package runpage

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/imgflow/imgflow/internal/runview"
)

// Sizes of a picture in pixels.
const (
	rowHeight   = 24
	nameWidth   = 220
	tookWidth   = 90
	barsWidth   = 690
	titleHeight = 44
)

// mostPictured bounds the steps of a picture.
const mostPictured = 1000

// Picture writes the times of the run's steps, and below them their graph, as one SVG.
func Picture(w io.Writer, r Run) error {
	steps := r.View.Steps[:min(len(r.View.Steps), mostPictured)]
	critical := map[*runview.Step]bool{}
	for _, s := range r.View.CriticalPath() {
		critical[s] = true
	}
	all := r.section(0, "", steps, critical, memo(nil))
	var graph string
	var graphWidth, graphHeight int
	if len(steps) <= mostDrawn {
		svg, err := draw("The steps, and what each of them needs", steps, func(*runview.Step) string { return "" })
		if err == nil {
			fmt.Sscanf(afterText(svg, `viewBox="`), "0 0 %d %d", &graphWidth, &graphHeight)
			graph = withoutStyle(svg)
		}
	}
	width := nameWidth + barsWidth + tookWidth
	height := titleHeight + len(all.Rows)*rowHeight + rowHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" class="picture" role="img" width="%d" height="%d" viewBox="0 0 %[1]d %d">`+"\n", max(width, graphWidth), height+graphHeight, height+graphHeight)
	fmt.Fprintf(&b, "<title>%s</title>\n<style>\n%s%s</style>\n", escape(r.Title()), pictureStyle, graphStyle)
	fmt.Fprintf(&b, `<rect class="paper" width="%d" height="%d"/>`+"\n", max(width, graphWidth), height+graphHeight)
	fmt.Fprintf(&b, `<text class="title" x="12" y="26">%s</text>`+"\n", escape(r.Title()))
	for i, row := range all.Rows {
		y := titleHeight + i*rowHeight
		name := sign(string(row.Status)) + " " + row.Name
		if row.Of != "" {
			name += " (" + row.Of + ")"
		}
		if row.Critical {
			name += " ◆"
		}
		fmt.Fprintf(&b, `<text x="12" y="%d">%s</text>`, y+16, escape(cut(name, 30)))
		fmt.Fprintf(&b, `<svg class="bars" x="%d" y="%d" width="%d" height="14" viewBox="0 0 1000 14" preserveAspectRatio="none"><rect class="line" width="1000" height="14"/>`, nameWidth, y+4, barsWidth)
		for _, bar := range row.Bars {
			fmt.Fprintf(&b, `<rect class="%s" x="%g" width="%g" y="1" height="12"><title>%s</title></rect>`, bar.Class, bar.X, bar.W, escape(bar.Title))
		}
		fmt.Fprintf(&b, `</svg><text class="took" x="%d" y="%d">%s</text>`+"\n", width-12, y+16, escape(row.Took))
	}
	note := "◆ decided how long it took"
	if more := len(r.View.Steps) - len(steps); more > 0 {
		note += fmt.Sprintf("; %d more steps are left out", more)
	}
	fmt.Fprintf(&b, `<text class="note" x="12" y="%d">%s</text>`+"\n", height-6, note)
	if graph != "" {
		b.WriteString(strings.Replace(graph, "<svg ", fmt.Sprintf(`<svg y="%d" `, height), 1))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

const pictureStyle = `.picture{--paper:#fff;--ink:#1c2128;--muted:#59636e;--card:#f5f7f9;--done:#1a7f37;--running:#0a57b8;--failed:#b3192b;--suspended:#8a5a00;font:13px system-ui,-apple-system,"Segoe UI",sans-serif}
@media(prefers-color-scheme:dark){.picture{--paper:#0f1318;--ink:#e4e9ee;--muted:#a0a9b3;--card:#181d24;--done:#4cc263;--running:#6caeff;--failed:#ff8379;--suspended:#e0a63a}}
.picture .paper{fill:var(--paper)}
.picture text{fill:var(--ink)}
.picture .title{font-size:16px;font-weight:600}
.picture .took{text-anchor:end;fill:var(--muted)}
.picture .note{fill:var(--muted)}
.bars rect{fill:var(--muted)}.bars .line{fill:var(--card)}
.bars .done{fill:var(--done)}.bars .running{fill:var(--running)}.bars .failed{fill:var(--failed)}.bars .suspended{fill:var(--suspended)}
.bars .before{opacity:.45}.bars .break{fill:var(--paper)}
`

func afterText(s, mark string) string {
	_, rest, _ := strings.Cut(s, mark)
	return rest
}

func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a strings.Builder takes everything
	return b.String()
}
