package provision

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/steps"
)

// Command lines are seen by all users of a computer, and so are Ansible's extra
// variables in them. Those that hold something sensitive go to a private file.

// sensitive reports whether a text holds a secret, or will.
func sensitive(text dag.Text) bool {
	return len(text.Secrets()) > 0 || slices.ContainsFunc(text.Words(), func(word string) bool {
		waits, _ := interp.Waits(word)
		return slices.ContainsFunc(waits, func(p interp.Pending) bool {
			return slices.Contains(steps.SecretValues, p.Field) || slices.Contains(steps.SecretValues, p.Build)
		})
	})
}

// extraVars cuts the value of an argument of extra variables off its name; ok is false
// for any other argument. The one before it tells, too.
func extraVars(before, arg dag.Text) (name string, value dag.Text, ok bool) {
	if before == "-e" || before == "--extra-vars" {
		return "", arg, true
	}
	if rest, is := strings.CutPrefix(string(arg), "--extra-vars="); is {
		return "--extra-vars", dag.Text(rest), true
	}
	if rest, is := strings.CutPrefix(string(arg), "-e"); is && rest != "" {
		return "-e", dag.Text(rest), true
	}
	return "", "", false
}

func previous(args []dag.Text, i int) dag.Text {
	if i == 0 {
		return ""
	}
	return args[i-1]
}

// checkExtraVars refuses arguments that all users of this computer could read.
func checkExtraVars(f *steps.OptionErrors, args []dag.Text) {
	for i, arg := range args {
		if !sensitive(arg) {
			continue
		}
		if _, value, ok := extraVars(previous(args, i), arg); !ok || strings.HasPrefix(string(value), "@") {
			f.Add(fmt.Sprintf("extra_arguments[%d]", i), "a sensitive value would stand in the list of processes: give it as one of --extra-vars, or by ansible_env_vars")
		}
	}
}

// extraArguments are the arguments of the user, with what is sensitive in files.
func extraArguments(v values, args []dag.Text, dir string) (list []string, err error) {
	for i, arg := range args {
		option := fmt.Sprintf("extra_arguments[%d]", i)
		name, value, isVars := extraVars(previous(args, i), arg)
		if !sensitive(arg) || !isVars {
			text, err := v.render(option, arg, nil)
			if err != nil {
				return nil, err
			}
			list = append(list, text)
			continue
		}
		text, err := v.render(option, value, nil)
		if err != nil {
			return nil, err
		}
		file := filepath.Join(dir, fmt.Sprintf("extra-vars-%d.json", i))
		if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") { // YAML or JSON
			err = os.WriteFile(file, []byte(text), 0o600)
		} else {
			var vars map[string]any
			if vars, err = assigned(text); err == nil {
				err = storeVars(file, vars)
			}
		}
		if err != nil { // the text is sensitive
			return nil, fmt.Errorf("cannot use %s: %w", option, err)
		}
		if name != "" {
			list = append(list, name)
		}
		list = append(list, "@"+file)
	}
	return list, nil
}

// assigned reads variables as Ansible does: name=value, with spaces between, and quotes
// around what has spaces.
func assigned(text string) (map[string]any, error) {
	vars := map[string]any{}
	for rest := strings.TrimSpace(text); rest != ""; rest = strings.TrimLeft(rest, " \t\r\n") {
		name, after, ok := strings.Cut(rest, "=")
		if !ok || name == "" || strings.ContainsAny(name, " \t\r\n'\"") {
			return nil, errors.New("it is not of the form name=value, or an object in JSON")
		}
		var value strings.Builder
		quoted := rune(0)
		end := len(after)
		for i, r := range after {
			switch {
			case quoted == 0 && (r == '\'' || r == '"'):
				quoted = r
				continue
			case r == quoted:
				quoted = 0
				continue
			case quoted == 0 && strings.ContainsRune(" \t\r\n", r):
				end = i
			}
			if end < len(after) {
				break
			}
			value.WriteRune(r)
		}
		if quoted != 0 {
			return nil, errors.New("a quote in it is not closed")
		}
		vars[name], rest = value.String(), after[end:]
	}
	return vars, nil
}

// storeVars writes variables for Ansible to a file of this user's.
func storeVars(file string, vars map[string]any) error {
	b, err := json.Marshal(vars)
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	return err
}
