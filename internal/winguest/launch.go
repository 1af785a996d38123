package winguest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Boot is what a boot has to know from outside of the machine.
type Boot struct {
	Pace     time.Duration // how long a boot takes before the machine answers
	Console  io.Writer
	UserData []byte
	Key      *rsa.PublicKey          // of the launch; without it no password is made
	Sealed   func(data string) error // keeps the password as GetPasswordData gives it
	Exited   func(reboot bool)       // called once if the machine ends by itself
}

// launchState is what the launch agent remembers.
type launchState struct {
	Due     bool `json:"due"`               // the next boot is a first one
	Persist bool `json:"persist,omitempty"` // user data runs at every boot
}

func (b Boot) printf(m *Machine) func(string, ...any) {
	var mu sync.Mutex
	return func(format string, a ...any) {
		if b.Console == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(b.Console, "%s: %s\r\n", stamp(m.now()), fmt.Sprintf(format, a...))
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006/01/02 15:04:05Z") }

const (
	launchDir  = `C:\ProgramData\Amazon\EC2-Windows\Launch`
	launchLog  = launchDir + `\Log\UserdataExecution.log`
	launchExe  = `C:\Program Files\Amazon\EC2Launch\EC2Launch.exe`
	userScript = launchDir + `\Scripts\UserScript`
)

// launchFiles are the scripts that templates call at the end of a build, so that
// instances of the image get passwords of their own.
var launchFiles = map[string][]byte{
	launchDir + `\Scripts\InitializeInstance.ps1`: []byte("param([switch]$Schedule)\r\n& '" + launchExe + "' reset\r\nexit $LASTEXITCODE\r\n"),
	launchDir + `\Scripts\SysprepInstance.ps1`:    []byte("param([switch]$NoShutdown)\r\nif ($NoShutdown) { & '" + launchExe + "' sysprep }\r\nelse { & '" + launchExe + "' sysprep --shutdown }\r\nexit $LASTEXITCODE\r\n"),
	launchDir + `\Log\UserdataExecution.log`:      {},
}

// launch is what the launch agent does at boot: at the first one it gives the
// administrator a password and runs the user's data.
func (m *Machine) launch(ctx context.Context, b Boot) {
	say := b.printf(m)
	var st launchState
	m.read(func(s *state) { st = s.Launch })
	r := m.spec.Release
	say("%s (build %s), computer name %s: the embedded EC2's own", r.Product, r.build(), m.ComputerName())
	data := readUserData(b.UserData)
	run := st.Due || st.Persist
	if st.Due {
		if err := m.firstPassword(b, say); err != nil {
			say("cannot make the administrator's password: %v", err)
		}
	}
	// Before anything runs: what restarts the machine is not run again after it.
	err := m.change(func(s *state) error {
		s.Launch = launchState{Persist: run && data.persist}
		return nil
	})
	if err != nil {
		say("%v", err)
		return
	}
	say("Message: Windows is Ready to use")
	m.sayWinRM(say)
	switch {
	case len(bytes.TrimSpace(b.UserData)) == 0:
	case !run:
		say("user data is not run: this machine was booted before, and user data is for the first boot. An image whose instances shall run theirs needs " +
			launchDir + `\Scripts\InitializeInstance.ps1 -Schedule before it is made`)
	default:
		m.runUserData(ctx, data, b, say)
	}
}

// sayWinRM tells why a client from outside might not get in.
func (m *Machine) sayWinRM(say func(string, ...any)) {
	m.read(func(st *state) {
		for _, l := range st.Listeners {
			if s := st.service("WinRM"); l.Off || s == nil || !s.Running {
				continue
			}
			if !st.admits(l.Port) {
				say("WinRM has a listener for %s on port %d, but the firewall lets nobody from outside of the subnet in", l.Transport, l.Port)
			}
		}
	})
}

// firstPassword gives the administrator a password that only the holder of the
// launch's key can read.
func (m *Machine) firstPassword(b Boot, say func(string, ...any)) error {
	if b.Key == nil {
		say("no password was made: the instance was launched without an RSA key pair")
		return nil
	}
	password := randomPassword()
	//lint:ignore SA1019 what GetPasswordData answers with is defined so
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, b.Key, []byte(password))
	if err != nil {
		return err
	}
	data := base64.StdEncoding.EncodeToString(sealed)
	if err := m.ChangeAccount("Administrator", func(a *Account) { a.Password = password }); err != nil {
		return err
	}
	if b.Sealed != nil {
		if err := b.Sealed(data); err != nil {
			return err
		}
	}
	say("Username: Administrator")
	say("Password: <Password>%s</Password>", data)
	return nil
}

// randomPassword has 32 characters, of every sort.
func randomPassword() string {
	const all = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789!@#$%^&*()-=?."
	for {
		var p strings.Builder
		for range 32 {
			n, err := rand.Int(rand.Reader, big.NewInt(int64(len(all))))
			if err != nil {
				return rand.Text() + "a!"
			}
			p.WriteByte(all[n.Int64()])
		}
		s := p.String()
		if strings.ContainsAny(s, "23456789") && strings.ContainsAny(s, "!@#$%^&*()-=?.") && strings.ToLower(s) != s && strings.ToUpper(s) != s && goodPassword("Administrator", s) {
			return s
		}
	}
}

// userData is what user data asks for.
type userData struct {
	script, powershell string
	arguments          string
	persist            bool
	notes              []string
}

var userTags = map[string]*regexp.Regexp{}

func init() {
	for _, t := range []string{"powershell", "script", "persist", "powershellArguments", "runAsLocalSystem", "detach"} {
		userTags[t] = regexp.MustCompile(`(?is)<` + t + `>(.*?)</` + t + `>`)
	}
}

func readUserData(b []byte) (u userData) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	get := func(tag string) string {
		if m := userTags[tag].FindSubmatch(b); m != nil {
			return string(m[1])
		}
		return ""
	}
	u.script, u.powershell = get("script"), get("powershell")
	u.arguments = strings.TrimSpace(get("powershellArguments"))
	u.persist = strings.EqualFold(strings.TrimSpace(get("persist")), "true")
	for _, t := range []string{"runAsLocalSystem", "detach"} {
		if strings.EqualFold(strings.TrimSpace(get(t)), "true") {
			u.notes = append(u.notes, "<"+t+"> is not supported by the embedded EC2")
		}
	}
	if len(bytes.TrimSpace(b)) > 0 && u.script == "" && u.powershell == "" {
		u.notes = append(u.notes, "it has neither <powershell> nor <script> with its end: nothing is run")
	}
	return u
}

