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

// Result notes that what a step makes decides what other builds are: those await the
// build that it is the result of.
func (g *Graph) Result(build string, k Key) {
	if g.Results == nil {
		g.Results = map[string]Key{}
	}
	g.Results[build] = k
}

// AwaitBuilds notes that the steps of a build are known only when others have their
// results. As with Await nothing is removed until then.
func (g *Graph) AwaitBuilds(build string, others []string) {
	if g.Behind == nil {
		g.Behind = map[string][]string{}
	}
	g.Behind[build] = others
}

// Open tells whether there are builds whose steps are not known yet.
func (g *Graph) Open() bool { return len(g.Awaited)+len(g.Behind) > 0 }

// First is the part of a graph that finds out what the rest is: the lookups, or, when
// all were made, the builds that others await.
func (g *Graph) First() *Graph {
	wanted := map[Key]bool{}
	if len(g.Awaited) > 0 {
		for _, k := range g.Lookups {
			wanted[k] = true
		}
		return g.part(wanted)
	}
	awaited := map[string]bool{}
	for _, others := range g.Behind {
		for _, b := range others {
			awaited[b] = true
		}
	}
	for _, n := range g.Nodes {
		if slices.ContainsFunc(n.Builds, func(b string) bool { return awaited[b] }) {
			wanted[n.Key] = true
		}
	}
	return g.part(wanted)
}

// Looks is the part of a graph that only looks something up, whatever the run makes.
func (g *Graph) Looks() *Graph {
	wanted := map[Key]bool{}
	for _, n := range g.Nodes {
		wanted[n.Key] = n.lookup() && !n.Given && len(n.Takes) == 0 && !slices.ContainsFunc(n.before(), func(k Key) bool { return !wanted[k] })
	}
	p := g.part(wanted)
	p.Goals, p.known = nil, nil
	for _, n := range p.Nodes {
		p.goal(n.Key)
	}
	return p
}

// Choices is the part of a graph that chooses what builds begin from, which others make anew:
// the lookups, and the steps that choose (see [Chooser]). What depends on things that the run
// makes is not in it.
func (g *Graph) Choices() *Graph {
	wanted, impure := map[Key]bool{}, map[Key]bool{}
	for _, n := range g.Nodes {
		impure[n.Key] = n.Thing || n.Given || slices.ContainsFunc(n.before(), func(k Key) bool { return impure[k] })
		wanted[n.Key] = n.Chooses && !impure[n.Key]
	}
	for _, k := range g.Lookups {
		wanted[k] = !impure[k]
	}
	chosen := maps.Clone(wanted)
	p := g.part(wanted)
	p.Goals, p.known = nil, nil
	for _, n := range p.Nodes {
		if chosen[n.Key] {
			p.goal(n.Key)
		}
	}
	return p
}

// Without is the part of a graph that is still to be tried when some steps have failed
// or were skipped, and what is skipped now as it comes after them. Builds with such a
// step stay as they are, but for what others need of them.
func (g *Graph) Without(tried *Report) (rest *Graph, skipped []Node) {
	broken, builds := map[Key]bool{}, map[string]bool{}
	out := func(n Node) {
		broken[n.Key] = true
		for _, b := range n.Builds {
			builds[b] = true
		}
	}
	for _, f := range tried.Failed {
		out(f.Node)
	}
	for _, n := range tried.Skipped {
		out(n)
	}
	if len(broken) == 0 {
		return g, nil
	}
	for _, n := range g.Nodes {
		if !broken[n.Key] && slices.ContainsFunc(n.before(), func(k Key) bool { return broken[k] }) {
			out(n)
			skipped = append(skipped, n)
		}
	}
	wanted := map[Key]bool{}
	for _, n := range g.Nodes {
		wanted[n.Key] = !broken[n.Key] && slices.ContainsFunc(n.Builds, func(b string) bool { return !builds[b] })
	}
	return g.part(wanted), skipped
}

// part is the graph of some steps and of what they need.
func (g *Graph) part(wanted map[Key]bool) *Graph {
	p := &Graph{Form: g.Form, Lookups: g.Lookups, Results: g.Results, Awaited: g.Awaited, Behind: g.Behind, Part: true}
	for _, n := range slices.Backward(g.Nodes) {
		if wanted[n.Key] {
			p.Nodes = append(p.Nodes, n)
			for _, k := range n.before() {
				wanted[k] = true
			}
		}
	}
	slices.Reverse(p.Nodes)
	for _, k := range g.Goals {
		if wanted[k] {
			p.goal(k)
		}
	}
	within := func(all map[Key]Key) map[Key]Key {
		some := maps.Clone(all)
		maps.DeleteFunc(some, func(thing, goal Key) bool { return !wanted[thing] || !wanted[goal] })
		return some
	}
	p.Keeps, p.Discards, p.Stays, p.Guards = within(g.Keeps), within(g.Discards), within(g.Stays), within(g.Guards)
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
