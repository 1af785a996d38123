package cli

import (
	"errors"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/app"
)

func variableFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "var", KeepSpace: true, Usage: "set a variable: `NAME=VALUE`; may be repeated", Category: inputFlags},
		&cli.StringSliceFlag{Name: "var-file", KeepSpace: true, Usage: "read variables from a `FILE`, in JSON or, if its name ends in .hcl, in HCL; may be repeated, the last one wins", Category: inputFlags},
	}
}

func templateFlags() []cli.Flag {
	return append(variableFlags(),
		&cli.StringSliceFlag{Name: "only", Usage: "build these `BUILDS` only: names with commas between them", Category: inputFlags},
		&cli.StringSliceFlag{Name: "except", Usage: "build all but these `BUILDS`", Category: inputFlags},
		&cli.StringFlag{Name: "config-type", Usage: "the `LANGUAGE` of a template whose name does not say it, json or hcl2", Category: inputFlags},
		// These change nothing here: there are no plug-ins to choose from, and what needs what is always found out.
		&cli.BoolFlag{Name: "ignore-prerelease-plugins", Hidden: true},
		&cli.BoolFlag{Name: "use-sequential-evaluation", Hidden: true},
		enforceFlag(), scanFlag(),
		&cli.BoolFlag{Name: "strict", Usage: "take a warning about the template for a fault", Category: inputFlags},
	)
}

func scanFlag() cli.Flag {
	return &cli.BoolFlag{Name: "scan-image", Usage: "look for the run's secrets on a machine before it is imaged, and fail where there is one; IMGFLOW_SCAN_IMAGE=1 asks for it, too", Category: inputFlags}
}

func enforceFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "enforce", Usage: "add the provisioners of the template in `FILE` to every build, behind its own; may be repeated, and IMGFLOW_ENFORCE names more", Category: inputFlags}
}

// newRequest reads the flags and the template's name.
func newRequest(c *cli.Context) (app.Request, error) {
	if err := wantArgs(c, 1, 1, "one template"); err != nil {
		return app.Request{}, err
	}
	return requestFor(c, c.Args().First())
}

// requestFor reads the flags for a template.
func requestFor(c *cli.Context, name string) (app.Request, error) {
	if _, err := os.Getwd(); err != nil {
		return app.Request{}, errors.New("cannot find the working directory: " + err.Error())
	}
	language := c.String("config-type")
	if language != "" && language != "json" && language != "hcl2" {
		return app.Request{}, usagef("cannot use -config-type %q: it must be json or hcl2", language)
	}
	vars, err := variables(c)
	return app.Request{
		Template: name, ConfigType: language, Input: os.Stdin, Vars: vars, VarFiles: c.StringSlice("var-file"), Strict: c.Bool("strict"), Enforce: c.StringSlice("enforce"), ScanImage: c.Bool("scan-image"),
		Only: commaList(c.StringSlice("only")), Except: commaList(c.StringSlice("except")),
	}, err
}

// variables are those of the flags.
func variables(c *cli.Context) (map[string]string, error) {
	vars := map[string]string{}
	for _, kv := range c.StringSlice("var") {
		k, v, ok := strings.Cut(kv, "=")
		k = strings.TrimSpace(k) // no name has white space around it; a value may
		if !ok || k == "" {
			return nil, usagef("cannot use -var %q: it must read NAME=VALUE", kv)
		}
		vars[k] = v
	}
	return vars, nil
}

// giveVariables adds the variables of the flags to those that a run has.
func giveVariables(c *cli.Context, s *app.Session) error {
	vars, err := variables(c)
	if err == nil {
		s.Give(vars, c.StringSlice("var-file"))
	}
	return err
}

func commaList(given []string) (names []string) {
	for _, g := range given {
		for name := range strings.SplitSeq(g, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}
