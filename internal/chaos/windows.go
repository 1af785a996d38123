package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// windowsPlan is what a seed decides about a build of a Windows image besides.
type windowsPlan struct {
	Basic   bool     // a password of the template over plain HTTP; else the machine's own, sealed by NTLM
	Restart int      // behind which script the machine restarts
	As      []string // whom each script runs as: "" the user of the connection, else elevated
	Ticks   int      // lines of each script
}

func newWindowsPlan(r *rand.Rand, scripts int) *windowsPlan {
	w := &windowsPlan{Basic: r.IntN(2) == 0, Restart: r.IntN(max(scripts-1, 1)), Ticks: 1 + r.IntN(20)}
	for range scripts {
		w.As = append(w.As, pick(r, "", "", "SYSTEM", "Administrator"))
	}
	return w
}

const windowsPassword = "Ch4os-but-long!"

// userData opens WinRM to the builder.
func (w *windowsPlan) userData() string {
	text := "Set-NetFirewallRule -Name 'WINRM-HTTP-In-TCP*' -RemoteAddress Any\n"
	if w.Basic {
		text = "net user Administrator " + windowsPassword + "\n" +
			`winrm set winrm/config/service/auth '@{Basic="true"}'` + "\n" +
			`winrm set winrm/config/service '@{AllowUnencrypted="true"}'` + "\n" + text
	}
	return "<powershell>\n" + text + "</powershell>\n"
}

// windows turns the template of a plan into one of a Windows image: the builder's
// options are added, and its scripts are returned. They do what those on Linux do.
func (p plan) windows(builder map[string]any) (provisioners []any) {
	w := p.Windows
	builder["source_ami_filter"] = map[string]any{
		"filters": map[string]string{"name": "Windows_Server-2022-English-Full-Base-*", "root-device-type": "ebs", "virtualization-type": "hvm"},
		"owners":  []string{"amazon"}, "most_recent": true,
	}
	delete(builder, "ssh_username")
	builder["communicator"], builder["winrm_username"], builder["user_data"] = "winrm", "Administrator", w.userData()
	password := "{{build `Password`}}"
	if w.Basic {
		password = windowsPassword
		builder["winrm_password"] = password
	} else {
		builder["winrm_use_ntlm"] = true
	}
	provisioners = append(provisioners, map[string]any{"type": "file", "source": "./cargo.txt", "destination": `C:\cargo.txt`})
	ran := []string{}
	for i := range p.Scripts {
		script := map[string]any{"type": "powershell", "inline": []string{
			`if (-not (Test-Path -LiteralPath C:\cargo.txt)) { throw 'the cargo is not here' }`,
			`$ran = @(Get-Content -LiteralPath C:\ran.txt -ErrorAction SilentlyContinue) -join ','`,
			fmt.Sprintf(`if ($ran -ne '%s') { throw "these ran: $ran" }`, strings.Join(ran, ",")),
			fmt.Sprintf(`Add-Content -LiteralPath C:\ran.txt -Value 'script %d'`, i),
			fmt.Sprintf(`for ($i = 0; $i -lt %d; $i++) { "script %d tick <$i>"; Start-Sleep -Milliseconds %d }`, w.Ticks, i, p.Naps[i].Milliseconds()/int64(w.Ticks)),
			fmt.Sprintf(`"script %d is done"`, i),
		}}
		if who := w.As[i]; who != "" {
			script["elevated_user"] = who
			if who != "SYSTEM" {
				script["elevated_password"] = password
			}
		}
		provisioners = append(provisioners, script)
		ran = append(ran, fmt.Sprintf("script %d", i))
		if i == w.Restart {
			provisioners = append(provisioners, map[string]any{"type": "windows-restart"})
		}
	}
	return provisioners
}
