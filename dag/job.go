package dag

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"time"
)

// job is a step, or the removal of a thing, that was begun and has not ended.
type job struct {
	removal bool
	began   time.Time
	tries   int
	losses  int       // of a step: calls of which nobody knows how they ended
	lost    bool      // of a step: the last call was one
	unmade  bool      // no try of a step has made anything
	paused  bool      // it waits for the next try, and nothing of it is on its way
	until   time.Time // for how long
	limit   time.Time // of a removal: when something is decided about its end
	err     error     // why it has failed last
	at      time.Time // when that was
	slow    bool      // of a removal: people were told, and the limit is the last
	ends    error     // of a removal: why it is ended
}

// job begins one.
func (d *Pass) job(i int) *job {
	j := &job{began: d.now, unmade: true}
	d.jobs[i] = j
	d.busy++
	return j
}

// drop ends one.
func (d *Pass) drop(i int) {
	d.busy--
	if d.stage == solving && d.jobs[i].removal {
		d.undoing--
	}
	d.jobs[i] = nil
}

// pause lets a job wait before its next try.
func (d *Pass) pause(i int, after time.Duration, err error) {
	j := d.jobs[i]
	j.paused, j.until, j.err, j.at = true, d.now.Add(after), err, d.now
	heap.Push(&d.times, timed{j.until, i})
	d.add(i, Order{Action: wait, Removal: j.removal, Until: j.until, After: after, Err: err, Why: "its failure may pass"})
}

// stopPaused ends what waits, once nothing may start any more.
func (d *Pass) stopPaused() {
	if d.stopped {
		return
	}
	d.stopped = true
	for i, j := range d.jobs {
		if j != nil && j.paused {
			d.stop(i)
		}
	}
}

// stop ends a job of which nothing is on its way, as it stands.
func (d *Pass) stop(i int) {
	j := d.jobs[i]
	d.drop(i)
	switch {
	case d.stage == solving && j.removal:
	case d.stage == solving:
		d.turn(i, waiting) // in this pass nothing will start it again
		d.add(i, Order{Action: suspend, Why: "it was interrupted"})
	default:
		d.stays(i, errSuspended)
	}
}

// stays tells that a thing could not be removed, or found out about, before the
// steps begin.
func (d *Pass) stays(i int, err error) {
	n := *d.x.nodes[i]
	r, _ := d.recs.get(n.Key)
	f := Failure{n, describe(r), err}
	if d.stage == looking {
		d.lost = append(d.lost, f)
		return
	}
	if errors.Is(err, errSuspended) {
		f.Err = errors.New("cannot remove it: the removal was interrupted; repeat it")
	}
	d.report.Left = append(d.report.Left, f)
	d.blame(i, f.Name)
	d.gate.release(i)
}

// blame has a thing, called so, keep what it stands on.
func (d *Pass) blame(i int, name string) {
	d.x.shown(d.x.places(d.x.nodes[i].Attaches), d.blamed, func(below int) { d.stuck[below] = name })
}

// Ended tells how an order that is a call has ended: how a step was let, how a call for it
// went, what its failure means; and what has changed of the records by it, as far as
// they are not those of the engine that has carried it out.
func (d *Pass) Ended(x Order, o Outcome, changed []Record, now time.Time) {
	d.now = now
	d.recs.note(changed...)
	var st *storeError
	if errors.As(o.Err, &st) && d.fatal == nil {
		d.fatal = o.Err
	}
	if x.Action == borrow {
		d.away.waits--
	}
	j := d.jobs[x.Place]
	givenUp := j.ends != nil && !d.halted() // nobody else has interrupted it
	switch {
	case st != nil || errors.Is(o.Err, errSuspended) && !givenUp:
		d.broke(x.Place, o.Err)
	case j.removal:
		d.removalEnded(x, o)
	case d.stage == looking:
		d.drop(x.Place)
		if o.Err != nil {
			d.stays(x.Place, o.Err)
		}
	case x.Action == forget:
		d.drop(x.Place)
	case x.Action == let:
		d.approach(x.Place)
	case x.Action == borrow:
		d.awaited(x.Place, o.There)
	case o.Elsewhere:
		d.await(x.Place)
	case x.Action == find && o.Err != nil:
		d.add(x.Place, Order{Action: fail, Err: o.Err, Tried: j.tries > 0, Why: "what an earlier attempt has made is not known"})
	case x.Action == find && !o.There:
		d.attempt(x.Place)
	case x.Action == fail && o.Verdict == Again:
		d.approach(x.Place)
	case x.Action == fail:
		d.drop(x.Place)
		d.failed(x.Place, x.Err, o.Verdict)
	case o.Err != nil:
		d.attemptFailed(x.Place, o.Err)
	default:
		d.drop(x.Place)
		d.done(x.Place)
	}
}

