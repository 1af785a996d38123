package cli

import (
	"cmp"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/explain"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/state"
)

func planCommand() *cli.Command {
	return &cli.Command{
		Name: "plan", Usage: "show what a run would do, and change nothing", ArgsUsage: "TEMPLATE", Category: lookGroup,
		Description: `   Nothing outside of this machine is asked, and no credentials are needed, but with
   --resolve. The signs:

     +    is made            ~    has run before, and runs again
    -/+   is removed and made again
     =    is done, and stays     -    is removed on the way    ?    is not known yet

   imgflow plan template.json                          every step, as a table
   imgflow plan --svg template.json > plan.svg         a picture; also --dot and --mermaid
   imgflow plan --run RUN                              what a resume of the run would do with
                                                       the template as it is now
   imgflow plan --resolve template.json                also the images that it begins from
   imgflow plan -out FILE template.json                keep the plan; imgflow run FILE does
                                                       exactly that, or says what differs`,
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "run", Usage: "plan the resume of the run `RUN`, instead of a template"},
			&cli.BoolFlag{Name: "frozen", Usage: "with --run: do not look at the template again"},
			&cli.BoolFlag{Name: "resolve", Usage: "look up what the template refers to: source images, data sources", Category: inputFlags},
			&cli.BoolFlag{Name: "svg", Usage: "print the graph as a picture for a browser", Category: outputFlags},
			&cli.BoolFlag{Name: "dot", Usage: "print the graph for Graphviz", Category: outputFlags},
			&cli.BoolFlag{Name: "mermaid", Usage: "print the graph for Mermaid", Category: outputFlags},
			jsonFlag("print the plan as JSON"),
			colorFlag(),
			&cli.StringFlag{Name: "out", Usage: self.Text("keep the plan in a `FILE`, which imgflow run carries out")},
			&cli.BoolFlag{Name: "force", Usage: "plan for a run with -force", Category: inputFlags},
			&cli.BoolFlag{Name: "local", Usage: "plan for a run in the embedded EC2 of this machine", Category: inputFlags},
		}, templateFlags()),
		Action: plan,
	}
}

func plan(c *cli.Context) error {
	shapes := 0
	for _, f := range []string{"svg", "dot", "mermaid", "json"} {
		if c.Bool(f) {
			shapes++
		}
	}
	if shapes > 1 {
		return usagef("cannot print the plan in several forms at once: choose one of --svg, --dot, --mermaid, --json")
	}
	s, found, err := planned(c)
	if busy := (*state.BusyError)(nil); errors.As(err, &busy) && drawing(c) {
		home, err := findHome()
		if err != nil {
			return err
		}
		g, err := home.Drawn(busy.Run) // it is driven at this time
		if err != nil {
			return err
		}
		return draw(c, g, nil)
	}
	if err != nil {
		return err
	}
	defer s.Close()
	p, steps, err := s.Explain()
	if err != nil {
		return err
	}
	if file := c.String("out"); file != "" {
		if err := keepPlan(c, s, file); err != nil {
			return err
		}
	}
	joins := joining(c, s, steps)
	switch w := c.App.Writer; {
	case drawing(c):
		return draw(c, s.Graph(), steps)
	case c.Bool("json"):
		j := render.NewPlanJSON(s.Graph(), p, steps, joins)
		j.Time = render.NewExpected(expected(s, steps))
		j.Cost, j.Calls, j.Resolved = render.NewForecast(forecast(s, steps)), callsOf(s, p, steps), resolved(found)
		return cmp.Or(render.Indented(w, j), unresolved(found))
	default:
		o := lineOptions(c, w)
		if o.Color {
			w = raw(w) // the table is clean
		}
		render.Plan(w, s.Graph(), p, steps, render.Expected(expected(s, steps)), forecast(s, steps).Text(), callsOf(s, p, steps), o.Color)
		render.Joining(w, steps, joins)
		render.Resolved(w, resolved(found))
		return unresolved(found)
	}
}

