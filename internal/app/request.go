package app

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/compile"
	"github.com/imgflow/imgflow/template/hcl"
)

// Request is what the user asked for: the template and all that was given with
// it. It is stored with the run, without what is secret, so that a resume can
// evaluate the template again in the same way.
type Request struct {
	Template    string            `json:"template"`              // path, kept as an absolute one; - is what Input holds
	ConfigType  string            `json:"config_type,omitempty"` // json or hcl2, where the name of the template does not say; empty: json
	Digest      string            `json:"digest"`                // of the template's text
	Cwd         string            `json:"cwd"`                   // where relative files are looked for first
	Vars        map[string]string `json:"vars,omitempty"`
	Withheld    []string          `json:"withheld,omitempty"`  // variables given with -var that are secret: not in Vars
	VarFiles    []string          `json:"var_files,omitempty"` // paths, kept as absolute ones
	Only        []string          `json:"only,omitempty"`
	Except      []string          `json:"except,omitempty"`
	Enforce     []string          `json:"enforce,omitempty"` // templates that add to every build: paths, kept as absolute ones
	ScanImage   bool              `json:"scan_image,omitempty"`
	Strict      bool              `json:"strict,omitempty"` // a warning about the template is a fault
	Force       bool              `json:"force,omitempty"`
	MaxLifetime time.Duration     `json:"max_lifetime,omitempty"` // nanoseconds
	Parallel    int               `json:"parallel,omitempty"`
	Local       bool              `json:"local,omitempty"`
	Endpoint    string            `json:"endpoint,omitempty"`
	Pins        compile.Pins      `json:"pins"`

	Input io.Reader `json:"-"` // the template - is read from here

	QuietUndeclared bool `json:"-"` // nothing is said of values in variable files that no variable has

	sources sources
	asked   map[string]string // what the template has asked the environment for
	read    map[string]bool   // paths of files that functions of the template have looked at

	handed *handed // nil: the submitter is here
}

// sources are what was read for a request: each file once, since a pipe can be read only once, and in a plan that is
// kept all that there is.
type sources struct {
	Files   map[string][]byte   `json:"files"`             // by their paths; the template - is one, too
	Folder  bool                `json:"folder,omitempty"`  // the template is all files of a folder
	Listed  map[string][]string `json:"listed,omitempty"`  // files of that folder, by the endings of their names
	Planned bool                `json:"planned,omitempty"` // they are those of a plan
}

// input is what a file holds.
func (r *Request) input(path string) ([]byte, error) {
	if src, read := r.sources.Files[path]; read {
		return src, nil
	}
	src, err := readInput(path)
	if err == nil {
		r.keep(path, src)
	}
	return src, err
}

func (r *Request) keep(path string, src []byte) {
	if r.sources.Files == nil {
		r.sources.Files = map[string][]byte{}
	}
	r.sources.Files[path] = src
}

const requestDoc = "request"

// give adds variables to those that the request has. Files are named by absolute paths.
func (r *Request) give(vars map[string]string, files []string) {
	if r.Vars == nil {
		r.Vars = map[string]string{}
	}
	maps.Copy(r.Vars, vars)
	for _, f := range files {
		// Of a file that is named twice the last place counts.
		r.VarFiles = append(slices.DeleteFunc(r.VarFiles, func(old string) bool { return old == f }), f)
	}
}

// place makes the paths of a new request absolute.
func (r *Request) place(env Env) {
	if r.Cwd = env.Dir(); r.Template != "-" && r.Template != "" {
		r.Template = env.Abs(r.Template)
	}
	enforce := r.Enforce
	r.Enforce = nil
	r.enforcing(env, enforce)
	files := r.VarFiles
	r.VarFiles = nil
	for i, f := range files {
		files[i] = env.Abs(f)
	}
	r.give(nil, files)
}

// dir is the folder of the template.
func (r *Request) dir() string {
	switch {
	case r.Template == "-":
		return r.Cwd
	case r.folder():
		return r.Template
	}
	return filepath.Dir(r.Template)
}

