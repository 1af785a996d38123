package winguest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fresh is a machine that never ran, on 127.0.0.1.
func fresh(t *testing.T) *Machine { return freshAs(t, ReleaseOf("2019")) }

func freshAs(t *testing.T, r Release) *Machine {
	t.Helper()
	m, err := Open(t.TempDir(), Spec{Release: r, Name: "TESTER", Addr: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// booted is a machine that runs, its ports being any that are free.
func booted(t *testing.T, b Boot) *Machine { return bootedAs(t, ReleaseOf("2019"), b) }

func bootedAs(t *testing.T, r Release, b Boot) *Machine {
	t.Helper()
	m := freshAs(t, r)
	m.net.ports = map[string]int{}
	for _, name := range []string{"winrm", "winrms"} {
		p, err := freePort("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		m.net.ports[name] = p
	}
	if err := m.Boot(b); err != nil {
		t.Fatal(err)
	}
	return m
}

// plant gives the machine another program. It does not run yet.
func (m *Machine) plant(t *testing.T, name string, f Program) {
	t.Helper()
	m.programs[name] = f
	w, err := m.disk.openFile(programPath(name), ForWriting)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(stub(name))
	w.Close()
}

// runFunc runs a function as a process of the administrator.
func (m *Machine) runFunc(t *testing.T, f Program) *Process {
	t.Helper()
	m.plant(t, "test", f)
	p, err := m.Start(Launch{Line: "test", Login: m.login("Administrator", true), Job: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// as calls f in a process and waits for it.
func (m *Machine) as(t *testing.T, f func(p *Proc)) {
	t.Helper()
	m.runFunc(t, func(_ context.Context, p *Proc) int { f(p); return 0 }).Wait()
}

func wantCode(t *testing.T, err error, want Code) {
	t.Helper()
	if CodeOf(err) != want {
		t.Errorf("got %v (code %d), want code %d (%v)", err, CodeOf(err), want, want)
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// until waits for something to become true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not come to this: %s", what)
		}
	}
}

func TestResolve(t *testing.T) {
	for _, c := range []struct {
		dir, name, want string
		code            Code
	}{
		{`C:\Users`, `a.txt`, `C:\Users\a.txt`, 0},
		{`C:\Users`, `.\a\..\b`, `C:\Users\b`, 0},
		{`C:\Users`, `..\..\..\x`, `C:\x`, 0},
		{`C:\Users`, `\x`, `C:\x`, 0},
		{`C:\Users`, `c:/Windows/Temp/`, `C:\Windows\Temp`, 0},
		{`C:\Users`, `C:x`, `C:\Users\x`, 0},
		{`C:\Users`, `C:`, `C:\Users`, 0},
		{`C:\`, `C:\`, `C:\`, 0},
		{`C:\`, `\\?\C:\a\b`, `C:\a\b`, 0},
		{`C:\`, `a. . `, `C:\a`, 0},
		{`C:\`, `a\nul`, nul, 0},
		{`C:\`, `NUL.txt`, nul, 0},
		{`C:\`, `com1`, "", InvalidName},
		{`C:\`, `con.txt\x`, "", InvalidName},
		{`C:\`, `a:b`, "", PathNotFound},
		{`C:\`, `ab:c`, "", InvalidName},
		{`C:\`, `C:\a:b`, "", InvalidName},
		{`C:\`, `a*`, "", InvalidName},
		{`C:\`, "a\x01", "", InvalidName},
		{`C:\`, "a\x00", "", InvalidName},
		{`C:\`, `D:\x`, "", PathNotFound},
		{`C:\`, `\\server\share`, "", BadNetPath},
		{`C:\`, ``, "", InvalidParameter},
		{`C:\`, strings.Repeat("a", 257), "", TooLong},
		{`C:\`, `\\?\C:\` + strings.Repeat("a", 257), `C:\` + strings.Repeat("a", 257), 0},
	} {
		got, err := Resolve(c.dir, c.name)
		if got != c.want || CodeOf(err) != c.code {
			t.Errorf("Resolve(%q, %.40q) = %.60q, %v; want %.60q, code %d", c.dir, c.name, got, err, c.want, c.code)
		}
	}
}

func FuzzResolve(f *testing.F) {
	for _, s := range []string{`..\..\x`, `C:\a\..\..\b`, `\\?\C:\..\..\x`, `a/../../..`, `c:..\..`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		full, err := Resolve(`C:\a\b`, s)
		if err != nil || full == nul {
			return
		}
		if !strings.HasPrefix(full, `C:\`) || !filepath.IsLocal(relative(full)) {
			t.Errorf("%q became %q (%q on the host)", s, full, relative(full))
		}
	})
}

func TestDisk(t *testing.T) {
	m := booted(t, Boot{})
	m.as(t, func(p *Proc) {
		if err := p.WriteFile(`C:\Users\Administrator\Hello.TXT`, []byte("hi")); err != nil {
			t.Error(err)
		}
		if b, err := p.ReadFile(`c:/users/ADMINISTRATOR/hello.txt`); err != nil || string(b) != "hi" {
			t.Errorf("%q %v", b, err)
		}
		st, err := p.Stat(`hello.txt`)
		if err != nil || st.Path != `C:\Users\Administrator\Hello.TXT` || st.Size != 2 || st.Dir {
			t.Errorf("%+v %v", st, err)
		}
		wantCode(t, p.Mkdir(`hello.txt`), AlreadyExists)
		wantCode(t, p.Mkdir(`hello.txt\x`), PathNotFound)
		_, err = p.ReadFile(`nothing.txt`)
		wantCode(t, err, FileNotFound)
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v is not fs.ErrNotExist", err)
		}
		_, err = p.ReadFile(`nothing\x.txt`)
		wantCode(t, err, PathNotFound)
		if err := p.Mkdir(`a\b\c`); err != nil {
			t.Error(err)
		}
		wantCode(t, p.Remove(`A`), DirNotEmpty)
		if err := p.WriteFile(`A\B\x`, []byte("1")); err != nil {
			t.Error(err)
		}
		if err := p.Rename(`a\b`, `A\Z`, false); err != nil {
			t.Error(err)
		}
		if err := p.Rename(`a\z`, `a\ZZ`, false); err != nil {
			t.Error(err)
		}
		if list, err := p.List(`a`); err != nil || len(list) != 1 || list[0].Name != "ZZ" {
			t.Errorf("%+v %v", list, err)
		}
		if err := p.Rename(`a\zz`, `a\zZ`, false); err != nil { // only the case
			t.Error(err)
		}
		if list, _ := p.List(`a`); len(list) != 1 || list[0].Name != "zZ" {
			t.Errorf("%+v", list)
		}
		wantCode(t, p.Rename(`a\zz\x`, `hello.txt`, false), AlreadyExists)
		if err := p.Rename(`a\zz\x`, `hello.txt`, true); err != nil {
			t.Error(err)
		}
		if err := p.SetReadOnly(`hello.txt`, true); err != nil {
			t.Error(err)
		}
		wantCode(t, p.WriteFile(`hello.txt`, nil), AccessDenied)
		wantCode(t, p.Remove(`hello.txt`), AccessDenied)
		if b, err := p.ReadFile(`hello.txt`); err != nil || string(b) != "1" {
			t.Errorf("%q %v", b, err)
		}
		if err := p.SetReadOnly(`hello.txt`, false); err != nil {
			t.Error(err)
		}
		if err := p.Remove(`hello.txt`); err != nil {
			t.Error(err)
		}
		if err := p.WriteFile(`nul`, []byte("gone")); err != nil {
			t.Error(err)
		}
		wantCode(t, p.Remove(`C:\`), AccessDenied)
		wantCode(t, p.Rename(`a`, `a\b`, false), SharingViolation)
	})
	// Nothing leaves the folder, whatever is put into it from outside.
	if err := os.Symlink("/etc", filepath.Join(m.dir, "c", "out")); err != nil {
		t.Fatal(err)
	}
	m.as(t, func(p *Proc) {
		if b, err := p.ReadFile(`C:\out\passwd`); err == nil {
			t.Errorf("read %q", b)
		}
		if err := p.WriteFile(`C:\out\imgflow-test`, nil); err == nil {
			t.Error("wrote through a link")
		}
	})
}

func TestShareModes(t *testing.T) {
	m := booted(t, Boot{})
	m.as(t, func(p *Proc) {
		must := func(f *File, err error) *File {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		p.WriteFile(`x`, []byte("1"))
		none := must(p.Open(`x`, Mode{Read: true, Write: true}))
		_, err := p.ReadFile(`X`)
		wantCode(t, err, SharingViolation)
		wantCode(t, p.WriteFile(`X`, nil), SharingViolation)
		wantCode(t, p.Remove(`x`), SharingViolation)
		wantCode(t, p.Rename(`x`, `y`, false), SharingViolation)
		none.Close()
		none.Close()

		r := must(p.Open(`x`, ForReading))
		if b, err := p.ReadFile(`x`); err != nil || string(b) != "1" {
			t.Errorf("%q %v", b, err)
		}
		_, err = p.Open(`x`, ForWriting)
		wantCode(t, err, SharingViolation)
		// Who opens must also allow what others have it open for.
		w := must(p.Open(`y`, Mode{Disposition: CreateNew, Write: true, ShareRead: true, ShareWrite: true, ShareDelete: true}))
		_, err = p.Open(`y`, ForReading)
		wantCode(t, err, SharingViolation)
		must(p.Open(`y`, Mode{Read: true, ShareRead: true, ShareWrite: true})).Close()
		if err := p.Remove(`y`); err != nil {
			t.Error(err)
		}
		w.Close()
		_, err = p.Open(`z\q`, ForWriting)
		wantCode(t, err, PathNotFound)
		r.Close()
		_, err = p.Open(`x`, Mode{Disposition: CreateNew, Write: true})
		wantCode(t, err, FileExists)
	})
	// What a process leaves open closes with it.
	m.runFunc(t, func(_ context.Context, p *Proc) int {
		if _, err := p.Open(`left`, Mode{Disposition: CreateAlways, Write: true}); err != nil {
			t.Error(err)
		}
		return 0
	}).Wait()
	m.as(t, func(p *Proc) {
		if err := p.Remove(`left`); err != nil {
			t.Error(err)
		}
	})
}

// .NET takes a directory that another made meanwhile for its own.
func TestDirectoriesMadeAtOnce(t *testing.T) {
	m := booted(t, Boot{})
	m.as(t, func(p *Proc) {
		for i := range 200 {
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if err := p.Host().MakeDir(fmt.Sprintf(`C:\Windows\Temp\d%d`, i)); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
	})
}

func TestWords(t *testing.T) {
	for line, want := range map[string][]string{
		``:                       {},
		`a b`:                    {"a", "b"},
		`"a b" c`:                {"a b", "c"},
		`a\\b\ "c\" d" e\\"f g"`: {`a\\b\`, `c" d`, `e\f g`},
		`""  x`:                  {"", "x"},
		`"a""b"`:                 {`a"b`},
		`'@{a="b"}'`:             {`'@{a=b}'`},
	} {
		if got := Split(line); strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func FuzzQuote(f *testing.F) {
	f.Add(`a b`, `c\`)
	f.Add(`"`, `\\"`)
	f.Fuzz(func(t *testing.T, a, b string) {
		if got := Split(Quote(a, b)); len(got) != 2 || got[0] != a || got[1] != b {
			t.Errorf("%q %q became %s, which reads %q", a, b, Quote(a, b), got)
		}
	})
}

func TestProcesses(t *testing.T) {
	m := booted(t, Boot{})
	code := m.runFunc(t, func(_ context.Context, p *Proc) int { return 0xFFFF0003 }).Wait()
	if code != -65533 {
		t.Errorf("exit code %d", code)
	}
	crash := m.runFunc(t, func(_ context.Context, p *Proc) int { panic("ouch") })
	if got := crash.Wait(); got == 0 {
		t.Errorf("a crash has exit code %d", got)
	}
	// A tree: the child dies with it, the one outside of the job does not.
	ids := make(chan int, 2)
	m.plant(t, "sleeper", func(ctx context.Context, p *Proc) int {
		io.Copy(io.Discard, p.Stdin)
		<-ctx.Done()
		return 0
	})
	parent := m.runFunc(t, func(ctx context.Context, p *Proc) int {
		for _, detached := range []bool{false, true} {
			c, err := p.Start(Launch{Line: "sleeper", Detached: detached})
			if err != nil {
				t.Error(err)
				return 1
			}
			ids <- c.ID
		}
		<-ctx.Done()
		return 0
	})
	child, outside := <-ids, <-ids
	if err := m.KillProcess(parent.ID, true); err != nil {
		t.Error(err)
	}
	if got := parent.Wait(); got != 1 {
		t.Errorf("exit code %d", got)
	}
	until(t, "the child is gone", func() bool { return m.ProcessByID(child) == nil })
	if m.ProcessByID(outside) == nil {
		t.Error("the detached process is gone")
	}
	wantCode(t, m.KillProcess(child, false), NoSuchProcess)
	wantCode(t, m.KillProcess(m.run.hosts["lsass.exe"], false), AccessDenied)

	m.runFunc(t, func(context.Context, *Proc) int { return 0 }).Wait()
	for line, want := range map[string]Code{
		`nothing-like-that`:              FileNotFound,
		`C:\Windows\win.ini`:             BadExe,
		`C:\Windows`:                     FileNotFound,
		`C:\Windows\System32\config.`:    AccessDenied,
		`"C:\Windows\System32\test.exe"`: 0,
		`C:/windows/system32/TEST`:       0,
	} {
		p, err := m.Start(Launch{Line: line, Login: m.login("Administrator", true)})
		wantCode(t, err, want)
		if err == nil {
			p.Kill(1)
		}
	}
	at := m.Booted()
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	if m.ProcessByID(outside) != nil {
		t.Error("a process outlived the machine")
	}
	_, err := m.Start(Launch{Line: "test"})
	wantCode(t, err, ShutdownInProgress)
	if err := m.Boot(Boot{}); err != nil {
		t.Fatal(err)
	}
	if !m.Booted().After(at) {
		t.Error("it booted before it ended")
	}
}

func TestKilledProgramDoesNothingMore(t *testing.T) {
	m := booted(t, Boot{})
	out := &safeBuffer{}
	killed, went := make(chan bool), make(chan error, 3)
	m.plant(t, "stubborn", func(ctx context.Context, p *Proc) int {
		<-killed
		_, err := p.Stdout.Write([]byte("x"))
		went <- err
		went <- p.WriteFile(`C:\late`, nil)
		_, err = p.Start(Launch{Line: "stubborn"})
		went <- err
		return 0
	})
	p, err := m.Start(Launch{Line: "stubborn", Login: m.login("Administrator", true), Stdout: out})
	if err != nil {
		t.Fatal(err)
	}
	p.Kill(7)
	close(killed)
	for range 3 {
		if err := <-went; err == nil {
			t.Error("a killed program could do something")
		}
	}
	if p.Wait() != 7 || out.String() != "" {
		t.Errorf("code %d, output %q", p.Wait(), out.String())
	}
}

func TestRights(t *testing.T) {
	m := booted(t, Boot{})
	if err := m.AddAccount(Account{Name: "bob", Password: secretWord}); err != nil {
		t.Fatal(err)
	}
	as := func(l Login, line string) (out string, code int) {
		t.Helper()
		o := &safeBuffer{}
		p, err := m.Start(Launch{Line: line, Login: l, Dir: `C:\`, Stdout: o, Stderr: o})
		if err != nil {
			t.Fatal(err)
		}
		code = p.Wait()
		return o.String(), code
	}
	admin, bob := m.login("Administrator", true), Login{User: "bob"}
	m.plant(t, "try", func(_ context.Context, p *Proc) int {
		code := 0
		if _, err := p.ReadFile(`C:\closed\deep\f`); err == nil {
			code |= 1
		}
		if err := p.WriteFile(`C:\closed\deep\f`, nil); err == nil {
			code |= 2
		}
		return code
	})
	want := func(l Login, want int) {
		t.Helper()
		if _, got := as(l, "try"); got != want {
			t.Errorf("%s: read and write %d, want %d", l.User, got, want)
		}
	}
	m.as(t, func(p *Proc) {
		p.Mkdir(`C:\closed\deep`)
		p.WriteFile(`C:\closed\deep\f`, nil)
	})
	want(bob, 3)
	icacls := func(l Login, args string, code int) {
		t.Helper()
		if out, got := as(l, `icacls C:\Closed `+args); got != code {
			t.Errorf("icacls %s: exit code %d\n%s", args, got, out)
		}
	}
	icacls(admin, `/inheritance:r /grant:r *S-1-5-32-544:(OI)(CI)F *S-1-5-18:(OI)(CI)F`, 0)
	want(admin, 3)
	want(system, 3)
	want(bob, 0)
	want(Login{User: "Administrator"}, 0)
	icacls(bob, `/grant bob:F`, 5)
	icacls(admin, `/grant TESTER\bob:(OI)(CI)RX`, 0)
	want(bob, 1)
	icacls(admin, `/grant nobody:F`, int(NoAccount))
	icacls(admin, `/grant bob:Z`, int(InvalidParameter))
	icacls(admin, `/setowner bob`, 1)
	icacls(admin, `/grant:r bob:F`, 0) // for the folder alone
	want(bob, 0)
	icacls(admin, `/grant:r bob:(OI)(CI)(M)`, 0)
	want(bob, 3)
	if out, _ := as(admin, `icacls C:\closed`); !strings.Contains(out, `BUILTIN\Administrators:(OI)(CI)F`) || !strings.Contains(out, `TESTER\bob:(OI)(CI)(M)`) {
		t.Error(out)
	}
	icacls(admin, `/remove bob`, 0)
	m.as(t, func(p *Proc) { // rights move and end with what they are of
		if err := p.Rename(`C:\closed`, `C:\moved`, false); err != nil {
			t.Error(err)
		}
		p.Mkdir(`C:\closed\deep`)
		p.WriteFile(`C:\closed\deep\f`, nil)
	})
	want(bob, 3)
	m.as(t, func(p *Proc) {
		p.Remove(`C:\closed\deep\f`)
		p.Remove(`C:\closed\deep`)
		p.Remove(`C:\closed`)
		if err := p.Rename(`C:\moved`, `C:\closed`, false); err != nil {
			t.Error(err)
		}
	})
	want(bob, 0)
	icacls(admin, `/reset`, 0)
	want(bob, 3)
}
