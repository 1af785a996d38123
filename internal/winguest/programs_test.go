package winguest

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// session runs command lines on a machine, each as a process of its own.
type session struct {
	t     *testing.T
	m     *Machine
	login Login
}

func newSession(t *testing.T) *session {
	m := booted(t, Boot{})
	if err := m.AddAccount(Account{Name: "bob", Password: "Passw0rd!"}); err != nil {
		t.Fatal(err)
	}
	if err := m.disk.mkdirAll(`C:\work`); err != nil {
		t.Fatal(err)
	}
	return &session{t, m, m.login("Administrator", true)}
}

func (s *session) run(line string, input ...string) (out, errs string, code int) {
	s.t.Helper()
	var o, e safeBuffer
	p, err := s.m.Start(Launch{Line: line, Login: s.login, Dir: `C:\work`, Job: "test", Stdin: strings.NewReader(strings.Join(input, "")), Stdout: &o, Stderr: &e})
	if err != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
	select {
	case <-p.Done():
	case <-time.After(30 * time.Second):
		p.Kill(1)
		s.t.Fatalf("%s did not end", line)
	}
	if strings.Contains(o.String()+e.String(), "crashed:") {
		s.t.Errorf("%s: %s", line, e.String())
	}
	if strings.Contains(strings.ReplaceAll(o.String()+e.String(), "\r\n", ""), "\n") {
		s.t.Errorf("%s: a line of %q ends without CR", line, o.String()+e.String())
	}
	plain := func(b *safeBuffer) string { return strings.ReplaceAll(b.String(), "\r\n", "\n") }
	return plain(&o), plain(&e), p.Wait()
}

// ok runs a line that has to succeed and to print something that matches.
func (s *session) ok(line, match string, input ...string) string {
	s.t.Helper()
	out, errs, code := s.run(line, input...)
	if code != 0 || !regexp.MustCompile(`(?s)`+match).MatchString(out) {
		s.t.Errorf("%s: code %d, printed %q and %q, want 0 and %q", line, code, out, errs, match)
	}
	return out
}

// bad runs a line that has to fail with a code and a message.
func (s *session) bad(line string, want int, match string, input ...string) {
	s.t.Helper()
	out, errs, code := s.run(line, input...)
	if code != want || !regexp.MustCompile(`(?s)`+match).MatchString(out+errs) {
		s.t.Errorf("%s: code %d, printed %q and %q, want %d and %q", line, code, out, errs, want, match)
	}
}

func (s *session) refused(line, match string) {
	s.t.Helper()
	_, errs, code := s.run(line)
	if code == 0 || !strings.Contains(errs, "cannot run") && !strings.Contains(errs, "not supported here") || !regexp.MustCompile(match).MatchString(errs) {
		s.t.Errorf("%s: code %d, printed %q, want a refusal that says %q", line, code, errs, match)
	}
}

func TestNet(t *testing.T) {
	s := newSession(t)
	s.ok(`net user`, `Administrator +bob|bob`)
	s.ok(`net user alice "Pa ss1234!" /add /fullname:"Alice A" /active:yes /expires:never`, `completed successfully`)
	if a, ok := s.m.Account("alice"); !ok || a.Password != "Pa ss1234!" || a.FullName != "Alice A" || a.Disabled {
		t.Errorf("the account is %+v, %v", a, ok)
	}
	s.ok(`net user alice /active:no`, ``)
	s.ok(`net user Alice`, `Account active +No.*\*Users`)
	s.ok(`net user alice OtherPassw0rd!!!`, `longer than 14.*\[Y\].*completed`) // as nobody answers
	s.bad(`net user alice OtherPassw0rd!!!`, 2, `No valid response`, "n\r\n")
	s.ok(`net user alice Passw0rd!! /y`, ``)
	s.bad(`net user alice abc`, 2, `password policy.*HELPMSG 2245`)
	s.bad(`net user nobody x1X!`, 2, `could not be found.*2221`)
	s.bad(`net user bob Passw0rd! /add`, 2, `2224`)
	s.refused(`net user bob /expires:01/01/2030`, `expires`)
	s.refused(`net user bob *`, `password`)
	s.ok(`net localgroup Administrators alice /add`, `completed`)
	if !s.m.IsAdmin("alice") {
		t.Error("alice is no administrator")
	}
	s.bad(`net localgroup administrators alice /add`, 2, `error 1378`)
	s.bad(`net localgroup nogroup alice /add`, 2, `error 1376`)
	s.bad(`net localgroup Users nobody /add`, 2, `no such global user or group: nobody`)
	s.ok(`net localgroup Administrators`, `Members.*alice`)
	s.ok(`net localgroup Administrators TESTER\alice /delete`, ``)
	s.ok(`net localgroup builders /add /comment:"who build"`, ``)
	s.ok(`net localgroup`, `\*builders`)
	s.bad(`net localgroup builders /add`, 2, `1379`)
	s.refused(`net localgroup builders /delete`, `deleted`)
	s.ok(`net user alice /delete`, `completed`)
	s.bad(`net user alice`, 2, `2221`)

	s.ok(`net stop Spooler`, `Print Spooler service was stopped successfully`)
	s.bad(`net stop spooler`, 2, `is not started.*3521`)
	s.ok(`net start "Print Spooler"`, `started successfully`)
	s.bad(`net start Spooler`, 2, `already been started.*2182`)
	s.bad(`net start nosuch`, 2, `2185`)
	s.bad(`net stop RpcSs`, 2, `2191`)
	s.bad(`net stop HTTP`, 2, `dependent`)
	s.ok(`net stop HTTP /y`, `stopped`)
	s.ok(`net start`, `DHCP Client`)
	s.ok(`net session`, `no entries`)
	s.ok(`net accounts /maxpwage:unlimited`, ``)
	s.refused(`net accounts /minpwlen:4`, `maxpwage`)
	s.refused(`net use x: \\server\share`, `net use`)
	s.login = s.m.login("bob", false)
	s.bad(`net session`, 2, `error 5.*Access is denied`)
	s.bad(`net user eve Passw0rd! /add`, 2, `error 5`)
	s.bad(`net stop Spooler`, 2, `error 5`)
}

