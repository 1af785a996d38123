package compile

import (
	"fmt"
	"strings"

	"github.com/imgflow/imgflow/template"
)

// finder finds the places of options. It remembers where the keys of large objects stand: there may be as many faults
// in one as it has keys.
type finder struct {
	keys map[*template.Field]map[string]int // by the first field of an object
}

// get is v.Get.
func (x *finder) get(v template.Value, name string) (template.Value, bool) {
	if len(v.Fields) < 32 {
		return v.Get(name)
	}
	first := &v.Fields[0]
	keys, ok := x.keys[first]
	if !ok {
		keys = make(map[string]int, len(v.Fields))
		for i, f := range v.Fields {
			if _, twice := keys[f.Name]; !twice {
				keys[f.Name] = i
			}
		}
		if x.keys == nil {
			x.keys = map[*template.Field]map[string]int{}
		}
		x.keys[first] = keys
	}
	i, ok := keys[name]
	if !ok {
		return template.Value{}, false
	}
	return v.Fields[i].Value, true
}

// find returns the place of the value at a path such as a[0].b below v. If it is not there, the place is that of
// the last part of the path that is, and ok is false.
func (x *finder) find(v template.Value, path string) (at template.Pos, ok bool) {
	if path == "" {
		return v.Pos, true
	}
	path = strings.TrimPrefix(path, ".")
	if rest, isIndex := strings.CutPrefix(path, "["); isIndex {
		var i int
		if _, err := fmt.Sscanf(rest, "%d]", &i); err != nil || i < 0 {
			return v.Pos, false
		}
		_, rest, _ = strings.Cut(rest, "]")
		if v.Kind != template.List { // one element without its list
			return x.find(v, rest)
		}
		if i >= len(v.List) {
			return v.Pos, false
		}
		return x.find(v.List[i], rest)
	}
	// A key of a map may hold dots: the longest one that fits.
	for end := len(path); end > 0; {
		if inner, ok := x.get(v, path[:end]); ok {
			return x.find(inner, path[end:])
		}
		end = strings.LastIndexAny(path[:end], ".[")
	}
	return v.Pos, false
}
