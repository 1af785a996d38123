package ci

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/template"
)

// Kinds are the servers that are known; auto and none are choices of a user.
var Kinds = []string{"auto", "github", "gitlab", "teamcity", "azure", "none"}

// Detect is the kind of the server whose job this is, "none" if it is of none that is known.
func Detect(get func(string) string) string {
	switch {
	case get("GITHUB_ACTIONS") == "true":
		return "github"
	case get("GITLAB_CI") == "true":
		return "gitlab"
	case get("TEAMCITY_VERSION") != "":
		return "teamcity"
	case strings.EqualFold(get("TF_BUILD"), "true"):
		return "azure"
	}
	return "none"
}

// Job is a job of CI. Its methods may be called from many goroutines.
type Job struct {
	kind string
	w    io.Writer
	now  func() time.Time

	mu     sync.Mutex
	alone  bool   // the run has one build
	open   string // the group that is open
	phases int
}

// New returns the job of a kind of server, whose commands are written to w. Nil is a job of none.
func New(kind string, w io.Writer) *Job {
	if !slices.Contains(Kinds[1:len(Kinds)-1], kind) {
		return nil
	}
	return &Job{kind: kind, w: w, now: time.Now}
}

// command is what may begin a command of any of the servers, wherever it stands in a line. Only those of GitHub with two
// colons have to begin it.
var command = regexp.MustCompile(`(?i)##(vso|teamcity)?\[`)

// Safe is a writer to Raw that lets no line through which is a command of a server.
type Safe struct {
	Raw io.Writer

	mu  sync.Mutex
	mid bool // of a line
}

// Write writes p with a space in what would be a command.
func (s *Safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for line := range strings.Lines(string(p)) {
		if !s.mid {
			if rest := strings.TrimLeft(line, " \t"); strings.HasPrefix(rest, "::") {
				line = line[:len(line)-len(rest)] + ": " + rest[1:]
			}
		}
		b.WriteString(command.ReplaceAllStringFunc(line, func(c string) string { return "# " + c[1:] }))
		s.mid = !strings.HasSuffix(line, "\n")
	}
	if _, err := io.WriteString(s.Raw, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Watch shows events by show, in groups. Builds is how many builds the run has.
func (j *Job) Watch(builds int, show func(dag.Event)) func(dag.Event) {
	if j == nil {
		return show
	}
	j.alone = builds == 1
	return func(e dag.Event) {
		j.mu.Lock()
		defer j.mu.Unlock()
		where := strings.Join(e.Builds, ", ")
		switch e.Type {
		case dag.RunBegun:
			j.group("Prepare")
		case dag.Started:
			provisions := strings.HasPrefix(e.Kind, "provision.")
			switch {
			case provisions && e.Text != "":
				j.phases++
				j.group(e.Step + ": " + e.Text)
			case j.phases > 0 && !provisions && j.open != "Finish":
				j.group("Finish")
			}
		case dag.Failed, dag.RunEnded:
			j.endGroup()
		}
		show(e)
		switch e.Type {
		case dag.Failed:
			j.issue("error", template.Pos{}, fmt.Sprintf("%s: %s failed: %s", where, e.Step, e.Err), e.Code)
		case dag.Left:
			j.issue("error", template.Pos{}, fmt.Sprintf("could not remove %s: %s", e.Text, e.Err), e.Code)
		case dag.Warned:
			j.issue("warning", template.Pos{}, strings.TrimPrefix(where+": "+e.Text, ": "), "")
		}
	}
}

// Faults marks what was found in a template at its places. Level is error or warning.
func (j *Job) Faults(level string, list template.Errors) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, f := range list {
		if i == mostIssues {
			break
		}
		text := f.Text
		if f.Hint != "" {
			text += " (" + f.Hint + ")"
		}
		j.issue(level, f.Pos, text, string(f.Code))
	}
}

// mostIssues bounds how many faults are marked: servers show some ten.
const mostIssues = 50

// Close ends the group that is open.
func (j *Job) Close() {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.endGroup()
}
