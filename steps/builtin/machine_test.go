package builtin

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/steps/provision"
)

// shell appends a line to a file on the machine, and prints.
func shell(lines ...string) steps.Provisioner {
	s := &provision.Shell{}
	for _, l := range lines {
		s.Inline = append(s.Inline, dag.Text(l))
	}
	return s
}

// What was done is not done again, by whichever process; an edit runs on what is
// there; and nothing is made or removed.
func TestMachine(t *testing.T) {
	n, dir := sshd(t), t.TempDir()
	log := filepath.Join(dir, "log")
	note := func(what string) steps.Provisioner { return shell("echo " + what + " >> " + log) }
	r := &run{t: t, dir: dir}
	if rep := r.solve(context.Background(), graph(t, n, note("a"), shell("exit 3"))); len(rep.Failed) != 1 || len(rep.Left) > 0 {
		t.Fatalf("%+v", rep)
	}
	r.good(graph(t, n, note("a"), note("b")))
	r.good(graph(t, n, note("a"), note("b")))
	if got := read(t, log); got != "a\nb\n" {
		t.Errorf("%q", got)
	}
	r.good(graph(t, n, note("A"), note("b")))
	if got := read(t, log); got != "a\nb\nA\nb\n" {
		t.Errorf("%q", got)
	}
	if w := r.sink.texts(dag.Warned); !slices.ContainsFunc(w, func(s string) bool {
		return strings.Contains(s, "step-a has changed the machine in its earlier form: the machine was there before")
	}) {
		t.Errorf("%q", w)
	}
	if n := len(r.sink.texts(dag.Releasing)) + len(r.sink.texts(dag.Rebuilt)); n > 0 {
		t.Errorf("%+v", r.sink.events)
	}
	e, _ := r.engine()
	left, err := e.Destroy(context.Background(), func(dag.Record) bool { return true })
	if err != nil || len(left) > 0 || len(r.sink.texts(dag.Releasing)) > 0 {
		t.Errorf("%v %v", left, err)
	}
	if id := vars(t, r)["ID"]; !strings.HasPrefix(id, "ERR_ID_NOT_IMPLEMENTED") {
		t.Errorf("%q", id)
	}
}

func vars(t *testing.T, r *run) map[string]string {
	t.Helper()
	env := comm.NewEnv(nil)
	defer env.Close()
	m, err := Machine{Build: "x", Protocol: "ssh", Host: "h", Port: 1}.Do(context.Background(), env, dag.NewTask("run", "machine", "t", nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	return m.Vars
}

// A script whose process ends goes on, and the next process follows it: every line
// comes once.
func TestInterruptedOnAGivenMachine(t *testing.T) {
	n, dir := sshd(t), t.TempDir()
	log, gate := filepath.Join(dir, "log"), filepath.Join(dir, "gate")
	script := shell("echo begun | tee -a "+log, "while ! test -e "+gate+"; do sleep 0.1; done", "echo ended | tee -a "+log)
	r := &run{t: t, dir: dir}
	ctx, cancel := context.WithCancel(context.Background())
	r.sink.on = func(e dag.Event) {
		if e.Type == dag.Printed && e.Text == "begun" {
			cancel()
		}
	}
	if rep := r.solve(ctx, graph(t, n, script)); !rep.Suspended {
		t.Fatalf("%+v", rep)
	}
	r.sink.on = nil
	e, _ := r.engine()
	if _, err := e.Plan(graph(t, n, shell("echo other"))); err == nil || !strings.Contains(err.Error(), "may still be at work") {
		t.Errorf("an edit while it is at work: %v", err)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.good(graph(t, n, script))
	if got := read(t, log); got != "begun\nended\n" {
		t.Errorf("%q", got)
	}
	if got := r.sink.texts(dag.Printed); fmt.Sprint(got) != "[begun ended]" {
		t.Errorf("%q", got)
	}
}
