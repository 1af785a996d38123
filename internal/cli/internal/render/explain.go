package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/explain"
	"github.com/imgflow/imgflow/internal/termsafe"
)

// mostLines bounds how much of a difference is shown to people.
const mostLines = 200

// Explanations says of each step why it will run or not: in a line, or in full with the
// difference. With color w must let colours through.
func Explanations(w io.Writer, steps []explain.Step, full, color bool) {
	if len(steps) == 0 {
		fmt.Fprintln(w, "Nothing has to run: the keys of all steps are unchanged, and what they have made stands.")
		return
	}
	for i, s := range steps {
		sign := signs[s.Change]
		text := fmt.Sprintf("%3s %s: %s: %s", sign, buildNames(s.Builds), s.Name, oneLine(explanation(s), 300))
		fmt.Fprintln(w, hued(color, hues[sign], termsafe.Clean(text, false)))
		if !full {
			continue
		}
		if names := s.Chain(); len(names) > 0 {
			fmt.Fprintf(w, "      %s -> %s\n", termsafe.Clean(strings.Join(names, " -> "), false), termsafe.Clean(s.Name, false))
			if len(s.Diff) > 0 {
				fmt.Fprintf(w, "      %s:\n", termsafe.Clean(names[0], false))
			}
		}
		for k, l := range s.Diff {
			if k == mostLines {
				fmt.Fprintf(w, "      ... and %d lines more; --json has them all\n", len(s.Diff)-k)
				break
			}
			hue := map[string]string{"-": "31", "+": "32"}[l.Op]
			fmt.Fprintln(w, hued(color, hue, "      "+l.Op+" "+termsafe.Clean(cell.Replace(l.Text), false)))
		}
		if i < len(steps)-1 {
			fmt.Fprintln(w)
		}
	}
}

// explanation is a sentence about what becomes of a step.
func explanation(s explain.Step) string {
	what := map[explain.Change]string{explain.Create: "is made", explain.Rerun: "runs again", explain.Replace: "is removed and made again", explain.Reuse: "is reused"}[s.Change]
	switch {
	case s.Why == "":
		return what
	case strings.HasPrefix(s.Why, "because ") || strings.HasPrefix(s.Why, "since "):
		return what + " " + s.Why
	}
	return what + ": " + s.Why
}

func hued(color bool, hue, text string) string {
	if !color {
		return text
	}
	return "\x1b[" + hue + "m" + text + "\x1b[0m"
}

// Explanation is why a step will run or not, as other programs read it.
type Explanation struct {
	Key    dag.Key        `json:"key"`
	Name   string         `json:"name"`
	Builds []string       `json:"builds"`
	Change explain.Change `json:"change"` // create, rerun, replace or reuse
	Why    string         `json:"why,omitempty"`
	Chain  []string       `json:"chain,omitempty"` // steps, from the one that has changed to the one that this one reads
	Was    *dag.Key       `json:"was,omitempty"`   // the key of its earlier form
	Diff   []explain.Line `json:"diff,omitempty"`  // of the texts that the keys are made of; with a chain, of its first step
}

// NewExplanations makes explanations readable for other programs.
func NewExplanations(steps []explain.Step) []Explanation {
	out := []Explanation{}
	for _, s := range steps {
		e := Explanation{Key: s.Key, Name: s.Name, Builds: s.Builds, Change: s.Change, Why: s.Why, Chain: s.Chain(), Diff: s.Diff}
		if s.Was != nil {
			e.Was = &s.Was.Key
		}
		out = append(out, e)
	}
	return out
}
