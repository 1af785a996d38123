package provision

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Inventory are the options of what Ansible is told of its hosts.
type Inventory struct {
	// Groups of the inventory that the machine is in. Default: none.
	Groups []dag.Text `json:"groups,omitempty" option:"late=build"`
	// Groups of the inventory that nothing is in. Default: none.
	EmptyGroups []dag.Text `json:"empty_groups,omitempty" option:"late=build"`
	// The machine's name in the inventory. Default: `default`.
	HostAlias dag.Text `json:"host_alias,omitempty" option:"late=build"`
	// The line of the machine in the inventory. Default: its name, and as variables its address, port and user.
	InventoryTemplate dag.Text `json:"inventory_file_template,omitempty" option:"late=HostAlias+Host+Port+User+build"`
	// The directory to write the inventory into, beside your group_vars and host_vars. Default: a temporary one.
	InventoryDirectory string `json:"inventory_directory,omitempty" key:"-"`
	// An inventory of your own, in place of one that is written. Default: none.
	InventoryFile steps.File `json:"inventory_file,omitzero"`
	// Leaves the inventory that was written when the build ends. Default: `false`.
	KeepInventoryFile bool `json:"keep_inventory_file,omitempty" key:"-"`
}

func (s *Inventory) check(f *steps.OptionErrors) {
	own := s.InventoryFile != (steps.File{})
	for _, o := range []struct {
		name  string
		given bool
	}{
		{"groups", len(s.Groups) > 0}, {"empty_groups", len(s.EmptyGroups) > 0}, {"host_alias", s.HostAlias != ""},
		{"inventory_file_template", s.InventoryTemplate != ""}, {"keep_inventory_file", s.KeepInventoryFile},
	} {
		if own && o.given {
			f.Idle(o.name, "with inventory_file no inventory is written")
		}
	}
}

// write gives the program its inventory, and returns what removes one that is not kept.
func (s *Inventory) write(e *comm.Env, v values, w *way, dir string, p *program) (forget func(), err error) {
	forget = func() {}
	if s.InventoryFile != (steps.File{}) {
		p.args = append(p.args, "--inventory", s.InventoryFile.Path)
		return forget, nil
	}
	text, err := s.text(v, w)
	if err != nil {
		return forget, err
	}
	file := filepath.Join(dir, "inventory")
	switch { // always of one name, so that one which was left behind is replaced
	case s.InventoryDirectory != "":
		file = filepath.Join(s.InventoryDirectory, "imgflow-"+v.t.Token+".ini")
	case s.KeepInventoryFile:
		file = filepath.Join(e.TempDir(), "imgflow-"+v.t.Token+".ini")
	}
	err = writeNew(file, text)
	if err != nil {
		return forget, fmt.Errorf("cannot write the inventory: %w", err)
	}
	p.args = append(p.args, "--inventory", file)
	if s.KeepInventoryFile {
		v.t.Say("the inventory stays in %s", shown(v.dir, file))
		return forget, nil
	}
	return func() { os.Remove(file) }, nil
}

// text is the whole inventory.
func (s *Inventory) text(v values, w *way) (string, error) {
	alias, err := v.render("host_alias", s.HostAlias, nil)
	if err != nil {
		return "", err
	}
	if alias == "" {
		alias = "default"
	}
	line := s.InventoryTemplate
	if line == "" {
		line = w.line
	}
	host, err := v.render("inventory_file_template", line, map[string]any{"HostAlias": alias, "Host": w.host, "Port": w.port, "User": w.user})
	if err != nil {
		return "", err
	}
	host = strings.TrimRight(host, "\n") + "\n"
	var b strings.Builder
	b.WriteString(host)
	for i, g := range s.Groups {
		name, err := v.render(fmt.Sprintf("groups[%d]", i), g, nil)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "[%s]\n%s", name, host)
	}
	for i, g := range s.EmptyGroups {
		name, err := v.render(fmt.Sprintf("empty_groups[%d]", i), g, nil)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "[%s]\n", name)
	}
	return b.String(), nil
}
