package aws

import (
	"encoding/json"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/cost"
	"github.com/imgflow/imgflow/steps/aws/prices"
)

// Foresee is what the instances will cost that steps launch, by the public prices. Makes
// tells which of the steps are done; usual says how long a step took in past runs, if
// anybody knows. The nodes are those of a graph, in its order.
func Foresee(nodes []dag.Node, makes func(dag.Key) bool, usual func(kind, step string) (time.Duration, bool)) cost.Forecast {
	p := &pathfinder{by: map[dag.Key]*dag.Node{}, usual: usual}
	launches := map[dag.Key]time.Duration{}
	for i := range nodes {
		n := &nodes[i]
		p.by[n.Key] = n
		if n.Kind == (Stop{}).Kind() || n.Kind == (Pass{}).Kind() { // the last that the instance does
			if launch, took := p.since(n); launch != nil {
				launches[launch.Key] = max(launches[launch.Key], took)
			}
		}
	}
	f := cost.Forecast{Prices: prices.Date()}
	b := biller{}
	for _, n := range nodes {
		if n.Kind != (Launch{}).Kind() || !makes(n.Key) {
			continue
		}
		m := b.machine(n)
		m.System = prices.Linux
		if p.windows(n) {
			m.System = prices.Windows
		} else {
			f.If = "with Linux"
		}
		x := cost.Machine{Builds: n.Builds, What: m.what(), For: launches[n.Key]}
		x.Hourly, x.Unknown = m.hourly(m.System)
		f.Machines = append(f.Machines, x)
	}
	return f
}

// pathfinder finds how long instances usually stand.
type pathfinder struct {
	by    map[dag.Key]*dag.Node
	usual func(kind, step string) (time.Duration, bool)
}

func (p *pathfinder) node(k dag.Key) *dag.Node { return p.by[k] }

// windows tells whether a launch needs an image of Windows.
func (p *pathfinder) windows(n dag.Node) bool {
	var s Launch
	var source Source
	if json.Unmarshal(n.Spec, &s) != nil {
		return false
	}
	found := p.node(s.Source.Key())
	switch {
	case found == nil:
		return false
	case found.Kind == (Candidate{}).Kind(): // it is what the image was made of
		launch := launchOf(*found, p.node)
		return launch != nil && p.windows(*launch)
	}
	return json.Unmarshal(found.Spec, &source) == nil && source.NeedWindows
}

// since is the launch of the instance that a step is the last of, and how long it usually
// takes from there until the step has ended: along the longest way between them. It is 0
// where that is not known.
func (p *pathfinder) since(last *dag.Node) (launch *dag.Node, took time.Duration) {
	launch = launchOf(*last, p.node)
	if launch == nil {
		return nil, 0
	}
	known := true
	seen := map[dag.Key]time.Duration{} // from the launch on; -1: it does not come after it
	var until func(k dag.Key) time.Duration
	until = func(k dag.Key) time.Duration {
		if d, ok := seen[k]; ok {
			return d
		}
		seen[k] = -1
		n := p.by[k]
		way := time.Duration(-1)
		switch {
		case k == launch.Key:
			way = 0
		case n == nil || n.Kind == launch.Kind: // no way leads through another instance
			return -1
		default:
			for _, before := range [][]dag.Key{n.Needs, n.After} {
				for _, b := range before {
					way = max(way, until(b))
				}
			}
		}
		if way < 0 {
			return -1
		}
		own, ok := p.usual(n.Kind, n.Name)
		known = known && ok
		seen[k] = way + own
		return seen[k]
	}
	if took = until(last.Key); !known || took < 0 {
		return launch, 0
	}
	return launch, took
}
