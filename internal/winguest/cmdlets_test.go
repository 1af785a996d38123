package winguest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// powershell runs a script as a user, and returns its output without line ends at
// the end, its errors and its exit code.
func (m *Machine) powershell(t *testing.T, l Login, script string) (stdout, stderr string, code int) {
	t.Helper()
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, utf16.Encode([]rune("$ProgressPreference = 'SilentlyContinue'\n"+script)))
	o, e := &safeBuffer{}, &safeBuffer{}
	p, err := m.Start(Launch{Line: "powershell -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand " + base64.StdEncoding.EncodeToString(b.Bytes()), Login: l, Stdout: o, Stderr: e})
	if err != nil {
		t.Fatal(err)
	}
	code = p.Wait()
	return strings.TrimSpace(strings.ReplaceAll(o.String(), "\r\n", "\n")), e.String(), code
}

// shows compares what scripts print, one after the other on the same machine.
// A want that begins with ! is a part of the error.
func (m *Machine) shows(t *testing.T, pairs ...string) {
	t.Helper()
	admin := m.login("Administrator", true)
	for i := 0; i < len(pairs); i += 2 {
		out, stderr, code := m.powershell(t, admin, pairs[i])
		if part, isError := strings.CutPrefix(pairs[i+1], "!"); isError {
			flat := strings.Join(strings.Fields(stderr), " ")
			if !strings.Contains(flat, part) {
				t.Errorf("%s\n got %q, %q (exit code %d)\nwant the error %q", pairs[i], out, flat, code, part)
			}
			continue
		}
		if out != pairs[i+1] || stderr != "" {
			t.Errorf("%s\n got %q\nwant %q\nexit code %d, errors: %s", pairs[i], out, pairs[i+1], code, stderr)
		}
	}
}

func TestCIM(t *testing.T) {
	m := booted(t, Boot{})
	m.shows(t,
		`$o = Get-CimInstance -ClassName Win32_OperatingSystem; $o.Caption; $o.Version; $o.BuildNumber; ($o.LocalDateTime - $o.LastBootUpTime).TotalHours -lt 1`,
		"Microsoft Windows Server 2019 Datacenter\n10.0.17763\n17763\nTrue",
		`$o = Get-WmiObject Win32_OperatingSystem; $o.LastBootUpTime.Length; ($o.ConvertToDateTime($o.LocalDateTime) - $o.ConvertToDateTime($o.LastBootUpTime)).TotalHours -lt 1`, "25\nTrue",
		`(Get-CimInstance Win32_ComputerSystem).Name; (gwmi Win32_ComputerSystem).DomainRole`, "TESTER\n2",
		`Get-CimInstance Win32_UserAccount -Filter "Name='Guest'" | ForEach-Object { "$($_.Name) $($_.Disabled) $($_.LocalAccount)" }`, "Guest True True",
		`(Get-CimInstance -Query "SELECT Name FROM Win32_Service WHERE Name='WinRM'").Name`, "WinRM",
		`(Get-WmiObject -Class Win32_Process -Filter "ProcessId = $PID").Name`, "powershell.exe",
		`Get-CimInstance Win32_Nothing`, "!cannot run Get-CimInstance Win32_Nothing",
		`Get-CimInstance Win32_Process -Filter "Nope = 1"`, "!Invalid query",
		`Get-CimInstance Win32_OperatingSystem -ComputerName elsewhere`, "!for the computer elsewhere",
		// A process of its own.
		`$r = Invoke-CimMethod -ClassName Win32_Process -MethodName Create -Arguments @{ CommandLine = 'cmd.exe /c echo %USERNAME%>C:\made.txt'; CurrentDirectory = 'C:\Windows\Temp' }
		 $r.ReturnValue; $r.ProcessId -gt 0
		 while (-not (Test-Path C:\made.txt) -or (Get-CimInstance Win32_Process -Filter "ProcessId=$($r.ProcessId)")) { Start-Sleep -Milliseconds 20 }
		 Get-Content C:\made.txt`, "0\nTrue\nAdministrator",
		`(Invoke-CimMethod Win32_Process Create @{CommandLine='nothing.exe'}).ReturnValue; (Invoke-CimMethod Win32_Process Create @{CommandLine=''}).ReturnValue`, "9\n21",
		`(Invoke-WmiMethod -Class Win32_Process -Name Create -ArgumentList 'cmd.exe /c exit').ReturnValue`, "0",
		`$s = New-CimInstance -ClassName Win32_ProcessStartup -ClientOnly -Property @{ EnvironmentVariables = @('A=1', 'SystemRoot=C:\Windows') }
		 $r = Invoke-CimMethod Win32_Process Create @{ CommandLine = 'cmd.exe /c echo [%A%][%USERNAME%]>C:\env.txt'; ProcessStartupInformation = [ciminstance]$s }
		 while (Get-CimInstance Win32_Process -Filter "ProcessId=$($r.ProcessId)") { Start-Sleep -Milliseconds 20 }
		 Get-Content C:\env.txt`, "[1][%USERNAME%]",
		`$r = Invoke-CimMethod Win32_Process Create @{CommandLine='powershell -Command Start-Sleep 100'}
		 $p = Get-CimInstance Win32_Process -Filter "ProcessId=$($r.ProcessId)"; (Invoke-CimMethod -InputObject $p -MethodName Terminate).ReturnValue
		 while (Get-CimInstance Win32_Process -Filter "ProcessId=$($r.ProcessId)") { Start-Sleep -Milliseconds 20 }; 'gone'`, "0\ngone",
		`Get-CimInstance Win32_UserAccount -Filter "Name='Administrator'" | Set-CimInstance -Property @{PasswordExpires=$false}; (Get-CimInstance Win32_UserAccount -Filter "Name='Administrator'").PasswordExpires`, "False",
	)
}

