package post

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/provision"
)

func TestShellLocal(t *testing.T) {
	e, dir := place(t)
	s := ShellLocal{Of: image, Build: dag.Build{Name: "web", Type: "amazon-ebs"}}
	s.Inline = []dag.Text{`echo "$PACKER_BUILD_NAME $PACKER_BUILDER_TYPE $A" > out`, "echo from " + dag.Word("{{ build `SourceAMI` }}")}
	s.EnvironmentVars = []dag.Text{"A=x y"}
	m := &making{run: "run1", token: "t", saved: map[string]json.RawMessage{}}
	of, err := s.Do(t.Context(), e, m.task())
	if err != nil || of.ID != s.Of.Value().ID || read(t, dir, "out") != "web amazon-ebs x y\n" || !strings.Contains(m.sink.said(), "from ami-source") {
		t.Errorf("%+v %v %s", of, err, m.sink.said())
	}
	if !strings.Contains(m.sink.said(), "it begins again") {
		t.Errorf("a resumed one says %s", m.sink.said())
	}
	s.Inline = []dag.Text{"exit 3"}
	_, err = s.Do(t.Context(), e, m.task())
	wantError(t, err, "3")
}

// One text is a line for the shell.
func TestShellLocalCommand(t *testing.T) {
	s := &ShellLocal{LocalScriptOptions: provision.LocalScriptOptions{ExecuteCommand: []dag.Text{"echo " + dag.Word("{{.Script}}") + " > out"}}}
	g := dag.NewGraph(nil)
	s.Add(g, dag.Build{Name: `file.web["x"]`, Label: "web", Type: "file"}, "shell-local", image)
	var added ShellLocal
	if err := json.Unmarshal(g.Nodes[0].Spec, &added); err != nil || len(added.ExecuteCommand) != 3 || added.ExecuteCommand[1] != "-c" || len(s.ExecuteCommand) != 1 {
		t.Errorf("%+v %v", added, err)
	}
	if added.Build.Name != "web" {
		t.Errorf("its scripts know the build as %s", added.Build.Name)
	}
	// Several are a program and its arguments.
	s.ExecuteCommand = []dag.Text{"sh", dag.Word("{{.Script}}")}
	g = dag.NewGraph(nil)
	s.Add(g, dag.Build{Name: "web"}, "shell-local", image)
	if err := json.Unmarshal(g.Nodes[0].Spec, &added); err != nil || len(added.ExecuteCommand) != 2 {
		t.Errorf("%+v %v", added, err)
	}
	if errs := s.Check(); len(errs) != 1 || !strings.Contains(errs[0].Text, "nothing to run") {
		t.Errorf("%+v", errs)
	}
}
