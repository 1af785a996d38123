package state

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"filippo.io/age"

	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/self"
)

// Home holds every run of a user, or of a team. It has a directory of this machine in
// any case, for what opens secrets and what is remembered of this machine.
type Home struct {
	dir        string
	backend    Backend
	identity   string          // the file that opens secrets in place of the home's own; "" is that one
	recipients []age.Recipient // whom secrets are sealed to in place of the identity
}

// NewHome is the home whose runs a backend keeps, with a directory of this machine for
// the rest.
func NewHome(dir string, b Backend) *Home { return &Home{dir: dir, backend: b} }

// FindHome returns the home in dir to look at: nothing is made or written, and a
// home that is not there has no runs.
func FindHome(dir string) (*Home, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot find the runs: %w; set IMGFLOW_HOME to a directory", err)
	}
	return NewHome(dir, directory{dir}), nil
}

// OpenHome opens the home in dir to keep runs in. It is made where it is missing.
func OpenHome(dir string) (*Home, error) {
	h, err := FindHome(dir)
	if err != nil {
		return nil, err
	}
	if err = os.MkdirAll(filepath.Join(h.dir, "runs"), 0o700); err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(h.dir, ".probe-*"); err == nil {
			err = errors.Join(probe.Close(), os.Remove(probe.Name()))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot keep runs in %s: %w; set IMGFLOW_HOME to a directory that can be written", h.dir, err)
	}
	return h, nil
}

// DefaultDir is where an environment keeps its home: $IMGFLOW_HOME, else
// $XDG_STATE_HOME/imgflow, else the place that the platform has for such files.
func DefaultDir(getenv func(name string) string) (string, error) {
	if dir := getenv("IMGFLOW_HOME"); dir != "" {
		return dir, nil
	}
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "imgflow"), nil
	}
	variable, below := "HOME", []string{".local", "state"}
	switch runtime.GOOS {
	case "windows":
		variable, below = "LocalAppData", nil
	case "darwin", "ios":
		below = []string{"Library", "Application Support"}
	}
	dir := getenv(variable)
	if dir == "" {
		return "", fmt.Errorf("cannot find a place for runs: %s is not set; set IMGFLOW_HOME to a directory", variable)
	}
	return filepath.Join(dir, filepath.Join(below...), "imgflow"), nil
}

// WithIdentity is the home whose secrets the identity in a file opens, such as
// $IMGFLOW_IDENTITY names; "" is the home's own.
func (h *Home) WithIdentity(file string) *Home {
	other := *h
	other.identity = file
	return &other
}

// Dir is the directory of this machine.
func (h *Home) Dir() string { return h.dir }

// Place says where the runs are; it holds no password.
func (h *Home) Place() string { return h.backend.Place() }

// RunDir is where the run lies if it is in the directory of this machine.
func (h *Home) RunDir(id string) string { return filepath.Join(h.dir, "runs", id) }

// Resolve returns the id of the run that id, which may be a prefix that only
// one run has, stands for. The error is fs.ErrNotExist if there is none.
func (h *Home) Resolve(id string) (string, error) {
	if id == "" {
		return "", &noRunError{id, h.Place()}
	}
	found, err := h.backend.IDs(id)
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", &noRunError{id, h.Place()}
	case len(found) == 1:
		return found[0], nil
	}
	return "", errcode.With(errcode.RunNotFound, fmt.Errorf("cannot tell which run %q is: %s; give more of the id", id, strings.Join(found, ", ")))
}

// NoRun is the error of a backend that has no such run: it is fs.ErrNotExist.
func NoRun(id, place string) error { return &noRunError{id, place} }

type noRunError struct{ id, place string }

func (e *noRunError) Error() string {
	return fmt.Sprintf("cannot find run %q in %s: `%s` shows the runs that there are", e.id, e.place, self.Command("list"))
}
func (e *noRunError) Unwrap() error         { return fs.ErrNotExist }
func (e *noRunError) ErrCode() errcode.Code { return errcode.RunNotFound }

// Runs returns the summary of every run, newest first. It never waits for a run that
// is being driven. A run whose summary cannot be
// read is listed with Problem saying why.
func (h *Home) Runs() ([]Summary, error) {
	sums, err := h.backend.Summaries()
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(sums, func(a, b Summary) int {
		return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(b.ID, a.ID))
	})
	return sums, nil
}

// Summary returns the summary of one run; id may be a prefix.
func (h *Home) Summary(id string) (Summary, error) {
	id, err := h.Resolve(id)
	if err != nil {
		return Summary{}, err
	}
	s, err := h.backend.Summary(id)
	for _, b := range s.Builds {
		for i := range b.Artifacts {
			b.Artifacts[i].Removed = h.removed(b.Artifacts[i])
		}
	}
	return s, err
}

// removed reports whether an artifact is of another run, and not among what that has any more.
func (h *Home) removed(a Artifact) bool {
	if a.Run == "" {
		return false
	}
	lender, err := h.backend.Summary(a.Run)
	return err == nil && lender.Status != Running && !slices.ContainsFunc(lender.Builds, func(b BuildSummary) bool {
		return slices.ContainsFunc(b.Artifacts, func(o Artifact) bool { return o.ID == a.ID && o.Region == a.Region && o.Owner == a.Owner })
	})
}

// Driven reports whether the run is driven: by a living process, or by an engine that it
// is assigned to.
func (h *Home) Driven(id string) bool { return h.backend.Driven(id) }