// joining are the runs of a fleet that make steps of the plan now, where runs are in a database. A plan is shown without it, too.
func joining(c *cli.Context, s *app.Session, steps []explain.Step) map[dag.Key]string {
	if extras.Fleet == nil || os.Getenv("IMGFLOW_STATE") == "" || drawing(c) {
		return nil
	}
	home, err := findHome()
	var joins map[dag.Key]string
	if err == nil {
		joins, err = s.Joining(home)
	}
	if err != nil {
		lines(c, c.App.ErrWriter).Warn("Whether other runs make the same now is not known: %v", err)
	}
	for _, st := range steps {
		if st.Change == explain.Reuse {
			delete(joins, st.Key)
		}
	}
	return joins
}

// resolved is what was looked up, for people and programs, without secrets.
func resolved(found []app.Found) (all []render.ResolvedJSON) {
	for _, f := range found {
		r := render.ResolvedJSON{Step: f.Node.Name, Builds: f.Node.Builds, Text: foundText(f)}
		if f.Err != nil {
			r.Error = f.Err.Error()
		}
		if r.Text != "" || r.Error != "" {
			all = append(all, r)
		}
	}
	return all
}

// unresolved is the first failure of what was looked up.
func unresolved(found []app.Found) error {
	for _, f := range found {
		if f.Err != nil {
			return f.Err
		}
	}
	return nil
}

// drawing tells whether a picture is asked for.
func drawing(c *cli.Context) bool { return c.Bool("svg") || c.Bool("dot") || c.Bool("mermaid") }

func draw(c *cli.Context, g *dag.Graph, steps []explain.Step) error {
	var w io.Writer = c.App.Writer
	var look func(dag.Key) dag.Look
	if steps != nil {
		look = render.Look(steps)
	}
	switch {
	case c.Bool("svg"):
		title := "The plan of " + c.Args().First()
		if run := c.String("run"); run != "" {
			title = "The plan of run " + run
		}
		return render.SVG(w, title, g, steps)
	case c.Bool("dot"):
		return g.DOT(w, look)
	}
	return g.Mermaid(w, look)
}

// planned is the session of a template or of a stored run, with its graph loaded, and what
// was looked up for it.
func planned(c *cli.Context) (s *app.Session, found []app.Found, err error) {
	if id := c.String("run"); id != "" {
		if err := wantArgs(c, 0, 0, ""); err != nil {
			return nil, nil, err
		}
		for _, name := range []string{"only", "except", "config-type", "strict", "force", "local", "resolve"} {
			if c.IsSet(name) {
				return nil, nil, usagef("cannot use -%s with --run: that was decided when the run began", name)
			}
		}
		s, err = lookedAt(c, id)
		return s, nil, err
	}
	if c.Bool("frozen") {
		return nil, nil, usagef("cannot use --frozen without --run: a template is always read")
	}
	if c.Bool("resolve") && c.Bool("local") {
		return nil, nil, usagef("cannot use --resolve with --local: the images of the embedded EC2 are looked up in a run")
	}
	req, err := newRequest(c)
	if err != nil {
		return nil, nil, err
	}
	req.Force, req.Local = c.Bool("force"), c.Bool("local")
	s = application().New(nil, req)
	err = s.Load(c.Context, true)
	warn(lines(c, c.App.ErrWriter), s)
	if err == nil && c.Bool("resolve") {
		found, err = s.Resolve(c.Context)
	}
	if err != nil {
		s.Close()
		return nil, nil, err
	}
	s.Foresee(c.Context)
	return s, found, nil
}

// lookedAt is the session of a run as a resume would go on with it; nothing is written
// down.
func lookedAt(c *cli.Context, id string) (*app.Session, error) {
	home, err := findHome()
	if err != nil {
		return nil, err
	}
	if id, err = home.Resolve(id); err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	s, err := application().Look(home, id)
	if err != nil {
		return nil, err
	}
	if c.Bool("frozen") {
		err = s.LoadStored()
	} else if err = giveVariables(c, s); err == nil {
		var news app.News
		s.Enforce(c.StringSlice("enforce"))
		if c.Bool("scan-image") {
			s.Scan()
		}
		news, err = s.Preview(c.Context, false)
		ls := lines(c, c.App.ErrWriter)
		warn(ls, s)
		ls.News(s.Request().Template, app.News{Stored: news.Stored, Missing: news.Missing})
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}
