package provenance

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// aRun has found a source, made an image with a script, and failed at something else.
func aRun() Run {
	rec := func(name, kind string, after time.Duration, change func(*dag.Record)) dag.Record {
		r := dag.Record{Status: dag.Done, Begun: noon.Add(after).In(time.FixedZone("", 3600)), Ended: noon.Add(time.Hour), Finished: noon.Add(after + time.Second)}
		r.Name, r.Kind, r.Builds, r.Key = name, kind, []string{"web"}, dag.Key{byte(after / time.Second)}
		if change != nil {
			change(&r)
		}
		return r
	}
	return Run{ID: "r1", Started: noon, Ended: noon.Add(time.Hour), Version: "1.2", Parameters: Parameters{Template: "t.json", Variables: map[string]string{"a": "b"}},
		Records: []dag.Record{
			rec("ready", "ready", 9*time.Second, func(r *dag.Record) {
				r.Needs = []dag.Key{{1}, {5}}
				r.Artifacts = []dag.Artifact{{Kind: "image", ID: "ami-1", Region: "eu"}}
			}),
			rec("source", "source", time.Second, nil),
			rec("again", "source", 2*time.Second, nil),
			rec("shell", "shell", 5*time.Second, func(r *dag.Record) {
				r.Spec = json.RawMessage(`{"scripts":[{"path":"/x/a.sh","digest":"sha256:aa"},{"path":"/x/b.sh","digest":"sha256:bb"}],"other":{"path":"/y"},"secret":"s3cret"}`)
			}),
			rec("failed", "shell", 6*time.Second, func(r *dag.Record) { r.Status, r.Err, r.Finished = dag.StatusFailed, "boom", time.Time{} }),
			rec("failed again", "shell", 6*time.Second, func(r *dag.Record) { r.Status, r.Err = dag.StatusFailed, "boom" }),
			rec("doing", "shell", 7*time.Second, func(r *dag.Record) { r.Status, r.Finished = dag.Doing, time.Time{} }),
			rec("launch", "launch", 3*time.Second, func(r *dag.Record) {
				r.Status, r.Report = dag.Gone, "packages" // it has served
				r.Artifacts = []dag.Artifact{{Kind: "image", ID: "ami-gone", Region: "eu"}}
			}),
		},
		Describe: func(r dag.Record) (found, made, byproducts []Descriptor) {
			if r.Kind == "source" {
				found = append(found, Descriptor{Name: "ubuntu", URI: "arn:source", Digest: map[string]string{"awsId": "ami-0"}})
			}
			for _, a := range r.Artifacts {
				made = append(made, Descriptor{Name: a.ID, URI: "arn:" + a.ID, Digest: map[string]string{"awsId": a.ID}})
			}
			if r.Report != "" {
				byproducts = append(byproducts, Descriptor{Name: r.Report})
			}
			return found, made, byproducts
		}}
}

// A statement has what was made, what from, and every step that was done, in time's order.
func TestOf(t *testing.T) {
	r := aRun()
	s, err := Of(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Subject) != 1 || s.Subject[0].Digest["awsId"] != "ami-1" || s.Subject[0].Annotations["imgflowKey"] != r.Records[0].Key.String() {
		t.Errorf("subjects %+v", s.Subject)
	}
	d := s.Predicate.BuildDefinition
	if len(d.ResolvedDependencies) != 1 || d.ResolvedDependencies[0].URI != "arn:source" {
		t.Errorf("made from %+v", d.ResolvedDependencies)
	}
	var names []string
	for _, step := range d.InternalParameters.Steps {
		names = append(names, step.Name)
		if step.Begun.Location() != time.UTC || step.Ended.Sub(step.Begun) != time.Second {
			t.Errorf("%s from %s to %s", step.Name, step.Begun, step.Ended)
		}
	}
	if want := []string{"source", "again", "launch", "shell", "ready"}; !slices.Equal(names, want) {
		t.Errorf("steps %q, want %q", names, want)
	}
	last, shell := d.InternalParameters.Steps[4], d.InternalParameters.Steps[3]
	if !slices.Equal(last.Inputs, []string{r.Records[1].Key.String(), r.Records[3].Key.String()}) {
		t.Errorf("inputs %q", last.Inputs)
	}
	if !slices.Equal(shell.Files, []File{{"/x/a.sh", "sha256:aa"}, {"/x/b.sh", "sha256:bb"}}) {
		t.Errorf("files %+v", shell.Files)
	}
	run := s.Predicate.RunDetails
	if run.Metadata != (Metadata{"r1", noon, noon.Add(time.Hour)}) || run.Builder.Version["imgflow"] != "1.2" || len(run.Byproducts) != 1 {
		t.Errorf("%+v", run)
	}
	text, err := json.Marshal(s)
	if err != nil || strings.Contains(string(text), "s3cret") || !strings.Contains(string(text), `"variables":{"a":"b"}`) {
		t.Errorf("%s, %v", text, err)
	}
}

// The record of an earlier version does not say when a step was done, but for one whose output is still there.
func TestOfAnEarlierVersion(t *testing.T) {
	r := aRun()
	for i := range r.Records {
		r.Records[i].Finished = time.Time{}
	}
	s, err := Of(r)
	if err != nil || len(s.Subject) != 1 {
		t.Fatalf("%+v, %v", s.Subject, err)
	}
	for _, step := range s.Predicate.BuildDefinition.InternalParameters.Steps {
		if step.Name == "launch" || step.Ended.IsZero() {
			t.Errorf("%+v", step)
		}
	}
}

// What was removed again was not made.
func TestOfNothing(t *testing.T) {
	r := aRun()
	r.Records = r.Records[1:]
	if _, err := Of(r); err == nil || !strings.Contains(err.Error(), "cannot make a statement of run r1: ") {
		t.Error(err)
	}
}
