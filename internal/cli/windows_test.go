package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/imgflow/imgflow/state"
)

// A machine that counts its boots, and is reached by NTLM.
const openWindows = `<powershell>
Add-Content -Path C:\\boots.txt -Value booted
Set-NetFirewallRule -Name 'WINRM-HTTP-In-TCP*' -RemoteAddress Any
</powershell>
<persist>true</persist>`

const ntlm = `"winrm_use_ntlm": true`

// windowsTemplate is a build of a Windows image with these options and
// provisioners.
func windowsTemplate(userData, options, provisioners string) string {
	return `{
  "builders": [{"type": "amazon-ebs", "name": "web", "region": "us-east-1", "instance_type": "t3.medium", "ami_name": "web-{{timestamp}}",
    "source_ami_filter": {"filters": {"name": "Windows_Server-2022-English-Full-Base-*"}, "owners": ["amazon"], "most_recent": true},
    "communicator": "winrm", "winrm_username": "Administrator", "user_data": "` + strings.ReplaceAll(userData, "\n", `\n`) + `", ` + options + `}],
  "provisioners": [` + provisioners + `]
}`
}

func newWindowsDesk(t *testing.T, template string) *desk {
	d := newDesk(t)
	if err := os.WriteFile(filepath.Join(d.dir, "slow.json"), []byte(template), 0o644); err != nil {
		t.Fatal(err)
	}
	return d
}

// kill ends a run by a signal that it cannot see, so long after it has printed the
// line.
func (d *desk) kill(line string, after time.Duration) {
	d.Helper()
	cmd, rest := d.begin(line)
	time.Sleep(after)
	cmd.Process.Signal(syscall.SIGKILL)
	rest()
	cmd.Wait()
	if s := d.run(); s.Status != state.Interrupted {
		d.Errorf("status %s", s.Status)
	}
}

// clean insists that nothing but finished images is left.
func (d *desk) clean() {
	d.Helper()
	if out, code := d.do("destroy", "--orphans", "--local", "--older-than=0s", "--dry-run"); code != 0 || !strings.Contains(out, "No orphans") {
		d.Errorf("orphans: %d\n%s", code, out)
	}
}

const slowPowerShell = `{"type": "powershell", "inline": ["Add-Content -Path C:\\runs.txt -Value run",
  "for ($i = 1; $i -le 30; $i++) { Write-Host \"line $i\"; Start-Sleep -Milliseconds 200 }",
  "if (@(Get-Content -Path C:\\runs.txt).Count -ne 1) { exit 9 }"]}`

func TestAKilledPowerShellGoesOn(t *testing.T) {
	d := newWindowsDesk(t, windowsTemplate(openWindows, ntlm, slowPowerShell))
	d.kill("web: line 3", 0)
	if out, code := d.do("resume"); code != 0 {
		t.Fatalf("resume: %d\n%s", code, out)
	}
	d.whole()
	d.clean()
}

func TestAKilledPowerShellIsDestroyed(t *testing.T) {
	d := newWindowsDesk(t, windowsTemplate(openWindows, ntlm, slowPowerShell))
	d.kill("web: line 3", 0)
	if out, code := d.do("destroy", "--yes"); code != 0 || !strings.Contains(out, "instance i-") {
		t.Fatalf("destroy: %d\n%s", code, out)
	}
	d.clean()
}

// TestAKilledRestartHappensOnce kills before and after the machine goes down, and
// goes on at once, and when the machine is back for long.
func TestAKilledRestartHappensOnce(t *testing.T) {
	for _, c := range []struct{ after, away time.Duration }{{}, {300 * time.Millisecond, 0}, {300 * time.Millisecond, 4 * time.Second}, {700 * time.Millisecond, 0}} {
		t.Run(fmt.Sprintf("after %s, for %s", c.after, c.away), func(t *testing.T) {
			d := newWindowsDesk(t, windowsTemplate(openWindows, ntlm, `{"type": "windows-restart"}, {"type": "powershell", "inline": [
			  "for ($i = 0; $i -lt 50 -and @(Get-Content -Path C:\\boots.txt).Count -lt 2; $i++) { Start-Sleep -Milliseconds 100 }",
			  "Start-Sleep -Seconds 2", "if (@(Get-Content -Path C:\\boots.txt).Count -ne 2) { throw 'it has not booted twice' }"]}`))
			d.kill("web: restarting the machine", c.after)
			time.Sleep(c.away)
			out, code := d.do("resume")
			if code != 0 || !regexp.MustCompile(`(?m)^us-east-1: ami-[0-9a-f]+$`).MatchString(out) || !strings.Contains(out, "the machine is back") {
				t.Fatalf("resume: %d\n%s", code, out)
			}
			d.clean()
		})
	}
}

