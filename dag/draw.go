package dag

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dominikbraun/graph"
	"github.com/dominikbraun/graph/draw"
)

// structure is the graph as the graph library knows it: steps by key, and the
// derived releases as vertices of their own.
func (g *Graph) structure(releases bool) (graph.Graph[string, string], map[string]Node, error) {
	s := graph.New(graph.StringHash, graph.Directed(), graph.Acyclic(), graph.PreventCycles())
	nodes := map[string]Node{}
	for _, n := range g.Nodes {
		nodes[n.Key.String()] = n
		if err := s.AddVertex(n.Key.String(), graph.VertexAttribute("label", label(n)), graph.VertexAttribute("shape", shape(n))); err != nil {
			return nil, nil, err
		}
	}
	edge := func(from, to string) error {
		err := s.AddEdge(from, to)
		if err == graph.ErrEdgeAlreadyExists {
			return nil
		}
		return err
	}
	for _, n := range g.Nodes {
		for _, d := range n.Needs {
			if err := edge(d.String(), n.Key.String()); err != nil {
				return nil, nil, err
			}
		}
	}
	if !releases {
		return s, nodes, nil
	}
	var ts []thing
	for _, t := range g.things() {
		if _, kept := g.Keeps[t.node.Key]; kept || slices.Contains(g.Goals, t.node.Key) {
			continue
		}
		ts = append(ts, t)
		n := Node{Name: "release " + t.node.Name, Builds: t.node.Builds}
		nodes[releaseID(t.node)] = n
		if err := s.AddVertex(releaseID(t.node), graph.VertexAttribute("label", label(n)),
			graph.VertexAttribute("shape", "box"), graph.VertexAttribute("style", "dashed")); err != nil {
			return nil, nil, err
		}
	}
	for _, t := range ts {
		after := slices.Concat([]Key{t.node.Key}, t.consumers)
		for i, h := range t.holders {
			if len(t.settlers[i]) > 0 {
				after = append(after, t.settlers[i]...)
			} else if _, kept := g.Keeps[h.Key]; !kept {
				if err := edge(releaseID(h), releaseID(t.node)); err != nil {
					return nil, nil, err
				}
			}
		}
		for _, k := range after {
			if err := edge(k.String(), releaseID(t.node)); err != nil {
				return nil, nil, err
			}
		}
	}
	return s, nodes, nil
}

func releaseID(n Node) string { return "release-" + n.Key.String() }

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

func shape(n Node) string {
	if n.Thing {
		return "box"
	}
	return "ellipse"
}

// Order returns the steps so that each comes after all that it reads, and
// otherwise in the order in which they were added.
func (g *Graph) Order() ([]Node, error) {
	s, nodes, err := g.structure(false)
	if err != nil {
		return nil, fmt.Errorf("cannot order the steps: %w", err)
	}
	at := make(map[string]int, len(g.Nodes))
	for i, n := range g.Nodes {
		at[n.Key.String()] = i
	}
	keys, err := graph.StableTopologicalSort(s, func(a, b string) bool { return at[a] < at[b] })
	if err != nil {
		return nil, fmt.Errorf("cannot order the steps: %w", err)
	}
	order := make([]Node, len(keys))
	for i, k := range keys {
		order[i] = nodes[k]
	}
	return order, nil
}

// DOT writes the graph as a picture for Graphviz: things are boxes, their
// releases dashed, and only edges that say something new are drawn.
func (g *Graph) DOT(w io.Writer) error {
	s, _, err := g.structure(true)
	if err == nil {
		s, err = graph.TransitiveReduction(s)
	}
	if err == nil {
		err = draw.DOT(s, w, draw.GraphAttribute("rankdir", "TB"), draw.GraphAttribute("fontname", "sans-serif"))
	}
	if err != nil {
		return fmt.Errorf("cannot draw the graph: %w", err)
	}
	return nil
}

// Mermaid writes the same picture as a Mermaid flow chart.
func (g *Graph) Mermaid(w io.Writer) error {
	s, nodes, err := g.structure(true)
	if err == nil {
		s, err = graph.TransitiveReduction(s)
	}
	if err != nil {
		return fmt.Errorf("cannot draw the graph: %w", err)
	}
	edges, err := s.AdjacencyMap()
	if err != nil {
		return fmt.Errorf("cannot draw the graph: %w", err)
	}
	order := make([]string, 0, len(nodes))
	for _, n := range g.Nodes {
		order = append(order, n.Key.String())
	}
	for _, n := range g.Nodes {
		if _, ok := nodes[releaseID(n)]; ok {
			order = append(order, releaseID(n))
		}
	}
	id := make(map[string]string, len(order))
	var b strings.Builder
	b.WriteString("flowchart TD\n")
	for i, k := range order {
		id[k] = fmt.Sprintf("n%d", i)
		open, closing := "(", ")"
		switch {
		case strings.HasPrefix(k, "release-"):
			open, closing = "[/", "/]"
		case nodes[k].Thing:
			open, closing = "[", "]"
		}
		fmt.Fprintf(&b, "  %s%s%q%s\n", id[k], open, strings.ReplaceAll(strings.ReplaceAll(label(nodes[k]), `\n`, "<br>"), `"`, "'"), closing)
	}
	for _, from := range order {
		for _, to := range order {
			if _, ok := edges[from][to]; ok {
				fmt.Fprintf(&b, "  %s --> %s\n", id[from], id[to])
			}
		}
	}
	_, err = io.WriteString(w, b.String())
	return err
}
