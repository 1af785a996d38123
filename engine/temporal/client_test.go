package temporal

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"go.temporal.io/sdk/log"
)

var quiet = log.NewStructuredLogger(slog.New(slog.DiscardHandler))

func jsonText(s string) json.RawMessage { return json.RawMessage(s) }

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"temporal://127.0.0.1:7233/fleet":      "127.0.0.1:7233 fleet false",
		"temporal://temporal.example":          "temporal.example:7233 default false",
		"temporals://temporal.example:443/a.b": "temporal.example:443 a.b true",
		"temporal://[::1]:1234/x":              "[::1]:1234 x false",
		"http://127.0.0.1:7233/fleet":          "",
		"temporal:///fleet":                    "",
		"temporal://u:hunter2@host/fleet":      "",
		"temporal://host/a/b":                  "",
		"temporal://host/a?b=c":                "",
		"temporal://ho st/%zz":                 "",
	} {
		o, err := options(address)
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "temporal://HOST:PORT/NAMESPACE") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v", address, err)
			}
			continue
		}
		got := o.HostPort + " " + o.Namespace + map[bool]string{true: " true", false: " false"}[o.ConnectionOptions.TLS != nil]
		if err != nil || got != want {
			t.Errorf("%s: %s, %v", address, got, err)
		}
	}
}

// By what a run is found, and how it comes among others.
func TestASubmissionCanBeFound(t *testing.T) {
	long := strings.Repeat("ü", 300)
	s := Submission{Template: "web.pkr.hcl", Builds: []string{"a", long}, Team: long, Priority: 2}
	o := s.start("run-1")
	if o.ID != "run-1" || o.TaskQueue != taskQueue || !o.WorkflowExecutionErrorWhenAlreadyStarted {
		t.Errorf("%+v", o)
	}
	template, _ := o.TypedSearchAttributes.GetKeyword(templateKey)
	builds, _ := o.TypedSearchAttributes.GetKeywordList(buildsKey)
	status, _ := o.TypedSearchAttributes.GetKeyword(statusKey)
	team, _ := o.TypedSearchAttributes.GetKeyword(teamKey)
	if template != "web.pkr.hcl" || len(builds) != 2 || builds[0] != "a" || builds[1] != long[:2*mostWord] || status != "running" || team != long[:2*mostWord] {
		t.Errorf("it is found by %q, %q, %q, %q", template, builds, status, team)
	}
	if o.Priority.PriorityKey != 2 || o.Priority.FairnessKey != long[:64] {
		t.Errorf("it comes as %+v", o.Priority)
	}
	if _, there := (Submission{Template: "t"}).start("r").TypedSearchAttributes.GetKeyword(teamKey); there {
		t.Error("a run of no team has one")
	}
}
