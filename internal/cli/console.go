package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/template"
)

func consoleCommand() *cli.Command {
	return &cli.Command{
		Name: "console", Usage: "evaluate expressions with the variables of a template", ArgsUsage: "[TEMPLATE [EXPRESSION]...]", Category: templateGroup,
		Description: `   Expressions are the arguments behind the template, or else lines of standard input. In a JSON template
   they are texts such as "{{user ` + "`region`" + `}}". The words variables, help and exit are no expressions.
   Values that are secret are not shown. The exit status is 1 if an expression has no value.

   imgflow console t.pkr.hcl 'upper(var.region)'
   echo 'local.tags' | imgflow console .
   echo 'cidrhost("10.0.0.0/8", 1)' | imgflow console -config-type=hcl2`,
		Flags:  append(templateFlags(), jsonFlag("print a line of JSON for each expression")),
		Action: console,
	}
}

const consoleHelp = `An expression shows its value: var.region, upper("x"), local.tags.
variables   lists the variables
exit        ends the console`

func console(c *cli.Context) error {
	req, err := requestFor(c, c.Args().First())
	if err != nil {
		return err
	}
	if !c.Args().Present() { // expressions alone need no template
		req.Template, req.Input = "-", strings.NewReader("{}")
		if req.ConfigType == "hcl2" {
			req.Input = strings.NewReader("")
		}
	}
	if c.Args().First() == "-" {
		return usagef("cannot read the template from standard input: that is where expressions are")
	}
	s := application().New(nil, req)
	defer s.Close()
	ev, errs, err := s.Config()
	if err != nil {
		return err
	}
	if c.Args().Present() {
		for _, e := range errs { // what is wrong elsewhere hinders no expression
			fmt.Fprintf(c.App.ErrWriter, "Warning: %s\n", e.Error())
		}
	}
	failed := false
	ask := func(line string) (goOn bool) {
		switch line = strings.TrimSpace(line); line {
		case "":
		case "exit", "quit":
			return false
		case "help":
			fmt.Fprintln(c.App.Writer, consoleHelp)
		case "variables":
			listVariables(c, ev)
		default:
			value, errs := ev.Ask(line)
			failed = failed || len(errs) > 0
			if c.Bool("json") {
				a := render.AnswerJSON{Expression: line, Value: value}
				if len(errs) > 0 {
					a.Value, a.Error = "", errs.Error()
				}
				render.Line(c.App.Writer, a)
				break
			}
			if len(errs) > 0 {
				fmt.Fprintln(c.App.ErrWriter, errs.Error())
				break
			}
			fmt.Fprintln(c.App.Writer, value)
		}
		return true
	}
	if exprs := c.Args().Tail(); len(exprs) > 0 {
		for _, x := range exprs {
			ask(x)
		}
	} else {
		tty := isTerminal(os.Stdin)
		for goOn := true; goOn; {
			if tty && !c.Bool("json") {
				fmt.Fprint(c.App.Writer, "> ")
			}
			line, err := stdin.line(c.Context)
			goOn = ask(line) && err == nil
		}
	}
	if failed {
		return &exitError{code: exitFailed}
	}
	return nil
}

func listVariables(c *cli.Context, ev *template.Config) {
	for _, v := range ev.Variables {
		value := fmt.Sprintf("%q", v.Value)
		if v.Sensitive {
			value = "<sensitive>"
		}
		fmt.Fprintf(c.App.Writer, "%s = %s\n", v.Name, value)
	}
}
