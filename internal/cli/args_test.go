package cli

import (
	"io"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func testApp() *cli.App {
	return &cli.App{Writer: io.Discard, Commands: []*cli.Command{{
		Name: "run", Aliases: []string{"build"},
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "var"}, &cli.StringFlag{Name: "on-error"},
			&cli.IntFlag{Name: "parallel-builds"}, &cli.DurationFlag{Name: "max-lifetime"},
			&cli.BoolFlag{Name: "color", Value: true}, &cli.BoolFlag{Name: "follow", Aliases: []string{"f"}},
		},
	}, {Name: "resume"}}}
}

func TestArrange(t *testing.T) {
	for in, want := range map[string]string{
		"run t.json":                            "run -- t.json",
		"run t.json -var a=b":                   "run -var a=b -- t.json",
		"run -var a=b t.json --on-error=ask -f": "run -var a=b --on-error=ask -f -- t.json",
		"build -color=false -":                  "build -color=false -- -",
		"run -var a=-x t.json":                  "run -var a=-x -- t.json",
		"run -var -x t.json":                    "run -var -x -- t.json",
		"run t.json -- -var":                    "run -- t.json -- -var",
		"run -h":                                "help run",
		"build t.json --help":                   "help run",
		"-v":                                    "version",
		"--help":                                "help",
		"help resume":                           "help resume",
		"help":                                  "help",
		"help --help":                           "help",
		"help help":                             "help",
		"run -parallel-builds 2 t.json":         "run -parallel-builds 2 -- t.json",
		"run --max-lifetime=90m t.json":         "run --max-lifetime=90m -- t.json",
	} {
		got, err := arrange(testApp(), append([]string{"imgflow"}, strings.Fields(in)...))
		if err != nil || strings.Join(got[1:], " ") != want {
			t.Errorf("%s: got %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestArrangeRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"rum t.json":                     "did you mean `run`?",
		"help resum":                     "did you mean `resume`?",
		"run -vra a=b t.json":            "cannot use -vra: `imgflow run` has no such flag; did you mean -var?",
		"run t.json --on-eror=x":         "cannot use --on-eror: `imgflow run` has no such flag; did you mean -on-error?",
		"run t.json -var":                "cannot use -var: it needs a value",
		"run t.json -zzzzzz":             "cannot use -zzzzzz",
		"-color=false run":               "flags stand behind it",
		"run --parallel-builds=x t.json": "cannot use --parallel-builds=x: it must be a whole number",
		"run -parallel-builds x t.json":  "cannot use -parallel-builds=x: it must be a whole number",
		"run -max-lifetime=3d t.json":    "cannot use -max-lifetime=3d: it must be a time such as",
		"run -color=maybe t.json":        "cannot use -color=maybe: it must be true or false",
	} {
		_, err := arrange(testApp(), append([]string{"imgflow"}, strings.Fields(in)...))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want %q in it", in, err, want)
		}
	}
}
