package provision

import (
	"fmt"
	"testing"
)

func TestGalaxyCalls(t *testing.T) {
	for text, want := range map[string]string{
		"- src: a\n":                            "[[role install -r f --force --roles-path r]]",
		"---\nroles:\n  - a\n":                  "[[role install -r f --force --roles-path r]]",
		"collections:\n- b\n":                   "[[collection install -r f --force --collections-path c]]",
		"roles: []\ncollections:\n  - roles: x": "[[role install -r f --force --roles-path r] [collection install -r f --force --collections-path c]]",
	} {
		if got := fmt.Sprint(galaxyCalls(text, "f", "r", "c", []string{"--force"})); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}
