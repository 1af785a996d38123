package cli

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/explain"
	"github.com/imgflow/imgflow/internal/interp"
)

func explainCommand() *cli.Command {
	return &cli.Command{
		Name: "explain", Usage: "say why a step will run again, or what a code of a failure means", ArgsUsage: "RUN [STEP] | CODE...", Category: lookGroup,
		Description: `   A resume reads the template again. What a step of RUN is to be then is compared with
   what it was: the settings that differ are shown, or the step before it that has
   changed. STEP is a name that ` + "`imgflow plan`" + ` shows, alone or as in web.shell; the
   beginning of it is enough. Without it, each step that will run is explained in a line.

   What fails ends with its CODE, as in "More: imgflow explain auth-refused".

   imgflow explain RUN                   what a resume would run, and why
   imgflow explain RUN shell-2           what has changed in this step
   imgflow explain auth-refused          what that failure means, and what to do`,
		Flags: slices.Concat([]cli.Flag{
			jsonFlag("print it as an array"),
			&cli.BoolFlag{Name: "frozen", Usage: "of a run: do not look at the template again"},
			colorFlag(),
		}, variableFlags(), []cli.Flag{enforceFlag(), scanFlag()}),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 20, "a run, or a code"); err != nil {
				return err
			}
			if isCode(c.Args().First()) {
				return explainCodes(c, c.Args().Slice())
			}
			return explainSteps(c)
		},
	}
}

// isCode tells whether a word is the code of a failure, or is meant to be one: no run's id has
// a hyphen.
func isCode(word string) bool {
	_, ok := errcode.Lookup(errcode.Code(word))
	return ok || strings.Contains(word, "-")
}

func explainSteps(c *cli.Context) error {
	if err := wantArgs(c, 1, 2, "one run and one step"); err != nil {
		return err
	}
	s, err := lookedAt(c, c.Args().First())
	if err != nil {
		return err
	}
	defer s.Close()
	_, steps, err := s.Explain()
	if err != nil {
		return err
	}
	name := c.Args().Get(1)
	if name != "" {
		if steps, err = explain.Find(steps, name, interp.Nearest); err != nil {
			return &exitError{code: exitUsage, err: err}
		}
	} else {
		steps = slices.DeleteFunc(steps, func(s explain.Step) bool { return s.Change == explain.Reuse })
	}
	if c.Bool("json") {
		return render.Indented(c.App.Writer, render.NewExplanations(steps))
	}
	w, o := c.App.Writer, lineOptions(c, c.App.Writer)
	if o.Color {
		w = raw(w) // what is explained is clean
	}
	render.Explanations(w, steps, name != "", o.Color)
	return nil
}
