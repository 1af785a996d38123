package interp_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/internal/interp"
)

type noVariable string

func (n noVariable) Error() string { return "undefined variable " + string(n) }
func (n noVariable) Hint() string  { return "declare it" }

func env() *interp.Env {
	vars := map[string]string{
		"region": "eu-west-1",
		"late":   "of {{ .SourceAMI }}",
		"pw":     interp.Mark("pw"),
		"braces": `a{{"{{"}}b`,
		"brace":  "{",
	}
	n := 0
	return &interp.Env{
		User: func(name string) (string, error) {
			if v, ok := vars[name]; ok {
				return v, nil
			}
			return "", noVariable(name)
		},
		BuildName: "web", BuildType: "amazon-ebs",
		Clock: time.Date(2026, 2, 3, 14, 5, 6, 7_000_000, time.UTC),
		UUID:  func() string { n++; return fmt.Sprintf("uuid-%d", n) },
		Dir:   "/t", Cwd: "/w",
		Secrets: map[string]string{"pw": "s3cret"},
	}
}

func TestEarly(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"plain } { text", "plain } { text"},
		{"a {{user `region`}} b", "a eu-west-1 b"},
		{"{{ user \"region\" | upper }}", "EU-WEST-1"},
		{"{{timestamp}}", "1770127506"},
		{"{{isotime}}", "2026-02-03T14:05:06Z"},
		{"{{isotime `2006-01-02`}}", "2026-02-03"},
		{"{{strftime `%Y%m%d-%H.%M.%S.%L %a %A %b %B %I %p %y %z %Z %% %q`}}", "20260203-14.05.06.007 Tue Tuesday Feb February 02 PM 26 +0000 UTC % %q"},
		{"{{uuid}} {{uuid}}", "uuid-1 uuid-2"},
		{"{{pwd}} {{template_dir}} {{packer_version}}", "/w /t " + interp.PackerVersion},
		{"{{build_name}}/{{build_type}}", "web/amazon-ebs"},
		{"{{split `a,b,c` `,` 1}}", "b"},
		{"{{replace `a` `x` 1 `banana`}}", "bxnana"},
		{"{{replace_all `a` `x` `banana`}}", "bxnxnx"},
		{"{{`a:b*c_d` | clean_resource_name}}", "a-b-c_d"},
		{"{{printf `%d` timestamp}}", "1770127506"},
		{"{{if eq (user `region`) `eu-west-1`}}EU{{else}}US{{end}}", "EU"},
		{"{{/* a }} comment */}}x", "x"},
		{"a  {{- user `region` -}}  b", "aeu-west-1b"},
		{"{{ $r := user `region` }}{{ $r }}!{{ $r }}", "eu-west-1!eu-west-1"},

		// What only a build knows stays as it is.
		{"{{ .SourceAMI }}", "{{ .SourceAMI }}"},
		{"x {{.SourceAMITags.Name}} y", "x {{.SourceAMITags.Name}} y"},
		{"{{  build  `ID`}} in {{user `region`}}", "{{  build  `ID`}} in eu-west-1"},
		{"chmod +x {{.Path}}; {{.Vars}} {{.Path}}", "chmod +x {{.Path}}; {{.Vars}} {{.Path}}"},
		{"{{user `late`}}!", "of {{ .SourceAMI }}!"},
		{"{{.A | upper}}", "{{.A | upper}}"},
		{"{{if .A}}x{{end}}", "{{if .A}}x{{end}}"},
		// Mixed: the part known now becomes a literal.
		{"{{printf `%s-%s` (user `region`) .SourceAMI}}", "{{printf `%s-%s` \"eu-west-1\" .SourceAMI}}"},
		{"{{user `region` | printf `%s-%s` .A}}", "{{\"eu-west-1\" | printf `%s-%s` .A}}"},
		{"{{printf `%d%s` timestamp .A}}", "{{printf `%d%s` 1770127506 .A}}"},
		{"{{if .A}}{{user `region`}}{{end}}", "{{if .A}}{{\"eu-west-1\"}}{{end}}"},
		// Braces that came out of an action are no action.
		{`docker inspect -f '{{"{{"}}.State{{"}}"}}'`, `docker inspect -f '{{"{{"}}.State}}'`},
		{`{{"{"}}{x`, `{{"{{"}}x`},
		{`{{user "brace"}}{{.A}}`, `{{"{"}}{{.A}}`},
		{`{{"{"}}{{.A}}`, `{{"{"}}{{.A}}`},

		// Secrets are markers.
		{"p={{user `pw`}}", "p=" + interp.Mark("pw")},
		{"{{user `pw` | upper}}", interp.Mark("upper(pw)")},
		{"{{replace_all `3` `e` (upper (user `pw`))}}", interp.Mark(`replace_all("3","e",upper(pw))`)},
		{"{{if eq (user `pw`) `s3cret`}}same{{end}}", "same"},
		{"{{len (user `pw`)}}", "6"},
		{"{{print (user `pw`) `!`}}", interp.Mark("pw") + "!"},
		{"{{printf `%s-%s` (user `pw`) .A}}", "{{printf `%s-%s` \"" + interp.Mark("pw") + "\" .A}}"},
	}
	for _, tt := range tests {
		got, err := interp.Early(tt.in, env())
		if err != nil || got != tt.want {
			t.Errorf("Early(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestDerivedSecrets(t *testing.T) {
	e := env()
	got, err := interp.Early("{{replace_all `3` `e` (upper (user `pw`))}} {{printf `<%s>` (user `pw`)}}", e)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.ToLower(got), "cret") {
		t.Errorf("the value is in %q", got)
	}
	text, err := interp.Reveal(got, func(name string) (string, error) {
		v, ok := e.Secrets[name]
		if !ok {
			return "", errors.New("no secret " + name)
		}
		return v, nil
	})
	if err != nil || text != "SeCRET <s3cret>" {
		t.Errorf("revealed %q, %v", text, err)
	}
}

// Two calls that differ only in where a comma stands must not share a name.
func TestDerivedNamesDiffer(t *testing.T) {
	e := env()
	got, err := interp.Early("{{replace_all `s,3` `c` (user `pw`)}}{{replace_all `s` `3,c` (user `pw`)}}", e)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Secrets) != 3 {
		t.Errorf("%d secrets in %q, want 3", len(e.Secrets), got)
	}
}

