package graphsvg

import (
	"bufio"
	_ "embed"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

//go:embed style.css
var style string

// SVG writes the picture as one SVG element. It is an error if two nodes have one ID, if an
// edge leads to no node, or if edges lead in a circle; then nothing is written.
func (p Picture) SVG(w io.Writer) error {
	l, err := p.newLayout()
	if err != nil {
		return err
	}
	b := bufio.NewWriter(w)
	height := 2*margin + len(l.ranks)*(boxHeight+rankGap) - rankGap
	if len(l.ranks) == 0 {
		height = 2 * margin
	}
	role := "img"
	if slices.ContainsFunc(p.Nodes, func(n Node) bool { return link(n.Link) != "" }) {
		role = "group" // an image has nothing in it that can be followed
	}
	width := max(l.width, 2*margin)
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" class="graphsvg" role="%s" width="%.0f" height="%d" viewBox="0 0 %.0f %d">`+"\n", role, width, height, width, height)
	fmt.Fprintf(b, "<title>%s</title>\n", escape(p.Title))
	if p.Desc != "" {
		fmt.Fprintf(b, "<desc>%s</desc>\n", escape(p.Desc))
	}
	fmt.Fprintf(b, "<style>\n%s</style>\n", style)
	for i, route := range l.routes {
		to := &l.places[route[len(route)-1]]
		fmt.Fprintf(b, `<g class="%s"><path d="%s"/><path class="head" d="M%s %sl4 6l4 -6"/></g>`+"\n",
			classes("edge", p.Edges[i].Class), l.curve(route), number(to.x-4), number(top(to.rank)-6))
	}
	for i, n := range p.Nodes {
		writeBox(b, n, &l.places[i])
	}
	b.WriteString("</svg>\n")
	return b.Flush()
}

func top(rank int) float64 { return float64(margin + rank*(boxHeight+rankGap)) }

// curve leads an edge through its places.
func (l *layout) curve(route []int) string {
	var b strings.Builder
	at := func(i int) *place { return &l.places[route[i]] }
	x, y := at(0).x, top(at(0).rank)+boxHeight
	fmt.Fprintf(&b, "M%s %s", number(x), number(y))
	for i := 1; i < len(route); i++ {
		p := at(i)
		nx, ny := p.x, top(p.rank)
		if half := (ny - y) / 2; nx == x {
			fmt.Fprintf(&b, "V%s", number(ny))
		} else {
			fmt.Fprintf(&b, "C%s %s %s %s %s %s", number(x), number(y+half), number(nx), number(ny-half), number(nx), number(ny))
		}
		x, y = nx, ny
		if p.bend() {
			y += boxHeight
			fmt.Fprintf(&b, "V%s", number(y))
		}
	}
	return b.String()
}

// number is a length with a tenth of a pixel.
func number(f float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") }

func writeBox(b *bufio.Writer, n Node, p *place) {
	left, y, round := p.x-p.width/2, top(p.rank), 12
	class := classes("node", n.Class)
	if words := strings.Fields(class); slices.Contains(words, "thing") || slices.Contains(words, "release") {
		round = 2
	}
	href := link(n.Link)
	if href != "" {
		fmt.Fprintf(b, `<a href="%s">`, escape(href))
	}
	fmt.Fprintf(b, `<g class="%s">`, class)
	if n.Title != "" {
		fmt.Fprintf(b, "<title>%s</title>", escape(n.Title))
	}
	fmt.Fprintf(b, `<rect x="%s" y="%s" width="%s" height="%d" rx="%d"/>`, number(left), number(y), number(p.width), boxHeight, round)
	first := y + 28
	if n.Sub != "" {
		first = y + 20
	}
	fmt.Fprintf(b, `<text x="%s" y="%s">%s</text>`, number(p.x), number(first), escape(fit(n.Label, labelWidth)))
	if n.Sub != "" {
		fmt.Fprintf(b, `<text class="sub" x="%s" y="%s">%s</text>`, number(p.x), number(y+36), escape(fit(n.Sub, subWidth)))
	}
	b.WriteString("</g>")
	if href != "" {
		b.WriteString("</a>")
	}
	b.WriteByte('\n')
}

// How wide a character is, on the average, in pixels. Fonts differ: it is rather too much.
const (
	labelWidth = 7.3
	subWidth   = 6.2
)

func boxWidth(n Node) float64 {
	return min(max(columns(n.Label)*labelWidth+2*padding, columns(n.Sub)*subWidth+2*padding, minWidth), maxWidth)
}

// columns is how many characters of Latin a text is as wide as.
func columns(s string) (n float64) {
	for _, r := range s {
		n += column(r)
	}
	return n
}

func column(r rune) float64 {
	switch {
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul), r > 0xFFFF:
		return 2
	}
	return 1
}

// fit shortens a text to what has room in the widest box.
func fit(s string, width float64) string {
	room := (maxWidth - 2*padding) / width
	if columns(s) <= room {
		return s
	}
	room--
	for i, r := range s {
		if room -= column(r); room < 0 {
			return s[:i] + "…"
		}
	}
	return s
}

// classes is the value of an attribute: a word of ours and those of the class that
// are names.
func classes(own, class string) string {
	out := own
	for _, word := range strings.Fields(class) {
		if !strings.ContainsFunc(word, func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }) {
			out += " " + word
		}
	}
	return out
}

// link is where a click may lead; anything that could run a script is nowhere.
func link(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return u.String()
}

// escape makes text of XML. What changes the direction of text, and what else has
// no look of its own, is left out.
func escape(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.Is(unicode.Cf, r) || unicode.IsControl(r):
			return -1
		}
		return r
	}, s)
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a strings.Builder takes everything
	return b.String()
}
