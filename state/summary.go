package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/imgflow/imgflow/internal/localfile"
)

// The statuses of a run and of a build.
const (
	Running     = "running"
	Suspended   = "suspended"   // interrupted on purpose; resume or destroy goes on
	Interrupted = "interrupted" // its process died; resume or destroy goes on
	Failed      = "failed"
	Partial     = "partial" // some builds are done, some failed
	Done        = "done"
	Destroyed   = "destroyed"
	Unreadable  = "unreadable" // the summary cannot be read: see Problem
)

// Summary is what others may know about a run without asking who drives it.
type Summary struct {
	ID       string         `json:"id"`
	Status   string         `json:"status"`
	Template string         `json:"template"`
	Started  time.Time      `json:"started"`
	Updated  time.Time      `json:"updated"`
	Ended    time.Time      `json:"ended,omitzero"`
	Local    bool           `json:"local,omitempty"`    // built on the embedded EC2
	Endpoint string         `json:"endpoint,omitempty"` // of the cloud, where it is not AWS's own
	Builds   []BuildSummary `json:"builds"`
	Left     []string       `json:"left,omitempty"` // things that still exist though nothing wants them
	Err      string         `json:"err,omitempty"`
	Code     string         `json:"code,omitempty"` // what kind of failure Err is

	Schedule string    `json:"schedule,omitempty"` // the schedule that has made it
	Due      time.Time `json:"due,omitzero"`       // when that was to be

	Owner

	// Awaits are the runs that make what it needs, and that it waits for. It is never stored.
	Awaits []string `json:"awaits,omitempty"`
	// Problem says why the summary could not be read. It is never stored.
	Problem string `json:"problem,omitempty"`
}

// Owner is the process that drives a run, or that did so last.
type Owner struct {
	PID     int       `json:"pid,omitempty"`
	Host    string    `json:"host,omitempty"`
	Command string    `json:"command,omitempty"`
	Since   time.Time `json:"since,omitzero"`
}

// BuildSummary is one build of a run.
type BuildSummary struct {
	Name      string     `json:"name"`
	Type      string     `json:"type"`
	Status    string     `json:"status"`
	Artifacts []Artifact `json:"artifacts,omitempty"`
	Err       string     `json:"err,omitempty"`
	Code      string     `json:"code,omitempty"` // what kind of failure Err is: see package errcode
}

// Artifact is one image, or file, that a build made.
type Artifact struct {
	Owner  string `json:"owner,omitempty"` // the account that has it, if that is not the build's
	Region string `json:"region"`
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"`
	Volume bool   `json:"volume,omitempty"` // kept beside the image
	Maker  string `json:"maker,omitempty"`  // in Packer's words, if that is not the builder
	Run    string `json:"run,omitempty"`    // the run that has made it, if that is another one
	// Removed says that the other run has removed it since.
	Removed bool `json:"removed,omitempty"`
}

// Text is the artifact in a line.
func (a Artifact) Text() string {
	text := a.ID // a file
	if a.Region != "" {
		text = a.Region + ": " + a.ID
	}
	if a.Owner != "" {
		text = a.Owner + ": " + text
	}
	if a.Volume {
		text += " (a volume that is kept)"
	}
	switch {
	case a.Removed:
		text += ", of run " + a.Run + ", which has removed it"
	case a.Run != "":
		text += ", of run " + a.Run
	}
	return text
}

// UnreadableSummary stands for a summary that cannot be read, and says why.
func UnreadableSummary(id string, why error) Summary {
	return Summary{ID: id, Status: Unreadable, Started: idTime(id), Problem: why.Error()}
}

const summaryFile = "run.json"

func readSummary(dir string) (s Summary, err error) {
	path := filepath.Join(dir, summaryFile)
	p, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("cannot read the summary of the run: %w: it was interrupted before it began, or the file was removed", err)
	}
	if err != nil {
		return s, fmt.Errorf("cannot read the summary of the run: %w", err)
	}
	if err := json.Unmarshal(p, &s); err != nil {
		return s, fmt.Errorf("cannot read the summary of the run: %s is damaged: %w", path, err)
	}
	return s, nil
}

// writeSummary replaces the summary as a whole.
func writeSummary(dir string, s Summary) error {
	if s.Builds == nil {
		s.Builds = []BuildSummary{} // readers of the JSON may rely on a list
	}
	p, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return localfile.Replace(filepath.Join(dir, summaryFile), append(p, '\n'), 0o600, true)
}
