package cli

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/cli/internal/ci"
	"github.com/imgflow/imgflow/internal/cli/internal/render"
	"github.com/imgflow/imgflow/template"
)

func ciFlag() cli.Flag {
	return &cli.StringFlag{Name: "ci", Value: "auto", Category: outputFlags,
		Usage: "speak to the `SERVER` of CI whose job this is: auto, github, gitlab, teamcity, azure, none"}
}

// inCI is the job of CI that this is part of, nil for none. From then on what is printed for
// people can be no command of its server.
func inCI(c *cli.Context) (*ci.Job, error) {
	kind := c.String("ci")
	if !slices.Contains(ci.Kinds, kind) {
		return nil, usagef("cannot use --ci=%s: choose %s%s", kind, strings.Join(ci.Kinds, ", "), suggest(kind, ci.Kinds))
	}
	if c.Bool("json") || c.String("progress") == "json" || c.IsSet("format") && c.String("format") != "text" || machine(c) != nil {
		return nil, nil // what programs read stays as it is
	}
	if kind == "auto" {
		kind = ci.Detect(os.Getenv)
	}
	job := ci.New(kind, raw(c.App.Writer))
	if job != nil {
		c.App.Writer = render.SafeWriter{Raw: job.Safe(raw(c.App.Writer))}
		c.App.ErrWriter = render.SafeWriter{Raw: job.Safe(raw(c.App.ErrWriter))}
		c.App.Metadata["ci"] = job
	}
	return job, nil
}

// jobOf is the job that inCI has found.
func jobOf(cmds *cli.App) *ci.Job {
	job, _ := cmds.Metadata["ci"].(*ci.Job)
	return job
}

// failedInCI marks a failure of which the server knows nothing yet.
func failedInCI(cmds *cli.App, err error, said bool) {
	job := jobOf(cmds)
	job.Close()
	var faults template.Errors
	if errors.As(err, &faults) {
		job.Faults("error", faults)
	} else if !said {
		job.Faults("error", template.Errors{{Text: strings.TrimSpace(err.Error())}})
	}
}

// resultsInCI hands on what a run has made, and tells how it has ended.
func resultsInCI(job *ci.Job, s *app.Session, v *viewer, res *app.Result, took time.Duration) error {
	if job == nil {
		return nil
	}
	var graph bytes.Buffer
	if g := s.Graph(); g != nil {
		g.Mermaid(&graph, nil) // into memory
	}
	v.mu.Lock()
	text := ci.Summary(res.Summary, v.view, graph.String(), took)
	v.mu.Unlock()
	if err := summaryInCI(job, text); err != nil {
		return err
	}
	out, err := appendTo(os.Getenv("GITHUB_OUTPUT"))
	if err != nil {
		return err
	}
	defer out.Close()
	mark := "imgflow-" + rand.Text()
	type image struct {
		Build  string `json:"build"`
		Region string `json:"region"`
		ID     string `json:"id"`
	}
	images := []image{}
	for _, b := range res.Summary.Builds {
		for _, a := range b.Artifacts {
			if a.Region == "" || a.Volume {
				continue
			}
			images = append(images, image{b.Name, a.Region, a.ID})
			if err := job.Output(out, mark, "image-"+ci.OutputName(b.Name+"-"+a.Region), a.ID); err != nil {
				return err
			}
		}
	}
	list, err := json.Marshal(images)
	if err != nil {
		return err
	}
	return errors.Join(job.Output(out, mark, "run", res.Summary.ID), job.Output(out, mark, "status", res.Summary.Status), job.Output(out, mark, "images", string(list)))
}

// summaryInCI shows a summary where the server takes one.
func summaryInCI(job *ci.Job, text string) error {
	if path := os.Getenv("GITHUB_STEP_SUMMARY"); path != "" {
		if fi, err := os.Stat(path); err == nil && fi.Size()+int64(len(text)) > ci.MaxSummary {
			return nil // one that is too large is not shown at all
		}
		f, err := appendTo(path)
		if err != nil {
			return err
		}
		_, err = f.WriteString(text)
		return errors.Join(err, f.Close())
	}
	if dir := os.Getenv("AGENT_TEMPDIRECTORY"); dir != "" {
		f, err := os.CreateTemp(dir, "imgflow-*.md")
		if err != nil {
			return err
		}
		_, err = f.WriteString(text)
		if err = errors.Join(err, f.Close()); err == nil {
			job.Attach(f.Name())
		}
		return err
	}
	return nil
}

// appendTo opens a file that the server has named; without a name, one that keeps nothing.
func appendTo(path string) (*os.File, error) {
	if path == "" {
		path = os.DevNull
	}
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
}
