package dag

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Common is implemented by steps that come to the same whichever run does them: lookups
// whose output holds nothing of the run's own, and steps whose things are kept.
// A run that needs one while another run is at it has it of that one, if there is
// somebody who knows: see Makers.
type Common interface{ Common() }

// Lender is the making of a step in another run, which has lent what it made.
type Lender struct {
	Run string `json:"run"`
	Gen int    `json:"gen"`
}

// Makers knows which of several runs makes a common step. It is called from many
// goroutines.
type Makers interface {
	// Claim makes this run the maker of those of the steps that choose returns, which is
	// told which run is the maker of each of the others that have one, and may be called
	// more than once.
	Claim(steps []Key, choose func(others map[Key]string) []Key) error
	// Await waits until the run that makes a step has it, and returns the records of that run
	// for the steps of a list, as far as it has them. None are returned as soon as this run is to make it,
	// and is the maker from then on. Told hears, each time that is news, which run is waited for.
	Await(ctx context.Context, step Key, steps []Key, told func(run string)) (run string, recs []Record, err error)
	// Leave says that this run is the maker of the steps no more.
	Leave(steps ...Key) error
}

// borrowable reports whether a step makes what a run may have of another one: a common
// thing that outlives the run, and that nothing changes. Lookups are another matter: they are claimed as
// they begin.
func (g *Graph) borrowable(i int) bool {
	n := &g.Nodes[i]
	_, kept := g.Keeps[n.Key]
	_, spent := g.Discards[n.Key]
	return n.Common && n.Thing && kept && !spent && !slices.Contains(g.Lent, n.Key) &&
		!slices.ContainsFunc(g.derive().viewers[i], func(v int) bool { return slices.Contains(g.Nodes[v].Takes, n.Key) })
}

// lot are the places of a kept thing and of what comes of it up to the goal that keeps it, in the order
// of the graph: what is borrowed with it.
func (g *Graph) lot(thing int) []int {
	x := g.derive()
	goal, ok := x.at[g.Keeps[x.nodes[thing].Key]]
	if !ok {
		return []int{thing}
	}
	before := map[int]bool{}
	for todo := []int{goal}; len(todo) > 0; {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if i > thing && !before[i] {
			before[i] = true
			todo = append(todo, x.needs[i]...)
		}
	}
	in := map[int]bool{thing: true}
	lot := []int{thing}
	for i := thing + 1; i <= goal; i++ {
		if before[i] && slices.ContainsFunc(x.reads[i], func(d int) bool { return in[d] }) {
			in[i] = true
			lot = append(lot, i)
		}
	}
	return lot
}

