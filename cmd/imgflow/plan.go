package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/cmd/imgflow/internal/drive"
	"github.com/imgflow/imgflow/cmd/imgflow/internal/render"
	"github.com/imgflow/imgflow/dag"
)

func planCommand() *cli.Command {
	return &cli.Command{
		Name: "plan", Usage: "show what a run would do, and change nothing", ArgsUsage: "TEMPLATE", Category: lookGroup,
		Description: `   Nothing outside of this machine is asked, and no credentials are needed.

   imgflow plan template.json                          every step, as a table
   imgflow plan --dot template.json | dot -Tsvg        a picture
   imgflow plan --run RUN                              what a resume of the run would do`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "run", Usage: "plan the resume of the run `RUN` as it was stored, instead of a template"},
			&cli.BoolFlag{Name: "dot", Usage: "print the graph for Graphviz", Category: outputFlags},
			&cli.BoolFlag{Name: "mermaid", Usage: "print the graph for Mermaid", Category: outputFlags},
			jsonFlag("print the plan as JSON"),
			&cli.BoolFlag{Name: "force", Usage: "plan for a run with -force", Category: inputFlags},
		}, templateFlags()...),
		Action: plan,
	}
}

func plan(c *cli.Context) error {
	shapes := 0
	for _, f := range []string{"dot", "mermaid", "json"} {
		if c.Bool(f) {
			shapes++
		}
	}
	if shapes > 1 {
		return usagef("cannot print the plan in several forms at once: choose one of --dot, --mermaid, --json")
	}
	g, p, err := planned(c)
	if err != nil {
		return err
	}
	switch w := c.App.Writer; {
	case c.Bool("dot"):
		return g.DOT(w)
	case c.Bool("mermaid"):
		return g.Mermaid(w)
	case c.Bool("json"):
		return render.Indented(w, render.NewPlanJSON(g, p))
	default:
		render.Plan(w, g, p)
		return nil
	}
}

// planned is the plan of a template or of a stored run.
func planned(c *cli.Context) (*dag.Graph, *dag.Plan, error) {
	if id := c.String("run"); id != "" {
		if err := wantArgs(c, 0, 0, ""); err != nil {
			return nil, nil, err
		}
		home, err := openHome()
		if err != nil {
			return nil, nil, err
		}
		if id, err = home.Resolve(id); err != nil {
			return nil, nil, &exitError{exitUsage, err}
		}
		run, err := home.Open(id)
		if err != nil {
			return nil, nil, err
		}
		defer run.Close()
		g, err := run.Graph()
		if err != nil {
			return nil, nil, fmt.Errorf("cannot plan run %s: it was interrupted before it had a plan: %w", run.ID(), err)
		}
		e, err := drive.Engine(drive.Options{Run: run})
		if err != nil {
			return nil, nil, err
		}
		p, err := e.Plan(g)
		return g, p, err
	}
	req, err := newRequest(c)
	if err != nil {
		return nil, nil, err
	}
	req.Force = c.Bool("force")
	s := newSession(nil, req, nil)
	defer s.close()
	err = s.load(true, passingSalt())
	s.warn(lines(c, c.App.ErrWriter))
	if err != nil {
		return nil, nil, err
	}
	e, err := dag.New(dag.Options{Store: &dag.MemStore{}})
	if err != nil {
		return nil, nil, err
	}
	p, err := e.Plan(s.graph)
	return s.graph, p, err
}
