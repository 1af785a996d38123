package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("cannot tell what to measure: say build or transfer")
	}
	switch args[0] {
	case "build":
		b, err := buildFlags(args[1:])
		if err != nil {
			return err
		}
		return b.run(os.Stdout)
	case "transfer":
		t, err := transferFlags(args[1:])
		if err != nil {
			return err
		}
		return t.run(os.Stdout)
	}
	return fmt.Errorf("cannot measure %q: there are build and transfer", args[0])
}
