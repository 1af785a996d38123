package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The action's steps of the shell do what its inputs say, in an environment as GitHub makes it.
func TestAction(t *testing.T) {
	text, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var action struct {
		Inputs, Outputs map[string]struct {
			Description, Value string
		}
		Runs struct {
			Using string
			Steps []struct {
				ID, Shell, Run string
				Env            map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &action); err != nil {
		t.Fatal(err)
	}
	if action.Runs.Using != "composite" || len(action.Runs.Steps) != 2 || len(action.Outputs) != 3 {
		t.Fatalf("%+v", action)
	}
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("NOT TESTED: bash is missing")
	}
	dir := t.TempDir()
	tell := "#!/bin/sh\nprintf '%s\\n' \"$(basename $0)\" \"$@\" >> " + dir + "/called\n[ \"$1\" != env ] || echo " + dir + "/go\n"
	for _, name := range []string{"go", "imgflow"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(tell), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	evil := "a b; touch " + dir + "/evil $(touch " + dir + "/evil)"
	inputs := map[string]string{"version": "v1.2.3", "command": "run", "template": evil, "vars": "x=1 2\n\ny=$(touch " + dir + "/evil)\n", "args": "-on-interrupt=cleanup\n"}
	input := regexp.MustCompile(`^\$\{\{ inputs\.(\w+) \}\}$`)
	for _, s := range action.Runs.Steps {
		if strings.Contains(s.Run, "${{") {
			t.Error("an input stands in a script, where it could be one")
		}
		cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", s.Run)
		cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", "GITHUB_PATH=" + dir + "/path"}
		for name, value := range s.Env {
			m := input.FindStringSubmatch(value)
			if m == nil || action.Inputs[m[1]].Description == "" {
				t.Fatalf("%s is %q", name, value)
			}
			cmd.Env = append(cmd.Env, name+"="+inputs[m[1]])
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s%v\n%s", s.Run, err, out)
		}
		if s.ID == "" { // without imgflow it is installed
			os.Rename(filepath.Join(dir, "imgflow"), filepath.Join(dir, "away"))
			again := exec.Command("bash", "-eo", "pipefail", "-c", s.Run)
			again.Env = cmd.Env
			if out, err := again.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			os.Rename(filepath.Join(dir, "away"), filepath.Join(dir, "imgflow"))
		}
	}
	called, _ := os.ReadFile(filepath.Join(dir, "called"))
	want := strings.Join([]string{"go", "install", "github.com/imgflow/imgflow/cmd/imgflow@v1.2.3", "go", "env", "GOPATH",
		"imgflow", "run", "-var", "x=1 2", "-var", "y=$(touch " + dir + "/evil)", "-on-interrupt=cleanup", "--", evil, ""}, "\n")
	if string(called) != want {
		t.Errorf("called\n%s\nnot\n%s", called, want)
	}
	if path, _ := os.ReadFile(filepath.Join(dir, "path")); string(path) != dir+"/go/bin\n" {
		t.Errorf("the path is %q", path)
	}
	if _, err := os.Stat(filepath.Join(dir, "evil")); err == nil {
		t.Error("an input was run")
	}
}

// The workflows of docs/ci.md are YAML, and the flags that they use are there.
func TestWorkflows(t *testing.T) {
	text, err := os.ReadFile("../../docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d workflows", len(blocks))
	}
	for _, b := range blocks {
		var v map[string]any
		if err := yaml.Unmarshal([]byte(b[1]), &v); err != nil || len(v) == 0 {
			t.Errorf("%v:\n%s", err, b[1])
		}
	}
	for _, m := range regexp.MustCompile(`imgflow (run|validate|show|destroy) ([^\n`+"`"+`>]*)`).FindAllStringSubmatch(string(text), -1) {
		for _, word := range strings.Fields(m[2]) {
			name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
			if strings.HasPrefix(word, "-") && flagNamed(newCommands().Command(m[1]), name) == nil {
				t.Errorf("%s has no flag %s", m[1], word)
			}
		}
	}
}
