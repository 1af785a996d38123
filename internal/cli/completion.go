package cli

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/self"
)

// The scripts, which are written for imgflow, ask `imgflow __complete WORD...` for what the last word may become, and
// hand it over as words: a shell evaluates nothing of it.
var (
	//go:embed completion/bash.sh
	bashCompletion string
	//go:embed completion/zsh.sh
	zshCompletion string
	//go:embed completion/fish.fish
	fishCompletion string
	//go:embed completion/powershell.ps1
	powershellCompletion string
)

var completions = map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion, "powershell": powershellCompletion}

// completeWord stands before what is to be completed.
const completeWord = "__complete"

func completionCommand() *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "print a script that completes commands, flags and runs in a shell", ArgsUsage: "SHELL", Category: toolGroup,
		Description: `   SHELL is bash, zsh, fish or powershell.

   source <(imgflow completion bash)                                       in ~/.bashrc
   source <(imgflow completion zsh)                                        in ~/.zshrc
   imgflow completion fish > ~/.config/fish/completions/` + self.Name + `.fish
   imgflow completion powershell | Out-String | Invoke-Expression          in $PROFILE`,
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1, "the name of a shell"); err != nil {
				return err
			}
			shell := c.Args().First()
			script, ok := completions[shell]
			if !ok {
				names := []string{"bash", "zsh", "fish", "powershell"}
				return usagef("cannot complete in %s: choose %s%s", shell, strings.Join(names, ", "), suggest(shell, names))
			}
			fmt.Fprint(verbatim(c.App.Writer), strings.ReplaceAll(script, "imgflow", self.Name))
			return nil
		},
	}
}

// complete is what the last of the words that were typed behind the program's name may
// become, one in a line. A file is left to the shell, which is told so by the line ":files".
func complete(cmds *cli.App, words []string) (all []string) {
	last := ""
	if n := len(words); n > 0 {
		words, last = words[:n-1], words[n-1]
	}
	if last == `""` { // how PowerShell hands over nothing
		last = ""
	}
	defer func() {
		all = slices.DeleteFunc(all, func(s string) bool { return !strings.HasPrefix(s, last) && s != ":files" })
		slices.Sort(all)
		all = slices.Compact(all)
	}()
	if len(words) == 0 || len(words) == 1 && words[0] == "help" {
		for _, c := range cmds.Commands {
			if !c.Hidden {
				all = append(all, c.Name)
			}
		}
		return append(all, "help")
	}
	c := cmds.Command(words[0])
	if c == nil {
		return nil
	}
	if before := words[len(words)-1]; len(words) > 1 && strings.HasPrefix(before, "-") && !strings.Contains(before, "=") {
		name := strings.TrimLeft(before, "-")
		switch f := flagNamed(c, name); {
		case f == nil:
		case name == "run":
			return runIDs()
		default:
			if _, isBool := f.(*cli.BoolFlag); !isBool {
				return []string{":files"}
			}
		}
	}
	if strings.HasPrefix(last, "-") {
		dashes := last[:len(last)-len(strings.TrimLeft(last, "-"))]
		if dashes == "" || len(dashes) > 2 {
			dashes = "--"
		}
		for _, f := range c.VisibleFlags() {
			all = append(all, dashes[:min(len(dashes), 2)]+f.Names()[0])
		}
		return all
	}
	for _, sub := range c.Subcommands {
		all = append(all, sub.Name)
	}
	switch usage := c.ArgsUsage; {
	case c.Name == "completion":
		all = append(all, "bash", "zsh", "fish", "powershell")
	case strings.Contains(usage, "RUN"):
		all = append(all, runIDs()...)
	case usage != "":
		all = append(all, templatesBelow(last)...)
		all = append(all, ":files")
	}
	return all
}

// runIDs are the newest runs: whoever wants an old one knows it.
func runIDs() (ids []string) {
	const most = 50
	home, err := findHome()
	if err != nil {
		return nil
	}
	runs, err := home.Runs()
	if err != nil {
		return nil
	}
	for _, r := range runs[:min(len(runs), most)] {
		ids = append(ids, r.ID)
	}
	return ids
}

// templatesBelow are the templates of the folder that a word names.
func templatesBelow(word string) (files []string) {
	dir, _ := filepath.Split(word)
	read := dir
	if read == "" {
		read = "."
	}
	entries, err := os.ReadDir(read)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".pkr.hcl") {
			files = append(files, dir+name)
		}
	}
	return files
}
