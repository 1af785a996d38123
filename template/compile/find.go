package compile

import (
	"fmt"
	"strings"

	"github.com/imgflow/imgflow/template"
)

// finder finds the places of options. It remembers where the keys of large objects stand: there may be as many faults
// in one as it has keys.
type finder struct {
	keys map[*template.Place]map[string]int
}

// get returns the place of the value of a key.
func (x *finder) get(p *template.Place, name string) (*template.Place, bool) {
	if p.List {
		return nil, false
	}
	if len(p.Inside) < 32 {
		for i := range p.Inside {
			if p.Inside[i].Name == name {
				return &p.Inside[i].Value, true
			}
		}
		return nil, false
	}
	keys, ok := x.keys[p]
	if !ok {
		keys = make(map[string]int, len(p.Inside))
		for i, in := range p.Inside {
			if _, twice := keys[in.Name]; !twice {
				keys[in.Name] = i
			}
		}
		if x.keys == nil {
			x.keys = map[*template.Place]map[string]int{}
		}
		x.keys[p] = keys
	}
	i, ok := keys[name]
	if !ok {
		return nil, false
	}
	return &p.Inside[i].Value, true
}

// find returns the place of the value at a path such as a[0].b below p. If it is not there, the place is that of
// the last part of the path that is, and ok is false.
func (x *finder) find(p *template.Place, path string) (at template.Pos, ok bool) {
	if path == "" {
		return p.Pos, true
	}
	path = strings.TrimPrefix(path, ".")
	if rest, isIndex := strings.CutPrefix(path, "["); isIndex {
		var i int
		if _, err := fmt.Sscanf(rest, "%d]", &i); err != nil || i < 0 {
			return p.Pos, false
		}
		_, rest, _ = strings.Cut(rest, "]")
		if !p.List { // one element without its list
			return x.find(p, rest)
		}
		if i >= len(p.Inside) {
			return p.Pos, false
		}
		return x.find(&p.Inside[i].Value, rest)
	}
	// A key of a map may hold dots: the longest one that fits.
	for end := len(path); end > 0; {
		if inner, ok := x.get(p, path[:end]); ok {
			return x.find(inner, path[end:])
		}
		end = strings.LastIndexAny(path[:end], ".[")
	}
	return p.Pos, false
}