// Elsewhere makes the run the maker of the common things that it needs for a graph, and returns
// those that other runs make already, with those that come after one of them: these are claimed by whoever has
// what they need. So a run that others wait for waits for none, but for a lookup.
func (e *Engine) Elsewhere(g *Graph) (elsewhere []Key, err error) {
	if e.o.Makers == nil {
		return nil, nil
	}
	e.recs.derive(g)
	p := newPlanner(g, e.Records())
	p.rebuilds()
	var all []Key
	common, leaves := make([]bool, len(p.x.nodes)), make([]bool, len(p.x.nodes)) // the latter of each node: itself, or what is done for it
	for i, n := range p.x.nodes {
		leaves[i] = e.o.Leaves != nil && e.o.Leaves(*n) || slices.ContainsFunc(p.x.reads[i], func(d int) bool { return leaves[d] && !g.borrowable(d) })
		if common[i] = p.need[i] && g.borrowable(i) && !leaves[i]; common[i] {
			all = append(all, n.Key)
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	err = e.o.Makers.Claim(all, func(others map[Key]string) (mine []Key) {
		after := make([]bool, len(p.x.nodes)) // of each node: it, or something before it, is made elsewhere
		elsewhere = nil
		for i, n := range p.x.nodes {
			after[i] = slices.ContainsFunc(p.x.needs[i], func(d int) bool { return after[d] })
			if !common[i] {
				continue
			}
			switch own := p.stands(i).Alive(); { // what this run may have made is its own
			case !own && (after[i] || others[n.Key] != ""):
				after[i] = true
				elsewhere = append(elsewhere, n.Key)
			case others[n.Key] == "":
				mine = append(mine, n.Key)
			}
		}
		return mine
	})
	if err != nil {
		err = &storeError{fmt.Errorf("cannot learn what other runs make: %w", err)}
	}
	return elsewhere, err
}

// lookup reports whether a step is a common one that is claimed as it begins.
func (n Node) lookup() bool { return n.Common && !n.Thing }

// claim makes the run the maker of a lookup that is about to begin, or reports that
// another run is at it.
func (e *Engine) claim(n Node) (elsewhere bool, err error) {
	err = e.o.Makers.Claim([]Key{n.Key}, func(others map[Key]string) []Key {
		if elsewhere = others[n.Key] != ""; elsewhere {
			return nil
		}
		return []Key{n.Key}
	})
	return elsewhere, unkept(err)
}

// borrow waits for what another run makes, and takes it.
func (e *Engine) borrow(ctx context.Context, g *Graph, n Node) Outcome {
	x := g.derive()
	lot := []int{x.at[n.Key]}
	if n.Thing {
		lot = g.lot(lot[0])
	}
	var steps []Key
	for _, i := range lot {
		steps = append(steps, x.nodes[i].Key)
	}
	told := false
	tell := func(text string) {
		ev := e.about(n, Awaited)
		ev.Text, told = text, text != ""
		e.task(Record{Node: n}, false).emit(ev)
	}
	run, recs, err := e.o.Makers.Await(ctx, n.Key, steps, func(run string) {
		tell(fmt.Sprintf("%s: run %s makes it; waiting for that", n.Name, run))
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return Outcome{Err: errSuspended}
	case err != nil:
		return Outcome{Err: unkept(err)}
	}
	lent := map[Key]Record{}
	for _, r := range recs {
		lent[r.Key] = r
	}
	for _, i := range lot {
		n := *x.nodes[i]
		if r, ok := lent[n.Key]; ok && r.Status == Done && (!n.Thing || n.Key == steps[0]) {
			if err := e.take(g, n, r.Out, Lender{run, r.Gen}); err != nil {
				return Outcome{Err: err}
			}
		}
	}
	r, _ := e.rec(n.Key)
	if r.Status != Done && told {
		tell("")
	}
	return Outcome{There: r.Status == Done}
}

// take checkpoints what another run has lent.
func (e *Engine) take(g *Graph, n Node, out json.RawMessage, of Lender) error {
	k, err := e.kind(n)
	if err != nil {
		return err
	}
	r, _ := e.rec(n.Key)
	if r.Status == Done && r.Lender == of { // by somebody who was lost then
		return nil
	}
	r.Node, r.Lender, r.Begun, r.State = n, of, time.Now(), nil
	if err := k.read(out); err != nil {
		return &storeError{fmt.Errorf("cannot take what run %s has made of %s: %w", of.Run, n.Name, err)}
	}
	return e.done(g, k, r, out, e.task(r, false).event(Borrowed))
}

// lent says who has made what is borrowed; "" of what merely shows it.
func (r Record) lent() string {
	if !r.Common {
		return ""
	}
	return fmt.Sprintf("%s, of run %s", describe(r), r.Lender.Run)
}

// leave says of what the run is the maker no more once an order was carried out: of a lookup that
// has ended; of a thing that was removed; and when a step has failed, or is skipped, of it and of what is
// kept with it, unless that may be there.
func (e *Engine) leave(g *Graph, x Order, o Outcome) error {
	if e.o.Makers == nil {
		return nil
	}
	var of []Key
	switch n := e.node(g, x.Key); {
	case x.Makes() && n.lookup() && !o.Elsewhere:
		return unkept(e.o.Makers.Leave(x.Key))
	case x.Removal && o.Err == nil:
		of = []Key{x.Key}
	case x.Action == fail, x.Action == skip:
		of = append(slices.Clone(g.derive().keeps[x.Key]), x.Key)
	}
	of = slices.DeleteFunc(of, func(k Key) bool {
		r, _ := e.rec(k)
		n := e.node(g, k)
		return !n.Common || !n.Thing || r.Alive()
	})
	if len(of) == 0 {
		return nil
	}
	return unkept(e.o.Makers.Leave(of...))
}

// away is what a pass knows of things that other runs may make.
type away struct {
	asked []int         // those that are yet to be borrowed, or claimed
	lots  map[int][]int // what is borrowed with each of them
	back  []bool        // of each node: it is kept back, since only they need it
	sent  map[int]bool  // those that are waited for
	waits int           // orders to borrow that are on their way, of lookups, too
}

// keepBack keeps back things that other runs make, and what only they need.
func (d *Pass) keepBack() {
	d.away = away{lots: map[int][]int{}, back: make([]bool, len(d.x.nodes)), sent: map[int]bool{}}
	for _, i := range d.x.places(d.o.Elsewhere) {
		if d.state[i] == waiting {
			d.away.asked = append(d.away.asked, i)
			d.away.lots[i] = d.g.lot(i)
		}
	}
	if len(d.away.asked) == 0 {
		return
	}
	now := d.demand(true)
	for _, i := range d.away.asked {
		now[i] = false
	}
	for i, st := range d.state {
		if st == waiting && !now[i] {
			d.away.back[i] = true
			d.open[i]++
		}
	}
}

// demand is what must run for the goals, or what of it can begin whatever becomes of the
// things that are asked for.
func (d *Pass) demand(now bool) []bool {
	p := newPlanner(d.g, d.recs.all())
	p.cut = make([]bool, len(d.x.nodes))
	if now {
		for _, thing := range d.away.asked {
			for _, i := range d.away.lots[thing] {
				p.cut[i] = true
			}
		}
	}
	p.demand()
	return p.need
}

// ask has those things borrowed, or claimed, before which there are no others of the kind.
func (d *Pass) ask() {
	if len(d.away.asked) == len(d.away.sent) {
		return
	}
	asked, after := map[int]bool{}, make([]bool, len(d.x.nodes))
	for _, i := range d.away.asked {
		asked[i] = true
	}
	for i := range d.x.nodes {
		after[i] = slices.ContainsFunc(d.x.needs[i], func(n int) bool { return asked[n] || after[n] })
	}
	for _, i := range d.away.asked {
		if !after[i] && !d.away.sent[i] {
			d.away.sent[i] = true
			d.job(i)
			d.await(i)
		}
	}
}

// await has a step borrowed.
func (d *Pass) await(i int) {
	d.away.waits++
	d.add(i, Order{Action: borrow, Why: "another run makes it"})
}

// awaited decides what follows from the end of a wait: what is there need not be made, and
// what this run is to make itself, and all that it needs, begins.
func (d *Pass) awaited(i int, there bool) {
	if d.state[i] == running { // a lookup
		if there {
			d.drop(i)
			d.done(i)
		} else {
			d.approach(i)
		}
		return
	}
	d.drop(i)
	delete(d.away.sent, i)
	d.away.asked = slices.DeleteFunc(d.away.asked, func(a int) bool { return a == i })
	for i, st := range d.state {
		if r, _ := d.recs.get(d.x.nodes[i].Key); st == waiting && r.Status == Done {
			d.done(i)
		}
	}
	now, all := d.demand(true), d.demand(false)
	for i, st := range d.state {
		switch {
		case st == failed:
			d.broken = append(d.broken, i) // what comes after it was kept back
		case st != waiting || !d.away.back[i]:
		case !all[i]:
			d.turn(i, idle)
			d.settle(i)
		case now[i] && !slices.Contains(d.away.asked, i):
			d.away.back[i] = false
			if d.open[i]--; d.open[i] == 0 {
				d.queue.add(i)
			}
		}
	}
}
