package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/compile"
)

// request is what the user asked for: the template and all that was given with
// it. It is stored with the run, without what is secret, so that a resume can
// evaluate the template again in the same way.
type request struct {
	Template    string            `json:"template"` // absolute path, or - for standard input
	Digest      string            `json:"digest"`   // of the template's text
	Cwd         string            `json:"cwd"`      // where relative files are looked for first
	Vars        map[string]string `json:"vars,omitempty"`
	Withheld    []string          `json:"withheld,omitempty"`  // variables given with -var that are secret: not in Vars
	VarFiles    []string          `json:"var_files,omitempty"` // absolute paths
	Only        []string          `json:"only,omitempty"`
	Except      []string          `json:"except,omitempty"`
	Strict      bool              `json:"strict,omitempty"` // a warning about the template is a fault
	Force       bool              `json:"force,omitempty"`
	MaxLifetime time.Duration     `json:"max_lifetime,omitempty"` // nanoseconds
	Parallel    int               `json:"parallel,omitempty"`
	Local       bool              `json:"local,omitempty"`
	Endpoint    string            `json:"endpoint,omitempty"`
	Pins        compile.Pins      `json:"pins"`

	given map[string][]byte // what the variable files hold: a pipe can be read only once
}

const requestDoc = "request"

func variableFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "var", KeepSpace: true, Usage: "set a variable: `NAME=VALUE`; may be repeated", Category: inputFlags},
		&cli.StringSliceFlag{Name: "var-file", KeepSpace: true, Usage: "read variables from a JSON `FILE`; may be repeated, the last one wins", Category: inputFlags},
	}
}

func templateFlags() []cli.Flag {
	return append(variableFlags(),
		&cli.StringSliceFlag{Name: "only", Usage: "build these `BUILDS` only: names with commas between them", Category: inputFlags},
		&cli.StringSliceFlag{Name: "except", Usage: "build all but these `BUILDS`", Category: inputFlags},
		&cli.BoolFlag{Name: "strict", Usage: "take a warning about the template for a fault", Category: inputFlags},
	)
}

// newRequest reads the flags and the template's name.
func newRequest(c *cli.Context) (*request, error) {
	if err := wantArgs(c, 1, 1, "one template"); err != nil {
		return nil, err
	}
	cwd, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("cannot find the working directory: %w", err)
	}
	r := &request{Cwd: cwd, Template: c.Args().First(), Vars: map[string]string{}}
	if r.Template != "-" {
		if r.Template, err = filepath.Abs(r.Template); err != nil {
			return nil, usagef("cannot find %s: %w", c.Args().First(), err)
		}
	}
	r.Strict = c.Bool("strict")
	r.Only, r.Except = commaList(c.StringSlice("only")), commaList(c.StringSlice("except"))
	return r, r.addVars(c)
}

// addVars adds the variables of the flags to those that the request has.
func (r *request) addVars(c *cli.Context) error {
	for _, kv := range c.StringSlice("var") {
		k, v, ok := strings.Cut(kv, "=")
		k = strings.TrimSpace(k) // no name has white space around it; a value may
		if !ok || k == "" {
			return usagef("cannot use -var %q: it must read NAME=VALUE", kv)
		}
		if r.Vars == nil {
			r.Vars = map[string]string{}
		}
		r.Vars[k] = v
	}
	for _, f := range c.StringSlice("var-file") {
		abs, err := filepath.Abs(f)
		if err != nil {
			return usagef("cannot find -var-file %s: %w", f, err)
		}
		// Of a file that is named twice the last place counts.
		r.VarFiles = append(slices.DeleteFunc(r.VarFiles, func(f string) bool { return f == abs }), abs)
	}
	return nil
}

