package app

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/compile"
)

func TestSecretsOfARequestAreNotStored(t *testing.T) {
	src := `{"variables": {"plain": "", "hidden": "", "id": "", "db_password": "", "file": ""}, "sensitive-variables": ["hidden"],
	  "builders": [{"type": "amazon-ebs", "access_key": "{{user ` + "`id`" + `}}", "ami_name": "{{user ` + "`plain`" + `}}"}]}`
	tmpl, errs := template.Parse("t.json", []byte(src))
	if errs != nil {
		t.Fatal(errs)
	}
	r := &Request{Template: "/t.json", Vars: map[string]string{"plain": "one-value", "hidden": "two-value", "id": "AKIAthree", "db_password": "four-value"}}
	ev, errs, err := r.evaluate(tmpl, Env{}, compile.Catalog{}, nothingLooked())
	if err != nil || errs != nil {
		t.Fatal(errs, err)
	}
	p, err := json.Marshal(r.stored(ev))
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
