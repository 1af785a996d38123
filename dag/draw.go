package dag

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/dominikbraun/graph"
	"github.com/dominikbraun/graph/draw"
)

// Drawing is a graph with its releases as vertices of their own, reduced to the
// edges that say something new: the steps first, in the graph's order, then the releases.
type Drawing struct {
	Vertices []Vertex
	Before   [][]int // of each vertex, those that it comes right after
}

// Vertex is what is drawn as one.
type Vertex struct {
	ID      string   // unique in the drawing
	Key     Key      // of the step, or of the one whose thing is released
	Name    string   // of the step or release
	Builds  []string // that it is for
	Title   string   // what the step does, in a line
	Thing   bool     // what it makes exists outside the process
	Release bool     // the removal of a temporary thing
	Awaited bool     // steps that are not known yet
}

// Drawing derives what is to be drawn.
func (g *Graph) Drawing() (*Drawing, error) {
	if err := g.Err(); err != nil {
		return nil, fmt.Errorf("cannot draw the graph: %w", err)
	}
	x := g.derive()
	d := &Drawing{Before: slices.Clone(x.needs)}
	for _, n := range x.nodes {
		d.Vertices = append(d.Vertices, Vertex{ID: n.Key.String(), Key: n.Key, Name: n.Name, Builds: n.Builds, Title: shortTitle(n.Title), Thing: n.Thing && !n.Guard})
	}
	goals := x.places(g.Goals)
	slices.Sort(goals)
	release := map[int]int{} // of each temporary thing, the vertex
	for i, n := range x.nodes {
		_, kept := g.Keeps[n.Key]
		if _, goal := slices.BinarySearch(goals, i); !n.Thing || n.Guard || kept || goal {
			continue
		}
		release[i] = len(d.Vertices)
		d.Vertices = append(d.Vertices, Vertex{ID: "release-" + n.Key.String(), Key: n.Key, Name: "release " + n.Name, Builds: n.Builds, Release: true})
		d.Before = append(d.Before, nil)
	}
	unknown := func(build string, names []string, from map[string]Key) {
		if g.Foreseen {
			return
		}
		d.Vertices = append(d.Vertices, Vertex{ID: "awaited-" + build, Name: "known only then", Builds: []string{build}, Awaited: true})
		var keys []Key
		for _, name := range names {
			keys = append(keys, from[name])
		}
		before := x.places(keys)
		slices.Sort(before)
		d.Before = append(d.Before, slices.Compact(before))
	}
	for _, build := range slices.Sorted(maps.Keys(g.Awaited)) {
		unknown(build, g.Awaited[build], g.Lookups)
	}
	for _, build := range slices.Sorted(maps.Keys(g.Behind)) {
		unknown(build, g.Behind[build], g.Results)
	}
	rel := x.relations()
	for i, at := range release {
		after := rel[i].readers
		if len(after) == 0 {
			after = []int{i} // else they come after it
		}
		for _, h := range rel[i].attached {
			if r, ok := release[h]; len(rel[h].detachers) > 0 {
				after = append(after, rel[h].detachers...)
			} else if ok {
				after = append(after, r)
			}
		}
		slices.Sort(after)
		d.Before[at] = slices.Compact(after)
	}
	d.Before = reduce(d.Before)
	return d, nil
}

// relation is who reads a thing or what was derived from it, without those whom
// another of them comes after, who of them stands on it, and after whom it stands on
// nothing.
type relation struct{ readers, attached, detachers []int }

// relations finds them for every thing. What many things share is a chain, mostly:
// it is followed once, and not again for each of them.
func (x *index) relations() []relation {
	rs := make([]relation, len(x.nodes))
	along := x.along()
	seen := make([]int, len(x.nodes)) // the thing for which a node was seen last, plus one
	for i, n := range x.nodes {
		if !n.Thing {
			continue
		}
		for todo := []int{i}; len(todo) > 0; {
			v := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			for _, r := range x.readers[v] {
				reader := x.nodes[r]
				if slices.Contains(reader.Attaches, x.nodes[v].Key) {
					rs[i].attached = append(rs[i].attached, r)
				}
				if slices.Contains(reader.Detaches, x.nodes[v].Key) {
					rs[i].detachers = append(rs[i].detachers, r)
				}
				if r = along[r]; seen[r] == i+1 {
					continue
				}
				seen[r] = i + 1
				if x.nodes[r].Thing || len(x.readers[r]) == 0 {
					rs[i].readers = append(rs[i].readers, r)
				} else {
					todo = append(todo, r)
				}
			}
		}
	}
	return rs
}

