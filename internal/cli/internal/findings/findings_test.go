package findings

import (
	"bytes"
	"encoding/xml"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/template"
)

func found() []Finding {
	at := template.NewFile("images/web image.json", []byte("{\n \"ä\": 1}\n")).Pos(4)
	return Of(
		template.Errors{{Pos: at, Text: `cannot use "<b>" & co`, Hint: "write it otherwise", Code: errcode.TemplateOption}, {Pos: template.Pos{File: "command line"}, Text: "cannot build: there is no build", Code: errcode.UnknownName}},
		template.Errors{{Pos: at, Text: "it has no effect\x1b[2J", Code: errcode.OptionIdle}},
		template.Errors{{Text: "it cannot run", Code: errcode.Unsupported}})
}

// What is written is SARIF, as its own schema says.
func TestSARIF(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("testdata/sarif-2.1.0-rtm.5.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]Finding{nil, found()} {
		var b bytes.Buffer
		if err := WriteSARIF(&b, list, "1.2.3"); err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b.Bytes()))
		if err == nil {
			err = schema.Validate(v)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		run := v.(map[string]any)["runs"].([]any)[0].(map[string]any)
		if results := run["results"].([]any); len(results) != len(list) {
			t.Errorf("%d results of %d findings", len(results), len(list))
		}
		if len(list) == 0 {
			continue
		}
		for _, want := range []string{`"uri": "images/web%20image.json"`, `"startLine": 2,`, `"startColumn": 3`, `"ruleId": "template-option"`, `"level": "note"`, `"name": "imgflow"`} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s is not in\n%s", want, b.String())
			}
		}
		if strings.Contains(b.String(), "command line\"\n") || strings.Contains(b.String(), "\x1b") {
			t.Errorf("a place that is no file, or an escape:\n%s", b.String())
		}
	}
}

// The XML is read back, by a second reader, too.
func TestJUnit(t *testing.T) {
	for _, list := range [][]Finding{nil, found()} {
		var b bytes.Buffer
		if err := WriteJUnit(&b, list, "t.json"); err != nil {
			t.Fatal(err)
		}
		var s junitSuites
		if err := xml.Unmarshal(b.Bytes(), &s); err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		failures := 0
		for _, f := range list {
			if f.Level == Error {
				failures++
			}
		}
		if s.Failures != failures || s.Suite.Failures != failures || s.Tests != max(1, failures) || len(s.Suite.Cases) != s.Tests {
			t.Errorf("%+v", s)
		}
		if failures > 0 && (s.Suite.Cases[0].Failure.Message != `cannot use "<b>" & co` || s.Suite.Cases[0].Name != "template-option at 2:3" || !strings.Contains(s.Suite.Out, "no effect")) {
			t.Errorf("%+v", s.Suite)
		}
		py, err := exec.LookPath("python3")
		if err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal("python3 is missing")
			}
			continue
		}
		cmd := exec.Command(py, "-c", "import sys, xml.etree.ElementTree as e; r = e.parse(sys.stdin).getroot(); print(r.tag, len(r.findall('testsuite/testcase/failure')))")
		cmd.Stdin = &b
		if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != map[bool]string{true: "testsuites 0", false: "testsuites 2"}[failures == 0] {
			t.Errorf("%v: %s", err, out)
		}
	}
}