func TestServiceCmdlets(t *testing.T) {
	m := booted(t, Boot{})
	m.shows(t,
		`$s = Get-Service -Name winrm; "$($s.Name) $($s.Status) $($s.StartType)"`, "WinRM Running Automatic",
		`Stop-Service WinRM; (Get-Service WinRM).Status; Start-Service -Name WinRM -PassThru | ForEach-Object { "$($_.Status)" }`, "Stopped\nRunning",
		`Set-Service -Name BITS -StartupType Disabled; (Get-Service BITS).StartType; try { Start-Service BITS -ErrorAction Stop } catch { 'caught' }`, "Disabled\ncaught",
		`Get-Service Nope`, "!Cannot find any service with service name 'Nope'.",
		`(Get-Service Win* | Where-Object { $_.Status -eq 'Running' }).Count`, "3",
		`Get-Service nope* | ForEach-Object { 'x' }; (Get-Service -Name Nope -ErrorAction SilentlyContinue) -eq $null`, "True",
		`Stop-Service HTTP`, "!dependent",
		`Stop-Service HTTP -Force; Restart-Service WinRM; (Get-Service WinRM).Status; (Get-Service HTTP).Status`, "Running\nRunning",
		`try { Stop-Service } catch { $_.FullyQualifiedErrorId }; try { Stop-Service -Name $null } catch { 'none' }; (gsv WinRM).Status`, "MissingMandatoryParameter,Microsoft.PowerShell.Commands.StopServiceCommand\nnone\nRunning",
		`$s = Get-Service WinRM; $s.Stop(); $s.WaitForStatus('Stopped', '00:00:05'); $s.Status`, "Stopped",
		`New-Service -Name Mine -BinaryPathName C:\mine.exe | Out-Null; Start-Service Mine`, "!not a valid Win32 application",
	)
	out, stderr, _ := m.powershell(t, Login{User: "Administrator"}, "Stop-Service Spooler")
	if s, _ := m.Service("Spooler"); !s.Running || !strings.Contains(stderr, "denied") {
		t.Errorf("without rights: %q %q", out, stderr)
	}
}