// along returns for each node the last of the chain that begins with it, in which
// each is derived from the one before it alone read by it, and that is all there is
// to tell of it.
func (x *index) along() []int {
	along := make([]int, len(x.nodes))
	for i := len(x.nodes) - 1; i >= 0; i-- {
		along[i] = i
		n := x.nodes[i]
		if n.Thing || len(x.readers[i]) != 1 {
			continue
		}
		r := x.readers[i][0]
		if reader := x.nodes[r]; !slices.Contains(reader.Attaches, n.Key) && !slices.Contains(reader.Detaches, n.Key) {
			along[i] = along[r]
		}
	}
	return along
}

// Label names the vertex and the builds that it is for.
func (v Vertex) Label() string {
	switch {
	case len(v.Builds) == 1:
		return v.Builds[0] + ": " + v.Name
	case len(v.Builds) > 1:
		return fmt.Sprintf("%s (shared by %d builds)", v.Name, len(v.Builds))
	}
	return v.Name
}

// shortTitle is a title that may stand in a label of any of the languages.
func shortTitle(s string) string {
	title := []rune(strings.Map(func(r rune) rune {
		if r == '\n' || r == '"' || r == '\\' {
			return ' '
		}
		return r
	}, s))
	if len(title) > 60 {
		title = append(title[:59], '…')
	}
	return string(title)
}

// A Look says what a step is to look like: a sign that stands before its name, and a class,
// which the pictures colour. The zero one is of no look.
type Look struct{ Sign, Class string }

// lines are the label of a vertex with its look, and its title.
func (v Vertex) lines(look func(Key) Look, newline string) (label, class string) {
	label = v.Label()
	if look != nil && !v.Release && !v.Awaited {
		l := look(v.Key)
		label, class = strings.TrimPrefix(l.Sign+" "+label, " "), l.Class
	}
	if v.Title != "" {
		label += newline + v.Title
	}
	return label, class
}

// colours are those of the borders of classes.
var colours = map[string]string{"create": "#1a7f37", "rerun": "#9a6700", "replace": "#cf222e", "reuse": "#818b98"}

// DOT writes the graph as a picture for Graphviz: things are boxes, their
// releases dashed, and only edges that say something new are drawn. Look may be nil.
func (g *Graph) DOT(w io.Writer, look func(Key) Look) error {
	d, err := g.Drawing()
	if err != nil {
		return err
	}
	s := graph.New(graph.StringHash, graph.Directed(), graph.Acyclic())
	for _, v := range d.Vertices {
		label, class := v.lines(look, `\n`)
		attributes := []func(*graph.VertexProperties){graph.VertexAttribute("label", label), graph.VertexAttribute("shape", "ellipse")}
		if v.Thing || v.Release {
			attributes = append(attributes, graph.VertexAttribute("shape", "box"))
		}
		if v.Release || v.Awaited {
			attributes = append(attributes, graph.VertexAttribute("style", "dashed"))
		}
		if class != "" {
			attributes = append(attributes, graph.VertexAttribute("class", class), graph.VertexAttribute("color", colours[class]))
		}
		err = s.AddVertex(v.ID, attributes...)
		if err != nil {
			return fmt.Errorf("cannot draw the graph: %w", err)
		}
	}
	for to, before := range d.Before {
		for _, from := range before {
			if err := s.AddEdge(d.Vertices[from].ID, d.Vertices[to].ID); err != nil {
				return fmt.Errorf("cannot draw the graph: %w", err)
			}
		}
	}
	if err := draw.DOT(s, w, draw.GraphAttribute("rankdir", "TB"), draw.GraphAttribute("fontname", "sans-serif")); err != nil {
		return fmt.Errorf("cannot draw the graph: %w", err)
	}
	return nil
}

// Mermaid writes the same picture as a Mermaid flow chart.
func (g *Graph) Mermaid(w io.Writer, look func(Key) Look) error {
	d, err := g.Drawing()
	if err != nil {
		return err
	}
	b := bufio.NewWriter(w)
	b.WriteString("flowchart TD\n")
	after := make([][]int, len(d.Vertices))
	used := map[string]bool{}
	for i, v := range d.Vertices {
		open, closing := "(", ")"
		switch {
		case v.Release:
			open, closing = "[/", "/]"
		case v.Awaited:
			open, closing = "([", "])"
		case v.Thing:
			open, closing = "[", "]"
		}
		label, class := v.lines(look, "<br>")
		if class != "" {
			used[class] = true
			class = ":::" + class
		}
		fmt.Fprintf(b, "  n%d%s%q%s%s\n", i, open, strings.ReplaceAll(label, `"`, "'"), closing, class)
		for _, from := range d.Before[i] {
			after[from] = append(after[from], i)
		}
	}
	for from, to := range after {
		for _, i := range to {
			fmt.Fprintf(b, "  n%d --> n%d\n", from, i)
		}
	}
	for _, class := range slices.Sorted(maps.Keys(used)) {
		fmt.Fprintf(b, "  classDef %s stroke:%s\n", class, colours[class])
	}
	return b.Flush()
}
