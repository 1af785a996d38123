package dag

import (
	"slices"
	"strings"
	"testing"
)

// The lines of a key's text show what is compared, and never a secret.
func TestLines(t *testing.T) {
	n := Node{Kind: "k", Canon: canonical("k", struct {
		Text, Long, Whole string
		Script            content
		List              []string
		Map               map[string]string
		On                Out[string]
		Late              Text
		Count             int
		Yes               bool
		Broken            string
	}{
		Text: "echo \"a\"\t" + Mark("pw") + "!", Long: "one\ntwo\n", Whole: Mark("pw"),
		Script: content{"setup.sh", "sha256:0123456789abcdef0123456789"},
		List:   []string{"x", "y"}, Map: map[string]string{"b.c": "2", "a": "1"}, On: Out[string]{key: Key{7}},
		Late:  "image " + part(refOpen, Key{7}.String()+".ID") + " of " + Word("{{ .Region "+Mark("pw")+"}}"),
		Count: 3, Yes: true, Broken: string(refOpen) + "xyz",
	}, keyForm, func(string) string { return "0123456789abcdef" })}
	n.Spec = []byte(`{"Script":{"path":"dir/setup.sh","digest":"sha256:0123456789abcdef0123456789"}}`)
	got := n.Lines(func(k Key) string {
		if k == (Key{7}) {
			return "launch"
		}
		return "?"
	})
	want := []string{
		"kind: k",
		`Broken: "` + `\ue004xyz"`,
		"Count: 3",
		`Late: "image <.ID of launch> of {{ .Region <secret 01234567>}}"`,
		`List[0]: "x"`, `List[1]: "y"`,
		"Long | one", "Long | two",
		`Map.a: "1"`, `Map.b.c: "2"`,
		"On: what launch makes",
		"Script: the file dir/setup.sh, whose content is sha256:0123456789ab",
		// The digest is of all that stands together with a secret.
		`Text: "<secret 01234567>"`,
		`Whole: "<secret 01234567>"`,
		"Yes: true",
	}
	if !slices.Equal(got, want) {
		t.Fatalf("the lines are\n%s\n\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, canon := range []string{"", "x", salt + "k\n{", salt + "k\n\"\\ud800\"", salt + "k"} {
		Node{Kind: "k", Canon: canon}.Lines(Key.String) // whatever a store holds
	}
}
