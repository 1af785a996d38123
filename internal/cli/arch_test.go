package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/imgflow/imgflow"

// layer is what the packages of a folder may import of this module and of
// others. The standard library is always allowed.
type layer struct {
	of    string   // a package, or with /... all below a folder; the first that fits counts
	may   []string // in the same form; our own without the module's path
	why   string   // what would be lost otherwise
	tests []string // what its tests may import besides
}

var layers = []layer{
	{of: "internal/interp", why: "template strings are text: they know neither steps nor templates"},
	{of: "internal/termsafe", why: "what could drive a terminal does so whoever shows it"},
	{of: "internal/runview", may: []string{"dag", "internal/termsafe"}, why: "how a run stands is told by its events, whoever shows it"},
	{of: "internal/cost", why: "what an amount is called does not depend on whose prices it is made of"},
	{of: "internal/cputime", why: "how cost grows is asked in every package"},
	{of: "internal/usual", why: "how long things take is known without knowing what they are"},
	{of: "dag/dagtest", may: []string{"dag"}, why: "the engine's suites are for every store and every thing"},
	{of: "internal/tree", why: "a local directory is what it is, whatever is made of it"},
	{of: "internal/errcode", may: []string{"internal/self"}, why: "what kind of failure it is can be said wherever it happens"},
	{of: "internal/self", why: "what users type to start this program is the same whoever tells them"},
	{of: "internal/sleep", why: "to wait takes a context and a time"},
	{of: "internal/quote", why: "what is special to a shell is so whoever runs one"},
	{of: "internal/localfile", may: []string{"golang.org/x/sys/..."}, why: "reading a file within bounds does not depend on what it is for"},
	{of: "dag", may: []string{"internal/errcode", "internal/sleep", "github.com/dominikbraun/graph/..."}, why: "the engine never prints and knows no cloud, no state file and no template", tests: []string{"dag/dagtest"}},
	{of: "engine/temporal", may: []string{"internal/localfile", "internal/self", "internal/sleep", "dag", "go.temporal.io/sdk/...", "go.temporal.io/api/..."},
		why: "workflows decide whatever the steps are, and whatever keeps their records", tests: []string{"internal/tlstest", "internal/temporaltest", "internal/secrettest", "google.golang.org/protobuf/..."}},
	{of: "state/internal/queue", why: "how writes are grouped does not depend on what is written"},
	{of: "state/statetest", may: []string{"state", "dag", "dag/dagtest", "filippo.io/age/..."}, why: "the suite is for every backend"},
	{of: "state/postgres", may: []string{"internal/errcode", "dag", "state", "state/internal/queue", "github.com/jackc/pgx/v5/..."},
		why: "a database keeps values, not what they mean", tests: []string{"dag/dagtest", "state/statetest", "internal/tlstest", "internal/pgtest"}},
	{of: "state", may: []string{"internal/self", "internal/errcode", "dag", "internal/localfile", "state/internal/queue", "go.etcd.io/bbolt/...", "filippo.io/age/...", "golang.org/x/sys/..."},
		why: "a run's state knows records, not what they mean", tests: []string{"dag/dagtest", "state/statetest"}},
	{of: "template/compile", may: []string{"internal/errcode", "template", "dag", "steps", "steps/comm", "internal/interp", "github.com/google/uuid", "github.com/zclconf/go-cty/..."},
		why: "a template becomes a graph without naming a concrete step"},
	{of: "template/schema", may: []string{"internal/self", "template/compile", "internal/optiondoc"}, tests: []string{"template", "steps", "github.com/santhosh-tekuri/jsonschema/v6"},
		why: "the form of a template is that of the structs which it is read into"},
	{of: "internal/optiondoc/docgen", may: []string{"template/compile", "internal/optiondoc"}, why: "what is told of options is made of their structs, whichever they are"},
	{of: "internal/optiondoc", why: "what an option does is text, wherever it is shown"},
	{of: "template/hcl/funcs", may: []string{"internal/interp", "internal/localfile", "github.com/hashicorp/hcl/...", "github.com/zclconf/...", "github.com/apparentlymart/go-cidr/...", "github.com/bmatcuk/doublestar/...", "github.com/google/uuid", "go.yaml.in/yaml/v3", "golang.org/x/crypto/...", "golang.org/x/text/..."},
		why: "a function of an expression depends on its arguments, and on a world that it is given"},
	{of: "template/hcl", may: []string{"internal/errcode", "template", "template/hcl/funcs", "dag", "internal/interp", "github.com/hashicorp/...", "github.com/zclconf/...", "github.com/bmatcuk/doublestar/..."},
		why: "a front end yields what the other one yields, and knows no more of what its words mean"},
	{of: "template/convert", may: []string{"template", "template/hcl", "internal/interp", "github.com/hashicorp/hcl/..."},
		why: "what a template says in another language does not depend on what its words mean"},
	{of: "template", may: []string{"internal/errcode", "internal/interp", "dag", "github.com/zclconf/go-cty/..."},
		why: "reading a template must not depend on what its words mean: of the engine it has the form of texts"},
	{of: "steps", may: []string{"internal/errcode", "internal/sleep", "dag", "steps/comm", "internal/interp", "internal/localfile", "internal/tree", "golang.org/x/crypto/ssh"},
		why: "the contracts name no step: whoever wires a graph and whoever makes steps both rely on them"},
	{of: "steps/comm/...", may: []string{"internal/errcode", "internal/quote", "internal/sleep", "dag", "internal/localfile", "internal/tree", "internal/usual", "steps/comm/...", "golang.org/x/crypto/...", "golang.org/x/net/...", "github.com/pkg/sftp", "golang.org/x/sys/...", "github.com/masterzen/winrm/...", "github.com/bodgit/ntlmssp/...", "github.com/google/uuid"},
		why: "how to reach a machine does not depend on whose machine it is", tests: []string{"dag/dagtest", "internal/ec2local/...", "internal/winguest/...", "internal/sshtest"}},
	{of: "internal/winguest/posh", may: []string{"internal/sleep", "github.com/google/uuid", "github.com/dlclark/regexp2/..."}, why: "PowerShell is a language: the machine that it runs on is handed to it"},
	{of: "internal/winguest/batch", may: []string{"internal/winguest/posh"}, why: "batch files reach the machine as PowerShell does"},
	{of: "internal/winguest/wsman", may: []string{"golang.org/x/crypto/md4", "github.com/google/uuid"}, why: "a protocol does not depend on what it starts", tests: []string{"github.com/masterzen/winrm/..."}},
	{of: "internal/winguest/...", may: []string{"internal/sleep", "internal/winguest/...", "golang.org/x/crypto/...", "golang.org/x/sys/..."},
		why: "a Windows machine of Go code knows nothing of EC2, nor of this program", tests: []string{"github.com/masterzen/winrm/..."}},
	{of: "internal/ec2local/guest/...", may: []string{"internal/self", "internal/quote", "internal/ec2local/guest/...", "golang.org/x/crypto/...", "golang.org/x/sys/...", "github.com/pkg/sftp", "github.com/creack/pty", "go.yaml.in/yaml/v3", "github.com/google/uuid"},
		why: "a guest knows no EC2: it is told what it is, and handed its Windows", tests: []string{"internal/winguest", "github.com/masterzen/winrm/..."}},
	{of: "internal/ec2local/model/...", why: "what AWS publishes of its API says nothing of who serves it"},
	{of: "internal/ec2local/conform", may: []string{"internal/ec2local/model"}, why: "answers are held against what AWS publishes, not against how they are made"},
	{of: "internal/websock", may: []string{"github.com/coder/websocket"}, why: "how a WebSocket is opened does not depend on what goes through it"},
	{of: "internal/sessionmanager", may: []string{"internal/sleep", "internal/termsafe", "internal/websock", "github.com/coder/websocket", "github.com/google/uuid", "github.com/xtaci/smux"}, why: "a protocol does not depend on who calls it, nor on what is carried"},
	{of: "internal/ec2local", may: []string{"internal/sessionmanager", "internal/websock", "github.com/coder/websocket", "internal/ec2local/model", "internal/ec2local/guest", "golang.org/x/crypto/ssh", "go.etcd.io/bbolt/...", "github.com/google/uuid"},
		why: "the embedded EC2 must be what any client expects, so it knows nothing of this one; and its guests come from outside", tests: []string{"internal/ec2local/conform", "internal/winguest", "github.com/aws/...", "github.com/masterzen/winrm/..."}},
	{of: "steps/aws/prices", why: "what AWS asks for is a table, whoever pays"},
	{of: "steps/aws", may: []string{"steps/aws/prices", "internal/sessionmanager", "internal/websock", "internal/cost", "internal/errcode", "internal/quote", "internal/self", "internal/sleep", "dag", "steps", "steps/comm", "internal/interp", "internal/localfile", "internal/usual", "github.com/aws/...", "go.opentelemetry.io/otel/...", "golang.org/x/crypto/ssh", "golang.org/x/net/http/httpproxy", "golang.org/x/time/rate"},
		why: "the steps of a cloud know their cloud alone", tests: []string{"internal/ec2local/...", "internal/winguest", "dag/dagtest", "state", "steps/provision", "template/...", "golang.org/x/crypto/..."}},
	{of: "steps/builtin", may: []string{"dag", "steps", "steps/comm", "internal/localfile"},
		why: "what needs no cloud knows none", tests: []string{"dag/dagtest", "steps/provision", "internal/sshtest", "internal/winguest", "golang.org/x/crypto/..."}},
	{of: "steps/provision", may: []string{"internal/self", "internal/errcode", "internal/quote", "internal/sleep", "dag", "steps", "steps/comm", "steps/comm/sshproxy", "internal/interp", "internal/localfile", "internal/sbom", "golang.org/x/crypto/ssh"},
		why: "a provisioner runs on any machine that can be reached", tests: []string{"dag/dagtest", "internal/ec2local/...", "internal/winguest/...", "internal/sshtest", "template", "golang.org/x/crypto/...", "github.com/pkg/sftp", "github.com/creack/pty"}},
	{of: "steps/post", may: []string{"internal/errcode", "internal/quote", "dag", "steps", "steps/comm", "steps/provision", "internal/localfile"},
		why: "what is done with what was built does not depend on how it was built", tests: []string{"dag/dagtest", "template"}},
	{of: "internal/telemetry", may: []string{"dag", "internal/localfile", "go.opentelemetry.io/otel/...", "golang.org/x/net/http/httpproxy"},
		why: "what is told of a run is made of its events, whatever its steps are", tests: []string{"internal/oteltest", "go.opentelemetry.io/proto/..."}},
	{of: "internal/app/local", may: []string{"internal/sleep", "golang.org/x/sys/..."}, why: "to find a server, and to start one, takes no knowledge of what it serves"},
	{of: "internal/sbom", why: "what is installed is a text of a package database, whoever asks for it", tests: []string{"github.com/CycloneDX/..."}},
	{of: "internal/graphsvg", why: "a picture is of nodes and edges, whatever they stand for"},
	{of: "internal/explain", may: []string{"dag"}, why: "why a step runs is said by its key and its record, whatever it does"},
	{of: "internal/provenance", may: []string{"internal/self", "internal/errcode", "dag", "golang.org/x/crypto/ssh"}, why: "how a thing came to be is told by records, whatever made it", tests: []string{"github.com/secure-systems-lab/...", "github.com/in-toto/..."}},
	{of: "internal/app/drive", may: []string{"internal/errcode", "dag", "state"}, why: "a run is driven in the same way whatever its steps are", tests: []string{"state/postgres", "internal/pgtest"}},
	{of: "internal/app/worker", may: []string{"dag", "internal/app"}, why: "another process does what it is given, whatever steps there are"},
	{of: "internal/app/fleet", may: []string{"internal/quote", "internal/self", "internal/telemetry", "dag", "state", "engine/temporal", "internal/app", "internal/app/drive", "go.opentelemetry.io/otel/attribute"}, why: "what workers do of a run is what sessions do, whatever its steps are", tests: []string{"internal/app/local", "internal/pgtest", "internal/secrettest", "internal/temporaltest", "internal/oteltest", "state/postgres", "steps", "steps/comm", "template/compile"}},
	{of: "internal/app/files", may: []string{"dag", "internal/interp", "internal/localfile", "internal/tree"}, why: "what steps read of this computer is taken elsewhere whatever they do with it", tests: []string{"steps"}},
	{of: "internal/app", may: []string{"internal/self", "internal/errcode", "internal/sleep", "dag", "state", "template", "template/hcl", "template/compile", "steps/comm", "internal/interp", "internal/localfile", "internal/provenance", "internal/explain", "internal/telemetry", "internal/usual", "internal/app/...", "golang.org/x/crypto/ssh"},
		why: "an application has neither a command line nor kinds of steps: the program around it hands them in", tests: []string{"steps"}},
	{of: "internal/cli/internal/ci", may: []string{"dag", "state", "template", "internal/runview", "internal/termsafe"}, why: "a server of CI is spoken to in its words, whatever the run is about; the environment is handed in"},
	{of: "internal/cli/internal/findings", may: []string{"internal/self", "template", "internal/errcode"}, why: "what was found in a template is told in the forms of others, whatever it is about", tests: []string{"github.com/santhosh-tekuri/jsonschema/v6"}},
	{of: "internal/cli/internal/live", may: []string{"internal/self", "dag", "internal/cli/internal/render", "internal/runview", "internal/termsafe", "internal/usual", "github.com/charmbracelet/x/ansi"},
		why: "a live view is made of events: it knows neither the process nor how a run is driven", tests: []string{"github.com/charmbracelet/x/vt"}},
	{of: "internal/cli/internal/...", may: []string{"internal/self", "internal/errcode", "dag", "state", "template", "internal/app", "internal/cost", "internal/provenance", "internal/explain", "internal/graphsvg", "internal/runview", "internal/termsafe", "internal/usual", "internal/cli/internal/...", "golang.org/x/sys/...", "golang.org/x/term"},
		why: "what shows runs works for any kind of step"},
	{of: "internal/cli", may: []string{"..."}, why: "the program puts everything together"},
	{of: "cmd/imgflow-fleet", may: []string{"..."}, why: "the fleet's program puts together what imgflow does not link"},
	{of: "cmd/imgflow", may: []string{"internal/cli"}, why: "what the program does can be started by another one, too"},
	{of: "...", may: []string{"..."}, why: "nothing depends on tools"},
}

