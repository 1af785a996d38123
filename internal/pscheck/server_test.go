package pscheck

import (
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// servers are the lists that scripts are held against.
var servers = map[string]string{
	"Windows Server 2012 R2 (PowerShell 4.0)": "win-8_x64_6.3.9600.0_4.0_x64_4.0.30319.42000_framework.json",
	"Windows Server 2016 (PowerShell 5.1)":    "win-8_x64_10.0.14393.0_5.1.14393.2791_x64_4.0.30319.42000_framework.json",
	"Windows Server 2019 (PowerShell 5.1)":    "win-8_x64_10.0.17763.0_5.1.17763.316_x64_4.0.30319.42000_framework.json",
}

// A server is what one machine has, in lower case: see servers.cjs.
type server struct {
	name     string
	Commands map[string][]string // and their parameters
	Aliases  map[string]string
	Common   []string // parameters of all cmdlets
	Programs []string
	Types    map[string]*typ
	Short    map[string]string  // names of types that PowerShell knows
	Methods  map[string]arities // of values, of whatever type
}

// A typ has what is static of a type, and its constructors.
type typ struct {
	Values  []string // fields and properties
	Methods map[string]arities
	New     arities
}

// arities are the numbers of arguments that a method takes; -1-n are n and more.
type arities []int

func (a arities) take(n int) bool {
	return slices.ContainsFunc(a, func(m int) bool { return m == n || m < 0 && n >= -1-m })
}

// find returns the type of a name, which may be short or without System.
func (s *server) find(name string) *typ {
	name = strings.ToLower(name)
	for _, n := range []string{s.Short[name], name, "system." + name} {
		if t := s.Types[n]; t != nil {
			return t
		}
	}
	return nil
}

// command returns the parameters of a command.
func (s *server) command(name string) (params []string, ok bool) {
	name = strings.ToLower(name)
	if of := s.Aliases[name]; of != "" {
		name = of
	}
	params, ok = s.Commands[name]
	return params, ok
}

// machines reads the lists.
func machines(t *testing.T) []*server {
	t.Helper()
	need(t)
	dir := t.TempDir()
	const at = "PowerShellEditorServices/PSScriptAnalyzer/1.19.0/compatibility_profiles"
	names := slices.Sorted(maps.Keys(servers))
	var inside, files []string
	for _, n := range names {
		inside = append(inside, path.Join(at, servers[n]))
		files = append(files, strings.TrimPrefix(inside[len(inside)-1], "package/"))
	}
	lists.unpack(t, dir, inside...)
	all := node[server](t, dir, "servers.cjs", files)
	for i, s := range all {
		s.name = names[i]
		if len(s.Commands) < 500 || len(s.Types) < 1000 || len(s.Common) < 8 || len(s.Programs) < 400 {
			t.Fatalf("%s has %d commands, %d types, %d programs: the list is not read as it is meant", s.name, len(s.Commands), len(s.Types), len(s.Programs))
		}
	}
	return all
}
