package cli

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The fleet of one machine is reached from that machine alone, holds no password, waits for
// what it needs, and is made of versions.
func TestFleetCompose(t *testing.T) {
	var c struct {
		Services map[string]struct {
			Image     string
			Build     struct{ Context, Target string }
			Ports     []string
			DependsOn map[string]struct{ Condition string } `yaml:"depends_on"`
			Command   []string
			Env       map[string]string `yaml:"environment"`
			Health    any               `yaml:"healthcheck"`
			Secrets   []string
		}
		Secrets, Volumes map[string]any
		Configs          map[string]struct{ Content string }
	}
	if err := yaml.Unmarshal([]byte(atRoot(t, "examples/fleet/compose.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	for name, s := range c.Services {
		if s.Image != "" && !regexp.MustCompile(`^[a-z/-]+:\d[0-9.]*$`).MatchString(s.Image) || s.Image == "" && !strings.Contains(atRoot(t, "Dockerfile"), "AS "+s.Build.Target+"\n") {
			t.Errorf("%s is made of %q and %q", name, s.Image, s.Build)
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s is reached at %s", name, p)
			}
		}
		for on, d := range s.DependsOn {
			if needs, ok := c.Services[on]; !ok || d.Condition == "service_healthy" && needs.Health == nil {
				t.Errorf("%s waits for %s, which is never %s", name, on, d.Condition)
			}
		}
		for variable, value := range s.Env {
			if regexp.MustCompile(`PASS|PWD|SECRET`).MatchString(variable) && !strings.HasPrefix(value, "${") {
				t.Errorf("%s has %s in clear text", name, variable)
			}
		}
	}
	worker := c.Services["worker"]
	if len(worker.Command) == 0 || worker.Command[0] != "worker" || !slices.Equal(worker.Secrets, slices.Collect(maps.Keys(c.Secrets))) {
		t.Errorf("the worker is %+v", worker)
	}
	if err := yaml.Unmarshal([]byte(c.Configs["dynamic"].Content), &map[string][]struct{ Value any }{}); err != nil {
		t.Error(err)
	}
}

// What the examples start is a command that the program has, with flags that it has, and they set variables that it reads.
func TestFleetExamplesAreOfTheProgram(t *testing.T) {
	var c struct {
		Services map[string]struct {
			Build   struct{ Target string }
			Command []string
			Env     map[string]string `yaml:"environment"`
		}
	}
	if err := yaml.Unmarshal([]byte(atRoot(t, "examples/fleet/compose.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	unit := atRoot(t, "examples/fleet/imgflow-worker.service")
	started := regexp.MustCompile(`(?m)^ExecStart=\S+/imgflow-fleet (.*)$`).FindStringSubmatch(unit)
	if started == nil {
		t.Fatal("the unit starts another program")
	}
	commands, ours := [][]string{strings.Fields(started[1])}, regexp.MustCompile(`\b(IMGFLOW|TEMPORAL)_\w+`)
	variables := ours.FindAllString(unit, -1)
	for _, s := range c.Services {
		if s.Build.Target == "fleet" { // the others are of other programs
			commands = append(commands, s.Command)
			for name := range s.Env {
				variables = append(variables, ours.FindAllString(name, 1)...)
			}
		}
	}
	if len(commands) != 2 || len(variables) < 4 {
		t.Fatalf("there are %q, with %q", commands, variables)
	}
	for _, args := range commands {
		if len(args) < 3 || args[0] != "worker" {
			t.Errorf("it starts %q", args)
		}
		for _, a := range args {
			if name, ok := strings.CutPrefix(a, "--"); ok && flagNamed(workerCommand(), name) == nil {
				t.Errorf("%q has the flag %s, which the program has not", args, a)
			}
		}
	}
	if image := atRoot(t, "Dockerfile"); !regexp.MustCompile(`(?s)AS fleet\n.*?ENTRYPOINT \["/?[\w/]*imgflow-fleet"`).MatchString(image) {
		t.Error("the image fleet starts another program")
	}
	var sources strings.Builder
	for _, folder := range []string{"internal/app", "internal/cli", "engine/temporal", "state"} {
		files, _ := filepath.Glob(filepath.Join("../..", folder, "*.go"))
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(f, "_test.go") {
				sources.Write(text)
			}
		}
	}
	for _, name := range variables {
		if !strings.Contains(sources.String(), `"`+strings.TrimSuffix(name, "_PATH")+`"`) {
			t.Errorf("the examples set %s, which the program does not read", name)
		}
	}
}

// The units are ones to systemd.
func TestFleetUnits(t *testing.T) {
	units, err := filepath.Glob("../../examples/fleet/*.service")
	if err != nil || len(units) != 2 {
		t.Fatal(units, err)
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("NOT TESTED: there is no systemd-analyze here")
	}
	for _, file := range units {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// The programs are not installed here.
		unit := regexp.MustCompile(`(?m)^ExecStart=\S+`).ReplaceAllString(string(text), "ExecStart=/bin/true")
		copied := filepath.Join(t.TempDir(), filepath.Base(file))
		if err := os.WriteFile(copied, []byte(unit), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("systemd-analyze", "verify", "--man=no", copied).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}