// Whoever knows the variables can make the derived secrets again from their names.
func TestResolve(t *testing.T) {
	e := env()
	texts := []string{
		"{{user `pw` | upper}}", "{{replace `s` `a,\"b)` 1 (user `pw` | upper | lower)}}", "{{split (user `pw`) `c` 1}}",
		"{{printf `%s:%d:%s` (user `pw`) 3 (print `x` (user `pw`))}}", "{{user `pw` | urlquery}}", "{{clean_resource_name (user `pw`)}}",
		"{{upper (print (user `pw`) `(`)}}",
	}
	for _, text := range texts {
		if _, err := interp.Early(text, e); err != nil {
			t.Fatal(err)
		}
	}
	if len(e.Secrets) < len(texts)+1 {
		t.Errorf("secrets %q", e.Secrets)
	}
	for name, want := range e.Secrets {
		got, err := interp.Resolve(name, func(n string) (string, bool) { return "s3cret", n == "pw" })
		if err != nil || got != want {
			t.Errorf("Resolve(%s) = %q, %v; want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"other", "upper(other)", "upper()", "upper(", "upper(pw,pw)", "nothing(pw)", `replace("a","b",c,pw)`, "split(pw)", `printf()`, "upper(3)"} {
		if got, err := interp.Resolve(name, func(n string) (string, bool) { return "s3cret", n == "pw" }); err == nil {
			t.Errorf("Resolve(%s) = %q", name, got)
		}
	}
}

func TestEarlyFaults(t *testing.T) {
	tests := []struct {
		in     string
		offset int
		text   string
		hint   string
	}{
		{"ab {{tiemstamp}}", 5, "unknown function tiemstamp", "timestamp"},
		{"{{clean_ami_name `x`}}", 2, "unknown function clean_ami_name", "clean_resource_name"},
		{"x{{ user `nope` }}", 4, "undefined variable nope", "declare it"},
		{"x{{ upper (user `nope`) }}", 11, "undefined variable nope", "declare it"},
		{"{{env `HOME`}}", 2, "env is available only in the variables section", "declare a variable"},
		{"{{vault `a` `b`}}", 2, "vault is available only in the variables section", "declare a variable with the value {{vault"},
		{"{{consul_key `a`}}", 2, "consul_key is available only in", "declare a variable"},
		{"{{sed `a` `b`}}", 2, "sed was removed", ""},
		{"{{split `a` `,` 3}}", 2, "split has no piece 3", ""},
		{"abc {{user `x`", 4, "the action has no closing }}", ""},
		{"abc {{user \"x }}", 4, "the text in \" quotes has no end", ""},
		{"{{if .A}}x", 0, "the statement has no {{end}}", ""},
		{"a{{end}}", 1, "unexpected {{end}}", ""},
		{"{{range .A}}{{end}}", 0, "range is not available", ""},
		{"{{define `a`}}{{end}}", 0, "define is not available", ""},
		{"{{user .A}}", 2, "user cannot take a build-time value", ""},
		{"{{user `late` | upper}}", 2, "the variable late holds a build-time value", ""},
		{"{{slice (user `pw`) 1}}", 0, "a function cannot take a part of a sensitive value", ""},
		{"{{split (user `pw`) `,` 9}}", 2, "the function fails on the sensitive value", ""},
		{"spoof \uE000pw", 6, "private characters", ""},
		{"spoof \uE001", 6, "private characters", ""},
		{"{{isotime `a` `b`}}", 2, "isotime takes one layout", ""},
		{"{{upper 3}}", 0, "expected string", ""},
	}
	for _, tt := range tests {
		_, err := interp.Early(tt.in, env())
		fs := interp.AsFaults(err)
		if len(fs) != 1 || fs[0].Offset != tt.offset || !strings.Contains(fs[0].Text, tt.text) || !strings.Contains(fs[0].Hint, tt.hint) {
			t.Errorf("Early(%q): %+v, want %d: %s (%s)", tt.in, fs, tt.offset, tt.text, tt.hint)
			for _, f := range fs {
				t.Logf("  %d: %s (%s)", f.Offset, f.Text, f.Hint)
			}
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Early(%q): the error shows the secret: %v", tt.in, err)
		}
	}
}

func TestEarlyReportsAllFaults(t *testing.T) {
	_, err := interp.Early("{{user `a`}} {{uper `x`}} {{user `region`}} {{user `b`}}", env())
	if fs := interp.AsFaults(err); len(fs) != 3 {
		t.Errorf("got %d faults (%v), want 3", len(fs), err)
	}
	var n noVariable
	if !errors.As(interp.AsFaults(err)[0], &n) || n != "a" {
		t.Errorf("the error of Env.User is lost in %v", err)
	}
}

func TestLate(t *testing.T) {
	data := map[string]any{"Path": "/tmp/s.sh", "Vars": "A='1' ", "SourceAMITags": map[string]string{"Name": "base"}, "None": map[string]string(nil)}
	build := func(name string) (string, error) {
		if name == "ID" {
			return "i-1", nil
		}
		return "", errors.New("there is no build value " + name)
	}
	tests := []struct{ in, want, fault string }{
		{"chmod +x {{.Path}}; {{.Vars}} {{.Path}}", "chmod +x /tmp/s.sh; A='1'  /tmp/s.sh", ""},
		{"{{ build `ID` | upper }}", "I-1", ""},
		{"{{ .SourceAMITags.Name }}", "base", ""},
		{"{{ .SourceAMITags.Nome }}|{{ .None.Name }}", "<no value>|<no value>", ""}, // as in Packer
		{"{{ if .SourceAMITags.Nome }}yes{{ else }}no{{ end }}", "no", ""},
		{"{{ index .SourceAMITags `Nome` }}", "", ""},
		{"{{ .SourceAMITags.Nome | upper }}", "", "the key is not there, and a function needs its value"},
		{"{{ upper .SourceAMITags.Nome | lower }}", "", "the key is not there, and a function needs its value"},
		{"{{ .SourceAMITags.Name.First }}", "", "can't evaluate field First in type string"},
		{`{{"{{"}}.State}}`, "{{.State}}", ""},
		{"{{ .Paht }}", "", "there is no .Paht here (did you mean .Path?)"},
		{"{{ build `Id` }}", "", "there is no build value Id"},
		{"{{ uper .Path }}", "", "unknown function uper (did you mean upper?)"},
		{"{{ timestamp }}", "", "timestamp is not available at build time"},
		{"{{ upper `" + interp.Mark("pw") + "` }}", "", "upper cannot change a sensitive value at build time"},
		{"{{ print `" + interp.Mark("pw") + "` .Path }}", interp.Mark("pw") + "/tmp/s.sh", ""},
	}
	for _, tt := range tests {
		got, err := interp.Late(tt.in, data, build)
		if tt.fault == "" && (err != nil || got != tt.want) || tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)) {
			t.Errorf("Late(%q) = %q, %v; want %q %s", tt.in, got, err, tt.want, tt.fault)
		}
	}
}

func TestPlainAndWaits(t *testing.T) {
	if got, err := interp.Plain(`a{{"{{"}}b`); err != nil || got != "a{{b" {
		t.Errorf("Plain = %q, %v", got, err)
	}
	_, err := interp.Plain("a {{ .Foo }} {{ build `ID` }}")
	fs := interp.AsFaults(err)
	if len(fs) != 2 || fs[0].Offset != 5 || fs[1].Offset != 16 || !strings.Contains(fs[1].Text, "{{ build `ID` }} is known only at build time") {
		t.Errorf("Plain: %v", err)
	}
	waits, err := interp.Waits("{{if .A.B}}{{build `C`}}{{end}}{{.}}{{$.D}}")
	if got := fmt.Sprint(waits); err != nil || got != "[{{ .A.B }} {{ build `C` }} {{ . }} {{ .D }}]" {
		t.Errorf("Waits = %s, %v", got, err)
	}
}

func TestBuildNeedsAName(t *testing.T) {
	for in, offset := range map[string]int{
		"a {{ build }}": 5, "{{ print build }}": 9, "{{ if .A }}{{ upper (build) }}{{ end }}": 21,
		"{{ build `ID` }}": -1, "{{ `ID` | build }}": -1, "{{ print (build `ID`) }}": -1,
	} {
		_, early := interp.Early(in, env())
		_, late := interp.Waits(in)
		for _, err := range []error{early, late} {
			at := -1
			for _, f := range interp.AsFaults(err) {
				at = f.Offset
			}
			if at != offset {
				t.Errorf("%s: fault at %d, want %d: %v", in, at, offset, err)
			}
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"ami_name", "ami_users", "region", "a", "ab"}
	for in, want := range map[string]string{"x": "", "A": "a", "ax": "a", "abx": "ab", "ami_nmae": "ami_name", "AMI_NAME": "ami_name", "regin": "region", "instance": "", "": ""} {
		if got := interp.Nearest(in, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

func seeds(f *testing.F) {
	for _, s := range []string{
		"", "{{", "}}", "{{}}", "{{user `region`}}", "{{ .A }}{{ build `B` }}", "{{user `pw` | upper}}", `{{"{{"}}`, "{{{.A}}",
		"{{- user `region` -}} x", "{{if .A}}a{{else if user `region`}}b{{end}}", "{{printf `%s` (user `pw`) .A}}", "{{/* x */}}",
		"{{ $x := user `region` }}{{ $x }}{{.A}}", "\uE000", "{{user `late`}}", "{{with user `region`}}{{.}}{{end}}", `{{'\''}}`,
		"{{$ 0}}",
	} {
		f.Add(s)
	}
}

func FuzzEarly(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in string) {
		e := env()
		got, err := interp.Early(in, e)
		if err != nil {
			for _, fault := range interp.AsFaults(err) {
				if fault.Offset < 0 || fault.Offset > len(in) {
					t.Fatalf("Early(%q): offset %d is outside", in, fault.Offset)
				}
			}
			return
		}
		if !strings.Contains(in, "s3cret") && strings.Contains(got, "s3cret") {
			t.Fatalf("Early(%q) = %q shows the secret", in, got)
		}
		if !strings.Contains(in, "{{") && got != in {
			t.Fatalf("Early(%q) = %q changes literal text", in, got)
		}
		// What is left must be something that the late pass can parse. Only an action
		// that waits for nothing may fail as early as that, as it would later.
		if _, err := interp.Waits(got); err != nil {
			if _, late := interp.Late(got, map[string]any{}, func(string) (string, error) { return "", nil }); late == nil {
				t.Fatalf("Early(%q) = %q: %v", in, got, err)
			}
		}
	})
}

func FuzzResolve(f *testing.F) {
	for _, s := range []string{"pw", "upper(pw)", `replace("a","b",1,upper(pw))`, `printf("%s",pw,"x")`, "upper(", `upper("\ue000pw\ue001")`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		interp.Resolve(name, func(n string) (string, bool) { return "s3cret", n == "pw" })
	})
}

func FuzzLate(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in string) {
		data := map[string]any{"A": "a", "B": map[string]string{"C": "c"}}
		got, err := interp.Late(in, data, func(n string) (string, error) { return n, nil })
		if err != nil {
			for _, fault := range interp.AsFaults(err) {
				if fault.Offset < 0 || fault.Offset > len(in) {
					t.Fatalf("Late(%q): offset %d is outside", in, fault.Offset)
				}
			}
		} else if !strings.Contains(in, "{{") && got != in {
			t.Fatalf("Late(%q) = %q changes literal text", in, got)
		}
	})
}

func TestUniform(t *testing.T) {
	for action, want := range map[string]string{
		"{{build `ID`}}":                          "{{ build `ID` }}",
		`{{- build "ID" -}}`:                      "{{ build `ID` }}", // the blanks beside it are gone
		`{{ build "ID" }}`:                        "{{ build `ID` }}",
		"{{.SourceAMI}}":                          "{{ .SourceAMI }}",
		"{{ .SourceAMITags.Name|upper }}":         "{{ .SourceAMITags.Name | upper }}",
		`{{ printf "a\nb ` + "`" + `" .Name }}`:   `{{ printf "a\nb ` + "`" + `" .Name }}`,
		`{{if .A}}x {{.B}}{{else}}"y"{{ end }}`:   `{{if .A}}x {{.B}}{{else}}"y"{{end}}`,
		"{{ upper (printf `%s` " + `"x"` + ") }}": "{{ upper (printf `%s` `x`) }}",
		"no action":                               "no action",
	} {
		if got := interp.Uniform(action); got != want {
			t.Errorf("%s is %s, want %s", action, got, want)
		} else if interp.Uniform(got) != got {
			t.Errorf("%s is %s once more", got, interp.Uniform(got))
		}
	}
}
