package app

import (
	"slices"
	"testing"
)

// What is enforced is only ever added to.
func TestEnforcing(t *testing.T) {
	env := NewEnv(nil, "/home/me")
	r := &Request{}
	r.enforcing(env, []string{"a.json", "/etc/b.json"})
	r.enforcing(env, []string{"/home/me/a.json", "c.json"})
	r.enforcing(env, nil)
	if want := []string{"/home/me/a.json", "/etc/b.json", "/home/me/c.json"}; !slices.Equal(r.Enforce, want) {
		t.Errorf("%q, want %q", r.Enforce, want)
	}
}
