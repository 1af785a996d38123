package dagtest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestUnbound(t *testing.T) {
	kinds := (&Toy{}).Kinds()
	Bound(t, kinds)
	missing, err := unbound(".", kinds[1:])
	if err != nil || !slices.Equal(missing, []string{"keyPair (toy.keypair)"}) {
		t.Errorf("missing %q, %v", missing, err)
	}
}

func TestMisplaced(t *testing.T) {
	const step = "package p\ntype %s struct{}\nfunc (%s) Kind() string { return \"p.%k\" }\n"
	made := func(name, kind string) string { return strings.NewReplacer("%s", name, "%k", kind).Replace(step) }
	tested := func(name string) string {
		return "package p\nimport \"testing\"\nfunc TestIt(t *testing.T) { use(" + name + "{}) }\n"
	}
	for _, c := range []struct {
		what  string
		files map[string]string
		want  string
	}{
		{"after its kind", map[string]string{"keepit.go": made("Keep", "keep-it/2"), "keepit_test.go": tested("Keep")}, ""},
		{"after its type", map[string]string{"keep.go": made("Keep", "hold"), "keep_test.go": tested("Keep")}, ""},
		{"another name", map[string]string{"other.go": made("Keep", "hold"), "other_test.go": tested("Keep")}, "call the file hold.go or keep.go"},
		{"no test", map[string]string{"keep.go": made("Keep", "keep")}, "no test in keep_test.go uses Keep"},
		{"an empty test", map[string]string{"keep.go": made("Keep", "keep"), "keep_test.go": tested("Other")}, "no test in keep_test.go uses Keep"},
		{"no test, but its name", map[string]string{"keep.go": made("Keep", "keep"), "keep_test.go": "package p\nvar _ = Keep{}\n"}, "no test in keep_test.go uses Keep"},
		{"two in one", map[string]string{"keep.go": made("Keep", "keep") + "type Drop struct{}\nfunc (*Drop) Kind() string { return \"p.drop\" }\n",
			"keep_test.go": tested("Keep")}, "Drop stands in keep.go beside Keep: give it a file of its own, drop.go"},
	} {
		dir := t.TempDir()
		for name, text := range c.files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		faults, err := misplaced(dir)
		if err != nil || strings.Join(faults, "; ") != c.want && (c.want == "" || len(faults) != 1 || !strings.HasSuffix(faults[0], c.want)) {
			t.Errorf("%s: %q, %v, want %q", c.what, faults, err, c.want)
		}
	}
}
