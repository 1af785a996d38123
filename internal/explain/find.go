package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Find returns the steps that are meant by a name: that of a step, alone or behind its
// build as in web.shell or web/shell, or the beginning of one, if that is of no other.
// The error lists what there is; nearest, which chooses the name that is most like another, may
// be nil.
func Find(steps []Step, name string, nearest func(name string, among []string) string) ([]Step, error) {
	var exact, begin []Step
	var names, begun []string
	for _, s := range steps {
		is, begins := false, false
		for _, n := range s.names() {
			is = is || n == name
			begins = begins || name != "" && strings.HasPrefix(n, name)
			if !slices.Contains(names, n) && !strings.Contains(n, "/") {
				names = append(names, n)
			}
		}
		if is {
			exact = append(exact, s)
		}
		if begins {
			begin = append(begin, s)
			if !slices.Contains(begun, s.Name) {
				begun = append(begun, s.Name)
			}
		}
	}
	switch {
	case len(exact) > 0:
		return exact, nil
	case len(begun) == 1:
		return begin, nil
	case len(begun) > 1:
		return nil, fmt.Errorf("cannot tell which step %q is: %s; give more of its name", name, strings.Join(begun, ", "))
	}
	hint := ""
	if nearest != nil {
		if n := nearest(name, names); n != "" {
			hint = fmt.Sprintf("; did you mean %s?", n)
		}
	}
	all := make([]string, 0, len(steps))
	for _, s := range steps {
		if !slices.Contains(all, s.Name) {
			all = append(all, s.Name)
		}
	}
	return nil, fmt.Errorf("cannot find a step %q%s There are %s", name, cmp.Or(hint, "."), strings.Join(all, ", "))
}

// names are all that the step may be called.
func (s Step) names() []string {
	names := []string{s.Name}
	for _, b := range s.Builds {
		names = append(names, b+"."+s.Name, b+"/"+s.Name)
	}
	return names
}
