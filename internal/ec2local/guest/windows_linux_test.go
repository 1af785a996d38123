package guest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/masterzen/winrm"
	"golang.org/x/crypto/ssh"

	"github.com/imgflow/imgflow/internal/winguest"
)

// openWindows is what the program hands in.
func openWindows(dir string, r Release, addr string) (WindowsMachine, error) {
	m, err := winguest.Open(dir, winguest.Spec{Release: winguest.ReleaseOf(r.Version), Addr: addr})
	return winguestMachine{m}, err
}

type winguestMachine struct{ *winguest.Machine }

func (m winguestMachine) Boot(b WindowsBoot) error { return m.Machine.Boot(winguest.Boot(b)) }

const administratorWord = "Qu1te-S3cret!"

// openWinRM is user data as templates for WinRM have it.
const openWinRM = `<powershell>
# the account
net user Administrator ` + administratorWord + `
wmic useraccount where "name='Administrator'" set PasswordExpires=FALSE
# nobody gets in until all is done
netsh advfirewall firewall set rule name="Windows Remote Management (HTTP-In)" new enable=yes action=block
winrm delete winrm/config/listener?Address=*+Transport=HTTP  2>$Null
winrm delete winrm/config/listener?Address=*+Transport=HTTPS 2>$Null
Set-ItemProperty -Path HKLM:\Software\Policies\Microsoft\Windows\WinRM\Service -Name AllowBasic -Value 1
winrm create winrm/config/listener?Address=*+Transport=HTTP
winrm set winrm/config/winrs '@{MaxMemoryPerShellMB="0"}'
winrm set winrm/config '@{MaxTimeoutms="7200000"}'
winrm set winrm/config/service '@{AllowUnencrypted="true"}'
winrm set winrm/config/service '@{MaxConcurrentOperationsPerUser="12000"}'
winrm set winrm/config/service/auth '@{Basic="true"}'
$Key = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'
$Setting = 'LocalAccountTokenFilterPolicy'
Set-ItemProperty -Path $Key -Name $Setting -Value 1 -Force
Stop-Service -Name WinRM
Set-Service -Name WinRM -StartupType Automatic
netsh advfirewall firewall set rule name="Windows Remote Management (HTTP-In)" new action=allow localip=any remoteip=any
Start-Service -Name WinRM
</powershell>
`

