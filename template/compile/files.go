package compile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/template"
)

// Files finds the local files that options name. The digest of each is taken once.
type Files struct {
	Cwd string // working directory, looked at first; empty: the process's
	Dir string // folder of the template

	At func(path string) string // where a file is that lies at an absolute path, or one that begins with ~/; nil: there

	known map[string]steps.File
}

// Find returns the file or directory called name. The path is absolute, and keeps a trailing slash.
func (f *Files) Find(name string) (steps.File, error) {
	path, _, err := f.locate(name)
	if err != nil {
		return steps.File{}, err
	}
	return f.digest(path)
}

// FindFile is Find for an option that cannot be a directory, of which then nothing is read.
func (f *Files) FindFile(name string) (steps.File, error) {
	path, info, err := f.locate(name)
	if err != nil {
		return steps.File{}, err
	}
	if info.IsDir() {
		return steps.File{}, fmt.Errorf("%s is a directory, and a file is expected", name)
	}
	return f.digest(path)
}

// digest takes the digest of what is at an absolute path, once.
func (f *Files) digest(path string) (steps.File, error) {
	if file, ok := f.known[path]; ok {
		return file, nil
	}
	file, err := steps.NewFile(path)
	if err != nil {
		return file, err
	}
	if f.known == nil {
		f.known = map[string]steps.File{}
	}
	f.known[path] = file
	return file, nil
}

// locate returns the absolute path of what is called name.
func (f *Files) locate(name string) (string, fs.FileInfo, error) {
	if name == "" {
		return "", nil, errors.New("it names no file")
	}
	path := name
	if rest, ok := strings.CutPrefix(name, "~/"); ok && f.At != nil {
		path = f.At(name)
	} else if ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", nil, fmt.Errorf("the home directory is not known: %w", err)
		}
		path = filepath.Join(home, rest)
	}
	tried := []string{path}
	if !filepath.IsAbs(path) {
		tried = []string{filepath.Join(f.Cwd, path)}
		if in := filepath.Join(f.Dir, path); f.Dir != "" && in != tried[0] {
			tried = append(tried, in)
		}
	}
	for _, path := range tried {
		path, err := filepath.Abs(path)
		if err != nil {
			return "", nil, err
		}
		if strings.HasSuffix(name, "/") || strings.HasSuffix(name, string(filepath.Separator)) {
			path += "/"
		}
		if f.At != nil {
			path = f.At(path)
		}
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return path, info, err
	}
	return "", nil, &missing{name, tried}
}

// locateIn puts into options that are paths of files where those are, until back is called: the struct looks at the files,
// and its steps know them by the names that the user has given.
func (f *Files) locateIn(x any) (back func()) {
	type named struct {
		field reflect.Value
		name  string
	}
	var all []named
	for _, o := range options(reflect.ValueOf(x).Elem()) {
		if f.At == nil || !o.has("file") || o.field.String() == "" || strings.Contains(o.field.String(), dag.MarkOpen) {
			continue
		}
		name := o.field.String()
		all = append(all, named{o.field, name})
		if !filepath.IsAbs(name) && !strings.HasPrefix(name, "~/") {
			name = filepath.Join(f.Cwd, name)
		}
		o.field.SetString(f.At(name))
	}
	return func() {
		for _, n := range all {
			n.field.SetString(n.name)
		}
	}
}

// missing is a local file that is not there.
type missing struct {
	name  string
	tried []string
}

func (m *missing) Error() string { return fmt.Sprintf("there is no file or directory %s", m.name) }
func (m *missing) Unwrap() error { return fs.ErrNotExist }

func (d *decoder) file(v template.Value, into reflect.Value, path string, o option) {
	if !d.is(v, path, template.String) {
		return
	}
	text, ok := d.text(v, path, o)
	name := string(text)
	if !ok || name == "" {
		return
	}
	if v.IsMarked() {
		d.err(v.Pos, "", path, "a sensitive variable cannot stand in the name of a file")
		return
	}
	file, err := d.Files.FindFile(name)
	if err != nil {
		hint := ""
		var m *missing
		if errors.As(err, &m) {
			hint = "looked for " + strings.Join(m.tried, " and ")
		}
		d.errAs(errcode.NoSuchFile, v.Pos, hint, path, "%v", err)
		return
	}
	into.Set(reflect.ValueOf(file))
}