// A machine that is reached by HTTPS, with a certificate of its own making.
const ownCertificate = `<powershell>
net user Administrator Imgflow-S3cr3t!!
$c = New-SelfSignedCertificate -DnsName web -CertStoreLocation Cert:\\LocalMachine\\My
New-WSManInstance winrm/config/Listener -SelectorSet @{Address='*'; Transport='HTTPS'} -ValueSet @{Hostname='web'; CertificateThumbprint=$c.Thumbprint}
winrm set winrm/config/service/auth '@{Basic=\"true\"}'
New-NetFirewallRule -DisplayName winrms -Direction Inbound -Protocol TCP -LocalPort 5986 -Action Allow
</powershell>`

// TestWindowsCannotBeReached: each is told in its words, and in the time that it
// should take.
func TestWindowsCannotBeReached(t *testing.T) {
	https := `"winrm_password": "Imgflow-S3cr3t!!", "winrm_use_ssl": true, "winrm_timeout": "1m"`
	for _, c := range []struct {
		name, userData, options string
		most                    time.Duration
		want                    []string // none: it can be reached
	}{
		{"wrong password", openWindows, ntlm + `, "winrm_password": "Not-this-0ne", "winrm_timeout": "20s"`, 2 * time.Minute, []string{`as "Administrator"`, "password is wrong"}},
		{"closed port", openWindows, ntlm + `, "winrm_password": "x", "winrm_port": 5999, "winrm_timeout": "5s"`, time.Minute, []string{":5999", "not reached within 5s", "the connection is refused", "its console ends with", "Windows is Ready to use"}},
		{"closed firewall", "", ntlm + `, "winrm_timeout": "5s"`, time.Minute, []string{":5985", "not reached within 5s"}},
		{"self-signed certificate", ownCertificate, https, 2 * time.Minute, []string{"certificate", "winrm_insecure"}},
		{"self-signed certificate, trusted", ownCertificate, https + `, "winrm_insecure": true`, 2 * time.Minute, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newWindowsDesk(t, windowsTemplate(c.userData, c.options, ""))
			start := time.Now()
			out, code := d.do("run", "--local", "slow.json")
			took := time.Since(start)
			want := exitFailed
			if c.want == nil {
				want = 0
			}
			if code != want || took > c.most {
				t.Errorf("exit status %d after %s", code, took)
			}
			for _, w := range c.want {
				if !strings.Contains(out, w) {
					t.Errorf("%q is missing", w)
				}
			}
			if t.Failed() || testing.Verbose() {
				t.Logf("after %s:\n%s", took, out)
			}
			d.clean()
		})
	}
}

// TestPasswordOfARebuiltImage: an image of a build makes no password, and the next
// build from it needs to know the one that it has.
func TestPasswordOfARebuiltImage(t *testing.T) {
	known := strings.Replace(openWindows, "Set-Net", "net user Administrator Imgflow-S3cr3t!!\nSet-Net", 1)
	d := newWindowsDesk(t, windowsTemplate(known, ntlm+`, "winrm_password": "Imgflow-S3cr3t!!"`, ""))
	if out, code := d.do("run", "--local", "slow.json"); code != 0 {
		t.Fatalf("exit status %d\n%s", code, out)
	}
	second := func(options string) (string, int) {
		template := windowsTemplate(openWindows, ntlm+`, `+options, `{"type": "powershell", "inline": ["Write-Host again"]}`)
		template = strings.NewReplacer("Windows_Server-2022-English-Full-Base-*", "web-*", `["amazon"]`, `["self"]`, `"web-{{`, `"second-{{`).Replace(template)
		if err := os.WriteFile(filepath.Join(d.dir, "slow.json"), []byte(template), 0o644); err != nil {
			t.Fatal(err)
		}
		return d.do("run", "--local", "slow.json")
	}
	out, code := second(`"windows_password_timeout": "3s"`)
	for _, w := range []string{"cannot get the password of i-", "in 3s", "Sysprep", "winrm_password"} {
		if code != exitFailed || !strings.Contains(out, w) {
			t.Errorf("exit status %d, %q is missing from\n%s", code, w, out)
		}
	}
	if out, code := second(`"winrm_password": "Imgflow-S3cr3t!!"`); code != 0 || !strings.Contains(out, "web: again") {
		t.Errorf("with its password: %d\n%s", code, out)
	}
	d.clean()
}
