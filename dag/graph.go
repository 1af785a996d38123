package dag

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// Node is a step as data: all that the engine needs to run it anywhere.
type Node struct {
	Key     Key             `json:"key"`
	Name    string          `json:"name"`   // unique within a build
	Builds  []string        `json:"builds"` // that need it
	Kind    string          `json:"kind"`
	Title   string          `json:"title,omitempty"`
	Spec    json.RawMessage `json:"spec"`
	Canon   string          `json:"canon"` // the text that Key is the digest of
	Needs   []Key           `json:"needs,omitempty"`
	Takes   []Key           `json:"takes,omitempty"`   // the needs that it changes
	Holds   []Key           `json:"holds,omitempty"`   // the needs that its thing stands on
	Settles []Key           `json:"settles,omitempty"` // the needs whose things let go
	Thing   bool            `json:"thing,omitempty"`   // its output exists outside the process
}

// Graph is what a run wants: its steps, in the order in which they were added,
// and which of them are its goals.
type Graph struct {
	Nodes []Node      `json:"nodes"`
	Goals []Key       `json:"goals"`
	Keeps map[Key]Key `json:"keeps,omitempty"` // thing → the goal that makes it worth keeping

	digest func(name string) string
	index  map[Key]int
	errs   []error
}

// NewGraph returns an empty graph. The digest of a secret is what stands for it
// in keys: it must depend on a random salt, and be the same for the same run.
func NewGraph(digest func(name string) string) *Graph { return &Graph{digest: digest} }

// Add adds a step to the graph on behalf of a build. A step with the same key
// is the same step: both builds share it.
func Add[E, T any](g *Graph, b Build, name string, s Step[E, T]) Out[T] {
	digest := g.digest
	if digest == nil {
		digest = func(string) string { return "" }
	}
	canon := canonical(s.Kind(), s, digest)
	n := Node{Key: digestKey(canon), Name: name, Builds: []string{b.Name}, Kind: s.Kind(), Canon: canon}
	walkRefs(reflect.ValueOf(s), "", func(v reflect.Value, tag string) {
		r := v.Interface().(ref)
		k := r.ref()
		if k == (Key{}) {
			return
		}
		add := func(ks *[]Key) {
			if !slices.Contains(*ks, k) {
				*ks = append(*ks, k)
			}
		}
		add(&n.Needs)
		if r.exclusive() {
			add(&n.Takes)
		}
		switch tag {
		case "hold":
			add(&n.Holds)
		case "settle":
			add(&n.Settles)
		}
	})
	if t, ok := any(s).(titled); ok {
		n.Title = expandMarks(t.Title(), func(string) string { return "<sensitive>" })
	}
	var out T
	_, n.Thing = any(out).(Thing[E, T])
	spec, err := json.Marshal(s)
	if err != nil {
		g.errs = append(g.errs, fmt.Errorf("%s: cannot store the settings: %w", name, err))
	}
	n.Spec = spec
	g.add(n)
	return Out[T]{key: n.Key}
}

func (g *Graph) add(n Node) {
	g.reindex()
	if i, ok := g.index[n.Key]; ok {
		for _, b := range n.Builds {
			if !slices.Contains(g.Nodes[i].Builds, b) {
				g.Nodes[i].Builds = append(g.Nodes[i].Builds, b)
			}
		}
		return
	}
	for _, d := range n.Needs {
		if _, ok := g.index[d]; !ok {
			g.errs = append(g.errs, fmt.Errorf("%s: reads a step that is not in the graph", n.Name))
		}
	}
	for _, t := range n.Takes {
		for _, o := range g.Nodes {
			if slices.Contains(o.Takes, t) {
				g.errs = append(g.errs, fmt.Errorf("%s: %s already takes the same machine", n.Name, o.Name))
			}
		}
	}
	g.index[n.Key] = len(g.Nodes)
	g.Nodes = append(g.Nodes, n)
}

func (g *Graph) reindex() {
	if g.index != nil && len(g.index) == len(g.Nodes) {
		return
	}
	g.index = make(map[Key]int, len(g.Nodes))
	for i, n := range g.Nodes {
		g.index[n.Key] = i
	}
}

// Goal makes the output something that the run is for.
func Goal[T any](g *Graph, o Out[T]) {
	if !slices.Contains(g.Goals, o.key) {
		g.Goals = append(g.Goals, o.key)
	}
}

// Keep makes a thing outlive the run, from the moment the goal is reached.
func Keep[T, U any](g *Graph, thing Out[T], goal Out[U]) {
	if g.Keeps == nil {
		g.Keeps = map[Key]Key{}
	}
	g.Keeps[thing.key] = goal.key
	Goal(g, goal)
}

// Node returns the step of a key.
func (g *Graph) Node(k Key) (Node, bool) {
	g.reindex()
	i, ok := g.index[k]
	if !ok {
		return Node{}, false
	}
	return g.Nodes[i], true
}

// Err reports what is wrong with the wiring: a machine taken twice, a lineage
// that does not begin at a thing. It is an error of the program, not of a user.
func (g *Graph) Err() error {
	errs := slices.Clone(g.errs)
	for _, n := range g.Nodes {
		if len(n.Takes) == 0 {
			continue
		}
		if root := g.lineage(n.Key); !root.Thing {
			errs = append(errs, fmt.Errorf("%s: takes a machine that does not begin at a thing", n.Name))
		}
	}
	return errors.Join(errs...)
}

// lineage is the first step of the chain of takes that leads to k.
func (g *Graph) lineage(k Key) Node {
	n, _ := g.Node(k)
	for len(n.Takes) > 0 {
		n, _ = g.Node(n.Takes[0])
	}
	return n
}

// behind is the thing that k, an output of its or a view, shows.
func (g *Graph) behind(k Key) Key {
	for _, n := range g.Nodes {
		if n.Thing && views(g.Nodes, n.Key)[k] {
			return n.Key
		}
	}
	return Key{}
}

// views returns the thing x and every output that merely shows it: what is
// derived from it without being a thing of its own.
func views(nodes []Node, x Key) map[Key]bool {
	set := map[Key]bool{x: true}
	for more := true; more; {
		more = false
		for _, n := range nodes {
			if !n.Thing && !set[n.Key] && slices.ContainsFunc(n.Needs, func(k Key) bool { return set[k] }) {
				set[n.Key], more = true, true
			}
		}
	}
	return set
}
