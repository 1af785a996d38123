package template_test

import (
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/template"
)

func TestParseText(t *testing.T) {
	for source, want := range map[string]dag.Text{
		"":                                 "",
		"a } b":                            "a } b",
		"a {{ .X }} {{\"{{\"}}.Y}}":        "a " + dag.Word("{{ .X }}") + " {{.Y}}",
		"a {{- .X -}} b":                   "a" + dag.Word("{{- .X -}}") + "b",
		"{{ upper `x` }}{{ build `ID` }}":  "X" + dag.Word("{{ build `ID` }}"),
		"{{ if .X }}a{{ else }}b{{ end }}": dag.Word("{{ if .X }}a{{ else }}b{{ end }}"),
		"a {{ $x := .X }}b{{ $x }}":        dag.Word("a {{ $x := .X }}b{{ $x }}"),
		"a" + interp.Mark("pw") + "{{.X}}": "a" + dag.Text(dag.Mark("pw")) + dag.Word("{{.X}}"),
	} {
		got, err := template.ParseText(source)
		if err != nil || got != want {
			t.Errorf("%q is %q, %v; want %q", source, string(got), err, string(want))
		}
	}
	for source, want := range map[string]interp.Fault{
		"é {{ nope .X }}":                               {Offset: 6, Text: "unknown function nope"},
		"{{ .X }} {{ uuid }}":                           {Offset: 12, Text: "uuid is not available at build time"},
		"{{ .X }} {{ split `a` `,` 9 }}":                {Offset: 12, Text: "split has no piece 9: there are 1, counted from 0"},
		strings.Repeat("{{ printf `%9000000d` 1 }}", 2): {Offset: 26, Text: "the text would be longer than 16 MiB"},
	} {
		_, err := template.ParseText(source)
		if fs := interp.AsFaults(err); len(fs) != 1 || fs[0].Offset != want.Offset || fs[0].Text != want.Text {
			t.Errorf("%.40q: %v, want %v", source, fs, want)
		}
	}
}
