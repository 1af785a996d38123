package dag

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"slices"
	"time"
)

// What a decision can have in store beside the actions of a plan.
const (
	let      Action = "let"       // whoever drives the run lets the step begin
	find     Action = "find"      // its thing is looked for
	borrow   Action = "borrow"    // another run makes it, and is waited for
	fail     Action = "fail"      // its failure is journaled, and somebody says what it means
	wait     Action = "wait"      // nothing until a time, or until a build has ended
	skip     Action = "skip"      // it will not run
	suspend  Action = "suspend"   // it was interrupted, and goes on with the next Solve
	retake   Action = "retake"    // its machine was taken away, and another one will be made
	rebuild  Action = "rebuild"   // its thing has to be made again
	forget   Action = "forget"    // a later form overtakes it
	undo     Action = "undo"      // its thing is removed
	leave    Action = "leave"     // its thing could not be removed
	GiveUp   Action = "give up"   // the call that removes its thing is ended
	warnLate Action = "warn late" // people hear that they wait for a removal that fails
	sayLate  Action = "say late"  // people hear that they wait for a removal that is slow
	Finish   Action = "finish"    // there is nothing left to do
)

// Order is something that a pass has decided, to be done now, and why. It is data, so
// that another process can carry it out: see [Engine.Carry] and [Engine.Tell].
type Order struct {
	Action Action `json:"action"`
	Key    Key    `json:"key,omitzero"`   // of the step
	Name   string `json:"name,omitempty"` // of the step
	Place  int    `json:"place"`          // the step's among those of the stage
	Why    string `json:"why,omitempty"`
	Site   string `json:"site,omitempty"` // where it calls; see Caller

	Removal bool          `json:"removal,omitempty"` // it is about a thing on its way out
	First   bool          `json:"first,omitempty"`   // the first of its kind: the intent is journaled before
	Try     int           `json:"try,omitempty"`     // of an attempt, from 1
	Until   time.Time     `json:"until,omitzero"`    // of a wait for the next try
	After   time.Duration `json:"after,omitempty"`   // nanoseconds: how long that, or what people are told of, is
	Began   time.Time     `json:"began,omitzero"`    // of a removal: when it began
	Out     []byte        `json:"-"`                 // of a thing to be undone, where a look has found it; elsewhere it is looked for again
	Err     error         `json:"-"`                 // why it fails, waits or is left; in JSON as that of an Outcome
	Tried   bool          `json:"tried,omitempty"`   // of a failure: an attempt has been made
	Unmade  bool          `json:"unmade,omitempty"`  // of a failure: no attempt has made anything
	Again   bool          `json:"again,omitempty"`   // it may have been carried out before, by somebody of whom nothing was heard since
}

// Call reports whether the order is to be carried out, so that the pass hears how it
// has ended. Of others people are only told.
func (x Order) Call() bool {
	switch x.Action {
	case let, find, borrow, fail, undo, forget:
		return true
	}
	return x.Makes()
}

// Makes reports whether the order is an attempt of a step.
func (x Order) Makes() bool {
	return x.Action == Run || x.Action == Resume || x.Action == Recreate
}

// Waits reports whether the order waits for what another run makes, for however long that takes.
func (x Order) Waits() bool { return x.Action == borrow }

// Looks reports whether the order looks for a thing.
func (x Order) Looks() bool { return x.Action == find }

// Told reports whether people are told of the order, which is no call then.
func (x Order) Told() bool {
	return !x.Call() && x.Action != GiveUp && x.Action != Finish && (x.Action != wait || x.Err != nil) // a step waits for its turn in silence
}

// Rules are what decides beside the graph and the records.
type Rules struct {
	Parallel int  `json:"parallel,omitempty"` // builds at work at once; 0 is no limit
	Gated    bool `json:"gated,omitempty"`    // each step has to be let
	// Elsewhere are the common things that other runs make, and those behind them: see [Engine.Elsewhere].
	Elsewhere []Key                    `json:"elsewhere,omitempty"`
	Patience  func(Node) time.Duration `json:"-"` // how long a step is tried again; nil: what its node says, or the default
}

// stage is a part of a pass. It begins when nothing of the one before it is on its
// way.
type stage int

const (
	looking  stage = iota // for what the records claim and a step that must run relies on
	clearing              // of what was made for an earlier form of the graph, and what is made again
	solving               // steps run, things are released
	over
)

type nodeState int

