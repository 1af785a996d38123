package findings

import (
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"slices"

	"github.com/imgflow/imgflow/internal/errcode"
)

type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID    errcode.Code `json:"id"`
		Short sarifText    `json:"shortDescription"`
		Full  sarifText    `json:"fullDescription"`
		Help  sarifText    `json:"help"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		Rule      errcode.Code    `json:"ruleId"`
		Index     int             `json:"ruleIndex"`
		Level     Level           `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
)

// WriteSARIF writes findings as a SARIF log, of a version of imgflow. The names of files stay as
// relative as they are: code hosts look for them in the repository.
func WriteSARIF(w io.Writer, list []Finding, version string) error {
	run := sarifRun{Tool: sarifTool{sarifDriver{Name: "imgflow", Version: version, Rules: []sarifRule{}}}, ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	rules := &run.Tool.Driver.Rules
	for _, f := range list {
		at := slices.IndexFunc(*rules, func(r sarifRule) bool { return r.ID == f.Code })
		if at < 0 {
			i, _ := errcode.Lookup(f.Code)
			at = len(*rules)
			*rules = append(*rules, sarifRule{f.Code, sarifText{i.Summary}, sarifText{i.Means}, sarifText{i.Do}})
		}
		r := sarifResult{Rule: f.Code, Index: at, Level: f.Level, Message: sarifText{f.text()}}
		if f.Pos.Line > 0 {
			uri := url.URL{Path: filepath.ToSlash(f.Pos.File)}
			r.Locations = []sarifLocation{{sarifPhysical{sarifArtifact{uri.EscapedPath()}, sarifRegion{f.Pos.Line, f.Pos.Column}}}}
		}
		run.Results = append(run.Results, r)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}
