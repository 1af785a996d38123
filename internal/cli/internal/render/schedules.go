package render

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/termsafe"
	"github.com/imgflow/imgflow/state"
)

// ScheduleJSON is a schedule with what has become of it.
type ScheduleJSON struct {
	app.Scheduled
	Next   time.Time        `json:"next,omitzero"`    // when it fires next; left out if that is not known, or never
	Paused bool             `json:"paused,omitempty"` // its times pass unused
	Gone   bool             `json:"gone,omitempty"`   // the engine does not know it: schedule it again
	Last   *ScheduleRunJSON `json:"last,omitempty"`   // its newest run
}

// ScheduleRunJSON is a run that a schedule has made.
type ScheduleRunJSON struct {
	ID      string    `json:"id"`
	Status  string    `json:"status"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
}

// LastRun is the newest run of a schedule; nil without one. The newest of the runs come first.
func LastRun(runs []state.Summary, schedule string) *ScheduleRunJSON {
	i := slices.IndexFunc(runs, func(s state.Summary) bool { return s.Schedule == schedule })
	if i < 0 {
		return nil
	}
	return &ScheduleRunJSON{runs[i].ID, runs[i].Status, runs[i].Started, runs[i].Ended}
}

// Schedules lists schedules.
func Schedules(w io.Writer, all []ScheduleJSON, now time.Time) {
	rows := [][]string{{"SCHEDULE", "CRON", "NEXT", "LAST RUN", "TEAM", "TEMPLATE"}}
	for _, s := range all {
		last := "-"
		if s.Last != nil {
			last = fmt.Sprintf("%s %s, %s", s.Last.ID, s.Last.Status, Ago(now.Sub(s.Last.Started)))
		}
		team := s.Team
		if team == "" {
			team = "-"
		}
		rows = append(rows, []string{s.Name, When(s.Schedule), s.next(), last, team, s.Template})
	}
	table(w, "", rows)
	for _, s := range all {
		if l := s.Look; l != nil && l.Problem != "" {
			fmt.Fprintf(w, "%s: no run could be made %s: %s\n", s.Name, Ago(now.Sub(l.At)), termsafe.Clean(l.Problem, false))
		} else if s.OnNewBase && l != nil {
			news := "something new"
			if l.Nothing {
				news = "nothing new"
			}
			fmt.Fprintf(w, "%s: looked %s, %s; the last good run was made from %s\n", s.Name, Ago(now.Sub(l.At)), news, termsafe.Clean(bases(s.Base), false))
		}
	}
}

// When says at what times a schedule fires.
func When(s app.Schedule) string {
	if s.Zone == "" {
		return s.Cron + " (UTC)"
	}
	return s.Cron + " (" + s.Zone + ")"
}

func (s ScheduleJSON) next() string {
	switch {
	case s.Gone:
		return "never: schedule it again"
	case s.Paused:
		return "paused"
	case s.Next.IsZero():
		return "unknown"
	}
	return s.Next.Local().Format(time.DateTime)
}

// bases are what builds begin from, each once.
func bases(found map[string]string) string {
	if len(found) == 0 {
		return "nothing yet"
	}
	return strings.Join(slices.Compact(slices.Sorted(maps.Values(found))), ", ")
}