// faulty are the errors of a template, told all at once.
func faulty(errs template.Errors) error {
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
func (r *Request) parse(env Env) (template.Parsed, template.Errors, error) {
	files, err := r.files(env)
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.New()
	for _, f := range files {
		if len(files) > 1 {
			fmt.Fprintf(sum, "%d %s %d ", len(f.Name), f.Name, len(f.Src))
		}
		sum.Write(f.Src)
	}
	r.Digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	if r.hcl() {
		t, errs := hcl.Parse(files)
		return t, errs.Coded(errcode.TemplateSyntax), nil
	}
	t, errs := template.Parse(files[0].Name, files[0].Src)
	errs.Coded(errcode.TemplateSyntax)
	if t == nil {
		return nil, nil, faulty(errs)
	}
	return t, errs, nil
}

// hcl tells whether the template is in HCL2, also in the JSON form of that.
func (r *Request) hcl() bool {
	return r.ConfigType == "hcl2" || namedHCL(r.Template) || r.folder()
}

// namedHCL tells whether the name of a file says that it is in HCL2.
func namedHCL(name string) bool {
	return strings.HasSuffix(name, ".pkr.hcl") || strings.HasSuffix(name, ".pkr.json")
}

// folder tells whether the template is all files of a folder.
func (r *Request) folder() bool {
	if r.sources.Planned {
		return r.sources.Folder
	}
	fi, err := os.Stat(r.Template)
	return r.Template != "-" && err == nil && fi.IsDir()
}

// files reads the files of the template.
func (r *Request) files(env Env) ([]template.VarFile, error) {
	if r.Template == "-" {
		const name = "standard input"
		src, read := r.sources.Files[r.Template]
		if !read && r.Input == nil {
			return nil, usagef("cannot read the template: there is no standard input")
		}
		if !read {
			var err error
			if src, err = localfile.ReadAll(r.Input, name, maxInput); err != nil {
				return nil, usagef("cannot read the template: %w", err)
			}
			r.keep(r.Template, src)
		}
		return []template.VarFile{{Name: name, Src: src}}, nil
	}
	if strings.HasSuffix(r.Template, ".hcl") && !r.hcl() {
		return nil, usagef("cannot read %s: the name of an HCL2 template ends in .pkr.hcl; rename it, or say -config-type=hcl2", env.Short(r.Template))
	}
	paths := []string{r.Template}
	if r.folder() {
		var err error
		if paths, err = r.inFolder(".pkr.hcl", ".pkr.json"); err != nil {
			return nil, err
		}
		if len(paths) == 0 {
			return nil, usagef("cannot read %s: the folder has no template, which is a file whose name ends in .pkr.hcl or .pkr.json", env.Short(r.Template))
		}
	}
	return r.readFiles(paths, env)
}

// inFolder are the files of the template's folder whose names end like that, by name; all of the first ending come first.
func (r *Request) inFolder(endings ...string) (paths []string, err error) {
	kind := strings.Join(endings, " ")
	if paths, read := r.sources.Listed[kind]; read || r.sources.Planned {
		return paths, nil
	}
	defer func() {
		if err == nil {
			if r.sources.Listed == nil {
				r.sources.Listed = map[string][]string{}
			}
			r.sources.Listed[kind] = paths
		}
	}()
	entries, err := os.ReadDir(r.dir())
	if err != nil {
		return nil, usagef("cannot read the template: %w", err)
	}
	for _, ending := range endings {
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ending) && !strings.HasPrefix(e.Name(), ".") {
				paths = append(paths, filepath.Join(r.dir(), e.Name()))
			}
		}
	}
	return paths, nil
}

func (r *Request) readFiles(paths []string, env Env) (files []template.VarFile, err error) {
	for _, path := range paths {
		src, err := r.input(path)
		if err != nil {
			return nil, errcode.With(errcode.NoSuchFile, usagef("cannot read the template: %w", err))
		}
		files = append(files, template.VarFile{Name: env.Short(path), Src: src})
	}
	return files, nil
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
		return localfile.ReadAll(f, path, maxInput)
	}
	return localfile.Read(path, maxInput)
}

// evaluate fills everything in that can be known before a build runs.
func (r *Request) evaluate(t template.Parsed, env Env, catalog compile.Catalog, known looked) (*template.Config, template.Errors, error) {
	in := template.Inputs{Vars: r.Vars, Environ: r.environ(env), Clock: r.Pins.Clock(), UUID: r.Pins.UUID(), Only: r.Only, Except: r.Except, Dir: r.dir(), Cwd: r.Cwd, Files: r.reading, Strict: r.Strict, QuietUndeclared: r.QuietUndeclared,
		DataTypes: catalog.DataTypes(), Known: known.data, Made: known.made}
	if r.hcl() {
		auto, err := r.inFolder(".auto.pkrvars.hcl", ".auto.pkrvars.json")
		if err != nil {
			return nil, nil, err
		}
		if in.VarFiles, err = r.readFiles(auto, env); err != nil {
			return nil, nil, err
		}
	}
	for _, path := range r.VarFiles {
		src, err := r.input(path)
		if err != nil {
			return nil, nil, usagef("cannot read the -var-file: %w", err)
		}
		in.VarFiles = append(in.VarFiles, template.VarFile{Name: env.Short(path), Src: src})
	}
	ev, errs := t.Evaluate(in)
	more, err := r.enforce(ev, in, env)
	return ev, append(errs, more...).Coded(errcode.TemplateValue), err
}

// stored is the request as it may be written down: values that are sensitive,
// or that end in an option which holds a credential, are left out.
func (r *Request) stored(ev *template.Config) *Request {
	s := *r
	s.Vars, s.Withheld = map[string]string{}, nil
	sensitive := map[string]bool{}
	for _, v := range ev.Variables {
		sensitive[v.Name] = v.Sensitive
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
func credential(ev *template.Config, text string) bool {
	if text == "" {
		return false
	}
	var in func(v template.Value, secret bool) bool
	in = func(v template.Value, secret bool) bool {
		switch v.Kind() {
		case template.String:
			t, _ := v.Text()
			return secret && strings.Contains(t.Literal(), text)
		case template.List:
			return slices.ContainsFunc(v.Elements(), func(x template.Value) bool { return in(x, secret) })
		case template.Object:
			return slices.ContainsFunc(v.Fields(), func(f template.Field) bool { return in(f.Value, secret || interp.SecretName(f.Name)) })
		}
		return false
	}
	parts := func(list []template.Part) bool {
		return slices.ContainsFunc(list, func(p template.Part) bool { return in(p.Options, false) })
	}
	return slices.ContainsFunc(ev.Builds, func(b template.Build) bool {
		return in(b.Options, false) || parts(b.Provisioners) || slices.ContainsFunc(b.Tests, func(t template.BuildTest) bool { return in(t.Options, false) || parts(t.Provisioners) })
	})
}