const (
	idle    nodeState = iota // done before, or not needed
	waiting                  //
	running                  //
	done                     //
	failed                   //
	skipped                  //
)

// Pass decides what may start. It is told what has happened, each fact once, and
// does nothing itself: no call, no look at a clock. The same facts in the same order
// lead to the same decisions. It reads the records of steps and things of which
// nothing is on its way; how an order has ended must be in them before it is told.
//
// Whoever drives it asks Decide, has each of the orders carried out, tells Ended of
// those that are calls, and asks again then, or when it is Next, until there is the order Finish.
// Only one goroutine may touch it.
type Pass struct {
	g    *Graph // nil for a removal alone
	recs *records
	o    Rules
	part bool  // the graph is not whole: what it does not hold may be wanted still
	last stage // the stage to end with

	stage       stage
	x           *index // the steps of the stage
	jobs        []*job // of each of them
	times       times
	busy        int
	undoing     int // of the busy ones
	now         time.Time
	trouble     func(place int) string // what a removal that is on its way has met lately, "" for nothing; may be nil
	ds          []Order
	interrupted bool
	stopped     bool    // what was paused was ended
	taken       []taken // steps whose machines were taken away
	retaken     int     // how often new machines were made for such
	fatal       error
	report      Report

	checked []bool    // what has been looked for
	lost    []Failure // what could not be looked for

	gate *gate
	free []int // things that nothing keeps any more

	wanted, blamed []bool   // of each thing: it is to be cleared; what stands on it stays
	stuck          []string // of each thing: what stands on it and stays

	pl        *planner
	state     []nodeState
	held      []bool // failed or skipped, but everything stays
	open      []int  // of each node, how many of its needs are not there yet
	queue     *queue // of nodes whose needs are all there
	broken    []int  // steps that have failed, whose dependents are not skipped yet
	workEnded time.Time
	well      bool  // no step had failed when the work ended
	lent      []int // goals that stay for others
	away      away
}

// NewPass returns a pass over a graph, or over its skeleton, of which there are records.
func NewPass(g *Graph, recs []Record, o Rules) *Pass {
	all := newRecords()
	all.note(recs...)
	return newPass(g, all, o)
}

func newPass(g *Graph, recs *records, o Rules) *Pass {
	x := g.derive()
	return &Pass{g: g, recs: recs, o: o, part: g.Part || g.Open(), last: solving, x: x.index, jobs: make([]*job, len(x.nodes)), checked: make([]bool, len(x.nodes))}
}

// NewRemoval returns a pass that removes things and does no more. What is not
// chosen, and is not worth keeping, keeps what it stands on.
func NewRemoval(recs []Record, things func(Record) bool) *Pass {
	all := newRecords()
	all.note(recs...)
	return newRemover(all, things)
}

func newRemover(recs *records, things func(Record) bool) *Pass {
	all := recs.all()
	d := &Pass{recs: recs, last: clearing}
	var chosen, others []int
	for i, r := range all {
		switch {
		case !r.Alive():
		case things(r):
			chosen = append(chosen, i)
		case !r.Kept:
			others = append(others, i)
		}
	}
	d.clear(newIndex(len(all), func(i int) *Node { return &all[i].Node }), chosen)
	if len(chosen) > 0 {
		for _, i := range others {
			d.blame(i, describe(all[i]))
		}
	}
	return d
}

// Decide returns what is to be done now.
func (d *Pass) Decide(now time.Time) []Order {
	d.now = now
	for d.stage != over {
		if d.halted() {
			d.stopPaused()
		}
		d.due()
		switch {
		case d.stage == clearing:
			d.startClearing()
		case d.stage == solving && !d.halted():
			d.startSolving()
		}
		if d.stage == solving && d.busy == d.undoing && d.busy > 0 && d.workEnded.IsZero() {
			d.endWork()
			continue
		}
		if d.busy > 0 {
			break
		}
		d.advance()
	}
	ds := d.ds
	d.ds = nil
	return ds
}

// add decides something about a step.
func (d *Pass) add(i int, x Order) {
	n := d.x.nodes[i]
	x.Place, x.Key, x.Name = i, n.Key, n.Name
	if x.Makes() || x.Looks() || x.Action == undo {
		x.Site = n.Site
	}
	d.ds = append(d.ds, x)
}

// halted reports whether nothing new may start.
func (d *Pass) halted() bool { return d.interrupted || d.fatal != nil }

// Interrupt tells that nothing new may start: what is on its way ends.
func (d *Pass) Interrupt() { d.interrupted = true }

