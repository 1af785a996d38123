package dag

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A graph is written here as its steps, in order: a name, and what it reads. A name
// that ends in ! is a thing's, one with a dot belongs to the build before the dot, one
// without to several.
// What is read is marked with ^ for attach, ~ for detach, = for a take; :x is the
// goal that x is, and +x@y keeps x from when y is done.
func stepsOf(text string) *Graph {
	g := &Graph{}
	for step := range strings.SplitSeq(text, ";") {
		words := strings.Fields(step)
		n := Node{Name: strings.TrimSuffix(words[0], "!"), Thing: strings.HasSuffix(words[0], "!"), Format: specFormat, Builds: []string{"one", "two"}}
		if build, _, ok := strings.Cut(n.Name, "."); ok {
			n.Builds = []string{build}
		}
		n.Key = digestKey(n.Name)
		for _, w := range words[1:] {
			if w == "old" {
				n.Format, n.Spec = 0, json.RawMessage(`"{{x}}"`)
				continue
			}
			if name, ok := strings.CutPrefix(w, ":"); ok {
				g.Goals = append(g.Goals, digestKey(name))
				continue
			}
			if kept, ok := strings.CutPrefix(w, "+"); ok {
				thing, goal, _ := strings.Cut(kept, "@")
				if g.Keeps == nil {
					g.Keeps = map[Key]Key{}
				}
				g.Keeps[digestKey(thing)] = digestKey(goal)
				continue
			}
			k := digestKey(strings.TrimRight(w, "^~="))
			n.Needs = append(n.Needs, k)
			switch {
			case strings.HasSuffix(w, "^"):
				n.Attaches = append(n.Attaches, k)
			case strings.HasSuffix(w, "~"):
				n.Detaches = append(n.Detaches, k)
			case strings.HasSuffix(w, "="):
				n.Takes = append(n.Takes, k)
			}
		}
		g.Nodes = append(g.Nodes, n)
	}
	return g
}

// Records are written as name=status, with + for a kept thing and ? for one whose
// output is not known. Those of steps that are not in the graph have their form
// from another graph.
func recordsOf(text string, graphs ...*Graph) *records {
	rs := newRecords()
	for i, w := range strings.Fields(text) {
		name, status, _ := strings.Cut(w, "=")
		r := Record{Gen: 1, Status: Status(strings.TrimRight(status, "+?")), Kept: strings.HasSuffix(status, "+"), Begun: began.Add(time.Duration(i))}
		for _, g := range graphs {
			if n, ok := g.Node(digestKey(name)); ok {
				r.Node = n
				break
			}
		}
		if r.Status == Done || r.Status == Undoing && !strings.HasSuffix(status, "?") {
			r.Out = json.RawMessage(`1`)
		}
		rs.note(r)
	}
	return rs
}

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func keysOf(names string) (keys []Key) {
	for name := range strings.FieldsSeq(names) {
		keys = append(keys, digestKey(name))
	}
	return keys
}

// play is a decider with somebody who does what it decides, as he is told.
type play struct {
	d       *Pass
	recs    *records
	now     time.Time
	at      map[string]Order  // what is on its way, by the name of the step
	trouble map[string]string // of removals
	over    bool
	reasons bool
}

func newPlay(d *Pass) *play {
	p := &play{d: d, recs: d.recs, now: began, at: map[string]Order{}, trouble: map[string]string{}}
	d.trouble = func(i int) string { return p.trouble[d.x.nodes[i].Name] }
	return p
}

// node is the step that an order is about.
func (p *play) node(x Order) *Node {
	if p.d.g != nil {
		if n, ok := p.d.g.Node(x.Key); ok {
			return &n
		}
	}
	r, _ := p.recs.get(x.Key)
	return &r.Node
}

// decide returns what is decided, in words.
func (p *play) decide() string {
	var all []string
	for _, x := range p.d.Decide(p.now) {
		all = append(all, p.begin(x))
	}
	return strings.Join(all, ", ")
}

// begin is what happens before a call, and what the decision is in words.
func (p *play) begin(x Order) string {
	text := string(x.Action)
	if x.Action != Finish {
		text += " " + x.Name
	}
	if x.Action == undo && x.First {
		text += " first"
	}
	if x.Try > 1 {
		text += fmt.Sprint(" try ", x.Try)
	}
	if x.After > 0 {
		text += " " + x.After.String()
	}
	if x.Action == fail || x.Action == leave {
		text += fmt.Sprintf(" (%v)", x.Err)
	}
	if p.reasons && x.Why != "" {
		text += ": " + x.Why
	}
	switch x.Action {
	case Finish:
		p.over = true
		return text
	case let, fail, find, borrow, undo, forget, Run, Resume, Recreate:
		if _, busy := p.at[x.Name]; busy {
			text += " TWICE"
		}
		p.at[x.Name] = x
	}
	r, _ := p.recs.get(x.Key)
	switch {
	case x.Removal && x.First:
		r.Status = Undoing
		p.recs.note(r)
		if r.Guard && r.Out != nil {
			m, _ := p.recs.get(r.Attaches[0])
			for len(m.Takes) > 0 {
				m, _ = p.recs.get(m.Takes[0])
			}
			if m.Parted = m.Thing && m.Alive(); m.Parted {
				p.recs.note(m)
			}
		}
	case x.First:
		if r.Status == Gone || r.Status == "" {
			r = Record{Gen: r.Gen + 1, Begun: p.now}
		}
		r.Node, r.Status = *p.node(x), Doing
		p.recs.note(r)
	case x.Action == fail && x.Tried:
		r.Status, r.Err = StatusFailed, x.Err.Error()
		if x.Unmade && p.node(x).Thing {
			r.Status = Gone
		}
		r.Tries++
		p.recs.note(r)
	}
	return text
}

