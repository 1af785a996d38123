package posh

import (
	_ "embed"
	"strings"
	"testing"
)

//go:embed testdata/language.txt
var languageTable string

// testdata/language.txt holds the rules of the language that scripts lean on, one
// small script each.
func TestLanguage(t *testing.T) {
	for _, l := range strings.Split(languageTable, "\n") {
		if l == "" || l[0] == '#' {
			continue
		}
		script, want, ok := strings.Cut(l, " #=>")
		if !ok {
			t.Fatalf("no script with its output: %s", l)
		}
		want = strings.TrimPrefix(want, " ")
		fails := strings.HasSuffix(want, "~")
		want = strings.TrimSuffix(want, "~")
		b := newBox(t)
		r := b.run("-NoProfile", "-Command", strings.ReplaceAll(script, "⏎", "\n"))
		got := strings.ReplaceAll(strings.TrimRight(strings.ReplaceAll(r.out, "\r\n", "\n"), "\n"), "\n", "|")
		if got != want || (r.err != "") != fails || strings.Contains(r.err, ErrOutside.Error()) {
			t.Errorf("%s\n got  %q\n want %q, an error: %v\n%s", script, got, want, fails, r.err)
		}
	}
}
