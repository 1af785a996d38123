package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/template"
)

func pluginsCommand() *cli.Command {
	return &cli.Command{
		Name: "plugins", Usage: "list the plug-ins that are built in, or that a template requires", ArgsUsage: "installed | required TEMPLATE", Category: toolGroup,
		Description: `   imgflow plugins installed             the plug-ins of Packer whose components are built in
   imgflow plugins required TEMPLATE     those that a template asks for

   Plug-ins are neither installed nor removed: ` + "`install`" + ` of one that is built in does nothing, and
   is an error for another.`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "path", Hidden: true}, // a plug-in from a file is none that is built in
			&cli.BoolFlag{Name: "force", Hidden: true},
			jsonFlag("print the list as JSON"),
		}, templateFlags()...),
		Action: plugins,
	}
}

func plugins(c *cli.Context) error {
	verbs := []string{"installed", "required", "install", "remove"}
	switch verb := c.Args().First(); verb {
	case "installed":
		if err := wantArgs(c, 1, 1, "one word"); err != nil {
			return err
		}
		if c.Bool("json") {
			list := []render.Plugin{}
			for _, source := range builtInPlugins() {
				list = append(list, render.Plugin{Source: source, BuiltIn: true})
			}
			return render.Indented(c.App.Writer, render.PluginsJSON{Plugins: list})
		}
		for _, source := range builtInPlugins() {
			fmt.Fprintf(c.App.Writer, "%s (built in)\n", source)
		}
	case "required":
		return requiredOf(c)
	case "install":
		if err := wantArgs(c, 2, 3, "a source and a version"); err != nil {
			return err
		}
		source := c.Args().Get(1)
		if c.IsSet("path") || !slices.Contains(builtInPlugins(), source) {
			return fmt.Errorf("cannot install %s: plug-ins are not loaded; built in are %s", source, strings.Join(builtInPlugins(), ", "))
		}
		fmt.Fprintf(c.App.Writer, "The plug-in %s is built in.\n", source)
	case "remove":
		return usagef("cannot remove a plug-in: those that there are are built in")
	default:
		return usagef("cannot do `%s`: choose %s%s", self.Command("plugins", verb), strings.Join(verbs, ", "), suggest(verb, verbs))
	}
	return nil
}

// requiredOf lists what a template asks for, and whether it is there.
func requiredOf(c *cli.Context) error {
	if err := wantArgs(c, 2, 2, "one template"); err != nil {
		return err
	}
	required, err := requiredPlugins(c, c.Args().Get(1))
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return render.Indented(c.App.Writer, render.PluginsJSON{Plugins: pluginsOf(required)})
	}
	for _, p := range required {
		there := "not there"
		if p.BuiltIn {
			there = "built in"
		}
		fmt.Fprintf(c.App.Writer, "%s %s %q (%s)\n", p.Name, p.Source, p.Version, there)
	}
	return nil
}

// pluginsOf are those that a template asks for, as they are printed.
func pluginsOf(required []template.OutlinePlugin) []render.Plugin {
	list := []render.Plugin{}
	for _, p := range required {
		list = append(list, render.Plugin{Source: p.Source, Version: p.Version, BuiltIn: p.BuiltIn})
	}
	return list
}
