package main

import (
	"errors"
	"io/fs"

	"github.com/urfave/cli/v2"

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
	if picture := c.Bool("dot") || c.Bool("mermaid"); picture && c.IsSet("run") {
		if g, err := drawn(c); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return err
			}
			return draw(c, g)
		}
	}
	g, p, err := planned(c)
	if err != nil {
		return err
	}
	switch w := c.App.Writer; {
	case c.Bool("dot"), c.Bool("mermaid"):
		return draw(c, g)
	case c.Bool("json"):
		return render.Indented(w, render.NewPlanJSON(g, p))
	default:
		render.Plan(w, g, p)
		return nil
	}
}

func draw(c *cli.Context, g *dag.Graph) error {
	if c.Bool("dot") {
		return g.DOT(c.App.Writer)
	}
	return g.Mermaid(c.App.Writer)
}

// drawn is the graph of a stored run, which may be driven at this time.
func drawn(c *cli.Context) (*dag.Graph, error) {
	if err := wantArgs(c, 0, 0, ""); err != nil {
		return nil, err
	}
	home, err := openHome()
	if err != nil {
		return nil, err
	}
	id, err := home.Resolve(c.String("run"))
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	return home.Drawn(id)
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
			return nil, nil, &exitError{code: exitUsage, err: err}
		}
		s, err := application().Open(home, id)
		if err != nil {
			return nil, nil, err
		}
		defer s.Close()
		if err := s.LoadStored(); err != nil {
			return nil, nil, err
		}
		p, err := s.Plan()
		return s.Graph(), p, err
	}
	req, err := newRequest(c)
	if err != nil {
		return nil, nil, err
	}
	req.Force = c.Bool("force")
	s := application().New(nil, req)
	defer s.Close()
	err = s.Load(c.Context, true)
	warn(lines(c, c.App.ErrWriter), s)
	if err != nil {
		return nil, nil, err
	}
	s.Foresee(c.Context)
	p, err := s.Plan()
	return s.Graph(), p, err
}
