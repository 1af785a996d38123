package pscheck

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/internal/winguest"
	"github.com/imgflow/imgflow/internal/winguest/posh"
)

// engineOwn are commands of PowerShell that no module has, and so no list.
var engineOwn = []string{"clear-host", "get-verb", "mkdir"}

// unlisted are parameters that providers add to cmdlets, so that no list has them.
var unlisted = []string{"set-itemproperty -type"} // of the registry

// since51 are the servers whose PowerShell is the guests'.
func since51(t *testing.T) (out []*server) {
	for _, s := range machines(t) {
		if strings.Contains(s.name, "5.1") {
			out = append(out, s)
		}
	}
	if len(out) != 2 {
		t.Fatalf("%d of the servers have PowerShell 5.1", len(out))
	}
	return out
}

// TestGuestNames: what the guests refuse by name is what Windows has. A name that
// only they know would be refused where Windows goes on with an error; one that
// they do not know would be an error that a script may catch.
func TestGuestNames(t *testing.T) {
	servers := since51(t)
	known := map[string]bool{}
	for _, n := range posh.Foreign() {
		if low := strings.ToLower(n); known[low] {
			t.Errorf("%s is listed twice", n)
		} else {
			known[low] = true
		}
		if _, ok := anywhere(servers, n); !ok && !slices.Contains(engineOwn, strings.ToLower(n)) {
			t.Errorf("%s is no command of a server", n)
		}
	}
	for _, s := range servers {
		for n := range s.Commands {
			if strings.Contains(n, "-") && !known[n] {
				t.Errorf("%s has %s: the guests do not know the name", s.name, n)
			}
		}
	}
}

// TestGuestTypes: so it is with the types of .NET that need no namespace.
func TestGuestTypes(t *testing.T) {
	want := map[string]bool{}
	for _, s := range since51(t) {
		for n := range s.Short {
			want[n] = true
		}
		for n := range s.Types {
			if n, ok := strings.CutPrefix(n, "system."); ok && !strings.ContainsAny(n, ".`+") {
				want[n] = true
			}
		}
	}
	if listed := posh.ForeignTypes(); !slices.Equal(listed, slices.Sorted(maps.Keys(want))) {
		t.Errorf("the guests know the types\n%q\nand the servers have\n%q", listed, slices.Sorted(maps.Keys(want)))
	}
}

// TestGuestCmdlets: a call that a guest takes is one that Windows takes, and one
// that it does not take is refused, not said to be wrong.
func TestGuestCmdlets(t *testing.T) {
	servers := since51(t)
	for _, c := range slices.Concat(posh.Cmdlets(), winguest.Cmdlets()) {
		theirs, ok := anywhere(servers, c.Name)
		if !ok && !slices.Contains(engineOwn, strings.ToLower(c.Name)) {
			t.Errorf("%s is no command of a server", c.Name)
		}
		if !ok || c.Refused != "" {
			continue
		}
		if asks := slices.Contains(theirs, "whatif"); asks != c.Asks {
			t.Errorf("%s has -WhatIf: %v, and on the servers: %v", c.Name, c.Asks, asks)
		}
		ours := map[string]bool{"whatif": true, "wi": true, "confirm": true, "cf": true}
		for _, p := range c.Params {
			for _, n := range append([]string{p.Name}, p.Aliases...) {
				low := strings.ToLower(n)
				if ours[low] {
					t.Errorf("%s has -%s twice", c.Name, n)
				}
				ours[low] = true
				if slices.Contains(unlisted, strings.ToLower(c.Name)+" -"+low) {
					continue
				}
				for _, s := range servers {
					if of, _ := s.command(c.Name); !slices.Contains(of, low) && !(p.Refused() && slices.Contains(theirs, low)) {
						t.Errorf("%s -%s is taken here, and not by %s", c.Name, n, s.name)
					}
				}
			}
		}
		for _, n := range theirs {
			if !ours[n] {
				t.Errorf("%s -%s is neither taken nor refused", c.Name, n)
			}
		}
	}
}

// anywhere returns the parameters that a command has on any of the servers.
func anywhere(servers []*server, name string) (params []string, ok bool) {
	for _, s := range servers {
		of, is := s.command(name)
		params, ok = append(params, of...), ok || is
	}
	slices.Sort(params)
	return slices.Compact(params), ok
}
