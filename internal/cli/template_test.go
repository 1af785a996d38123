package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/template"
)

// What is wrong with the whole of a template does not hide what is wrong inside,
// and makes no run.
func TestAllFaultsOfATemplate(t *testing.T) {
	dir := t.TempDir()
	src := `{"bilders": 1, "variables": {"pw": "hunter2"}, "sensitive-variables": ["pw"],
"builders": [{"tpye": "amazon-ebs"},
{"type": "amazon-ebs", "ami_nam": "abc", "region": "us-east-1", "source_ami": "ami-0123456789abcdef0", "instance_type": "t3.micro", "ssh_username": "u",
"launch_block_device_mappings": [{"device_name": "/dev/sda1", "volume_size": "big"}, {"device_name": "/dev/sdb", "volume_type": "gp9"}, {"volume_size": 1}],
"user_data": "{{nope}}", "ssh_password": "{{user ` + "`pw`" + `}}"}],
"provisioners": [{"type": "shell", "inlin": ["x"]}]}`
	if err := os.WriteFile(filepath.Join(dir, "t.json"), []byte(src), 0o666); err != nil {
		t.Fatal(err)
	}
	home, err := state.OpenHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := sessionOf(home, filepath.Join(dir, "t.json"))
	defer s.Close()
	err = s.Load(t.Context(), true)
	var errs template.Errors
	if !errors.As(err, &errs) {
		t.Fatal(err)
	}
	var got []string
	for _, e := range errs {
		got = append(got, fmt.Sprintf("%d:%d", e.Pos.Line, e.Pos.Column))
	}
	if want := "1:2 2:14 3:24 4:78 4:129 4:137 5:17 6:36"; strings.Join(got, " ") != want {
		t.Errorf("faults at %v, want %s:\n%v", got, want, err)
	}
	if runs, err := home.Runs(); err != nil || len(runs) > 0 {
		t.Errorf("a run was made: %v, %v", runs, err)
	}
}
