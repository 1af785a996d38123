package cli

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/errcode"
)

// explainCodes tells what codes of failures mean.
func explainCodes(c *cli.Context, words []string) error {
	var infos []errcode.Info
	var known []string
	for _, i := range errcode.Table {
		known = append(known, string(i.Code))
	}
	for _, w := range words {
		i, ok := errcode.Lookup(errcode.Code(w))
		if !ok {
			return usagef("cannot explain %q: there is no such code%s; docs/errors.md lists them", w, suggest(strings.ToLower(w), known))
		}
		infos = append(infos, i)
	}
	if c.Bool("json") {
		return render.Indented(c.App.Writer, render.NewCodes(infos))
	}
	render.Codes(c.App.Writer, infos)
	return nil
}
