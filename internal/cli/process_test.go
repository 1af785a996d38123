package cli

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ofProcess are the names of the standard library that a process has once: what
// it prints on, its environment and what stands in there, its directory, its user, its
// signals. Empty is all of a package.
var ofProcess = map[string][]string{
	"os": {"Getenv", "LookupEnv", "Setenv", "Unsetenv", "Environ", "Clearenv", "ExpandEnv", "Getwd", "Chdir", "Stdin", "Stdout", "Stderr", "Exit", "Args",
		"UserHomeDir", "UserCacheDir", "UserConfigDir", "TempDir", "Hostname", "Executable"},
	"os/user":                         {"Current"},
	"os/exec":                         {"LookPath"},
	"fmt":                             {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
	"os/signal":                       {},
	"log":                             {},
	"log/slog":                        {},
	"flag":                            {},
	"path/filepath":                   {"Abs"},
	"net/http":                        {"DefaultClient", "DefaultTransport", "ProxyFromEnvironment", "Get", "Head", "Post", "PostForm"}, // all by the process's proxy
	"golang.org/x/net/http/httpproxy": {"FromEnvironment"},
}

// handedIn are the folders whose packages get all that from the program.
var handedIn = []string{"dag", "state", "steps", "template", "internal/app", "internal/interp", "internal/localfile", "internal/telemetry", "internal/tree"}

// allowed are the places that may know the process, each for a reason.
var allowed = map[string]string{
	"state/internal/queue/crash_chaos.go os.Getenv": "only programs that were built to be killed have it",
	"state/run.go os.Args":                          "whoever holds a run is a process, and its command says which",
	"state/home.go filepath.Abs":                    "a caller may name a home as it likes",
	"state/run.go os.Hostname":                      "as a process is of a machine, which one holds a run is told by both",
	"steps/aws/password.go os.UserHomeDir":          "options are checked where no session is",
	"steps/comm/auth.go os.UserHomeDir":             "options are checked where no session is",
	"template/compile/files.go os.UserHomeDir":      "a template is compiled by its user",
	"steps/comm/env.go os.TempDir":                  "an environment may name none",
	"steps/comm/winrm_fetch.go os.CreateTemp":       "what only this process reads, and removes, lies where it keeps such files",
	"steps/comm/winrm_files.go os.CreateTemp":       "what only this process reads, and removes, lies where it keeps such files",
	"template/compile/files.go filepath.Abs":        "a path without a working directory is the process's",
}

// usesOf finds what a file uses of the process.
func usesOf(file *ast.File) (uses []string) {
	names := map[string]string{} // the package behind a name
	for _, i := range file.Imports {
		path := strings.Trim(i.Path.Value, `"`)
		if _, ok := ofProcess[path]; ok {
			name := path[strings.LastIndexByte(path, '/')+1:]
			if i.Name != nil {
				name = i.Name.Name
			}
			names[name] = path
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && len(call.Args) > 0 { // without a directory it is the process's
			sel, ok := call.Fun.(*ast.SelectorExpr)
			lit, empty := call.Args[0].(*ast.BasicLit)
			if ok && empty && lit.Value == `""` && (sel.Sel.Name == "CreateTemp" || sel.Sel.Name == "MkdirTemp") {
				uses = append(uses, "os."+sel.Sel.Name)
			}
			return true
		}
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok || x.Obj != nil {
			return true
		}
		if path, ok := names[x.Name]; ok && (len(ofProcess[path]) == 0 || slices.Contains(ofProcess[path], sel.Sel.Name)) {
			uses = append(uses, x.Name+"."+sel.Sel.Name)
		}
		return true
	})
	return uses
}

// Many sessions can be in one process only if nothing reaches for what the process
// has once.
func TestOnlyTheProgramKnowsItsProcess(t *testing.T) {
	looked, excused := 0, map[string]bool{}
	for _, dir := range handedIn {
		err := filepath.WalkDir(filepath.Join("..", "..", dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Name() == "statetest" { // whoever uses that is a test, and starts processes
				return fs.SkipDir
			}
			if err != nil || d.IsDir() && d.Name() == "testdata" {
				return err
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			looked++
			for _, use := range usesOf(f) {
				place := filepath.ToSlash(strings.TrimPrefix(path, filepath.Join("..", "..")+string(filepath.Separator))) + " " + use
				if excused[place] = true; allowed[place] == "" {
					t.Errorf("%s: let the program hand it in", place)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for place := range allowed {
		if !excused[place] {
			t.Errorf("%s is allowed, and not there", place)
		}
	}
	if looked < 100 {
		t.Errorf("only %d files were looked at", looked)
	}
}

func TestWhatAFileUsesOfItsProcess(t *testing.T) {
	src := `package p
import ("fmt"; "os"; sig "os/signal"; "log")
func f() { fmt.Println(os.Getenv("A"), fmt.Sprint(1)); os.Open("x"); os.CreateTemp("", "y"); os.CreateTemp("z", "y"); sig.Notify(nil); log.Print(os.Stdout) }`
	f, err := parser.ParseFile(token.NewFileSet(), "p.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(usesOf(f)); got != "[fmt.Println os.Getenv os.CreateTemp sig.Notify log.Print os.Stdout]" {
		t.Errorf("found %s", got)
	}
}
