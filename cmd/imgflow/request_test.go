package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/template"
)

func TestSecretsOfARequestAreNotStored(t *testing.T) {
	src := `{"variables": {"plain": "", "hidden": "", "id": "", "db_password": "", "file": ""}, "sensitive-variables": ["hidden"],
	  "builders": [{"type": "amazon-ebs", "access_key": "{{user ` + "`id`" + `}}", "ami_name": "{{user ` + "`plain`" + `}}"}]}`
	tmpl, errs := template.Parse("t.json", []byte(src))
	if errs != nil {
		t.Fatal(errs)
	}
	r := &request{Template: "/t.json", Vars: map[string]string{"plain": "one-value", "hidden": "two-value", "id": "AKIAthree", "db_password": "four-value"}}
	ev, errs, err := r.evaluate(tmpl)
	if err != nil || errs != nil {
		t.Fatal(errs, err)
	}
	p, err := json.Marshal(r.stored(tmpl, ev))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"two-value", "AKIAthree", "four-value"} {
		if strings.Contains(string(p), secret) {
			t.Errorf("%s is stored: %s", secret, p)
		}
	}
	if !strings.Contains(string(p), "one-value") || !strings.Contains(string(p), `"withheld":["db_password","hidden","id"]`) {
		t.Errorf("stored %s", p)
	}
	if r.Vars["hidden"] != "two-value" {
		t.Error("the request itself was changed")
	}
}

// What is wrong with the whole of a template does not hide what is wrong inside,
// and makes no run.
func TestAllFaultsOfATemplate(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	src := `{"bilders": 1, "variables": {"pw": "hunter2"}, "sensitive-variables": ["pw"],
"builders": [{"tpye": "amazon-ebs"},
{"type": "amazon-ebs", "ami_nam": "abc", "region": "us-east-1", "source_ami": "ami-0123456789abcdef0", "instance_type": "t3.micro", "ssh_username": "u",
"launch_block_device_mappings": [{"device_name": "/dev/sda1", "volume_size": "big"}, {"device_name": "/dev/sdb", "volume_type": "gp9"}, {"volume_size": 1}],
"user_data": "{{nope}}", "ssh_password": "{{user ` + "`pw`" + `}}"}],
"provisioners": [{"type": "shell", "inlin": ["x"]}]}`
	if err := os.WriteFile("t.json", []byte(src), 0o666); err != nil {
		t.Fatal(err)
	}
	s := newSession(nil, &request{Template: filepath.Join(dir, "t.json"), Cwd: dir}, nil)
	defer s.close()
	err := s.load(true, func() ([]byte, error) { return nil, errors.New("a run is made") })
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
}
