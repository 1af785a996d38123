package post

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Manifest notes in a file of JSON what was made. Every build of a run, and every run, adds an entry to the file.
type Manifest struct {
	Of    dag.Out[steps.Product] `json:"of"`
	Build dag.Build              `json:"build,omitzero" option:"-"`
	Force bool                   `json:"force,omitempty" option:"-" key:"-"` // the flag -force: entries of earlier runs go
	steps.InputOptions

	// The file of JSON that gets the entry. Default: `packer-manifest.json`.
	Output string `json:"output,omitempty"`
	// Notes the names of files without their folders. Default: `false`.
	StripPath bool `json:"strip_path,omitempty"`
	// Leaves the time away. Default: `false`.
	StripTime bool `json:"strip_time,omitempty"`
	// What else is noted, by name. Default: none.
	CustomData map[string]dag.Text `json:"custom_data,omitempty" option:"late=build"`
}

func (Manifest) Kind() string    { return "post.manifest" }
func (s Manifest) Title() string { return "note in " + s.output() + " what was made" }

func (s Manifest) output() string { return cmp.Or(s.Output, "packer-manifest.json") }

// Check finds nothing wrong: any path may be there when the step runs.
func (*Manifest) Check() []steps.OptionError { return nil }

// Gives is what it was given.
func (*Manifest) Gives() steps.Gives { return steps.GivesSame }

// LocalFiles is the file.
func (s Manifest) LocalFiles() comm.LocalFiles {
	file := dag.Text(s.output()).Pattern()
	return comm.LocalFiles{Reads: []string{file}, Writes: []string{file}}
}

// Add adds the step.
func (s *Manifest) Add(g *dag.Graph, b dag.Build, name string, in dag.Out[steps.Product]) dag.Out[steps.Product] {
	step := *s
	step.Of, step.Build = in, b.Labelled()
	return dag.Add(g, b, name, step)
}

type manifestEntry struct {
	Name   string            `json:"name"`
	Type   string            `json:"builder_type"`
	Time   int64             `json:"build_time,omitempty"` // Unix
	Files  []manifestFile    `json:"files"`
	ID     string            `json:"artifact_id"`
	Run    string            `json:"packer_run_uuid"`
	Custom map[string]string `json:"custom_data"`
}

type manifestFile struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// Do adds the entry, unless an earlier attempt has.
func (s Manifest) Do(ctx context.Context, e *comm.Env, t *dag.Task) (steps.Product, error) {
	of := s.Of.Value()
	entry, err := s.entry(e, t, of)
	if err == nil {
		mode := os.FileMode(0o644)
		for _, x := range s.CustomData {
			if len(x.Secrets()) > 0 {
				mode = 0o600
			}
		}
		add := localfile.Addition{Entry: entry, Run: t.Run, Alone: s.Force}
		err = e.Amend(ctx, t, e.Local(s.output()), mode, add, func(there int) (bool, error) { return t.Resumed && there > s.Repeat, nil })
	}
	if err != nil && ctx.Err() == nil {
		return of, fmt.Errorf("cannot note in %s what was made: %w", s.output(), err)
	}
	if err == nil {
		t.Say("noted in %s", s.output())
	}
	return of, err
}

func (s Manifest) entry(e *comm.Env, t *dag.Task, of steps.Product) (json.RawMessage, error) {
	m := manifestEntry{Name: s.Build.Name, Type: s.Build.Type, ID: of.ID, Run: t.Run}
	began, err := begun(t)
	if err != nil {
		return nil, err
	}
	if !s.StripTime {
		m.Time = began.Unix()
	}
	for _, name := range of.Files {
		fi, err := os.Stat(e.Local(name))
		if err != nil {
			return nil, err
		}
		if s.StripPath {
			name = filepath.Base(name)
		}
		m.Files = append(m.Files, manifestFile{name, fi.Size()})
	}
	values := steps.BuildValues{Task: t, Machine: of.Machine}
	for name, x := range s.CustomData {
		if m.Custom == nil {
			m.Custom = map[string]string{}
		}
		if m.Custom[name], err = values.Render("custom_data."+name, x, nil); err != nil {
			return nil, err
		}
	}
	return json.Marshal(m)
}
