package cli

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/hcl"
)

//go:embed starter/*.pkr.hcl
var starters embed.FS

func initCommand() *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "look whether all is there that a template requires, or write a first one", ArgsUsage: "[TEMPLATE]", Category: templateGroup,
		Description: `   Nothing is installed: what imgflow has of Packer's plug-ins is built in. The exit status is 1 if
   the template requires another one, which is named with its place.

   imgflow init --starter ubuntu              writes ubuntu.pkr.hcl, a template to begin with
   imgflow init --starter windows web.pkr.hcl`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "starter", Usage: "write a template that builds on `DISTRO`: " + strings.Join(distros(), ", ")},
			&cli.BoolFlag{Name: "force", Usage: "with --starter: write over a file that is there"},
			&cli.BoolFlag{Name: "upgrade", Hidden: true}, // there is nothing to upgrade
			jsonFlag("print what is required, or what was written, as JSON"),
		}, templateFlags()...),
		Action: initTemplate,
	}
}

// distros are those that a first template can be written for.
func distros() (names []string) {
	files, _ := starters.ReadDir("starter") // of the program itself
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".pkr.hcl"))
	}
	return names
}

func initTemplate(c *cli.Context) error {
	if c.IsSet("starter") {
		return writeStarter(c, c.String("starter"))
	}
	if err := wantArgs(c, 1, 1, "one template"); err != nil {
		return err
	}
	plugins, err := requiredPlugins(c, c.Args().First())
	if err != nil {
		return err
	}
	var missing template.Errors
	for _, p := range plugins {
		if !p.BuiltIn {
			missing.Add(p.Pos, "imgflow loads no plug-ins", "cannot find the plug-in %s: it is not one of those that are built in, %s", p.Source, strings.Join(builtInPlugins(), ", "))
			continue
		}
		if c.Bool("json") {
			continue
		}
		fmt.Fprintf(c.App.Writer, "The plug-in %s is built in.\n", p.Source)
	}
	if len(missing) > 0 {
		return fmt.Errorf("cannot build with all that the template requires:\n\n%w", missing)
	}
	if c.Bool("json") {
		return render.Indented(c.App.Writer, render.PluginsJSON{Plugins: pluginsOf(plugins)})
	}
	if len(plugins) == 0 {
		fmt.Fprintln(c.App.Writer, "The template requires no plug-ins.")
	}
	return nil
}

// requiredPlugins are those that a template asks for.
func requiredPlugins(c *cli.Context, name string) ([]template.OutlinePlugin, error) {
	req, err := requestFor(c, name)
	if err != nil {
		return nil, err
	}
	s := application().New(nil, req)
	defer s.Close()
	t, err := s.Parse()
	if err != nil {
		return nil, err
	}
	return t.Outline().Plugins, nil
}

// builtInPlugins are the sources of those plug-ins of Packer whose components imgflow has.
func builtInPlugins() (sources []string) {
	for _, name := range hcl.BuiltIn {
		sources = append(sources, "github.com/"+name)
	}
	return sources
}

func writeStarter(c *cli.Context, distro string) error {
	if err := wantArgs(c, 0, 1, "one file"); err != nil {
		return err
	}
	if !slices.Contains(distros(), distro) {
		return usagef("cannot begin with %q: choose %s%s", distro, strings.Join(distros(), ", "), suggest(distro, distros()))
	}
	text, err := starters.ReadFile("starter/" + distro + ".pkr.hcl")
	if err != nil {
		return err
	}
	name := distro + ".pkr.hcl"
	if c.Args().Present() {
		name = c.Args().First()
	}
	if !strings.HasSuffix(name, ".pkr.hcl") {
		return usagef("cannot write %s: the name of a template ends in .pkr.hcl", name)
	}
	how := os.O_CREATE | os.O_WRONLY | os.O_EXCL
	if c.Bool("force") {
		how = os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	}
	f, err := os.OpenFile(name, how, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return usagef("cannot write %s: it is there already; name another file, or add --force", name)
	} else if err != nil {
		return fmt.Errorf("cannot write the template: %w", err)
	}
	_, err = f.WriteString(self.Text(string(text)))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cannot write the template: %w", err)
	}
	if c.Bool("json") {
		return render.Indented(c.App.Writer, render.PluginsJSON{Plugins: []render.Plugin{}, Wrote: name})
	}
	fmt.Fprintf(c.App.Writer, "Wrote %s. Try it:  %s\n", name, self.Command("run --local", filepath.ToSlash(name)))
	return nil
}
