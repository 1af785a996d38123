//go:build unix

package ec2local

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/imgflow/imgflow/internal/ec2local/guest"
)

// packerUserData opens WinRM as Packer's own example for Windows does.
const packerUserData = `<powershell>
# Set administrator password
net user Administrator SuperS3cr3t!!!!
wmic useraccount where "name='Administrator'" set PasswordExpires=FALSE

# First, make sure WinRM can't be connected to
netsh advfirewall firewall set rule name="Windows Remote Management (HTTP-In)" new enable=yes action=block

# Delete any existing WinRM listeners
winrm delete winrm/config/listener?Address=*+Transport=HTTP  2>$Null
winrm delete winrm/config/listener?Address=*+Transport=HTTPS 2>$Null

Set-ItemProperty -Path HKLM:\Software\Policies\Microsoft\Windows\WinRM\Service -Name AllowBasic -Value 1

# Create a new WinRM listener and configure
winrm create winrm/config/listener?Address=*+Transport=HTTP
winrm set winrm/config/winrs '@{MaxMemoryPerShellMB="0"}'
winrm set winrm/config '@{MaxTimeoutms="7200000"}'
winrm set winrm/config/service '@{AllowUnencrypted="true"}'
winrm set winrm/config/service '@{MaxConcurrentOperationsPerUser="12000"}'
winrm set winrm/config/service/auth '@{Basic="true"}'
winrm set winrm/config/client/auth '@{Basic="true"}'

$Key = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'
$Setting = 'LocalAccountTokenFilterPolicy'
Set-ItemProperty -Path $Key -Name $Setting -Value 1 -Force

Stop-Service -Name WinRM
Set-Service -Name WinRM -StartupType Automatic
netsh advfirewall firewall set rule name="Windows Remote Management (HTTP-In)" new action=allow localip=any remoteip=any
Start-Service -Name WinRM
</powershell>
`

// TestPackerWindows builds a Windows image with Packer: its WinRM client, its
// uploads by echo, its PowerShell and its restart.
func TestPackerWindows(t *testing.T) {
	packer := tool(t, "packer")
	b := newBench(t, func(o *Options) {
		h, err := guest.NewHost("process", filepath.Join(o.Dir, "guests"), openWindows)
		if err != nil {
			t.Fatal(err)
		}
		o.Guests = h
	})
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("bootstrap.txt", packerUserData)
	write("sample.ps1", "Write-Host \"PACKER_BUILD_NAME is:\" $Env:PACKER_BUILD_NAME\nforeach ($i in 1..4) { Write-Host \"VAR$i is:\" (Get-Item \"Env:VAR$i\").Value }\n")
	write("notes.txt", strings.Repeat("notes äöü 0123456789\r\n", 1000))
	write("tree.bat", "@echo off\r\nif not exist C:\\notes.txt exit /b 7\r\nfor %%f in (C:\\notes.txt) do echo SIZE %%~zf\r\necho FROM %FROM%\r\n")
	template, err := json.Marshal(map[string]any{
		"builders": []any{map[string]any{
			"type": "amazon-ebs", "access_key": "AKIDEXAMPLE", "secret_key": "not-a-secret", "region": "us-east-1",
			"custom_endpoint_ec2": b.http.URL, "skip_credential_validation": true, "skip_metadata_api_check": true, "skip_region_validation": true,
			"ami_name": "by-packer-{{timestamp}}", "instance_type": "t2.micro",
			"source_ami_filter": map[string]any{
				"filters": map[string]any{"virtualization-type": "hvm", "name": "*Windows_Server-2012-R2*English-64Bit-Base*", "root-device-type": "ebs"},
				"owners":  "amazon", "most_recent": true,
			},
			"user_data_file": "./bootstrap.txt", "communicator": "winrm", "winrm_username": "Administrator", "winrm_password": "SuperS3cr3t!!!!",
		}},
		"provisioners": []any{
			map[string]any{"type": "powershell", "environment_vars": []string{"DEVOPS_LIFE_IMPROVER=PACKER"}, "inline": []string{
				"Write-Host \"HELLO NEW USER; WELCOME TO $Env:DEVOPS_LIFE_IMPROVER\"", "Write-Host \"characters such as DOLLAR`$ directly in a command\""}},
			map[string]any{"type": "windows-restart", "restart_timeout": "1m"},
			map[string]any{"type": "file", "source": "./notes.txt", "destination": "C:/notes.txt"},
			map[string]any{"type": "windows-shell", "script": "./tree.bat", "environment_vars": []string{"FROM=windows-shell"}},
			map[string]any{"type": "powershell", "script": "./sample.ps1", "environment_vars": []string{"VAR1=A$Dollar", "VAR2=A`Backtick", "VAR3=A'SingleQuote", "VAR4=A\"DoubleQuote"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	write("template.json", string(template))
	cmd := exec.Command(packer, "build", "-color=false", "template.json")
	cmd.Dir = dir
	cmd.Env = append(clientEnv(dir), "PACKER_CONFIG_DIR="+dir, "CHECKPOINT_DISABLE=1", "AWS_POLL_DELAY_SECONDS=1", "TMPDIR="+dir)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"HELLO NEW USER; WELCOME TO PACKER", "DOLLAR$ directly", "restarted.", "SIZE 25000", "FROM windows-shell",
		"PACKER_BUILD_NAME is: amazon-ebs", "VAR1 is: A$Dollar", "VAR2 is: A`Backtick", "VAR3 is: A'SingleQuote", `VAR4 is: A"DoubleQuote`, "AMIs were created",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("packer did not print %q", want)
		}
	}
	made, err := b.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if err != nil || len(made.Images) != 1 || made.Images[0].State != "available" {
		t.Fatalf("own images: %+v, %v", made, err)
	}
	kinds := map[string]int{}
	for _, i := range b.server.Inventory().Made() {
		kinds[i.Kind]++
	}
	if len(kinds) != 2 || kinds["image"] != 1 || kinds["snapshot"] != 1 {
		t.Errorf("left are %v, not one image and its snapshot", kinds)
	}
}
