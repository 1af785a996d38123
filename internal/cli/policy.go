package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
)

func policyCommand() *cli.Command {
	return &cli.Command{
		Name: "policy", Usage: "print the least that AWS has to allow for a template", ArgsUsage: "TEMPLATE", Category: lookGroup,
		Description: `   It is a policy of IAM, in JSON: what a run of exactly this template calls, what a
   resume looks for after a crash, and what destroy removes. What is changed or removed
   has to carry the tag imgflow:run. Nothing outside of this machine is asked.
   With --role it is what a role of another account needs, in which the template publishes.

   imgflow policy template.json > policy.json
   aws iam put-user-policy --user-name ci --policy-name images --policy-document file://policy.json`,
		Flags: slices.Concat([]cli.Flag{
			&cli.BoolFlag{Name: "force", Usage: "for runs with -force", Category: inputFlags},
			&cli.StringFlag{Name: "role", Usage: "what the role with this `ARN` needs, which the template takes in another account", Category: inputFlags},
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
	nodes, role := s.Graph().Nodes, c.String("role")
	if roles := rolesOf(nodes); role != "" && !slices.Contains(roles, role) {
		return fmt.Errorf("cannot say what %s needs: the template takes %s", role, cmp.Or(strings.Join(roles, ", "), "no role of another account"))
	}
	p, notes := policyFor(nodes, role)
	for _, n := range notes {
		lines(c, c.App.ErrWriter).Warn("Note: %s", n)
	}
	return render.Indented(c.App.Writer, p)
}
