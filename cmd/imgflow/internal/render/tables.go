package render

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/termsafe"
	"github.com/imgflow/imgflow/state"
)

// cell keeps a text in its cell. A tabwriter takes vertical tabs and form feeds
// for ends of cells, too; clean has dropped those.
var cell = strings.NewReplacer("\n", " ", "\t", " ")

// table writes rows of cells in columns that fit.
func table(w io.Writer, indent string, rows [][]string) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		cells := make([]string, len(r))
		for i, c := range r {
			cells[i] = cell.Replace(termsafe.Clean(c, false))
		}
		fmt.Fprintln(tw, indent+strings.Join(cells, "\t"))
	}
	tw.Flush()
}

// oneLine shortens a text to its first line, and that to a width.
func oneLine(s string, width int) string {
	s, _, more := strings.Cut(strings.TrimSpace(termsafe.Clean(s, false)), "\n")
	r := []rune(s)
	if len(r) > width {
		return string(r[:width-1]) + "…"
	}
	if more {
		return s + " …"
	}
	return s
}

// Runs lists runs, the newest first, as they come.
func Runs(w io.Writer, runs []state.Summary, now time.Time) {
	rows := [][]string{{"RUN", "STATUS", "STARTED", "TOOK", "BUILDS", "TEMPLATE"}}
	for _, s := range runs {
		rows = append(rows, []string{s.ID, s.Status, ago(now.Sub(s.Started)), took(s, now), buildCount(s.Builds), s.Template})
	}
	table(w, "", rows)
	for _, s := range runs {
		if s.Problem != "" {
			fmt.Fprintf(w, "%s: %s\n", s.ID, s.Problem)
		}
	}
}

func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}

func took(s state.Summary, now time.Time) string {
	end := s.Ended
	if end.IsZero() {
		end = s.Updated
		if s.Status == state.Running {
			end = now
		}
	}
	if s.Started.IsZero() || end.Before(s.Started) {
		return "-"
	}
	return Duration(end.Sub(s.Started).Round(time.Second))
}

// buildCount names the builds, or counts them when they are many.
func buildCount(bs []state.BuildSummary) string {
	if len(bs) <= 3 {
		var names []string
		for _, b := range bs {
			names = append(names, b.Name)
		}
		return strings.Join(names, ", ")
	}
	done := 0
	for _, b := range bs {
		if b.Status == state.Done {
			done++
		}
	}
	return fmt.Sprintf("%d of %d done", done, len(bs))
}

// Run tells all about one run.
func Run(w io.Writer, s state.Summary, now time.Time) {
	rows := [][]string{{"run", s.ID}, {"status", s.Status}, {"template", s.Template},
		{"started", fmt.Sprintf("%s (%s)", s.Started.Local().Format(time.DateTime), ago(now.Sub(s.Started)))},
		{"took", took(s, now)}}
	switch {
	case s.Local:
		rows = append(rows, []string{"cloud", "embedded EC2 on this machine"})
	case s.Endpoint != "":
		rows = append(rows, []string{"cloud", s.Endpoint})
	}
	if s.Status == state.Running {
		rows = append(rows, []string{"driven by", fmt.Sprintf("process %d on %s", s.PID, s.Host)})
	}
	if s.Err != "" {
		rows = append(rows, []string{"error", oneLine(s.Err, 200)})
	}
	if s.Problem != "" {
		rows = append(rows, []string{"problem", s.Problem})
	}
	table(w, "", rows)
	if len(s.Builds) > 0 {
		fmt.Fprintln(w, "\nBuilds:")
		rows = nil
		for _, b := range s.Builds {
			rows = append(rows, []string{b.Name, b.Type, b.Status, oneLine(b.Err, 160)})
			for _, a := range b.Artifacts {
				rows = append(rows, []string{"", a.Text(), a.Name, ""})
			}
		}
		table(w, "  ", rows)
	}
	if len(s.Left) > 0 {
		fmt.Fprintln(w, "\nStill there:")
		for _, l := range s.Left {
			fmt.Fprintln(w, "  "+l)
		}
	}
}

// Plan writes what solving a graph would do.
func Plan(w io.Writer, g *dag.Graph, p *dag.Plan) {
	for _, rb := range p.Rebuilds {
		fmt.Fprintf(w, "%s will be made again: %s\n", named(rb.Record.Name, rb.Record.Label), rb.Why)
	}
	for _, r := range p.Removes {
		fmt.Fprintf(w, "%s will be removed first: the template does not want it any more\n", named(r.Name, r.Label))
	}
	for _, r := range p.Reapplied {
		fmt.Fprintf(w, "%s: the machine was there before and stays as it is, and what comes after runs on it\n", r.Why)
	}
	if len(p.Rebuilds)+len(p.Removes)+len(p.Reapplied) > 0 {
		fmt.Fprintln(w)
	}
	todo := 0
	rows := [][]string{{"", "BUILD", "STEP", "WHAT"}}
	for _, s := range p.Steps {
		if s.Action != dag.Reuse {
			todo++
		}
		rows = append(rows, []string{string(s.Action), buildNames(s.Node.Builds), s.Node.Name, oneLine(s.Node.Title, 90)})
	}
	for _, n := range p.Releases {
		rows = append(rows, []string{"remove", buildNames(n.Builds), n.Name, "as soon as nothing needs it any more"})
	}
	if !g.Foreseen {
		for _, build := range slices.Sorted(maps.Keys(g.Awaited)) {
			rows = append(rows, []string{"later", build, "...", "known when " + awaited(g, build)})
		}
		for _, build := range slices.Sorted(maps.Keys(g.Behind)) {
			rows = append(rows, []string{"later", build, "...", "known after " + strings.Join(g.Behind[build], ", ")})
		}
	}
	table(w, "", rows)
	fmt.Fprintf(w, "\n%s to run, %d done already, %s to remove on the way.\n",
		Count(todo, "step"), len(p.Steps)-todo, Count(len(p.Releases), "temporary thing"))
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

// Count writes a number of things.
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
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
}

// RebuildJSON is a thing that must be made again, or a step that is overtaken.
type RebuildJSON struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// NewPlanJSON makes a plan readable for other programs.
func NewPlanJSON(g *dag.Graph, p *dag.Plan) PlanJSON {
	j := PlanJSON{Steps: []PlanStepJSON{}, Rebuilds: []RebuildJSON{}, Removes: []string{}, Releases: []dag.Key{}, Goals: g.Goals, Awaited: g.Awaited, Behind: g.Behind}
	for _, s := range p.Steps {
		n := s.Node
		j.Steps = append(j.Steps, PlanStepJSON{n.Key, n.Name, n.Builds, n.Kind, n.Title, s.Action, n.Needs, n.Thing, n.After})
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
