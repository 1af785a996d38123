package app

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app/drive"
	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/internal/explain"
	"github.com/imgflow/imgflow/internal/telemetry"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/steps/comm"
)

// RunOptions say how a run is driven and watched. All may be left out.
type RunOptions struct {
	// Show gets every event, with no secrets in it, from several steps at a time.
	Show func(dag.Event)
	// BeforeStep is called before each step begins, and holds it up.
	BeforeStep func(context.Context, dag.Node)
	// OnFailure decides what a failed step means; nil cleans up.
	OnFailure func(ctx context.Context, n dag.Node, err error) dag.Decision
	Parallel  int // builds at work at once; 0: as the request says
}

// Result is how a run has ended: what failed, what is left, and its summary.
type Result = drive.Result

// Begin makes the cloud of the request reachable and creates the run, with all
// that it wants written down. The template was loaded for a run before.
func (s *Session) Begin(ctx context.Context, wish local.Settings) error {
	if err := s.Reach(ctx, wish); err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	return s.store()
}

// Run drives the run until all that it is for exists, or something failed, or
// ctx ends; then it can be resumed. The error says that nothing could go on.
func (s *Session) Run(ctx context.Context, o RunOptions) (*Result, error) {
	if err := s.Verify(ctx); err != nil {
		return nil, err
	}
	took := s.Durations()
	defer took.save()
	ctx, t := s.trace(ctx, "RUN")
	d := s.driven(t, func(e dag.Event) {
		took.note(e)
		if o.Show != nil {
			o.Show(e)
		}
	})
	d.BeforeStep, d.OnFailure = o.BeforeStep, o.OnFailure
	if o.Parallel > 0 {
		d.Parallel = o.Parallel
	}
	d.Rest = s.rest
	res, err := drive.Solve(ctx, s.graph, d)
	s.traced(t, err)
	return res, err
}

// Ask has a function put the questions of bastions to the person at the terminal; without one nobody is
// there. The answer is not to be shown while it is typed unless echo is true.
func (s *Session) Ask(prompt func(ctx context.Context, question string, echo bool) (answer string, err error)) {
	s.world.Machines().Prompt = prompt
}

// AsksPerson reports whether the machines are reached by answers to a bastion's questions.
func (s *Session) AsksPerson() bool {
	return slices.ContainsFunc(s.graph.Nodes, func(n dag.Node) bool {
		var of comm.Connect
		return n.Kind == of.Kind() && json.Unmarshal(n.Spec, &of) == nil && of.SSH.BastionHost != "" && of.SSH.BastionInteractive
	})
}

// Events calls fn with the events of the run from a position in its file on, 0 is
// the beginning, and returns the position behind the last of them.
func (s *Session) Events(from int64, fn func(dag.Event)) (next int64, err error) {
	return s.home.EachEvent(s.run.ID(), from, func(e dag.Event) error { fn(e); return nil })
}

// driven is what driving the run takes, but for the user's wishes.
func (s *Session) driven(t *telemetry.Run, show func(dag.Event)) drive.Options {
	o := drive.Options{
		Run: s.run, Kinds: s.world.Kinds(), Runner: s.runner, Secret: s.secret, Show: show, Parallel: s.req.Parallel,
		KeepAlive: func(ctx context.Context) { s.world.KeepLease(ctx, s.run.ID(), s.run.Summary().Started) },
	}
	if t != nil {
		o.Around, o.Trace = t.Around, t.TraceID()
		o.Show = func(e dag.Event) {
			t.Observe(e)
			if show != nil {
				show(e)
			}
		}
	}
	return o
}

// Withheld are the variables that a resume has to be given again.
func (s *Session) Withheld() []string {
	if s.req.Local || s.ev == nil {
		return nil
	}
	return s.req.stored(s.ev).Withheld
}

// Plan is what running the session's graph would do. Nothing is changed.
func (s *Session) Plan() (*dag.Plan, error) {
	e, err := s.engine()
	if err != nil {
		return nil, err
	}
	return e.Plan(s.graph)
}

// Explain is Plan with a reason for each step: how it differs from what the run has
// stored and done. Secrets are taken out.
func (s *Session) Explain() (*dag.Plan, []explain.Step, error) {
	p, err := s.Plan()
	if err != nil {
		return nil, nil, err
	}
	if s.run == nil {
		return p, explain.Steps(nil, nil, s.graph, p), nil
	}
	records, err := s.run.All()
	if err != nil {
		return nil, nil, err
	}
	steps := explain.Steps(s.stored, records, s.graph, p)
	for i := range steps {
		steps[i].Why = s.Redact(steps[i].Why)
		for k := range steps[i].Diff {
			steps[i].Diff[k].Text = s.Redact(steps[i].Diff[k].Text)
		}
	}
	return p, steps, nil
}

func (s *Session) engine() (*dag.Engine, error) {
	if s.run == nil {
		return dag.New(dag.Options{Store: &dag.MemStore{}, Kinds: s.world.Kinds()})
	}
	return drive.Engine(s.driven(nil, nil))
}

// hasImages tells whether a run has made what it was for, or some of it.
func hasImages(sum state.Summary) bool {
	for _, b := range sum.Builds {
		if len(b.Artifacts) > 0 {
			return true
		}
	}
	return false
}
