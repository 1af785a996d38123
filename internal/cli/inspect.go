package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/template"
)

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name: "inspect", Usage: "list the variables, builders, provisioners and all else of a template", ArgsUsage: "TEMPLATE", Category: templateGroup,
		Description: `   The template is not evaluated: what it says is shown as it stands there. Values of
   sensitive variables are not shown.`,
		Flags:  append([]cli.Flag{jsonFlag("print it as JSON")}, templateFlags()...),
		Action: inspect,
	}
}

func inspect(c *cli.Context) error {
	req, err := newRequest(c)
	if err != nil {
		return err
	}
	s := application().New(nil, req)
	defer s.Close()
	t, err := s.Parse()
	if err != nil {
		return err
	}
	content := contentOf(t.Outline())
	if m := machine(c); m != nil {
		for _, v := range content.Variables {
			m.Line("", "template-variable", v.Name, v.Default, map[bool]string{true: "1", false: "0"}[v.Required])
		}
		for _, b := range content.Builders {
			m.Line("", "template-builder", b.Name, b.Type)
		}
		for _, p := range content.Provisioners {
			m.Line("", "template-provisioner", p.Type)
		}
	}
	if c.Bool("json") {
		return render.Indented(c.App.Writer, content)
	}
	render.Template(c.App.Writer, content)
	return nil
}

// contentOf is what a template holds, as it is printed.
func contentOf(t template.Outline) render.Content {
	out := render.Content{Description: t.Description, Variables: []render.Variable{}, Builders: []render.Part{},
		Provisioners: []render.Part{}, PostProcessors: t.PostProcessors}
	if out.PostProcessors == nil {
		out.PostProcessors = [][]string{}
	}
	for _, v := range t.Variables {
		out.Variables = append(out.Variables, render.Variable{Name: v.Name, Required: v.Required, Sensitive: v.Sensitive, Default: v.Default})
	}
	for _, l := range t.Locals {
		out.Locals = append(out.Locals, render.Variable{Name: l.Name, Sensitive: l.Sensitive, Default: l.Default})
	}
	for _, d := range t.Data {
		out.Data = append(out.Data, render.Part{Name: d.Name, Type: d.Type})
	}
	if len(t.Plugins) > 0 {
		out.Plugins = pluginsOf(t.Plugins)
	}
	for _, b := range t.Builders {
		out.Builders = append(out.Builders, render.Part{Name: b.Name, Type: b.Type})
	}
	for _, p := range t.Provisioners {
		out.Provisioners = append(out.Provisioners, render.Part{Type: p.Type, Only: p.Only, Except: p.Except})
	}
	for _, x := range t.Tests {
		out.Tests = append(out.Tests, render.Test{Name: x.Name, Only: x.Only, Except: x.Except, Provisioners: x.Provisioners})
	}
	return out
}
