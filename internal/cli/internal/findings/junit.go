package findings

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/imgflow/imgflow/internal/self"
)

type (
	junitSuites struct {
		XMLName  xml.Name   `xml:"testsuites"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Suite    junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
		Out      string      `xml:"system-out,omitempty"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Failure *junitFailure `xml:"failure"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes findings as JUnit's XML: a test that fails for each fault of the template, one that
// passes if there is none. What is no fault stands in the output of the suite.
func WriteJUnit(w io.Writer, list []Finding, name string) error {
	s := junitSuite{Name: self.Command("validate")}
	var out []string
	for _, f := range list {
		if f.Level != Error {
			out = append(out, fmt.Sprintf("%s: %s", f.Level, f.Error.Error()))
			continue
		}
		class := f.Pos.File
		if class == "" {
			class = name
		}
		title := string(f.Code)
		if f.Pos.Line > 0 {
			title = fmt.Sprintf("%s at %d:%d", f.Code, f.Pos.Line, f.Pos.Column)
		}
		s.Cases = append(s.Cases, junitCase{class, title, &junitFailure{f.Text, string(f.Code), f.Error.Error()}})
	}
	if s.Failures = len(s.Cases); s.Failures == 0 {
		s.Cases = []junitCase{{Class: name, Name: "valid"}}
	}
	s.Tests, s.Out = len(s.Cases), strings.Join(out, "\n")
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(junitSuites{Tests: s.Tests, Failures: s.Failures, Suite: s}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
