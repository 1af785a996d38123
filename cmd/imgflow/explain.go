package main

import "github.com/urfave/cli/v2"

func explainCommand() *cli.Command {
	return &cli.Command{
		Name: "explain", Usage: "tell what a code of a failure means, and what to do", ArgsUsage: "CODE...", Category: lookGroup,
		Description: `   What fails ends with its code, as in "More: imgflow explain auth-refused".

   imgflow explain auth-refused`,
		Flags: []cli.Flag{jsonFlag("print it as an array")},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 20, "a code"); err != nil {
				return err
			}
			return explainCodes(c, c.Args().Slice())
		},
	}
}
