package provision

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/steps"
)

// Scripts are the options that all provisioners which run scripts have: what to
// run, with which environment, and how it may end.
type Scripts struct {
	// Lines of one script; this, `script` or `scripts` has to be given.
	Inline []dag.Text `json:"inline,omitempty" option:"late=build"`
	// The path of a local script to run.
	Script steps.File `json:"script,omitzero"`
	// Paths of local scripts to run, one after the other.
	Scripts []steps.File `json:"scripts,omitempty"`
	// Sends the scripts as they are; otherwise line ends of Windows become those of Unix. Default: `false`.
	Binary bool `json:"binary,omitempty"`
	// Exit statuses that count as success. Default: `0`.
	ValidExitCodes []int `json:"valid_exit_codes,omitempty"`
	// Environment variables of the scripts, each as NAME=value. Default: none.
	EnvironmentVars []dag.Text `json:"environment_vars,omitempty" option:"late=build"`
	// Environment variables by name, stronger than `environment_vars`. Default: none.
	Env map[string]dag.Text `json:"env,omitempty" option:"late=build"`
}

func (s Scripts) check(f *steps.OptionErrors) {
	one, many, inline := s.Script != steps.File{}, len(s.Scripts) > 0, len(s.Inline) > 0
	switch {
	case one && many:
		f.Add("script", "only one of script and scripts can be given")
	case inline && (one || many):
		f.Add("inline", "a script cannot be given inline and as a file at once")
	case !one && !many && !inline:
		f.Lacks("there is nothing to run: give one of inline, script and scripts", "inline", "script", "scripts")
	}
	checkPairs(f, "environment_vars", s.EnvironmentVars)
}

// checkCodes refuses exit statuses that no program of a POSIX system has.
func (s Scripts) checkCodes(f *steps.OptionErrors) {
	for i, code := range s.ValidExitCodes {
		if (code < 0 || code > 255) && code != lostCode {
			f.Add(fmt.Sprintf("valid_exit_codes[%d]", i), "%d is no exit status: they go from 0 to 255", code)
		}
	}
}

// lostCode is Packer's exit status for a lost connection. Accepting it means
// what expect_disconnect means.
const lostCode = 2300218

// title names what is run; word is what one script is called.
func (s Scripts) title(word string) string {
	switch {
	case len(s.Inline) > 0:
		return "run an inline " + word
	case len(s.Scripts) > 1:
		return fmt.Sprintf("run %d %ss", len(s.Scripts), word)
	case len(s.Scripts) == 1:
		return "run " + filepath.Base(s.Scripts[0].Path)
	}
	return "run " + filepath.Base(s.Script.Path)
}

// checkPairs refuses what sets no environment variable.
func checkPairs(f *steps.OptionErrors, option string, list []dag.Text) {
	for i, kv := range list {
		// What is not known yet may hold the equals sign; it is looked at again.
		// The text is not repeated: where the name is forgotten it is the value.
		if kv.Known() && !pair(string(kv)) {
			f.Add(fmt.Sprintf("%s[%d]", option, i), "it is not of the form name=value")
		}
	}
}

// pairs are the environment variables of an option.
func (v values) pairs(option string, list []dag.Text) (env []string, err error) {
	for i, kv := range list {
		name := fmt.Sprintf("%s[%d]", option, i)
		kv, err := v.render(name, kv, nil)
		if err != nil {
			return nil, err
		}
		if !pair(kv) { // the text may be sensitive
			return nil, fmt.Errorf("cannot use %s: it is not of the form name=value", name)
		}
		env = append(env, kv)
	}
	return env, nil
}

func pair(kv string) bool { return strings.Index(kv, "=") > 0 }

func (s Scripts) accepts(code int) bool {
	if len(s.ValidExitCodes) == 0 {
		return code == 0
	}
	// A code of Windows has 32 bits, and is written with a sign or without.
	return slices.ContainsFunc(s.ValidExitCodes, func(c int) bool { return uint32(c) == uint32(code) })
}

// source is one script to run.
type source struct {
	name string // for messages
	path string // of the local file, "" for an inline script
	text []byte
}

