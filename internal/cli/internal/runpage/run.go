package runpage

import (
	"slices"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/internal/cost"
	"github.com/imgflow/imgflow/internal/runview"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/state"
)

// Bounds of what is shown of a run.
const (
	MostSteps = 3000 // in all sections together
	MostRows  = 1000 // of a table of builds
	mostItems = 100  // of anything else that is listed
	oneOfAll  = 60   // steps that stand together, whatever builds they are of
)

// Run is what is shown of a run; see [New].
type Run struct {
	Summary state.Summary
	View    *runview.View
	Now     time.Time

	// Usual is when a step usually ends, counted from its beginning. Nil: nobody knows.
	Usual func(kind, step string) (lo, hi time.Duration, known bool)

	Resources []Resource // what it has made outside, the newest first
	Unknown   string     // why that is not known
	Cost      cost.Bill  // what it costs
	Made      *Made      // how its images came to be; nil where nothing is known
	Version   string     // of imgflow
	Base      string     // what the links to the parts of a live page begin with; "" in a report
}

// Resource is a thing outside that a run has made.
type Resource struct {
	Label, Step  string
	Builds       []string
	State        string // stands, result or removed
	Since, Until time.Time
}

// The states of a resource.
const (
	Stands  = "stands"
	Result  = "result"
	Removed = "removed"
)

// Made is how the images of a run came to be, as its statement of provenance has it.
type Made struct {
	Digest    string      // of the template
	Variables [][2]string // given, without those that are secret
	Sources   []Item
	Images    []Item
	Lists     []Item // of what is installed
}

// Item is a thing by name and address.
type Item struct{ Name, ID, Key string }

// Command is something to type next.
type Command struct{ Why, Text string }

// New is a run without what only its records know. Texts of the summary are cleaned
// as those of the view are.
func New(s state.Summary, v *runview.View, now time.Time) Run {
	s.Template, s.Endpoint, s.Host, s.Err, s.Problem = clean(s.Template), clean(s.Endpoint), clean(s.Host), clean(s.Err), clean(s.Problem)
	s.Builds = slices.Clone(s.Builds)
	for i := range s.Builds {
		b := &s.Builds[i]
		b.Name, b.Type, b.Err, b.Artifacts = clean(b.Name), clean(b.Type), clean(b.Err), slices.Clone(b.Artifacts)
		for k := range b.Artifacts {
			a := &b.Artifacts[k]
			a.ID, a.Owner, a.Region, a.Name = clean(a.ID), clean(a.Owner), clean(a.Region), clean(a.Name)
		}
	}
	return Run{Summary: s, View: v, Now: now}
}

// Foresee tells by the run's graph what it has made and not removed, where its records
// belong to the process that drives it.
func (r *Run) Foresee(g *dag.Graph) {
	for _, n := range g.Nodes {
		s := r.View.Of(n.Key.String())
		if !n.Thing || s == nil || s.Began.IsZero() {
			continue
		}
		x := Resource{Label: s.Title, Step: s.Name, Builds: s.Builds, Since: s.Began, State: Stands}
		if _, kept := g.Keeps[n.Key]; kept {
			x.State = Result
		}
		if s.Removed {
			x.State = Removed
		}
		r.Resources = append(r.Resources, x)
	}
	slices.SortStableFunc(r.Resources, func(a, b Resource) int { return b.Since.Compare(a.Since) })
}

// Title is how the page is called.
func (r Run) Title() string { return "Run " + r.Summary.ID + ": " + r.Status() }

// Status is how the run stands: by its summary, which knows of a process that died.
func (r Run) Status() string { return r.Summary.Status }

// Took is how long the last drive has taken, and all of them together.
func (r Run) Took() string {
	end := r.View.Ended
	if end.IsZero() {
		end = r.lastMoment()
	}
	if r.View.Began.IsZero() || end.Before(r.View.Began) {
		return ""
	}
	return render.Duration(end.Sub(r.View.Began).Round(time.Second))
}

// All is how long the run has taken by its summary, from its first beginning to its end.
func (r Run) All() string { return render.Took(r.Summary, r.Now) }

// Ago is when it was begun.
func (r Run) Ago() string { return render.Ago(r.Now.Sub(r.Summary.Started)) }

// BuildList names the builds, or counts them when they are many.
func (r Run) BuildList() string { return render.BuildCount(r.Summary.Builds) }

// lastMoment is now for a run that is being driven, and else the last that is known of it.
func (r Run) lastMoment() time.Time {
	if r.Summary.Status == state.Running {
		return r.Now
	}
	last := r.Summary.Updated
	for _, s := range r.View.Steps {
		if s.Ended.After(last) {
			last = s.Ended
		}
	}
	return last
}

// Saved is how long the steps took that this drive did not have to do again.
func (r Run) Saved() string {
	if d := r.View.Saved(); d >= time.Second {
		return render.Duration(d)
	}
	return ""
}

