package state

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/imgflow/imgflow/internal/self"
)

// Schedule is what runs are made of again and again, when an engine says so. It holds
// no secret in clear text.
type Schedule struct {
	Name  string
	Spec  []byte // JSON: what is built, and when
	Files []byte // JSON: what files it takes; as Pack, not in a list
	Pack  []byte // sealed: all else that a run is made of
	Look  []byte // JSON: what the last look of it has found; nil before
	Base  []byte // JSON: what its last good run was made from; nil before
}

// Schedules keep schedules in a database. A name that there is not is fs.ErrNotExist.
type Schedules interface {
	// All are the schedules by name, without their files and packs.
	All() ([]Schedule, error)
	Get(name string) (Schedule, error)
	// Put keeps a schedule, and the contents of these sums with it, in the place of one of
	// that name, whose Look and Base stay.
	Put(s Schedule, sums []string) error
	// Note replaces what is known of a schedule, if there is one: what is nil stays.
	Note(name string, look, base []byte) error
	// Remove forgets a schedule, and the contents that nobody else has.
	Remove(name string) error
	// PutBlob and Blob are those of a Journal.
	PutBlob(name, sum string, content []byte) error
	Blob(name, sum string) ([]byte, error)
}

// NoSchedule is the error of Schedules that have none of this name: it is fs.ErrNotExist.
func NoSchedule(name, place string) error { return &noScheduleError{name, place} }

type noScheduleError struct{ name, place string }

func (e *noScheduleError) Error() string {
	return fmt.Sprintf("cannot find the schedule %q in %s: `%s` lists those that there are", e.name, e.place, self.Command("schedules"))
}
func (e *noScheduleError) Unwrap() error { return fs.ErrNotExist }

// Schedules are those of the home, which must be in a database.
func (h *Home) Schedules() (Schedules, error) {
	s, ok := h.backend.(interface{ Schedules() Schedules })
	if !ok {
		return nil, errors.New("cannot keep schedules in a directory of this machine: workers make their runs; set IMGFLOW_STATE to the database that they reach")
	}
	return s.Schedules(), nil
}

// ScheduleBlobs are the contents that a schedule has.
type ScheduleBlobs struct {
	in   Schedules
	name string
}

// BlobsOf are the contents of one of the schedules.
func BlobsOf(in Schedules, name string) ScheduleBlobs { return ScheduleBlobs{in, name} }

// PutBlob is that of a Run.
func (b ScheduleBlobs) PutBlob(content io.Reader) (sum string, err error) {
	p, err := blobOf(content, "the schedule "+b.name)
	if err != nil {
		return "", err
	}
	sum = sumOf(p)
	return sum, b.in.PutBlob(b.name, sum, p)
}

// Blob is that of a Run.
func (b ScheduleBlobs) Blob(sum string) ([]byte, error) {
	p, err := b.in.Blob(b.name, sum)
	if err == nil && (p == nil || sumOf(p) != sum) {
		err = fmt.Errorf("cannot find the content %.80q of the schedule %s: %w", sum, b.name, fs.ErrNotExist)
	}
	return p, err
}

// RunOf is the id of the run that one time of a schedule makes, and tells whether it was
// made. The id follows from both, so that whoever makes the run at the same time, or once
// more, comes to the same one.
func (h *Home) RunOf(schedule string, due time.Time) (id string, made bool, err error) {
	for n := 0; ; n++ {
		digest := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", schedule, due.UnixNano(), n))
		id = idOf(due, digest[:])
		s, err := h.backend.Summary(id)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return id, false, nil
		case err != nil:
			return "", false, err
		case s.Schedule == schedule && s.Due.Equal(due):
			return id, true, nil
		} // it is another's, by chance
	}
}

// CreateDue is Create of the run that one time of a schedule makes, which the summary
// says. One that was made before is opened.
func (h *Home) CreateDue(s Summary) (*Run, error) {
	for {
		id, made, err := h.RunOf(s.Schedule, s.Due)
		if err != nil {
			return nil, err
		}
		if made {
			return h.Open(id)
		}
		s.ID = id
		if r, err := h.create(s); !errors.Is(err, fs.ErrExist) {
			return r, err
		} // somebody was faster
	}
}

// Adopt keeps contents with the run that a schedule has.
func (r *Run) Adopt(sums []string) error { return r.failed(r.journal.Adopt(sums)) }

// Assign is that of a Home, of the run that is held, if nobody has taken it meanwhile: else it is
// a *FencedError. The run is given back, and must be closed all the same.
func (r *Run) Assign(o Owner) (epoch int64, err error) {
	epoch, err = r.journal.Assign(o)
	return epoch, r.failed(err)
}

// Assigned is the epoch with which a run is assigned; 0: it is not.
func (h *Home) Assigned(id string) (epoch int64, err error) { return h.backend.Assigned(id) }
