package dag

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// anyGraph returns a graph at random, wired as a step's author could wire it.
func anyGraph(r *rand.Rand, edit string) *Graph {
	g := &Graph{Keeps: map[Key]Key{}, Guards: map[Key]Key{}}
	n := 2 + r.IntN(14)
	taken := map[int]bool{}
	lineage := make([]bool, n) // begins at a thing
	for i := range n {
		name := fmt.Sprint("s", i)
		if r.IntN(6) == 0 {
			name += edit // in this form of the graph
		}
		node := Node{Name: name, Thing: r.IntN(3) == 0, Format: specFormat, Builds: []string{fmt.Sprint("b", r.IntN(3))}}
		for d := range i {
			if r.IntN(i) > 2 || g.Nodes[d].Guard {
				continue
			}
			k := g.Nodes[d].Key
			if r.IntN(3) == 0 {
				node.After = append(node.After, k)
				continue
			}
			node.Needs = append(node.Needs, k)
			switch what := r.IntN(6); {
			case what == 0 && node.Thing:
				node.Attaches = append(node.Attaches, k)
			case what == 1 && !node.Thing:
				node.Detaches = append(node.Detaches, k)
			case what == 2 && !node.Thing && len(node.Takes) == 0 && lineage[d] && !taken[d]:
				node.Takes, lineage[i] = []Key{k}, true
				node.Guard = r.IntN(3) == 0
				taken[d] = !node.Guard
			}
		}
		node.Key = digestKey(fmt.Sprint(name, node.Needs)) // as of every step: what it reads is part of it
		node.Name += "-" + node.Key.Short()                // two forms of a step may be there
		node.Given = !node.Thing && len(node.Takes) == 0 && r.IntN(8) == 0
		if node.Guard {
			node.Thing, node.Attaches, node.Takes, node.Detaches = true, node.Takes, nil, nil
		}
		lineage[i] = lineage[i] || node.Thing || node.Given
		if at := r.IntN(i + 1); at < i && g.Nodes[at].Guard && !node.Guard && g.Guards[g.Nodes[at].Key] == (Key{}) {
			node.After = append(node.After, g.Nodes[at].Key)
			g.Guards[g.Nodes[at].Key] = node.Key
		}
		g.Nodes = append(g.Nodes, node)
		if !node.Guard && (i == n-1 || r.IntN(5) == 0) {
			g.Goals = append(g.Goals, node.Key)
			if at := r.IntN(i + 1); g.Nodes[at].Thing && !g.Nodes[at].Guard {
				g.Keeps[g.Nodes[at].Key] = node.Key
			}
		}
	}
	return g
}

// watch looks at what is decided, and says what must never be.
type watch struct {
	*play
	detached map[Key]int // of a thing that stands on nothing any more, the making
	log      []string
}

func (w *watch) look(t *testing.T, ds []Order) {
	t.Helper()
	for _, x := range ds {
		if x.Action == Finish {
			w.begin(x)
			continue
		}
		before, _ := w.recs.get(x.Key)
		if text := w.begin(x); strings.Contains(text, "TWICE") {
			t.Errorf("%s while something of it is on its way", text)
		}
		switch {
		case x.Removal && x.Action == undo:
			if before.Status == Gone && !w.node(x).Guard { // which goes when its machine is missed
				t.Errorf("%s is undone and does not exist", x.Name)
			}
			w.free(t, w.node(x))
		case x.Action == Run || x.Action == Resume || x.Action == Recreate:
			if before.Status == Done {
				t.Errorf("%s is done, and runs", x.Name)
			}
			for _, k := range w.node(x).Needs {
				if r, _ := w.recs.get(k); r.Status != Done {
					t.Errorf("%s begins before %s, which is %q", x.Name, r.Name, r.Status)
				}
			}
			for _, k := range w.node(x).After { // what was done may have gone with its thing since
				if at, in := w.d.x.at[k]; in && (w.d.state[at] == waiting || w.d.state[at] == running || w.d.state[at] == failed) {
					t.Errorf("%s begins before %s has come to its end", x.Name, w.d.x.nodes[at].Name)
				}
			}
		}
	}
}

