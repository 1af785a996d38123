// Licences reads the licence of every module that is in the programs, on each of the
// systems that there are releases for, and of Go's own library:
//
//	go run ./internal/licences                    # a table
//	go run ./internal/licences -notices NOTICES   # their texts, for a release
//
// A licence is told by its text, not by what anybody says that it is. One that does not
// let everybody use and sell what is made of it, or that is not known here, is an error,
// and so is a module without one, but for those in imgflow-fleet that are listed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
)

func main() {
	notices := flag.String("notices", "", "write the texts of the licences to this `FILE`")
	flag.Parse()
	if err := run(*notices); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func run(notices string) error {
	ms, err := modules("./cmd/imgflow", "./cmd/imgflow-fleet")
	if err != nil {
		return err
	}
	alone, err := modules("./cmd/imgflow")
	if err != nil {
		return err
	}
	var wrong []error
	var all strings.Builder
	for _, m := range ms {
		name, texts, err := licenceOf(m.Dir)
		if why := unlicensed[m.Path]; why != "" && errors.Is(err, errNone) && !slices.Contains(alone, m) {
			name, texts, err = "no licence", []string{why}, nil
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s %s: %w", m.Path, m.Version, err))
			continue
		}
		if notices == "" {
			fmt.Printf("%-14s %s %s\n", name, m.Path, m.Version)
		}
		fmt.Fprintf(&all, "%s %s (%s)\n\n%s\n\n%s\n\n", m.Path, m.Version, name, strings.Join(texts, "\n\n"), strings.Repeat("-", 80))
	}
	if err := errors.Join(wrong...); err != nil || notices == "" {
		return err
	}
	head := "imgflow and imgflow-fleet contain what is listed here, under these licences.\n\n" + strings.Repeat("-", 80) + "\n\n"
	return os.WriteFile(notices, []byte(head+all.String()), 0o644)
}
