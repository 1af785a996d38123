package compile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/compile"
)

// object evaluates one object of options, with the variable pw as a secret.
func object(t *testing.T, options string) (template.Value, map[string]string) {
	t.Helper()
	src := `{"variables": {"pw": "hunter2", "r": "eu"}, "sensitive-variables": ["pw"], "builders": [
{"type": "x", "o": ` + options + `}]}`
	tmpl, errs := template.Parse("t.json", []byte(src))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	ev, errs := tmpl.Evaluate(template.Inputs{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	v, _ := ev.Builds[0].Options.Get("o")
	return v, ev.Secrets
}

type inner struct {
	Size int   `json:"size"`
	On   *bool `json:"on"`
}

type Embedded struct {
	Region dag.Text `json:"region"`
}

type all struct {
	Embedded
	Flat    inner                 `option:"flatten"`
	Text    string                `json:"text"`
	Bool    bool                  `json:"bool"`
	Tri     *bool                 `json:"tri"`
	Count   *int                  `json:"count"`
	Port    uint16                `json:"port"`
	Price   float64               `json:"price"`
	Wait    time.Duration         `json:"wait"`
	Owners  []string              `json:"owners"`
	Codes   []int                 `json:"codes"`
	Tags    map[dag.Text]dag.Text `json:"tags" option:"late"`
	Disk    inner                 `json:"disk"`
	Extra   *inner                `json:"extra"`
	Disks   []inner               `json:"disks"`
	Blocks  []Embedded            `json:"blocks" option:"late=SourceAMI"`
	Late    dag.Secret            `json:"late" option:"late"`
	Command dag.Text              `json:"command" option:"late=Path+Vars+build"`
	Image   dag.Text              `json:"image" option:"late=SourceAMI+build"`
	Secret  dag.Secret            `json:"secret"`
	Script  steps.File            `json:"script"`
	Scripts []steps.File          `json:"scripts"`

	Old    string `json:"old" option:"deprecated=text"`
	Never  bool   `json:"never" option:"unsupported"`
	Hidden string `json:"hidden" option:"-"`

	Taken dag.Take[comm.Machine] `json:"taken"`
}

func decode(t *testing.T, options string, into any) (template.Errors, map[string]string) {
	t.Helper()
	v, secrets := object(t, options)
	return compile.Decode(v, into, compile.Scope{What: "x", Path: "web.x", Secrets: secrets}), secrets
}

func TestDecode(t *testing.T) {
	yes, no, three := true, false, 3
	tests := []struct {
		options string
		want    all
	}{
		{`{}`, all{}},
		{`{"text": null, "disks": null, "tri": null}`, all{}},
		{`{"region": "{{user ` + "`r`" + `}}", "size": 8, "on": "false"}`, all{Embedded: Embedded{"eu"}, Flat: inner{8, &no}}},
		{`{"text": 1.50, "bool": "true", "tri": "1", "count": "3", "port": 22.0, "price": "0.5", "wait": "1m30s"}`,
			all{Text: "1.50", Bool: true, Tri: &yes, Count: &three, Port: 22, Price: 0.5, Wait: 90 * time.Second}},
		{`{"text": true, "bool": 0, "tri": "", "count": "", "port": "", "wait": ""}`, all{Text: "true"}},
		{`{"owners": "amazon", "codes": 3}`, all{Owners: []string{"amazon"}, Codes: []int{3}}},
		{`{"owners": "a,b", "codes": "0,2"}`, all{Owners: []string{"a", "b"}, Codes: []int{0, 2}}},
		{`{"owners": ["a,b", 7, null], "codes": ["0", 2]}`, all{Owners: []string{"a,b", "7", ""}, Codes: []int{0, 2}}},
		{`{"codes": [null], "disks": [null]}`, all{Codes: []int{0}, Disks: []inner{{}}}},
		{`{"owners": ""}`, all{Owners: []string{}}},
		{`{"owners": "{{user ` + "`pw`" + ` | replace ` + "`a,b` `,` 1" + `}},x"}`, all{Owners: []string{interp.Mark(`replace("a,b",",",1,pw)`), "x"}}},
		{`{"tags": {"A": "b", "n": 1, "late": "{{ .SourceAMI }}", "gone": null}}`, all{Tags: map[dag.Text]dag.Text{"A": "b", "n": "1", "late": dag.Word("{{ .SourceAMI }}"), "gone": ""}}},
		{`{"tags": [{"A": "b"}, {"c": "d"}]}`, all{Tags: map[dag.Text]dag.Text{"A": "b", "c": "d"}}},
		{`{"disk": {"size": 1}, "extra": [{"on": true}], "disks": {"size": 2}}`,
			all{Disk: inner{Size: 1}, Extra: &inner{On: &yes}, Disks: []inner{{Size: 2}}}},
		{`{"disks": [{"size": 2}, {"on": false}]}`, all{Disks: []inner{{Size: 2}, {On: &no}}}},
		{`{"command": "{{.WinRMPassword}}"}`, all{Command: dag.Word(`{{.WinRMPassword}}`)}},
		{`{"command": "{{.Vars}} {{ build ` + "`ID`" + ` }} {{.Path}} {{\"{{\"}}"}`, all{Command: dag.Word("{{.Vars}}") + " " + dag.Word("{{ build `ID` }}") + " " + dag.Word("{{.Path}}") + " {{"}},
		{`{"text": "{{\"{{\"}}.State}}"}`, all{Text: "{{.State}}"}},
		{`{"text": "p={{user ` + "`pw`" + `}}"}`, all{Text: "p=" + interp.Mark("pw")}},
		{`{"secret": "{{user ` + "`pw`" + `}}"}`, all{Secret: dag.Secret(interp.Mark("pw"))}},
		{`{"secret": ""}`, all{}},
		{`{"blocks": {"region": "{{ .SourceAMI }}"}}`, all{Blocks: []Embedded{{dag.Word("{{ .SourceAMI }}")}}}},
		{`{"late": "echo {{user ` + "`pw`" + `}} | {{.Path}}"}`, all{Late: dag.Secret("echo " + dag.Text(interp.Mark("pw")) + " | " + dag.Word("{{.Path}}"))}},
		{`{"tags": {"{{ .SourceAMI }}": "{{user ` + "`r`" + `}}", "{{user ` + "`r`" + `}}": "x"}}`, all{Tags: map[dag.Text]dag.Text{dag.Word("{{ .SourceAMI }}"): "eu", "eu": "x"}}},
		{`{"never": false}`, all{}},
	}
	for _, tt := range tests {
		var got all
		errs, _ := decode(t, tt.options, &got)
		if len(errs) > 0 || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v\n%v", tt.options, got, tt.want, errs)
		}
	}
}

func TestDefaultsStay(t *testing.T) {
	got := all{Text: "default", Port: 22}
	if errs, _ := decode(t, `{"port": 23}`, &got); len(errs) > 0 || got.Text != "default" || got.Port != 23 {
		t.Errorf("%+v %v", got, errs)
	}
}

// What the user writes into a secret option is sealed, also when a part of it was sealed before.
func TestSealed(t *testing.T) {
	for options, want := range map[string]string{
		`{"secret": "literal"}`:                           "literal",
		`{"secret": "a-{{user ` + "`pw`" + `}}"}`:         "a-hunter2",
		`{"secret": 1234}`:                                "1234",
		`{"secret": "{{\"{{\"}}{{user ` + "`pw`" + `}}"}`: "{{hunter2",
	} {
		var got all
		errs, secrets := decode(t, options, &got)
		if len(errs) > 0 || got.Secret != dag.Secret(interp.Mark("web.x.secret")) || secrets["web.x.secret"] != want {
			t.Errorf("%s: %q, %q, %v", options, got.Secret, secrets, errs)
		}
	}
}

// What no step has to evaluate is sealed in a late option, too.
func TestSealedLate(t *testing.T) {
	var got all
	errs, secrets := decode(t, `{"late": "literal"}`, &got)
	if len(errs) > 0 || got.Late != dag.Secret(interp.Mark("web.x.late")) || secrets["web.x.late"] != "literal" {
		t.Errorf("%q, %q, %v", got.Late, secrets, errs)
	}
}

func TestDecodeErrors(t *testing.T) {
	type must struct {
		Name string `json:"name" option:"required"`
		Sub  []struct {
			Name string `json:"name" option:"required"`
		} `json:"sub"`
		Timeout time.Duration `json:"ssh_timeout"`
		Odd     chan int      `json:"odd"`
		Tokens  int           `json:"token_count"`
	}
	tests := []struct {
		options string
		into    any
		want    string // place: text | hint; all columns are those in {"type": "x", "o": …}
	}{
		{`{"txet": 1}`, &all{}, `2:21: cannot use txet: x has no such option | did you mean "text"?`},
		{`{"disks": [{"size": 1, "sise": 2}]}`, &all{}, `2:43: cannot use disks[0].sise: x has no such option | did you mean "size"?`},
		{`{"hidden": 1}`, &all{}, `2:21: cannot use hidden: x has no such option | `},
		{`{"taken": {}}`, &all{}, `2:21: cannot use taken: x has no such option | `},
		{`{"old": 1}`, &all{}, `2:21: cannot use old: it is called text now | `},
		{`{"name": "n", "ssh_wait_timeout": "1m"}`, &must{}, `2:34: cannot use ssh_wait_timeout: it is called ssh_timeout now | `},
		{`{"never": "yes"}`, &all{}, `2:30: cannot use never: true or false is expected, not "yes" | `},
		{`{"never": true}`, &all{}, `2:21: cannot use never: not supported yet | `},
		{`{}`, &must{}, `2:20: cannot use x: the option name is missing | `},
		{`{"name": ""}`, &must{}, `2:29: cannot use name: it is empty | `},
		{`{"name": [1]}`, &must{}, `2:29: cannot use name: a text is expected, not a list | `},
		{`{"name": "n", "sub": [{}]}`, &must{}, `2:42: cannot use x: the option sub[0].name is missing | `},
		{`{"name": "n", "odd": 1}`, &must{}, `2:41: cannot use odd: options of the type chan int cannot be read | this is a defect of imgflow: please report it`},
		{`{"blocks": [{"region": "{{.X}}"}]}`, &all{}, `2:43: cannot use blocks[0].region: {{ .X }} means nothing here | only {{ .SourceAMI }} does`},
		{`{"command": "{{.Xyz}}"}`, &all{}, `2:32: cannot use command: {{ .Xyz }} means nothing here | {{ .Path }} does, and Vars`},
		{`{"command": "{{ $.Xyz }}"}`, &all{}, `2:32: cannot use command: {{ .Xyz }} means nothing here | {{ .Path }} does, and Vars`},
		{"{\"command\": \"{{build `Hots`}} {{build `ID`}} {{build (print `I` `D`)}}\"}", &all{},
			"2:32: cannot use command: {{ build `Hots` }} means nothing here | did you mean {{ build `Host` }}?"},
		{"{\"tags\": {\"a\": \"{{build `Nope`}}\"}}", &all{},
			"2:35: cannot use tags.a: {{ build `Nope` }} means nothing here | {{ build `BuildRegion` }} does, and SourceAMI, SourceAMICreationDate, SourceAMIName, SourceAMIOwner, SourceAMIOwnerName, ConnType, Host, ID, PackerHTTPAddr, PackerHTTPIP, PackerHTTPPort, PackerRunUUID, Password, Port, SSHAgentAuth, SSHPrivateKey, SSHPrivateKeyFile, SSHPublicKey, User, WinRMPassword"},
		{"{\"image\": \"{{build `SourceAMI`}}{{build `ID`}}\"}", &all{},
			"2:30: cannot use image: {{ build `ID` }} means nothing here | only {{ build `SourceAMI` }} does"},
		{`{"image": "{{.SourceAMI}}{{.ID}}"}`, &all{}, "2:30: cannot use image: {{ .ID }} means nothing here | only {{ .SourceAMI }} does"},
		{"{\"blocks\": [{\"region\": \"{{build `ID`}}\"}]}", &all{}, "2:43: cannot use blocks[0].region: {{ build `ID` }} means nothing here | only {{ .SourceAMI }} does"},
		{`{"nmae": "n"}`, &must{}, `2:21: cannot use nmae: x has no such option | did you mean "name"?`},
		{`{"name": "n", "sub": [{"name": []}, {}]}`, &must{}, `2:51: cannot use sub[0].name: a text is expected, not a list | 
2:56: cannot use x: the option sub[1].name is missing | `},
		{`{"name": "n", "token_count": "hunter2"}`, &must{}, `2:49: cannot use token_count: a whole number is expected, not this text | `},
		{`{"wait": 5}`, &all{}, `2:29: cannot use wait: a duration needs a unit | write "5s" for seconds or "5m" for minutes`},
		{`{"wait": "5 minutes"}`, &all{}, `2:29: cannot use wait: "5 minutes" is not a duration | write it as "90s", "5m" or "1h30m"`},
		{`{"bool": "perhaps"}`, &all{}, `2:29: cannot use bool: true or false is expected, not "perhaps" | `},
		{`{"bool": {}}`, &all{}, `2:29: cannot use bool: a boolean is expected, not an object | `},
		{`{"port": 70000}`, &all{}, `2:29: cannot use port: a whole number is expected, not "70000" | `},
		{`{"port": -1}`, &all{}, `2:29: cannot use port: a whole number is expected, not "-1" | `},
		{`{"count": 1.5}`, &all{}, `2:30: cannot use count: a whole number is expected, not "1.5" | `},
		{`{"codes": ["x"]}`, &all{}, `2:31: cannot use codes[0]: a whole number is expected, not "x" | `},
		{`{"price": "x"}`, &all{}, `2:30: cannot use price: a number is expected, not "x" | `},
		{`{"disk": 3}`, &all{}, `2:29: cannot use disk: an object is expected, not a number | `},
		{`{"disks": "x"}`, &all{}, `2:30: cannot use disks: a list is expected, not a text | `},
		{`{"tags": "x"}`, &all{}, `2:29: cannot use tags: an object is expected, not a text | `},
		{`{"tags": {"a": {}}}`, &all{}, `2:35: cannot use tags.a: a text is expected, not an object | `},
		{`{"tags": {"\ue000pw\ue001": "x"}}`, &all{}, "2:30: cannot use tags.\ue000pw\ue001: the private characters U+E000 to U+E005 are not allowed in a template | "},
		{`{"text": "{{ .SourceAMI }}"}`, &all{}, "2:29: cannot use text: {{ .SourceAMI }} is known only at build time, too late for this | "},
		{`{"command": "{{.Paht}}"}`, &all{}, "2:32: cannot use command: {{ .Paht }} means nothing here | did you mean {{ .Path }}?"},
		{`{"port": "{{user ` + "`pw`" + `}}"}`, &all{}, `2:29: cannot use port: a sensitive variable can only stand in a text | `},
		{`{"script": "{{user ` + "`pw`" + `}}"}`, &all{}, `2:31: cannot use script: a sensitive variable cannot stand in the name of a file | `},
	}
	for _, tt := range tests {
		errs, _ := decode(t, tt.options, tt.into)
		var got []string
		for _, e := range errs {
			got = append(got, fmt.Sprintf("%d:%d: %s | %s", e.Pos.Line, e.Pos.Column, e.Text, e.Hint))
		}
		if s := strings.Join(got, "\n"); s != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.options, s, tt.want)
		}
	}
}