// Next is when something will be due, the zero time for never.
func (d *Pass) Next() time.Time {
	if len(d.times) == 0 {
		return time.Time{}
	}
	return d.times[0].at
}

// advance goes on to the next stage, or ends the pass.
func (d *Pass) advance() {
	if d.stage == solving && d.startOver() {
		return
	}
	switch {
	case d.stage == looking && len(d.lost) == 0 && !d.halted():
		if d.look() {
			return
		}
	case d.stage == clearing && len(d.report.Left) == 0 && !d.halted():
	default:
		d.end()
		return
	}
	if d.stage == d.last {
		d.end()
		return
	}
	if d.stage++; d.stage == clearing {
		d.plan()
	} else {
		d.begin()
	}
}

// end ends the pass.
func (d *Pass) end() {
	why := "there is nothing left to do"
	if d.fatal != nil {
		why = "what happened could not be kept"
	}
	switch {
	case d.stage == looking && len(d.lost) > 0:
		why = "what exists could not be found out"
		slices.SortFunc(d.lost, func(a, b Failure) int { return cmp.Compare(d.x.at[a.Node.Key], d.x.at[b.Node.Key]) })
		unkept := d.fatal // what was interrupted as well is no reason to say nothing of it
		d.fatal = nil
		for _, f := range d.lost {
			d.fatal = errors.Join(d.fatal, f.Err)
		}
		if errors.Is(d.fatal, errSuspended) {
			d.interrupted, d.fatal = true, unkept
		}
	case d.stage == clearing && d.fatal == nil && !d.interrupted && d.g != nil:
		why = "something could not be removed"
		d.fatal = errors.New("cannot go on: what was made for an earlier form of the template could not be removed")
	case d.stage == solving && len(d.report.Failed) > 0:
		why = "steps have failed"
	}
	d.report.Suspended = d.interrupted
	if d.stage == solving {
		d.report.Suspended = slices.Contains(d.state, waiting) || d.interrupted && slices.ContainsFunc(d.x.nodes, func(n *Node) bool {
			r, _ := d.recs.get(n.Key)
			return r.Alive() && !r.Kept
		})
		for _, n := range d.x.nodes {
			if r, _ := d.recs.get(n.Key); len(d.report.Failed) > 0 && r.Alive() && !r.Kept && d.outlasts(r) {
				d.report.Stayed = append(d.report.Stayed, r)
			}
		}
	}
	if d.report.Suspended {
		why = "it was interrupted"
	}
	d.stage = over
	d.ds = append(d.ds, Order{Action: Finish, Why: why})
}

// Result is how the pass has ended. The error says that nothing can go on.
func (d *Pass) Result() (*Report, error) {
	if d.fatal != nil && len(d.lost) > 0 {
		return nil, d.fatal
	}
	return &d.report, d.fatal
}

// Records are what the pass knows of every step, the oldest first.
func (d *Pass) Records() []Record { return d.recs.all() }

// look decides what is looked for: the things of interrupted steps, and those that
// a step which must run would rely on. What is found out may lead to more.
func (d *Pass) look() (any bool) {
	p := newPlanner(d.g, d.recs.all())
	p.demand()
	relied := p.reliedOn()
	for _, i := range p.x.places(d.g.Lent) {
		relied[i] = slices.Contains(d.g.Goals, p.x.nodes[i].Key)
	}
	for i := range p.x.nodes {
		r := p.stands(i)
		if d.checked[i] || !r.Alive() && !(r.Borrowed() && r.Thing) || !p.need[i] && !(r.Status == Done && relied[i]) {
			continue
		}
		d.checked[i], any = true, true
		switch r.Status {
		case Undoing:
			d.remove(i, "its removal was interrupted")
		case Done:
			d.job(i)
			d.add(i, Order{Action: find, Why: "a step that must run relies on it"})
		default:
			d.job(i)
			d.add(i, Order{Action: find, Why: "an interrupted attempt may have made it"})
		}
	}
	return any
}

// plan decides what must be made again, and what is in the way.
func (d *Pass) plan() {
	d.pl = newPlanner(d.g, d.recs.all())
	again := d.pl.rebuilds()
	if d.fatal = d.pl.err; d.fatal != nil {
		return
	}
	removes, gone, over := d.pl.obsolete()
	if d.part {
		removes, over = nil, nil
	}
	d.clear(d.pl.past, slices.Concat(removes, gone))
	for _, r := range d.pl.again {
		i := d.x.at[r.Record.Key]
		d.job(i)
		d.add(i, Order{Action: forget, Why: r.Why})
	}
	for _, i := range over {
		d.job(i)
		d.add(i, Order{Action: forget, Why: "its machine stays, and the template does not want it any more"})
	}
	for _, rb := range again {
		d.add(d.x.at[rb.Record.Key], Order{Action: rebuild, Why: rb.Why})
	}
}

