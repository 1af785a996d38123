package temporal

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/self"
)

// Names of what histories hold: another one is another workflow.
const (
	runWorkflow   = "imgflow.run"
	buildWorkflow = "imgflow.build"
	undoWorkflow  = "imgflow.undo"
	suspendSignal = "suspend"
)

// mostChildren are at work at once, if there is no other limit.
const mostChildren = 500

// flow is what the workflows of one run have in common.
type flow struct {
	ref      Ref
	base     workflow.Context // ends with nothing
	work     workflow.Context // ends when the run is suspended
	stopping workflow.Future  // is ready then
}

// begin has the workflow suspended by a signal, or when somebody cancels it.
func begin(ctx workflow.Context, ref Ref) *flow {
	base, _ := workflow.NewDisconnectedContext(ctx)
	work, stop := workflow.WithCancel(base)
	stopping, told := workflow.NewFuture(base)
	workflow.Go(base, func(own workflow.Context) {
		workflow.NewSelector(own).
			AddReceive(workflow.GetSignalChannel(base, suspendSignal), func(c workflow.ReceiveChannel, _ bool) { c.Receive(own, nil) }).
			AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {}).Select(own)
		stop()
		told.SetValue(nil)
	})
	return &flow{ref: ref, base: base, work: work, stopping: stopping}
}

// do has something done that is no step's, whether the run is suspended or not.
func (f *flow) do(out any, activity any, args ...any) error {
	return workflow.ExecuteActivity(activityOptions(f.base, attempts, ""), activity, args...).Get(f.base, out)
}

// runFlow is the workflow of a run.
func runFlow(ctx workflow.Context, ref Ref, many int) error {
	f := begin(ctx, ref)
	all := dag.Report{}
	err := f.stages(&all, many)
	all = brief(all)
	return f.end(all, err, (*activities).Finish, all)
}

// buildFlow is the workflow of one build of a run.
func buildFlow(ctx workflow.Context, ask Ask) (dag.Report, error) {
	f := begin(ctx, ask.Ref)
	var p Prepared
	if err := f.do(&p, (*activities).Prepare, ask); err != nil {
		return dag.Report{}, err
	}
	report, err := f.pass(dag.NewPass(p.Graph, p.Records, p.Rules))
	return brief(report), err
}

// undoFlow is the workflow of a removal.
func undoFlow(ctx workflow.Context, ref Ref, what json.RawMessage) error {
	f := begin(ctx, ref)
	var p Prepared
	err := f.do(&p, (*activities).Undo, ref, what)
	all := dag.Report{}
	if err == nil {
		all, err = f.remove(p)
	}
	all = brief(all)
	return f.end(all, err, (*activities).Undone, all.Left)
}

// end notes how it has ended, and is how the workflow ends.
func (f *flow) end(all dag.Report, err error, activity, report any) error {
	status, failed := "done", ""
	switch {
	case err != nil:
		status, failed = "failed", cause(err)
	case all.Suspended:
		status = "suspended"
	case len(all.Failed)+len(all.Left) > 0:
		status = "failed"
	}
	if ferr := f.do(nil, activity, f.ref, report, failed); ferr != nil {
		return ferr
	}
	if uerr := workflow.UpsertTypedSearchAttributes(f.base, statusKey.ValueSet(status)); uerr != nil {
		return uerr
	}
	if status == "failed" {
		return temporal.NewNonRetryableApplicationError("run "+f.ref.Run+" has failed: "+self.Command("show", f.ref.Run)+" tells why", "failed", nil)
	}
	return nil
}

// cause is what an error of an activity says, without where and how often it was tried.
func cause(err error) string {
	if app := (*temporal.ApplicationError)(nil); errors.As(err, &app) {
		return app.Message()
	}
	return err.Error()
}

// stages solves the stages of a graph.
func (f *flow) stages(all *dag.Report, many int) error {
	for known := ""; ; {
		var p Prepared
		if err := f.do(&p, (*activities).Prepare, Ask{Ref: f.ref, Many: many, Tried: *all, Known: known}); err != nil {
			return err
		}
		all.Skipped = append(all.Skipped, p.Skipped...)
		report, err := f.pass(dag.NewPass(p.Graph, p.Records, p.Rules))
		all.Add(&report)
		if err == nil && len(p.Builds) > 0 && len(report.Failed) == 0 && !report.Suspended {
			err = f.builds(all, p, Ask{Ref: f.ref, Many: many, Known: known, Tried: *all})
		}
		*all = brief(*all)
		if err != nil || p.Last || all.Suspended || p.Lookups && len(report.Failed) > 0 {
			return err
		}
		if f.stopping.IsReady() {
			all.Suspended = true
			return nil
		}
		known = p.Known
	}
}