func TestFiles(t *testing.T) {
	cwd, dir, home := t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	write := func(path string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(path), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{cwd + "/both.sh", dir + "/both.sh", dir + "/only.sh", dir + "/d/f", home + "/h.sh"} {
		write(path)
	}
	v, secrets := object(t, `{"script": "./both.sh", "scripts": ["only.sh", "`+dir+`/only.sh", "~/h.sh"]}`)
	scope := compile.Scope{What: "x", Secrets: secrets, Files: &compile.Files{Cwd: cwd, Dir: dir}}
	var got all
	if errs := compile.Decode(v, &got, scope); len(errs) > 0 {
		t.Fatal(errs)
	}
	var paths []string
	for _, f := range append([]steps.File{got.Script}, got.Scripts...) {
		paths = append(paths, f.Path)
		if f.Digest == "" {
			t.Errorf("no digest for %s", f.Path)
		}
	}
	want := []string{cwd + "/both.sh", dir + "/only.sh", dir + "/only.sh", home + "/h.sh"}
	if !reflect.DeepEqual(paths, want) {
		t.Errorf("got  %q\nwant %q", paths, want)
	}
	for _, name := range []string{"d/", "d"} { // only some steps take a directory, and look for it themselves
		f, err := scope.Files.Find(name)
		if err != nil || f.Path != dir+"/"+name || f.Digest == "" {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
		v, _ := object(t, `{"script": "`+name+`"}`)
		errs := compile.Decode(v, &all{}, scope)
		if len(errs) != 1 || errs[0].Text != "cannot use script: "+name+" is a directory, and a file is expected" {
			t.Errorf("%s: %v", name, errs)
		}
	}

	v, _ = object(t, `{"scripts": "a.sh,only.sh"}`)
	errs := compile.Decode(v, &all{}, scope)
	if len(errs) != 1 || errs[0].Text != "cannot use scripts[0]: there is no file or directory a.sh" ||
		errs[0].Hint != "looked for "+cwd+"/a.sh and "+dir+"/a.sh" {
		t.Errorf("%v", errs)
	}
}

// An option of whatever shape keeps digits, secrets and what is late, each in its place.
func TestDecodeAny(t *testing.T) {
	v, secrets := object(t, `{"json": {"a": {"n": 1.50, "t": true, "none": null, "list": ["x", 2, [], {}]}, "pw": "{{user `+"`pw`"+`}}!", "host": "{{ build `+"`Host`"+` }}"}}`)
	var x struct {
		JSON steps.Any `json:"json" option:"late=build"`
	}
	if errs := compile.Decode(v, &x, compile.Scope{What: "x", Path: "p", Secrets: secrets}); len(errs) > 0 {
		t.Fatal(errs)
	}
	got := ""
	m := x.JSON.Map
	for _, w := range []steps.Any{m["a"].Map["n"], m["a"].Map["t"], m["a"].Map["none"], m["a"].Map["list"].List[1], m["a"].Map["list"].List[2], m["a"].Map["list"].List[3]} {
		got += w.Word + " "
	}
	if got != "1.50 true null 2 [] {} " || *m["a"].Map["list"].List[0].Text != "x" {
		t.Errorf("%s: %+v", got, x.JSON)
	}
	if pw := *m["pw"].Text; strings.Contains(string(pw), "hunter2") || len(pw.Secrets()) != 1 || secrets[pw.Secrets()[0]] != "hunter2" {
		t.Errorf("the secret is %q", pw)
	}
	if words := m["host"].Text.Words(); len(words) != 1 {
		t.Errorf("late: %q", words)
	}
	for options, want := range map[string]string{
		`{"json": {"a": ["{{ .Nope }}"]}}`:        "cannot use json.a[0]",
		"{\"json\": {\"{{ build `Host` }}\": 1}}": "too late for this",
	} {
		v, _ := object(t, options)
		if errs := compile.Decode(v, &x, compile.Scope{What: "x"}); len(errs) != 1 || !strings.Contains(errs[0].Error(), want) {
			t.Errorf("%s: %v", options, errs)
		}
	}
}
