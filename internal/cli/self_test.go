package cli

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/internal/errcode"
)

// commandOf matches where a text has a command of the program of that name.
func commandOf(program string) *regexp.Regexp {
	words := append(commandNames(newCommands()), "worker", "suspend", "schedule", "schedules", "help", "COMMAND")
	return regexp.MustCompile("(^|[^\\w/-])" + program + " (" + strings.Join(words, `\b|`) + "\\b)|`" + program + " %")
}

// TestCommandsAreOfTheProgram: a command that somebody is told to type in a text of the sources
// begins with the name of the program that tells it, whichever it is. Texts are either given to
// self.Text, or are the description of a command, or what is known of a code, for which that is
// done where they are shown.
func TestCommandsAreOfTheProgram(t *testing.T) {
	named := commandOf("imgflow(-fleet)?")
	out, err := exec.Command("go", "list", "-deps", "-f", `{{if .Module}}{{if eq .Module.Path "`+module+`"}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}
{{end}}{{range .EmbedFiles}}{{$d}}/{{.}}
{{end}}{{end}}{{end}}`, "../../cmd/imgflow-fleet", "../../cmd/imgflow").Output()
	if err != nil {
		t.Fatal(err)
	}
	renamed := regexp.MustCompile(`internal/cli/(starter|completion)/|internal/errcode/table\.go$`)
	for _, file := range strings.Fields(string(out)) {
		switch {
		case renamed.MatchString(filepath.ToSlash(file)):
		case strings.HasSuffix(file, ".go"):
			for _, at := range literals(t, file, named) {
				t.Errorf("%s tells users to type a command of one program: write self.Command, or self.Text around it", at)
			}
		case slices.Contains([]string{".html", ".js", ".txt"}, filepath.Ext(file)):
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if m := named.Find(text); m != nil {
				t.Errorf(`%s tells users to type %q, which is a command of one program: write {{command "…"}}`, file, m)
			}
		}
	}
}

// literals are the places of a file where a text has what matches, unless it is made the program's own.
func literals(t *testing.T, file string, match *regexp.Regexp) (places []string) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			s, ok := n.Fun.(*ast.SelectorExpr)
			if ok && s.Sel.Name == "Text" {
				x, ok := s.X.(*ast.Ident)
				return !ok || x.Name != "self"
			}
		case *ast.KeyValueExpr:
			k, ok := n.Key.(*ast.Ident)
			return !ok || k.Name != "Description"
		case *ast.ValueSpec:
			return !slices.Contains([]string{"commandHelp", "helpText", "planMagic"}, n.Names[0].Name)
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil && match.MatchString(text) {
				places = append(places, fset.Position(n.Pos()).String())
			}
		}
		return true
	})
	return places
}

// TestFleetSaysItsOwnName types what prints long texts: both programs say how they are started.
func TestFleetSaysItsOwnName(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir, "../../cmd/imgflow-fleet").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ours, others := commandOf("imgflow-fleet"), commandOf("imgflow")
	says := func(args ...string) string {
		cmd := exec.Command(filepath.Join(dir, "imgflow-fleet"), args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "IMGFLOW_HOME="+dir, "IMGFLOW_STATE=")
		out, _ := cmd.CombinedOutput() // some of them are errors
		if m := others.Find(out); m != nil {
			t.Errorf("imgflow-fleet %s tells users to type %q:\n%s", strings.Join(args, " "), m, out)
		}
		return string(out)
	}
	names := append(commandNames(newCommands()), "worker", "suspend", "schedule", "schedules")
	for _, name := range names {
		for _, args := range [][]string{{"help", name}, {"man", name}} {
			if out := says(args...); !ours.MatchString(strings.ReplaceAll(out, `\-`, "-")) {
				t.Errorf("imgflow-fleet %s does not name it:\n%s", strings.Join(args, " "), out)
			}
		}
		says(name, "--no-such-flag")
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := says("completion", shell); !ours.MatchString(out) {
			t.Errorf("what completes in %s is not of imgflow-fleet:\n%s", shell, out)
		}
	}
	for _, i := range errcode.Table {
		says("explain", string(i.Code))
		says("explain", "--json", string(i.Code))
	}
	for _, args := range [][]string{{}, {"help"}, {"man"}, {"nonsense"}, {"--frozen", "resume"}, {"init", "--starter", "ubuntu"}, {"show", "nothing"}, {"resume"}, {"run", "--json", "nothing.json"}, {"guest", "lsit"}, {"plugins"}} {
		says(args...)
	}
	starter, err := os.ReadFile(filepath.Join(dir, "ubuntu.pkr.hcl"))
	if err != nil || others.Match(starter) || !bytes.Contains(starter, []byte("imgflow-fleet plan")) {
		t.Errorf("the template to begin with tells users to type the commands of another program: %v\n%s", err, starter)
	}
	says("man", "--dir", dir)
	if _, err := os.Stat(filepath.Join(dir, "imgflow-fleet-run.1")); err != nil {
		t.Error(err)
	}
}
