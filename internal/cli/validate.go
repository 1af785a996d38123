package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/cli/internal/findings"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/template"
)

func validateCommand() *cli.Command {
	return &cli.Command{
		Name: "validate", Usage: "say all that is wrong with a template", ArgsUsage: "TEMPLATE", Category: templateGroup,
		Description: `   Every fault is told with its place. Nothing outside of this machine is asked, and
   no credentials are needed, unless data sources are to be looked up. The exit status is 2 when something is wrong: when ` + "`imgflow run`" + `
   would refuse the template.

   imgflow validate --format sarif template.json > faults.sarif   for the code host to show`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "syntax-only", Usage: "look at the syntax alone", Category: inputFlags},
			&cli.BoolFlag{Name: "allow-unsupported", Usage: "note what is known and cannot run, in place of refusing it; its options are checked all the same", Category: inputFlags},
			&cli.BoolFlag{Name: "evaluate-datasources", Usage: "look up the data sources that builds refer to, and check with what they yield", Category: inputFlags},
			&cli.BoolFlag{Name: "no-warn-undeclared-var", Usage: "say nothing of values in variable files that no variable has", Category: inputFlags},
			&cli.StringFlag{Name: "format", Value: "text", Usage: "print what was found as `FORM`: text, json, sarif or junit", Category: outputFlags},
			jsonFlag("the same as --format json"),
			ciFlag(),
		}, templateFlags()...),
		Action: validate,
	}
}

var findingFormats = []string{"text", "json", "sarif", "junit"}

func validate(c *cli.Context) error {
	format := c.String("format")
	if c.Bool("json") {
		if c.IsSet("format") && format != "json" {
			return usagef("cannot use --json with --format %s: choose one", format)
		}
		format = "json"
	}
	job, err := inCI(c)
	if err != nil {
		return err
	}
	req, err := newRequest(c)
	if err != nil {
		return err
	}
	req.QuietUndeclared = c.Bool("no-warn-undeclared-var")
	s := application().New(nil, req)
	defer s.Close()
	load := s.Load
	switch {
	case c.Bool("syntax-only"):
		_, err = s.Parse()
	case c.Bool("evaluate-datasources"):
		load = s.LoadLooked
		fallthrough
	default:
		err = load(c.Context, !c.Bool("allow-unsupported"))
	}
	switch format {
	case "text":
		job.Faults("warning", s.Warnings())
		return tellFindings(c, s, err)
	case "json":
		v := render.ValidatedJSON{Valid: err == nil, Warnings: render.NewFaults(s.Warnings()), Notes: render.NewFaults(s.Notes())}
		if err != nil {
			e := render.NewError(err, codeOf(err, exitUsage))
			v.Error = &e
		}
		return reported(err, render.Indented(c.App.Writer, v))
	case "sarif", "junit":
		list := findings.Of(templateFaults(err), s.Warnings(), s.Notes())
		if format == "sarif" {
			return reported(err, findings.WriteSARIF(c.App.Writer, list, versionText()))
		}
		return reported(err, findings.WriteJUnit(c.App.Writer, list, req.Template))
	}
	return usagef("cannot print what was found as %q: choose %s%s", format, strings.Join(findingFormats, ", "), suggest(format, findingFormats))
}

// templateFaults are the faults of a template in an error, or the error as one.
func templateFaults(err error) template.Errors {
	var faults template.Errors
	if err != nil && !errors.As(err, &faults) {
		faults.AddCode(codeOf(err, exitUsage), template.Pos{}, "", "%s", err.Error())
	}
	return faults
}

// reported is the error of a command of which programs have been told, if telling did not fail.
func reported(err, telling error) error {
	if err == nil || telling != nil {
		return telling
	}
	code := exitFailed
	var exit *exitError
	if errors.As(err, &exit) {
		code = exit.code
	} else if errors.As(err, new(*app.UsageError)) {
		code = exitUsage
	}
	return &exitError{code: code, err: err, reported: true}
}

// tellFindings tells people what was found.
func tellFindings(c *cli.Context, s *app.Session, err error) error {
	if err == nil {
		valid := "The template is valid."
		switch {
		case c.Bool("syntax-only") && asPacker(c):
			valid = "Syntax-only check passed. Everything looks okay."
		case c.Bool("syntax-only"):
			valid = "The syntax of the template is valid."
		case asPacker(c):
			valid = "The configuration is valid."
		}
		fmt.Fprintln(c.App.Writer, valid)
	}
	for _, w := range s.Warnings() {
		fmt.Fprintf(c.App.Writer, "Warning: %s\n", w.Error())
	}
	if err != nil {
		return err
	}
	for _, n := range s.Notes() {
		fmt.Fprintf(c.App.Writer, "Note: %s\n", n.Error())
	}
	return nil
}
