package render

import (
	"fmt"
	"io"
	"time"

	"github.com/imgflow/imgflow/internal/provenance"
)

// Statement tells what a statement says that was signed with that key.
func Statement(w io.Writer, s provenance.Statement, by string) {
	run := s.Predicate.RunDetails
	of := s.Predicate.BuildDefinition
	rows := [][]string{{"signed with", by}, {"run", run.Metadata.InvocationID}, {"imgflow", run.Builder.Version["imgflow"]},
		{"template", of.ExternalParameters.Template}, {"steps", Count(len(of.InternalParameters.Steps), "step")},
		{"ended", run.Metadata.FinishedOn.Local().Format(time.DateTime)}}
	if of.ExternalParameters.Local {
		rows = append(rows, []string{"cloud", "embedded EC2 on one machine"})
	}
	table(w, "", rows)
	for _, part := range []struct {
		title string
		of    []provenance.Descriptor
	}{{"What was made", s.Subject}, {"What it was made from", of.ResolvedDependencies}, {"What came beside it", run.Byproducts}} {
		if len(part.of) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s:\n", part.title)
		var rows [][]string
		for _, d := range part.of {
			at := d.URI
			if at == "" {
				at = "sha256:" + d.Digest["sha256"]
			}
			rows = append(rows, []string{at, d.Name})
		}
		table(w, "   ", rows)
	}
}