// runUserData runs both scripts as the administrator, the batch one first.
func (m *Machine) runUserData(ctx context.Context, u userData, b Boot, say func(string, ...any)) {
	log := &sharedLog{m: m, path: launchLog, console: b.Console}
	note := func(format string, a ...any) {
		fmt.Fprintf(log, "%s: %s\r\n", stamp(m.now()), fmt.Sprintf(format, a...))
	}
	for _, n := range u.notes {
		note("user data: %s", n)
	}
	for _, s := range []struct{ what, text, file, line string }{
		{"<script>", u.script, userScript + ".bat", `cmd.exe /c "` + userScript + `.bat"`},
		{"<powershell>", u.powershell, userScript + ".ps1", strings.TrimSpace(`powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Unrestricted -File "` + userScript + `.ps1" ` + u.arguments)},
	} {
		if s.text == "" {
			continue
		}
		note("user data: %s begins", s.what)
		code, err := m.runScript(ctx, s.file, s.text, s.line, log)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			note("user data: cannot run %s: %v", s.what, err)
		default:
			note("user data: %s ended with exit code %d", s.what, code)
		}
	}
	m.sayWinRM(say)
	note("user data: done")
}

func (m *Machine) runScript(ctx context.Context, file, text, line string, out io.Writer) (int, error) {
	content := []byte(text)
	if strings.HasSuffix(file, ".ps1") && strings.ContainsFunc(text, func(r rune) bool { return r > 127 }) {
		content = append([]byte("\ufeff"), content...) // else PowerShell reads it in the old code page
	}
	f, err := m.disk.openFile(file, ForWriting)
	if err != nil {
		return 0, err
	}
	_, err = f.Write(content)
	f.Close()
	if err != nil {
		return 0, err
	}
	defer m.disk.remove(file)
	login := m.login("Administrator", true)
	if err := m.profile(login.User); err != nil {
		return 0, err
	}
	p, err := m.Start(Launch{Line: line, Login: login, Dir: System32, Job: "userdata", Stdout: out, Stderr: out})
	if err != nil {
		return 0, err
	}
	select {
	case <-p.Done():
		return p.Wait(), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// sharedLog appends to a file of the machine that it opens for each write only,
// so that scripts can read it, and shows the same on the console.
type sharedLog struct {
	m       *Machine
	path    string
	console io.Writer
	mu      sync.Mutex
}

func (l *sharedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.console != nil {
		l.console.Write(b)
	}
	// A script that holds or has removed the log costs it a line, not the run.
	mode := ForAppending
	mode.ShareWrite, mode.ShareDelete = true, true
	if f, err := l.m.disk.openFile(l.path, mode); err == nil {
		f.Write(b)
		f.Close()
	}
	return len(b), nil
}

// ec2launch is the launch agent's program: reset and sysprep make the next boot
// a first one.
func (m *Machine) ec2launch(_ context.Context, p *Proc) int {
	if len(p.Args) == 0 {
		fmt.Fprintf(p.Stderr, "ec2launch: say reset or sysprep\r\n")
		return 1
	}
	shutdown := false
	for _, a := range p.Args[1:] {
		switch a {
		case "--clean", "-c", "--block", "-b":
		case "--shutdown", "-s", "--shutdown=true":
			shutdown = true
		case "--shutdown=false":
		default:
			fmt.Fprintf(p.Stderr, "ec2launch: %s is not supported here\r\n", a)
			return 1
		}
	}
	switch p.Args[0] {
	case "reset", "sysprep":
	case "version":
		fmt.Fprintf(p.Stdout, "2.0 (embedded EC2)\r\n")
		return 0
	default:
		fmt.Fprintf(p.Stderr, "ec2launch: %s is not supported here: known are reset, sysprep and version\r\n", p.Args[0])
		return 1
	}
	if !p.Login.Elevated {
		fmt.Fprintf(p.Stderr, "ec2launch: %v\r\n", AccessDenied)
		return 5
	}
	err := m.change(func(st *state) error {
		st.Launch.Due = true
		return nil
	})
	if err == nil && shutdown {
		err = m.PowerOff(false, 0, "")
	}
	if err != nil {
		fmt.Fprintf(p.Stderr, "ec2launch: %v\r\n", err)
		return 1
	}
	return 0
}
