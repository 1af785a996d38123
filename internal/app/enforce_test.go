package app

import (
	"slices"
	"testing"
)

// What is enforced is only ever added to.
func TestEnforcing(t *testing.T) {
	env := NewEnv(nil, "/work")
	r := &Request{}
	r.enforcing(env, []string{"a.json", "/etc/b.json"})
	r.enforcing(env, []string{"/work/a.json", "c.json"})
	r.enforcing(env, nil)
	if want := []string{"/work/a.json", "/etc/b.json", "/work/c.json"}; !slices.Equal(r.Enforce, want) {
		t.Errorf("%q, want %q", r.Enforce, want)
	}
}
