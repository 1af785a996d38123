package app

import (
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Env is what a session sees of the process that it is in: the environment and
// the working directory. Nothing of either is looked up anywhere else, so two
// sessions of one process may have different ones. An Env does not change.
type Env struct {
	vars map[string]string // NAME=VALUE by the name, as this system compares names
	dir  string
}

// NewEnv is the environment of these variables, each NAME=VALUE, and of the
// absolute path of a working directory. Of a name that is there twice the first
// counts.
func NewEnv(vars []string, dir string) Env {
	e := Env{vars: make(map[string]string, len(vars)), dir: dir}
	for _, kv := range vars {
		name, _, ok := cutVar(kv)
		if _, twice := e.vars[sameName(name)]; ok && !twice {
			e.vars[sameName(name)] = kv
		}
	}
	return e
}

// cutVar splits a variable; on Windows a name may begin with =.
func cutVar(kv string) (name, value string, ok bool) {
	i := strings.IndexByte(kv[min(1, len(kv)):], '=')
	if i < 0 {
		return "", "", false
	}
	return kv[:i+1], kv[i+2:], true
}

// sameName is the name as this system compares it.
func sameName(name string) string {
	if runtime.GOOS == "windows" {
		return strings.ToUpper(name)
	}
	return name
}

// Get is the value of a variable; "" if there is none.
func (e Env) Get(name string) string {
	_, value, _ := cutVar(e.vars[sameName(name)])
	return value
}

// Vars are the variables, each NAME=VALUE, by their names.
func (e Env) Vars() []string {
	vars := make([]string, 0, len(e.vars))
	for _, kv := range e.vars {
		vars = append(vars, kv)
	}
	slices.Sort(vars)
	return vars
}

// Dir is the working directory.
func (e Env) Dir() string { return e.dir }

// With is the environment with one variable of another value.
func (e Env) With(name, value string) Env {
	return NewEnv(append([]string{name + "=" + value}, e.Vars()...), e.dir)
}

// Without is the environment without some variables.
func (e Env) Without(names ...string) Env {
	vars := slices.DeleteFunc(e.Vars(), func(kv string) bool {
		name, _, _ := cutVar(kv)
		return slices.ContainsFunc(names, func(n string) bool { return sameName(n) == sameName(name) })
	})
	return NewEnv(vars, e.dir)
}

// Abs is the absolute path of a file that is named relative to the working directory.
func (e Env) Abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(e.dir, path)
}

// Short is how a file is called from the working directory, if it is below.
func (e Env) Short(path string) string {
	rel, err := filepath.Rel(e.dir, path)
	if e.dir == "" || err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return rel
}
