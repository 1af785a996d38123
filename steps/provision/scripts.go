package provision

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
)

// Scripts are the options that all provisioners which run scripts have: what to
// run, with which environment, and how it may end.
type Scripts struct {
	Inline          []string          `json:"inline,omitempty" option:"late=build"` // lines of one script
	Script          dag.File          `json:"script,omitzero"`
	Scripts         []dag.File        `json:"scripts,omitempty"`
	Binary          bool              `json:"binary,omitempty"`                               // leave line ends alone
	ValidExitCodes  []int             `json:"valid_exit_codes,omitempty"`                     // none: 0
	EnvironmentVars []string          `json:"environment_vars,omitempty" option:"late=build"` // name=value
	Env             map[string]string `json:"env,omitempty" option:"late=build"`              // stronger than environment_vars
}

func (s Scripts) check(f *faults) {
	one, many, inline := s.Script != dag.File{}, len(s.Scripts) > 0, len(s.Inline) > 0
	switch {
	case one && many:
		f.add("script", "only one of script and scripts can be given")
	case inline && (one || many):
		f.add("inline", "a script cannot be given inline and as a file at once")
	case !one && !many && !inline:
		f.add("", "there is nothing to run: give one of inline, script and scripts")
	}
	for i, kv := range s.EnvironmentVars {
		// What is not known yet may hold the equals sign; it is looked at again.
		// The text is not repeated: where the name is forgotten it is the value.
		if !strings.Contains(kv, dag.MarkOpen) && !strings.Contains(kv, "{{") && !pair(kv) {
			f.add(fmt.Sprintf("environment_vars[%d]", i), "it is not of the form name=value")
		}
	}
	for i, code := range s.ValidExitCodes {
		if (code < 0 || code > 255) && code != lostCode {
			f.add(fmt.Sprintf("valid_exit_codes[%d]", i), "%d is no exit status: they go from 0 to 255", code)
		}
	}
}

// lostCode is Packer's exit status for a lost connection. Accepting it means
// what expect_disconnect means.
const lostCode = 2300218

func pair(kv string) bool { return strings.Index(kv, "=") > 0 }

func (s Scripts) accepts(code int) bool {
	if len(s.ValidExitCodes) == 0 {
		return code == 0
	}
	return slices.Contains(s.ValidExitCodes, code)
}

// source is one script to run.
type source struct {
	name string // for messages
	path string // of the local file, "" for an inline script
	text []byte
}

// load returns the scripts. An inline one begins with the shebang, unless it has
// one of its own and nobody asked for another.
func (s Scripts) load(v values, shebang string) ([]source, error) {
	if len(s.Inline) > 0 {
		text := strings.Join(s.Inline, "\n") + "\n"
		text, err := v.render("inline", text, nil)
		if err != nil {
			return nil, err
		}
		switch {
		case shebang != "":
			text = "#!" + shebang + "\n" + text
		case !strings.HasPrefix(text, "#!"):
			text = "#!" + defaultShebang + "\n" + text
		}
		return []source{{name: "inline", text: s.lineEnds([]byte(text))}}, nil
	}
	files := s.Scripts
	if s.Script != (dag.File{}) {
		files = []dag.File{s.Script}
	}
	var list []source
	for _, f := range files {
		if err := unchanged(f); err != nil {
			return nil, err
		}
		text, err := os.ReadFile(f.Path)
		if err != nil {
			return nil, fmt.Errorf("cannot read the script: %w", err)
		}
		list = append(list, source{name: shown(f.Path), path: f.Path, text: s.lineEnds(text)})
	}
	return list, nil
}

const defaultShebang = "/bin/sh -e"

func (s Scripts) lineEnds(text []byte) []byte {
	if s.Binary {
		return text
	}
	return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
}

// unchanged fails for a file that is not what it was when the step got its key:
// what is recorded as done would be something else.
func unchanged(f dag.File) error {
	now, err := dag.NewFile(f.Path)
	if err != nil {
		return err
	}
	if f.Digest != "" && now.Digest != f.Digest {
		return fmt.Errorf("cannot use %s: it has changed since the run was planned; `imgflow resume` plans it anew", shown(f.Path))
	}
	return nil
}

// environ returns the variables of a script, sorted by name: those that the user
// gave, and the two that every script gets.
func (s Scripts) environ(v values, b dag.Build) ([][2]string, error) {
	env := map[string]string{"PACKER_BUILD_NAME": b.Name, "PACKER_BUILDER_TYPE": b.Type}
	for i, kv := range s.EnvironmentVars {
		kv, err := v.render(fmt.Sprintf("environment_vars[%d]", i), kv, nil)
		if err != nil {
			return nil, err
		}
		if !pair(kv) { // the text may be sensitive
			return nil, fmt.Errorf("cannot use environment_vars[%d]: it is not of the form name=value", i)
		}
		name, value, _ := strings.Cut(kv, "=")
		env[name] = value
	}
	for name, value := range s.Env {
		value, err := v.render("env."+name, value, nil)
		if err != nil {
			return nil, err
		}
		env[name] = value
	}
	var list [][2]string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, [2]string{name, env[name]})
	}
	return list, nil
}

// assignments writes the variables in the format of the user, a text with %s
// for the name and %s for the value, which stands in single quotes of sh.
func assignments(env [][2]string, format string) string {
	var b strings.Builder
	for _, kv := range env {
		fmt.Fprintf(&b, format, kv[0], strings.ReplaceAll(kv[1], `'`, `'"'"'`))
	}
	return b.String()
}

func checkFormat(f *faults, format string) {
	if format == "" {
		return
	}
	if s := fmt.Sprintf(format, "NAME", "VALUE"); strings.Contains(s, "%!") || !strings.Contains(s, "NAME") || !strings.Contains(s, "VALUE") {
		f.add("env_var_format", "it must hold two %%s, the first for the name and the second for the value: %q", format)
	}
}
