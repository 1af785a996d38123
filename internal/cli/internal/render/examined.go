package render

import (
	"io"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/internal/app"
)

// ExaminedJSON is what `imgflow doctor` has found.
type ExaminedJSON struct {
	OK       bool          `json:"ok"` // nothing is wrong, as far as it could be found out
	Findings []FindingJSON `json:"findings"`
}

// FindingJSON is what was found out about one thing.
type FindingJSON struct {
	Status string   `json:"status"`          // ok, wrong or unknown
	Owner  string   `json:"owner,omitempty"` // the account that it is about, if that is another one than the build's
	Region string   `json:"region,omitempty"`
	What   string   `json:"what"` // a step, credentials, clock, or a permission such as ec2:CreateImage
	Why    string   `json:"why,omitempty"`
	Builds []string `json:"builds,omitempty"` // that need it; none: all
}

// NewExamined makes findings readable for other programs.
func NewExamined(all []app.Finding) ExaminedJSON {
	j := ExaminedJSON{OK: !slices.ContainsFunc(all, wrong), Findings: []FindingJSON{}}
	for _, f := range all {
		j.Findings = append(j.Findings, FindingJSON(f))
	}
	return j
}

func wrong(f app.Finding) bool { return f.Status == app.Wrong }

// Examined writes findings as a table, what is wrong last.
func Examined(w io.Writer, all []app.Finding) {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b app.Finding) int {
		switch {
		case wrong(a) == wrong(b):
			return 0
		case wrong(a):
			return 1
		}
		return -1
	})
	rows := [][]string{{"", "REGION", "BUILD", "WHAT", "WHY"}}
	for _, f := range all {
		rows = append(rows, []string{f.Status, strings.TrimSpace(f.Owner + " " + f.Region), buildNames(f.Builds), f.What, oneLine(f.Why, 400)})
	}
	table(w, "", rows)
}
