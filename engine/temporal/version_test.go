package temporal

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/imgflow/imgflow/internal/temporaltest"
)

// A run stays with the version of the workers that has begun it, and new ones go to the one that is current:
// the first of a deployment, until somebody makes another one that.
func TestRunsStayWithTheirVersion(t *testing.T) {
	s := temporaltest.New(t)
	c := dial(t, s)
	old, fresh := newWorld(t, 1), newWorld(t, 1) // what is done shows who has done it
	old.Wait = 3 * time.Second
	one, two := Version{"toys", "1.0.0"}, Version{"toys", "2.0.0 of today"}
	current := func(v Version, want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if got, err := c.Current(ctx, v); err != nil || got != want {
			t.Fatalf("seen by %s, %q is the current version: %v", v.Build, got, err)
		}
	}
	workingAs(t, c, old, one)
	current(one, one.Build)
	if err := c.Submit(t.Context(), Ref{Run: "before"}, Submission{Template: "t"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first run is under way", func() bool { return len(old.log()) > 0 })
	workingAs(t, c, fresh, two)
	current(two, one.Build)
	h := c.c.WorkerDeploymentClient().GetHandle(two.Deployment)
	eventually(t, "the second version is made the current one", func() bool {
		_, err := h.SetCurrentVersion(t.Context(), client.WorkerDeploymentSetCurrentVersionOptions{BuildID: two.Build})
		return err == nil
	})
	current(one, two.Build)
	if !submitted(t, c, fresh, Ref{Run: "after"}).well() {
		t.Error("the second run has failed")
	}
	if err := c.Watch(t.Context(), "before"); err != nil {
		t.Fatal(err)
	}
	if !old.ended(t).well() {
		t.Error("the first run has failed")
	}
	if a, b := len(old.log()), len(fresh.log()); a != b {
		t.Errorf("the old version has done %d things, and the new one %d:\n%v\n%v", a, b, old.log(), fresh.log())
	}
}

func TestNamesOfDeployments(t *testing.T) {
	for name, fine := range map[string]bool{"": true, "builds-eu": true, "a.b": false, "a:b": false, "__a": false} {
		if err := (Version{Deployment: name}).Check(); (err == nil) != fine || err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