// clear begins to remove things of a list side by side, but none before what stands
// on it.
func (d *Pass) clear(x *index, things []int) {
	n := len(x.nodes)
	d.stage, d.x, d.jobs = clearing, x, make([]*job, n)
	if len(things) == 0 {
		return
	}
	d.wanted, d.blamed, d.stuck, d.free = make([]bool, n), make([]bool, n), make([]string, n), nil
	for _, i := range things {
		d.wanted[i] = true
	}
	d.gate = newGate(x, func(i int) {
		if d.wanted[i] {
			d.free = append(d.free, i)
		}
	})
	for i := range n {
		if !d.wanted[i] {
			d.gate.release(i)
		}
		d.gate.finish(i)
	}
}

func (d *Pass) startClearing() {
	for len(d.free) > 0 {
		i := d.free[0]
		d.free = d.free[1:]
		switch {
		case d.stuck[i] != "":
			d.stays(i, fmt.Errorf("cannot remove it while %s stands on it", d.stuck[i]))
		case d.halted():
			d.stays(i, cmp.Or(d.fatal, errSuspended))
		default:
			d.remove(i, "it is in the way, and nothing stands on it")
		}
	}
}

// begin begins to solve.
func (d *Pass) begin() {
	x := d.g.derive()
	n := len(x.nodes)
	d.x, d.jobs, d.free = x.index, make([]*job, n), nil
	d.state, d.held, d.open = make([]nodeState, n), make([]bool, n), make([]int, n)
	d.gate = newGate(d.x, func(thing int) { d.free = append(d.free, thing) })
	for thing, goal := range d.g.Keeps {
		i, there := d.x.at[thing]
		if _, ok := d.x.at[goal]; ok && there && thing != goal {
			d.gate.keep(i)
		}
	}
	for _, i := range d.x.places(d.g.Lent) {
		d.gate.keep(i)
		if slices.Contains(d.g.Goals, d.x.nodes[i].Key) {
			d.lent = append(d.lent, i)
		}
	}
	for _, r := range d.recs.all() {
		if _, there := d.x.at[r.Key]; there || !d.part || !r.Alive() {
			continue
		}
		for _, i := range d.x.places(r.Attaches) { // what the graph does not hold stays, and so does what it stands on
			d.gate.keep(i)
		}
	}
	for i, needed := range d.pl.need {
		if needed {
			d.state[i] = waiting
			for _, need := range d.x.needs[i] {
				if d.pl.need[need] {
					d.open[i]++
				}
			}
		}
	}
	d.keepBack()
	d.queue = newQueue(d.x.nodes, d.state, d.o.Parallel)
	for i, st := range d.state {
		if st == idle {
			d.settle(i)
			if r, _ := d.recs.get(d.x.nodes[i].Key); r.Status == Done {
				d.gate.detach(i)
			}
		} else if d.open[i] == 0 {
			d.queue.add(i)
		}
	}
}

// startSolving begins every step and every release that is ready.
func (d *Pass) startSolving() {
	for _, i := range d.broken {
		d.skip(i)
	}
	d.broken = d.broken[:0]
	d.ask()
	for {
		i, ok := d.queue.next()
		if !ok && d.busy == d.away.waits {
			i, ok = d.queue.force()
		}
		if !ok {
			break
		}
		if d.state[i] != waiting {
			continue // it is not needed any more
		}
		d.turn(i, running)
		d.job(i)
		if d.o.Gated {
			d.add(i, Order{Action: let, Why: "all that it reads is there"})
		} else {
			d.approach(i)
		}
	}
	for _, i := range d.queue.held {
		d.add(i, Order{Action: wait, Why: "as many builds are at work as may be"})
	}
	d.queue.held = d.queue.held[:0]
	if d.busy == d.undoing && len(d.report.Failed) > 0 && d.lent != nil && !slices.Contains(d.held, true) {
		d.gate.pass(d.lent...) // nobody comes for it
		d.lent = nil
	}
	for _, i := range d.free {
		if r, _ := d.recs.get(d.x.nodes[i].Key); r.Alive() && !r.Kept && !d.outlasts(r) {
			d.remove(i, "nothing needs it any more, and nothing stands on it")
		}
	}
	d.free = d.free[:0]
}