// detaches remembers what lets go after a step.
func (w *watch) detaches(n *Node) {
	for todo := slices.Clone(n.Detaches); len(todo) > 0; {
		r, _ := w.recs.get(todo[0])
		if todo = todo[1:]; r.Thing {
			w.detached[r.Key] = r.Gen
		} else {
			todo = append(todo, r.Needs...)
		}
	}
}

// shows is a thing with all that was derived from it.
func (w *watch) shows(n *Node) map[Key]bool {
	shows := map[Key]bool{n.Key: true}
	all := w.recs.all()
	for range all { // the records are in no order that would help
		for _, r := range all {
			if !r.Thing && slices.ContainsFunc(r.Needs, func(k Key) bool { return shows[k] }) {
				shows[r.Key] = true
			}
		}
	}
	return shows
}

// stoodUpon reports whether something that is there stands on a thing.
func (w *watch) stoodUpon(n *Node) bool {
	shows := w.shows(n)
	return slices.ContainsFunc(w.recs.all(), func(r Record) bool {
		return r.Alive() && slices.ContainsFunc(r.Attaches, func(k Key) bool { return shows[k] })
	})
}

// in reports whether a step is one of the graph.
func (w *watch) in(k Key) bool {
	return slices.ContainsFunc(w.d.g.Nodes, func(n Node) bool { return n.Key == k })
}

// free checks that nothing stands on a thing that is being undone, and that nothing
// on its way reads it or what shows it.
func (w *watch) free(t *testing.T, n *Node) {
	t.Helper()
	all, shows := w.recs.all(), w.shows(n)
	exempt := func(r Record) bool {
		switch {
		case r.Kept && (w.d.g == nil || w.d.stage != solving || !w.in(r.Key)):
			// An image that is worth keeping does not hold the machine that it was made
			// from, unless the steps to come are about it; it may be on its way out itself.
			return w.d.stage != clearing || !w.d.wanted[w.d.x.at[r.Key]]
		case w.d.stage == clearing:
			return false
		}
		return w.detached[r.Key] == r.Gen
	}
	for _, r := range all {
		if r.Alive() && r.Key != n.Key && slices.ContainsFunc(r.Attaches, func(k Key) bool { return shows[k] }) && !exempt(r) {
			t.Errorf("%s is undone while %s stands on it, which is %s", n.Name, r.Name, r.Status)
		}
	}
	for _, x := range w.at { // a look reads nothing, and what is forgotten does nothing
		if !x.Removal && x.Action != find && x.Action != forget && slices.ContainsFunc(w.node(x).Needs, func(k Key) bool { return shows[k] }) {
			t.Errorf("%s is undone while %s is at work", n.Name, x.Name)
		}
	}
}

// pass plays a pass to its end. What happens is chosen at random; trouble is how
// often it is something bad.
func (w *watch) pass(t *testing.T, r *rand.Rand, trouble int) {
	t.Helper()
	for facts := 0; ; facts++ {
		if facts > 10_000 {
			t.Fatal("it does not end")
		}
		ds := w.d.Decide(w.now)
		var names []string
		for _, x := range ds {
			name := ""
			if x.Action != Finish {
				name = x.Name
			}
			names = append(names, fmt.Sprint(x.Action, " ", name, " ", x.Try, " ", x.Why))
		}
		w.log = append(w.log, strings.Join(names, ", "))
		w.look(t, ds)
		if w.over {
			return
		}
		if trouble > 0 && r.IntN(400) == 0 {
			w.d.Interrupt()
		}
		busy := slices.Sorted(maps.Keys(w.at))
		if at := w.d.Next(); len(busy) == 0 || !at.IsZero() && r.IntN(2) == 0 {
			if at.IsZero() {
				t.Fatal("nothing is on its way, and nothing is due, and it has not ended")
			}
			if at.After(w.now) {
				w.now = at
			}
			continue
		}
		name := busy[r.IntN(len(busy))]
		x := w.at[name]
		how := "ok"
		if r.IntN(100) < trouble {
			bad := []string{"fails", "passing", "refused", "lost"}
			switch {
			case x.Action == fail:
				bad = []string{"again", "suspend"}
			case x.Action == let:
				bad = []string{"ok"}
			case x.Action == find:
				bad = []string{"absent", "absent", "absent", "fails"}
			}
			how = bad[r.IntN(len(bad))]
			if w.d.interrupted && r.IntN(2) == 0 && x.Action != fail {
				how = "interrupted"
			}
		}
		w.log = append(w.log, name+" "+how)
		w.end(name + " " + how)
		if r, _ := w.recs.get(x.Key); r.Status == Done {
			w.detaches(w.node(x))
		}
	}
}

