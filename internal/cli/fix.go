package cli

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/template"
)

func fixCommand() *cli.Command {
	return &cli.Command{
		Name: "fix", Usage: "write a JSON template with the spellings of old versions of Packer replaced", ArgsUsage: "TEMPLATE", Category: templateGroup,
		Description: `   The template is printed on standard output, and what was changed on standard error; the file stays as it is.`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "validate", Value: true, Usage: "look whether the template can be read afterwards"},
		}, templateFlags()...),
		Action: fix,
	}
}

func fix(c *cli.Context) error {
	req, err := newRequest(c)
	if err != nil {
		return err
	}
	s := application().New(nil, req)
	defer s.Close()
	name, src, err := s.JSON()
	if err != nil {
		return err
	}
	text, changes, errs := template.Fix(name, src)
	if len(errs) == 0 && c.Bool("validate") {
		_, errs = template.Parse(name, text)
	}
	if len(errs) > 0 {
		return usagef("cannot fix the template:\n\n%w", errs)
	}
	for _, change := range changes {
		fmt.Fprintf(c.App.ErrWriter, "Fixed: %s.\n", change)
	}
	_, err = verbatim(c.App.Writer).Write(text)
	return err
}
