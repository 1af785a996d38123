package post

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// image is what a build of an image hands on.
var image = dag.Lit(steps.Product{Builder: "mitchellh.amazonebs", ID: "us-east-1:ami-0abc", Machine: comm.Machine{
	Endpoint: comm.Endpoint{Protocol: "ssh", Host: "192.0.2.1", Port: 22, Vars: map[string]string{"ID": "i-1", "SourceAMI": "ami-source"}}}})

// files are what a build of files hands on.
func files(names ...string) dag.Out[steps.Product] {
	return dag.Lit(steps.Product{Builder: "packer.file", ID: "File", Files: names})
}

// sink keeps what is said.
type sink struct {
	mu   sync.Mutex
	text []string
}

func (s *sink) Emit(e dag.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, e.Text)
	return nil
}
func (*sink) Sync() error                  { return nil }
func (*sink) Offset(string, string) int64  { return 0 }
func (*sink) Break(_ []byte, most int) int { return most }

func (s *sink) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.text, "\n")
}

// making is one making of a step, of which there may be several attempts.
type making struct {
	run   string
	token string
	sink  sink
	saved map[string]json.RawMessage
}

// task is that of the next attempt.
func (m *making) task() *dag.Task {
	t := dag.NewTask(m.run, "step", m.token, &m.sink, func(name string) (string, error) { return "secret of " + name, nil })
	t.Resumed = m.saved != nil
	return t.Keep(m.saved, func(name string, v json.RawMessage) error {
		if m.saved == nil {
			m.saved = map[string]json.RawMessage{}
		}
		m.saved[name] = v
		return nil
	})
}

// place is a working directory.
func place(t *testing.T) (*comm.Env, string) {
	t.Helper()
	e := comm.NewEnv(nil)
	e.Dir, e.Environ = t.TempDir(), []string{"PATH=" + os.Getenv("PATH")}
	t.Cleanup(func() { e.Close() })
	return e, e.Dir
}

func write(t *testing.T, text string, elem ...string) {
	t.Helper()
	path := filepath.Join(elem...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, elem ...string) string {
	t.Helper()
	p, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if err == nil || !strings.Contains(err.Error(), p) {
			t.Errorf("%v, want %q", err, p)
		}
	}
}

func TestNames(t *testing.T) {
	for name, make := range PostProcessors(true) {
		if errs := make().Check(); name == "manifest" && len(errs) > 0 {
			t.Error(errs)
		}
	}
	if !PostProcessors(true)["manifest"]().(*Manifest).Force {
		t.Error("a manifest does not know the flag")
	}
}