// concrete are the packages that only wire.go may name.
var concrete = []string{"steps/aws", "steps/aws/prices", "steps/builtin", "steps/provision", "steps/post", "internal/ec2local", "internal/ec2local/guest", "internal/winguest"}

func fits(pattern, path string) bool {
	if dir, ok := strings.CutSuffix(pattern, "..."); ok {
		return strings.HasPrefix(path+"/", dir)
	}
	return pattern == path
}

func layerOf(path string) layer {
	for _, l := range layers {
		if fits(l.of, path) {
			return l
		}
	}
	return layer{}
}

type goPackage struct {
	ImportPath   string
	Name, Dir    string
	GoFiles      []string
	Doc          string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func ourPackages(t *testing.T) []goPackage {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Dir,GoFiles,Doc,Imports,TestImports,XTestImports", module+"/...")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var ps []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return ps
		} else if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
}

// standard reports whether the package is of the standard library.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// forbidden says why one package may not import another, or nothing.
func forbidden(from, to string, test bool) string {
	if standard(to) {
		return ""
	}
	from, to = strings.TrimPrefix(from, module+"/"), strings.TrimPrefix(to, module+"/")
	l := layerOf(from)
	may := l.may
	if test {
		may = append(append([]string{from}, may...), l.tests...)
		may = append(may, "internal/cputime", "internal/nettest", "github.com/rogpeppe/go-internal/...")
	}
	for _, m := range may {
		if fits(m, to) {
			return ""
		}
	}
	return from + " imports " + to + ": " + l.why
}

