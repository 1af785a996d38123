package provenance

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// The types of what is written.
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PredicateType = "https://slsa.dev/provenance/v1"
	BuildType     = "https://github.com/imgflow/imgflow/build/v1"
	BuilderID     = "https://github.com/imgflow/imgflow"
)

// Statement is an in-toto statement with a SLSA provenance predicate.
type Statement struct {
	Type          string       `json:"_type"`
	Subject       []Descriptor `json:"subject"`
	PredicateType string       `json:"predicateType"`
	Predicate     Predicate    `json:"predicate"`
}

// Descriptor names a thing outside of the statement.
type Descriptor struct {
	Name        string            `json:"name,omitempty"`
	URI         string            `json:"uri,omitempty"`
	Digest      map[string]string `json:"digest,omitempty"`
	MediaType   string            `json:"mediaType,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Predicate is the provenance itself.
type Predicate struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// BuildDefinition is what was asked for, and what it was made from.
type BuildDefinition struct {
	BuildType            string             `json:"buildType"`
	ExternalParameters   Parameters         `json:"externalParameters"`
	InternalParameters   InternalParameters `json:"internalParameters"`
	ResolvedDependencies []Descriptor       `json:"resolvedDependencies,omitempty"`
}

// Parameters are what the user gave.
type Parameters struct {
	Template  string            `json:"template"`            // as a path, or - for standard input
	Digest    string            `json:"digest,omitempty"`    // of its text, sha256:hex; of several files, of all with their names
	Variables map[string]string `json:"variables,omitempty"` // given on the command line, without those that are secret
	VarFiles  []string          `json:"varFiles,omitempty"`
	Only      []string          `json:"only,omitempty"`
	Except    []string          `json:"except,omitempty"`
	Enforced  []string          `json:"enforced,omitempty"` // files that have added to every build
	Endpoint  string            `json:"endpoint,omitempty"` // of the cloud, where it is not AWS's own
	Local     bool              `json:"local,omitempty"`    // built on the embedded EC2: its images are on one computer only
}

// InternalParameters are the steps that were done.
type InternalParameters struct {
	Steps []Step `json:"steps"`
}

// Step is one step that was done.
type Step struct {
	Name   string    `json:"name"`
	Builds []string  `json:"builds"` // that it was done for
	Kind   string    `json:"kind"`
	Key    string    `json:"key"`              // SHA-256 in hex of its kind, settings and the keys of what it reads
	Inputs []string  `json:"inputs,omitempty"` // the keys of the steps that it reads
	Files  []File    `json:"files,omitempty"`  // of the computer of the run
	Begun  time.Time `json:"startedOn"`
	Ended  time.Time `json:"finishedOn"`
}

// File is a local file or folder that a step has read. The digest is of its content with its
// permissions, and in a folder of all that is in it, names included.
type File struct {
	Path   string `json:"path"`
	Digest string `json:"digest"`
}

// RunDetails are how it was done.
type RunDetails struct {
	Builder    Builder      `json:"builder"`
	Metadata   Metadata     `json:"metadata"`
	Byproducts []Descriptor `json:"byproducts,omitempty"`
}

// Builder is the program that built.
type Builder struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty"`
}

// Metadata is when it was done, under which id.
type Metadata struct {
	InvocationID string    `json:"invocationId"`
	StartedOn    time.Time `json:"startedOn,omitzero"`
	FinishedOn   time.Time `json:"finishedOn,omitzero"`
}

// Run is what a statement is made of.
type Run struct {
	ID             string
	Started, Ended time.Time
	Version        string // of imgflow
	Parameters     Parameters
	Records        []dag.Record // in the order in which they came

	// Describe says of the record of a step that was done which things it has found (a source
	// image) or made (subjects), if they are still there, and what else came of it.
	Describe func(dag.Record) (found, made, byproducts []Descriptor)
}

// Of makes the statement of a run. A run that has made nothing that lasts has none.
func Of(r Run) (Statement, error) {
	d := BuildDefinition{BuildType: BuildType, ExternalParameters: r.Parameters}
	s := Statement{Type: StatementType, PredicateType: PredicateType}
	var byproducts []Descriptor
	for _, rec := range r.Records {
		finished := rec.Finished
		if finished.IsZero() && rec.Status == dag.Done {
			finished = rec.Ended // an earlier version kept no more
		}
		if finished.IsZero() || rec.Err != "" {
			continue // it was not done, or not in the form that it has now
		}
		found, made, also := r.Describe(rec)
		byproducts = append(byproducts, also...)
		if rec.Status == dag.Done {
			for i := range made {
				if made[i].Annotations = maps.Clone(made[i].Annotations); made[i].Annotations == nil {
					made[i].Annotations = map[string]string{}
				}
				made[i].Annotations["imgflowKey"] = rec.Key.String()
			}
			d.ResolvedDependencies, s.Subject = append(d.ResolvedDependencies, found...), append(s.Subject, made...)
		}
		step := Step{Name: rec.Name, Builds: rec.Builds, Kind: rec.Kind, Key: rec.Key.String(), Files: files(rec.Spec), Begun: rec.Begun.UTC(), Ended: finished.UTC()}
		for _, k := range rec.Needs {
			step.Inputs = append(step.Inputs, k.String())
		}
		d.InternalParameters.Steps = append(d.InternalParameters.Steps, step)
	}
	if len(s.Subject) == 0 {
		return s, fmt.Errorf("cannot make a statement of run %s: there is no image that it has made", r.ID)
	}
	slices.SortStableFunc(d.InternalParameters.Steps, func(a, b Step) int { return a.Begun.Compare(b.Begun) })
	d.ResolvedDependencies = unique(d.ResolvedDependencies)
	s.Subject = unique(s.Subject)
	s.Predicate = Predicate{d, RunDetails{
		Builder:    Builder{ID: BuilderID, Version: map[string]string{"imgflow": r.Version}},
		Metadata:   Metadata{r.ID, r.Started.UTC(), r.Ended.UTC()},
		Byproducts: byproducts,
	}}
	return s, nil
}

// unique sorts things by where they are and leaves each once.
func unique(ds []Descriptor) []Descriptor {
	slices.SortFunc(ds, func(a, b Descriptor) int { return cmp.Or(cmp.Compare(a.URI, b.URI), cmp.Compare(a.Name, b.Name)) })
	return slices.CompactFunc(ds, func(a, b Descriptor) bool { return a.URI == b.URI && a.Name == b.Name })
}

// files are the local files among the settings of a step, wherever they stand in them.
func files(spec json.RawMessage) (fs []File) {
	var v any
	if json.Unmarshal(spec, &v) != nil {
		return nil
	}
	var look func(v any)
	look = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				look(x)
			}
		case map[string]any:
			path, isPath := v["path"].(string)
			if digest, ok := v["digest"].(string); ok && isPath && len(v) == 2 {
				fs = append(fs, File{path, digest})
				return
			}
			for _, name := range slices.Sorted(maps.Keys(v)) {
				look(v[name])
			}
		}
	}
	look(v)
	return fs
}
