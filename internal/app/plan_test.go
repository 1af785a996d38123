package app

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

// What reads a plan takes anything, and says that it is none.
func FuzzPlan(f *testing.F) {
	inner, _ := json.Marshal(Plan{Request: Request{Template: "/t.json"}, Salt: []byte("salt"), Graph: dag.NewGraph(nil)})
	file, _ := json.Marshal(planFile{Sealed: inner})
	f.Add(append([]byte(planMagic+planFormat+"\n"), file...), inner)
	f.Add([]byte(planMagic+planFormat+"\n{}"), []byte("{}"))
	f.Add([]byte(planMagic+"2\n"), []byte(`{"Graph":{"nodes":[{"key":"00"}]}}`))
	f.Add([]byte("{"), []byte(`{"Graph":null}`))
	f.Fuzz(func(t *testing.T, outside, inside []byte) {
		if file, err := parsePlan(outside); err == nil && (len(file.Sealed) == 0 || !IsPlan(outside)) {
			t.Errorf("%q is a plan", outside)
		}
		p, err := parseSealed(inside)
		if err != nil {
			return
		}
		s := &Session{plan: p, graph: dag.NewGraph(nil)}
		s.asPlanned("")
		s.graph = p.Graph
		if err := s.asPlanned(""); err != nil {
			t.Errorf("a plan differs from itself: %v", err)
		}
	})
}

func TestPlansThatAreNone(t *testing.T) {
	home, err := state.OpenHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	empty, err := home.Seal([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	sealed, _ := json.Marshal(planFile{Sealed: empty})
	file := filepath.Join(t.TempDir(), "plan")
	for content, want := range map[string]string{
		"":                                     "it is no plan",
		"{}":                                   "it is no plan",
		planMagic:                              `its format is ""`,
		planMagic + "10\n{}":                   `its format is "10"`,
		planMagic + "1\n":                      "it is damaged",
		planMagic + "1\n{}":                    "it is damaged",
		planMagic + "1\n{\"sealed\":\"eHg=\"}": "cannot open the plan",
		planMagic + "1\n" + string(sealed):     "it is damaged",
		planMagic + strings.Repeat("9", 100) + "\n": `its format is "9999`,
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadPlan(home, file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", content, err, want)
		}
	}
	if big := bytes.Repeat([]byte("x"), 10); !IsPlan(append([]byte(planMagic), big...)) || IsPlan(big) {
		t.Error("a plan is not known by its beginning")
	}
	if err := os.Truncate(file, maxPlan+1); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPlan(home, file); err == nil || !strings.Contains(err.Error(), "cannot read the plan") {
		t.Errorf("a plan of any size is read: %v", err)
	}
}
