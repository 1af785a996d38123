package render

import (
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/internal/self"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/template"
)

// Warnings shows what was found in a template that is not wrong.
func (l *Lines) Warnings(ws template.Errors) {
	for _, w := range ws {
		l.Warn("Warning: %s", w.Error())
	}
}

// News shows what has changed since a run was stored, and what that means.
func (l *Lines) News(template string, n app.News) {
	switch n.Stored {
	case app.FromInput:
		l.Say("The template came from standard input: the run goes on as it was stored.")
	case app.TemplateGone:
		l.Warn("%s is not there any more: the run goes on as it was stored.", template)
	case app.NoSecrets:
		l.Warn("The template is not read again, since secret values are not stored (%s): the run goes on as it was stored.", strings.TrimSpace(again(n.Missing)))
	}
	if len(n.Changes) == 0 {
		return
	}
	l.Warn("The template has changed since:")
	for _, c := range n.Changes {
		l.Item("%s", c)
	}
	for _, rb := range n.Rebuilds {
		l.Warn("%s is removed and made again: %s.", Thing(rb.Record), rb.Why)
	}
	for _, r := range n.Reapplied {
		l.Warn("%s: the machine was there before and stays as it is.", r.Why)
	}
	if len(n.Todo) == 0 {
		l.Say("Nothing has to run again.")
		return
	}
	l.Say("To run: %s.", strings.Join(n.Todo, ", "))
}

// Thing is what a record's thing is called.
func Thing(r dag.Record) string {
	if r.Label != "" {
		return r.Label
	}
	return r.Name
}

// Failures shows what failed and what could not be removed. Redact takes secrets
// out of their texts.
func (l *Lines) Failures(res *app.Result, redact func(string) string) {
	if len(res.Failed) > 0 {
		l.Wrong("Failed:")
		for _, f := range res.Failed {
			l.Item("%s: %s: %s", strings.Join(f.Node.Builds, ", "), f.Node.Name, redact(f.Err.Error()))
		}
		var codes []errcode.Code
		for _, f := range res.Failed {
			codes = append(codes, errcode.Of(f.Err))
		}
		if more := explained(codes); more != "" {
			l.Plain("%s", more)
		}
	}
	if len(res.Left) > 0 {
		l.Wrong("Could not be removed:")
		for _, f := range res.Left {
			l.Item("%s: %s", f.Name, redact(f.Err.Error()))
		}
	}
	if len(res.Stayed) > 0 {
		l.Wrong("Not published, since not all tests have passed:")
		for _, r := range res.Stayed {
			l.Item("%s: %s", strings.Join(r.Builds, ", "), Thing(r))
		}
	}
	if res.Summary.Status == state.Suspended {
		kept := "everything that it made is kept"
		if len(res.Stayed) > 0 {
			kept = "what is left of it is kept"
		}
		l.Warn("Run %s is suspended; %s.", res.Summary.ID, kept)
		if len(res.Failed) > 0 {
			l.Warn("Mend what failed, then resume: it is tried again, and what is done is not.")
		}
	}
}

// Images shows what a run has made.
func (l *Lines) Images(sum state.Summary, took time.Duration) {
	made := slices.DeleteFunc(slices.Clone(sum.Builds), func(b state.BuildSummary) bool { return len(b.Artifacts) == 0 })
	what := "images"
	if slices.ContainsFunc(made, func(b state.BuildSummary) bool { return b.Artifacts[0].Region == "" }) {
		what = "artifacts"
	}
	switch {
	case len(made) == 0 && sum.Status == state.Done:
		l.Say("Finished after %s. No image was to be made.", Duration(took))
	case len(made) == 0:
	case sum.Status == state.Done:
		l.Say("Finished after %s. These %s were made:", Duration(took), what)
	default:
		l.Say("These %s were made:", what)
	}
	for _, b := range made {
		l.Item("%s: %s", b.Name, b.Artifacts[0].Name)
		for _, a := range b.Artifacts {
			l.Plain("%s", a.Text())
		}
	}
}

// Next shows the commands that go on with a run, as they can be typed: with the
// variables that must be given again. Nothing is left to remove if it has no things, and to
// look at if it has no machines.
func (l *Lines) Next(run string, withheld []string, things, machines bool) {
	more := again(withheld)
	l.Plain("")
	if machines {
		l.Plain("Look at it:       %s%s", self.Command("shell", run), more)
	}
	if things {
		l.Plain("Go on with it:    %s%s", self.Command("resume", run), more)
		l.Plain("Remove it all:    %s%s", self.Command("destroy", run), more)
	} else {
		l.Plain("Try again:        %s%s", self.Command("resume", run), more)
	}
	l.Plain("")
}

// again are variables to be given once more, as they can be typed.
func again(names []string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString(" -var " + name + "=...")
	}
	return b.String()
}

// Things shows what there is to remove of a run.
func (l *Lines) Things(sum state.Summary, things []dag.Record) {
	if len(things) == 0 {
		kept := ""
		if slices.ContainsFunc(sum.Builds, func(b state.BuildSummary) bool { return len(b.Artifacts) > 0 }) {
			kept = "; its images stay unless --artifacts is given"
		}
		l.Say("Run %s: nothing to remove%s.", sum.ID, kept)
		return
	}
	l.Say("Run %s (%s), begun %s:", sum.ID, sum.Status, sum.Started.Local().Format(time.DateTime))
	for _, r := range things {
		sure := ""
		if r.Status == dag.Doing || r.Status == dag.StatusFailed {
			sure = " (if it was made)"
		}
		l.Item("%s: %s%s", strings.Join(r.Builds, ", "), Thing(r), sure)
	}
}

// Orphan is an orphan in a line.
func Orphan(o app.Orphan) string {
	text := o.Type + " " + o.ID + " in " + o.Region + ", of run " + o.Run
	if o.Build != "" {
		text += ", build " + o.Build
	}
	return text
}
