package termsafe

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestRemoteOutputCannotDriveTheTerminal(t *testing.T) {
	for in, want := range map[string]string{
		"plain ä\ttab":               "plain ä\ttab",
		"10%\r50%\r100%\r":           "100%",
		"\x1b[31mred\x1b[0m":         "red",
		"\x1b[2J\x1b[Hgone":          "gone",
		"\x1b]0;title\x07text":       "text",
		"\x1b]8;;x\x1b\\link":        "link",
		"bell\a back\b nul\x00":      "bell back nul",
		"\u009b2Jc1":                 "2Jc1",
		"torn \x1b[":                 "torn ",
		"torn \x1b":                  "torn ",
		"not utf8 \xff end\x1b[m":    "not utf8 \ufffd end",
		"\xc2\x1e\x9b32J":            "\ufffd\ufffd32J", // half a control character on each side of one that is dropped
		"\xc2\x1b[m\x9b2J":           "\ufffd\ufffd2J",
		"\xe2\x80\x00\xae":           "\ufffd\ufffd\ufffd", // the same with U+202E
		"user\u202etxt.exe":          "user\ufffdtxt.exe",
		"a\u2066b\u2069\u200f\u061c": "a\ufffdb\ufffd\ufffd\ufffd",
		"one\u2028two\u206a":         "one\ufffdtwo\ufffd",
		"tag\U000e0041":              "tag\ufffd",
		"👩\u200d🚀 é e\u0301":         "👩\u200d🚀 é e\u0301", // joiners and marks are text
	} {
		if got := Clean(in, false); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Clean("\x1b[1;31mred\x1b[0m\x1b[2J", true); got != "\x1b[1;31mred\x1b[0m" {
		t.Errorf("with colours: %q", got)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[31mred\x1b]0;x\x07\r\xff")
	f.Add("\xc2\x1e\x9b2J")
	f.Add("\xe2\x80\x00\xae")
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s, false)
		if i := strings.IndexFunc(got, Unsafe); i >= 0 || !utf8.ValidString(got) {
			t.Errorf("Clean(%q) = %q", s, got)
		}
		colored := Clean(s, true)
		if left := colors.ReplaceAllString(colored, ""); strings.ContainsRune(left, 0x1b) {
			t.Errorf("Clean(%q) with colours = %q", s, colored)
		}
	})
}

var colors = regexp.MustCompile("\x1b\\[[0-9;:]*m")
