package cli

import (
	"encoding/json"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/optiondoc"
	"github.com/imgflow/imgflow/template/schema"
)

func schemaCommand() *cli.Command {
	return &cli.Command{
		Name: "schema", Usage: "print a JSON Schema of JSON templates, for editors", Category: templateGroup,
		Description: `   An editor that knows the schema completes the names of options, tells what they do, and
   marks what cannot be while it is written. It is one of the draft 2020-12. What it cannot
   tell, such as a file that is missing, ` + "`imgflow validate`" + ` does.

   imgflow schema > template.schema.json`,
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0, ""); err != nil {
				return err
			}
			e := json.NewEncoder(verbatim(c.App.Writer))
			e.SetEscapeHTML(false)
			e.SetIndent("", " ")
			return e.Encode(schema.Of(catalog(), optiondoc.Embedded()))
		},
	}
}
