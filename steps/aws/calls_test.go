package aws

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// What is foreseen is called, as often where it changes something, and nothing else is
// changed but by the calls that depend on what is found.
func TestCallsAreThoseOfABuild(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		name  string
		graph func(w *world) *dag.Graph
		found []string // what depends on it
	}{
		{"default", func(w *world) *dag.Graph {
			b := template()
			b.Communicator, b.SSH.Username = "ssh", "ubuntu"
			return w.graph(b)
		}, nil},
		{"options", func(w *world) *dag.Graph {
			b := template()
			b.Communicator, b.SSH.Username = "ssh", "ubuntu"
			b.AMIRegions, b.Users, b.SnapshotUsers = []string{"us-west-1"}, []string{"123456789012"}, []string{"123456789012"}
			b.IMDSSupport, b.DeprecateAt, b.ENASupport, b.ForceDeregister = "v2.0", "2030-01-01T00:00:00Z", &yes, true
			b.Protection.Enabled = true
			b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdb", VolumeType: "gp3", VolumeSize: 10, DeleteOnTermination: &no}}
			return w.graph(b)
		}, []string{"ModifySnapshotAttribute"}},
		{"role", func(w *world) *dag.Graph {
			b := template()
			b.TemporaryPolicy = reading
			return w.graph(b)
		}, nil},
		{"import", func(w *world) *dag.Graph {
			w.disks()
			return w.imports(wholeImport())
		}, []string{"DeleteSnapshot", "ModifyImageAttribute"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ec2local.Faults{})
			g := c.graph(w)
			store := &dag.MemStore{}
			p, err := w.engine(store, &events{}).Plan(g)
			if err != nil {
				t.Fatal(err)
			}
			maps.DeleteFunc(w.front.calls, func(string, int) bool { return true }) // those of the preparation
			w.build(store, g)
			foreseen := Calls(g.Nodes, p.Releases)
			for action, n := range w.front.calls {
				changes := !strings.HasPrefix(action, "Describe") && !strings.HasPrefix(action, "Head") && !strings.HasPrefix(action, "Get") && !strings.HasPrefix(action, "List")
				if f := foreseen[action]; f > n || changes && f < n && !slices.Contains(c.found, action) {
					t.Errorf("%s is called %d times, and foreseen %d times", action, n, f)
				}
			}
			for action, n := range foreseen {
				if w.front.calls[action] == 0 && n > 0 {
					t.Errorf("%s is foreseen, and not called", action)
				}
			}
		})
	}
}

func TestCallsOfEveryKind(t *testing.T) {
	for _, k := range Kinds(nil) {
		if _, told := callings[k.Name]; !told {
			t.Errorf("what does %s call?", k.Name)
		}
	}
	if n := len(Kinds(nil)); n != len(callings) {
		t.Errorf("%d kinds, and calls of %d", n, len(callings))
	}
}
