package dag

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// Node is a step as data: all that the engine needs to run it anywhere.
type Node struct {
	Key      Key             `json:"key"`
	Name     string          `json:"name"`   // unique within a build
	Builds   []string        `json:"builds"` // that need it
	Kind     string          `json:"kind"`
	Title    string          `json:"title,omitempty"`
	Spec     json.RawMessage `json:"spec,omitempty"`
	Canon    string          `json:"canon,omitempty"` // the text that Key is the digest of
	Needs    []Key           `json:"needs,omitempty"`
	After    []Key           `json:"after,omitempty"`   // what comes before it and is not read
	Takes    []Key           `json:"takes,omitempty"`   // the needs that it changes
	Attaches []Key           `json:"holds,omitempty"`   // the needs that its thing stands on; stored under their first names
	Detaches []Key           `json:"settles,omitempty"` // the needs whose things let go
	Thing    bool            `json:"thing,omitempty"`   // its output exists outside the process
	Given    bool            `json:"given,omitempty"`   // its output was there before, and stays
	Common   bool            `json:"common,omitempty"`  // it comes to the same in every run; see Common
	Guard    bool            `json:"guard,omitempty"`   // it is done before the machine that it stands on goes; see Guarded
	Chooses  bool            `json:"chooses,omitempty"` // among what others make: another day it may find another; see Chooser
	Texts    []Reference     `json:"texts,omitempty"`   // what its texts refer to
	Format   int             `json:"format,omitempty"`  // of the spec

	// Patience is for how long it is tried again, in a skeleton; 0 is the default.
	Patience time.Duration `json:"patience,omitempty"`
	// Site is where it calls, in a skeleton and in a slim record; see Caller.
	Site string `json:"site,omitempty"`
}

// unreadable reports whether the spec has a form that cannot be read any more.
func (n Node) unreadable() bool { return n.Format < specFormat && bytes.Contains(n.Spec, []byte("{{")) }

// Secrets are the names of the secrets that the settings of the step hold.
func (n Node) Secrets() (names []string) {
	if !bytes.Contains(n.Spec, []byte(MarkOpen)) {
		return nil
	}
	for d := json.NewDecoder(bytes.NewReader(n.Spec)); ; {
		tok, err := d.Token()
		if err != nil {
			return names
		}
		if s, ok := tok.(string); ok {
			names = append(names, Text(s).Secrets()...)
		}
	}
}

// specFormat is the format of specs. Before it had a number, words of texts were
// told by their braces.
const specFormat = 1

// Graph is what a run wants: its steps, in the order in which they were added,
// and which of them are its goals.
type Graph struct {
	Nodes []Node      `json:"nodes"`
	Goals []Key       `json:"goals"`
	Keeps map[Key]Key `json:"keeps,omitempty"` // thing → the goal that makes it worth keeping

	Discards map[Key]Key `json:"discards,omitempty"` // thing that was kept → the goal after which it is not worth that any more

	Guards map[Key]Key `json:"guards,omitempty"` // guard → the step with which it is over
	Stays  map[Key]Key `json:"stays,omitempty"`  // thing → the step after which no failure removes it

	Lookups map[string]Key      `json:"lookups,omitempty"` // steps that decide what others there are; see LookUp
	Awaited map[string][]string `json:"awaited,omitempty"` // builds whose steps are not known yet → the lookups that they wait for

	Results map[string]Key      `json:"results,omitempty"` // builds that others are made of → the steps that have what they make
	Behind  map[string][]string `json:"behind,omitempty"`  // builds whose steps are not known yet → the builds that they wait for

	// Foreseen says that such builds are in the graph as far as they are foreseen: it is
	// for a look, and must not be solved.
	Foreseen bool `json:"-"`

	// Form is that of the keys. A run keeps the one that it has begun with, since its steps
	// would have other keys in another.
	Form int `json:"form,omitempty"`

	// Part says that it is a part of a graph: what it does not hold may be wanted still.
	Part bool `json:"part,omitempty"`

	// Lent are steps of a part whose things other parts need, too: they stay, and if
	// they are no goals, somebody has looked whether they are there.
	Lent []Key `json:"lent,omitempty"`

	digest func(text string) string
	known  *known
	whole  *whole
	errs   []error
}

// NewGraph returns an empty graph. The digest of a text with secrets is what stands
// for it in keys: it must depend on a random salt, and be the same for the same run.
func NewGraph(digest func(text string) string) *Graph {
	return &Graph{Form: keyForm, digest: digest}
}

// keyForm is how settings become keys. In the form 0 each secret in a text had a
// digest of its own; since then it is all that stands together with it, so that a key
// does not depend on whether a text or a part of it is the secret.
const keyForm = 1

