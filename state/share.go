package state

import (
	"maps"
	"slices"

	"github.com/imgflow/imgflow/dag"
)

// Assign says that an engine elsewhere drives the run from now on: it is driven until
// Release, and whoever does its steps joins it with the epoch that is returned. What
// joined it before writes no more, so that an engine which still has the run must be
// asked first. The error is a *BusyError if a process drives the run; id may be a prefix.
func (h *Home) Assign(id string, o Owner) (epoch int64, err error) {
	if id, err = h.Resolve(id); err != nil {
		return 0, err
	}
	return h.backend.Assign(id, o)
}

// Release ends what Assign has begun, after which nobody who has joined the run writes to
// it: what they have put off must have been kept. The error is a *FencedError if the run
// has been assigned or opened since.
func (h *Home) Release(id string, epoch int64) error { return h.backend.Release(id, epoch) }

// Assignment is a run that is assigned.
type Assignment struct {
	Run   string
	Epoch int64
	Owner Owner // that it is assigned to
}

// Assignments are all of them, in no order.
func (h *Home) Assignments() ([]Assignment, error) { return h.backend.Assignments() }

// Join opens a run that is assigned to do steps of it, beside others who do. The error
// is a *FencedError if the epoch is over.
func (h *Home) Join(id string, epoch int64) (*Run, error) {
	j, sum, err := h.backend.Join(id, epoch)
	if err != nil {
		return nil, err
	}
	return h.run(j, sum, map[dag.Key]dag.Record{})
}

// Refresh returns the records that were changed since the run was joined, or since
// Refresh was called last, each as it is now, without what this process has put off. Of a run that nobody else writes to there
// are none.
func (r *Run) Refresh() ([]dag.Record, error) {
	if r.known == nil {
		return nil, nil
	}
	r.looking.Lock()
	defer r.looking.Unlock()
	if err := r.look(); err != nil {
		return nil, err
	}
	var rs []dag.Record
	for k := range r.news {
		rs = append(rs, r.known[k])
	}
	clear(r.news)
	return rs, nil
}

// allShared is All of a run that others write to, too.
func (r *Run) allShared() ([]dag.Record, error) {
	if err := r.journal.Flush(); err != nil {
		return nil, r.failed(err)
	}
	r.looking.Lock()
	defer r.looking.Unlock()
	if err := r.look(); err != nil {
		return nil, err
	}
	return slices.Collect(maps.Values(r.known)), nil
}

// look reads what was changed since the last look. Whoever calls it holds looking.
func (r *Run) look() error {
	var changed []dag.Record
	if err := r.journal.Changed(func(k string, v []byte) error {
		rec, err := r.record(k, v)
		changed = append(changed, rec)
		return err
	}); err != nil {
		return r.failed(err)
	}
	for _, rec := range changed {
		r.known[rec.Key], r.news[rec.Key] = rec, true
	}
	r.note(changed)
	return nil
}

// Lost is closed when another process has taken the run over: what this one writes is
// refused from then on. It is nil for a run that cannot be taken.
func (r *Run) Lost() <-chan struct{} { return r.journal.Lost() }

// Claim is a run as the one who does a step writes to it: what an older claim of the same
// step writes is refused with a *FencedError, records, events and all.
type Claim struct {
	run     *Run
	journal Journal
}

var (
	_ dag.Store = (*Claim)(nil)
	_ dag.Sink  = (*Claim)(nil)
)

// Claim makes the caller the one who does a step from now on.
func (r *Run) Claim(step dag.Key) (*Claim, error) {
	j, err := r.journal.Claim(step)
	if err != nil {
		return nil, r.failed(err)
	}
	return &Claim{r, j}, nil
}

// All returns every record of the run.
func (c *Claim) All() ([]dag.Record, error) { return c.run.All() }

// Put is that of a Run.
func (c *Claim) Put(rs ...dag.Record) error { return c.run.put(c.journal, rs) }

// Later is that of a Run.
func (c *Claim) Later(rs ...dag.Record) error { return c.run.keep(c.journal.Later, rs) }

// Emit is that of a Run.
func (c *Claim) Emit(e dag.Event) error { return c.run.emit(c.journal, e) }

// Break is that of a Run.
func (c *Claim) Break(line []byte, most int) int { return c.run.Break(line, most) }

// Sync is that of a Run.
func (c *Claim) Sync() error { return c.run.failed(c.journal.Sync()) }

// Offset is that of a Run.
func (c *Claim) Offset(token, stream string) int64 { return c.journal.Offset(token, stream) }

// Lost is closed when somebody else does the step, or drives the run.
func (c *Claim) Lost() <-chan struct{} { return c.journal.Lost() }