func TestTaskCmdlets(t *testing.T) {
	m := booted(t, Boot{})
	if err := m.AddAccount(Account{Name: "bob", Password: secretWord}); err != nil {
		t.Fatal(err)
	}
	const wait = `function finish($n) { while ((Get-ScheduledTask -TaskName $n).State -eq 'Running') { Start-Sleep -Milliseconds 20 }; while (($i = Get-ScheduledTaskInfo -TaskName $n).LastTaskResult -eq 267009) { Start-Sleep -Milliseconds 20 }; $i.LastTaskResult }
`
	m.shows(t,
		wait+`$a = New-ScheduledTaskAction -Execute 'cmd.exe' -Argument '/c echo %USERNAME%>C:\task.txt & exit 5'
		 $p = New-ScheduledTaskPrincipal -UserId 'NT AUTHORITY\SYSTEM' -LogonType ServiceAccount -RunLevel Highest
		 $s = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -ExecutionTimeLimit (New-TimeSpan -Hours 2)
		 (Register-ScheduledTask -TaskName build -Action $a -Principal $p -Settings $s).TaskName
		 Start-ScheduledTask -TaskName build; finish build; Get-Content C:\task.txt`, "build\n5\nTESTER$",
		`$t = Get-ScheduledTask -TaskName BUILD; $t.State; $t.Principal.UserId; $t.Principal.RunLevel; $t.Settings.ExecutionTimeLimit; $t.Actions[0].Execute`, "Ready\nSYSTEM\nHighest\nPT2H\ncmd.exe",
		`Register-ScheduledTask -TaskName build -Action (New-ScheduledTaskAction -Execute x) -User SYSTEM`, "!exists",
		`Register-ScheduledTask -TaskName bad -Action (New-ScheduledTaskAction -Execute x) -User bob -Password 'wrong'`, "!The user name or password is incorrect.",
		wait+`$a = New-ScheduledTaskAction -Execute 'cmd.exe' -Argument '/c echo %USERNAME%>C:\bob.txt'
		 Register-ScheduledTask -TaskName bob -Action $a -User 'TESTER\bob' -Password '`+secretWord+`' -RunLevel Highest | Out-Null
		 Start-ScheduledTask bob; finish bob; Get-Content C:\bob.txt`, "0\nbob",
		`Unregister-ScheduledTask -TaskName build -Confirm:$false; Get-ScheduledTask -TaskName build`, "!No MSFT_ScheduledTask objects found",
		`Get-ScheduledTask | Unregister-ScheduledTask -Confirm:$false; @(Get-ScheduledTask).Count`, "0",
		`Register-ScheduledTask -TaskName x -Xml '<Task/>'`, "!cannot run Register-ScheduledTask -Xml",
	)
}

func TestUserCmdlets(t *testing.T) {
	m := booted(t, Boot{})
	m.shows(t,
		`$p = ConvertTo-SecureString '`+secretWord+`' -AsPlainText -Force; (New-LocalUser -Name ann -Password $p -FullName 'Ann B').Name; Add-LocalGroupMember -Group Administrators -Member ann
		 Get-LocalGroupMember Administrators | ForEach-Object { $_.Name }`, "ann\nTESTER\\Administrator\nTESTER\\ann",
		`Add-LocalGroupMember Administrators ann`, "!already a member",
		`Set-LocalUser ann -Password (ConvertTo-SecureString simple -AsPlainText -Force)`, "!does not meet the length, complexity",
		`Disable-LocalUser ann; (Get-LocalUser ann).Enabled; Get-LocalUser ann | Enable-LocalUser; (Get-LocalUser -Name ANN).Enabled`, "False\nTrue",
		`Get-LocalUser nobody`, "!User nobody was not found.",
		`New-LocalUser sid1 -Password (ConvertTo-SecureString 'P@ssw0rd!x' -AsPlainText -Force) | Out-Null; Remove-LocalUser -SID (Get-LocalUser sid1).SID; @(Get-LocalUser sid*).Count`, "0",
		`Remove-LocalUser ann; Get-LocalUser a* | ForEach-Object { $_.Name }`, "Administrator",
	)
}

