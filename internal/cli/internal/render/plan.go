package render

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/cost"
	"github.com/imgflow/imgflow/internal/explain"
)

// signs stand before the steps of a plan, and hues are their colours on a terminal.
var (
	signs = map[explain.Change]string{explain.Create: "+", explain.Rerun: "~", explain.Replace: "-/+", explain.Reuse: "="}
	hues  = map[string]string{"+": "32", "~": "33", "-/+": "31", "=": "2", "-": "31", "?": "2"}
)

// Plan writes what solving a graph would do: a line for each step, with a sign for what
// becomes of it, and a reason where something was done before. With color its lines are
// coloured, so w must let that through. Lasts is how long it will take, costs what it will cost, and
// calls how often AWS will be called, by action.
func Plan(w io.Writer, g *dag.Graph, p *dag.Plan, steps []explain.Step, lasts, costs string, calls map[string]int, color bool) {
	for _, rb := range p.Rebuilds {
		line(w, "%s will be made again: %s", named(rb.Record.Name, rb.Record.Label), rb.Why)
	}
	for _, r := range p.Removes {
		line(w, "%s will be removed first: the template does not want it any more", named(r.Name, r.Label))
	}
	for _, r := range p.Reapplied {
		line(w, "%s: the machine was there before and stays as it is, and what comes after runs on it", r.Why)
	}
	if len(p.Rebuilds)+len(p.Removes)+len(p.Reapplied) > 0 {
		fmt.Fprintln(w)
	}
	rows := [][]string{{"", "BUILD", "STEP", "WHAT"}}
	for _, s := range steps {
		what := oneLine(s.Title, 90)
		if s.Why != "" && s.Change != explain.Reuse {
			what = strings.TrimPrefix(what+": ", ": ") + oneLine(s.Why, 120)
		}
		rows = append(rows, []string{signs[s.Change], buildNames(s.Builds), s.Name, what})
	}
	for _, n := range p.Releases {
		rows = append(rows, []string{"-", buildNames(n.Builds), n.Name, "removed as soon as nothing needs it any more"})
	}
	if !g.Foreseen {
		for _, build := range slices.Sorted(maps.Keys(g.Awaited)) {
			rows = append(rows, []string{"?", build, "...", "known when " + awaited(g, build)})
		}
		for _, build := range slices.Sorted(maps.Keys(g.Behind)) {
			rows = append(rows, []string{"?", build, "...", "known after " + strings.Join(g.Behind[build], ", ")})
		}
	}
	var b bytes.Buffer
	for i := range rows {
		rows[i][0] = fmt.Sprintf("%3s", rows[i][0])
	}
	table(&b, "", rows)
	for i, l := range strings.SplitAfter(strings.TrimSuffix(b.String(), "\n"), "\n") {
		l = strings.TrimRight(l, " \n")
		fmt.Fprintln(w, hued(color && i > 0, hues[strings.TrimSpace(rows[i][0])], l))
	}
	fmt.Fprintf(w, "\nPlan: %s.\n", counted(steps, len(p.Releases)))
	if lasts != "" {
		line(w, "Time: %s.", lasts)
	}
	if costs != "" {
		line(w, "Cost: %s.", costs)
	}
	if text := callsText(calls); text != "" {
		line(w, "Calls: %s.", text)
	}
}

// line writes a line without what could drive a terminal.
func line(w io.Writer, format string, a ...any) {
	fmt.Fprintln(w, oneLine(fmt.Sprintf(format, a...), 400))
}

// Changes counts the steps of each kind.
func Changes(steps []explain.Step) map[explain.Change]int {
	n := map[explain.Change]int{explain.Create: 0, explain.Rerun: 0, explain.Replace: 0, explain.Reuse: 0}
	for _, s := range steps {
		n[s.Change]++
	}
	return n
}

