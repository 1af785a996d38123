package hostile

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestMain removes what was built for the tests.
func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(filepath.Dir(built))
	}
	os.Exit(code)
}

var (
	built string
	build sync.Once
	broke error
)

// imgflow is the real program, built from this module once.
func imgflow(t *testing.T) string {
	t.Helper()
	build.Do(func() {
		var dir string
		if dir, broke = os.MkdirTemp("", "hostile-test-"); broke != nil {
			return
		}
		built = filepath.Join(dir, "imgflow")
		cmd := exec.Command("go", "build", "-o", built, "github.com/imgflow/imgflow/cmd/imgflow")
		cmd.Stderr = os.Stderr
		broke = cmd.Run()
	})
	if broke != nil {
		t.Fatal(broke)
	}
	return built
}

// TestAttacks: whatever machines and endpoints do, a build ends, says why,
// changes nothing but what it was told to, and stays small.
func TestAttacks(t *testing.T) {
	program := imgflow(t)
	for _, a := range Attacks() {
		t.Run(a.Name, func(t *testing.T) {
			t.Parallel()
			trial, err := NewTrial(t.TempDir(), a)
			if err != nil {
				t.Fatal(err)
			}
			defer trial.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			o, err := trial.Run(ctx, program)
			t.Logf("%s: at most %d MiB in %s", a.Name, o.Peak>>20, o.Took.Round(time.Millisecond))
			harm := trial.Harm(o)
			if err != nil {
				harm = append(harm, err.Error())
			}
			for _, h := range harm {
				t.Error(h)
			}
			if t.Failed() {
				t.Logf("%.2000s\n...\n%s", o.Output, o.Output[max(0, len(o.Output)-2000):])
			}
		})
	}
}

func TestAttacksAreNamed(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range Attacks() {
		sides := 0
		for _, has := range []bool{a.Linux != nil, a.Windows != nil, a.EC2 != nil} {
			if has {
				sides++
			}
		}
		if seen[a.Name] || a.Name == "" || a.Does == "" || sides != 1 {
			t.Errorf("the attack %q has no name of its own, does not say what it does, or is of %d sides", a.Name, sides)
		}
		seen[a.Name] = true
	}
	if _, ok := Find("no such attack"); ok {
		t.Error("an attack is found that is not there")
	}
}
