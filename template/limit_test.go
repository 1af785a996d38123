package template_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/template"
)

// faultsOf evaluates a template whose JSON is right.
func faultsOf(t *testing.T, src string, in template.Inputs) template.Errors {
	t.Helper()
	tmpl, errs := template.Parse("t.json", []byte(src))
	if tmpl == nil {
		return errs
	}
	_, more := tmpl.Evaluate(in)
	return append(errs, more...).Sorted()
}

// Variables that grow from one to the next are stopped where they are too long, and what follows from that is not told.
func TestGrowthIsBounded(t *testing.T) {
	grow := func(n int, sensitive string) string {
		var b strings.Builder
		b.WriteString(`{"variables": {"v0": "0123456789"`)
		for i := range n {
			fmt.Fprintf(&b, ",\n\"v%d\": %q", i+1, strings.Repeat(fmt.Sprintf("{{user `v%d`}}", i), 10))
		}
		fmt.Fprintf(&b, `}, "sensitive-variables": [%s], "builders": [{"type": "x", "o": "{{user `+"`v%d`"+`}}"}]}`, sensitive, n)
		return b.String()
	}
	for _, sensitive := range []string{"", `"v0"`, `"v3"`, `"v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7"`} {
		errs := faultsOf(t, grow(10, sensitive), inputs())
		if len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), "t.json:8:") || !strings.Contains(errs[0].Text, "cannot evaluate variables.v7: the text would be longer than 16 MiB") {
			t.Errorf("sensitive %s: %v", sensitive, errs)
		}
	}
	// No text is too long, but there are many.
	src := grow(6, "")
	src = strings.TrimSuffix(src, "]}") + strings.Repeat(`, {"type": "x", "name": "{{uuid}}", "o": "{{user `+"`v6`"+`}}"}`, 40) + "]}"
	errs := faultsOf(t, src, inputs())
	if len(errs) != 1 || !strings.HasSuffix(errs[0].Text, ".o: all texts together would be longer than 256 MiB") || errs[0].Pos.Line != 7 {
		t.Errorf("many texts: %v", errs)
	}
}

// A long row of variables that use one another takes no stack without bound.
func TestRowOfVariables(t *testing.T) {
	row := func(n int) string {
		var b strings.Builder
		b.WriteString(`{"variables": {`)
		for i := range n {
			fmt.Fprintf(&b, "\"v%d\": \"{{user `v%d` | upper}}\",\n", i, i+1)
		}
		fmt.Fprintf(&b, `"v%d": "x"}, "builders": [{"type": "x"}]}`, n)
		return b.String()
	}
	if errs := faultsOf(t, row(900), inputs()); len(errs) > 0 {
		t.Error(errs)
	}
	errs := faultsOf(t, row(20_000), inputs())
	if len(errs) == 0 || !strings.Contains(errs[0].Text, "more than 1000 variables use one another in a row") || errs[0].Pos.Line == 0 {
		t.Errorf("%d faults, %v", len(errs), errs[:min(len(errs), 2)])
	}
}

// What is no UTF-8 is told at its place, whether a file, the command line or the environment holds it.
func TestUTF8(t *testing.T) {
	in := inputs()
	in.Environ = func(string) string { return "a\xff" }
	in.Vars = map[string]string{"given": "b\xff", "na\xffme": "x"}
	in.VarFiles = []template.VarFile{{Name: "v.json", Src: []byte("{\n\"file\": \"\xfe\"}")}}
	errs := faultsOf(t, `{"variables": {"given": "", "e": "x{{env `+"`A`"+`}}"}, "builders": [{"type": "x"}]}`, in)
	want := `-var given: cannot evaluate variables.given: the value is not UTF-8
-var na�me: cannot set the variable: its name is not UTF-8
t.json:1:36: cannot evaluate variables.e: the value is not UTF-8
v.json:2:10: cannot read the variable file: the text is not UTF-8`
	want = strings.ReplaceAll(want, "\\ufffd", "\ufffd")
	var got []string
	for _, e := range errs {
		got = append(got, e.Error())
	}
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	for _, src := range []string{
		"{\"variables\": {\"a\xff\": \"hunter2\"}, \"sensitive-variables\": [\"a\xff\"]}",
		"{\"sensitive-variables\": \"\xff\xfe\", \"\xff\xfe\": \"hunter2\"}",
		"\xff", "{\"a\": \xff}", "{\"\xc3\": 1}",
	} {
		text := faultsOf(t, src, inputs()).Error()
		if !strings.Contains(text, "cannot read the template: the text is not UTF-8") || strings.Contains(text, "hunter") {
			t.Errorf("%q: %s", src, text)
		}
	}
}
