package dag

import (
	"maps"
	"slices"
	"sync"
)

// records are what is remembered of a run's steps.
type records struct {
	keeping sync.RWMutex // held by whoever keeps and notes, and for writing by whoever reads what others have kept
	mu      sync.Mutex
	of      map[Key]Record
	readers map[Key][]Key // the recorded steps that read a step
}

func newRecords() *records { return &records{of: map[Key]Record{}, readers: map[Key][]Key{}} }

func (rs *records) get(k Key) (Record, bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r, ok := rs.of[k]
	return r, ok
}

func (rs *records) note(list ...Record) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range list {
		if _, known := rs.of[r.Key]; !known {
			for _, d := range r.Needs {
				rs.readers[d] = append(rs.readers[d], r.Key)
			}
		}
		rs.of[r.Key] = r
	}
}

// derive derives what follows from a graph, whoever else is about to.
func (rs *records) derive(g *Graph) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	g.derive()
}

// shows are the keys of a step and of all that was ever derived from it, or stands by for it.
func (rs *records) shows(k Key) (keys []Key) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	seen := map[Key]bool{}
	for todo := []Key{k}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if v := rs.of[at]; seen[at] || v.Thing && !v.Guard && at != k {
			continue
		}
		seen[at] = true
		keys = append(keys, at)
		todo = append(todo, rs.readers[at]...)
	}
	return keys
}

// madeOf returns the records of a part of a graph, of what was ever made of what is
// not lent to it, and of what stands on those of its goals that are, the oldest first.
func (rs *records) madeOf(g *Graph) (list []Record) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	lent := map[Key]bool{} // or not, of those that were met
	var todo []Key
	for _, n := range g.Nodes {
		lent[n.Key] = slices.Contains(g.Lent, n.Key)
		todo = append(todo, n.Key)
	}
	for len(todo) > 0 {
		k := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if r, known := rs.of[k]; known {
			list = append(list, r)
		}
		for _, r := range rs.readers[k] {
			on := rs.of[r].Alive() && slices.Contains(rs.of[r].Attaches, k) && slices.Contains(g.Goals, k)
			if _, met := lent[r]; !met && (!lent[k] || on) {
				lent[r] = lent[k]
				todo = append(todo, r)
			}
		}
	}
	sortRecords(list)
	return list
}

// all returns every record, the oldest first.
func (rs *records) all() []Record {
	rs.mu.Lock()
	list := slices.Collect(maps.Values(rs.of))
	rs.mu.Unlock()
	sortRecords(list)
	return list
}

func sortRecords(list []Record) {
	slices.SortFunc(list, func(a, b Record) int {
		if c := a.Begun.Compare(b.Begun); c != 0 {
			return c
		}
		return slices.Compare(a.Key[:], b.Key[:])
	})
}

// derivedFrom returns the record of a thing and the records of what merely shows
// it, or stands by for it. What has gone with another thing has taken along what came
// of it.
func (rs *records) derivedFrom(r Record) (list []Record) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	seen := map[Key]bool{}
	for todo := []Key{r.Key}; len(todo) > 0; {
		k := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		v := rs.of[k]
		if seen[k] || v.Status == Gone || v.Thing && !v.Guard && k != r.Key {
			continue
		}
		seen[k] = true
		list = append(list, v)
		todo = append(todo, rs.readers[k]...)
	}
	return list
}
