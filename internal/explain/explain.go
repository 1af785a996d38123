package explain

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
)

// Change is what a plan means for a step.
type Change string

const (
	Create  Change = "create"  // it is made, and was not before
	Rerun   Change = "rerun"   // it has run or was begun, and runs again
	Replace Change = "replace" // the thing that it has made is removed and made again
	Reuse   Change = "reuse"   // what it has made stands, or nothing needs it
)

// Step is a step of a plan, and why it is there.
type Step struct {
	dag.Node
	Action dag.Action
	Change Change
	Why    string // "" where a first run needs no reason

	// Of a step that has another key than before: its earlier form, and how the text of the root's key differs from the
	// one before.
	Was  *dag.Node
	Diff []Line

	origin *origin
}

// Chain names the steps from the root, which has changed itself, to the one that this step
// reads; none if it is the root, or has not changed.
func (s Step) Chain() (names []string) {
	if s.origin == nil {
		return nil
	}
	for o := s.origin.from; o != nil; o = o.from {
		names = append(names, o.name)
	}
	slices.Reverse(names)
	return names
}

// explainer finds reasons, each once.
type explainer struct {
	g     *dag.Graph
	recs  map[dag.Key]*dag.Record
	past  *past
	roots map[dag.Key]*origin
}

// origin is where the change of a step comes from.
type origin struct {
	name  string  // of the step
	from  *origin // of the step that it reads; nil: it is the root
	root  string
	was   *dag.Node
	isNew bool   // nothing like the root was there
	diff  []Line // of the root
}

// Steps explains the steps of a plan, in its order. Old is the graph that was stored with the run, nil if there is
// none; records are those of the run.
func Steps(old *dag.Graph, records []dag.Record, g *dag.Graph, p *dag.Plan) []Step {
	e := newExplainer(old, records, g)
	rebuilt := map[dag.Key]string{} // the thing that is made again, by what it takes along
	why := map[dag.Key]string{}
	for _, rb := range p.Rebuilds {
		why[rb.Record.Key] = rb.Why
		rebuilt[rb.Record.Key] = rb.Record.Name
	}
	overtaken := map[dag.Key]string{} // by the machines that were there before, on which a form has run that is not wanted
	for _, r := range p.Reapplied {
		for _, k := range r.Record.Takes {
			overtaken[k] = r.Why
		}
	}
	removed := map[dag.Key]bool{}
	for _, r := range p.Removes {
		removed[r.Key] = true
	}
	out := make([]Step, 0, len(p.Steps))
	for _, ps := range p.Steps {
		n := ps.Node
		s := Step{Node: n, Action: ps.Action, Change: Create}
		rec := e.recs[n.Key]
		switch ps.Action {
		case dag.Reuse:
			s.Change = Reuse
			s.Why = unchanged(rec)
		case dag.Recreate:
			s.Change = Rerun
			if n.Thing {
				s.Change = Replace
			}
			if cause, ok := why[n.Key]; ok {
				s.Why = "because " + cause
				break
			}
			for _, k := range n.Needs {
				if name, ok := rebuilt[k]; ok {
					rebuilt[n.Key] = name
					s.Why = fmt.Sprintf("because %s is made again", name)
					break
				}
			}
			for _, k := range n.Takes {
				if over, ok := overtaken[k]; ok && s.Why == "" {
					s.Why = "because " + over
				}
			}
		case dag.Resume:
			s.Change = Rerun
			s.Why = begun(rec)
		default:
			e.begins(&s, rec, removed)
		}
		out = append(out, s)
	}
	return out
}

func newExplainer(old *dag.Graph, records []dag.Record, g *dag.Graph) *explainer {
	e := &explainer{g: g, recs: make(map[dag.Key]*dag.Record, len(records)), roots: map[dag.Key]*origin{}}
	for i := range records {
		e.recs[records[i].Key] = &records[i]
	}
	e.past = newPast(old, records, g)
	return e
}

// unchanged is why a step does not run.
func unchanged(rec *dag.Record) string {
	switch {
	case rec == nil || rec.Status != dag.Done && rec.Status != dag.Gone:
		return "nothing needs it"
	case rec.Spent || rec.Status == dag.Gone:
		return "it has served, and nothing needs it any more"
	}
	return "its key is unchanged, and it is done"
}

// begun is why a step runs that has a record.
func begun(rec *dag.Record) string {
	switch {
	case rec == nil:
		return ""
	case rec.Status == dag.StatusFailed && rec.Err != "":
		return "it failed before: " + rec.Err
	case rec.Status == dag.Doing:
		return "it was interrupted, and goes on"
	case rec.Status == dag.Undoing:
		return "its removal was interrupted"
	}
	return "it is not done"
}

// begins explains a step that runs and of which nothing stands.
func (e *explainer) begins(s *Step, rec *dag.Record, removed map[dag.Key]bool) {
	if rec != nil {
		s.Why = "what it had made was removed, and is needed again"
		if !s.Thing {
			s.Change = Rerun
			s.Why = "what it had run on was removed, and it is needed again"
		}
		return
	}
	if e.past.same[s.Key] {
		s.Why = "it was not run yet"
		return
	}
	if len(e.past.same)+len(e.past.forms) == 0 && e.past.none {
		return // a first run
	}
	o := e.origin(s.Key)
	s.origin, s.Diff = o, o.diff
	if was := e.past.was(s.Key); was != nil {
		s.Was = was
		if r := e.recs[was.Key]; r != nil && s.Thing && removed[was.Key] {
			s.Change = Replace
		} else if r != nil && !s.Thing {
			s.Change = Rerun
		}
	}
	switch {
	case o.from != nil && o.isNew:
		s.Why = fmt.Sprintf("since %s before it is new", o.root)
	case o.from != nil:
		s.Why = fmt.Sprintf("since %s before it has changed", o.root)
	case o.isNew:
		s.Why = "it is new in the template"
	default:
		s.Why = edited(*o.was, s.Node, s.Diff)
	}
}

// edited is why a step that has changed itself runs.
func edited(was, now dag.Node, diff []Line) string {
	if len(diff) == 0 {
		return "because what it reads has changed"
	}
	before := was.Files()
	var names []string
	for path, digest := range now.Files() {
		if old, ok := before[path]; ok && old != digest {
			names = append(names, filepath.Base(path))
		}
	}
	if len(names) == 0 {
		return "because its settings have changed"
	}
	slices.Sort(names)
	return "because " + strings.Join(slices.Compact(names), ", ") + " has other content"
}

// origin follows a step that has another key than before to the one that has changed
// itself: among what it reads the first that leads to one.
func (e *explainer) origin(k dag.Key) *origin {
	if o, ok := e.roots[k]; ok {
		return o
	}
	n, _ := e.g.Node(k)
	o := &origin{name: n.Name, root: n.Name, was: e.past.was(k)}
	e.roots[k] = o // before the others: a graph has no circle, and a stored one that had is no endless loop
	if o.was == nil {
		o.isNew = true
	} else if o.was.Own() == n.Own() {
		for _, need := range n.Needs {
			if e.past.same[need] {
				continue
			}
			o.from = e.origin(need)
			o.root, o.isNew, o.diff = o.from.root, o.from.isNew, o.from.diff
			return o
		}
	}
	if o.was != nil {
		o.diff = Diff(o.was.Lines(e.name), n.Lines(e.name))
	}
	return o
}

// name is what a step is called in the text of another.
func (e *explainer) name(k dag.Key) string {
	if n, ok := e.g.Node(k); ok {
		return n.Name
	}
	if n := e.past.byKey[k]; n != nil {
		return n.Name
	}
	return "step " + k.Short()
}