func TestFirewallCmdlets(t *testing.T) {
	m := booted(t, Boot{})
	m.shows(t,
		`(Get-NetFirewallRule -Name 'WINRM-HTTP-In-TCP*').Count; Set-NetFirewallRule -Name 'WINRM-HTTP-In-TCP*' -RemoteAddress Any`, "2",
		`Get-NetFirewallRule -DisplayName nope`, "!No MSFT_NetFirewallRule objects found with property 'DisplayName' equal to 'nope'",
		`New-NetFirewallRule -DisplayName 'WinRM HTTPS' -Name https -Direction Inbound -LocalPort 5986 -Protocol TCP -Action Allow | ForEach-Object { "$($_.Name) $($_.Enabled) $($_.Action)" }`, "https True Allow",
		`New-NetFirewallRule -DisplayName x -Name HTTPS -LocalPort 5986 -Protocol TCP`, "!exists",
		`New-NetFirewallRule -DisplayName x -LocalPort 80 -Action Allow`, "!Ports go with",
		`New-NetFirewallRule -DisplayName x -LocalPort '80,443' -Protocol TCP`, "!One of the port keywords is invalid",
		`New-NetFirewallRule -DisplayName x -Protocol Foo`, "!protocol Foo is not valid",
		`New-NetFirewallRule -DisplayName x -Profile Domain,Foo`, "!-Profile is Any, Domain",
		`try { New-NetFirewallRule -DisplayName x -Service W32Time } catch { }`, "!-Service W32Time",
		`try { New-NetFirewallRule -DisplayName x -PolicyStore GPO } catch { }`, "!-PolicyStore GPO",
		`New-NetFirewallRule -DisplayName fine -LocalPort 80,'90-92' -Protocol TCP -Profile 'Domain, Private' -Service Any | ForEach-Object { $_.Profile }`, "Domain,Private",
		`Get-NetConnectionProfile -InterfaceAlias 'Ethernet 2'`, "!No MSFT_NetConnectionProfile objects found",
		`Set-NetConnectionProfile -InterfaceIndex 99 -NetworkCategory Private -ErrorAction SilentlyContinue; (Get-NetConnectionProfile -Name Net*).NetworkCategory`, "Public",
		`Disable-NetFirewallRule -DisplayGroup 'Windows Remote Management'; (Get-NetFirewallRule -Name WINRM-HTTP-In-TCP).Enabled; Enable-NetFirewallRule -DisplayGroup 'Windows Remote Management'`, "False",
		`Set-NetFirewallProfile -Profile Domain,Public,Private -Enabled False; (Get-NetFirewallProfile -Profile Public).Enabled`, "False",
		`Get-NetConnectionProfile | Set-NetConnectionProfile -NetworkCategory Private; (Get-NetConnectionProfile).NetworkCategory`, "Private",
		`Set-NetFirewallRule -Name https -LocalPort 99999`, "!One of the port keywords is invalid",
	)
	until(t, "WinRM answers", func() bool { return m.reachable("winrm") })
}