func TestNetsh(t *testing.T) {
	s := newSession(t)
	rule := func(name string) (list []Rule) {
		for _, r := range s.m.FirewallRules() {
			if r.Display == name {
				list = append(list, r)
			}
		}
		return list
	}
	const winrmIn = "Windows Remote Management (HTTP-In)"
	s.ok(`netsh advfirewall firewall set rule name="`+winrmIn+`" new enable=yes action=block`, `Updated 2 rule\(s\)\.\nOk\.`)
	for _, r := range rule(winrmIn) {
		if !r.Block || !r.Enabled {
			t.Errorf("the rule is %+v", r)
		}
	}
	s.ok(`netsh advfirewall firewall set rule name="`+winrmIn+`" new action=allow localip=any remoteip=any`, `Ok`)
	for _, r := range rule(winrmIn) {
		if r.Block || r.RemoteAddr != "Any" {
			t.Errorf("the rule is %+v", r)
		}
	}
	s.ok(`netsh advfirewall firewall add rule name="WinRM 5986" protocol=TCP dir=in localport=5986 action=allow`, `Ok`)
	s.ok(`netsh advfirewall firewall add rule "name=WinRM 5986" protocol=TCP dir=in localport=5986 action=allow profile=public,private`, `Ok`)
	if l := rule("WinRM 5986"); len(l) != 2 || l[0].LocalPort != "5986" || !l[0].Enabled || l[1].Profile != "public,private" {
		t.Errorf("the rules are %+v", l)
	}
	s.ok(`netsh advfirewall firewall set rule group="Remote Desktop" new enable=No`, `Updated 1`)
	s.ok(`netsh advfirewall firewall show rule name="WinRM 5986"`, `LocalPort: +5986.*Action: +Allow`)
	s.ok(`netsh advfirewall firewall delete rule name="winrm 5986" protocol=tcp localport=5986`, `Deleted 2`)
	s.bad(`netsh advfirewall firewall delete rule name="WinRM 5986"`, 1, `No rules match`)
	s.bad(`netsh advfirewall firewall set rule name=nosuch new enable=yes`, 1, `No rules match`)
	s.bad(`netsh advfirewall firewall add rule name=x`, 1, `essential parameters`)
	s.refused(`netsh advfirewall firewall add rule name=x dir=sideways action=allow`, `in, out`)
	s.refused(`netsh advfirewall firewall add rule name=x dir=in action=allow color=red`, `color`)
	s.bad(`netsh advfirewall firewall add rule name=x dir=in action=allow localport=80`, 1, `protocol is TCP`)
	s.ok(`netsh advfirewall set allprofiles state off`, `Ok`)
	for _, p := range networkProfiles {
		if s.m.FirewallOn(p) {
			t.Errorf("the firewall of %s is on", p)
		}
	}
	s.ok(`netsh advfirewall set currentprofile state on`, ``)
	s.ok(`netsh advfirewall show publicprofile state`, `State +ON`)
	s.ok(`netsh firewall add portopening TCP 5985 "Port 5985"`, ``)
	s.ok(`netsh firewall set opmode disable`, ``)
	s.ok(`netsh winhttp show proxy`, `Direct access`)
	s.refused(`netsh winhttp set proxy x`, `winhttp show`)
	s.refused(`netsh interface ipv4 show config`, `known are`)
	s.login = s.m.login("bob", false)
	s.bad(`netsh advfirewall set allprofiles state off`, 1, `requires elevation`)
}

