package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func validateCommand() *cli.Command {
	return &cli.Command{
		Name: "validate", Usage: "say all that is wrong with a template", ArgsUsage: "TEMPLATE", Category: templateGroup,
		Description: `   Every fault is told with its place. Nothing outside of this machine is asked, and
   no credentials are needed, unless data sources are to be looked up. The exit status is 2 when something is wrong: when ` + "`imgflow run`" + `
   would refuse the template.`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "syntax-only", Usage: "look at the syntax alone", Category: inputFlags},
			&cli.BoolFlag{Name: "allow-unsupported", Usage: "note what is known and cannot run, in place of refusing it; its options are checked all the same", Category: inputFlags},
			&cli.BoolFlag{Name: "evaluate-datasources", Usage: "look up the data sources that builds refer to, and check with what they yield", Category: inputFlags},
			&cli.BoolFlag{Name: "no-warn-undeclared-var", Usage: "say nothing of values in variable files that no variable has", Category: inputFlags},
		}, templateFlags()...),
		Action: validate,
	}
}

func validate(c *cli.Context) error {
	req, err := newRequest(c)
	if err != nil {
		return err
	}
	req.QuietUndeclared = c.Bool("no-warn-undeclared-var")
	s := application().New(nil, req)
	defer s.Close()
	if c.Bool("syntax-only") {
		if _, err := s.Parse(); err != nil {
			return err
		}
		valid := "The syntax of the template is valid."
		if asPacker(c) {
			valid = "Syntax-only check passed. Everything looks okay."
		}
		fmt.Fprintln(c.App.Writer, valid)
		return nil
	}
	load := s.Load
	if c.Bool("evaluate-datasources") {
		load = s.LoadLooked
	}
	err = load(c.Context, !c.Bool("allow-unsupported"))
	if err == nil {
		valid := "The template is valid."
		if asPacker(c) {
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