var randomGraphs = flag.Uint64("random-graphs", 300, "how many graphs TestDecideAtRandom has; 3000 take a quarter of a minute")

// Whatever the graph, and whatever happens: nothing begins before what it needs,
// nothing is undone that is needed, stood upon or being undone, a pass ends, and
// the same facts lead to the same decisions.
func TestDecideAtRandom(t *testing.T) {
	ends := map[string]int{}
	for seed := range *randomGraphs {
		run := func() (log []string) {
			r := rand.New(rand.NewPCG(seed, 7))
			recs, detached := newRecords(), map[Key]int{}
			o := Rules{Parallel: r.IntN(3), Gated: r.IntN(2) == 0}
			shape := r.Uint64()
			graph := func(edit string) *Graph {
				g := anyGraph(rand.New(rand.NewPCG(shape, 9)), edit)
				p, _ := json.Marshal(g)
				g = &Graph{}
				json.Unmarshal(p, g)
				if err := g.Err(); err != nil {
					t.Fatal(err)
				}
				return g
			}
			for i, trouble := range []int{r.IntN(50), r.IntN(50), r.IntN(50), 0} {
				edit := ""
				if i%2 == 0 && r.IntN(3) == 0 {
					edit = fmt.Sprint("-", r.IntN(2))
				}
				w := &watch{play: newPlay(newPass(graph(edit), recs, o)), detached: detached}
				w.now = began.Add(time.Duration(i) * time.Hour)
				w.pass(t, r, trouble)
				log = append(log, w.log...)
				report, err := w.d.Result()
				switch {
				case err != nil:
					ends["error"]++
				case report.Suspended:
					ends["suspended"]++
				case len(report.Failed) > 0:
					ends["failed"]++
				default:
					ends["good"]++
				}
				if trouble > 0 {
					continue
				}
				if err != nil || report.Suspended || len(report.Failed)+len(report.Skipped)+len(report.Left) > 0 {
					t.Errorf("a pass without trouble has ended with %q", reported(w.d))
				}
				for _, n := range w.d.g.Nodes {
					rec, _ := recs.get(n.Key)
					_, kept := w.d.g.Keeps[n.Key]
					if rec.Alive() && !rec.Kept && !kept && !w.stoodUpon(&n) {
						t.Errorf("%s is still there", n.Name)
					}
				}
			}
			d := newRemover(recs, func(Record) bool { return true })
			w := &watch{play: newPlay(d), detached: detached}
			w.pass(t, r, 0)
			for _, rec := range recs.all() {
				if rec.Alive() {
					t.Errorf("%s is still there after all was removed", rec.Name)
				}
			}
			return append(log, w.log...)
		}
		one, two := run(), run()
		if !slices.Equal(one, two) {
			t.Errorf("the same facts have led to other decisions")
		}
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, strings.Join(one, "\n"))
		}
	}
	t.Logf("passes have ended: %v", ends)
	n := int(*randomGraphs)
	if ends["good"] < n/3 || ends["failed"] < n/3 || ends["suspended"] < n/10 || ends["error"] < n/100 {
		t.Errorf("the passes have lost their variety: %v", ends)
	}
}