// end is how something has ended: a name and a word.
func (p *play) end(fact string) {
	name, how, _ := strings.Cut(fact, " ")
	x, ok := p.at[name]
	if !ok {
		panic("nothing of " + name + " is on its way")
	}
	delete(p.at, name)
	r, _ := p.recs.get(x.Key)
	var o Outcome
	switch how {
	case "ok":
		switch {
		case x.Removal && x.Action == find:
			o.There, o.Out = true, []byte(`1`)
		case x.Removal:
			p.gone(r)
		case x.Action == forget:
			p.gone(r)
		case x.Action == let || x.Action == fail:
		case x.Action == find && r.Status == Done:
		default:
			o.There = true
			r.Status, r.Out = Done, json.RawMessage(`1`)
			p.recs.note(r)
			for _, k := range p.d.g.derive().keeps[r.Key] {
				kept, _ := p.recs.get(k)
				kept.Kept = true
				p.recs.note(kept)
			}
			for _, k := range p.d.g.derive().guards[r.Key] {
				if over, _ := p.recs.get(k); over.Alive() {
					over.Status, over.Out = Gone, nil
					p.recs.note(over)
				}
			}
		}
	case "mine":
	case "elsewhere":
		o.Elsewhere = true
		p.gone(r) // it was not begun
	case "has": // another run, with all that keeps it
		o.There = true
		lot := []int{x.Place}
		if r.Node = *p.node(x); r.Thing {
			lot = p.d.g.lot(x.Place)
		}
		for _, i := range lot {
			p.recs.note(Record{Node: *p.d.x.nodes[i], Status: Done, Out: json.RawMessage(`1`), Lender: Lender{"other", 1}})
		}
	case "absent":
		if x.Removal || r.Status == Done {
			p.gone(r)
		}
	case "again":
		o.Verdict = Again
	case "suspend":
		o.Verdict = Suspend
	case "interrupted":
		o.Err = errSuspended
	case "unkept":
		o.Err = &storeError{errBoom}
	case "fails":
		o.Err = errBoom
	case "sinks":
		o.Err = errors.New(name + " has sunk")
	case "refused":
		o.Err = NotMade(errBoom)
	case "passing":
		o.Err = Retry(errBoom, 0)
	case "lost":
		o.Err = &RetryError{Err: &lostError{"lost"}}
	case "full": // no capacity at present
		o.Err = Retry(NotMade(errBoom), 30*time.Second)
	default:
		panic(how)
	}
	p.d.Ended(x, o, nil, p.now)
}

func (p *play) gone(r Record) {
	for _, r := range p.recs.derivedFrom(r) {
		r.Status, r.Out = Gone, nil
		p.recs.note(r)
	}
}

// fact tells the decider one fact.
func (p *play) fact(f string) {
	name, trouble, told := strings.Cut(f, " meets ")
	after, timed := strings.CutPrefix(f, "+")
	switch {
	case f == "start":
	case f == "cancel":
		p.d.Interrupt()
	case told:
		p.trouble[name] = trouble
	case timed:
		d, err := time.ParseDuration(after)
		if err != nil {
			panic(err)
		}
		p.now = p.now.Add(d)
	default:
		p.end(f)
	}
}

// build is a whole build in small, as those of EC2 are.
const build = `key!; group!; launch! key group^; connect launch=; sh connect=; stop launch sh=; regroup stop~; image! stop^; ready image~ :ready +image@ready`

