package render

import (
	"encoding/json"
	"io"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
)

// This file holds what commands tell programs that is told nowhere else. Fields are only
// ever added: docs/json.md is made of the comments, and a test finds one that has gone.

// VersionJSON is which imgflow this is.
type VersionJSON struct {
	Version string `json:"version"`
	Packer  string `json:"packer"` // the version of Packer whose templates are taken
	Go      string `json:"go"`     // the version of Go that it was built with
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

// PluginsJSON is what a template requires, or what is there.
type PluginsJSON struct {
	Plugins []Plugin `json:"plugins"`
	Wrote   string   `json:"wrote,omitempty"` // the file of the first template, with --starter
}

// FormattedJSON is which files are not laid out, or were not.
type FormattedJSON struct {
	Changed []string `json:"changed"` // their names
	Wrote   bool     `json:"wrote"`   // they are laid out now
}

// AnswerJSON is what an expression comes to.
type AnswerJSON struct {
	Expression string `json:"expression"`
	Value      string `json:"value,omitempty"` // as the language writes it
	Error      string `json:"error,omitempty"` // why it has none
}

// ValidatedJSON is what is to be said of a template.
type ValidatedJSON struct {
	Valid    bool        `json:"valid"`
	Error    *ErrorJSON  `json:"error,omitempty"` // what is wrong, with all faults
	Warnings []FaultJSON `json:"warnings"`
	Notes    []FaultJSON `json:"notes"` // what is known and cannot be run
}

// PrunedJSON is which old runs are forgotten.
type PrunedJSON struct {
	Runs    []PrunedRunJSON `json:"runs"`
	Stay    []string        `json:"stay,omitempty"` // why others are not
	Bytes   int64           `json:"bytes"`          // what the files of the runs take on this disk
	Removed bool            `json:"removed"`        // they are gone; false for a dry run
}

// PrunedRunJSON is a run to be forgotten.
type PrunedRunJSON struct {
	ID       string    `json:"id"`
	Status   string    `json:"status"`
	Started  time.Time `json:"started"`
	Template string    `json:"template"`
}

// DestroyedJSON is what is removed.
type DestroyedJSON struct {
	Runs    []DestroyedRunJSON `json:"runs,omitempty"`
	Orphans []OrphanJSON       `json:"orphans,omitempty"` // with --orphans
	Removed bool               `json:"removed"`           // all of it is gone; false for a dry run
}

// DestroyedRunJSON is a run with what there is to remove of it.
type DestroyedRunJSON struct {
	ID     string      `json:"id"`
	Status string      `json:"status"` // before the removal
	Things []ThingJSON `json:"things"`
}

// ThingJSON is a thing that a run has made.
type ThingJSON struct {
	Builds []string `json:"builds"`
	Step   string   `json:"step"`
	Kind   string   `json:"kind"`
	Name   string   `json:"name"`
	Unsure bool     `json:"unsure,omitempty"` // whether it was made is not known
}

// OrphanJSON is a thing that is found by its tags and that no run uses.
type OrphanJSON struct {
	Type   string `json:"type"`
	ID     string `json:"id"`
	Region string `json:"region"`
	Run    string `json:"run"`
	Build  string `json:"build,omitempty"`
}

// NewThings are the things of records as programs read them.
func NewThings(records []dag.Record) []ThingJSON {
	things := []ThingJSON{}
	for _, r := range records {
		things = append(things, ThingJSON{r.Builds, r.Name, r.Kind, Thing(r), r.Status == dag.Doing || r.Status == dag.StatusFailed})
	}
	return things
}

// NewOrphans are orphans as programs read them.
func NewOrphans(found []app.Orphan) []OrphanJSON {
	orphans := []OrphanJSON{}
	for _, o := range found {
		orphans = append(orphans, OrphanJSON{o.Type, o.ID, o.Region, o.Run, o.Build})
	}
	return orphans
}

// Line writes any value as one line of JSON.
func Line(w io.Writer, v any) error {
	enc := json.NewEncoder(escaping{w})
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
