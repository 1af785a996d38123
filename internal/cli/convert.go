package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/convert"
)

func convertCommand() *cli.Command {
	return &cli.Command{
		Name: "convert", Aliases: []string{"hcl2_upgrade"}, Usage: "write a JSON template as one in HCL2", ArgsUsage: "TEMPLATE", Category: templateGroup,
		Description: `   The template in HCL2 means the same. A run of the old one does not go on with it, since builds
   are called TYPE.NAME there. Where HCL2 has no expression for what stands in {{ }}, it stays, and
   works there, too.

   imgflow convert template.json                           writes template.json.pkr.hcl
   imgflow convert -output-file=- template.json            to standard output`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "output-file", Usage: "write to `FILE`; - is standard output (default: the name of the template, and .pkr.hcl)"},
			&cli.BoolFlag{Name: "force", Usage: "write over a file that is there"},
			&cli.BoolFlag{Name: "with-annotations", Hidden: true}, // of Packer's own remarks there are none
		}, templateFlags()...),
		Action: convertTemplate,
	}
}

func convertTemplate(c *cli.Context) error {
	req, err := newRequest(c)
	if err != nil {
		return err
	}
	s := application().New(nil, req)
	defer s.Close()
	parsed, err := s.Parse()
	if err != nil {
		return err
	}
	t, isJSON := parsed.(*template.Template)
	if !isJSON {
		return usagef("cannot convert %s: it is in HCL2 already", req.Template)
	}
	to := c.String("output-file")
	if to == "" && req.Template == "-" {
		to = "-"
	} else if to == "" {
		to = req.Template + ".pkr.hcl"
	}
	text, errs := convert.HCL(to, t)
	if len(errs) > 0 {
		return usagef("cannot convert the template:\n\n%w", errs)
	}
	if to == "-" {
		_, err := verbatim(c.App.Writer).Write(text)
		return err
	}
	how := os.O_CREATE | os.O_WRONLY | os.O_EXCL
	if c.Bool("force") {
		how = os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	}
	f, err := os.OpenFile(to, how, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return usagef("cannot write %s: it is there already; name another file with -output-file, or add -force", to)
	}
	if err == nil {
		_, err = f.Write(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("cannot write the template: %w", err)
	}
	fmt.Fprintf(c.App.Writer, "Wrote %s.\n", strings.TrimSpace(to))
	return nil
}
