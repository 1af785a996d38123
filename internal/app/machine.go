package app

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/steps/comm"
)

// Machine is a machine of the run that was reached and may still live.
type Machine struct {
	Name string // of its build, and of its test behind a dot
	comm.Machine
}

// Machines are the machines of the run: one for each build that is at work, and one for
// each test. A build that is not "" chooses its own, or one by its name.
func (s *Session) Machines(build string) (ms []Machine, err error) {
	recs, err := s.run.All()
	if err != nil {
		return nil, err
	}
	for _, r := range recs {
		if r.Kind != (comm.Connect{}).Kind() || r.Status != dag.Done || r.Spent || len(r.Builds) == 0 {
			continue
		}
		name := r.Builds[0]
		if test, _, ok := strings.Cut(r.Name, "."); ok {
			name += "." + test
		}
		var m comm.Machine
		if (build == "" || build == name || slices.Contains(r.Builds, build)) && json.Unmarshal(r.Out, &m) == nil {
			ms = append(ms, Machine{name, m})
		}
	}
	return ms, nil
}

// ReachMachines makes the machines of a run that was opened reachable. One that
// needs a secret which is not there says so itself.
func (s *Session) ReachMachines(ctx context.Context) error {
	if s.req.Local {
		if err := s.Reach(ctx, local.Settings{}); err != nil {
			return err
		}
	}
	if g, err := s.run.Graph(); err == nil {
		s.graph = g
		s.freeze(ctx)
	}
	return nil
}

// Shell opens a session of SSH on a machine. Release is called when it is over.
func (s *Session) Shell(ctx context.Context, m Machine) (sess *ssh.Session, release func(), err error) {
	return s.world.Machines().Session(ctx, s.visit(), m.Machine)
}

// Exec runs a command of cmd.exe on a Windows machine, and returns what it has
// printed and its exit status.
func (s *Session) Exec(ctx context.Context, m Machine, command string) (out []byte, code int, err error) {
	r, err := s.world.Machines().Windows(s.visit(), m.Machine)
	if err != nil {
		return nil, 0, err
	}
	out, x, err := r.Exec(ctx, command+" 2>&1", nil)
	return out, x.Code, err
}

// visit is a task for what is no step: it tells nobody anything.
func (s *Session) visit() *dag.Task {
	return dag.NewTask(s.run.ID(), "shell", "imgflow-shell-"+s.run.ID(), nil, s.secret)
}