// builds has each build made by a workflow of its own, and removes what they have shared.
func (f *flow) builds(all *dag.Report, p Prepared, ask Ask) error {
	most := p.Rules.Parallel
	if most <= 0 || most > mostChildren {
		most = mostChildren
	}
	var failed error
	var ended dag.Report
	sel := workflow.NewSelector(f.base)
	busy, suspended, todo := 0, false, p.Builds
	for busy > 0 || len(todo) > 0 {
		for ; busy < most && len(todo) > 0; todo = todo[1:] {
			if f.stopping.IsReady() {
				todo, suspended = nil, true
				break
			}
			ask.Build = todo[0]
			ctx := workflow.WithChildOptions(f.work, workflow.ChildWorkflowOptions{WorkflowID: fmt.Sprintf("%s/%s/%d", f.ref.Run, ask.Build, f.ref.Epoch), WaitForCancellation: true, StaticSummary: ask.Build})
			busy++
			sel.AddFuture(workflow.ExecuteChildWorkflow(ctx, buildWorkflow, ask), func(done workflow.Future) {
				busy--
				var report dag.Report
				if err := done.Get(f.base, &report); err != nil && !temporal.IsCanceledError(err) {
					failed = errors.Join(failed, errors.New(cause(err)))
				} else {
					suspended = suspended || report.Suspended || err != nil
				}
				ended.Add(&report)
			})
		}
		if busy > 0 {
			sel.Select(f.base)
		}
	}
	ended.Suspended = suspended
	all.Add(&ended)
	if failed != nil || suspended || !p.Last {
		return failed
	}
	var last Prepared
	if err := f.do(&last, (*activities).Prepare, Ask{Ref: f.ref, Cleanup: true}); err != nil {
		return err
	}
	report, err := f.remove(last)
	all.Add(&report)
	return err
}

// remove removes what was chosen.
func (f *flow) remove(p Prepared) (dag.Report, error) {
	return f.pass(dag.NewRemoval(p.Records, func(r dag.Record) bool { return slices.Contains(p.Remove, r.Key) }))
}

// pass has all done that a pass decides.
func (f *flow) pass(p *dag.Pass) (dag.Report, error) {
	sel := workflow.NewSelector(f.base)
	sel.AddFuture(f.stopping, func(workflow.Future) { p.Interrupt() })
	removals := map[int]workflow.CancelFunc{} // that are on their way, by their places
	var told []workflow.Future
	var due time.Time
	forget := func() {} // the timer
	for {
		var tell []dag.Order
		over := false
		for _, x := range p.Decide(workflow.Now(f.base)) {
			switch {
			case x.Action == dag.Finish:
				over = true
			case x.Action == dag.GiveUp:
				removals[x.Place]()
			case x.Call():
				ctx, cancel := workflow.WithCancel(f.work)
				if x.Removal {
					removals[x.Place] = cancel
				}
				sel.AddFuture(f.carry(ctx, x), func(done workflow.Future) {
					c := ended(x, f.base, done)
					p.Ended(x, c.Outcome, c.Changed, workflow.Now(f.base))
				})
			case x.Told():
				tell = append(tell, x)
			}
		}
		if len(tell) > 0 {
			told = append(told, workflow.ExecuteActivity(activityOptions(f.base, attempts, ""), (*activities).Tell, f.ref, tell))
		}
		if over {
			break
		}
		if at := p.Next(); !at.Equal(due) {
			forget()
			due, forget = at, func() {}
			if !at.IsZero() {
				ctx, cancel := workflow.WithCancel(f.base)
				sel.AddFuture(workflow.NewTimer(ctx, max(0, at.Sub(workflow.Now(f.base)))), func(workflow.Future) {})
				forget = cancel
			}
		}
		sel.Select(f.base)
	}
	forget()
	for _, t := range told {
		if err := t.Get(f.base, nil); err != nil {
			return dag.Report{}, err
		}
	}
	report, err := p.Result()
	if report == nil {
		report = &dag.Report{}
	}
	return *report, err
}

// carry has an order carried out.
func (f *flow) carry(ctx workflow.Context, x dag.Order) workflow.Future {
	return workflow.ExecuteActivity(orderOptions(ctx, x), (*activities).Carry, f.ref, x)
}

// ended is what carrying out an order has come to, also if nobody has said so.
func ended(x dag.Order, ctx workflow.Context, done workflow.Future) (c Carried) {
	err := done.Get(ctx, &c)
	var app *temporal.ApplicationError
	switch class := dag.NotKept; {
	case err == nil:
	case errors.As(err, &app) && app.NonRetryable():
		c.Outcome = dag.OutcomeOf(dag.Fail, app.Message())
	case temporal.IsCanceledError(err):
		c.Outcome = dag.OutcomeOf(dag.Stopped, "")
	default:
		if x.Removal || x.Makes() || x.Looks() {
			class = dag.Lost
		}
		c.Outcome = dag.OutcomeOf(class, "nobody could end it: "+cause(err))
	}
	return c
}