// Add adds a step to the graph on behalf of a build. A step with the same key
// is the same step: both builds share it.
func Add[E, T any](g *Graph, b Build, name string, s Step[E, T]) Out[T] {
	var nothing T
	_, thing := any(nothing).(Thing[E, T])
	return Out[T]{key: g.addStep(b, name, s.Kind(), s, nothing, thing)}
}

// addStep adds a step of whatever type, which makes something like nothing.
func (g *Graph) addStep(b Build, name, kind string, s, nothing any, thing bool) Key {
	digest := g.digest
	if digest == nil {
		digest = func(string) string { return "" }
	}
	canon := canonical(kind, s, g.Form, digest)
	n := Node{Key: digestKey(canon), Name: name, Builds: []string{b.Name}, Kind: kind, Canon: canon, Format: specFormat}
	need := func(ks *[]Key, k Key) {
		if !slices.Contains(*ks, k) {
			*ks = append(*ks, k)
		}
	}
	walkRefs(reflect.ValueOf(s), "", func(v reflect.Value, tag string) {
		r := v.Interface().(ref)
		k := r.ref()
		if k == (Key{}) {
			return
		}
		need(&n.Needs, k)
		if r.exclusive() {
			need(&n.Takes, k)
		}
		switch tag {
		case "attach":
			need(&n.Attaches, k)
		case "detach":
			need(&n.Detaches, k)
		}
	})
	walkStrings(reflect.ValueOf(s), func(v reflect.Value) {
		if v.Type() != reflect.TypeFor[Text]() {
			return
		}
		for _, r := range Text(v.String()).references() {
			need(&n.Needs, r.Step)
			if !slices.Contains(n.Texts, r) {
				n.Texts = append(n.Texts, r)
			}
		}
	})
	if t, ok := s.(titled); ok {
		n.Title = expandMarks(Text(t.Title()).String(), func(string) string { return "<sensitive>" })
	}
	n.Thing = thing
	_, n.Given = nothing.(Given)
	_, n.Common = s.(Common)
	if c, ok := s.(Chooser); ok {
		n.Chooses = c.Chooses()
	}
	spec, err := json.Marshal(s)
	if err != nil {
		g.errs = append(g.errs, fmt.Errorf("%s: cannot store the settings: %w", name, err))
	}
	n.Spec = spec
	g.add(n)
	return n.Key
}

// known is what a graph must find again for each step that is added to it.
type known struct {
	at     map[Key]int     // place in Nodes
	taken  map[Key]int     // place of the node that takes it
	builds map[member]bool //
	goals  map[Key]bool
}

// member is a build that a node works for.
type member struct {
	node  int
	build string
}

// look returns what is known of the graph, which may have come out of a store.
func (g *Graph) look() *known {
	if k := g.known; k != nil && len(k.at) == len(g.Nodes) && len(k.goals) == len(g.Goals) {
		return k
	}
	k := &known{make(map[Key]int, len(g.Nodes)), map[Key]int{}, map[member]bool{}, map[Key]bool{}}
	for i := range g.Nodes {
		k.add(i, &g.Nodes[i])
	}
	for _, goal := range g.Goals {
		k.goals[goal] = true
	}
	g.known = k
	return k
}

func (k *known) add(i int, n *Node) {
	k.at[n.Key] = i
	for _, t := range n.Takes {
		k.taken[t] = i
	}
	for _, b := range n.Builds {
		k.builds[member{i, b}] = true
	}
}

func (g *Graph) add(n Node) {
	k := g.look()
	g.whole = nil
	if i, ok := k.at[n.Key]; ok {
		for _, b := range n.Builds {
			if !k.builds[member{i, b}] {
				k.builds[member{i, b}] = true
				g.Nodes[i].Builds = append(g.Nodes[i].Builds, b)
			}
		}
		return
	}
	for _, t := range n.Takes {
		if o, taken := k.taken[t]; taken {
			g.errs = append(g.errs, fmt.Errorf("%s: %s already takes the same machine", n.Name, g.Nodes[o].Name))
		}
	}
	k.add(len(g.Nodes), &n)
	g.Nodes = append(g.Nodes, n)
}

// Goal makes the output something that the run is for.
func Goal[T any](g *Graph, o Out[T]) { g.goal(o.key) }

func (g *Graph) goal(key Key) {
	if k := g.look(); !k.goals[key] {
		k.goals[key] = true
		g.Goals = append(g.Goals, key)
	}
}

// Keep makes a thing outlive the run, from the moment the goal is reached.
func Keep[T, U any](g *Graph, thing Out[T], goal Out[U]) {
	if g.Keeps == nil {
		g.Keeps = map[Key]Key{}
	}
	g.Keeps[thing.key] = goal.key
	g.whole = nil
	Goal(g, goal)
}

