package render

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/imgflow/imgflow/internal/cost"
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
		rows = append(rows, []string{s.ID, s.Status, Ago(now.Sub(s.Started)), Took(s, now), BuildCount(s.Builds), s.Template})
	}
	table(w, "", rows)
	for _, s := range runs {
		if s.Problem != "" {
			fmt.Fprintf(w, "%s: %s\n", s.ID, s.Problem)
		}
	}
}

// Ago is how long something is past, in words.
func Ago(d time.Duration) string {
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

// Took is how long a run has taken, or takes so far.
func Took(s state.Summary, now time.Time) string {
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

// BuildCount names the builds, or counts them when they are many.
func BuildCount(bs []state.BuildSummary) string {
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
func Run(w io.Writer, s state.Summary, costs cost.Bill, now time.Time) {
	rows := [][]string{{"run", s.ID}, {"status", s.Status}, {"template", s.Template},
		{"started", fmt.Sprintf("%s (%s)", s.Started.Local().Format(time.DateTime), Ago(now.Sub(s.Started)))},
		{"took", Took(s, now)}}
	switch {
	case s.Local:
		rows = append(rows, []string{"cloud", "embedded EC2 on this machine"})
	case s.Endpoint != "":
		rows = append(rows, []string{"cloud", s.Endpoint})
	}
	if !costs.Empty() {
		rows = append(rows, []string{"cost", oneLine(costs.Text(), 300)})
	}
	if s.Schedule != "" {
		rows = append(rows, []string{"schedule", fmt.Sprintf("%s, of %s", s.Schedule, s.Due.Local().Format(time.DateTime))})
	}
	if s.Status == state.Running {
		rows = append(rows, []string{"driven by", fmt.Sprintf("process %d on %s", s.PID, s.Host)})
	}
	if len(s.Awaits) > 0 {
		rows = append(rows, []string{"waits for", "run " + strings.Join(s.Awaits, ", run ")})
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

// Count writes a number of things.
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