// counted says how many steps of each kind there are, and how many removals.
func counted(steps []explain.Step, releases int) string {
	n := Changes(steps)
	var parts []string
	for _, k := range []struct {
		change explain.Change
		words  string
	}{{explain.Create, "to make"}, {explain.Rerun, "to run again"}, {explain.Replace, "to remove and make again"}, {explain.Reuse, "reused"}} {
		if n[k.change] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[k.change], k.words))
		}
	}
	if len(steps) == n[explain.Reuse] {
		parts = append([]string{"nothing to do"}, parts...)
	}
	text := strings.Join(parts, ", ")
	if releases > 0 {
		text += fmt.Sprintf("; %s to remove on the way", Count(releases, "temporary thing"))
	}
	return text
}

// Expected is how long a plan will take; "" for one that does nothing. More tells that some of its
// steps are not known yet.
func Expected(e explain.Expectation, more bool) string {
	switch {
	case e.Steps == 0:
		return ""
	case e.Unknown == e.Steps:
		return "unknown: the template has had no run here"
	case e.Unknown > 0:
		return fmt.Sprintf("more than %s: of %d of its %d steps nothing is known", cost.Roughly(e.For), e.Unknown, e.Steps)
	case more:
		return fmt.Sprintf("more than %s: some steps are not known yet", cost.Roughly(e.For))
	}
	return fmt.Sprintf("about %s, as in past runs", cost.Roughly(e.For))
}

// NewExpected is how long a plan will take, as programs read it; nil for one that does nothing.
func NewExpected(e explain.Expectation, more bool) *ExpectedJSON {
	if e.Steps == 0 {
		return nil
	}
	return &ExpectedJSON{Expected(e, more), int64(e.For.Seconds()), e.Unknown}
}

// callsText is how often AWS will be called, by action.
func callsText(calls map[string]int) string {
	var parts []string
	all := 0
	for _, action := range slices.Sorted(maps.Keys(calls)) {
		all += calls[action]
		parts = append(parts, fmt.Sprintf("%d %s", calls[action], action))
	}
	if all == 0 {
		return ""
	}
	return fmt.Sprintf("about %d of AWS (%s), and those that wait", all, strings.Join(parts, ", "))
}

// awaited says what a build waits for.
func awaited(g *dag.Graph, build string) string {
	names := slices.Clone(g.Awaited[build])
	for i, name := range names {
		names[i] = "data." + name
	}
	if len(names) == 1 {
		return names[0] + " is"
	}
	return strings.Join(names, ", ") + " are"
}

func buildNames(bs []string) string {
	if len(bs) > 3 {
		return fmt.Sprintf("%s and %d others", bs[0], len(bs)-1)
	}
	return strings.Join(bs, ", ")
}

// PlanJSON is a plan as other programs read it. It holds no settings: they may
// say more than is fit for a log.
type PlanJSON struct {
	Steps     []PlanStepJSON `json:"steps"`
	Rebuilds  []RebuildJSON  `json:"rebuilds"`
	Reapplied []RebuildJSON  `json:"reapplied,omitempty"` // steps in an earlier form, on machines that were there before
	Removes   []string       `json:"removes"`
	Releases  []dag.Key      `json:"releases"`
	Goals     []dag.Key      `json:"goals"`

	// Builds whose steps are known only after these data sources, and after these other builds. The keys of their steps
	// are not yet those that a run will have.
	Awaited map[string][]string `json:"awaited,omitempty"`
	Behind  map[string][]string `json:"behind,omitempty"`

	Changes map[explain.Change]int `json:"changes"` // how many steps are of each

	Resolved []ResolvedJSON `json:"resolved,omitempty"` // with --resolve: what was looked up

	Time  *ExpectedJSON  `json:"time,omitempty"`  // how long it will take, of a plan that does something
	Cost  *ForecastJSON  `json:"cost,omitempty"`  // of a plan that launches instances, roughly
	Calls map[string]int `json:"calls,omitempty"` // how often AWS will be called, by action, roughly: waits call more often
}

