package aws

import (
	"cmp"
	"encoding/json"

	"github.com/imgflow/imgflow/dag"
)

// takers tells which steps of a graph work by roles of other accounts. A copy and a publication say
// so; what else is done in the place of a copy, or to what came of it, is done by the same role.
type takers struct {
	by    map[dag.Key]dag.Node
	of    map[string]string // roles by the accounts that they lead to
	known map[dag.Key]string
}

func takersOf(nodes []dag.Node) *takers {
	t := &takers{map[dag.Key]dag.Node{}, map[string]string{}, map[dag.Key]string{}}
	for _, n := range nodes {
		t.by[n.Key] = n
		if n.Kind != (CopyImage{}).Kind() {
			continue
		}
		if s := settings[CopyImage](n); s.Through.RoleARN != "" {
			t.of[s.Account] = s.Through.RoleARN
		}
	}
	return t
}

// roleOf is the role of another account that a step takes to do its work, or "".
func (t *takers) roleOf(n dag.Node) string {
	if _, ours := needs[n.Kind]; !ours {
		return ""
	}
	role, known := t.known[n.Key]
	if known {
		return role
	}
	var s struct {
		Place
		Role string `json:"role"`
	}
	json.Unmarshal(n.Spec, &s) // a node's own settings always read
	role = cmp.Or(s.Role, t.of[s.Account])
	if s.Region == "" { // it works where what it reads is
		for _, k := range n.Needs {
			role = cmp.Or(role, t.roleOf(t.by[k]))
		}
	}
	t.known[n.Key] = role
	return role
}
