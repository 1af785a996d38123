package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/explain"
	"github.com/imgflow/imgflow/internal/graphsvg"
)

// Look is how the steps of a plan look in a picture.
func Look(steps []explain.Step) func(dag.Key) dag.Look {
	look := make(map[dag.Key]dag.Look, len(steps))
	for _, s := range steps {
		look[s.Key] = dag.Look{Sign: signs[s.Change], Class: string(s.Change)}
	}
	return func(k dag.Key) dag.Look { return look[k] }
}

// SVG writes the picture of a graph. Steps say what becomes of its steps, and may be
// missing.
func SVG(w io.Writer, title string, g *dag.Graph, steps []explain.Step) error {
	d, err := g.Drawing()
	if err != nil {
		return err
	}
	look, why := Look(steps), map[dag.Key]string{}
	for _, s := range steps {
		why[s.Key] = s.Why
	}
	p := graphsvg.Picture{Title: title, Desc: fmt.Sprintf("%s and what is removed on the way, from top to bottom in the order in which they can be done", Count(len(g.Nodes), "step"))}
	if len(steps) > 0 {
		p.Desc += ". " + capital(counted(steps, 0)) + "."
	}
	for i, v := range d.Vertices {
		n := graphsvg.Node{ID: v.ID, Label: v.Label(), Sub: v.Title, Title: strings.Join(v.Builds, ", ") + ": " + v.Name}
		if v.Title != "" {
			n.Title += "\n" + v.Title
		}
		switch {
		case v.Release:
			n.Class = "release"
		case v.Awaited:
			n.Class = "awaited"
		default:
			l := look(v.Key)
			n.Class, n.Label = l.Class, strings.TrimPrefix(l.Sign+" "+n.Label, " ")
			if why[v.Key] != "" {
				n.Title += "\n" + why[v.Key]
			}
		}
		if v.Thing {
			n.Class += " thing"
		}
		p.Nodes = append(p.Nodes, n)
		for _, from := range d.Before[i] {
			e := graphsvg.Edge{From: d.Vertices[from].ID, To: v.ID}
			if v.Release {
				e.Class = "release"
			}
			p.Edges = append(p.Edges, e)
		}
	}
	return p.SVG(w)
}
