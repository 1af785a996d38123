package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/cmd/imgflow/internal/render"
	"github.com/imgflow/imgflow/template"
)

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name: "inspect", Usage: "list the variables, builders and provisioners of a template", ArgsUsage: "TEMPLATE", Category: lookGroup,
		Description: `   The template is not evaluated: what it says is shown as it stands there. Values of
   sensitive variables are not shown.`,
		Flags:  []cli.Flag{jsonFlag("print it as JSON")},
		Action: inspect,
	}
}

func inspect(c *cli.Context) error {
	req, err := newRequest(c)
	if err != nil {
		return err
	}
	t, errs, err := req.parse()
	if err == nil {
		err = faults(errs)
	}
	if err != nil {
		return err
	}
	content := contentOf(t)
	if c.Bool("json") {
		return render.Indented(c.App.Writer, content)
	}
	render.Template(c.App.Writer, content)
	return nil
}

// contentOf lists what a template holds.
func contentOf(t *template.Template) render.Content {
	out := render.Content{Description: t.Description, Variables: []render.Variable{}, Builders: []render.Part{},
		Provisioners: []render.Part{}, PostProcessors: [][]string{}}
	sensitive := map[string]bool{}
	for _, v := range t.Sensitive {
		sensitive[v.Text] = true
	}
	for _, v := range t.Variables {
		x := render.Variable{Name: v.Name, Required: v.Required, Sensitive: sensitive[v.Name]}
		if !x.Sensitive {
			x.Default = v.Default.Text
		}
		out.Variables = append(out.Variables, x)
	}
	for _, b := range t.Builders {
		name := b.Name.Text
		if name == "" {
			name = b.Type
		}
		out.Builders = append(out.Builders, render.Part{Name: name, Type: b.Type})
	}
	for _, p := range t.Provisioners {
		out.Provisioners = append(out.Provisioners, render.Part{Type: p.Type, Only: texts(p.Only), Except: texts(p.Except)})
	}
	for _, seq := range t.PostProcessors {
		var types []string
		for _, p := range seq {
			types = append(types, p.Type)
		}
		out.PostProcessors = append(out.PostProcessors, types)
	}
	return out
}

func texts(vs []template.Value) (out []string) {
	for _, v := range vs {
		out = append(out, strings.TrimSpace(v.Text))
	}
	return out
}
