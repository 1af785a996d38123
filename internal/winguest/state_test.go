package winguest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var system = Login{User: "SYSTEM"}

func TestRegistry(t *testing.T) {
	m := fresh(t)
	r := m.Registry(system)
	if v, err := r.Get(`HKLM:\software\MICROSOFT\Windows NT\CurrentVersion`, "productname"); err != nil || v.Text != "Windows Server 2019 Datacenter" || v.Name != "ProductName" {
		t.Errorf("%+v %v", v, err)
	}
	for _, key := range []string{
		`HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\PendingFileRenameOperations`,
		`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending`,
		`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired`,
	} {
		if r.HasKey(key) {
			t.Errorf("%s says that a reboot is pending", key)
		}
	}
	wantCode(t, r.Set(`HKLM\SOFTWARE\Nope`, number("x", 1)), FileNotFound)
	if err := r.Make(`HKLM\SOFTWARE\One\Two`); err != nil {
		t.Fatal(err)
	}
	for _, v := range []Value{number("D", 4294967295), {Name: "Q", Kind: QWord, Number: 1 << 40}, text("", "default"), expanding("E", "%X%"),
		{Name: "M", Kind: MultiString, Multi: []string{"a", ""}}, {Name: "B", Kind: Binary, Bytes: []byte{0, 255}}} {
		if err := r.Set(`HKEY_LOCAL_MACHINE/Software/one/TWO`, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Set(`HKLM\SOFTWARE\One\Two`, number("d", 7)); err != nil { // keeps the name that it has
		t.Fatal(err)
	}
	wantCode(t, r.Delete(`HKLM\SOFTWARE\One`, false), AccessDenied)
	wantCode(t, r.Delete(`HKLM`, true), AccessDenied)
	wantCode(t, r.DeleteValue(`HKLM\SOFTWARE\One\Two`, "zzz"), FileNotFound)
	_, err := r.Get(`D:\x`, "y")
	wantCode(t, err, PathNotFound)

	// Users write what is their own.
	if err := m.AddAccount(Account{Name: "bob", Password: secretWord}); err != nil {
		t.Fatal(err)
	}
	bob := m.Registry(Login{User: "bob"})
	wantCode(t, bob.Set(`HKLM\SOFTWARE\One\Two`, number("D", 1)), AccessDenied)
	wantCode(t, bob.Make(`HKU\`+m.SID("Administrator")+`\Software\X`), AccessDenied)
	if err := bob.Make(`HKCU\Software\X`); err != nil {
		t.Error(err)
	}
	if m.Registry(Login{User: "Administrator"}).HasKey(`HKCU\Software\X`) || !r.HasKey(`HKU\`+m.SID("bob")+`\Software\X`) {
		t.Error("HKCU is not the user's own")
	}

	// All of it is there again after the server died.
	n, err := Open(m.dir, m.spec)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	vs, err := n.Registry(system).Values(`HKLM\SOFTWARE\One\Two`)
	var lines []string
	for _, v := range vs {
		lines = append(lines, v.Name+"="+string(v.Kind)+":"+v.String())
	}
	if got, want := strings.Join(lines, " "), `=REG_SZ:default B=REG_BINARY:00FF D=REG_DWORD:0x7 E=REG_EXPAND_SZ:%X% M=REG_MULTI_SZ:a\0 Q=REG_QWORD:0x10000000000`; got != want || err != nil {
		t.Errorf("\n got %s\nwant %s %v", got, want, err)
	}
	if st, err := os.Stat(filepath.Join(m.dir, "machine.json")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
}

func TestDamagedState(t *testing.T) {
	m := fresh(t)
	for _, b := range []string{"", "{", "{}", "null"} {
		if err := os.WriteFile(m.file(), []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(m.dir, m.spec); err == nil || !strings.Contains(err.Error(), "machine.json") {
			t.Errorf("%q: %v", b, err)
		}
	}
}

func TestEnvironment(t *testing.T) {
	m := fresh(t)
	r := m.Registry(Login{User: "Administrator", Elevated: true})
	if err := r.Set(machineEnvironment, expanding("TOOLS", `%ProgramFiles%\Tools;%NOPE%`)); err != nil {
		t.Fatal(err)
	}
	if err := r.Set(userEnvironment, text("Path", `C:\mine`)); err != nil {
		t.Fatal(err)
	}
	env := m.SessionEnv(Login{User: "Administrator", Elevated: true})
	for name, want := range map[string]string{
		"tools": `C:\Program Files\Tools;%NOPE%`, "systemroot": `C:\Windows`, "WINDIR": `C:\Windows`, "temp": `C:\Users\Administrator\AppData\Local\Temp`,
		"ComSpec": `C:\Windows\system32\cmd.exe`, "COMPUTERNAME": "TESTER", "USERNAME": "Administrator", "USERPROFILE": `C:\Users\Administrator`, "PROCESSOR_ARCHITECTURE": "AMD64",
		"path": `C:\Windows\system32;C:\Windows;C:\Windows\System32\Wbem;C:\Windows\System32\WindowsPowerShell\v1.0\;C:\mine`, "nope": "",
	} {
		if got := getenv(env, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := getenv(m.SessionEnv(system), "TEMP"); got != `C:\Windows\TEMP` {
		t.Errorf("SYSTEM's TEMP is %q", got)
	}
}

func TestAccounts(t *testing.T) {
	m := fresh(t)
	wantCode(t, m.AddAccount(Account{Name: "bob", Password: "simple"}), PasswordPolicy)
	wantCode(t, m.AddAccount(Account{Name: "bob", Password: "xBob123!"}), PasswordPolicy)
	wantCode(t, m.AddAccount(Account{Name: "a/b", Password: secretWord}), InvalidParameter)
	wantCode(t, m.AddAccount(Account{Name: "ADMINISTRATOR", Password: secretWord}), NetUserExists)
	if err := m.AddAccount(Account{Name: "bob", Password: secretWord}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, m.CheckPassword("BOB", secretWord), 0)
	wantCode(t, m.CheckPassword("bob", strings.ToUpper(secretWord)), LogonFailure)
	wantCode(t, m.CheckPassword("Administrator", ""), LogonFailure)
	wantCode(t, m.ChangeAccount("bob", func(a *Account) { a.Password = "x" }), PasswordPolicy)
	wantCode(t, m.ChangeAccount("nobody", func(*Account) {}), NetUserNotFound)
	wantCode(t, m.Join("Nowhere", "bob"), NetGroupNotFound)
	wantCode(t, m.Join(Administrators, "nobody"), NoSuchUser)
	wantCode(t, m.Join("s-1-5-32-544", "bob"), 0)
	wantCode(t, m.Join(Administrators, "Bob"), InGroup)
	if err := m.ChangeAccount("bob", func(a *Account) { a.Name = "rob" }); err != nil {
		t.Fatal(err)
	}
	if !m.IsAdmin("ROB") || m.IsAdmin("bob") {
		t.Error("membership did not move with the name")
	}
	for name, want := range map[string]string{`TESTER\rob`: "rob", `.\rob`: "rob", "rob": "rob", `NT AUTHORITY\SYSTEM`: "SYSTEM", "S-1-5-18": "SYSTEM", "LocalService": "LOCAL SERVICE", `OTHER\rob`: ""} {
		got, ok := m.LocalName(name)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q %v", name, got, ok)
		}
	}
	wantCode(t, m.RemoveAccount("Administrator"), NotOnSpecial)
	if err := m.RemoveAccount("rob"); err != nil {
		t.Error(err)
	}
	if m.IsAdmin("rob") {
		t.Error("who is gone is an administrator")
	}
}

func TestServices(t *testing.T) {
	m := booted(t, Boot{})
	wantCode(t, m.StartService("nope"), NoService)
	wantCode(t, m.StartService("winrm"), ServiceRunning)
	wantCode(t, m.StopService("RpcSs", true), ServiceNoControl)
	wantCode(t, m.StopService("HTTP", false), ServiceDependants)
	wantCode(t, m.StopService("HTTP", true), 0)
	wantCode(t, m.StopService("WinRM", false), ServiceNotActive)
	if err := m.ChangeService("winrm", func(s *Service) { s.Start = NoStart }); err != nil {
		t.Fatal(err)
	}
	wantCode(t, m.StartService("WinRM"), Disabled)
	m.Stop()
	if err := m.Boot(Boot{}); err != nil {
		t.Fatal(err)
	}
	if s, err := m.Service("Windows Remote Management (WS-Management)"); err != nil || s.Running {
		t.Errorf("a disabled service started at boot: %+v %v", s, err)
	}
	if err := m.AddService(Service{Name: "mine", Start: AutoStart}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, m.StartService("mine"), BadExe)
	wantCode(t, m.RemoveService("winrm"), AccessDenied)
	wantCode(t, m.RemoveService("mine"), 0)
}

func TestTasks(t *testing.T) {
	m := booted(t, Boot{})
	ran := make(chan *Proc, 10)
	stay := make(chan bool)
	m.plant(t, "job", func(ctx context.Context, p *Proc) int {
		ran <- p
		if len(p.Args) > 0 && p.Args[0] == "stay" {
			select {
			case <-stay:
			case <-ctx.Done():
			}
		}
		return 3
	})
	if err := m.AddAccount(Account{Name: "bob", Password: secretWord}); err != nil {
		t.Fatal(err)
	}
	action := []TaskAction{{Execute: `%SystemRoot%\System32\job.exe`, Arguments: `one "two %USERNAME%"`, Dir: `C:\`}}
	wantCode(t, m.AddTask(Task{Name: "t", Actions: action, User: "nobody"}, false), NoSuchUser)
	wantCode(t, m.AddTask(Task{Name: "t", Actions: action, User: "bob", Logon: LogonPassword, Password: "wrong"}, false), BadLogon)
	if err := m.AddTask(Task{Name: "t", Actions: action, User: `.\BOB`, Logon: LogonPassword, Password: secretWord}, false); err != nil {
		t.Fatal(err)
	}
	wantCode(t, m.AddTask(Task{Name: "T", Actions: action, User: "SYSTEM"}, false), AlreadyExists)
	result := func(want Code) {
		t.Helper()
		until(t, "the task has its result", func() bool { return m.Tasks()[0].LastResult == want })
	}
	result(TaskNeverRun)
	if err := m.RunTask("", "T"); err != nil {
		t.Fatal(err)
	}
	if p := <-ran; p.Login != (Login{User: "bob"}) || !slices.Equal(p.Args, []string{"one", "two bob"}) || p.Dir != `C:\` {
		t.Errorf("%+v %q %s", p.Login, p.Args, p.Dir)
	}
	result(3)
	// The password is looked at again when the task starts.
	if err := m.ChangeAccount("bob", func(a *Account) { a.Password = secretWord + "2" }); err != nil {
		t.Fatal(err)
	}
	m.RunTask(`\`, "t")
	result(BadLogon)

	if err := m.AddTask(Task{Name: "t", Actions: []TaskAction{{Execute: "job", Arguments: "stay"}}, User: `NT AUTHORITY\SYSTEM`, Highest: true}, true); err != nil {
		t.Fatal(err)
	}
	m.RunTask("", "t")
	if p := <-ran; p.Login != (Login{User: "SYSTEM", Elevated: true}) || p.Dir != System32 {
		t.Errorf("%+v %s", p.Login, p.Dir)
	}
	result(TaskRunning)
	m.RunTask("", "t") // a second one is not started
	if got := m.TaskState(m.Tasks()[0]); got != "Running" {
		t.Errorf("state %s", got)
	}
	if err := m.EndTask("", "t"); err != nil {
		t.Error(err)
	}
	until(t, "the task has ended", func() bool { return m.TaskState(m.Tasks()[0]) == "Ready" })
	if len(ran) > 0 {
		t.Error("two instances ran")
	}
	for _, c := range []struct {
		task Task
		want Code
	}{
		{Task{Name: "t", Actions: []TaskAction{{Execute: "nothing"}}, User: "SYSTEM"}, 0x80070002},
		{Task{Name: "t", Actions: action, User: "Administrator", Logon: LogonInteractive}, refused},
		{Task{Name: "t", Actions: []TaskAction{{Execute: "job", Arguments: "stay"}}, User: "SYSTEM", Limit: 20 * time.Millisecond}, TaskTerminated},
	} {
		if err := m.AddTask(c.task, true); err != nil {
			t.Fatal(err)
		}
		if err := m.RunTask("", "t"); err != nil {
			t.Fatal(err)
		}
		result(c.want)
	}
	for len(ran) > 0 {
		<-ran
	}
	// Triggers: when its time comes, and at boot.
	if err := m.AddTask(Task{Name: "t", Actions: action, User: "SYSTEM", Triggers: []TaskTrigger{{Kind: "Once", At: m.now().Add(50 * time.Millisecond)}, {Kind: "Startup"}}}, true); err != nil {
		t.Fatal(err)
	}
	<-ran
	m.Stop()
	if err := m.Boot(Boot{}); err != nil {
		t.Fatal(err)
	}
	<-ran
	if err := m.RemoveTask("", "t"); err != nil {
		t.Error(err)
	}
	wantCode(t, m.RunTask("", "t"), TaskNotFound)
}

func TestTriggers(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	day := TaskTrigger{Kind: "Daily", At: at}
	for after, want := range map[time.Time]time.Time{at.Add(-time.Hour): at, at: at.Add(24 * time.Hour), at.Add(49 * time.Hour): at.Add(72 * time.Hour)} {
		if got := day.next(after); !got.Equal(want) {
			t.Errorf("after %v: %v, want %v", after, got, want)
		}
	}
	if got := (TaskTrigger{Kind: "Once", At: at}).next(at); !got.IsZero() {
		t.Error(got)
	}
}

func TestFirstBoot(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	console := &safeBuffer{}
	sealed := make(chan string, 2)
	b := Boot{Key: &key.PublicKey, Console: console, Sealed: func(s string) error { sealed <- s; return nil }, UserData: []byte(
		"<script>\r\necho %USERNAME% ran it in %CD%\r\necho x>> C:\\runs\r\n</script>")}
	m := booted(t, b)
	data, err := base64.StdEncoding.DecodeString(<-sealed)
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 it is what GetPasswordData is defined to answer with
	password, err := rsa.DecryptPKCS1v15(nil, key, data)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.CheckPassword("Administrator", string(password)); err != nil || len(password) != 32 {
		t.Errorf("%q: %v", password, err)
	}
	done := func(n int) {
		t.Helper()
		until(t, "the launch is over", func() bool { return strings.Count(console.String(), "user data: done") == n })
	}
	done(1)
	for _, want := range []string{"Windows is Ready to use", "<Password>", "Administrator ran it in C:\\Windows\\system32", "exit code 0", "lets nobody from outside"} {
		if !strings.Contains(strings.ToLower(console.String()), strings.ToLower(want)) {
			t.Errorf("the console does not say %q:\n%s", want, console)
		}
	}
	if strings.Contains(console.String(), string(password)) {
		t.Error("the console shows the password")
	}
	runs := func() string {
		b, _ := os.ReadFile(filepath.Join(m.dir, "c", "runs"))
		return strings.Join(strings.Fields(string(b)), "")
	}
	again := func(data string) {
		t.Helper()
		m.Stop()
		b.UserData = []byte(data)
		n := strings.Count(console.String(), "Ready to use")
		if err := m.Boot(b); err != nil {
			t.Fatal(err)
		}
		until(t, "the machine is ready", func() bool { return strings.Count(console.String(), "Ready to use") > n })
	}
	again(string(b.UserData))
	until(t, "it says why it runs nothing", func() bool { return strings.Contains(console.String(), "user data is not run") })
	if runs() != "x" || len(sealed) > 0 {
		t.Errorf("user data ran again: %q, or a password was made", runs())
	}
	// The launch agent's reset makes the next boot a first one.
	m.Stop()
	m.Boot(b)
	p, err := m.Start(Launch{Line: `"` + launchExe + `" reset --block`, Login: m.login("Administrator", true)})
	if err != nil || p.Wait() != 0 {
		t.Fatal(err)
	}
	again("<script>echo x>> C:\\runs\r\n</script><persist>true</persist>")
	done(2)
	if runs() != "xx" || len(sealed) != 1 {
		t.Errorf("after a reset: %q, %d passwords", runs(), len(sealed))
	}
	again("<script>echo y>> C:\\runs\r\n</script><persist>true</persist>")
	done(3)
	again("<script>echo z>> C:\\runs\r\n</script>")
	done(4)
	again("<script>echo no>> C:\\runs\r\n</script>")
	until(t, "it says why it runs nothing", func() bool { return strings.Count(console.String(), "user data is not run") == 2 })
	if runs() != "xxyz" || len(sealed) != 1 {
		t.Errorf("persistent user data: %q, %d passwords", runs(), len(sealed))
	}
	log, err := os.ReadFile(filepath.Join(m.dir, "c", "ProgramData", "Amazon", "EC2-Windows", "Launch", "Log", "UserdataExecution.log"))
	if err != nil || !strings.Contains(string(log), "ran it in") {
		t.Errorf("%s %v", log, err)
	}
}

func TestUserDataForms(t *testing.T) {
	for data, want := range map[string]userData{
		"<powershell>\r\na\r\n</powershell>":                                          {powershell: "\r\na\r\n"},
		"\ufeff<script>a</script>\n<PowerShell>b</PowerShell><persist>TRUE</persist>": {script: "a", powershell: "b", persist: true},
		"<powershell>b</powershell><powershellArguments>-x</powershellArguments>":     {powershell: "b", arguments: "-x"},
	} {
		got := readUserData([]byte(data))
		if got.notes = nil; got.script != want.script || got.powershell != want.powershell || got.arguments != want.arguments || got.persist != want.persist {
			t.Errorf("%q: %+v", data, got)
		}
	}
	for _, data := range []string{"#!/bin/sh\nx", "<powershell>no end", "<powershell>x</powershell><runAsLocalSystem>true</runAsLocalSystem>"} {
		if len(readUserData([]byte(data)).notes) == 0 {
			t.Errorf("%q is taken without a word", data)
		}
	}
}

func TestWQL(t *testing.T) {
	m := booted(t, Boot{})
	for where, want := range map[string]int{
		`Name='administrator'`: 1, `name = "Administrator" and disabled=true`: 0, `Disabled=TRUE`: 2, `NOT Disabled=true`: 1, `name like 'G%' or name LIKE '%istrator'`: 2,
		`(Name='Guest' OR Name='x') AND LocalAccount=true`: 1, `AccountType >= 512`: 3, `FullName <> ''`: 0, `Name is not null`: 3, `SID LIKE 'S-1-5-21-%-500'`: 1, ``: 3,
	} {
		list, err := m.Instances("win32_useraccount", where)
		if err != nil || len(list) != want {
			t.Errorf("%s: %d, %v; want %d", where, len(list), err, want)
		}
	}
	for _, where := range []string{`Name=`, `Name`, `Name='x' and`, `(Name='x'`, `Nope=1`, `Name ~ 'x'`, `Name='x`, `Name is 5`, `'x'`} {
		if _, err := m.Instances("Win32_UserAccount", where); err == nil {
			t.Errorf("%s was taken", where)
		}
	}
	if _, err := m.Instances("Win32_Nothing", ""); err == nil {
		t.Error("an unknown class was taken")
	}
	for class := range wmiClasses {
		list, err := m.Instances(class, "")
		if err != nil {
			t.Error(class, err)
		}
		for _, i := range list {
			for _, n := range i.Names() {
				if _, ok := i.Get(strings.ToUpper(n)); !ok {
					t.Errorf("%s has no %s", class, n)
				}
			}
		}
	}
}

func FuzzWQL(f *testing.F) {
	f.Add(`Name='a' AND (Disabled=true OR SID LIKE 'x%')`)
	f.Fuzz(func(t *testing.T, s string) {
		w, err := wqlCondition(s)
		if err == nil {
			w(func(string) (any, bool) { return "x", true })
		}
	})
}

// What a folder holds is not read again for each file that is made in it, and yet
// what others put there is found.
func TestNameIndex(t *testing.T) {
	m := fresh(t)
	put := func(name string) {
		t.Helper()
		f, err := m.disk.openFile(`C:\many\`+name, ForWriting)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if err := m.disk.mkdir(`C:\many`); err != nil {
		t.Fatal(err)
	}
	put("first.txt")
	x := m.disk.names["many"]
	for _, n := range []string{"Ärger.txt", "b", "c"} {
		put(n)
	}
	if err := errors.Join(m.disk.rename(`C:\many\B`, `C:\many\Bb`, false), m.disk.remove(`C:\many\C`)); err != nil {
		t.Fatal(err)
	}
	for name, there := range map[string]bool{"FIRST.TXT": true, "äRGER.TXT": true, "b": false, "BB": true, "C": false} {
		if _, err := m.disk.stat(`C:\many\` + name); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
	if x == nil || m.disk.names["many"] != x {
		t.Error("the folder was read again")
	}
	time.Sleep(20 * time.Millisecond)
	if err := os.WriteFile(filepath.Join(m.dir, "c", "many", "Other"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := m.disk.stat(`C:\many\OTHER`); err != nil {
		t.Error(err)
	}
}