func windowsSpec(t *testing.T, key *rsa.PrivateKey, data string) Spec {
	t.Helper()
	s := Spec{Platform: "windows", Hostname: "ip-10-0-0-9", User: "Administrator", Addr: addr(), UserData: []byte(data),
		Release: Release{ID: "windows", Version: "2012 R2", Name: "Windows Server 2012 R2"}}
	if key != nil {
		pub, err := ssh.NewPublicKey(&key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		s.AuthorizedKey = string(ssh.MarshalAuthorizedKey(pub))
	}
	return s
}

// winrm runs a line in a shell of the guest's administrator.
func (g *guestT) winrm(password, line string) (stdout, stderr string, code int, err error) {
	c, err := winrm.NewClient(winrm.NewEndpoint(g.spec.Addr, g.Ports()["winrm"], false, false, nil, nil, nil, 0), "Administrator", password)
	if err != nil {
		return "", "", 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var o, e bytes.Buffer
	code, err = c.RunWithContext(ctx, line, &o, &e)
	return o.String(), e.String(), code, err
}

// cmd compares "code stdout".
func (g *guestT) cmd(line, want string) {
	g.t.Helper()
	out, stderr, code, err := g.winrm(administratorWord, line)
	if got := strings.TrimSpace(strconv.Itoa(code) + " " + strings.ReplaceAll(out, "\r\n", "\n")); got != want || err != nil {
		g.t.Errorf("%s\n got %q\nwant %q\n%s%v", line, got, want, stderr, err)
	}
}

func (g *guestT) powershell(script, want string) {
	g.t.Helper()
	g.cmd(winrm.Powershell(script), want)
}

func (g *guestT) answers() {
	g.t.Helper()
	for end := time.Now().Add(40 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, _, code, err := g.winrm(administratorWord, "ver"); err == nil && code == 0 {
			return
		} else if time.Now().After(end) {
			g.t.Fatalf("WinRM does not answer: %v\n%s", err, g.Console())
		}
	}
}

func TestWindows(t *testing.T) {
	dir := t.TempDir()
	h := reopen(t, "process", dir)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	g := launch(t, h, windowsSpec(t, key, openWinRM))
	g.answers()
	g.cmd("echo %COMPUTERNAME:~0,8% %USERNAME%& exit 3", "3 EC2AMAZ- Administrator")
	g.powershell("$Env:SystemRoot; [Environment]::OSVersion.Version.Major; exit 5", "5 C:\\Windows\n6")
	g.powershell("Get-Service WinRM | ForEach-Object { $_.Status }", "0 Running")
	g.powershell("Set-Content C:\\kept.txt 'kept' -Encoding ASCII", "0")

	// The password of the first boot is for the key's holder alone.
	data, err := base64.StdEncoding.DecodeString(g.PasswordData())
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 it is what GetPasswordData is defined to answer with
	first, err := rsa.DecryptPKCS1v15(nil, key, data)
	if err != nil || len(first) != 32 || bytes.Contains(g.Console(), first) {
		t.Errorf("password %d long, %v", len(first), err)
	}
	if _, _, _, err := g.winrm(string(first), "ver"); err == nil {
		t.Error("the first password still holds after user data has set another")
	}

	// A reboot: refused for a while, a new time of boot, the same files.
	const uptime = "(Get-CimInstance Win32_OperatingSystem).LastBootUpTime.Ticks"
	before, _, _, err := g.winrm(administratorWord, winrm.Powershell(uptime))
	if err != nil {
		t.Fatal(err)
	}
	g.cmd("shutdown /r /f /t 0", "0")
	g.exit(Reboot)
	g.boot()
	if !g.refusesWinRM() {
		t.Error("WinRM answers in the moment of the boot")
	}
	g.answers()
	after, _, _, _ := g.winrm(administratorWord, winrm.Powershell(uptime))
	if strings.TrimSpace(after) <= strings.TrimSpace(before) || len(after) != len(before) {
		t.Errorf("booted at %s, then at %s", before, after)
	}
	g.cmd(`type C:\kept.txt`, "0 kept")

	// Images: of one that runs, and of one at rest.
	running := g.freeze()
	g.stop()
	if !g.refusesWinRM() {
		t.Error("a stopped guest answers")
	}
	rest := g.freeze()
	for _, layers := range [][]string{running, rest} {
		s := windowsSpec(t, key, "<script>echo x>C:\\again.txt</script>")
		s.Layers = layers
		g := launch(t, h, s)
		g.answers()
		g.cmd(`type C:\kept.txt`, "0 kept")
		eventually(t, "it says that its user data is not run", func() bool { return bytes.Contains(g.Console(), []byte("user data is not run")) })
		g.cmd(`if exist C:\again.txt echo again`, "0")
		if g.PasswordData() != "" {
			t.Error("an instance of an image made here has a new password")
		}
		if err := h.RemoveLayer(context.Background(), layers[0]); err == nil {
			t.Error("a layer was removed under a guest")
		}
		if err := g.Remove(context.Background()); err != nil {
			t.Error(err)
		}
	}
	var b bytes.Buffer
	if err := h.Export(context.Background(), &b, rest); err != nil {
		t.Fatal(err)
	}
	found := false
	for r := tar.NewReader(&b); ; {
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		found = found || e.Name == "kept.txt"
		if strings.Contains(e.Name, "machine.json") {
			t.Error("the export has the accounts in it")
		}
	}
	if !found {
		t.Error("the export has no kept.txt")
	}
	if err := h.RemoveLayer(context.Background(), rest[0]); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "layers", rest[0])); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the layer is still there")
	}

	// The server ends, another one goes on.
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h = reopen(t, "process", dir)
	m, err := h.Open(g.Machine.(*windowsMachine).id)
	if err != nil {
		t.Fatal(err)
	}
	g.Machine = m
	g.boot()
	g.answers()
	g.cmd(`type C:\kept.txt`, "0 kept")
	if g.PasswordData() != base64.StdEncoding.EncodeToString(data) {
		t.Error("the password's data changed")
	}
	if n := bytes.Count(g.Console(), []byte("<powershell> begins")); n != 1 {
		t.Errorf("user data ran %d times", n)
	}
	g.cmd("shutdown /s /t 0", "0")
	g.exit(PowerOff)
	if err := g.Remove(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := h.Open("i-nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func (g *guestT) refusesWinRM() bool {
	c, err := net.Dial("tcp", net.JoinHostPort(g.spec.Addr, strconv.Itoa(g.Ports()["winrm"])))
	if err == nil {
		c.Close()
	}
	return err != nil
}

// The sandbox's host serves both sorts of guests.
func TestWindowsBesideLinux(t *testing.T) {
	h := newHost(t, "sandbox")
	g := launch(t, h, windowsSpec(t, nil, openWinRM))
	g.answers()
	if g.PasswordData() != "" {
		t.Error("a password without a key")
	}
	l := launch(t, h, spec(nil))
	l.sh("root", "echo linux", "0 linux")
	g.cmd("echo windows", "0 windows")
	if err := g.Remove(context.Background()); err != nil {
		t.Error(err)
	}
	if err := l.Remove(context.Background()); err != nil {
		t.Error(err)
	}
}

// What holds another port is no reason not to serve.
func TestWindowsPorts(t *testing.T) {
	h := reopen(t, "process", t.TempDir())
	s := windowsSpec(t, nil, openWinRM)
	l, err := net.Listen("tcp", net.JoinHostPort(s.Addr, "5985"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	g := launch(t, h, s)
	if p := g.Ports(); p["winrm"] == 5985 || p["winrm"] == 0 || p["winrms"] != 5986 {
		t.Errorf("ports %v", p)
	}
	g.answers()
	port := g.Ports()["winrm"]
	g.stop()
	l.Close()
	g.boot()
	if g.Ports()["winrm"] != port {
		t.Errorf("the port changed from %d to %d", port, g.Ports()["winrm"])
	}
	g.answers()
}

// TestWindowsServer is the server that TestKillWindowsServer kills.
func TestWindowsServer(t *testing.T) {
	dir, at := os.Getenv("GUEST_TEST_WINDOWS"), os.Getenv("GUEST_TEST_ADDR")
	if dir == "" {
		t.Skip("no test by itself: TestKillWindowsServer runs it")
	}
	h, err := NewHost("process", dir, openWindows)
	if err != nil {
		t.Fatal(err)
	}
	m, err := h.Open("victim")
	if errors.Is(err, fs.ErrNotExist) {
		s := windowsSpec(t, nil, openWinRM+"<script>echo once>>C:\\once.txt</script>")
		s.Addr = at
		m, err = h.Create("victim", s)
	}
	if err == nil {
		err = m.Boot(context.Background(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("booted\n")
	time.Sleep(time.Minute)
}

func TestKillWindowsServer(t *testing.T) {
	dir, at := t.TempDir(), addr()
	for i := range 6 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestWindowsServer$")
		cmd.Env = append(os.Environ(), "GUEST_TEST_WINDOWS="+dir, "GUEST_TEST_ADDR="+at)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if i > 2 {
			if n, _ := out.Read(make([]byte, 10)); n == 0 {
				t.Error("the server did not boot the guest")
			}
		}
		time.Sleep(time.Duration(i%3) * 17 * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
	}
	h := reopen(t, "process", dir)
	m, err := h.Open("victim")
	if err != nil {
		t.Fatal(err)
	}
	g := &guestT{t, m, Spec{Addr: at}, make(chan Exit, 1)}
	g.boot()
	eventually(t, "the guest is ready", func() bool { return bytes.Contains(g.Console(), []byte("Ready to use")) })
	b, _ := os.ReadFile(filepath.Join(dir, "guests", "victim", "windows", "c", "once.txt"))
	if n := strings.Count(string(b), "once"); n > 1 {
		t.Errorf("user data has run %d times", n)
	}
}

// A server that died before a guest's record was written does not keep the next
// one from making the guest.
func TestHalfMadeGuest(t *testing.T) {
	dir := t.TempDir()
	h := reopen(t, "process", dir)
	if err := os.Mkdir(filepath.Join(dir, "guests", "half"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "guests", "half", ".guest.json-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Open("half"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open: %v", err)
	}
	if _, err := h.Create("half", windowsSpec(t, nil, "")); err != nil {
		t.Error(err)
	}
	if _, err := h.Create("half", windowsSpec(t, nil, "")); err == nil {
		t.Error("a guest was made twice")
	}
}

// TestNoWindows: a server that was handed none says so.
func TestNoWindows(t *testing.T) {
	h, err := NewHost("process", t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	g := create(t, h, windowsSpec(t, nil, ""))
	if err := g.Boot(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "has no Windows machines") {
		t.Errorf("it boots: %v", err)
	}
}
