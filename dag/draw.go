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

// drawing is a graph with its releases as vertices of their own, reduced to the
// edges that say something new: the steps first, then the releases.
type drawing struct {
	vertices []vertex
	before   [][]int // of each vertex, those that it comes right after
}

type vertex struct {
	id, label string
	thing     bool
	release   bool
	awaited   bool // steps that are not known yet
}

// drawing derives what is to be drawn.
func (g *Graph) drawing() (*drawing, error) {
	if err := g.Err(); err != nil {
		return nil, fmt.Errorf("cannot draw the graph: %w", err)
	}
	x := g.derive()
	d := &drawing{before: slices.Clone(x.needs)}
	for _, n := range x.nodes {
		d.vertices = append(d.vertices, vertex{id: n.Key.String(), label: label(*n), thing: n.Thing && !n.Guard})
	}
	goals := x.places(g.Goals)
	slices.Sort(goals)
	release := map[int]int{} // of each temporary thing, the vertex
	for i, n := range x.nodes {
		_, kept := g.Keeps[n.Key]
		if _, goal := slices.BinarySearch(goals, i); !n.Thing || n.Guard || kept || goal {
			continue
		}
		release[i] = len(d.vertices)
		d.vertices = append(d.vertices, vertex{id: "release-" + n.Key.String(), label: label(Node{Name: "release " + n.Name, Builds: n.Builds}), release: true})
		d.before = append(d.before, nil)
	}
	unknown := func(build string, names []string, from map[string]Key) {
		if g.Foreseen {
			return
		}
		d.vertices = append(d.vertices, vertex{id: "awaited-" + build, label: label(Node{Name: "known only then", Builds: []string{build}}), awaited: true})
		var keys []Key
		for _, name := range names {
			keys = append(keys, from[name])
		}
		before := x.places(keys)
		slices.Sort(before)
		d.before = append(d.before, slices.Compact(before))
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
		d.before[at] = slices.Compact(after)
	}
	d.before = reduce(d.before)
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

func label(n Node) string {
	l := n.Name
	if len(n.Builds) == 1 {
		l = n.Builds[0] + ": " + l
	} else if len(n.Builds) > 1 {
		l = fmt.Sprintf("%s (shared by %d builds)", l, len(n.Builds))
	}
	if n.Title != "" {
		title := []rune(strings.Map(func(r rune) rune {
			if r == '\n' || r == '"' || r == '\\' {
				return ' '
			}
			return r
		}, n.Title))
		if len(title) > 60 {
			title = append(title[:59], '…')
		}
		l += `\n` + string(title)
	}
	return l
}

// DOT writes the graph as a picture for Graphviz: things are boxes, their
// releases dashed, and only edges that say something new are drawn.
func (g *Graph) DOT(w io.Writer) error {
	d, err := g.drawing()
	if err != nil {
		return err
	}
	s := graph.New(graph.StringHash, graph.Directed(), graph.Acyclic())
	for _, v := range d.vertices {
		attributes := []func(*graph.VertexProperties){graph.VertexAttribute("label", v.label), graph.VertexAttribute("shape", "ellipse")}
		if v.thing || v.release {
			attributes = append(attributes, graph.VertexAttribute("shape", "box"))
		}
		if v.release || v.awaited {
			attributes = append(attributes, graph.VertexAttribute("style", "dashed"))
		}
		err = s.AddVertex(v.id, attributes...)
		if err != nil {
			return fmt.Errorf("cannot draw the graph: %w", err)
		}
	}
	for to, before := range d.before {
		for _, from := range before {
			if err := s.AddEdge(d.vertices[from].id, d.vertices[to].id); err != nil {
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
func (g *Graph) Mermaid(w io.Writer) error {
	d, err := g.drawing()
	if err != nil {
		return err
	}
	b := bufio.NewWriter(w)
	b.WriteString("flowchart TD\n")
	after := make([][]int, len(d.vertices))
	for i, v := range d.vertices {
		open, closing := "(", ")"
		switch {
		case v.release:
			open, closing = "[/", "/]"
		case v.awaited:
			open, closing = "([", "])"
		case v.thing:
			open, closing = "[", "]"
		}
		fmt.Fprintf(b, "  n%d%s%q%s\n", i, open, strings.ReplaceAll(strings.ReplaceAll(v.label, `\n`, "<br>"), `"`, "'"), closing)
		for _, from := range d.before[i] {
			after[from] = append(after[from], i)
		}
	}
	for from, to := range after {
		for _, i := range to {
			fmt.Fprintf(b, "  n%d --> n%d\n", from, i)
		}
	}
	return b.Flush()
}
