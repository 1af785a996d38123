package state

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
)

// pruned begins the names of runs that are being removed: no run has such an id.
const pruned = ".pruned-"

// ThingsExistError says that what a run has made still exists.
type ThingsExistError struct {
	Run    string
	Things []string
}

func (e *ThingsExistError) Error() string {
	return fmt.Sprintf("cannot forget run %s: it still has %s: `imgflow destroy %s` removes that", e.Run, strings.Join(e.Things, ", "), e.Run)
}

// ErrCode is the code of the failure.
func (e *ThingsExistError) ErrCode() errcode.Code { return errcode.ThingsExist }

// Prune forgets a run: its directory is removed. Images that it was for stay,
// and are told apart by their tags. The error is a *ThingsExistError if the run
// has made something else that still exists, a *BusyError if a process drives it.
func (h *Home) Prune(id string) error {
	r, err := h.Look(id)
	if err != nil {
		return err
	}
	if err := r.checkNothingLeft(); err != nil {
		r.Close()
		return err
	}
	if runtime.GOOS == "windows" { // where what is open cannot be moved
		r.Close()
	} else {
		defer r.Close() // nobody takes the run until it has another name
	}
	away := filepath.Join(h.dir, "runs", pruned+r.id)
	if err := os.Rename(r.dir, away); err != nil {
		return fmt.Errorf("cannot forget run %s: %w", r.id, err)
	}
	if err := os.RemoveAll(away); err != nil {
		return fmt.Errorf("cannot remove the files of run %s: %w", r.id, err)
	}
	return nil
}

// Prunable returns the error that Prune would, and removes nothing.
func (h *Home) Prunable(id string) error {
	r, err := h.Look(id)
	if err != nil {
		return err
	}
	defer r.Close()
	return r.checkNothingLeft()
}

// checkNothingLeft is a *ThingsExistError if something exists besides what the run was for.
func (r *Run) checkNothingLeft() error {
	rs, err := r.All()
	if err != nil {
		return err
	}
	var things []string
	for _, rec := range rs {
		if rec.Alive() && dag.Unkept(rec) {
			things = append(things, cmp.Or(rec.Label, rec.Name))
		}
	}
	if len(things) > 0 {
		return &ThingsExistError{r.id, things}
	}
	return nil
}

// Sweep removes what an interrupted Prune has left.
func (h *Home) Sweep() error {
	left, err := filepath.Glob(filepath.Join(h.dir, "runs", pruned+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// Size is how much the files of a run take, in bytes.
func (h *Home) Size(id string) (n int64) {
	files, err := os.ReadDir(h.RunDir(id))
	if err != nil {
		return 0
	}
	for _, f := range files {
		if fi, err := f.Info(); err == nil && fi.Mode().IsRegular() {
			n += fi.Size()
		}
	}
	return n
}
