package provision

import (
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/quote"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// ScanImage looks for the secrets of the run in what was written on the machine since the run began, and fails where it
// finds one: what lies on the machine is in the image. Whoever runs a template asks for it; no template does.
type ScanImage struct {
	On           dag.Take[comm.Machine] `json:"on"`
	steps.Common `option:"-"`

	Secrets []dag.Secret `json:"secrets,omitempty" option:"-" key:"-"` // another one makes no other machine
	Since   time.Time    `json:"since" option:"-" key:"-"`             // when the run began, by our clock
}

func (ScanImage) Kind() string { return "provision.scan-image" }

// Title says what is done.
func (ScanImage) Title() string { return "look for secrets on the machine" }

// Check finds nothing wrong.
func (*ScanImage) Check() []steps.OptionError { return nil }

// Communicators is the one by which the machine can be looked through.
func (*ScanImage) Communicators() []string { return []string{"ssh"} }

// Add adds the step to the graph.
func (s *ScanImage) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On = on.Take()
	return dag.Add(g, b, name, step)
}

// scanScript prints who looks, and the files with one of the lines of its standard input. $1 is for how many minutes back
// it looks at what was changed. What it looks for is in no file and no list of arguments.
//
//go:embed scan.sh
var scanScript string

// Do looks through the machine. It changes nothing there, so that it may be done again.
func (s ScanImage) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	m := s.On.Value()
	r, err := e.Remote(t, m)
	if err != nil {
		return m, err
	}
	var secrets []string
	for _, s := range s.Secrets {
		secret, err := t.Reveal(s)
		if err != nil {
			return m, fmt.Errorf("cannot look for secrets on the machine: %w", err)
		}
		secrets = append(secrets, secret)
	}
	return m, s.Try(ctx, t, func(ctx context.Context, _ int) error {
		lines, short := needles(secrets)
		if short > 0 {
			t.Warn("%d of the secrets are shorter than %d bytes, and not looked for", short, leastNeedle)
		}
		minutes := int(time.Since(s.Since).Minutes()) + 5 // clocks run apart a little
		var found []string
		for some := range slices.Chunk(lines, mostNeedles) {
			const asRoot = `s=; [ "$(id -u)" = 0 ] || ! sudo -n true 2>/dev/null || s='sudo -n'; exec $s `
			out, exit, err := r.Exec(ctx, asRoot+"sh -c "+quote.Sh(scanScript)+" scan "+strconv.Itoa(minutes), strings.NewReader(strings.Join(some, "\n")+"\n"))
			if err != nil {
				return fmt.Errorf("cannot look for secrets on the machine: %w", err)
			}
			who, paths, _ := strings.Cut(string(out), "\n")
			switch {
			case exit.Code == exitNoScan:
				return fmt.Errorf("cannot look for secrets on the machine: its find knows no -cmin, or its grep no -F")
			case exit.Code != 0:
				return fmt.Errorf("cannot look for secrets on the machine: the script that looks ended with status %d", exit.Code)
			case who != "uid 0":
				t.Warn("what only others than %s may read was not looked at: there is no sudo without a password", m.SSH.Username)
			}
			found = append(found, strings.FieldsFunc(paths, func(c rune) bool { return c == '\n' })...)
		}
		if slices.Sort(found); len(found) == 0 {
			return nil
		}
		return inFiles(slices.Compact(found))
	})
}

const (
	exitNoScan = 9 // of the script, where the machine's programs cannot look

	leastNeedle = 8   // bytes; what is shorter is in some file by chance
	mostNeedle  = 256 // the beginning of a value is enough to find it
	mostNeedles = 400 // in one pass, so that they fit into an environment
)

// inFiles is the error for files with a secret.
func inFiles(paths []string) error {
	const most = 20
	more := ""
	if n := len(paths) - most; n > 0 {
		paths, more = paths[:most], fmt.Sprintf(" and %d more", n)
	}
	return fmt.Errorf("cannot make an image of this machine: a secret of the run is in %s%s: remove it in the last provisioner, or keep it from being written", strings.Join(paths, ", "), more)
}

// needles are the lines to look for: of each secret its longest line, as it is and as JSON, a URL and base64 have it.
func needles(secrets []string) (lines []string, short int) {
	for _, s := range secrets {
		longest := ""
		for line := range strings.Lines(s) {
			if line = strings.Trim(line, "\r\n"); len(line) > len(longest) {
				longest = line
			}
		}
		if len(longest) < leastNeedle {
			short++
			continue
		}
		inJSON, _ := json.Marshal(longest) // a string can be
		whole := []byte(s)
		for _, form := range []string{longest, strings.Trim(string(inJSON), `"`), url.QueryEscape(longest), url.PathEscape(longest), base64.StdEncoding.EncodeToString(whole[:len(whole)/3*3])} {
			lines = append(lines, form[:min(len(form), mostNeedle)])
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines), short
}