// outlasts reports whether no failure removes a thing.
func (d *Pass) outlasts(r Record) bool {
	from, _ := d.recs.get(d.g.Stays[r.Key])
	return from.Status == Done && !r.Spent
}

// done tells that a step has its checkpoint.
func (d *Pass) done(i int) {
	d.turn(i, done)
	for _, r := range d.x.readers[i] {
		if d.open[r]--; d.open[r] == 0 && d.state[r] == waiting {
			d.queue.add(r)
		}
	}
	for _, guard := range d.x.places(d.g.derive().guards[d.x.nodes[i].Key]) {
		d.gate.release(guard)
	}
	d.settle(i)
	d.gate.detach(i)
}

// failed tells that a step has failed, and what that means.
func (d *Pass) failed(i int, err error, verdict Decision) {
	n := *d.x.nodes[i]
	d.turn(i, failed)
	held := verdict != Cleanup
	d.held[i] = held
	d.report.Failed = append(d.report.Failed, Failure{n, n.Name, err})
	d.broken = append(d.broken, i)
	if !held {
		d.settle(i)
	}
	if verdict == Guards {
		d.callGuards(i)
	}
}

// callGuards has the guards done that wait for a step that has failed and for those that come after it.
func (d *Pass) callGuards(failed int) {
	seen := map[int]bool{}
	for todo := []int{failed}; len(todo) > 0; {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !seen[i] && (i == failed || d.state[i] == waiting) {
			seen[i] = true
			d.gate.pass(d.x.guardsOf(i)...)
			todo = append(todo, d.x.readers[i]...)
		}
	}
}

// turn changes the state of a node.
func (d *Pass) turn(i int, to nodeState) {
	d.queue.turn(i, d.state[i], to)
	d.state[i] = to
}

// skip lets go of every step that would come after one that has failed.
func (d *Pass) skip(failed int) {
	var after []int
	seen := map[int]bool{}
	for todo := []int{failed}; len(todo) > 0; {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, r := range d.x.readers[i] {
			if d.state[r] == waiting && !d.away.back[r] {
				d.turn(r, skipped)
				after = append(after, r)
			}
			if d.state[r] == skipped && !seen[r] {
				seen[r] = true
				todo = append(todo, r)
			}
		}
	}
	slices.Sort(after)
	for _, i := range after {
		d.held[i] = slices.ContainsFunc(d.x.needs[i], func(need int) bool { return d.held[need] })
		d.report.Skipped = append(d.report.Skipped, *d.x.nodes[i])
		d.add(i, Order{Action: skip, Why: d.x.nodes[failed].Name + " has failed"})
		if !d.held[i] {
			d.settle(i)
		}
	}
}

// settle tells the gate that a step will not need its inputs any more.
func (d *Pass) settle(i int) {
	n := d.x.nodes[i]
	if r, _ := d.recs.get(n.Key); n.Thing && !r.Alive() {
		d.gate.release(i)
	}
	d.gate.finish(i)
	for _, kept := range d.g.derive().keeps[n.Key] {
		if at, ok := d.x.at[kept]; ok && at != i {
			d.gate.pass(at)
		}
	}
}

// due goes on with what has waited for its time.
func (d *Pass) due() {
	for len(d.times) > 0 && !d.now.Before(d.times[0].at) {
		t := heap.Pop(&d.times).(timed)
		j := d.jobs[t.i]
		switch {
		case j == nil:
		case j.removal && j.limit.Equal(t.at):
			d.late(t.i)
		case j.paused && j.until.Equal(t.at):
			j.paused = false
			if j.removal {
				d.undo(t.i, "its last failure may have passed")
			} else {
				d.again(t.i)
			}
		}
	}
}

// timed is a time at which there is something to decide about a step.
type timed struct {
	at time.Time
	i  int
}

// times are a heap, the first time on top.
type times []timed

func (t times) Len() int { return len(t) }
func (t times) Less(i, j int) bool {
	if c := t[i].at.Compare(t[j].at); c != 0 {
		return c < 0
	}
	return t[i].i < t[j].i
}
func (t times) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *times) Push(x any)   { *t = append(*t, x.(timed)) }
func (t *times) Pop() any {
	old := *t
	x := old[len(old)-1]
	*t = old[:len(old)-1]
	return x
}