func TestLayers(t *testing.T) {
	for _, p := range ourPackages(t) {
		for _, i := range p.Imports {
			if why := forbidden(p.ImportPath, i, false); why != "" {
				t.Error(why)
			}
		}
		for _, i := range append(p.TestImports, p.XTestImports...) {
			if why := forbidden(p.ImportPath, i, true); why != "" {
				t.Error("in its tests, " + why)
			}
		}
	}
}

func TestTheLayersCanBeBroken(t *testing.T) {
	for _, edge := range [][2]string{
		{"dag", "github.com/aws/aws-sdk-go-v2/aws"}, {"dag", "state"}, {"template", "steps"}, {"template/compile", "steps/aws"},
		{"internal/ec2local", "dag"}, {"internal/ec2local", "steps/aws"}, {"steps/comm", "steps/aws"}, {"state", "steps/comm"}, {"internal/winguest", "internal/ec2local"}, {"internal/ec2local/guest", "internal/ec2local"}, {"internal/ec2local/guest", "internal/ec2local/model"}, {"internal/ec2local", "internal/winguest"},
		{"internal/ec2local/guest", "internal/winguest"}, {"internal/winguest", "internal/ec2local/guest"}, {"internal/winguest/posh", "internal/winguest"}, {"internal/winguest/batch", "internal/winguest"}, {"internal/winguest/wsman", "internal/winguest"},
		{"internal/ec2local/model", "internal/ec2local"}, {"internal/ec2local/conform", "internal/ec2local"}, {"internal/ec2local", "internal/ec2local/conform"}, {"internal/ec2local/guest/guesttest", "internal/winguest"},
		{"internal/cli/internal/render", "steps/aws"}, {"internal/app", "steps/aws"}, {"internal/app", "github.com/urfave/cli/v2"}, {"internal/app/drive", "steps/aws"}, {"internal/app/local", "internal/ec2local"}, {"dag", "steps"}, {"steps", "steps/aws"}, {"steps", "template"}, {"steps/comm", "steps"}, {"state", "steps"}, {"internal/interp", "template"}, {"steps/provision", "steps/aws"},
	} {
		from, to := module+"/"+edge[0], edge[1]
		if !strings.Contains(to, ".") {
			to = module + "/" + to
		}
		if forbidden(from, to, false) == "" {
			t.Errorf("%s may import %s", edge[0], edge[1])
		}
	}
}

