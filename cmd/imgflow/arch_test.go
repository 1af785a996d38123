package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
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
	{of: "dag/dagtest", may: []string{"dag"}, why: "the engine's suites are for every store and every thing"},
	{of: "internal/tree", why: "a local directory is what it is, whatever is made of it"},
	{of: "dag", may: []string{"internal/tree", "github.com/dominikbraun/graph/..."}, why: "the engine never prints and knows no cloud, no state file and no template"},
	{of: "state", may: []string{"dag", "go.etcd.io/bbolt/...", "filippo.io/age/...", "golang.org/x/sys/..."},
		why: "a run's state knows records, not what they mean", tests: []string{"dag/dagtest"}},
	{of: "template/compile", may: []string{"template", "dag", "steps/comm", "internal/interp"},
		why: "a template becomes a graph without naming a concrete step"},
	{of: "template", may: []string{"internal/interp"}, why: "reading a template must not depend on what its words mean"},
	{of: "steps/comm/...", may: []string{"dag", "internal/tree", "steps/comm/...", "golang.org/x/crypto/...", "golang.org/x/net/...", "github.com/pkg/sftp", "golang.org/x/sys/...", "github.com/masterzen/winrm/...", "github.com/bodgit/ntlmssp/..."},
		why: "how to reach a machine does not depend on whose machine it is", tests: []string{"steps/aws/ec2local/...", "github.com/packer-community/winrmcp/..."}},
	{of: "steps/aws/ec2local/...", may: []string{"steps/aws/ec2local/...", "golang.org/x/crypto/...", "golang.org/x/sys/...", "github.com/pkg/sftp", "github.com/creack/pty", "go.etcd.io/bbolt/...", "gopkg.in/yaml.v3"},
		why: "the embedded EC2 must be what any client expects, so it knows nothing of this one", tests: []string{"github.com/aws/...", "github.com/masterzen/winrm/...", "github.com/packer-community/winrmcp/..."}},
	{of: "steps/aws", may: []string{"dag", "steps/comm", "internal/interp", "github.com/aws/...", "golang.org/x/crypto/ssh"},
		why: "the steps of a cloud know their cloud alone", tests: []string{"steps/aws/ec2local/...", "dag/dagtest", "state", "steps/provision", "template/...", "golang.org/x/crypto/..."}},
	{of: "steps/provision", may: []string{"dag", "steps/comm", "internal/interp", "golang.org/x/crypto/ssh"},
		why: "a provisioner runs on any machine that can be reached", tests: []string{"steps/aws/ec2local/...", "golang.org/x/crypto/...", "github.com/pkg/sftp", "github.com/creack/pty"}},
	{of: "cmd/imgflow/internal/...", may: []string{"dag", "state", "cmd/imgflow/internal/...", "golang.org/x/sys/...", "golang.org/x/term"},
		why: "what shows and drives runs works for any kind of step"},
	{of: "cmd/imgflow", may: []string{"..."}, why: "the program puts everything together"},
	{of: "...", may: []string{"..."}, why: "nothing depends on tools"},
}

// concrete are the packages that only wire.go may name.
var concrete = []string{"steps/aws", "steps/provision", "steps/aws/ec2local", "steps/aws/ec2local/guest"}

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
	Doc          string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func ourPackages(t *testing.T) []goPackage {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Doc,Imports,TestImports,XTestImports", module+"/...")
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
		may = append(may, "github.com/rogpeppe/go-internal/...")
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
		{"dag", "github.com/aws/aws-sdk-go-v2/aws"}, {"dag", "state"}, {"template", "dag"}, {"template/compile", "steps/aws"},
		{"steps/aws/ec2local", "dag"}, {"steps/aws/ec2local", "steps/aws"}, {"steps/comm", "steps/aws"}, {"state", "steps/comm"},
		{"cmd/imgflow/internal/render", "steps/aws"}, {"internal/interp", "template"}, {"steps/provision", "steps/aws"},
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
