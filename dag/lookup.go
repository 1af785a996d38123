package dag

import (
	"maps"
	"slices"
)

// LookUp notes under a name that a step decides what other steps there are: it is a
// goal, and what it makes is read by whoever makes the graph.
func (g *Graph) LookUp(name string, k Key) {
	if g.Lookups == nil {
		g.Lookups = map[string]Key{}
	}
	g.Lookups[name] = k
	g.goal(k)
}

// Await notes that the steps of a build are known only when all that is named was
// looked up. As long as there is such a build, solving the graph removes nothing
// that was made for another form of it.
func (g *Graph) Await(build string, names []string) {
	if g.Awaited == nil {
		g.Awaited = map[string][]string{}
	}
	g.Awaited[build] = names
}

// First is the part of a graph that finds out what the rest is.
func (g *Graph) First() *Graph {
	p := &Graph{Form: g.Form, Lookups: g.Lookups, Awaited: g.Awaited}
	wanted := map[Key]bool{}
	for _, name := range slices.Sorted(maps.Keys(g.Lookups)) {
		p.goal(g.Lookups[name])
		wanted[g.Lookups[name]] = true
	}
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		if n := g.Nodes[i]; wanted[n.Key] {
			p.Nodes = append(p.Nodes, n)
			for _, k := range n.before() {
				wanted[k] = true
			}
		}
	}
	slices.Reverse(p.Nodes)
	return p
}

// Follow makes what works for some builds alone come after a step, though none of it
// reads that: those of the nodes from a place on that read no other such node.
func (g *Graph) Follow(k Key, from int, builds map[string]bool) {
	alone := map[Key]bool{}
	for i := from; i < len(g.Nodes); i++ {
		n := &g.Nodes[i]
		if slices.ContainsFunc(n.Builds, func(b string) bool { return !builds[b] }) {
			continue
		}
		alone[n.Key] = true
		if n.Key != k && !slices.ContainsFunc(n.Needs, func(d Key) bool { return alone[d] }) && !slices.Contains(n.before(), k) {
			n.After = append(n.After, k)
		}
	}
	g.whole = nil
}

// before are the steps that come before a step.
func (n Node) before() []Key {
	if len(n.After) == 0 {
		return n.Needs
	}
	return slices.Concat(n.Needs, n.After)
}
