package state

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/self"
)

// pruned begins the names of runs that are being removed: no run has such an id.
const pruned = ".pruned-"

// ThingsExistError says that what a run has made still exists.
type ThingsExistError struct {
	Run    string
	Things []string
}

func (e *ThingsExistError) Error() string {
	return fmt.Sprintf("cannot forget run %s: it still has %s: `%s` removes that", e.Run, strings.Join(e.Things, ", "), self.Command("destroy", e.Run))
}

// ErrCode is the code of the failure.
func (e *ThingsExistError) ErrCode() errcode.Code { return errcode.ThingsExist }

// Prune forgets a run, with all that is kept of it. Images that it was for stay,
// and are told apart by their tags. The error is a *ThingsExistError if the run
// has made something else that still exists, a *BusyError if a process drives it.
func (h *Home) Prune(id string) error {
	r, err := h.Look(id)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.checkNothingLeft(); err != nil {
		return err
	}
	return r.journal.Prune()
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
func (h *Home) Sweep() error { return h.backend.Sweep() }

// Size is how much a run takes, in bytes.
func (h *Home) Size(id string) int64 { return h.backend.Size(id) }
