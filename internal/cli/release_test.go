package cli

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// atRoot are files of the repository that a release is made with.
func atRoot(t *testing.T, name string) string {
	t.Helper()
	p, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// The systems that there are releases for are those that types are checked for, and what
// makes two builds the same bytes is there.
func TestReleaseConfiguration(t *testing.T) {
	var c struct {
		Version int
		Before  struct{ Hooks []string }
		Builds  []struct {
			Main              string
			Env, Goos, Goarch []string
			Flags, Ldflags    []string
			ModTimestamp      string `yaml:"mod_timestamp"`
		}
		SBOMs []struct{ Artifacts string }
	}
	if err := yaml.Unmarshal([]byte(atRoot(t, ".goreleaser.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	b, fleet := c.Builds[0], c.Builds[1]
	if fleet.Main != "./cmd/imgflow-fleet" || !slices.Equal(fleet.Goos, b.Goos) || !slices.Equal(fleet.Ldflags, b.Ldflags) || fleet.ModTimestamp != b.ModTimestamp {
		t.Errorf("the program of a fleet is built otherwise: %+v", fleet)
	}
	var targets []string
	for _, goos := range b.Goos {
		for _, goarch := range b.Goarch {
			targets = append(targets, goos+"/"+goarch)
		}
	}
	m := regexp.MustCompile(`(?m)^TARGETS = (.*)$`).FindStringSubmatch(atRoot(t, "Makefile"))
	if m == nil || !slices.Equal(slices.Sorted(slices.Values(targets)), slices.Sorted(slices.Values(strings.Fields(m[1])))) {
		t.Errorf("released are %q, and checked %q", targets, m)
	}
	if c.Version != 2 || b.Main != "./cmd/imgflow" || !slices.Contains(b.Flags, "-trimpath") || !strings.Contains(b.ModTimestamp, "CommitTimestamp") || !slices.Contains(b.Env, "CGO_ENABLED=0") || len(c.SBOMs) != 1 {
		t.Errorf("the build is %+v", c)
	}
	if !strings.Contains(strings.Join(b.Ldflags, " "), "-X github.com/imgflow/imgflow/internal/cli.version=") || !strings.Contains(atRoot(t, "internal/cli/version.go"), "\nvar version = ") {
		t.Error("the version is set in no variable that there is")
	}
	for _, hook := range c.Before.Hooks {
		words := strings.Fields(hook)
		if _, err := os.Stat(filepath.Join("..", "..", words[2])); err != nil || words[0] != "go" || words[1] != "run" {
			t.Errorf("the hook %q: %v", hook, err)
		}
	}
}

// The scripts of workflows are ones, and what they make is there to be made.
func TestOurWorkflows(t *testing.T) {
	files, err := filepath.Glob("../../.github/workflows/*.yml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%q, %v", files, err)
	}
	targets := regexp.MustCompile(`(?m)^([a-z]+):`).FindAllStringSubmatch(atRoot(t, "Makefile"), -1)
	for _, file := range files {
		var w struct {
			On          any
			Permissions map[string]string
			Jobs        map[string]struct {
				TimeoutMinutes int `yaml:"timeout-minutes"`
				Steps          []struct{ Uses, Run string }
			}
		}
		if err := yaml.Unmarshal([]byte(atRoot(t, filepath.Join(".github/workflows", filepath.Base(file)))), &w); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if w.On == nil || len(w.Permissions) == 0 || len(w.Jobs) == 0 {
			t.Errorf("%s has no beginning, no permissions or no jobs", file)
		}
		for name, j := range w.Jobs {
			if j.TimeoutMinutes == 0 {
				t.Errorf("%s: %s may run for ever", file, name)
			}
			for _, s := range j.Steps {
				if s.Uses != "" && !strings.Contains(s.Uses, "@") {
					t.Errorf("%s: %s is of no version", file, s.Uses)
				}
				if s.Run == "" {
					continue
				}
				cmd := exec.Command("bash", "-n")
				cmd.Stdin = strings.NewReader(s.Run)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s: %s: %v, %s", file, s.Run, err, out)
				}
				if made, ok := strings.CutPrefix(s.Run, "make "); ok && !slices.ContainsFunc(targets, func(m []string) bool { return m[1] == strings.TrimSpace(made) }) {
					t.Errorf("%s: nothing makes %s", file, made)
				}
			}
		}
	}
}

// What the image of a container is made of is in the repository, and runs as nobody in particular.
func TestDockerfile(t *testing.T) {
	text := atRoot(t, "Dockerfile")
	for _, want := range []string{"\nFROM scratch AS base\n", "\nUSER 65532:65532\n", "ca-certificates.crt", "CGO_ENABLED=0", "-trimpath", "./cmd/imgflow ", "./cmd/imgflow-fleet ", "\nFROM base AS fleet\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the Dockerfile lacks %q", want)
		}
	}
	if !strings.HasSuffix(text, "ENTRYPOINT [\"/usr/bin/imgflow\"]\n") {
		t.Error("what is built without a target is another program")
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(atRoot(t, "go.mod"))
	if !strings.Contains(text, "FROM golang:"+version[1]+" ") {
		t.Errorf("it is built by another Go than %s", version[1])
	}
}

var twice = flag.Bool("twice", false, "build the program twice, as for a release, and compare")

// TestBuildsAreTheSame builds the program in two directories.
func TestBuildsAreTheSame(t *testing.T) {
	if !*twice {
		t.Skip("NOT TESTED: whether two builds are the same bytes, which compiles everything anew: make same does")
	}
	var builds [][]byte
	for range 2 {
		dir := t.TempDir()
		for _, part := range []string{"go.mod", "go.sum", "cmd", "dag", "internal", "state", "steps", "template"} {
			if err := copyTree(filepath.Join("..", "..", part), filepath.Join(dir, part)); err != nil {
				t.Fatal(err)
			}
		}
		exe := filepath.Join(t.TempDir(), "imgflow")
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -X github.com/imgflow/imgflow/internal/cli.version=1.2.3", "-o", exe, "./cmd/imgflow")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		b, err := os.ReadFile(exe)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(dir)) {
			t.Error("the program tells where it was built")
		}
		if out, err := exec.Command(exe, "version").Output(); err != nil || !strings.HasPrefix(string(out), "imgflow 1.2.3 ") {
			t.Errorf("its version is %q, %v", out, err)
		}
		builds = append(builds, b)
	}
	if !bytes.Equal(builds[0], builds[1]) {
		t.Errorf("two builds of one source have %d and %d bytes, and are not the same", len(builds[0]), len(builds[1]))
	}
}

func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == "node_modules" {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		at := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(at, 0o755)
		case !d.Type().IsRegular() || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		return os.WriteFile(at, b, 0o644)
	})
}
