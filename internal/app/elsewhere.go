package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app/drive"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/internal/sleep"
	"github.com/imgflow/imgflow/internal/telemetry"
	"github.com/imgflow/imgflow/state"
)

// A run that an engine elsewhere drives: its submitter leaves it, follows its events, and
// returns to it; the engine's workers join it, and one of them says how it begins and
// ends.

// The documents of such a run.
const (
	engineDoc = "engine" // an Elsewhere
	driveDoc  = "drive"  // a lastDrive
)

// Elsewhere is where a run is driven, and how it was wished for.
type Elsewhere struct {
	Engine   string `json:"engine"` // its URL
	Team     string `json:"team,omitempty"`
	Priority int    `json:"priority,omitempty"` // from 1, the first, to 5; 0: none
	OnError  string `json:"on_error,omitempty"` // suspend, run-cleanup-provisioner; empty: cleanup
}

// Worker is what a process needs that does steps of runs for an engine elsewhere.
type Worker struct {
	Home *state.Home
	Dir  string // where the files of runs are laid out
	Most int    // steps at once that reach machines; 0 lets the engine choose
	// Runs stay with the version of a deployment, if that has a name.
	Deployment, Version string
	// Attend tells the other workers of an engine, until ctx ends, that this one is there, and
	// with which lanes of the engine's work it is busy, as bits. Told hears of the others each
	// time. Nil: there are none.
	Attend func(ctx context.Context, engine string, busy func() uint32, told func(self string, there map[string]uint32)) error
	// Share is told what part of what is granted at a site is for this worker, and whether the
	// site is its own. It may be nil.
	Share func(part func(site string) float64, own func(site string) bool)
	// Warn hears of what could not even begin, and of a version that new runs do not go to. It
	// may be nil.
	Warn func(format string, a ...any)
}

// lastDrive is how the last drive of the run has gone.
type lastDrive struct {
	Began  time.Time   `json:"began"`
	Report *dag.Report `json:"report,omitempty"` // nil: it has not ended
	Err    string      `json:"err,omitempty"`    // why nothing could go on
}

// Elsewhere is where the run is driven; the zero value for one that processes drive.
func (s *Session) Elsewhere() (e Elsewhere) {
	s.run.Doc(engineDoc, &e) // without it the run is driven here
	return e
}

// SendTo leaves the run, which was packed, to an engine.
func (s *Session) SendTo(e Elsewhere) error {
	if err := s.sentTo(e); err != nil {
		return err
	}
	return s.Leave()
}

// sentTo notes that an engine drives the run.
func (s *Session) sentTo(e Elsewhere) error {
	if outer := s.app.Telemetry.Outer(); outer != "" {
		s.run.SetDocLater(traceDoc, outer) // workers have another environment
	}
	if err := s.run.SetDocLater(driveDoc, lastDrive{Began: time.Now()}); err != nil {
		return err
	}
	return s.run.SetDoc(engineDoc, e)
}

// Leave gives the run back, so that others can drive it. What is known of it stays as it
// was.
func (s *Session) Leave() error { return s.run.Close() }

// Return takes a run again that was left, to look at it.
func (s *Session) Return() error {
	run, err := s.home.Look(s.run.ID())
	if err != nil {
		return err
	}
	s.run = run
	s.hide()
	return nil
}

// Follow calls show with the events of a run that was left, from a position on, until
// nobody drives it.
func (s *Session) Follow(ctx context.Context, from int, show func(dag.Event)) error {
	took := s.Durations()
	defer took.save()
	n := 0
	err := s.home.Follow(ctx, s.run.ID(), func(e dag.Event) error {
		if n++; n > from {
			took.note(e)
			show(e)
		}
		return nil
	})
	for err == nil && s.home.Driven(s.run.ID()) { // its last event comes before it is given back
		err = sleep.For(ctx, 50*time.Millisecond)
	}
	return err
}

// Ended is how the last drive of the run has ended elsewhere.
func (s *Session) Ended() (*Result, error) {
	var d lastDrive
	if err := s.run.Doc(driveDoc, &d); err != nil {
		return nil, err
	}
	if d.Report == nil {
		return nil, fmt.Errorf("cannot tell how run %s has ended: its engine has given it up: %s goes on with it", s.run.ID(), self.Command("resume", s.run.ID()))
	}
	res := &Result{Report: d.Report, Summary: s.run.Summary()}
	if d.Err != "" {
		return res, errors.New(d.Err)
	}
	return res, nil
}

// Begins notes and tells that the run is driven from now on.
func (s *Session) Begins() error {
	now := time.Now()
	if err := drive.Begin(s.Driving(), now); err != nil {
		return err
	}
	return s.run.SetDocLater(driveDoc, lastDrive{Began: now})
}

// Ends notes and tells how the run has ended. Failed says why nothing could go on; "" is
// that it could.
func (s *Session) Ends(report *dag.Report, failed string) error {
	var d lastDrive
	if err := s.run.Doc(driveDoc, &d); err != nil {
		return err
	}
	g, err := s.Renewed()
	if err != nil {
		return err
	}
	recs, err := s.run.All()
	if err != nil {
		return err
	}
	var why error
	if failed != "" {
		why = errors.New(failed)
	}
	if _, err := drive.End(s.Driving(), g, recs, report, why, d.Began); err != nil && failed == "" {
		return err
	}
	d.Report, d.Err = report, failed
	if err := s.run.SetDoc(driveDoc, d); err != nil {
		return err
	}
	sum := s.run.Summary()
	s.drove("RUN", d.Began, telemetry.ResultOf(why == nil && sum.Status == state.Done, why == nil && sum.Status == state.Suspended), s.whyFailed(why))
	return s.settle()
}

// Removed notes and tells how a removal of the run's things has ended.
func (s *Session) Removed(left []dag.Failure, failed string) error {
	var d lastDrive
	if err := s.run.Doc(driveDoc, &d); err != nil {
		return err
	}
	recs, err := s.run.All()
	if err != nil {
		return err
	}
	if err := drive.Destroyed(s.Driving(), recs, left); err != nil {
		return err
	}
	if err := s.run.SetDoc(driveDoc, lastDrive{Began: d.Began, Report: &dag.Report{Left: left}, Err: failed}); err != nil {
		return err
	}
	if failed == "" && len(left) > 0 {
		failed = left[0].Err.Error()
	}
	s.drove("DESTROY", d.Began, telemetry.ResultOf(failed == "", false), failed)
	return nil
}

// Renewed reads the run's graph again, which another worker may have made anew.
func (s *Session) Renewed() (*dag.Graph, error) {
	g, err := s.run.Graph()
	if err == nil {
		s.graph, s.stored = g, g
	}
	return g, err
}

// failures is what a failed step means, as the run was submitted.
func (e Elsewhere) failures() func(context.Context, dag.Node, error) dag.Decision {
	always := func(d dag.Decision) func(context.Context, dag.Node, error) dag.Decision {
		return func(context.Context, dag.Node, error) dag.Decision { return d }
	}
	switch e.OnError {
	case "suspend":
		return always(dag.Suspend)
	case "run-cleanup-provisioner":
		return always(dag.Guards)
	}
	return nil
}
