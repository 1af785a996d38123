package builtin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/sshtest"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/steps/provision"
)

// sink keeps events in memory.
type sink struct {
	mu     sync.Mutex
	events []dag.Event
	on     func(dag.Event)
}

func (s *sink) Emit(e dag.Event) error {
	s.mu.Lock()
	s.events = append(s.events, e)
	on := s.on
	s.mu.Unlock()
	if on != nil {
		on(e)
	}
	return nil
}

func (*sink) Sync() error                     { return nil }
func (*sink) Break(_ []byte, most int) int    { return most }
func (s *sink) Offset(token, st string) int64 { return s.last(token, st).Offset }

func (s *sink) last(token, stream string) (last dag.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Type == dag.Printed && e.Token == token && e.Stream == stream {
			last = e
		}
	}
	return last
}

// texts are those of the events of a type.
func (s *sink) texts(typ dag.EventType) (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Type == typ {
			list = append(list, strings.TrimSpace(e.Text+" "+e.Err))
		}
	}
	return list
}

// run is a run, each pass of which has its own connections, as a process has.
type run struct {
	t       *testing.T
	dir     string
	store   dag.MemStore
	sink    sink
	secrets map[string]string
}

func (r *run) engine() (*dag.Engine, *comm.Env) {
	r.t.Helper()
	env := comm.NewEnv(nil)
	env.Dir = r.dir
	r.t.Cleanup(func() { env.Close() })
	e, err := dag.New(dag.Options{Run: "run1", Store: &r.store, Sink: &r.sink,
		Secret: func(name string) (string, error) {
			if s, ok := r.secrets[name]; ok {
				return s, nil
			}
			return "", errors.New("no secret " + name)
		},
		Kinds: slices.Concat(comm.Kinds(env), Kinds(env), provision.Kinds(env))})
	if err != nil {
		r.t.Fatal(err)
	}
	return e, env
}

// graph is that of a build of a source with provisioners.
func graph(t *testing.T, src steps.Source, ps ...steps.Provisioner) *dag.Graph {
	t.Helper()
	g, b := dag.NewGraph(nil), dag.Build{Name: "there"}
	if errs := refusals(src.Check()); len(errs) > 0 {
		t.Fatal(errs)
	}
	for _, artifact := range src.Wire(g, b, func(m dag.Out[comm.Machine]) dag.Out[comm.Machine] {
		for i, p := range ps {
			m = p.Add(g, b, "step-"+string(rune('a'+i)), m)
		}
		return m
	}).Artifacts {
		dag.Goal(g, artifact)
	}
	if err := g.Err(); err != nil {
		t.Fatal(err)
	}
	return g
}

// refusals are those that are no words of warning.
func refusals(errs []steps.OptionError) (list []string) {
	for _, e := range errs {
		if !e.Harmless {
			list = append(list, e.Error())
		}
	}
	return list
}

func (r *run) solve(ctx context.Context, g *dag.Graph) *dag.Report {
	r.t.Helper()
	e, env := r.engine()
	defer env.Close()
	rep, err := e.Solve(ctx, g)
	if err != nil {
		r.t.Fatal(err)
	}
	return rep
}

// good solves, and nothing may go wrong.
func (r *run) good(g *dag.Graph) {
	r.t.Helper()
	if rep := r.solve(context.Background(), g); len(rep.Failed)+len(rep.Left) > 0 || rep.Suspended {
		r.t.Fatalf("%+v", rep)
	}
}

// sshd is this computer, as a machine that is there already.
func sshd(t *testing.T) *Null {
	t.Helper()
	dir, err := os.MkdirTemp("", "builtin-sshd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s, err := sshtest.Start(dir)
	if errors.Is(err, sshtest.ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip("NOT TESTED: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	n := &Null{}
	n.SSH = comm.SSH{Host: "127.0.0.1", Port: s.Port, Username: s.User, PrivateKeyFile: s.KeyFile}
	return n
}

func read(t *testing.T, elem ...string) string {
	t.Helper()
	p, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}