// broke ends a job that was interrupted, or whose end could not be kept.
func (d *Pass) broke(i int, err error) {
	switch {
	case errors.Is(err, errSuspended):
		d.stop(i)
	case d.stage == solving:
		removal := d.jobs[i].removal
		d.drop(i)
		if !removal {
			d.turn(i, waiting)
		}
	default:
		d.drop(i)
		d.stays(i, err)
	}
}

// approach begins to make a step. Before the intent is renewed, what an earlier
// attempt made is looked for: it is older.
func (d *Pass) approach(i int) {
	n := d.x.nodes[i]
	if d.halted() {
		d.stop(i)
		return
	}
	*d.jobs[i] = job{began: d.now, unmade: true}
	if n.unreadable() {
		d.add(i, Order{Action: fail, Why: "its settings cannot be read", Err: fmt.Errorf("cannot do %s: an earlier imgflow has stored it in a form that this one cannot read: resume without --frozen, or with the version that made the run", n.Name)})
		return
	}
	if r, known := d.recs.get(n.Key); n.Thing && known && r.Status != Gone {
		d.add(i, Order{Action: find, Why: "an earlier attempt may have made it"})
		return
	}
	d.attempt(i)
}

// again goes on with a step after its pause: after a lost call as after a crash.
func (d *Pass) again(i int) {
	if d.jobs[i].lost && d.x.nodes[i].Thing {
		d.add(i, Order{Action: find, Again: true, Why: "the call that was lost may have made it"})
		return
	}
	d.attempt(i)
}

// patience is for how long a step is tried again.
func (d *Pass) patience(n Node) time.Duration {
	if d.o.Patience != nil {
		return d.o.Patience(n)
	}
	return cmp.Or(n.Patience, defaultPatience)
}

// attempt lets a step run.
func (d *Pass) attempt(i int) {
	if d.halted() {
		d.stop(i)
		return
	}
	j := d.jobs[i]
	if j.tries++; j.tries == 1 {
		j.began = d.now
	}
	x := Order{Action: Run, First: j.tries == 1, Try: j.tries, Again: j.lost && !d.x.nodes[i].Thing, Why: "all that it reads is there"}
	switch r, known := d.recs.get(d.x.nodes[i].Key); {
	case j.tries > 1:
		x.Action, x.Why = Resume, "its last failure may have passed"
	case known && r.Status != Gone:
		x.Action, x.Why = Resume, "an earlier attempt has not come to its end"
	case d.pl.action(i) == Recreate:
		x.Action, x.Why = Recreate, "its machine was made again"
	}
	d.add(i, x)
}

// attemptFailed decides whether a step that has failed is tried again.
func (d *Pass) attemptFailed(i int, err error) {
	j := d.jobs[i]
	j.unmade = j.unmade && errors.As(err, new(*NotMadeError)) // an earlier try may have had an effect
	if j.lost = errors.As(err, new(*lostError)); j.lost {
		switch j.losses++; {
		case j.losses == mostLosses:
			err = fmt.Errorf("cannot go on with %s: %w (%d times)", d.x.nodes[i].Name, err, j.losses)
			d.add(i, Order{Action: fail, Err: err, Tried: true, Why: "it was lost often enough"})
		case d.halted():
			d.stop(i)
		default:
			d.pause(i, lossPause(j.losses), err)
		}
		return
	}
	after, ok := retryAfter(err, j.tries)
	why := "it has failed for good"
	if errors.As(err, new(*TakenError)) {
		if d.interruptedBy(i, err) {
			return
		}
		ok, why, err = false, "new machines were made often enough", fmt.Errorf("%w (%d new machines were made before)", err, d.retaken)
	}
	if ok {
		spent := d.now.Sub(j.began)
		if d.halted() {
			d.stop(i)
			return
		}
		if spent+after <= d.patience(*d.x.nodes[i]) {
			d.pause(i, after, err)
			return
		}
		why = "it was tried for long enough"
		err = fmt.Errorf("%w (tried %d times in %s)", err, j.tries, spent.Round(time.Second))
	}
	d.add(i, Order{Action: fail, Err: err, Tried: true, Unmade: j.unmade, Why: why})
}

// remove begins to remove a thing.
func (d *Pass) remove(i int, why string) {
	j := d.job(i)
	j.removal = true
	if d.stage == solving {
		d.undoing++
	}
	d.limit(j, i)
	d.undo(i, why)
}

// undo makes a try to remove a thing, which may have to be looked for.
func (d *Pass) undo(i int, why string) {
	j := d.jobs[i]
	j.tries++
	x := Order{Action: undo, Removal: true, First: j.tries == 1, Try: j.tries, Began: j.began, Why: why}
	if r, _ := d.recs.get(d.x.nodes[i].Key); r.Out == nil {
		x.Action = find // interrupted: it may exist without our knowing its name
	}
	d.add(i, x)
}

