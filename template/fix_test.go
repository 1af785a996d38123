package template_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/template"
)

// TestFix has a row for each rule, with what it says and what it leaves alone.
func TestFix(t *testing.T) {
	const ebs = `"type":"amazon-ebs"`
	for _, row := range []struct{ part, from, to, says string }{
		{"builders", ebs + `,"shutdown_behaviour":"stop"`, ebs + `,"shutdown_behavior":"stop"`, "shutdown_behaviour is called shutdown_behavior"},
		{"builders", ebs + `,"enhanced_networking":true`, ebs + `,"ena_support":true`, "enhanced_networking is called ena_support"},
		{"builders", ebs + `,"ssh_private_ip":true`, ebs + `,"ssh_interface":"private_ip"`, "ssh_private_ip is called ssh_interface"},
		{"builders", ebs + `,"ssh_private_ip":"false"`, ebs + `,"ssh_interface":"public_ip"`, "ssh_private_ip is called ssh_interface"},
		{"builders", ebs + `,"ssh_private_ip":false,"ssh_interface":"session_manager"`, ebs + `,"ssh_interface":"session_manager"`, "ssh_private_ip is called ssh_interface"},
		{"builders", ebs + `,"temporary_security_group_source_cidr":"10.0.0.0/8"`, ebs + `,"temporary_security_group_source_cidrs":["10.0.0.0/8"]`, "temporary_security_group_source_cidr is called temporary_security_group_source_cidrs"},
		{"builders", ebs + `,"spot_price":"auto","spot_price_auto_product":"Linux/UNIX"`, ebs + `,"spot_price":"auto"`, "spot_price_auto_product is not needed any more"},
		{"builders", ebs + `,"tags":{"a":["{{user \"x\" | clean_ami_name}}"]}`, ebs + `,"tags":{"a":["{{user \"x\" | clean_resource_name}}"]}`, "clean_ami_name is clean_resource_name"},
		{"builders", ebs + `,"ami_name":"x {{ .CreateTime }}"`, ebs + `,"ami_name":"x {{timestamp}}"`, "{{ .CreateTime }} is {{timestamp}}"},
		{"builders", `"type":"null","ssh_key_path":"k"`, `"type":"null","ssh_private_key_file":"k"`, "ssh_key_path is called ssh_private_key_file"},
		{"builders", `"type":"null","ssh_disable_agent":true`, `"type":"null","ssh_disable_agent_forwarding":true`, "ssh_disable_agent is called ssh_disable_agent_forwarding"},
		{"builders", `"type":"null","ssh_wait_timeout":"5m"`, `"type":"null","ssh_timeout":"5m"`, "ssh_wait_timeout is called ssh_timeout"},
		{"builders", `"type":"null","ssh_wait_timeout":"5m","ssh_timeout":"6m"`, `"type":"null","ssh_timeout":"6m"`, "ssh_wait_timeout is called ssh_timeout"},
		{"provisioners", `"type":"powershell","environment_vars":["A=` + "`$x``y`'`\\\"" + `"]`, `"type":"powershell","environment_vars":["A=$x` + "`y'\\\"" + `"]`, "environment_vars of powershell needs no backticks"},
		{"provisioners", `"type":"powershell","elevated_password":"` + "a`$b" + `"`, `"type":"powershell","elevated_password":"a$b"`, "elevated_password of powershell needs no backticks"},
		{"provisioners", `"type":"ansible-local","galaxycommand":"g"`, `"type":"ansible-local","galaxy_command":"g"`, "galaxycommand is called galaxy_command"},
		{"provisioners", `"type":"ansible","galaxycommand":"g"`, `"type":"ansible","galaxy_command":"g"`, "galaxycommand is called galaxy_command"},
		{"post-processors", `"type":"manifest","filename":"m"`, `"type":"manifest","output":"m"`, "filename is called output"},

		{"builders", `"type":"null","shutdown_behaviour":"x","ssh_private_ip":true,"a":"clean_ami_name"`, "", ""},
		{"builders", ebs + `,"ami_name":"clean_ami_name .CreateTime","filename":"f","galaxycommand":"g"`, "", ""},
		{"provisioners", `"type":"shell","environment_vars":["` + "`$x" + `"],"ssh_key_path":"k","galaxycommand":"g"`, "", ""},
		{"provisioners", `"type":"powershell","inline":["` + "`$x" + `"]`, "", ""},
		{"post-processors", `"type":"compress","filename":"f"`, "", ""},
	} {
		if row.to == "" {
			row.to = row.from
		}
		whole := func(part string) string {
			if row.part == "post-processors" {
				return fmt.Sprintf(`{"post-processors":["x",[{%s}]]}`, part)
			}
			return fmt.Sprintf(`{%q:[{%s}]}`, row.part, part)
		}
		fixed, says, errs := template.Fix("t.json", []byte(whole(row.from)))
		var got bytes.Buffer
		if err := json.Compact(&got, fixed); err != nil || len(errs) > 0 || got.String() != whole(row.to) || strings.Join(says, "; ") != row.says {
			t.Errorf("%s\nbecomes %s\nnot %s\nand says %q, not %q (%v, %v)", row.from, got.String(), whole(row.to), says, row.says, errs, err)
		}
		again, says, _ := template.Fix("t.json", fixed)
		if len(says) > 0 && row.says != "environment_vars of powershell needs no backticks" || row.part != "provisioners" && !bytes.Equal(again, fixed) {
			t.Errorf("fixed twice, %s says %q", fixed, says)
		}
	}
}
