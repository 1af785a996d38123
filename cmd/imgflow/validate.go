package main

import (
	"crypto/rand"
	"fmt"

	"github.com/urfave/cli/v2"
)

func validateCommand() *cli.Command {
	return &cli.Command{
		Name: "validate", Usage: "say all that is wrong with a template", ArgsUsage: "TEMPLATE", Category: lookGroup,
		Description: `   Every fault is told with its place. Nothing outside of this machine is asked, and
   no credentials are needed. The exit status is 2 when something is wrong.`,
		Flags:  append([]cli.Flag{&cli.BoolFlag{Name: "syntax-only", Usage: "look at the syntax alone", Category: inputFlags}}, templateFlags()...),
		Action: validate,
	}
}

func validate(c *cli.Context) error {
	req, err := newRequest(c)
	if err != nil {
		return err
	}
	s := newSession(nil, req, nil)
	defer s.close()
	if c.Bool("syntax-only") {
		_, errs, err := req.parse()
		if err == nil {
			err = faults(errs)
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(c.App.Writer, "The syntax of the template is valid.")
		return nil
	}
	err = s.load(false, passingSalt())
	if err == nil {
		fmt.Fprintln(c.App.Writer, "The template is valid.")
	}
	for _, w := range s.warnings {
		fmt.Fprintf(c.App.Writer, "Warning: %s\n", w.Error())
	}
	if err != nil {
		return err
	}
	// What is known and cannot be run yet is no fault of the template.
	for _, n := range s.notes {
		fmt.Fprintf(c.App.Writer, "Note: %s\n", n.Error())
	}
	return nil
}

// passingSalt is a salt for keys that are never stored.
func passingSalt() func() ([]byte, error) {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return func() ([]byte, error) { return key, nil }
}
