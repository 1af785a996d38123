package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// licences are those that a dependency may have, as docs/dependencies.md writes them.
var licences = []string{"MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "MPL-2.0", "ISC", "MIT and Apache-2.0"}

var dependencyRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]*) \\| ([^|]*) \\| ([^|]*) \\|$")

// docs/dependencies.md has every module that a go.mod asks for, and no other.
func TestDependencies(t *testing.T) {
	text, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for _, m := range dependencyRow.FindAllStringSubmatch(string(text), -1) {
		name, licence, released, why := m[1], m[2], m[3], m[4]
		rows[name] = true
		if !slices.Contains(licences, licence) {
			t.Errorf("%s has the licence %q, which is none of %q", name, licence, licences)
		}
		if !strings.HasPrefix(released, "20") || len(why) < 3 {
			t.Errorf("%s: when it was released last, and what for: %q, %q", name, released, why)
		}
	}
	asked := map[string]bool{}
	for _, dir := range []string{"../..", "../../bench", "../../internal/pluginpeer", "../../internal/temporaldev"} {
		for _, name := range directRequirements(t, dir) {
			asked[name] = true
			if !rows[name] {
				t.Errorf("%s/go.mod asks for %s, which is not in docs/dependencies.md", dir, name)
			}
		}
	}
	for name := range rows {
		if !asked[name] {
			t.Errorf("docs/dependencies.md has %s, which no go.mod asks for", name)
		}
	}
}

// directRequirements are the modules that a go.mod asks for itself, but for our own.
func directRequirements(t *testing.T, dir string) (names []string) {
	t.Helper()
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go mod edit in %s: %v", dir, err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	for _, r := range mod.Require {
		if !r.Indirect && r.Path != module {
			names = append(names, r.Path)
		}
	}
	return names
}
