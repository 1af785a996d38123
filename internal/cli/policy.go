package cli

import (
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
)

func policyCommand() *cli.Command {
	return &cli.Command{
		Name: "policy", Usage: "print the least that AWS has to allow for a template", ArgsUsage: "TEMPLATE", Category: lookGroup,
		Description: `   It is a policy of IAM, in JSON: what a run of exactly this template calls, what a
   resume looks for after a crash, and what destroy removes. What is changed or removed
   has to carry the tag imgflow:run. Nothing outside of this machine is asked.

   imgflow policy template.json > policy.json
   aws iam put-user-policy --user-name ci --policy-name images --policy-document file://policy.json`,
		Flags: slices.Concat([]cli.Flag{
			&cli.BoolFlag{Name: "force", Usage: "for runs with -force", Category: inputFlags},
		}, templateFlags()),
		Action: printPolicy,
	}
}

func printPolicy(c *cli.Context) error {
	s, _, err := planned(c)
	if err != nil {
		return err
	}
	defer s.Close()
	p, notes := policyFor(s.Graph().Nodes)
	for _, n := range notes {
		lines(c, c.App.ErrWriter).Warn("Note: %s", n)
	}
	return render.Indented(c.App.Writer, p)
}
