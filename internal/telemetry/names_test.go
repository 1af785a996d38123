package telemetry

import (
	"encoding/pem"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/cicdconv"
	"go.opentelemetry.io/otel/semconv/v1.43.0/rpcconv"
)

func writePEM(t *testing.T, file string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// namesIn are the texts of constants and calls in a file that may be names of what is sent.
func namesIn(t *testing.T, file string, prefixes ...string) (names []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			s, _ := strconv.Unquote(lit.Value)
			if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) && !strings.Contains(s, "/") }) {
				names = append(names, s)
			}
		}
		return true
	})
	return names
}

// docs/tracing.md names all that is sent, and nothing else.
func TestNamesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/tracing.md")
	if err != nil {
		t.Fatal(err)
	}
	prefixes := []string{"imgflow.", "cicd.", "rpc.", "aws.", "http.", "cloud.", "error.", "exception.", "service.", "telemetry."}
	sent := map[string]bool{eventRetry: true, eventWarning: true, eventGone: true, eventAnew: true}
	for _, file := range []string{"names.go", "measures.go", "provider.go", "../../steps/aws/spans.go", "../app/fleet/levels.go"} {
		for _, name := range namesIn(t, file, prefixes...) {
			sent[name] = true
		}
	}
	told := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		told[m[1]] = true
	}
	for name := range sent {
		if !told[name] {
			t.Errorf("%s is sent, and in no table of docs/tracing.md", name)
		}
	}
	for name := range told {
		if !sent[name] && !strings.HasPrefix(name, "OTEL_") && !strings.HasPrefix(name, "TRACE") {
			t.Errorf("%s is in docs/tracing.md, and not sent", name)
		}
	}
	if len(sent) < 30 {
		t.Errorf("only %d names were found", len(sent))
	}
}

// What has a name in the conventions of OpenTelemetry has that name.
func TestNamesAreConventional(t *testing.T) {
	for ours, theirs := range map[attribute.Key]attribute.Key{
		keyPipeline: semconv.CICDPipelineNameKey, keyRunID: semconv.CICDPipelineRunIDKey, keyAction: semconv.CICDPipelineActionNameKey, keyResult: semconv.CICDPipelineResultKey,
		keyTask: semconv.CICDPipelineTaskNameKey, keyTaskRun: semconv.CICDPipelineTaskRunIDKey, keyTaskType: semconv.CICDPipelineTaskTypeKey, keyTaskResult: semconv.CICDPipelineTaskRunResultKey,
		keyError: semconv.ExceptionMessageKey, keyErrorType: semconv.ErrorTypeKey, keySystem: semconv.RPCSystemNameKey, keyMethod: semconv.RPCMethodKey, keyRegion: semconv.CloudRegionKey,
	} {
		if ours != theirs {
			t.Errorf("%s is called %s", ours, theirs)
		}
	}
	for i, theirs := range map[int]string{0: rpcconv.ClientCallDuration{}.Name(), 3: cicdconv.PipelineRunDuration{}.Name()} {
		if measures[i].name != theirs {
			t.Errorf("%s is called %s", measures[i].name, theirs)
		}
	}
	results := []string{string(cicdconv.PipelineResultSuccess), string(cicdconv.PipelineResultFailure), string(cicdconv.PipelineResultCancellation), string(cicdconv.PipelineResultSkip)}
	if ours := []string{success, failure, cancellation, skip}; !slices.Equal(ours, results) {
		t.Errorf("the results %q are called %q", ours, results)
	}
}