// Each line of a row's script is facts, in order, and what is decided then.
func TestDecide(t *testing.T) {
	for _, c := range []struct {
		name, graph, records string
		earlier              string // the graph whose records there are beside
		parallel             int
		gated, reasons       bool
		elsewhere            string            // things that other runs make
		remove               func(Record) bool // things, instead of solving
		script               string
		report               string // failed, skipped and left steps, and how it has ended
	}{
		{
			name: "a run from its beginning to its end, each thing released as early as can be", graph: build,
			script: `
				start => run key, run group
				group ok =>
				key ok => run launch
				launch ok => run connect, undo key first
				connect ok; key ok => run sh
				sh ok => run stop
				stop ok => run regroup, run image
				regroup ok => undo group first
				image ok => run ready
				ready ok => undo launch first
				group ok =>
				launch ok => finish`,
		},
		{
			name: "reasons", graph: `a!; b a :b`, reasons: true,
			script: `
				start => run a: all that it reads is there
				a passing => wait a 1s: its failure may pass
				+1s => resume a try 2: its last failure may have passed
				a fails => fail a (boom): it has failed for good
				a again => find a: an earlier attempt may have made it
				a absent => resume a: an earlier attempt has not come to its end
				a fails => fail a (boom): it has failed for good
				a ok => skip b: a has failed, find a: nothing needs it any more, and nothing stands on it
				a ok => undo a: it was found
				a ok => finish: steps have failed`,
			report: "failed a, skipped b",
		},
		{
			name: "all is done and reused", graph: build, records: `key=gone group=gone launch=gone connect=gone sh=gone stop=gone regroup=gone image=done+ ready=done`,
			script: `start => finish`,
		},
		{
			name: "a thing that is there though nothing needs it any more is released", graph: build, records: `key=done group=gone launch=gone connect=gone sh=gone stop=gone regroup=gone image=done+ ready=done`,
			script: `
				start => undo key first
				key ok => finish`,
		},
		{
			name: "a begun step goes on", graph: `a; b a :b`, records: `a=done b=doing`,
			script: `
				start => resume b
				b ok => finish`,
		},
		{
			name: "the thing of a begun step is looked for and found", graph: `a!; b a :b`, records: `a=doing`,
			script: `
				start => find a
				a ok => run b
				b ok => undo a first
				a ok => finish`,
		},
		{
			name: "the thing of a begun step is looked for and not found, and looked for again before it is made", graph: `a!; b a :b`, records: `a=doing`,
			script: `
				start => find a
				a absent => find a
				a absent => resume a
				a ok => run b`,
		},
		{
			name: "what exists cannot be found out", graph: `a!; b a; c!; d b c :d`, records: `a=doing c=doing`,
			script: `
				start => find a, find c
				c fails; a ok => finish`,
			report: "no report, error boom",
		},
		{
			name: "what exists cannot be found out since it was interrupted", graph: `a!; b a; c!; d b c :d`, records: `a=doing c=doing`,
			script: `
				start => find a, find c
				cancel; c fails; a interrupted => finish`,
			report: "suspended",
		},
		{
			name: "... and what was found could not be kept", graph: `a!; b a; c!; d b c :d`, records: `a=doing c=doing`,
			script: `
				start => find a, find c
				cancel; c unkept; a interrupted => finish`,
			report: "no report, error boom",
		},
		{
			name: "what is in the way stays when its end could not be kept, interrupted or not", graph: `z :z`, earlier: `a!; b! a^; c!`, records: `a=done b=done c=done`,
			script: `
				start => undo b first, undo c first
				cancel; c unkept; b interrupted => finish`,
			report: "left c, left b, left a, suspended, error boom",
		},
		{
			name: "a step that is not needed any more and was never done lets nothing go", graph: build, records: `key=gone group=done launch=done connect=done sh=done stop=done image=done+ ready=done`,
			script: `
				start => undo launch first
				launch ok => undo group first
				group ok => finish`,
		},
		{
			name: "a thing that nobody relies on is not looked for; one that has vanished is made again, and what it took along", graph: `k!; q k; x!; a!; b a x; c b :c`, records: `k=done q=done x=done a=done b=done`,
			script: `
				start => find x, find a
				x ok; a absent => run a, undo k first
				a ok => run b
				b ok => run c
				c ok => undo x first, undo a first`,
		},
		{
			name: "a removal that was interrupted comes first", graph: `a!; b a :b`, records: `a=undoing`,
			script: `
				start => undo a first
				a ok => run a`,
		},
		{
			name: "a removal that was interrupted before its thing was known", graph: `a!; b a :b`, records: `a=undoing?`,
			script: `
				start => find a
				a ok => undo a
				a passing => wait a 1s
				+1s => find a try 2
				a absent => run a`,
		},
		{
			name: "a removal that was interrupted and fails", graph: `a!; b a :b`, records: `a=undoing`,
			script: `
				start => undo a first
				a fails => leave a (boom), finish`,
			report: "no report, error boom",
		},
		{
			name: "a machine that an earlier form of a step has changed is made again", graph: `a!; b a=; c2 b= :c2`, earlier: `a!; b a=; c b=`, records: `a=done b=done c=done`,
			script: `
				start => find a
				a ok => rebuild a, undo a first
				a ok => recreate a
				a ok => recreate b
				b ok => run c2
				c2 ok => undo a first`,
		},
		{
			name: "a step that failed and was edited runs on the same machine", graph: `a!; b a=; c2 b= :c2`, earlier: `a!; b a=; c b=`, records: `a=done b=done c=broken`,
			script: `
				start => find a
				a ok => run c2`,
		},
		{
			name: "what is left of an earlier form goes first, in order", graph: `z :z`, earlier: `a!; b! a^; c!`, records: `a=done b=done c=done+`,
			script: `
				start => undo b first
				b ok => undo a first
				a ok => run z`,
		},
		{
			name: "what is left of an earlier form cannot be removed", graph: `z :z`, earlier: `a!; b! a^; c!`, records: `a=done b=done c=done`,
			script: `
				start => undo b first, undo c first
				b fails => leave b (boom)
				c ok => finish`,
			report: "left b, left a, error cannot go on: what was made for an earlier form of the template could not be removed",
		},
		{
			name: "settings of an earlier form cannot be read", graph: `a; b a old :b`, records: `a=done b=doing`,
			script: `
				start => fail b (cannot do b: an earlier imgflow has stored it in a form that this one cannot read: resume without --frozen, or with the version that made the run)
				b ok => finish`,
			report: "failed b",
		},
		{
			name: "a failure that passes", graph: `a; b a :b`,
			script: `
				start => run a
				a passing => wait a 1s
				+999ms =>
				+1ms => resume a try 2
				a passing => wait a 2s
				+2s => resume a try 3
				a ok => run b`,
		},
		{
			name: "patience has an end", graph: `a :a`,
			script: `
				start => run a
				a full => wait a 30s
				+30s => resume a try 2
				+59s =>
				a full => wait a 30s
				+30s => resume a try 3
				+1s; a full => fail a (boom (tried 3 times in 2m0s))
				a ok => finish`,
			report: "failed a",
		},
		{
			name: "no capacity: nothing was made, and the next making is a new one", graph: `a!; b a :b`,
			script: `
				start => run a
				a full => wait a 30s
				+30s => resume a try 2
				a refused => fail a (boom)
				a again => run a`,
		},
		{
			name: "an ambiguous failure: an earlier attempt may have made it", graph: `a!; b a :b`,
			script: `
				start => run a
				a passing => wait a 1s
				+1s => resume a try 2
				a refused => fail a (boom)
				a again => find a
				a absent => resume a`,
		},
		{
			name: "after a lost call its thing is looked for, as after a crash", graph: `a!; b a; c b :c`,
			script: `
				start => run a
				a lost => wait a, find a
				a absent => resume a try 2
				a lost => wait a 1s
				+1s => find a
				a ok => run b
				b lost => wait b, resume b try 2
				b ok => run c`,
		},
		{
			name: "what loses its calls again and again fails", graph: `a!; b a :b`,
			script: `
				start => run a
				a lost => wait a, find a
				a absent => resume a try 2
				a refused => fail a (boom)
				a again => find a
				a absent => resume a
				a lost => wait a, find a
				a absent => resume a try 2
				a lost => wait a 1s
				+1s => find a
				a absent => resume a try 3
				a lost => wait a 2s
				+2s => find a
				a absent => resume a try 4
				a lost => wait a 4s
				+4s => find a
				a absent => resume a try 5
				a lost => wait a 8s
				+8s => find a
				a absent => resume a try 6
				a lost => fail a (cannot go on with a: lost (6 times))`,
		},
		{
			name: "what an attempt made cannot be found out", graph: `a!; b a :b`,
			script: `
				start => run a
				a fails => fail a (boom)
				a again => find a
				a fails => fail a (boom)
				a ok => skip b, find a
				a fails => leave a (boom), finish`,
			report: "failed a, skipped b, left a",
		},
		{
			name: "a failure skips what comes after, releases what it needed, and leaves the rest", graph: `m!; a m=; b a=; c b= :c; n!; x n; y x :y`,
			script: `
				start => run m, run n
				m ok; n ok => run a, run x
				a fails => fail a (boom)
				a ok => skip b, skip c, undo m first
				x ok => run y
				m ok =>
				y ok => undo n first
				n ok => finish`,
			report: "failed a, skipped b, skipped c",
		},
		{
			name: "a suspended failure keeps its things, and no others", graph: `m!; a m=; b a= :b; n!; x n :x`,
			script: `
				start => run m, run n
				m ok; n ok => run a, run x
				a fails => fail a (boom)
				a suspend => skip b
				x ok => undo n first
				n ok => finish`,
			report: "failed a, skipped b",
		},
		{
			name: "after a failure, an image that was not ready goes before its instance", graph: build, records: `key=gone group=gone launch=done connect=done sh=done stop=done regroup=done image=done`,
			script: `
				start => find image
				image ok => run ready
				ready fails => fail ready (boom)
				ready ok => undo image first
				image ok => undo launch first
				launch ok => finish`,
			report: "failed ready",
		},
		{
			name: "what still stands on a thing that cannot be removed keeps it", graph: build, records: `key=gone group=gone launch=done connect=done sh=done stop=done regroup=done image=done`,
			script: `
				start => find image
				image ok => run ready
				ready fails => fail ready (boom)
				ready ok => undo image first
				image fails => leave image (boom), finish`,
			report: "failed ready, left image",
		},
		{
			name: "a failure before the detachment keeps the group until the instance is gone", graph: build, records: `key=gone group=done launch=done connect=done`,
			script: `
				start => find launch
				launch ok => run sh
				sh fails => fail sh (boom)
				sh ok => skip stop, skip regroup, skip image, skip ready, undo launch first
				launch ok => undo group first
				group ok => finish`,
			report: "failed sh, skipped stop, skipped regroup, skipped image, skipped ready",
		},
		{
			name: "a chain of takes holds its thing to the last", graph: `m!; a m=; b a=; look a; c b= :c :look`,
			script: `
				start => run m
				m ok => run a
				a ok => run b, run look
				b ok => run c
				c ok =>
				look ok => undo m first`,
		},
		{
			name: "an interruption: nothing starts, what is on its way ends", graph: `m!; a m; b a; n!; x n; y; z; end b x y z :end`,
			script: `
				start => run m, run n, run y, run z
				m ok; n ok => run a, run x
				y passing => wait y 1s
				cancel => suspend y
				a ok =>
				x interrupted => suspend x
				z fails => fail z (boom)
				z suspend => finish`,
			report: "failed z, suspended",
		},
		{
			name: "an interruption while it looks", graph: `a!; b a :b`, records: `a=doing`,
			script: `
				start => find a
				cancel; a interrupted => finish`,
			report: "suspended",
		},
		{
			name: "an interruption between a look and the steps", graph: `a!; b a :b`, records: `a=doing`,
			script: `
				start => find a
				cancel; a ok => finish`,
			report: "suspended",
		},
		{
			name: "an interruption while it clears", graph: `z :z`, earlier: `a!; b! a^`, records: `a=done b=done`,
			script: `
				start => undo b first
				cancel; b interrupted => finish`,
			report: "left b, left a, suspended",
		},
		{
			name: "again, when it was interrupted", graph: `a :a`,
			script: `
				start => run a
				a fails => fail a (boom)
				cancel; a again => suspend a, finish`,
			report: "suspended",
		},
		{
			name: "what cannot be kept stops all, and removes nothing", graph: `m!; a m=; b a= :b; x; y x :y; z :z`,
			script: `
				start => run m, run x, run z
				z passing => wait z 1s
				m ok => run a
				a unkept => suspend z
				x ok => finish`,
			report: "suspended, error boom",
		},
		{
			name: "two builds at once, in the order of the graph, and the shared step is nobody's turn", graph: `all; a.1 all; a.2 a.1 :a.2; b.1 all; b.2 b.1 :b.2; c.1; c.2 c.1 :c.2; d.1 :d.1`, parallel: 2, reasons: true,
			script: `
				start => run all: all that it reads is there, run c.1: all that it reads is there, run d.1: all that it reads is there
				all ok => wait a.1: as many builds are at work as may be, wait b.1: as many builds are at work as may be
				c.1 ok => run c.2: all that it reads is there
				d.1 ok => run a.1: all that it reads is there
				c.2 ok => run b.1: all that it reads is there`,
		},
		{
			name: "a build that has failed gives up its turn", graph: `a.1; a.2 a.1 :a.2; b.1; b.2 b.1 :b.2`, parallel: 1,
			script: `
				start => run a.1, wait b.1
				a.1 fails => fail a.1 (boom)
				a.1 suspend => skip a.2, run b.1`,
		},
		{
			name: "a step that waits for its next try keeps its turn", graph: `a.1 :a.1; b.1 :b.1`, parallel: 1,
			script: `
				start => run a.1, wait b.1
				a.1 passing => wait a.1 1s
				+1s => resume a.1 try 2
				a.1 ok => run b.1`,
		},
		{
			name: "a build that waits for another's step does not keep it from its turn for ever", graph: `a.1; b.1; a.2 a.1 b.1 :a.2`, parallel: 1,
			script: `
				start => run a.1, wait b.1
				a.1 ok => run b.1
				b.1 ok => run a.2
				a.2 ok => finish`,
		},
		{
			name: "a step waits until it is let, once, before it is looked for", graph: `a!; b a; c b :c`, records: `a=broken`, gated: true,
			script: `
				start => find a
				a absent => let a
				a ok => find a
				a absent => resume a
				a fails => fail a (boom)
				a again => find a
				a ok => let b
				cancel; b interrupted => suspend b, finish`,
			report: "suspended",
		},
		{
			name: "a step that is let after an interruption does not begin", graph: `a :a`, gated: true,
			script: `
				start => let a
				cancel; a ok => suspend a, finish`,
			report: "suspended",
		},
		{
			name: "next to work a removal that fails is tried again, and at once when the work ends", graph: `s!; a s :a; w :w`,
			script: `
				start => run s, run w
				s ok => run a
				a ok => undo s first
				+20m; s passing => wait s 1s
				+1s => undo s try 2
				s passing => wait s 2s
				w ok => warn late s 1m0s, undo s try 3
				s ok => finish`,
		},
		{
			name: "a removal that fails has a minute after a good end", graph: `s!; a s :a`,
			script: `
				start => run s
				s ok => run a
				a ok => undo s first
				+10s; s passing => wait s 1s, warn late s 50s
				+1s => undo s try 2
				+49s => give up s
				s fails => leave s (boom (given up 1m0s after all else was done)), finish`,
			report: "left s",
		},
		{
			name: "one that waits for its next try is given up as well", graph: `s!; a s :a`,
			script: `
				start => run s
				s ok => run a
				a ok => undo s first
				+59s; s passing => wait s 1s, warn late s 1s
				+1s => leave s (boom (given up 1m0s after all else was done)), finish`,
			report: "left s",
		},
		{
			name: "a slow removal has ten minutes, of which people are told", graph: `s!; a s :a`,
			script: `
				start => run s
				s ok => run a
				a ok => undo s first
				+1m => say late s 9m0s
				+8m59s =>
				+1s => give up s
				s fails => leave s (given up 10m0s after all else was done), finish`,
			report: "left s",
		},
		{
			name: "one that was given up ends as cut off, which is no interruption of the run", graph: `s!; a s :a`,
			script: `
				start => run s
				s ok => run a
				a ok => undo s first
				+1m => say late s 9m0s
				+9m => give up s
				s interrupted => leave s (given up 10m0s after all else was done), finish`,
			report: "left s",
		},
		{
			name: "a removal that tells of trouble itself has a minute", graph: `s!; a s :a`,
			script: `
				start => run s
				s ok => run a
				a ok => undo s first
				s meets trouble; +1m => give up s
				s fails => leave s (trouble (given up 1m0s after all else was done)), finish`,
			report: "left s",
		},
		{
			name: "after a failure a removal has five minutes", graph: `s!; a s :a`,
			script: `
				start => run s
				s ok => run a
				a fails => fail a (boom)
				a ok => undo s first
				+4m58s; s passing => wait s 1s
				+1s => undo s try 2
				s passing => leave s (boom), finish`,
			report: "failed a, left s",
		},
		{
			name: "an interruption ends the removals that wait", graph: `s!; a s :a; w :w`,
			script: `
				start => run s, run w
				s ok => run a
				a ok => undo s first
				s passing => wait s 1s
				cancel =>
				w ok => finish`,
			report: "suspended",
		},
		{
			name: "a removal that begins late has no more than ten minutes after the work either", graph: `a!; b! a^; c b :c`,
			script: `
				start => run a
				a ok => run b
				b ok => run c
				c ok => undo b first
				+1m => say late b 9m0s
				+8m30s; b ok => undo a first
				+29s =>
				+1s => give up a
				a fails => leave a (given up 10m0s after all else was done), finish`,
			report: "left a",
		},
		{
			name: "an interruption limits the removals that are on their way as a good end does", graph: `s!; a s :a; w :w`,
			script: `
				start => run s, run w
				s ok => run a
				a ok => undo s first
				cancel =>
				w ok =>
				s meets trouble; +1m => give up s
				s interrupted => finish`,
			report: "suspended",
		},
		{
			name: "an interruption while it looks: nothing more is looked for", graph: `k!; a! k; b a :b`, records: `k=done a=done`,
			script: `
				start => find a
				cancel; a absent => finish`,
			report: "suspended",
		},
		{
			name: "what vanished needs what must be looked for, too", graph: `k!; a! k; b a :b`, records: `k=done a=done`,
			script: `
				start => find a
				a absent => find k
				k ok => run a`,
		},
		{
			name: "a call that was interrupted is an interruption, whoever ended it", graph: `a!; b a :b`, records: `a=doing`,
			script: `
				start => find a
				a interrupted => finish`,
			report: "suspended",
		},
		{
			name: "an interruption while it clears: nothing more is removed", graph: `z :z`, earlier: `a!; b! a^`, records: `a=done b=done`,
			script: `
				start => undo b first
				cancel; b ok => finish`,
			report: "left a, suspended",
		},
		{
			name: "what cannot be kept while it clears stops all, interrupted or not", graph: `z :z`, earlier: `a!; b! a^; c!`, records: `a=done b=done c=done`,
			script: `
				start => undo b first, undo c first
				b unkept =>
				cancel; c ok => finish`,
			report: "left b, left a, suspended, error boom",
		},
		{
			name: "what cannot be kept while it clears", graph: `z :z`, earlier: `a!; b! a^`, records: `a=done b=done`, reasons: true,
			script: `
				start => undo b first: it is in the way, and nothing stands on it
				b unkept => finish: what happened could not be kept`,
			report: "left b, left a, error boom",
		},
		{
			name: "what cannot be kept while it looks is said once", graph: `a!; b a :b`, records: `a=doing`, reasons: true,
			script: `
				start => find a: an interrupted attempt may have made it
				a unkept => finish: what exists could not be found out`,
			report: "no report, error boom",
		},
		{
			name: "what could not be found out is told in the order of the graph", graph: `a!; b a; c!; d b c :d`, records: `a=doing c=doing`,
			script: `
				start => find a, find c
				c sinks; a sinks => finish`,
			report: "no report, error a has sunk\nc has sunk",
		},
		{
			name: "the reason for an end in the middle", graph: `z :z`, earlier: `a!`, records: `a=done`, reasons: true,
			script: `
				start => undo a first: it is in the way, and nothing stands on it
				a fails => leave a (boom): it has failed for good, finish: something could not be removed`,
			report: "left a, error cannot go on: what was made for an earlier form of the template could not be removed",
		},
		{
			name: "the reason for an interrupted end", graph: `a :a`, reasons: true,
			script: `
				start => run a: all that it reads is there
				cancel; a interrupted => suspend a: it was interrupted, finish: it was interrupted`,
			report: "suspended",
		},
		{
			name: "an interruption when all is done but for what is kept has interrupted nothing", graph: `a!; b a :b +a@b`,
			script: `
				start => run a
				a ok => run b
				cancel; b ok => finish`,
		},
		{
			name: "a detachment before a crash counts after it", graph: build, records: `key=gone group=done launch=done connect=done sh=done stop=done regroup=done image=doing`,
			script: `
				start => find launch, find image
				launch ok; image ok => run ready, undo group first`,
		},
		{
			name: "what comes after a suspended failure keeps its things, too", graph: `m!; a m=; n!; b a n :b; c b :c`,
			script: `
				start => run m, run n
				m ok; n ok => run a
				a fails => fail a (boom)
				a suspend => skip b, skip c, finish`,
			report: "failed a, skipped b, skipped c",
		},
		{
			name: "what would keep a thing is no step of this graph", graph: `a!; b a :b +a@x`,
			script: `
				start => run a
				a ok => run b
				b ok => undo a first`,
		},
		{
			name: "a suspended failure after which nothing comes keeps its things", graph: `m!; a m= :a`,
			script: `
				start => run m
				m ok => run a
				a fails => fail a (boom)
				a suspend => finish`,
			report: "failed a",
		},
		{
			name: "what a failure skips is told in the order of the graph", graph: `a; b a; d b :d; c a :c`,
			script: `
				start => run a
				a fails => fail a (boom)
				a ok => skip b, skip d, skip c, finish`,
			report: "failed a, skipped b, skipped d, skipped c",
		},
		{
			name: "what is due at the same time goes on in the order of the graph", graph: `a; b; c a b :c`,
			script: `
				start => run a, run b
				b passing; a passing => wait b 1s, wait a 1s
				+1s => resume a try 2, resume b try 2`,
		},
		{
			name: "a removal that was tried at once when the work ended waits its whole time after that", graph: `s!; a s :a; w :w`,
			script: `
				start => run s, run w
				s ok => run a
				a ok => undo s first
				s passing => wait s 1s
				w ok => warn late s 1m0s, undo s try 2
				s passing => wait s 2s
				+1s =>
				+1s => undo s try 3
				s ok => finish`,
		},
		{
			name: "destroy: none before what stands on it, only what was chosen", remove: Unkept, earlier: `a!; b! a^; v b; c! v^; k!`, records: `a=done b=done v=done c=broken k=done+`,
			script: `
				start => find c
				c absent => undo b first
				b ok => undo a first
				a ok => finish`,
		},
		{
			name: "destroy: what cannot be removed keeps what it stands on", remove: Unkept, earlier: `a!; b! a^; x!`, records: `a=done b=done x=done`,
			script: `
				start => undo b first, undo x first
				b passing => wait b 1s
				x fails => leave x (boom)
				+5m => undo b try 2
				b passing => leave b (boom), finish`,
			report: "left x, left b, left a",
		},
		{
			name: "destroy: what was not chosen keeps what it stands on, and that what it stands on", remove: func(r Record) bool { return r.Name != "c" }, earlier: `a!; b! a^; v b; c! v^; k!`, records: `a=done b=done v=done c=done k=done`,
			script: `
				start => undo k first
				k ok => finish`,
			report: "left b, left a",
		},
		{
			name: "destroy: what is kept and was not chosen keeps nothing", remove: func(r Record) bool { return r.Name == "a" }, earlier: `a!; b! a^`, records: `a=done b=done+`,
			script: `
				start => undo a first
				a ok => finish`,
		},
		{
			name: "destroy: all kept, nothing to do", remove: Unkept, earlier: `a!`, records: `a=done+`,
			script: `start => finish`,
		},
		{
			name: "what another run makes is waited for, and nothing is done for it", graph: build + "; share ready :share", elsewhere: "image",
			script: `
				start => borrow image
				image has => run share
				share ok => finish`,
		},
		{
			name: "what another run does not make after all is made", graph: build, elsewhere: "image", reasons: true,
			script: `
				start => borrow image: another run makes it
				image mine => run key: all that it reads is there, run group: all that it reads is there
				key fails => fail key (boom): it has failed for good
				group ok =>
				key ok => skip launch: key has failed, skip connect: key has failed, skip sh: key has failed, skip stop: key has failed, skip regroup: key has failed, skip image: key has failed, skip ready: key has failed, undo group first: nothing needs it any more, and nothing stands on it, find key: nothing needs it any more, and nothing stands on it
				key absent; group ok => finish: steps have failed`,
			report: "failed key, skipped launch, skipped connect, skipped sh, skipped stop, skipped regroup, skipped image, skipped ready",
		},
		{
			name: "what needs nothing is not made while another run makes it", graph: `k!; r k~ :r +k@r; p k r :p`, elsewhere: "k",
			script: `
				start => borrow k
				k has => run p
				p ok => finish`,
		},
		{
			name: "a wait is interrupted", graph: build, elsewhere: "image",
			script: `
				start => borrow image
				cancel =>
				image interrupted => suspend image, finish`,
			report: "suspended",
		},
		{
			name: "what is left of an earlier attempt is there until it is not needed", graph: build, records: `group=done launch=done connect=done sh=broken`, elsewhere: "image",
			script: `
				start => find launch
				launch ok => borrow image
				image has => undo launch first
				launch ok => undo group first
				group ok => finish`,
		},
		{
			name: "of two things of which one comes of the other the first is asked for", elsewhere: "k1 k2",
			graph: `k1!; r1 k1~ :r1 +k1@r1; m! r1; k2! m^; r2 k2~ :r2 +k2@r2`,
			script: `
				start => borrow k1
				k1 has => borrow k2
				k2 mine => run m
				m ok => run k2
				k2 ok => run r2
				r2 ok => undo m first
				m ok => finish`,
		},
		{
			name: "what has failed does not matter for what another run makes", graph: `x; o x :o; m! x; k! m^; r k~ :r +k@r`, elsewhere: "k",
			script: `
				start => borrow k, run x
				x fails => fail x (boom)
				x ok => skip o
				k has => finish`,
			report: "failed x, skipped o",
		},
		{
			name: "what has failed matters when it does not", graph: `x; o x :o; m! x; k! m^; r k~ :r +k@r`, elsewhere: "k",
			script: `
				start => borrow k, run x
				x fails => fail x (boom)
				x ok => skip o
				k mine => skip m, skip k, skip r, finish`,
			report: "failed x, skipped o, skipped m, skipped k, skipped r",
		},
		{
			name: "who waits for others keeps no build from its turn", graph: `a.s; a.g a.s :a.g; a.m! a.s; a.k! a.m^; a.r a.k~ :a.r +a.k@a.r; b.t :b.t`, elsewhere: "a.k", parallel: 1,
			script: `
				start => borrow a.k, run a.s, wait b.t
				a.s ok => run a.g
				a.g ok => run b.t
				a.k mine; b.t ok => run a.m
				a.m ok => run a.k
				a.k ok => run a.r
				a.r ok => undo a.m first
				a.m ok => finish`,
		},
		{
			name: "a lookup is waited for, or made", graph: `x; o x :o`,
			script: `
				start => run x
				x elsewhere => borrow x
				x mine => run x
				x elsewhere => borrow x
				x has => run o
				o ok => finish`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var graphs []*Graph
			for _, text := range []string{c.graph, c.earlier} {
				if text != "" {
					graphs = append(graphs, stepsOf(text))
				}
			}
			recs := recordsOf(c.records, graphs...)
			var d *Pass
			if c.remove != nil {
				d = newRemover(recs, c.remove)
			} else {
				d = newPass(graphs[0], recs, Rules{Parallel: c.parallel, Gated: c.gated, Elsewhere: keysOf(c.elsewhere)})
			}
			p := newPlay(d)
			p.reasons = c.reasons
			for line := range strings.SplitSeq(strings.TrimSpace(c.script), "\n") {
				facts, want, _ := strings.Cut(strings.TrimSpace(line), "=>")
				for f := range strings.SplitSeq(strings.TrimSpace(facts), "; ") {
					p.fact(f)
				}
				if got := p.decide(); got != strings.TrimSpace(want) {
					t.Fatalf("after %q it decides %q, want %q", strings.TrimSpace(facts), got, strings.TrimSpace(want))
				}
			}
			if p.over && reported(d) != c.report {
				t.Errorf("it has ended with %q, want %q", reported(d), c.report)
			}
		})
	}
}

