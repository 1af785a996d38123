package graphsvg

import (
	"fmt"
)

// Node is one box of a picture.
type Node struct {
	ID    string // what edges name it by; is not shown
	Label string // the first line
	Sub   string // the second line, may be empty
	Class string // words; see the package
	Title string // shown where the pointer rests
	Link  string // where a click leads, "" for nowhere
}

// Edge leads from a node to one that comes after it.
type Edge struct {
	From, To string // IDs
	Class    string
}

// Picture is a graph to be drawn.
type Picture struct {
	Title string // what it shows, for those who do not see it, too
	Desc  string // more of that
	Nodes []Node
	Edges []Edge
}

// Sizes in pixels.
const (
	boxHeight = 46
	rankGap   = 44 // between ranks
	boxGap    = 18 // between boxes of a rank
	bendGap   = 10 // beside an edge that passes through a rank
	margin    = 16
	minWidth  = 96
	maxWidth  = 260
	padding   = 12 // left and right of a text
)

// place is a box, or a point where an edge passes through a rank.
type place struct {
	node  int // of the picture, -1 for a bend
	rank  int
	width float64
	x     float64 // of the middle
	up    []int   // places in the rank above
	down  []int   // places in the rank below
}

func (p *place) bend() bool { return p.node < 0 }

// layout is a picture whose nodes have places: first those of the nodes, in their
// order, then bends.
type layout struct {
	places []place
	ranks  [][]int // of each rank the places from left to right
	routes [][]int // of each edge the places that it leads through
	width  float64
}

// links returns the edges as numbers of nodes. It is an error if two nodes have
// one ID, or an edge an ID that no node has.
func (p *Picture) links() ([][2]int, error) {
	at := make(map[string]int, len(p.Nodes))
	for i, n := range p.Nodes {
		if _, twice := at[n.ID]; twice {
			return nil, fmt.Errorf("cannot draw the graph: two nodes have the ID %q", n.ID)
		}
		at[n.ID] = i
	}
	out := make([][2]int, len(p.Edges))
	for i, e := range p.Edges {
		from, ok := at[e.From]
		if !ok {
			return nil, fmt.Errorf("cannot draw the graph: an edge comes from %q, which is no node", e.From)
		}
		to, ok := at[e.To]
		if !ok {
			return nil, fmt.Errorf("cannot draw the graph: an edge leads to %q, which is no node", e.To)
		}
		out[i] = [2]int{from, to}
	}
	return out, nil
}

// newLayout finds the places of all nodes. It is an error if the graph has a cycle.
func (p *Picture) newLayout() (*layout, error) {
	links, err := p.links()
	if err != nil {
		return nil, err
	}
	ranks, err := rank(len(p.Nodes), links)
	if err != nil {
		return nil, err
	}
	l := &layout{}
	for i, n := range p.Nodes {
		l.places = append(l.places, place{node: i, rank: ranks[i], width: boxWidth(n)})
	}
	l.route(links)
	l.order()
	l.straighten()
	return l, nil
}

// route leads the edges from rank to rank. As long as there are not far more bends than
// boxes and edges, an edge over several ranks has one in each.
func (l *layout) route(links [][2]int) {
	left := 4 * (len(l.places) + len(links))
	for _, e := range links {
		from, to := e[0], e[1]
		path := []int{from}
		if span := l.places[to].rank - l.places[from].rank; span-1 <= left {
			left -= span - 1
			for r := l.places[from].rank + 1; r < l.places[to].rank; r++ {
				path = append(path, len(l.places))
				l.places = append(l.places, place{node: -1, rank: r})
			}
			path = append(path, to)
			for i := 1; i < len(path); i++ {
				a, b := path[i-1], path[i]
				l.places[a].down = append(l.places[a].down, b)
				l.places[b].up = append(l.places[b].up, a)
			}
		} else {
			path = append(path, to)
		}
		l.routes = append(l.routes, path)
	}
}
