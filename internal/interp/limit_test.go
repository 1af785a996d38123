package interp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/internal/interp"
)

// A few short actions can ask for any amount of text; what is made is bounded, and the fault stands at the action.
func TestTextsAreBounded(t *testing.T) {
	e := env()
	big := strings.Repeat("0123456789", interp.MaxText/25) // fits twice, not three times
	e.User = func(name string) (string, error) {
		if name == "pw" {
			return interp.Mark("pw"), nil
		}
		return big, nil
	}
	e.Secrets = map[string]string{"pw": big}
	const a, pw = "{{user `a`}}", "{{user `pw`}}"
	for text, want := range map[string]string{
		a + "xx" + a:          "",
		"x" + a + a + a:       "25: the text would be longer than 16 MiB",
		strings.Repeat(pw, 3): "0: the text would be longer than 16 MiB",
		"x{{print (user `a`) (user `a`) (user `a`)}}":           "3: the text would be longer than 16 MiB",
		"{{if true}}" + a + a + a + "{{end}}":                   "0: the text would be longer than 16 MiB",
		"{{replace_all `0` (user `a`) (user `a`)}}":             "2: the text would be longer than 16 MiB",
		"{{replace `0` (user `a`) 2 (user `a`) | len}}":         "2: the text would be longer than 16 MiB",
		"{{replace `0` `00` 2 (user `a`) | len}}":               "",
		"{{html (user `a`) (user `a`) (user `a`)}}":             "2: the text would be longer than 16 MiB",
		"{{urlquery (user `pw`) (user `pw`) (user `pw`)}}":      "2: the text would be longer than 16 MiB",
		"{{printf `%[1]s%[1]s%[1]s` (user `a`)}}":               "2: the text would be longer than 16 MiB",
		"{{printf `%s-%s` (user `a`) `x` | len}}":               "",
		"{{printf `" + strings.Repeat("%999999d", 99) + "` 1}}": "2: the text would be longer than 16 MiB",
		"{{printf `" + strings.Repeat("%*d", 99) + "` 9 1}}":    "2: the text would be longer than 16 MiB",
		"{{printf `%05d of 20261129101112131415` 7 | len}}":     "",
	} {
		name := text
		if len(name) > 60 {
			name = name[:60]
		}
		got := ""
		if _, err := interp.Early(text, e); err != nil {
			got = faultsAt(err)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	late := strings.Repeat("{{ .A }}", 3)
	if _, err := interp.Late(late, map[string]any{"A": big}, nil); err == nil || !strings.Contains(err.Error(), "longer than 16 MiB") {
		t.Error("late:", err)
	}
}

// The name of a derived secret holds the names of those that it is made of, and quotes them.
func TestDerivedNamesAreBounded(t *testing.T) {
	e := env()
	value := interp.Mark("pw")
	e.User = func(string) (string, error) { return value, nil }
	for i := range 40 {
		next, err := interp.Early("{{printf `x%s` (printf `%s-y` (user `a`))}}{{printf `%s` (printf `%s-z` (user `a`))}}", e)
		if err != nil {
			if !strings.Contains(err.Error(), "too many functions are applied to the sensitive value") {
				t.Error(err)
			}
			return
		}
		if value = next; len(value) > 1<<20 {
			t.Fatalf("after %d rounds a name has %d bytes", i, len(value))
		}
	}
	t.Error("there is no bound")
}

// What comes from the environment, a folder's name or an escape may be no UTF-8, which no option can hold.
func TestTextsAreUTF8(t *testing.T) {
	e := env()
	e.Getenv = func(string) string { return "a\xffb" }
	e.Dir, e.Cwd = "/t\xff", "/w\xff"
	e.User = func(string) (string, error) { return "caf\u00e9", nil }
	for text, want := range map[string]string{
		"a\xff":                                 "1: the value is not UTF-8",
		"é\ufffd":                               "",
		"x {{env `A`}}":                         "2: the value is not UTF-8",
		"{{template_dir}}":                      "0: the value is not UTF-8",
		"xy{{pwd}}":                             "2: the value is not UTF-8",
		"{{ \"\\xff\" }}":                       "0: the value is not UTF-8",
		"{{slice (user `a`) 0 4}}":              "0: the value is not UTF-8",
		"{{ printf \"%s%s\" (env `A`) .Late }}": "0: the value is not UTF-8",
		"{{ clean_resource_name (env `A`) }}":   "",
	} {
		got := ""
		if _, err := interp.Early(text, e); err != nil {
			got = faultsAt(err)
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if s, err := interp.Late("{{ printf \"\\xff%s\" .A }}", map[string]any{"A": "x"}, nil); err == nil {
		t.Errorf("late: %q", s)
	}
}

// faultsAt writes the faults of an error with their offsets.
func faultsAt(err error) string {
	var parts []string
	for _, f := range interp.AsFaults(err) {
		parts = append(parts, fmt.Sprintf("%d: %s", f.Offset, f.Text))
	}
	return strings.Join(parts, "; ")
}