// What an interrupted removal has left is told in words that say what to do, of the
// thing at which it was and of those that it had not come to.
func TestDecideSaysWhatWasInterrupted(t *testing.T) {
	p := newPlay(newRemover(recordsOf(`a=done b=done c=done d=done`, stepsOf(`a!; b! a^; c!; d!`)), Unkept))
	if got := p.decide(); got != "undo b first, undo c first, undo d first" {
		t.Fatal(got)
	}
	p.fact("c passing")
	p.decide() // it waits for its next try
	p.fact("cancel")
	p.fact("b interrupted")
	p.fact("d ok")
	p.decide()
	var got []string
	for _, f := range p.d.report.Left {
		got = append(got, f.Node.Name+": "+f.Err.Error())
	}
	const interrupted = "cannot remove it: the removal was interrupted; repeat it"
	if want := []string{"b: " + interrupted, "c: " + interrupted, "a: cannot remove it while b stands on it"}; !p.over || !slices.Equal(got, want) {
		t.Errorf("left %q, want %q", got, want)
	}
}

// What could not be begun since nothing can be kept is left for that reason.
func TestDecideSaysWhatCouldNotBeKept(t *testing.T) {
	p := newPlay(newRemover(recordsOf(`a=done b=done c=done`, stepsOf(`a!; b! a^; c!`)), Unkept))
	p.decide()
	p.fact("c unkept")
	p.fact("b ok")
	p.decide()
	for _, f := range p.d.report.Left {
		if !errors.Is(f.Err, errBoom) {
			t.Errorf("%s: %v", f.Node.Name, f.Err)
		}
	}
	if n := len(p.d.report.Left); n != 2 {
		t.Errorf("%d are left, want 2", n)
	}
}

// reported is how a pass has ended, in words.
func reported(d *Pass) string {
	var all []string
	r, err := d.Result()
	if r == nil {
		all = append(all, "no report")
	} else {
		for _, f := range r.Failed {
			all = append(all, "failed "+f.Node.Name)
		}
		for _, n := range r.Skipped {
			all = append(all, "skipped "+n.Name)
		}
		for _, f := range r.Left {
			all = append(all, "left "+f.Node.Name)
		}
		if r.Suspended {
			all = append(all, "suspended")
		}
	}
	if err != nil {
		all = append(all, "error "+err.Error())
	}
	return strings.Join(all, ", ")
}
