package ci

import (
	"cmp"
	"fmt"
	"html"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/runview"
	"github.com/imgflow/imgflow/state"
)

// MaxSummary is how many bytes a summary may have: GitHub takes 1 MiB of all of a step.
const MaxSummary = 1 << 20

// most is how many steps a summary lists: those that took longest.
const most = 40

// Summary is how a run has ended, in Markdown. Costs says what it costs, and may be empty. Graph is that of the run for Mermaid, and may be empty; what does not fit is
// left out.
func Summary(sum state.Summary, v *runview.View, graph, costs string, took time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### imgflow: run %s is %s\n\n", cell(sum.ID), cell(sum.Status))
	fmt.Fprintf(&b, "%s, after %s\n\n| build | status | images |\n|---|---|---|\n", cell(sum.Template), took.Round(time.Second))
	for _, build := range sum.Builds {
		var made []string
		for _, a := range build.Artifacts {
			made = append(made, cell(a.Text()))
		}
		status := cell(build.Status)
		if build.Err != "" {
			status += ": " + cell(cut(build.Err, 500))
		}
		if b.Len() < MaxSummary/4 {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", cell(build.Name), status, strings.Join(made, "<br>"))
		}
	}
	if costs != "" {
		fmt.Fprintf(&b, "\nCost: %s.\n", cell(cut(costs, 500)))
	}
	steps := slices.DeleteFunc(slices.Clone(v.Steps), func(s *runview.Step) bool { return s.Began.IsZero() })
	slices.SortStableFunc(steps, func(x, y *runview.Step) int { return cmp.Compare(y.Took(v.Ended), x.Took(v.Ended)) })
	if len(steps) > 0 {
		fmt.Fprintf(&b, "\n<details><summary>The longest steps</summary>\n\n| step | builds | status | took |\n|---|---|---|---|\n")
		for _, s := range steps[:min(len(steps), most)] {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(s.Name), cell(cut(strings.Join(s.Builds, ", "), 200)), s.Status, s.Took(v.Ended).Round(time.Millisecond))
		}
		b.WriteString("\n</details>\n")
	}
	if graph != "" && b.Len()+len(graph) < MaxSummary/2 && !strings.Contains(graph, "```") {
		fmt.Fprintf(&b, "\n<details><summary>Graph</summary>\n\n```mermaid\n%s\n```\n\n</details>\n", strings.TrimSpace(graph))
	}
	return cut(b.String(), MaxSummary)
}

// cell is a text in a cell of a table: it ends neither the cell nor the line, and is no mark-up.
func cell(s string) string {
	s = html.EscapeString(strings.Join(strings.Fields(clean(s)), " "))
	return strings.NewReplacer("|", "\\|", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]").Replace(s)
}
