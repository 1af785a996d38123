package provision

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/internal/sbom"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// SBOM lists what is installed on the machine, or takes a list that something there has made, and keeps it with
// the run. It changes nothing on the machine.
type SBOM struct {
	On           dag.Take[comm.Machine] `json:"on"`
	steps.Common `option:"-"`

	// A file on the machine that holds such a list, as CycloneDX or SPDX in JSON. Default: the list is made of the
	// database of dpkg, rpm or apk, or of the programs that Windows knows.
	Source dag.Text `json:"source,omitempty" option:"late=build"`
	// The local file to write the list to. Default: none; `imgflow show --sbom` prints it.
	Destination dag.Text `json:"destination,omitempty" option:"late=build"`
}

// Inventoried is a machine of which is known what is installed.
type Inventoried struct {
	comm.Machine
	SBOM string `json:"sbom"` // CycloneDX or SPDX, in JSON
}

// Report is the list: it stays when the machine is gone.
func (i Inventoried) Report() string { return i.SBOM }

func (SBOM) Kind() string { return "provision.sbom" }

// Title says what is done.
func (SBOM) Title() string { return "list what is installed" }

// Check finds nothing wrong.
func (*SBOM) Check() []steps.OptionError { return nil }

// Communicators are those that reach a machine.
func (*SBOM) Communicators() []string { return []string{"ssh", "winrm"} }

// LocalFiles is the one that keeps the list.
func (s SBOM) LocalFiles() (f comm.LocalFiles) {
	if s.Destination != "" {
		f.Writes = []string{s.Destination.Pattern()}
	}
	return f
}

// Add adds the step to the graph.
func (s *SBOM) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On = on.Take()
	return dag.As[comm.Machine](dag.Add(g, b, name, step))
}

// Do makes or takes the list.
func (s SBOM) Do(ctx context.Context, e *comm.Env, t *dag.Task) (Inventoried, error) {
	m := s.On.Value()
	r, err := e.Remote(t, m)
	if err != nil {
		return Inventoried{Machine: m}, err
	}
	var list []byte
	err = s.Try(ctx, t, func(ctx context.Context, _ int) (err error) {
		v := values{t, m, e.Dir}
		if s.Source == "" {
			list, err = inventory(ctx, r, t)
		} else {
			list, err = s.fetch(ctx, r, v)
		}
		if err != nil {
			return err
		}
		return s.write(e, v, list)
	})
	return Inventoried{m, string(list)}, err
}

// inventory makes the list of what is installed.
func inventory(ctx context.Context, r comm.Remote, t *dag.Task) ([]byte, error) {
	var l sbom.List
	if w, ok := r.(comm.Windows); ok {
		l.System = "windows"
		var found struct {
			Version  string
			Programs []sbom.Package
		}
		if err := w.PowerShell(ctx, psPrograms, nil, &found); err != nil {
			return nil, fmt.Errorf("cannot list what is installed: %w", err)
		}
		l.Version, l.Packages = found.Version, found.Programs
		l.Sort()
	} else {
		out, exit, err := r.Exec(ctx, sbom.Script, nil)
		if err == nil && exit.Code != 0 {
			err = fmt.Errorf("the script that asks the package database ended with status %d", exit.Code)
		}
		if err == nil {
			l, err = sbom.Parse(out)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot list what is installed: %w", err)
		}
	}
	t.Say("%d packages are installed", len(l.Packages))
	return l.CycloneDX(time.Now())
}

// maxSBOM is how many bytes a list may have that was made on the machine: it is part of a record.
const maxSBOM = 16 << 20

// bounded takes up to so many bytes.
type bounded struct {
	bytes.Buffer
	most int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.most {
		return 0, fmt.Errorf("it has more than %d MiB", b.most>>20)
	}
	return b.Buffer.Write(p)
}

// fetch takes the list that is on the machine.
func (s SBOM) fetch(ctx context.Context, r comm.Remote, v values) ([]byte, error) {
	from, err := v.render("source", s.Source, nil)
	if err != nil {
		return nil, err
	}
	list := bounded{most: maxSBOM}
	if err := r.Download(ctx, from, &list); err != nil {
		return nil, fmt.Errorf("cannot take %s from the machine: %w", from, err)
	}
	if err := isSBOM(list.Bytes()); err != nil {
		return nil, fmt.Errorf("cannot keep %s: %w", from, err)
	}
	return list.Bytes(), nil
}

// isSBOM is nil if a text is a list of software in a form that others read.
func isSBOM(text []byte) error {
	var form struct {
		CycloneDX string `json:"bomFormat"`
		SPDX      string `json:"spdxVersion"`
	}
	if err := json.Unmarshal(text, &form); err != nil || !utf8.Valid(text) {
		return errors.New("it is no JSON")
	}
	if form.CycloneDX != "CycloneDX" && form.SPDX == "" {
		return errors.New("it is neither CycloneDX nor SPDX: it has no bomFormat, and no spdxVersion")
	}
	return nil
}

// write leaves the list where the user wants it.
func (s SBOM) write(e *comm.Env, v values, list []byte) error {
	to, err := v.render("destination", s.Destination, nil)
	if err != nil || to == "" {
		return err
	}
	to = e.Local(to)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("cannot write what is installed: %w", err)
	}
	if err := localfile.Replace(to, list, 0o644, true); err != nil {
		return fmt.Errorf("cannot write what is installed: %w", err)
	}
	v.t.Say("what is installed is in %s", shown(v.dir, to))
	return e.Wrote(v.t, to)
}