func TestRegistryDrive(t *testing.T) {
	m := booted(t, Boot{})
	const key = `HKLM:\SOFTWARE\Policies\Microsoft\Windows\WinRM\Service`
	m.shows(t,
		`Set-ItemProperty -Path `+key+` -Name AllowBasic -Value 1; 'on'`, "!Cannot find path",
		`Set-ItemProperty -Path `+key+` -Name AllowBasic -Value 1 -ErrorAction SilentlyContinue; 'on'`, "on",
		`New-Item -Path `+key+` -Force | Out-Null; Set-ItemProperty -Path `+key+` -Name AllowBasic -Value 1 -Type DWord; (Get-ItemProperty `+key+`).AllowBasic; (Get-ItemProperty -Path `+key+` -Name AllowBasic).AllowBasic.GetType().Name`, "1\nInt32",
		`Test-Path HKLM:\SOFTWARE\Nope; Test-Path `+key+`; (Get-Item `+key+`).GetValue('AllowBasic', 7); (Get-Item `+key+`).GetValue('Nope', 7)`, "False\nTrue\n1\n7",
		`New-ItemProperty `+key+` -Name S -Value 'a' -PropertyType String | Out-Null; New-ItemProperty `+key+` -Name S -Value 'b'`, "!already exists",
		`Set-ItemProperty `+key+` S 5; (Get-ItemProperty `+key+`).S.GetType().Name; Remove-ItemProperty `+key+` S; (Get-ItemProperty `+key+`).S -eq $null`, "String\nTrue",
		`New-Item HKCU:\Software\Mine | Out-Null; New-Item HKCU:\Software\Mine\Deep\er`, "!does not exist",
		`New-Item HKCU:\Software\Mine`, "!already exists",
		`Get-ChildItem HKCU:\Software | ForEach-Object { $_.PSChildName }; Remove-Item HKCU:\Software\Mine -Recurse; Test-Path HKCU:\Software\Mine`, "Microsoft\nMine\nFalse",
		`(Get-ItemProperty 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion').ProductName`, "Windows Server 2019 Datacenter",
		`Test-Path 'Registry::HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet'`, "True",
		`[Environment]::SetEnvironmentVariable('TOOL', 'C:\t', 'Machine'); [Environment]::GetEnvironmentVariable('TOOL', 'Machine'); "[$Env:TOOL]"`, "C:\\t\n[]",
		`$Env:TOOL`, `C:\t`,
	)
	if !(backend{m}).Service().Basic {
		t.Error("the policy has no effect")
	}
}

