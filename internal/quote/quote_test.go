package quote_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/internal/quote"
)

// A shell sees the words that were meant, and nothing else.
func TestSh(t *testing.T) {
	words := []string{"", "a", "a b", "it's", "''", "'", `\`, `\'`, "$HOME `id` $(id)", "a\nb\n", "-n", "*", "~", "é\x80", `"`, "#", "a;b&c|d>e"}
	out, err := exec.Command("/bin/sh", "-c", `for w in `+quote.Sh(words...)+`; do printf '%s\001' "$w"; done`).Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Join(words, "\x01") + "\x01"; string(out) != want {
		t.Errorf("%q, want %q", out, want)
	}
	if got := quote.Sh(); got != "" {
		t.Errorf("no words are %q", got)
	}
}
