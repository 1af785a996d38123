package dag

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
)

// However it is found, what is drawn of any graph is the same: every reader of a
// thing and of what was derived from it comes before its release, and of all edges
// those are left that say something new.
func TestDrawingAtRandom(t *testing.T) {
	for seed := range uint64(2000) {
		p, err := json.Marshal(anyGraph(rand.New(rand.NewPCG(seed, 3)), ""))
		if err != nil {
			t.Fatal(err)
		}
		var g Graph
		if err := json.Unmarshal(p, &g); err != nil {
			t.Fatal(err)
		}
		d, err := g.Drawing()
		if err != nil {
			t.Fatal(err)
		}
		want := plainDrawing(&g)
		for i := range want {
			if !slices.Equal(want[i], d.Before[i]) {
				t.Fatalf("seed %d: %s comes after %v, want %v", seed, d.Vertices[i].Label(), d.Before[i], want[i])
			}
		}
	}
}

// plainDrawing is the same without any thought for its cost.
func plainDrawing(g *Graph) [][]int {
	x := g.derive()
	before := slices.Clone(x.needs)
	type rel struct{ readers, attached, detachers []int }
	rels, release := make([]rel, len(x.nodes)), map[int]int{}
	for i, n := range x.nodes {
		if !n.Thing {
			continue
		}
		if _, kept := g.Keeps[n.Key]; !kept && !n.Guard && !slices.Contains(g.Goals, n.Key) {
			release[i] = len(before)
			before = append(before, nil)
		}
		shows := []int{i}
		for at := 0; at < len(shows); at++ {
			for _, r := range x.readers[shows[at]] {
				if slices.Contains(x.nodes[r].Attaches, x.nodes[shows[at]].Key) {
					rels[i].attached = append(rels[i].attached, r)
				}
				if slices.Contains(x.nodes[r].Detaches, x.nodes[shows[at]].Key) {
					rels[i].detachers = append(rels[i].detachers, r)
				}
				rels[i].readers = append(rels[i].readers, r)
				if !x.nodes[r].Thing && !slices.Contains(shows, r) {
					shows = append(shows, r)
				}
			}
		}
	}
	for i, at := range release {
		before[at] = append(rels[i].readers, i)
		for _, h := range rels[i].attached {
			if r, ok := release[h]; len(rels[h].detachers) > 0 {
				before[at] = append(before[at], rels[h].detachers...)
			} else if ok {
				before[at] = append(before[at], r)
			}
		}
	}
	var reaches func(from, to int) bool
	reaches = func(from, to int) bool {
		return slices.ContainsFunc(before[from], func(b int) bool { return b == to || reaches(b, to) })
	}
	reduced := make([][]int, len(before))
	for v, bs := range before {
		for _, b := range bs {
			if !slices.ContainsFunc(bs, func(o int) bool { return o != b && reaches(o, b) }) {
				reduced[v] = append(reduced[v], b)
			}
		}
		slices.Sort(reduced[v])
		reduced[v] = slices.Compact(reduced[v])
	}
	return reduced
}