func TestEveryPackageHasItsManual(t *testing.T) {
	for _, p := range ourPackages(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// page is how many lines a manual has at most: what is longer is told beside the
// code that it speaks of.
const page = 90

func TestManualsAreAPage(t *testing.T) {
	for _, p := range ourPackages(t) {
		b, err := os.ReadFile(filepath.Join(p.Dir, "doc.go"))
		if err != nil {
			continue // a short one stands in another file
		}
		if n := bytes.Count(b, []byte("\n")); n > page {
			t.Errorf("%s/doc.go has %d lines, more than %d", p.Dir, n, page)
		}
	}
}

func TestOnlyWireNamesConcretePackages(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	named := false
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			path := strings.TrimPrefix(strings.Trim(i.Path.Value, `"`), module+"/")
			if !slices.Contains(concrete, path) {
				continue
			}
			named = true
			if name != "wire.go" && !strings.HasSuffix(name, "_test.go") {
				t.Errorf("%s names %s: put that into wire.go", name, path)
			}
		}
	}
	if !named {
		t.Error("no file names a concrete package: the test looks for the wrong thing")
	}
}

// contract is what the API of the embedded EC2 knows of guests: what they are told
// and asked, and no kind of them.
var contract = []string{"Host", "Machine", "Spec", "Release", "Exit", "PowerOff", "Reboot", "Crash"}