// shell returns the scripts for a POSIX system. An inline one begins with the
// shebang, unless it has one of its own and nobody asked for another.
func (s Scripts) shell(v values, shebang string) ([]source, error) {
	return s.load(v, func(text []byte, inline bool) []byte {
		switch {
		case !inline:
		case shebang != "":
			text = slices.Concat([]byte("#!"+shebang+"\n"), text)
		case !bytes.HasPrefix(text, []byte("#!")):
			text = slices.Concat([]byte("#!"+defaultShebang+"\n"), text)
		}
		if s.Binary {
			return text
		}
		return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	})
}

// load returns the scripts, each dressed for where it runs.
func (s Scripts) load(v values, dress func(text []byte, inline bool) []byte) ([]source, error) {
	if len(s.Inline) > 0 {
		var lines dag.Text
		for _, line := range s.Inline {
			lines += line + "\n"
		}
		text, err := v.render("inline", lines, nil)
		if err != nil {
			return nil, err
		}
		return []source{{name: "inline", text: dress([]byte(text), true)}}, nil
	}
	files := s.Scripts
	if s.Script != (steps.File{}) {
		files = []steps.File{s.Script}
	}
	var list []source
	for _, f := range files {
		if err := unchanged(v.dir, f); err != nil {
			return nil, err
		}
		text, err := os.ReadFile(f.Path)
		if err != nil {
			return nil, fmt.Errorf("cannot read the script: %w", err)
		}
		list = append(list, source{name: shown(v.dir, f.Path), path: f.Path, text: dress(text, false)})
	}
	return list, nil
}

const defaultShebang = "/bin/sh -e"

// unchanged fails for a file that is not what it was when the step got its key:
// what is recorded as done would be something else. One that is not given is none.
func unchanged(dir string, files ...steps.File) error {
	for _, f := range files {
		if f == (steps.File{}) {
			continue
		}
		now, err := steps.NewFile(f.Path)
		if err != nil {
			return err
		}
		if f.Digest != "" && now.Digest != f.Digest {
			return fmt.Errorf("cannot use %s: it has changed since the run was planned; `%s` plans it anew", shown(dir, f.Path), self.Command("resume"))
		}
	}
	return nil
}

// environ returns the variables of a script, sorted by name: those that the user
// gave, and the two that every script gets. Fold is set where the case of a name
// means nothing.
func (s Scripts) environ(v values, b dag.Build, fold bool) ([][2]string, error) {
	type variable struct{ name, value string }
	env := map[string]variable{}
	set := func(name, value string) {
		id := name
		if fold {
			id = strings.ToUpper(name)
		}
		env[id] = variable{name, value}
	}
	set("PACKER_BUILD_NAME", b.Name)
	set("PACKER_BUILDER_TYPE", b.Type)
	given, err := v.pairs("environment_vars", s.EnvironmentVars)
	if err != nil {
		return nil, err
	}
	for _, kv := range given {
		name, value, _ := strings.Cut(kv, "=")
		set(name, value)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		value, err := v.render("env."+name, s.Env[name], nil)
		if err != nil {
			return nil, err
		}
		set(name, value)
	}
	var list [][2]string
	for _, id := range slices.Sorted(maps.Keys(env)) {
		list = append(list, [2]string{env[id].name, env[id].value})
	}
	return list, nil
}

// assignments writes the variables in the format of the user, a text with %s
// for the name and %s for the value, in which escape keeps what is special.
func assignments(env [][2]string, format string, escape func(string) string) string {
	var b strings.Builder
	for _, kv := range env {
		fmt.Fprintf(&b, format, kv[0], escape(kv[1]))
	}
	return b.String()
}

func checkFormat(f *steps.OptionErrors, option, format string) {
	if format == "" {
		return
	}
	if s := fmt.Sprintf(format, "NAME", "VALUE"); strings.Contains(s, "%!") || !strings.Contains(s, "NAME") || !strings.Contains(s, "VALUE") {
		f.Add(option, "it must hold two %%s, the first for the name and the second for the value: %q", format)
	}
}
