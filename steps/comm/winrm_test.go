package comm

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

func TestRebootTold(t *testing.T) {
	sink, err := openSink(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	j, err := newJournal(dagTask("t", sink), "t")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		then, age, now int64
		want           bool
	}{
		{60000, 0, 60000, false}, {60000, 5000, 65000, false}, {60000, 5000, 64900, false}, {60000, 5000, 4000, true},
		{60000, 600000, 300000, true}, // up for longer than at first, and yet not long enough
		{2000, 600000, 602000, false}, {2000, 600000, 600100, true}, {2000, -3600000, 5000, false}, {60000, -3600000, 5000, true},
	} {
		if got := j.rebooted(c.then, c.age, c.now); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// A machine cannot make us keep without end what is no line.
func TestWinRMEndlessLine(t *testing.T) {
	k, part := &scriptSession{}, bytes.Repeat([]byte("x"), 1<<20)
	var err error
	for n := 0; err == nil; n++ {
		if n > 2*maxOutput/len(part) {
			t.Fatalf("%d bytes are kept", len(k.buf))
		}
		err = k.hear(part)
	}
	if !errors.As(err, new(permanent)) || len(err.Error()) > 1000 {
		t.Errorf("%.2000v", err)
	}
}

func TestWindowsJobChecks(t *testing.T) {
	for want, j := range map[string]Job{
		"more than one line":       {Token: "t", Command: "a\nb"},
		"letters, digits":          {Token: "t/", Command: "a"},
		"takes 8000":               {Token: "t", Command: strings.Repeat("x", 8001)},
		"name of an environment":   {Token: "t", Env: map[string]string{"A=B": "x"}},
		"value of the environment": {Token: "t", Env: map[string]string{"A": "x\x00"}},
		"is not UTF-8":             {Token: "t", Env: map[string]string{"A": "\xff"}},
		"that Windows allows":      {Token: "t", Env: map[string]string{"A": strings.Repeat("x", 32767)}},
		"name of a file":           {Token: "t", Files: map[string][]byte{`..\x`: nil}},
		"\"RUN.ps1\"":              {Token: "t", Files: map[string][]byte{"RUN.ps1": nil}},
		"is not named":             {Token: "t", Elevate: &Elevate{}},
	} {
		if err := j.checkWindows(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestWindowsNames(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "ünï 文": true, "com": true, "com0.txt": true, "console": true, "a.b.c": true, "[x]": true, "%x%": true, "$x": true,
		"": false, "a:b": false, "a?": false, "a*": false, "a|b": false, `a\b`: false, "a/b": false, "a<": false, `"`: false, "dot.": false, "space ": false,
		"con": false, "CON.txt": false, "aux .txt": false, "nul": false, "COM1": false, "lpt9.x": false, "a\nb": false,
	} {
		if windowsName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
	for _, names := range [][]string{{"con.txt"}, {"A.txt", "a.txt"}, {"d/x:y"}} {
		src := t.TempDir()
		for _, n := range names {
			os.MkdirAll(filepath.Dir(filepath.Join(src, n)), 0o755)
			if err := os.WriteFile(filepath.Join(src, n), nil, 0o644); err != nil {
				t.Skip("NOT TESTED: needs a file system with all names")
			}
		}
		p, err := newZipArchive()
		if err != nil {
			t.Fatal(err)
		}
		defer p.close()
		if err := zipDir(p, src); err == nil || !strings.Contains(err.Error(), "on Windows") {
			t.Errorf("%v: %v", names, err)
		}
	}
}

// After a crash the same archive is made again, so that it goes on.
func TestParcelIsTheSame(t *testing.T) {
	src := t.TempDir()
	for i := range 50 {
		os.WriteFile(filepath.Join(src, fmt.Sprint(i)), noise(i*100), 0o644)
	}
	var digests []string
	for range 2 {
		p, err := newZipArchive()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(zipDir(p, src), p.finish()); err != nil {
			t.Fatal(err)
		}
		digests = append(digests, p.digest)
		p.close()
		if _, err := os.Stat(p.f.Name()); err == nil {
			t.Error("the archive was left")
		}
		now := time.Now().Add(time.Hour)
		os.Chtimes(filepath.Join(src, "1"), now, now)
	}
	if digests[0] != digests[1] {
		t.Error(digests)
	}
}

// A machine cannot write where it wants.
func TestWindowsUnzip(t *testing.T) {
	for name, good := range map[string]bool{"a/b": true, `a\b`: false, "/etc/x": false, "C:x": false, "C:/x": false, "a:b": false, "a\x00b": false, "./..": false, "": false, "../x": false, `..\x`: false, `a\..\..\x`: false, `\x`: false} {
		var b bytes.Buffer
		zw := zip.NewWriter(&b)
		f, err := zw.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, "x")
		zw.Close()
		zr, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "in")
		os.Mkdir(dir, 0o755)
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		err = unzip(newUnpacker(t, root), zr.File[0])
		root.Close()
		if (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
		if found, _ := filepath.Glob(filepath.Join(dir, "..", "*")); len(found) != 1 {
			t.Errorf("%q: %v", name, found)
		}
	}
}

func TestWinRMOptions(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.pem")
	os.WriteFile(bad, []byte("no certificate"), 0o644)
	for field, s := range map[string]WinRM{
		"winrm_username": {},
		"winrm_port":     {Username: "u", Port: 70000},
		"winrm_timeout":  {Username: "u", Timeout: -1},
		"winrm_ca_file":  {Username: "u", UseSSL: true, CAFile: bad},
	} {
		var r report
		if s.Check(&r); len(r.wrong) != 1 || len(r.idle) > 0 || !strings.HasPrefix(r.wrong[0], field+": ") {
			t.Errorf("%s: %v", field, r)
		}
	}
	for _, s := range []WinRM{
		{Username: "u", CAFile: bad}, {Username: "u", UseSSL: true, CAFile: filepath.Join(dir, "none")}, {Username: "u", UseSSL: true, Insecure: true, CAFile: bad},
	} {
		var r report
		if s.Check(&r); len(r.wrong) == 0 {
			t.Errorf("%+v has no error", s)
		}
	}
	var good, idle report
	if (WinRM{Username: "u", UseSSL: true, Insecure: true}).Check(&good); len(good.wrong)+len(good.idle) > 0 {
		t.Error(good)
	}
	if (WinRM{Username: "u", Insecure: true}).Check(&idle); len(idle.wrong) > 0 || len(idle.idle) != 1 || !strings.HasPrefix(idle.idle[0], "winrm_insecure: ") {
		t.Error(idle)
	}
}

// What is no answer of WinRM's is told.
func TestWinRMNotWinRM(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n")
			c.Close()
		}
	}()
	w := newWin(t, Machine{Endpoint: Endpoint{Protocol: "winrm"}})
	s := Connect{
		WinRM: WinRM{Username: "u", Password: "p", Timeout: time.Second},
		To:    dag.Lit(Endpoint{Protocol: "winrm", Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}).Take(),
	}
	if _, err := s.Do(t.Context(), w.env, w.task); err == nil || !strings.Contains(err.Error(), "within 1s") {
		t.Error(err)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	r.Read(b)
	return b
}

// win is a task on a Windows machine.
type win struct {
	*lab
	Windows
}

func newWin(t testing.TB, m Machine) *win {
	t.Helper()
	l := newLab(t, m)
	return &win{l, l.remote.(Windows)}
}
