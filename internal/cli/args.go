package cli

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/internal/self"
)

// arrange puts the flags of a command line before its other arguments, where
// the flag package looks for them, so that a flag after the template is a flag
// too. A flag that the command does not have is an error that names the nearest
// one. Everything behind "--" stays as it is, and behind it.
func arrange(app *cli.App, args []string) ([]string, error) {
	if len(args) < 2 {
		return args, nil
	}
	name := args[1]
	if strings.HasPrefix(name, "-") {
		switch strings.TrimLeft(name, "-") {
		case "version", "v":
			return []string{args[0], "version"}, nil
		case "help", "h":
			return []string{args[0], "help"}, nil
		}
		return nil, usagef("cannot use %s before the command: flags stand behind it, as in `%s ...`", name, self.Command("run", name))
	}
	if name == "help" {
		if len(args) < 3 || slices.Contains([]string{"help", "-help", "--help", "-h", "--h"}, args[2]) {
			return args[:2], nil
		}
		if app.Command(args[2]) == nil {
			return nil, unknownCommand(app, args[2])
		}
		return args, nil
	}
	cmd := app.Command(name)
	if cmd == nil {
		return nil, unknownCommand(app, name)
	}
	var flags, rest []string
	for i := 2; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			rest = append(rest, args[i:]...)
			break
		}
		if len(a) < 2 || a[0] != '-' {
			rest = append(rest, a)
			continue
		}
		key, value, hasValue := strings.Cut(strings.TrimLeft(a, "-"), "=")
		if key == "help" || key == "h" {
			return []string{args[0], "help", cmd.Name}, nil
		}
		f := flagNamed(cmd, key)
		if f == nil {
			return nil, usagef("cannot use %s: `%s` has no such flag%s; `%s` lists them", dashed(a, key), self.Command(name), suggestFlag(cmd, key), self.Command("help", name))
		}
		flags = append(flags, a)
		if _, isBool := f.(*cli.BoolFlag); isBool && !hasValue {
			continue
		}
		if !hasValue {
			if i+1 == len(args) {
				return nil, usagef("cannot use %s: it needs a value, as in %s=VALUE", a, a)
			}
			i++
			value = args[i]
			flags = append(flags, value)
		}
		if want := wants(f, value); want != "" {
			return nil, usagef("cannot use %s=%s: it must be %s", dashed(a, key), value, want)
		}
	}
	if len(rest) > 0 {
		rest = slices.Insert(rest, 0, "--")
	}
	return slices.Concat(args[:2], flags, rest), nil
}

// wants says what the value of a flag must be, if it is not.
func wants(f cli.Flag, value string) string {
	var err error
	var want string
	switch f.(type) {
	case *cli.IntFlag:
		want = "a whole number"
		_, err = strconv.ParseInt(value, 0, 0)
	case *cli.DurationFlag:
		want = "a time such as 90s, 30m or 2h"
		_, err = time.ParseDuration(value)
	case *cli.BoolFlag:
		want = "true or false"
		_, err = strconv.ParseBool(value)
	}
	if err != nil {
		return want
	}
	return ""
}

func unknownCommand(app *cli.App, name string) error {
	if slices.Contains([]string{"fetch", "schedule", "schedules", "suspend", "worker"}, name) {
		return usagef("cannot do %q: %s", name, installFleet)
	}
	return usagef("cannot do %q: %s has no such command%s; `%s` lists them", name, self.Name, suggest(name, append(commandNames(app), "help")), self.Command("help"))
}

// dashed is the flag as it was typed, without its value.
func dashed(arg, key string) string {
	return arg[:len(arg)-len(strings.TrimLeft(arg, "-"))] + key
}

func flagNamed(cmd *cli.Command, name string) cli.Flag {
	for _, f := range cmd.Flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func commandNames(app *cli.App) (names []string) {
	for _, c := range app.Commands {
		if !c.Hidden {
			names = append(names, c.Names()...)
		}
	}
	return names
}

func suggestFlag(cmd *cli.Command, name string) string {
	var names []string
	for _, f := range cmd.Flags {
		names = append(names, f.Names()...)
	}
	if s := interp.Nearest(name, names); s != "" {
		return "; did you mean -" + s + "?"
	}
	return ""
}

func suggest(name string, names []string) string {
	if s := interp.Nearest(name, names); s != "" {
		return "; did you mean `" + s + "`?"
	}
	return ""
}