func TestTheAPIKnowsNoKindOfGuest(t *testing.T) {
	files, err := filepath.Glob("../../internal/ec2local/*.go")
	if err != nil {
		t.Fatal(err)
	}
	used := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if of, ok := s.X.(*ast.Ident); ok && of.Name == "guest" && of.Obj == nil { // the package, not a variable
				if used++; !slices.Contains(contract, s.Sel.Name) {
					t.Errorf("%s uses guest.%s: guests of whatever kind are handed to the API", name, s.Sel.Name)
				}
			}
			return true
		})
	}
	if used == 0 {
		t.Error("the API uses nothing of package guest: the test looks for the wrong thing")
	}
}

// TestOnlyTheProgramPrints: what is not a program of its own returns what it has to
// say, or writes it where it was told to.
func TestOnlyTheProgramPrints(t *testing.T) {
	looked := 0
	for _, p := range ourPackages(t) {
		if p.Name == "main" {
			continue
		}
		for _, name := range p.GoFiles {
			file := filepath.Join(p.Dir, name)
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			looked++
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					if of, ok := n.X.(*ast.Ident); ok && of.Name == "fmt" && strings.HasPrefix(n.Sel.Name, "Print") {
						t.Errorf("%s calls fmt.%s: only internal/cli prints", file, n.Sel.Name)
					}
				case *ast.CallExpr:
					if of, ok := n.Fun.(*ast.Ident); ok && of.Obj == nil && (of.Name == "println" || of.Name == "print") {
						t.Errorf("%s calls %s: only internal/cli prints", file, of.Name)
					}
				}
				return true
			})
		}
	}
	if looked < 100 {
		t.Errorf("%d files were looked at: the test looks in the wrong place", looked)
	}
}
