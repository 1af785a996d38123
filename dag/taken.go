package dag

import "slices"

// TakenError is the failure of a step whose machine was taken away.
type TakenError struct{ Err error }

func (e *TakenError) Error() string { return e.Err.Error() }
func (e *TakenError) Unwrap() error { return e.Err }

// Taken marks err, which ends a Do, as the work of whoever runs a machine that the step
// reads or takes: they took it away, as EC2 does with a spot instance. That is no failure
// of the step but an interruption: see [Solve].
func Taken(err error) error { return &TakenError{err} }

// mostTaken is how often a pass makes new machines for what was taken away.
const mostTaken = 3

// taken is a step that was interrupted since its machine was taken away.
type taken struct {
	place int
	err   error
}

// interruptedBy notes that a step's machine was taken away, and reports whether another one
// will be made. The step stands where it was; all that exists stays.
func (d *Pass) interruptedBy(i int, err error) bool {
	switch {
	case d.halted():
		d.stop(i)
		return true
	case d.retaken == mostTaken:
		return false
	}
	d.drop(i)
	d.turn(i, waiting)
	d.taken = append(d.taken, taken{i, err})
	d.add(i, Order{Action: retake, Err: err, Why: "its machine was taken away"})
	return true
}

// startOver has a pass begin again when nothing is on its way any more and machines were taken
// away: what looks for things finds that they have vanished, and makes them anew. What has failed
// is not tried again; where it is of the same build, the interruption is a failure, too.
func (d *Pass) startOver() bool {
	if len(d.taken) == 0 || d.halted() {
		return false
	}
	broken := map[string]bool{}
	for _, f := range d.report.Failed {
		for _, b := range f.Node.Builds {
			broken[b] = true
		}
	}
	all := d.taken
	d.taken = nil
	for _, t := range all {
		if !slices.ContainsFunc(d.x.nodes[t.place].Builds, func(b string) bool { return broken[b] }) {
			d.taken = append(d.taken, t)
			continue
		}
		d.job(t.place)
		d.turn(t.place, running)
		d.add(t.place, Order{Action: fail, Err: t.err, Tried: true, Why: "its build has failed"})
	}
	if d.busy > 0 {
		return true
	}
	g, _ := d.g.Without(&d.report) // what comes after a failure was skipped already
	again := newPass(g, d.recs, d.o)
	again.retaken, again.report, again.now, again.trouble, again.ds = d.retaken+1, d.report, d.now, d.trouble, d.ds
	*d = *again
	return true
}
