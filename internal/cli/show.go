package cli

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/state"
)

func showCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "tell all about one run", ArgsUsage: "[RUN]", Category: lookGroup,
		Description: `   RUN is a run's id or the beginning of it; without it, the newest run is shown.

   imgflow show --provenance --sign-key build.key > statement.json
                                       how its images were made, for others to check
                                       (imgflow verify)`,
		Flags: []cli.Flag{
			jsonFlag("print the run as JSON"),
			&cli.BoolFlag{Name: "provenance", Usage: "print an in-toto statement with SLSA provenance, in a DSSE envelope"},
			&cli.BoolFlag{Name: "sbom", Usage: "print what was installed on the machine, as the provisioner sbom has listed it"},
			&cli.StringFlag{Name: "build", Usage: "the `BUILD` whose list that is to be"},
			&cli.StringFlag{Name: "sign-key", Usage: "sign that with the private key in `FILE`: Ed25519 or ECDSA P-256, in PEM or as ssh-keygen makes it"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 1, "one run"); err != nil {
				return err
			}
			if c.Bool("provenance") && c.Bool("sbom") {
				return usagef("cannot show both --provenance and --sbom: each is a document of its own")
			}
			if c.IsSet("build") && !c.Bool("sbom") {
				return usagef("cannot show one build without --sbom: all else is of the whole run")
			}
			if c.IsSet("sign-key") && !c.Bool("provenance") {
				return usagef("cannot sign without --provenance: nothing else is signed")
			}
			home, s, err := chosenRun(c.Args().First())
			if err != nil {
				return err
			}
			if c.Bool("sbom") {
				return writeSBOM(c, home, s.ID)
			}
			if c.Bool("provenance") {
				return writeProvenance(c, home, s.ID)
			}
			if c.Bool("json") {
				return render.Indented(c.App.Writer, render.ShownJSON{Summary: s, Cost: render.NewCost(bill(home, s))})
			}
			render.Run(c.App.Writer, s, bill(home, s), time.Now())
			if next := nextSteps(s); next != "" {
				fmt.Fprint(c.App.Writer, "\n"+next)
			}
			return nil
		},
	}
}

// chosenRun finds the run of an id, or the newest, and the home that it is in.
func chosenRun(id string) (home *state.Home, s state.Summary, err error) {
	if home, err = findHome(); err != nil {
		return nil, s, err
	}
	if id != "" {
		if s, err = home.Summary(id); err != nil {
			err = &exitError{code: exitUsage, err: err}
		}
		return home, s, err
	}
	runs, err := home.Runs()
	switch {
	case err != nil:
		return nil, s, err
	case len(runs) == 0:
		return nil, s, usagef("cannot show a run: there is none in %s", home.Place())
	}
	if s, err = home.Summary(runs[0].ID); err != nil { // what is damaged is shown as such
		s = runs[0]
	}
	return home, s, nil
}

// nextSteps are the commands that go on with a run as it stands.
func nextSteps(s state.Summary) string {
	if !unfinished(s) {
		return ""
	}
	return fmt.Sprintf("Go on with it:    %s\nRemove it all:    %s\n", self.Command("resume", s.ID), self.Command("destroy", s.ID))
}