func TestWinrm(t *testing.T) {
	s := newSession(t)
	s.ok(`winrm delete winrm/config/listener?Address=*+Transport=HTTP`, `^$`)
	s.bad(`winrm delete winrm/config/listener?Address=*+Transport=HTTP`, 1, `WSManFault.*cannot find the resource.*0x80338002`)
	s.ok(`winrm create winrm/config/Listener?Address=*+Transport=HTTP`, `ResourceCreated.*Transport = HTTP`)
	s.bad(`winrm create winrm/config/Listener?Address=*+Transport=HTTP`, 1, `already exists.*0x80338033|0x80338033.*already exists`)
	for _, form := range []string{`@{MaxTimeoutms="7200000"}`, `@{MaxTimeoutms=7200000}`, `"@{MaxTimeoutms=\"7200000\"}"`, `@{ MaxTimeoutms = "7200000" ; }`} {
		s.ok(`winrm set winrm/config @{MaxTimeoutms="60000"}`, `MaxTimeoutms = 60000`)
		s.ok(`winrm set winrm/config `+form, `MaxTimeoutms = 7200000`)
	}
	s.ok(`winrm set winrm/config/winrs @{MaxMemoryPerShellMB="0"}`, `Winrs.*MaxMemoryPerShellMB = 0`)
	s.ok(`winrm set winrm/config/service @{AllowUnencrypted="true";MaxConcurrentOperationsPerUser="12000"}`, `AllowUnencrypted = true`)
	s.ok(`winrm set winrm/config/service/auth @{Basic="true"}`, `Auth.*Basic = true`)
	s.ok(`winrm get winrm/config`, `Config\n    MaxEnvelopeSizekb = 500\n.*\n    Service\n.*\n        Auth\n            Basic = true`)
	s.ok(`winrm get winrm/config/listener?Address=*+Transport=HTTP`, `Port = 5985`)
	s.ok(`winrm set winrm/config/listener?Address=*+Transport=HTTP @{Port="5995"}`, `Port = 5995`)
	s.ok(`winrm enumerate winrm/config/listener`, `Listener.*Transport = HTTP`)
	s.bad(`winrm create winrm/config/listener?Address=*+Transport=HTTPS`, 1, `certificate`)
	c, err := s.m.NewCertificate("", []string{"tester"}, time.Time{}, "")
	if err != nil {
		t.Fatal(err)
	}
	s.ok(`winrm create winrm/config/listener?Address=*+Transport=HTTPS @{Hostname="tester"; CertificateThumbprint="`+c.Thumbprint+`"}`, `HTTPS`)
	if l := s.m.Listeners(); len(l) != 2 || l[1].Hostname != "tester" || l[1].Thumbprint != c.Thumbprint {
		t.Errorf("the listeners are %+v", l)
	}
	s.bad(`winrm set winrm/config/service @{NoSuch="1"}`, 1, `NoSuch`)
	s.bad(`winrm set winrm/config/service @{AllowUnencrypted="perhaps"}`, 1, `true or false`)
	s.ok(`winrm quickconfig -q`, `updated|already`)
	s.ok(`winrm qc -quiet`, `already`)
	s.bad(`winrm quickconfig`, 1, `Nobody|nobody`)
	s.ok(`winrm quickconfig`, `y/n`, "y\r\n")
	s.refused(`winrm invoke Restore winrm/config @{}`, `invoke`)
	s.refused(`winrm get wmicimv2/Win32_Service`, `winrm/config`)
	s.refused(`winrm set winrm/config/service @{AllowUnencrypted="true"`, `closing`)
	s.refused(`winrm create winrm/config/listener`, `chosen`)
	s.refused(`winrm set winrm/config`, `needs values`)
	s.login = s.m.login("bob", false)
	s.bad(`winrm set winrm/config/service @{AllowUnencrypted="true"}`, 1, `0x80070005`)
}

func FuzzWinrmValues(f *testing.F) {
	for _, v := range []string{`@{A="b";C="d"}`, `@{A=b}`, `"@{A=\"b\"}"`, `@{`, `@{A=}`, `@{A="`, `@{=}`, `x`} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values, _, err := readValues(text)
		if err != nil && values != nil {
			t.Errorf("%q: values and an error", text)
		}
	})
}