// Count is how many steps stand how.
type Count struct {
	Status string
	N      int
}

// Counts are how many steps stand how, what is over first.
func (r Run) Counts() (cs []Count) {
	by, reused := r.View.Counts()
	by[runview.Done] -= reused
	for _, s := range []runview.Status{runview.Failed, runview.Running, runview.Suspended, runview.Done, runview.Skipped, runview.Waiting} {
		if by[s] > 0 {
			cs = append(cs, Count{string(s), by[s]})
		}
	}
	if reused > 0 {
		cs = append(cs, Count{"done before", reused})
	}
	return cs
}

// Total is how many steps are planned.
func (r Run) Total() int { return len(r.View.Steps) }

// Ended is how many of them need nothing more.
func (r Run) Ended() int {
	by, _ := r.View.Counts()
	return by[runview.Done]
}

// Listed is a list that is bounded, and how many more there are.
type Listed[T any] struct {
	Items []T
	More  int
}

func listed[T any](all []T, most int) Listed[T] {
	if len(all) <= most {
		return Listed[T]{all, 0}
	}
	return Listed[T]{all[:most], len(all) - most}
}

// Failures are the steps that have failed or could not be removed.
func (r Run) Failures() Listed[*runview.Step] {
	var fs []*runview.Step
	for _, s := range r.View.Steps {
		if s.Status == runview.Failed || s.Left != "" {
			fs = append(fs, s)
		}
	}
	return listed(fs, mostItems)
}

// Warnings are the last ones, the oldest first.
func (r Run) Warnings() Listed[runview.Note] {
	n := r.View.Notes
	return Listed[runview.Note]{n[max(0, len(n)-mostItems):], max(0, len(n)-mostItems)}
}

// result is a result of a build.
type result struct {
	Build string
	state.Artifact
}

// Results are what the run was for.
func (r Run) Results() Listed[result] {
	var rs []result
	for _, b := range r.Summary.Builds {
		for _, a := range b.Artifacts {
			rs = append(rs, result{b.Name, a})
		}
	}
	return listed(rs, MostRows)
}

// Things are the resources, those that stand first.
func (r Run) Things() Listed[Resource] {
	rank := func(x Resource) int { return slices.Index([]string{Stands, Result, Removed}, x.State) }
	rs := slices.Clone(r.Resources)
	for i := range rs {
		rs[i].Label, rs[i].Step = clean(rs[i].Label), clean(rs[i].Step)
	}
	slices.SortStableFunc(rs, func(a, b Resource) int { return rank(a) - rank(b) })
	return listed(rs, MostRows)
}

// Paid are the things that were paid for, and Monthly those that are paid for each month.
func (r Run) Paid() Listed[cost.Item]    { return listed(r.Cost.Items, MostRows) }
func (r Run) Monthly() Listed[cost.Item] { return listed(r.Cost.Monthly, MostRows) }

// Standing is how many things stand that nobody wants to keep.
func (r Run) Standing() (n int) {
	for _, x := range r.Resources {
		if x.State == Stands {
			n++
		}
	}
	return n
}

// Stood is how long a resource has been there.
func (r Run) Stood(x Resource) string {
	end := x.Until
	if end.IsZero() {
		end = r.Now
	}
	if x.Since.IsZero() || end.Before(x.Since) {
		return ""
	}
	return render.Duration(end.Sub(x.Since).Round(time.Second))
}

// Unfinished tells whether a resume has something to go on with.
func (r Run) Unfinished() bool {
	switch r.Summary.Status {
	case state.Suspended, state.Interrupted, state.Failed, state.Partial:
		return true
	}
	return false
}

// Next are the commands that make sense now.
func (r Run) Next() (cs []Command) {
	id := r.Summary.ID
	if r.Unfinished() {
		cs = append(cs, Command{"Go on with it", self.Command("resume", id)}, Command{"Go on, and keep the machine if a step fails", self.Command("resume -on-error=suspend", id)},
			Command{"Look around on a machine that stands", self.Command("shell", id)}, Command{"Remove what it has made", self.Command("destroy", id)})
	}
	if r.Summary.Status == state.Running {
		cs = append(cs, Command{"Follow it", self.Command("logs -f", id)})
		if r.Summary.Owner.PID == 0 && r.Summary.Owner.Command != "" { // workers build it
			cs = append(cs, Command{"Suspend it", self.Command("suspend", id)})
		}
	} else {
		cs = append(cs, Command{"All that it printed", self.Command("logs", id)})
	}
	if r.Summary.Status == state.Done {
		cs = append(cs, Command{"How its images were made, for others to check", self.Command("show --provenance", id)},
			Command{"Remove its images, too", self.Command("destroy --artifacts", id)})
	}
	return cs
}
