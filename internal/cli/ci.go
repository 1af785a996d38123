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
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/template"
)

func ciFlag() cli.Flag {
	return &cli.StringFlag{Name: "ci", Value: "auto", Category: outputFlags,
		Usage: "speak to the `SERVER` of CI whose job this is: auto, github, gitlab, teamcity, azure, none"}
}

// serverOf is the kind of the server of CI that a command is part of a job of. From then on
// nothing that is printed can be a command of the server.
func serverOf(c *cli.Context) (string, error) {
	kind := c.String("ci")
	if !slices.Contains(ci.Kinds, kind) {
		return "", usagef("cannot use --ci=%s: choose %s%s", kind, strings.Join(ci.Kinds, ", "), suggest(kind, ci.Kinds))
	}
	if kind == "auto" {
		kind = ci.Detect(os.Getenv)
	}
	if machine(c) == nil {
		c.App.Writer = render.SafeWriter{Raw: noCommands(exact(c.App.Writer), kind)}
		c.App.ErrWriter = render.SafeWriter{Raw: noCommands(exact(c.App.ErrWriter), kind)}
	}
	return kind, nil
}

// inCI is the job of CI that this is part of, nil for none and where programs read what is printed.
func inCI(c *cli.Context) (*ci.Job, error) {
	kind, err := serverOf(c)
	if err != nil || c.Bool("json") || c.String("progress") == "json" || c.IsSet("format") && c.String("format") != "text" || machine(c) != nil {
		return nil, err
	}
	job := ci.New(kind, exact(c.App.Writer))
	if job != nil {
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
	costs := costOfSession(s)
	v.mu.Lock()
	text := ci.Summary(res.Summary, v.view, graph.String(), costs, took)
	v.mu.Unlock()
	if err := summaryInCI(job, text); err != nil {
		return err
	}
	file, err := appendTo(os.Getenv(job.Outputs()))
	if err != nil {
		return err
	}
	defer file.Close()
	has, err := localfile.ReadAll(file, file.Name(), ci.MaxSummary)
	if err != nil {
		return err
	}
	out := job.Bounded(file, has)
	type image struct {
		Build  string `json:"build"`
		Owner  string `json:"owner,omitempty"`
		Region string `json:"region"`
		ID     string `json:"id"`
	}
	images := []image{}
	for _, b := range res.Summary.Builds {
		for _, a := range b.Artifacts {
			if a.Region != "" && !a.Volume {
				images = append(images, image{b.Name, a.Owner, a.Region, a.ID})
			}
		}
	}
	list, err := json.Marshal(images)
	if err != nil {
		return err
	}
	outputs := [][2]string{{"run", res.Summary.ID}, {"status", res.Summary.Status}, {"images", string(list)}}
	for _, i := range images {
		name := i.Build + "-" + i.Region
		if i.Owner != "" {
			name = i.Build + "-" + i.Owner + "-" + i.Region
		}
		outputs = append(outputs, [2]string{"image-" + ci.OutputName(name), i.ID})
	}
	mark := "imgflow-" + rand.Text()
	for _, o := range outputs {
		if err := job.Output(out, mark, o[0], o[1]); err != nil {
			return err
		}
	}
	return nil
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

// appendTo opens a file that the server reads, which may be another user; without a name, one that keeps nothing.
func appendTo(path string) (*os.File, error) {
	if path == "" {
		path = os.DevNull
	}
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o644)
}