func commaList(given []string) (names []string) {
	for _, g := range given {
		for name := range strings.SplitSeq(g, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// dir is the folder of the template.
func (r *request) dir() string {
	if r.Template == "-" {
		return r.Cwd
	}
	return filepath.Dir(r.Template)
}

// faults are errors of a template: told all at once, with exit status 2.
func faults(errs template.Errors) error {
	if len(errs) == 0 {
		return nil
	}
	n := "1 fault"
	if len(errs) > 1 {
		n = fmt.Sprintf("%d faults", len(errs))
	}
	return usagef("cannot use the template: %s:\n\n%w", n, errs)
}

// parse reads the template. What could be made sense of is returned beside the
// errors of the template; only an error of another kind leaves none.
func (r *request) parse() (*template.Template, template.Errors, error) {
	var src []byte
	var err error
	name := r.Template
	switch {
	case name == "-":
		name = "standard input"
		src, err = dag.ReadAll(os.Stdin, name, maxInput)
	default:
		fi, serr := os.Stat(name)
		if serr == nil && fi.IsDir() {
			return nil, nil, usagef("cannot read %s: it is a directory; HCL2 templates are not supported yet, name a JSON template", shortPath(name))
		}
		if serr == nil && strings.HasSuffix(name, ".hcl") {
			return nil, nil, usagef("cannot read %s: HCL2 templates are not supported yet; JSON templates are", shortPath(name))
		}
		name = shortPath(name)
		src, err = readInput(r.Template)
	}
	if err != nil {
		return nil, nil, usagef("cannot read the template: %w", err)
	}
	sum := sha256.Sum256(src)
	r.Digest = "sha256:" + hex.EncodeToString(sum[:])
	t, errs := template.Parse(name, src)
	if t == nil {
		return nil, nil, faults(errs)
	}
	return t, errs, nil
}

// maxInput bounds a template and a variable file, in bytes.
const maxInput = 64 << 20

// readInput reads a file that the command line names. A pipe that the shell has opened for us, as for <(command), is
// one, too; no other pipe is, which might keep us waiting for ever.
func readInput(path string) ([]byte, error) {
	opened := path == "/dev/stdin" || strings.HasPrefix(path, "/dev/fd/") || strings.HasPrefix(path, "/proc/self/fd/")
	if fi, err := os.Stat(path); err == nil && opened && fi.Mode()&fs.ModeNamedPipe != 0 {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return dag.ReadAll(f, path, maxInput)
	}
	return dag.ReadFile(path, maxInput)
}

// shortPath is how a file below the working directory is called.
func shortPath(path string) string {
	cwd, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(cwd, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return rel
}

// evaluate fills everything in that can be known before a build runs.
func (r *request) evaluate(t *template.Template) (*template.Evaluated, template.Errors, error) {
	in := template.Inputs{Vars: r.Vars, Environ: os.Getenv, Clock: r.Pins.Clock(), UUID: r.Pins.UUID(), Only: r.Only, Except: r.Except, Dir: r.dir(), Cwd: r.Cwd, Strict: r.Strict}
	for _, path := range r.VarFiles {
		src, read := r.given[path]
		if !read {
			var err error
			if src, err = readInput(path); err != nil {
				return nil, nil, usagef("cannot read the -var-file: %w", err)
			}
			if r.given == nil {
				r.given = map[string][]byte{}
			}
			r.given[path] = src
		}
		in.VarFiles = append(in.VarFiles, template.VarFile{Name: shortPath(path), Src: src})
	}
	ev, errs := t.Evaluate(in)
	return ev, errs, nil
}

// stored is the request as it may be written down: values that are sensitive,
// or that end in an option which holds a credential, are left out.
func (r *request) stored(t *template.Template, ev *template.Evaluated) *request {
	s := *r
	s.Vars, s.Withheld = map[string]string{}, nil
	sensitive := map[string]bool{}
	for _, v := range t.Sensitive {
		sensitive[v.Text] = true
	}
	for name, value := range r.Vars {
		if sensitive[name] || interp.SecretName(name) || credential(ev, value) {
			s.Withheld = append(s.Withheld, name)
			continue
		}
		s.Vars[name] = value
	}
	slices.Sort(s.Withheld)
	return &s
}

// credential tells whether a text stands in an option that holds a credential.
func credential(ev *template.Evaluated, text string) bool {
	if text == "" {
		return false
	}
	var in func(v template.Value, secret bool) bool
	in = func(v template.Value, secret bool) bool {
		switch v.Kind {
		case template.String:
			return secret && strings.Contains(v.Text, text)
		case template.List:
			return slices.ContainsFunc(v.List, func(x template.Value) bool { return in(x, secret) })
		case template.Object:
			return slices.ContainsFunc(v.Fields, func(f template.Field) bool { return in(f.Value, secret || interp.SecretName(f.Name)) })
		}
		return false
	}
	return slices.ContainsFunc(ev.Builds, func(b template.Build) bool {
		return in(b.Options, false) || slices.ContainsFunc(b.Provisioners, func(p template.Part) bool { return in(p.Options, false) })
	})
}
