package temporal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
)

// Ref says which run is meant, and since when it is driven by workflows.
type Ref struct {
	Run   string `json:"run"`
	Epoch int64  `json:"epoch"` // of its assignment: whoever has an older one may write nothing
}

// Work does what the workflows decide. It is called from many goroutines of many
// workers, any call may be cut off at any moment, and made again by another worker. Nothing
// that it returns may hold a secret: servers and people read it. An error says
// that it could not even begin: another worker tries.
type Work interface {
	// Fire makes the run of one time of a schedule, assigned to workflows: once, however often it is
	// called. It is the zero value if there is none to be made.
	Fire(ctx context.Context, f Firing) (Fired, error)
	// Prepare opens the run and returns what [Prepare] makes of its graph. It is called for
	// each stage of the graph, which it must know as far as it is known by then, and for
	// each build that has a workflow of its own.
	Prepare(ctx context.Context, ask Ask) (*Prepared, error)
	// Carry is [dag.Engine.Carry], by whoever claims the step of the order. It ends with the context.
	Carry(ctx context.Context, ref Ref, x dag.Order) (dag.Outcome, []dag.Record, error)
	// Tell is [dag.Engine.Tell] of each of the orders.
	Tell(ctx context.Context, ref Ref, xs []dag.Order) error
	// Finish notes how the run has ended, and gives it back. Failed is why nothing could go on, "" if it could.
	Finish(ctx context.Context, ref Ref, report dag.Report, failed string) error
	// Undo opens the run and returns what [Removal] makes of its records. What are the words
	// of whoever has asked for it.
	Undo(ctx context.Context, ref Ref, what json.RawMessage) (*Prepared, error)
	// Undone notes how a removal has ended, as Finish does.
	Undone(ctx context.Context, ref Ref, left []dag.Failure, failed string) error
}

// Ask is what a workflow asks to begin with.
type Ask struct {
	Ref
	Build   string     `json:"build,omitempty"`   // it makes this build alone
	Many    int        `json:"many"`              // from so many builds on each has a workflow of its own
	Tried   dag.Report `json:"tried"`             // what the stages so far have come to
	Known   string     `json:"known,omitempty"`   // the Known of the last of them
	Cleanup bool       `json:"cleanup,omitempty"` // all builds have ended: what they have shared is removed
}

// First reports whether nothing was asked for the run before.
func (a Ask) First() bool { return a.Build == "" && a.Known == "" && !a.Cleanup }

// Prepared is what a workflow needs to begin with: nothing that is made known by steps.
type Prepared struct {
	Graph   *dag.Graph   `json:"graph,omitempty"` // the skeleton of the part to be solved now; of a removal nil
	Records []dag.Record `json:"records,omitempty"`
	Remove  []dag.Key    `json:"remove,omitempty"` // of a removal: its things
	Rules   dag.Rules    `json:"rules"`
	Builds  []string     `json:"builds,omitempty"` // each has a workflow of its own, after the graph is solved
	Skipped []dag.Node   `json:"skipped,omitempty"`
	Lookups bool         `json:"lookups,omitempty"`
	Last    bool         `json:"last,omitempty"`
	Known   string       `json:"known,omitempty"`
}

// Prepare makes of the graph of a run, as far as it is known, what a workflow has asked for.
func Prepare(e *dag.Engine, g *dag.Graph, ask Ask) (*Prepared, error) {
	if ask.Cleanup {
		return cleanup(e, g), nil
	}
	stage, err := g.Stage(&ask.Tried, ask.Known)
	if err != nil {
		return nil, err
	}
	p := &Prepared{Rules: e.Rules(), Lookups: stage.Lookups, Last: stage.Last, Known: stage.Known}
	p.Rules.Gated = false // nobody is there to let a step begin
	part := stage.Part
	if ask.Build != "" {
		part = part.Of(ask.Build)
	} else {
		p.Skipped = firsts(stage.Skipped)
		if builds := part.Builds(); len(builds) > ask.Many {
			part, p.Builds = e.Shared(part), builds
		}
	}
	if p.Graph, err = e.Skeleton(part); err != nil {
		return nil, err
	}
	if p.Rules.Elsewhere, err = e.Elsewhere(part); err != nil {
		return nil, err
	}
	p.Records = e.Slim(e.RecordsOf(part))
	if ask.Build != "" { // whom else a step is for does not matter there
		p.Rules.Parallel = 0
		for i := range p.Graph.Nodes {
			p.Graph.Nodes[i].Builds = []string{ask.Build}
		}
		for i := range p.Records {
			p.Records[i].Builds = []string{ask.Build}
		}
	}
	return p, nil
}

// Removal makes of the records of a run what a workflow needs that removes some of its things.
func Removal(e *dag.Engine, which func(dag.Record) bool) *Prepared {
	p := &Prepared{}
	alive := slices.DeleteFunc(e.Records(), func(r dag.Record) bool { return !r.Alive() })
	for _, r := range alive {
		if which(r) {
			p.Remove = append(p.Remove, r.Key)
		}
	}
	p.Records = e.Slim(alive)
	return p
}

// cleanup is the removal of what no build has made by itself, unless something of a
// build is still there, which may need it.
func cleanup(e *dag.Engine, g *dag.Graph) *Prepared {
	own := func(r dag.Record) bool {
		n, in := g.Node(r.Key)
		return in && len(n.Builds) == 1
	}
	held := slices.ContainsFunc(e.Records(), func(r dag.Record) bool { return r.Alive() && !r.Kept && own(r) })
	return Removal(e, func(r dag.Record) bool { return !held && !r.Kept })
}

// brief is a report in so few bytes that it can be given on, however much has failed: of the skipped
// steps the first of each build, which tells all of it, and of an error its beginning.
func brief(r dag.Report) dag.Report {
	r.Skipped = firsts(r.Skipped)
	most := max(maxPayload/2/max(1, len(r.Failed)+len(r.Left)), 100)
	for _, fs := range [][]dag.Failure{r.Failed, r.Left} {
		for i := range fs {
			fs[i].Err = dag.Outcome{Err: fs[i].Err}.Redacted(cut(min(most, maxText))).Err
		}
	}
	return r
}

// maxText is how much of an error leaves a worker, in bytes.
const maxText = 16 << 10

// cut returns what cuts a text that is longer.
func cut(most int) func(string) string {
	return func(s string) string {
		if len(s) <= most {
			return s
		}
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
}

func firsts(skipped []dag.Node) (some []dag.Node) {
	seen := map[string]bool{}
	for _, n := range skipped {
		fresh := false
		for _, b := range n.Builds {
			fresh = fresh || !seen[b]
			seen[b] = true
		}
		if fresh {
			some = append(some, dag.Node{Key: n.Key, Name: n.Name, Builds: n.Builds})
		}
	}
	return some
}

// maxPayload is how large a value may be that a workflow gets or gives, in bytes. A server refuses twice
// that, and then goes on trying without a word.
const maxPayload = 1 << 20

// sized is a value that is not too large for a workflow, or an error.
func sized[T any](run, what string, v T) (T, error) {
	p, err := json.Marshal(v)
	if err == nil && len(p) > maxPayload {
		err = fmt.Errorf("cannot go on with run %s by workflows: %s has %d bytes, and %d are the most: split the template, or run it without --on", run, what, len(p), maxPayload)
	}
	return v, err
}
