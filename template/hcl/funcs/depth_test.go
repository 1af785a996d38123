package funcs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"
)

func nested(open, middle, end string, n int) string {
	return strings.Repeat(open, n) + middle + strings.Repeat(end, n)
}

// TestDeepTexts gives texts to functions that would follow them until the stack is at its end, which no process survives.
func TestDeepTexts(t *testing.T) {
	n := 10 << 20
	laughs := "a0: &a0 [x, x]\n"
	for i := range 60 {
		laughs += fmt.Sprintf("a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	const deep = "nested deeper than 500 levels"
	w := world(t)
	for name, row := range map[string]struct{ call, text, want string }{
		"JSON open":           {"jsondecode(x)", strings.Repeat("[", n), deep},
		"JSON lists":          {"jsondecode(x)", nested("[", "", "]", MaxDepth+1), deep},
		"JSON objects":        {"jsondecode(x)", nested(`{"a":`, "1", "}", MaxDepth+1), deep},
		"JSON as deep as can": {"jsondecode(x)", nested("[", `"[[[{\"[["`, "]", MaxDepth), ""},
		"JSON wide":           {"jsondecode(x)", "[" + strings.Repeat("[],", 5000) + "0]", ""},
		"YAML open":           {"yamldecode(x)", strings.Repeat("[", n), "exceeded max depth"},
		"YAML flow":           {"yamldecode(x)", nested("[", "", "]", MaxDepth+1), deep},
		"YAML block":          {"yamldecode(x)", nested("- ", "x", "", MaxDepth+1), deep},
		"YAML as deep as can": {"yamldecode(x)", nested("- ", "x", "", MaxDepth), ""},
		"YAML laughs":         {"yamldecode(x)", laughs, "its aliases stand for more than 100000 values"},
		"YAML alias":          {"yamldecode(x)", "a: &a [1, 2]\nb: *a\n", ""},
		"YAML in itself":      {"yamldecode(x)", "a: &a [*a, *a]\n", "from inside its own definition"},
		"YAML keys of keys":   {"yamldecode(x)", strings.Repeat("? ", n), "exceeded max depth"},
		"template":            {`templatefile("x", {})`, "${" + strings.Repeat("(", n/50), "inside each other"},
		"templates in texts":  {`templatefile("x", {})`, strings.Repeat(`${"`, n/150), "inside each other"},
		"template of nots":    {`templatefile("x", {})`, "${" + strings.Repeat("!", n/50) + "true}", "operators in a row"},
		"template of parts":   {`templatefile("x", {})`, strings.Repeat("${1}", maxParts+1), "x:1:1: Too many parts: it has more than 100000 ${…} and %{…}"},
		"no template":         {`templatefile("x", {})`, strings.Repeat("(", 1000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(w.Dir, "x"), []byte(row.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := eval(w, row.call, map[string]cty.Value{"x": cty.StringVal(row.text)})
			if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("%.300v", err)
			}
		})
	}
	// Files that are filled again and again count together.
	w.Rounds = &Rounds{}
	if err := os.WriteFile(filepath.Join(w.Dir, "x"), []byte(strings.Repeat("${x}", maxParts/2)), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, words := range []string{"", "", "of the files that it fills go round more than 100000 times"} {
		if _, err := eval(w, `templatefile("x", { x = "" })`, nil); (err == nil) != (words == "") || err != nil && !strings.Contains(err.Error(), words) {
			t.Errorf("time %d: %.300v", i, err)
		}
	}
	// What is wrong with a secret is not told.
	_, err := eval(w, "jsondecode(x)", map[string]cty.Value{"x": cty.StringVal(nested("[", "", "]", 600)).Mark("secret")})
	if err == nil || !strings.Contains(err.Error(), "secret value") || strings.Contains(err.Error(), "500") {
		t.Error(err)
	}
}