// ExpectedJSON is how long a plan will take, as its steps did in past runs of the template.
type ExpectedJSON struct {
	Text    string `json:"text"`              // as people are told
	Seconds int64  `json:"seconds"`           // from the first step to the end of the last, of those that past runs have done
	Unknown int    `json:"unknown,omitempty"` // how many steps no past run has done
}

// ResolvedJSON is what a step of a plan has looked up.
type ResolvedJSON struct {
	Step   string   `json:"step"`
	Builds []string `json:"builds"`
	Text   string   `json:"text,omitempty"`  // what was found
	Error  string   `json:"error,omitempty"` // why nothing was
}

// Resolved writes what was looked up for a plan.
func Resolved(w io.Writer, all []ResolvedJSON) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(w)
	rows := [][]string{{"BUILD", "STEP", "FOUND"}}
	for _, r := range all {
		rows = append(rows, []string{buildNames(r.Builds), r.Step, oneLine(cmp.Or(r.Text, r.Error), 300)})
	}
	table(w, "", rows)
}

// Joining writes which steps of a plan other runs make now.
func Joining(w io.Writer, steps []explain.Step, joins map[dag.Key]string) {
	rows := [][]string{{"BUILD", "STEP", "MADE NOW BY"}}
	for _, s := range steps {
		if run := joins[s.Key]; run != "" {
			rows = append(rows, []string{buildNames(s.Builds), s.Name, "run " + run})
		}
	}
	if len(rows) == 1 {
		return
	}
	fmt.Fprintln(w)
	table(w, "", rows)
	line(w, "A run by workers that is given the same secrets and accounts waits for these, instead of making them itself.")
}

// PlanStepJSON is one step of a plan.
type PlanStepJSON struct {
	Key    dag.Key    `json:"key"`
	Name   string     `json:"name"`
	Builds []string   `json:"builds"`
	Kind   string     `json:"kind"`
	Title  string     `json:"title,omitempty"`
	Action dag.Action `json:"action"`
	Needs  []dag.Key  `json:"needs,omitempty"`
	Thing  bool       `json:"thing,omitempty"`
	After  []dag.Key  `json:"after,omitempty"` // come before it, too, and are not read

	Change explain.Change `json:"change"`        // create, rerun, replace or reuse
	Why    string         `json:"why,omitempty"` // it is that

	Joins string `json:"joins,omitempty"` // the run of a fleet that makes the same step now
}

// RebuildJSON is a thing that must be made again, or a step that is overtaken.
type RebuildJSON struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// NewPlanJSON makes a plan readable for other programs. Joins are the runs that make some of its steps now.
func NewPlanJSON(g *dag.Graph, p *dag.Plan, steps []explain.Step, joins map[dag.Key]string) PlanJSON {
	j := PlanJSON{Steps: []PlanStepJSON{}, Rebuilds: []RebuildJSON{}, Removes: []string{}, Releases: []dag.Key{}, Goals: g.Goals, Awaited: g.Awaited, Behind: g.Behind, Changes: Changes(steps)}
	for _, s := range steps {
		n := s.Node
		j.Steps = append(j.Steps, PlanStepJSON{n.Key, n.Name, n.Builds, n.Kind, n.Title, s.Action, n.Needs, n.Thing, n.After, s.Change, s.Why, joins[n.Key]})
	}
	for _, rb := range p.Rebuilds {
		j.Rebuilds = append(j.Rebuilds, RebuildJSON{named(rb.Record.Name, rb.Record.Label), rb.Why})
	}
	for _, r := range p.Reapplied {
		j.Reapplied = append(j.Reapplied, RebuildJSON{r.Record.Name, r.Why})
	}
	for _, r := range p.Removes {
		j.Removes = append(j.Removes, named(r.Name, r.Label))
	}
	for _, n := range p.Releases {
		j.Releases = append(j.Releases, n.Key)
	}
	return j
}
