package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/state"
)

// A run of which its engine has nothing at two looks is given back, unless it was begun anew between them. One of another
// engine, one that the engine has, one of which it cannot be asked and one that this worker does steps of stay as they are.
func TestStrayRunsAreGivenBack(t *testing.T) {
	b := newBench(t)
	const url = "temporal://engine:7233/default"
	runs := map[string]string{} // their names, by their ids
	var home *state.Home
	for name, engine := range map[string]string{"stray": url, "anew": url, "going": url, "unknown": url, "here": url, "other": "temporal://other:7233/default"} {
		_, h, ref := b.submitted(app.Elsewhere{Engine: engine})
		runs[ref.Run], home = name, h
	}
	var warned []string
	s := &strays{home: home, url: url,
		going: func(_ context.Context, run string) (bool, error) {
			if runs[run] == "unknown" {
				return false, errors.New("the engine is away")
			}
			return runs[run] == "going", nil
		},
		here: func(run string) bool { return runs[run] == "here" },
		warn: func(format string, a ...any) { warned = append(warned, fmt.Sprintf(format, a...)) },
	}
	s.look(t.Context())
	for run, name := range runs {
		if name == "anew" {
			if _, err := home.Assign(run, state.Owner{Command: url}); err != nil {
				t.Fatal(err)
			}
		}
		if !home.Driven(run) {
			t.Errorf("%s is given back at the first look", name)
		}
	}
	s.look(t.Context())
	for run, name := range runs {
		sum, err := home.Summary(run)
		if err != nil || home.Driven(run) != (name != "stray") || (sum.Status == state.Interrupted) != (name == "stray") {
			t.Errorf("%s is %s, driven: %v, %v", name, sum.Status, home.Driven(run), err)
		}
		if name == "stray" && (len(warned) != 1 || !strings.Contains(warned[0], "resume "+run)) {
			t.Errorf("it is told %q", warned)
		}
	}
}