func TestWSManDrive(t *testing.T) {
	m := booted(t, Boot{})
	m.shows(t,
		`(Get-Item WSMan:\localhost\Service\AllowUnencrypted).Value; Set-Item WSMan:\localhost\Service\AllowUnencrypted -Value $true; (Get-Item WSMan:\localhost\Service\AllowUnencrypted).Value`, "false\ntrue",
		`Set-Item -Path WSMan:\localhost\Service\Auth\Basic -Value $true -Force; Set-Item WSMan:\localhost\Shell\MaxMemoryPerShellMB 2048; Set-Item WSMan:\localhost\MaxTimeoutms 1800000; 'set'`, "set",
		`Set-Item WSMan:\localhost\Service\Auth\Basic maybe`, "!true or false",
		`Set-Item WSMan:\localhost\Service\Nope 1`, "!Nope",
		`(Get-ChildItem WSMan:\localhost\Listener | Where-Object { $_.Keys -contains 'Transport=HTTP' }).Name.StartsWith('Listener_')`, "True",
		`$c = New-SelfSignedCertificate -DnsName f -FriendlyName mine; $c.FriendlyName; Remove-Item $c.PSPath.Replace('Microsoft.PowerShell.Security\Certificate::', 'Cert:\')`, "mine",
		`$c = New-SelfSignedCertificate -DnsName TESTER -CertStoreLocation Cert:\LocalMachine\My; $c.Thumbprint.Length; (Get-ChildItem Cert:\LocalMachine\My).Subject
		 New-WSManInstance winrm/config/Listener -SelectorSet @{Address='*'; Transport='HTTPS'} -ValueSet @{Hostname='TESTER'; CertificateThumbprint=$c.Thumbprint}; @(Get-ChildItem WSMan:\localhost\Listener).Count`, "40\nCN=TESTER\n2",
		`Get-ChildItem WSMan:\localhost\Listener | Where-Object { $_.Keys -contains 'Transport=HTTPS' } | Remove-Item -Recurse; @(Get-ChildItem WSMan:\localhost\Listener).Count`, "1",
		`$ErrorActionPreference = 'stop'; $c = @(Get-ChildItem Cert:\LocalMachine\My)[0]
		 (New-Item -Path WSMan:\LocalHost\Listener -Transport HTTPS -Address * -CertificateThumbPrint $c.Thumbprint -Port 5987 -Force).Keys -join ' '
		 (Get-WSManInstance winrm/config/Listener -SelectorSet @{Address='*'; Transport='HTTPS'}).Port
		 Remove-Item -Path WSMan:\Localhost\listener\listener* -Recurse; @(Get-ChildItem WSMan:\localhost\Listener).Count
		 cd WSMan:\localhost\Listener; $null = New-Item . -Transport HTTP -Address * -Force; @(Get-ChildItem).Count`, "Transport=HTTPS Address=*\n5987\n0\n1",
		`New-Item -Path WSMan:\localhost\Listener -Transport HTTP -Address * -Force`, "!exists",
		`New-Item -Path WSMan:\localhost\Listener -Transport HTTPS -Address *`, "!without -Force, which asks",
		`New-Item -Path WSMan:\localhost\Listener -Transport TCP -Address * -Force`, "!HTTP,HTTPS",
		`New-Item -Path WSMan:\localhost\Listener -Address * -Force`, "!missing mandatory parameters",
		`New-Item -Path WSMan:\localhost\ClientCertificate -Force`, "!outside of the subset",
		`New-Item -Path C:\x.txt -Transport HTTP`, "!parameter name 'Transport'",
		`Enable-PSRemoting -Force -SkipNetworkProfileCheck; Set-WSManQuickConfig -Force; 'done'`, "done",
	)
	if s := (backend{m}).Service(); !s.Basic || !s.AllowUnencrypted {
		t.Errorf("%+v", s)
	}
}

func TestPowerCmdlets(t *testing.T) {
	ended := make(chan bool, 1)
	m := booted(t, Boot{Exited: func(reboot bool) { ended <- reboot }})
	m.shows(t,
		`Rename-Computer -NewName BUILT -WarningAction SilentlyContinue; $Env:COMPUTERNAME`, "TESTER",
		`Restart-Computer -Force; Start-Sleep 100`, "",
	)
	if !<-ended {
		t.Error("it was no reboot")
	}
	if err := m.Boot(Boot{}); err != nil {
		t.Fatal(err)
	}
	m.shows(t, `$Env:COMPUTERNAME`, "BUILT")
}

func TestRefusedCmdlets(t *testing.T) {
	m := booted(t, Boot{})
	m.shows(t,
		`Install-WindowsFeature -Name Web-Server -IncludeManagementTools`, "!no roles and features",
		`try { Install-Module Pester } catch { 'caught' }`, "!no gallery",
		`try { Get-TimeZone -Id 'Pacific Standard Time' } catch { }`, "!Get-TimeZone Pacific",
		`Get-NoSuchThing`, "!is not recognized",
	)
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"PT72H": 72 * time.Hour, "P3D": 72 * time.Hour, "P1DT1M": 24*time.Hour + time.Minute, "PT0S": 0, "": 0, "00:00:05": 5 * time.Second, "1.02:03": 26*time.Hour + 3*time.Minute, "pt1h30m": 90 * time.Minute,
	} {
		if got, err := durationOf(text); got != want || err != nil {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"5", "P", "PT", "P1M", "1:2:3:4", "x", "99999999999999999999:00"} {
		if d, err := durationOf(text); err == nil {
			t.Errorf("%s was taken for %v", text, d)
		}
	}
	for d, want := range map[time.Duration]string{0: "PT0S", 72 * time.Hour: "PT72H", 90*time.Minute + time.Second: "PT1H30M1S"} {
		if got := isoDuration(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}
