package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/state"
)

// provoked names for each code a test that provokes the failure: a test of Go, or a script of this program.
var provoked = map[errcode.Code]string{
	errcode.Usage: "errors.txtar", errcode.Failed: "errors.txtar", errcode.Interrupted: "errors.txtar", errcode.Defect: "TestPanicIsAFailure",
	errcode.TemplateSyntax: "errors.txtar", errcode.TemplateValue: "errors.txtar", errcode.TemplateOption: "errors.txtar", errcode.TemplateWarning: "errors.txtar",
	errcode.UnknownName: "errors.txtar", errcode.DuplicateName: "errors.txtar", errcode.OptionMissing: "errors.txtar", errcode.OptionIdle: "errors.txtar",
	errcode.VariableNotSet: "errors.txtar", errcode.ConditionFailed: "errors.txtar", errcode.Unsupported: "errors.txtar", errcode.NoSuchFile: "errors.txtar",
	errcode.RunNotFound: "errors.txtar", errcode.RunBusy: "errors.txtar", errcode.SecretWithheld: "errors.txtar", errcode.StatementInvalid: "errors.txtar",
	errcode.StateDamaged: "TestDamage", errcode.StateNewer: "TestSchema", errcode.StateUnwritable: "TestFullDisk", errcode.ThingsExist: "TestPrune",
	errcode.NotRemoved: "TestOutcome", errcode.UnknownStepKind: "TestKindThatIsNotBoundIsRefused",
	errcode.NoCredentials: "errors.txtar", errcode.CredentialsExpired: "TestExpiredCredentials", errcode.Unauthorized: "TestErrorCodes", errcode.Throttled: "TestErrorCodes", errcode.NoCapacity: "TestErrorCodes", errcode.QuotaReached: "TestErrorCodes",
	errcode.NameTaken: "TestNameCheck", errcode.CloudNotFound: "TestErrorCodes", errcode.CloudRefused: "TestErrorCodes", errcode.CloudNoAnswer: "TestErrorCodes",
	errcode.ConnectTimeout: "errors.txtar", errcode.AuthRefused: "TestConnectRefused", errcode.HostKeyChanged: "TestHostKeyMismatch", errcode.CertUntrusted: "TestCertificates",
	errcode.MachineDown: "TestWait", errcode.JobLost: "TestWindowsRebootedBeforeHeard", errcode.ScriptFailed: "errors.txtar", errcode.TimedOut: "errors.txtar",
}

// constants are the names of the codes in the source of package errcode.
func constants(t *testing.T) map[errcode.Code]string {
	t.Helper()
	p, err := os.ReadFile("../../internal/errcode/table.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[errcode.Code]string{}
	for line := range strings.Lines(string(p)) {
		if f := strings.Fields(line); len(f) == 4 && f[1] == "Code" && f[2] == "=" {
			names[errcode.Code(strings.Trim(f[3], `"`))] = "errcode." + f[0]
		}
	}
	return names
}

// Each code is in the table, and the test that is named for it asks for the code.
func TestEveryCodeIsProvoked(t *testing.T) {
	names := constants(t)
	if len(names) != len(errcode.Table) || len(provoked) != len(errcode.Table) {
		t.Errorf("%d codes, of which %d are told of and %d have a test", len(names), len(errcode.Table), len(provoked))
	}
	funcs := testFunctions(t)
	for _, i := range errcode.Table {
		test, word := provoked[i.Code], names[i.Code]
		text := funcs[test]
		if strings.HasSuffix(test, ".txtar") {
			p, err := os.ReadFile("testdata/script/" + test)
			if err != nil {
				t.Fatal(err)
			}
			text, word = string(p), string(i.Code)
		}
		if word == "" || !strings.Contains(text, word) {
			t.Errorf("%s: %q does not ask for it", i.Code, test)
		}
	}
}

// testFunctions are the texts of all tests of the repository.
func testFunctions(t *testing.T) map[string]string {
	t.Helper()
	funcs := map[string]string{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		p, err := os.ReadFile(path)
		for f := range strings.SplitSeq(string(p), "\nfunc Test") {
			name, body, _ := strings.Cut(f, "(")
			body, _, _ = strings.Cut(body, "\n}\n")
			funcs["Test"+name] += body
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return funcs
}

// docs/errors.md is made of the table.
func TestReferenceOfErrors(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# Codes of failures

What fails has a code: a short word that stays, whatever becomes of the message beside it. A command that failed ends with the line "More: imgflow explain CODE" (but for faults of a template, which say themselves what to do), events that
tell of a failure have the field ` + "`code`" + `, and so has what commands print with ` + "`--json`" + ` ([json.md](json.md)). Faults of a template have one each; it is the rule of a SARIF report.

A code never comes to mean something else, and none goes; new ones may come. What has none of its own is ` + "`failed`" + `, or ` + "`usage`" + ` if the command line is wrong.
Where one failure causes another, the outer one decides: a script that is cut off since its time was up is ` + "`timed-out`" + `.

This page is made of [internal/errcode](../internal/errcode/table.go) by ` + "`go test ./internal/cli -run TestReference -update`" + `. The last line of each names a test that provokes it.
`)
	for _, i := range errcode.Table {
		test := "`" + provoked[i.Code] + "`"
		if strings.HasSuffix(provoked[i.Code], ".txtar") {
			test = "[" + provoked[i.Code] + "](../internal/cli/testdata/script/" + provoked[i.Code] + ")"
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s %s\n\nWhat to do: %s\n\nProvoked by %s.\n", i.Code, i.Summary, i.Means, i.Do, test)
	}
	const path = "../../docs/errors.md"
	if *updateReference {
		if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != b.String() {
		t.Errorf("%s is stale (%v): %s", path, err, howToUpdate)
	}
}

func TestOutcome(t *testing.T) {
	sum := state.Summary{ID: "r1", Status: state.Failed}
	step := dag.Failure{Node: dag.Node{Name: "shell", Builds: []string{"web"}}, Err: errcode.With(errcode.ScriptFailed, errors.New("it says hunter2"))}
	hide := func(s string) string { return strings.ReplaceAll(s, "hunter2", "<sensitive>") }
	for _, c := range []struct {
		report *dag.Report
		status int
		code   errcode.Code
	}{
		{&dag.Report{Failed: []dag.Failure{step}}, exitFailed, errcode.ScriptFailed},
		{&dag.Report{Left: []dag.Failure{step}}, exitFailed, errcode.NotRemoved},
		{&dag.Report{}, exitFailed, errcode.Failed},
		{&dag.Report{Suspended: true}, exitInterrupt, errcode.Interrupted},
	} {
		err := outcome(&app.Result{Report: c.report, Summary: sum}, c.status == exitInterrupt, hide)
		var exit *exitError
		if !errors.As(err, &exit) || exit.code != c.status || codeOf(err, exit.code) != c.code || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v: status %v, code %s, want %d and %s", err, exit, codeOf(err, c.status), c.status, c.code)
		}
	}
}
