package runpage

import (
	"html/template"
	"strings"

	"github.com/imgflow/imgflow/internal/graphsvg"
	"github.com/imgflow/imgflow/internal/runview"
)

// mostDrawn is how many steps of one part a graph is drawn of: more are no picture.
const mostDrawn = 300

// Graph is the section as a graph; "" if it has no edges, or too many steps to be looked at.
func (s *Section) Graph() template.HTML {
	if len(s.steps) < 2 || len(s.steps) > mostDrawn {
		return ""
	}
	svg, err := draw("The steps, and what each of them needs", s.steps, func(x *runview.Step) string { return "#" + s.anchor(x) })
	if err != nil {
		return "" // a damaged file: the table has all that there is
	}
	return template.HTML(withoutStyle(svg))
}

// draw draws steps; needs that are not among them are left out.
func draw(title string, steps []*runview.Step, link func(*runview.Step) string) (string, error) {
	p := graphsvg.Picture{Title: title}
	drawn := map[string]bool{}
	for _, s := range steps {
		drawn[s.Key] = true
		p.Nodes = append(p.Nodes, graphsvg.Node{ID: s.Key, Label: sign(string(s.Status)) + " " + s.Name, Sub: s.Title, Class: class(s),
			Title: s.Name + ": " + word(s) + "\n" + s.Title, Link: link(s)})
	}
	for _, s := range steps {
		for _, k := range s.Needs {
			if drawn[k] {
				p.Edges = append(p.Edges, graphsvg.Edge{From: k, To: s.Key})
			}
		}
	}
	var b strings.Builder
	err := p.SVG(&b)
	return b.String(), err
}

func class(s *runview.Step) string {
	switch {
	case s.Removed:
		return string(s.Status) + " release"
	case s.Reused:
		return string(s.Status) + " reuse"
	}
	return string(s.Status)
}

// graphStyle is the style of graphs, which a page has once for all of them.
var graphStyle = func() string {
	var b strings.Builder
	graphsvg.Picture{}.SVG(&b) // without nodes there is nothing to be wrong
	_, style, _ := strings.Cut(b.String(), "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	return strings.TrimSpace(style) + "\n.graphsvg .suspended rect{fill:var(--again);stroke:var(--again-line)}\n"
}()

func withoutStyle(svg string) string {
	before, rest, _ := strings.Cut(svg, "<style>")
	_, after, _ := strings.Cut(rest, "</style>")
	return before + after
}
