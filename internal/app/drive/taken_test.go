package drive

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/pgtest"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/state/postgres"
)

// When another process takes the run over, what this one has under way is interrupted,
// nothing more is begun, and what it leaves is the other's.
func TestTakenOver(t *testing.T) {
	home, err := postgres.Open(t.TempDir(), pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	run, err := home.Create(state.Summary{Template: "t.json", Builds: []state.BuildSummary{{Name: "a"}}})
	if err == nil {
		err = run.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	epoch, err := home.Assign(run.ID(), state.Owner{})
	if err != nil {
		t.Fatal(err)
	}
	if run, err = home.Join(run.ID(), epoch); err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	b := &bench{place: &place{things: map[string]bool{}, block: make(chan struct{})}, home: home, run: run}
	o := b.options()
	filling := make(chan struct{})
	show := o.Show
	o.Show = func(e dag.Event) {
		if show(e); e.Type == dag.Printed {
			close(filling)
		}
	}
	ended := make(chan error)
	go func() {
		_, err := Solve(t.Context(), graphOf("a"), o)
		ended <- err
	}()
	<-filling
	if _, err := home.Assign(run.ID(), state.Owner{}); err != nil {
		t.Fatal(err)
	}
	select {
	case err = <-ended:
	case <-time.After(time.Minute):
		t.Fatal("it goes on")
	}
	if !errors.As(err, new(*state.FencedError)) || !strings.Contains(err.Error(), "taken it over") {
		t.Errorf("it ends with %v", err)
	}
	if len(b.things) != 1 {
		t.Errorf("%d things exist: it has made, or removed, what is not its own any more", len(b.things))
	}
	if s, err := home.Summary(run.ID()); err != nil || s.Status != state.Running {
		t.Errorf("the summary of the other is %+v, %v", s, err)
	}
}