// removalEnded decides what follows from the end of a call for a removal.
func (d *Pass) removalEnded(x Order, o Outcome) {
	i, j := x.Place, d.jobs[x.Place]
	switch {
	case o.Err != nil:
		d.removalFailed(i, o.Err)
	case x.Action == find && o.There:
		d.add(i, Order{Action: undo, Removal: true, Try: j.tries, Began: j.began, Out: o.Out, Why: "it was found"})
	default:
		d.drop(i)
		if d.stage != looking {
			d.gate.release(i)
		}
	}
}

// removalFailed decides whether a removal that has failed is tried again.
func (d *Pass) removalFailed(i int, err error) {
	j := d.jobs[i]
	after, ok := retryAfter(err, j.tries)
	switch {
	case j.ends != nil:
		d.left(i, j.ends, "it was waited for long enough")
	case !ok:
		d.left(i, err, "it has failed for good")
	case d.halted():
		d.stop(i)
	case d.enough(j, after) && !d.x.nodes[i].Guard: // which knows its end, and keeps nothing
		d.left(i, err, "it was tried for long enough")
	default:
		d.pause(i, after, err)
		if j.tries == 1 && d.good() {
			d.warnLate(i)
		}
	}
}

// left ends a removal that could not be done.
func (d *Pass) left(i int, err error, why string) {
	d.drop(i)
	d.add(i, Order{Action: leave, Removal: true, Err: err, Why: why})
	if d.stage != solving {
		d.stays(i, err)
		return
	}
	r, _ := d.recs.get(d.x.nodes[i].Key)
	d.report.Left = append(d.report.Left, Failure{*d.x.nodes[i], describe(r), err})
}

// endWork tells that the last step has ended: from now on, whoever waits waits for
// removals alone.
func (d *Pass) endWork() {
	d.workEnded, d.well = d.now, len(d.report.Failed) == 0
	for i, j := range d.jobs {
		if j == nil {
			continue
		}
		d.limit(j, i)
		if d.well && d.met(i) != "" {
			d.warnLate(i)
		}
		if j.paused {
			j.until = d.now
			heap.Push(&d.times, timed{j.until, i})
		}
	}
}

// good reports whether all steps have come to a good end.
func (d *Pass) good() bool { return !d.workEnded.IsZero() && d.well }

// since is from when the time of a removal counts.
func (d *Pass) since(j *job) time.Time {
	if j.began.Before(d.workEnded) {
		return d.workEnded
	}
	return j.began
}

// met is what a removal has met lately, "" for nothing.
func (d *Pass) met(i int) string {
	j := d.jobs[i]
	told := ""
	if d.trouble != nil {
		told = d.trouble(i)
	}
	if told != "" || j.err == nil || d.now.Sub(j.at) > lastPatience {
		return told
	}
	return j.err.Error()
}

// enough reports whether a removal that fails is not to be tried again after a
// wait. As long as a step is at work it is; what holds a good build up has a limit.
func (d *Pass) enough(j *job, after time.Duration) bool {
	if d.stage == solving && (d.workEnded.IsZero() || d.well) {
		return false
	}
	return d.now.Sub(d.since(j))+after > undoPatience
}

// limit gives a removal that holds a good build up its limit.
func (d *Pass) limit(j *job, i int) {
	if !d.good() {
		return
	}
	j.limit = d.since(j).Add(lastPatience)
	if last := d.workEnded.Add(lastLimit); last.Before(j.limit) {
		j.limit = last
	}
	heap.Push(&d.times, timed{j.limit, i})
}

// late decides what becomes of a removal whose limit has come: one that is slow has
// more time than one that fails.
func (d *Pass) late(i int) {
	j := d.jobs[i]
	last := d.workEnded.Add(lastLimit)
	trouble := d.met(i)
	if trouble == "" && !j.slow && d.now.Before(last) {
		j.slow, j.limit = true, last
		heap.Push(&d.times, timed{j.limit, i})
		d.add(i, Order{Action: sayLate, Removal: true, After: last.Sub(d.now), Why: "all steps have ended, and it is slow"})
		return
	}
	j.ends = fmt.Errorf("given up %s after all else was done", d.now.Sub(d.workEnded).Round(time.Second))
	if trouble != "" {
		j.ends = fmt.Errorf("%s (%w)", trouble, j.ends)
	}
	j.limit = time.Time{}
	if j.paused {
		d.left(i, j.ends, "it was waited for long enough")
		return
	}
	d.add(i, Order{Action: GiveUp, Removal: true, Why: "it was waited for long enough"})
}

// warnLate has people told that a removal fails.
func (d *Pass) warnLate(i int) {
	d.add(i, Order{Action: warnLate, Removal: true, After: d.jobs[i].limit.Sub(d.now), Why: "all steps have ended, and it fails"})
}