// Discard ends what Keep has begun: what was kept for one goal is removed as soon as
// another is reached that comes after it. Where that fails, or is never reached, it
// stays. The steps that have read it count as done, though it is gone.
func Discard[T, U any](g *Graph, kept Out[T], goal Out[U]) {
	if g.Discards == nil {
		g.Discards = map[Key]Key{}
	}
	for thing, reached := range g.Keeps {
		if reached == kept.key {
			g.Discards[thing] = goal.key
		}
	}
	g.whole = nil
	Goal(g, goal)
}

// Serve ends a thing that is not kept as Discard ends one that was: when a goal is
// reached, it has served. The steps that have read it count as done, though it is gone,
// and it is made again only for one that is edited or new.
func Serve[T, U any](g *Graph, thing Out[T], goal Out[U]) {
	if g.Discards == nil {
		g.Discards = map[Key]Key{}
	}
	g.Discards[thing.key] = goal.key
	g.whole = nil
	Goal(g, goal)
}

// Stay has a thing outlive failures from a step on. Where the goal that would make it
// worth keeping is not reached, it waits for the next Solve, which goes on with it, or
// removes it if it is not wanted any more; and Destroy removes it.
func Stay[T, U any](g *Graph, thing Out[T], from Out[U]) {
	if g.Stays == nil {
		g.Stays = map[Key]Key{}
	}
	g.Stays[thing.key] = from.key
}

// Sequence makes a step come after others, though it reads nothing of them: what they
// are does not change what it is. Where one of them fails, it is skipped.
func (g *Graph) Sequence(k Key, after ...Key) {
	n := &g.Nodes[g.look().at[k]]
	for _, a := range after {
		if a != k && !slices.Contains(n.before(), a) {
			n.After = append(n.After, a)
		}
	}
	g.whole = nil
}

// Node returns the step of a key.
func (g *Graph) Node(k Key) (Node, bool) {
	i, ok := g.look().at[k]
	if !ok {
		return Node{}, false
	}
	return g.Nodes[i], true
}

// whole is what is known of a graph when all its steps are there.
type whole struct {
	*index
	resource []int         // of each node, the thing behind it
	keeps    map[Key][]Key // of each goal, the things that it makes worth keeping
	decides  map[Key]bool  // whether a step decides what others there are
	discards map[Key][]Key // of each goal, the things that have served then
	guards   map[Key][]Key // of each step, the guards that are over with it
}

// derive returns what follows from the graph. It may be called by many goroutines
// once it has been called by one.
func (g *Graph) derive() *whole {
	if g.whole != nil && len(g.whole.nodes) == len(g.Nodes) {
		return g.whole
	}
	x := newIndex(len(g.Nodes), func(i int) *Node { return &g.Nodes[i] })
	byGoal := func(of map[Key]Key) map[Key][]Key {
		all := map[Key][]Key{}
		for thing, goal := range of {
			all[goal] = append(all[goal], thing)
		}
		for _, things := range all { // a map has no order, and what is decided must have one
			slices.SortFunc(things, func(a, b Key) int { return cmp.Compare(x.at[a], x.at[b]) })
		}
		return all
	}
	g.whole = &whole{x, x.resourceOf(), byGoal(g.Keeps), map[Key]bool{}, byGoal(g.Discards), byGoal(g.Guards)}
	for _, deciding := range []map[string]Key{g.Lookups, g.Results} {
		for _, k := range deciding {
			g.whole.decides[k] = true
		}
	}
	return g.whole
}

// Err reports what is wrong with the wiring: a machine taken twice, a lineage
// that begins neither at a thing nor at what was given, a step that stands before what it reads. It is
// an error of the program, not of a user.
func (g *Graph) Err() error {
	errs := slices.Clone(g.errs)
	k := g.look()
	lineage := make([]int, len(g.Nodes)) // of each node, the first of the chain of takes that leads to it
	for i, n := range g.Nodes {
		lineage[i] = i
		whole := true
		for _, d := range n.before() {
			switch at, ok := k.at[d]; {
			case !ok:
				whole = false
				errs = append(errs, fmt.Errorf("%s: reads a step that is not in the graph", n.Name))
			case at >= i:
				whole = false
				errs = append(errs, fmt.Errorf("%s: reads %s, which comes after it", n.Name, g.Nodes[at].Name))
			}
		}
		if !whole || len(n.Takes) == 0 {
			continue
		}
		lineage[i] = lineage[k.at[n.Takes[0]]]
		if first := g.Nodes[lineage[i]]; !first.Thing && !first.Given {
			errs = append(errs, fmt.Errorf("%s: takes a machine that does not begin at a thing", n.Name))
		}
	}
	return errors.Join(errs...)
}
