package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/internal/self"
)

func manCommand() *cli.Command {
	return &cli.Command{
		Name: "man", Usage: "print the manual page of a command, or write those of all", ArgsUsage: "[COMMAND]", Category: toolGroup,
		Description: `   Without a COMMAND it is the page of imgflow itself.

   imgflow man run | man -l -             read one
   imgflow man --dir ~/.local/share/man/man1   write all, for ` + "`man " + self.Name + "-run`",
		Flags: []cli.Flag{&cli.StringFlag{Name: "dir", Usage: "write the pages of all commands to `DIR`"}},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 1, "one command"); err != nil {
				return err
			}
			if dir := c.String("dir"); dir != "" {
				if c.Args().Present() {
					return usagef("cannot write one page to --dir: it takes those of all commands")
				}
				return writeManuals(c.App, dir)
			}
			name := c.Args().First()
			if name == "" {
				_, err := io.WriteString(verbatim(c.App.Writer), manual(c.App))
				return err
			}
			cmd := c.App.Command(name)
			if cmd == nil {
				return usagef("cannot print the manual page of %s: there is no such command%s", name, suggest(name, commandNames(c.App)))
			}
			_, err := io.WriteString(verbatim(c.App.Writer), commandManual(cmd))
			return err
		},
	}
}

// writeManuals writes the program's page and a page for each command that help shows.
func writeManuals(app *cli.App, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot write manual pages: %w", err)
	}
	pages := map[string]string{self.Name: manual(app)}
	for _, c := range documented(app) {
		pages[self.Name+"-"+c.Name] = commandManual(c)
	}
	for name, text := range pages {
		if err := localfile.Replace(filepath.Join(dir, name+".1"), []byte(text), 0o644, false); err != nil {
			return fmt.Errorf("cannot write a manual page: %w", err)
		}
	}
	return nil
}

// documented are the commands that have a page; help, which the library adds, has none.
func documented(app *cli.App) []*cli.Command {
	return slices.DeleteFunc(app.VisibleCommands(), func(c *cli.Command) bool { return c.Name == "help" })
}

// manual is the page of the program, in the macros of man(7).
func manual(app *cli.App) string {
	var m roff
	m.head(self.Name)
	m.section("NAME", self.Name+" - "+app.Usage)
	m.macro("SH", "SYNOPSIS")
	m.verbatim(app.UsageText)
	m.macro("SH", "COMMANDS")
	for _, c := range documented(app) {
		m.item(self.Name+"-"+c.Name+"(1)", c.Usage)
	}
	m.section("EXIT STATUS", "0 done, 1 a build failed, 2 a wrong command line or template, 3 some of several builds failed, 130 suspended by an interrupt.")
	return m.String()
}

// commandManual is the page of one command: what its help says.
func commandManual(c *cli.Command) string {
	var m roff
	m.head(self.Name + "-" + c.Name)
	m.section("NAME", self.Name+"-"+c.Name+" - "+c.Usage)
	m.section("SYNOPSIS", strings.TrimSpace(self.Command(c.Name, "[flags]", c.ArgsUsage)))
	if c.Description != "" {
		m.macro("SH", "DESCRIPTION")
		m.verbatim(c.Description)
	}
	if len(c.VisibleFlags()) > 0 {
		m.macro("SH", "OPTIONS")
	}
	for _, group := range c.VisibleFlagCategories() {
		if group.Name() != "" {
			m.macro("SS", group.Name())
		}
		for _, f := range group.Flags() {
			name, text, _ := strings.Cut(f.String(), "\t")
			m.item(name, text)
		}
	}
	m.section("SEE ALSO", self.Name+"(1)")
	return m.String()
}

// roff is a manual page that is being written.
type roff struct{ strings.Builder }

func (m *roff) head(title string) {
	fmt.Fprintf(m, ".TH %s 1 \"\" %s\n", strings.ToUpper(title), self.Name)
}

func (m *roff) macro(name, argument string) { fmt.Fprintf(m, ".%s %s\n", name, roffText(argument)) }

func (m *roff) section(title, text string) {
	m.macro("SH", title)
	fmt.Fprintln(m, roffText(text))
}

// item is a word and what it means.
func (m *roff) item(word, text string) {
	fmt.Fprintf(m, ".TP\n%s\n%s\n", roffText(strings.TrimSpace(word)), roffText(strings.TrimSpace(text)))
}

// verbatim is text whose lines stay as they are.
func (m *roff) verbatim(text string) {
	m.WriteString(".nf\n")
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		line = strings.TrimRight(strings.TrimPrefix(line, "   "), " ")
		if line == "" {
			m.WriteString(".sp\n")
			continue
		}
		fmt.Fprintln(m, roffText(line))
	}
	m.WriteString(".fi\n")
}

var roffSpecial = regexp.MustCompile(`(?m)^([.'])`)

// roffText is a text in which nothing is a request or an escape.
func roffText(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "`", `\(ga`, "'", `\(aq`, "^", `\(ha`, "~", `\(ti`).Replace(s)
	return roffSpecial.ReplaceAllString(s, `\&$1`)
}