// FuzzProgramWords: whatever stands on their lines, the programs that read them
// by themselves come to an end of it.
func FuzzProgramWords(f *testing.F) {
	for _, v := range []string{`useraccount where "name='x'" set A=B`, `path X where (a="b (c)") get`, `^a.*[b-c]$\<x`, `winrm/config/listener?Address=*+Transport=HTTP`, `"`, `(`, `[`, `\`} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, text string) {
		wmicWords(text)
		readResource(text)
		decoded([]byte(text))
		if re, err := findstrRegexp(text); err == nil {
			if _, err := regexp.Compile(re); err != nil && utf8.ValidString(text) && !strings.Contains(text, "[") {
				t.Errorf("%q became %q: %v", text, re, err)
			}
		}
	})
}

func TestWmic(t *testing.T) {
	s := newSession(t)
	s.ok(`wmic useraccount where "name='Administrator'" set PasswordExpires=FALSE`, `update successful`)
	if a, _ := s.m.Account("Administrator"); !a.NeverExpires {
		t.Error("the password still expires")
	}
	s.ok(`wmic useraccount where name='bob' get Name,Disabled`, `Disabled +Name +\nFALSE +bob`)
	s.ok(`wmic useraccount where (name="bob" and disabled=false) get name /value`, `\n\nName=bob\n`)
	s.ok(`wmic os get lastbootuptime`, `LastBootUpTime +\n\d{14}\.\d{6}\+000`)
	s.ok(`wmic os get Caption /format:csv`, `Node,Caption\nTESTER,Microsoft Windows Server 2019`)
	s.ok(`wmic path Win32_OperatingSystem get Version`, `10\.0\.17763`)
	out := s.ok(`wmic process call create "cmd.exe /c echo made> C:\work\made.txt"`, `ReturnValue = 0`)
	if !strings.Contains(out, "ProcessId = ") {
		t.Errorf("no id in %q", out)
	}
	until(t, "the process wrote its file", func() bool { st, err := s.m.disk.stat(`C:\work\made.txt`); return err == nil && st.Size > 0 })
	s.ok(`wmic service where name="Spooler" call stopservice`, `ReturnValue = 0`)
	if v, _ := s.m.Service("Spooler"); v.Running {
		t.Error("the service runs")
	}
	s.bad(`wmic service where name="Spooler" call stopservice`, 5, `ReturnValue = 5`)
	if _, errs, code := s.run(`wmic useraccount where name='none' set PasswordExpires=FALSE`); code != 0 || !strings.Contains(errs, "No Instance") {
		t.Errorf("no instances: %d, %q", code, errs)
	}
	s.bad(`wmic nosuch get x`, 44135, `Alias not found`)
	s.bad(`wmic os get NoSuch`, 1, `NoSuch`)
	s.bad(`wmic os set Caption=x`, 1, `read-only`)
	s.refused(`wmic os frobnicate`, `frobnicate`)
	s.refused(`wmic`, `console`)
	s.refused(`wmic /node:other os get Caption`, `/node`)
	s.refused(`wmic useraccount where "name='x get`, `quote`)
}

func TestShutdown(t *testing.T) {
	s := newSession(t)
	s.bad(`shutdown /a`, 1116, `\(1116\)`)
	s.ok(`shutdown /r /f /t 600 /c "a comment" /d p:4:1`, ``)
	s.bad(`shutdown -r -t 600`, 1190, `\(1190\)`)
	s.ok(`shutdown /a`, ``)
	s.refused(`shutdown /r /s`, `one of`)
	s.refused(`shutdown`, `one of`)
	s.refused(`shutdown /l`, `/l`)
	s.refused(`shutdown /r /t soon`, `/t`)
	s.bad(`shutdown /r /m \\elsewhere`, 53, `53`)
	s.ok(`shutdown /s /t 0`, ``)
	s.bad(`shutdown /a`, 1115, `\(1115\)`)
	s2 := newSession(t)
	s2.login = s2.m.login("bob", false)
	s2.bad(`shutdown /r /t 0`, 5, `denied`)
}

func TestReg(t *testing.T) {
	s := newSession(t)
	s.ok(`reg add HKLM\SOFTWARE\Made /v Number /t REG_DWORD /d 0x10 /f`, `completed successfully`)
	s.ok(`reg add "HKEY_LOCAL_MACHINE\Software\Made\Below it" /v Text /d "a b" /f`, ``)
	s.ok(`reg add HKLM\SOFTWARE\Made /v Many /t REG_MULTI_SZ /d a\0b /f`, ``)
	s.ok(`reg add HKLM\SOFTWARE\Made /v Bytes /t REG_BINARY /d 00ff /f`, ``)
	s.ok(`reg add HKLM\SOFTWARE\Made /ve /d default /f`, ``)
	s.ok(`reg query HKLM\SOFTWARE\Made`, `HKEY_LOCAL_MACHINE\\SOFTWARE\\Made\n.*\(Default\)    REG_SZ    default\n.*Bytes    REG_BINARY    00FF\n.*Many    REG_MULTI_SZ    a\\0b\n.*Number    REG_DWORD    0x10\n\nHKEY_LOCAL_MACHINE\\SOFTWARE\\Made\\Below it\n`)
	s.ok(`reg query HKLM\SOFTWARE\Made /v number`, `Number    REG_DWORD    0x10`)
	s.ok(`reg query HKLM\SOFTWARE\Made /s`, `Below it\n    Text    REG_SZ    a b`)
	s.bad(`reg query HKLM\SOFTWARE\Made /v none`, 1, `ERROR: The system was unable to find`)
	s.bad(`reg query HKLM\SOFTWARE\None`, 1, `ERROR: The system was unable to find`)
	s.bad(`reg query HKXX\SOFTWARE`, 1, `ERROR`)
	s.bad(`reg add HKLM\SOFTWARE\Made /v Number /t REG_DWORD /d 5`, 1, `overwrite`)
	s.ok(`reg add HKLM\SOFTWARE\Made /v Number /t REG_DWORD /d 5`, `overwrite`, "Yes\r\n")
	s.bad(`reg add HKLM\SOFTWARE\Made /v X /t REG_DWORD /d many /f`, 1, `ERROR`)
	s.bad(`reg delete HKLM\SOFTWARE\Made /v Number`, 1, `Nobody`)
	s.ok(`reg delete HKLM\SOFTWARE\Made /v Number /f`, ``)
	s.bad(`reg delete HKLM\SOFTWARE\Made /v Number /f`, 1, `unable to find`)
	s.ok(`reg delete HKLM\SOFTWARE\Made /f`, ``)
	s.bad(`reg query HKLM\SOFTWARE\Made`, 1, ``)
	s.refused(`reg export HKLM\SOFTWARE x.reg`, `export`)
	s.refused(`reg add HKLM\SOFTWARE\Made /v`, `value`)
	s.login = s.m.login("bob", false)
	s.bad(`reg add HKLM\SOFTWARE\Made /v X /d x /f`, 1, `Access is denied`)
	s.ok(`reg add HKCU\Software\Made /v X /d x /f`, ``)
}

func TestSc(t *testing.T) {
	s := newSession(t)
	s.ok(`sc query WinRM`, `SERVICE_NAME: WinRM.*4  RUNNING`)
	s.bad(`sc query nosuch`, 1060, `FAILED 1060`)
	s.ok(`sc config Spooler start= disabled`, `ChangeServiceConfig SUCCESS`)
	s.ok(`sc qc Spooler`, `START_TYPE +: 4   DISABLED`)
	s.ok(`sc stop Spooler`, `STOPPED`)
	s.bad(`sc start Spooler`, 1058, `FAILED 1058`)
	s.bad(`sc stop Spooler`, 1062, `FAILED 1062`)
	s.ok(`sc config Spooler start=auto`, ``)
	s.ok(`sc start Spooler`, `RUNNING`)
	s.bad(`sc start Spooler`, 1056, `FAILED 1056`)
	s.ok(`sc create made binpath= "C:\x y.exe -k" start= auto displayname= "Made here"`, `CreateService SUCCESS`)
	s.bad(`sc create made binpath= x`, 1073, `1073`)
	s.bad(`sc start made`, 193, `FAILED 193`)
	s.ok(`sc delete made`, `SUCCESS`)
	s.ok(`sc query state= all`, `SERVICE_NAME: wuauserv`)
	s.refused(`sc config Spooler start= sometimes`, `start=`)
	s.refused(`sc failure Spooler reset= 0`, `failure`)
	s.refused(`sc config Spooler`, `start=`)
	s.login = s.m.login("bob", false)
	s.bad(`sc stop Spooler`, 5, `FAILED 5`)
}

func TestSchtasks(t *testing.T) {
	s := newSession(t)
	s.ok(`schtasks /create /tn made /tr "cmd.exe /c echo done> C:\work\task.txt" /sc once /st 00:00 /ru SYSTEM /rl HIGHEST /f`, `successfully been created`)
	s.ok(`schtasks /run /tn made`, `SUCCESS: Attempted`)
	until(t, "the task wrote its file", func() bool { st, err := s.m.disk.stat(`C:\work\task.txt`); return err == nil && st.Size > 0 })
	until(t, "the task is ready again", func() bool { return s.m.TaskState(s.m.Tasks()[0]) == "Ready" })
	s.ok(`schtasks /query /tn made`, `made.*Ready`)
	s.ok(`schtasks /query /fo csv /nh`, `"\\made",`)
	s.ok(`schtasks /query /tn \made /fo list /v`, `Run As User: +SYSTEM`)
	s.ok(`schtasks /create /tn \Folder\named /tr notepad /sc onstart /ru bob /rp Passw0rd! /delay 0001:30`, ``)
	if l := s.m.Tasks(); len(l) != 2 || l[1].Path != `\Folder\` || l[1].Triggers[0].Delay != 90*time.Second || l[1].Logon != LogonPassword {
		t.Errorf("the tasks are %+v", l)
	}
	s.bad(`schtasks /create /tn x /tr x /sc onstart /ru bob /rp wrong`, 1, `user name or password`)
	s.bad(`schtasks /create /tn x /tr x /sc onstart /ru nobody /rp wrong`, 1, `No mapping`)
	s.ok(`schtasks /change /tn made /disable`, ``)
	s.ok(`schtasks /query /tn made`, `Disabled`)
	s.bad(`schtasks /delete /tn made`, 1, `Nobody`)
	s.ok(`schtasks /delete /tn made /f`, `successfully deleted`)
	s.bad(`schtasks /run /tn made`, 1, `ERROR`)
	s.bad(`schtasks /query /tn made`, 1, `ERROR: The system cannot find`)
	s.refused(`schtasks /create /tn x /tr x /sc weekly`, `weekly`)
	s.refused(`schtasks /create /tn x /xml f.xml`, `xml`)
	s.login = s.m.login("bob", false)
	s.bad(`schtasks /create /tn x /tr x /sc onstart`, 1, `denied`)
}

func TestProcessPrograms(t *testing.T) {
	s := newSession(t)
	p, err := s.m.Start(Launch{Line: `cmd /c ping -t localhost`, Login: s.login, Job: "long"})
	if err != nil {
		t.Fatal(err)
	}
	child := func() (id int) {
		for _, q := range s.m.Processes() {
			if strings.EqualFold(q.Name, "ping.exe") {
				id = q.ID
			}
		}
		return id
	}
	until(t, "ping runs", func() bool { return child() != 0 })
	s.ok(`tasklist`, `Image Name.*lsass\.exe`)
	s.ok(`tasklist /fi "imagename eq ping.exe" /fo csv /nh`, `^"[pP](?i:ing\.exe)","`+itoa(child())+`"`)
	s.ok(`tasklist /fi "pid eq 999999"`, `No tasks are running`)
	s.bad(`taskkill /pid `+itoa(child()), 1, `forcefully`)
	s.ok(`taskkill /f /t /pid `+itoa(p.ID), `SUCCESS`)
	until(t, "both are gone", func() bool { return child() == 0 })
	s.bad(`taskkill /f /im ping.exe`, 128, `not found`)
	s.bad(`taskkill /f /pid 999999`, 128, `not found`)
	s.bad(`taskkill /f /im lsass.exe`, 1, `denied`)
	s.refused(`taskkill /fi "x"`, `/fi`)
}

func TestInformation(t *testing.T) {
	s := newSession(t)
	s.ok(`whoami`, `^tester\\administrator\n$`)
	s.ok(`whoami /user`, `S-1-5-21-[\d-]+-500`)
	s.refused(`whoami /groups`, `groups`)
	s.ok(`hostname`, `^TESTER\n$`)
	s.ok(`ipconfig /all`, `Host Name[ .]+: TESTER.*IPv4 Address[ .]+: 127\.0\.0\.1`)
	s.ok(`systeminfo`, `Host Name: +TESTER.*OS Version: +10\.0\.17763`)
	s.ok(`setx MADE "a b" /m`, `SUCCESS`)
	s.ok(`cmd /c echo %MADE%`, `a b`)
	s.ok(`setx OWN value`, `SUCCESS`)
	s.refused(`setx /k MADE x`, `/k`)
	s.ok(`tzutil /g`, `^UTC$`)
	s.refused(`tzutil /s "Pacific Standard Time"`, `UTC`)
	s.ok(`powercfg /hibernate off`, ``)
	s.refused(`powercfg -setactive x`, `power plans`)
	s.ok(`gpupdate /force`, `completed`)
	s.ok(`chcp`, `65001`)
	s.ok(`chcp 65001`, `65001`)
	s.refused(`chcp 437`, `65001`)
	s.ok(`cmd /c echo hello>f.txt& certutil -hashfile f.txt SHA256`, `SHA256 hash of f\.txt:\ncd2eca3535741f27a8ae40c31b0c41d4057a7a7b912b33b9aed86485d1c84676\n.*completed`)
	s.ok(`certutil -encode f.txt f.b64`, `Output Length`)
	s.ok(`certutil -f -decode f.b64 g.txt`, ``)
	s.ok(`cmd /c type g.txt`, `^hello\n$`)
	s.bad(`certutil -decode f.b64 g.txt`, -2147024816, `FAILED: 0x80070050`)
	s.bad(`certutil -hashfile none`, -2147024894, `FAILED: 0x80070002`)
	s.refused(`certutil -addstore root x.cer`, `addstore`)
	s.bad(`timeout /t 5`, 125, `Input redirection is not supported`)
	s.ok(`ping -n 2 127.0.0.1`, `Sent = 2`)
	s.refused(`ping -n 1 example.com`, `itself only`)
}

func TestTextPrograms(t *testing.T) {
	s := newSession(t)
	for name, text := range map[string]string{"a.txt": "one\r\nTwo two\r\nthree 3\r\n", "b.txt": "two\r\n", `sub\c.txt`: "two\r\n"} {
		s.write(name, text)
	}
	s.ok(`find "two" a.txt`, `^\n---------- A\.TXT\nTwo two\n$`)
	s.ok(`find /i /n "TWO" a.txt b.txt`, `\[2\]Two two\n\n---------- B\.TXT\n\[1\]two`)
	s.ok(`find /c /v "" a.txt`, `A\.TXT: 3`)
	s.ok(`find "say ""x"""`, `^say "x"\n$`, "say \"x\"\r\nno\r\n")
	s.bad(`find "zzz" a.txt`, 1, ``)
	s.bad(`find zzz`, 2, `Parameter format`)
	s.bad(`find "x" none.txt`, 1, `File not found - NONE\.TXT`)
	s.ok(`findstr two a.txt`, `^Two two\n$`)
	s.ok(`findstr /i /n "one three" a.txt`, `^1:one\n3:three 3\n$`)
	s.ok(`findstr /c:"o t" a.txt`, `^Two two\n$`)
	s.ok(`findstr /r "^th.* [0-9]$" *.txt`, `^a\.txt:three 3\n$`)
	s.ok(`findstr /s /m two *.txt`, `^a\.txt\nb\.txt\nsub\\c\.txt\n$`)
	s.ok(`findstr /v /x one`, `^two\n$`, "one\r\ntwo\r\n")
	s.ok(`findstr /l "a.c"`, `^a\.c\n$`, "abc\r\na.c\r\n")
	s.bad(`findstr zzz a.txt`, 1, `^$`)
	s.bad(`findstr /q x a.txt`, 2, `not supported`)
	s.ok(`sort`, `^A\nb\nC\n$`, "b\r\nC\r\nA\r\n")
	s.ok(`sort /r a.txt /o sorted.txt`, ``)
	s.ok(`more a.txt`, `one\nTwo two\nthree 3\n`)
	s.ok(`cmd /c type a.txt | find /c "t"`, `^2\n$`)
}

func (s *session) write(name, text string) {
	s.t.Helper()
	s.m.as(s.t, func(p *Proc) {
		full, err := Resolve(`C:\work`, name)
		if err == nil {
			err = s.m.disk.mkdirAll(full[:len(full)-len(baseName(full))-1])
		}
		if err == nil {
			err = p.WriteFile(full, []byte(text))
		}
		if err != nil {
			s.t.Errorf("%s: %v", name, err)
		}
	})
}

func TestFilePrograms(t *testing.T) {
	s := newSession(t)
	for name, text := range map[string]string{`src\a.txt`: "a", `src\b.log`: "b", `src\deep\c.txt`: "c", `src\empty\x`: ""} {
		s.write(name, text)
	}
	s.ok(`cmd /c del src\empty\x`, ``)
	s.ok(`attrib +r +h src\a.txt`, `^$`)
	s.ok(`attrib src\a.txt`, `^A   HR       C:\\work\\src\\a\.txt\n$`)
	s.bad(`cmd /c del src\a.txt`, 0, ``)
	s.ok(`attrib -r -h src\a.txt`, ``)
	s.ok(`attrib src\*.txt /s`, `src\\a\.txt\n.*deep\\c\.txt`)
	s.bad(`attrib none`, 1, `File not found`)
	s.refused(`attrib -a src\a.txt`, `-a`)

	s.ok(`xcopy src dst /e /i /y /q`, `^3 File\(s\) copied\n$`)
	s.ok(`cmd /c if exist dst\empty type dst\deep\c.txt`, `^c$`)
	s.ok(`xcopy src\*.txt flat\ /y`, `1 File`)
	s.bad(`xcopy src\a.txt newname`, 2, `\(F = file, D = directory\).*Nobody`)
	s.ok(`xcopy src\a.txt newname`, `1 File`, "f\r\n")
	s.bad(`xcopy none dst`, 4, `File not found`)
	s.refused(`xcopy src dst /exclude:x`, `/exclude`)

	s.bad(`robocopy src mirror /mir /np`, 1, `copied 3`)
	s.ok(`robocopy src mirror /mir`, `copied 0`)
	s.write(`mirror\extra.txt`, "x")
	s.bad(`robocopy src mirror /e`, 2, `extra 1`)
	s.bad(`robocopy src mirror /mir`, 2, `extra 1`)
	s.ok(`robocopy src mirror /mir`, `extra 0`)
	s.bad(`robocopy src some *.log /r:1 /w:1`, 1, `copied 1`)
	s.bad(`robocopy none x`, 16, `ERROR 2`)
	s.bad(`robocopy src x /copyall`, 16, `cannot run`)
	s.bad(`robocopy src moved /move /e`, 1, `copied 3`)
	s.bad(`cmd /c dir src`, 1, `Not Found`)

	s.ok(`where cmd`, `(?i)^C:\\Windows\\System32\\cmd\.exe\n$`)
	s.bad(`where nosuch`, 1, `Could not find`)
	s.bad(`where /q nosuch`, 1, `^$`)
}

// TestEveryRefusal: what this machine has not says so, and fails.
func TestEveryRefusal(t *testing.T) {
	s := newSession(t)
	for name := range refusing() {
		s.refused(programPath(name)+" /some arguments", name)
	}
	for name := range programs() {
		if refusing()[name] == nil && !slices.Contains([]string{"sort", "more", "find", "findstr"}, name) {
			if _, errs, code := s.run(name + " --nonsense--"); code == 0 || errs == "" {
				t.Errorf("%s takes nonsense: code %d, %q", name, code, errs)
			}
		}
	}
}

// TestSeedUserData runs the lines of a template's user data as PowerShell 5.1
// hands them to programs: single quotes are gone, double quotes stay.
func TestSeedUserData(t *testing.T) {
	s := newSession(t)
	lines, err := os.ReadFile("testdata/bootstrap.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(lines)), "\n") {
		want := 0
		if line, want = strings.TrimSpace(line), 0; strings.HasPrefix(line, "1 ") {
			line, want = line[2:], 1
		}
		if out, errs, code := s.run(line); code != want {
			t.Errorf("%s: code %d, want %d: %s %s", line, code, want, out, errs)
		}
	}
	var basic, plain string
	for _, v := range s.m.WinRMSettings("service") {
		switch v.Path {
		case "Service/Auth/Basic":
			basic = v.Value
		case "Service/AllowUnencrypted":
			plain = v.Value
		}
	}
	open := false
	s.m.read(func(st *state) { open = st.admits(5985) })
	if basic != "true" || plain != "true" || !open || s.m.CheckPassword("Administrator", "SuperS3cr3t!!!!") != nil {
		t.Errorf("Basic %s, AllowUnencrypted %s, open %t", basic, plain, open)
	}
}

// TestShellsTogether runs lines as Packer sends them: cmd reads them first, then
// PowerShell.
func TestShellsTogether(t *testing.T) {
	s := newSession(t)
	s.write(`C:\env.ps1`, `$env:A="A`+"`$Dollar"+`"; $env:B="amazon-ebs";`)
	s.write(`C:\script.ps1`, "Write-Host \"a is $env:A\"\r\n")
	s.write(`C:\fails.ps1`, "cmd /c exit 7\r\n")
	const before = `if (Test-Path variable:global:ProgressPreference){set-variable -name variable:global:ProgressPreference -value 'SilentlyContinue'};. c:/env.ps1; `
	s.ok(`cmd.exe /c powershell -executionpolicy bypass "& { `+before+`&'c:/script.ps1'; exit $LastExitCode }"`, `^a is A\$Dollar\n$`)
	s.bad(`cmd.exe /c powershell -executionpolicy bypass "& { `+before+`&'c:/fails.ps1'; exit $LastExitCode }"`, 7, `^$`)
	s.ok(`cmd.exe /c powershell -executionpolicy bypass -file "C:\script.ps1"`, `^a is \n$`)
	s.ok(`cmd.exe /c set "X=1 2" && "C:\Windows\System32\cmd.exe" /c echo %X% !`, `^1 2 !\n$`)
	s.ok(`powershell -Command "[System.Net.Dns]::GetHostName()"`, `^TESTER\n$`)
	s.ok(`cmd /c echo aGVsbG8= >> "%TEMP%\up.tmp"& powershell -Command "[Text.Encoding]::ASCII.GetString([Convert]::FromBase64String((Get-Content $env:TEMP\up.tmp)))"`, `^hello\n$`)
	s.bad(`powershell -Command "bcdedit /set x y; exit $LASTEXITCODE"`, 1, `cannot run bcdedit`)
}
