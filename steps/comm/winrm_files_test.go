package comm

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
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

func TestWindowsUpload(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	w := newWin(t, g.m)
	for name, content := range map[string][]byte{
		"empty": nil, "small.txt": []byte("hello\r\n"), "größe 文.bin": noise(partSize), "b[1].bin": noise(partSize + 1), "large.bin": noise(3*partSize + 17), "zeros": make([]byte, 1<<20),
	} {
		dst := "C:/Windows/Temp/" + name
		if err := w.Upload(t.Context(), dst, bytes.NewReader(content), int64(len(content)), 0); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := g.read("Windows/Temp/" + name); got != string(content) {
			t.Errorf("%s: %d bytes came, want %d, or others", name, len(got), len(content))
		}
		var b bytes.Buffer
		if err := w.Download(t.Context(), dst, &b); err != nil || !bytes.Equal(b.Bytes(), content) {
			t.Errorf("%s back: %d bytes, %v", name, b.Len(), err)
		}
		fi, err := w.Stat(t.Context(), dst)
		if err != nil || fi.Size() != int64(len(content)) || fi.IsDir() || fi.Name() != name || time.Since(fi.ModTime()).Abs() > time.Hour {
			t.Errorf("%s: %v %v", name, fi, err)
		}
		os.Remove(g.path("Windows/Temp/" + name))
	}
	g.clean()
}

func TestWindowsUploadReplaces(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	w := newWin(t, g.m)
	put := func(dst, text string) error {
		return w.Upload(t.Context(), dst, strings.NewReader(text), -1, 0)
	}
	if err := put("~/new.txt", "one"); err != nil || g.read("Users/Administrator/new.txt") != "one" {
		t.Error(err)
	}
	os.Chmod(g.path("Users/Administrator/new.txt"), 0o444)
	if err := put(`c:\users\ADMINISTRATOR\NEW.txt`, "two"); err != nil || g.read("Users/Administrator/NEW.txt") != "two" {
		t.Error(err)
	}
	if err := put(`C:\Windows`, "x"); err == nil || !strings.Contains(err.Error(), "it is a directory") {
		t.Error(err)
	}
	if err := put(`C:\new\too\file`, "x"); err != nil || g.read("new/too/file") != "x" {
		t.Error(err)
	}
	if err := put("", "x"); err == nil {
		t.Error("an empty path was taken")
	}
	if err := w.Upload(t.Context(), `C:\x`, strings.NewReader("abc"), 4, 0); err == nil || !strings.Contains(err.Error(), "were promised") {
		t.Error(err)
	}
	if _, err := w.Stat(t.Context(), `C:\none\such\file`); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if fi, err := w.Stat(t.Context(), `C:\Windows\`); err != nil || !fi.IsDir() || fi.Name() != "Windows" {
		t.Error(fi, err)
	}
	if err := w.Download(t.Context(), `C:\Windows`, io.Discard); err == nil || !strings.Contains(err.Error(), "it is a directory") {
		t.Error(err)
	}
	if err := w.Download(t.Context(), `C:\none`, io.Discard); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	g.clean()
}

// What is there already is not sent.
func TestWindowsUploadSame(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	c := newCutter(t, g.ports["winrm"])
	w := newWin(t, c.machine(g.m))
	content := noise(2 * partSize)
	for i := range 2 {
		before := c.sent.Load()
		if err := w.Upload(t.Context(), `C:\same.bin`, bytes.NewReader(content), -1, 0); err != nil {
			t.Fatal(err)
		}
		if n := c.sent.Load() - before; (n < int64(len(content))) != (i == 1) {
			t.Errorf("%d bytes sent", n)
		}
	}
	g.clean()
}

// An upload that broke, with its caller, goes on where it was.
func TestWindowsUploadBroken(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	c := newCutter(t, g.ports["winrm"])
	content := noise(12 * partSize)
	m := c.machine(g.m)
	part := func() int64 {
		found, _ := filepath.Glob(g.path("Windows/Temp/imgf-put-*/*"))
		if len(found) != 1 {
			return 0
		}
		fi, err := os.Stat(found[0])
		if err != nil {
			return 0
		}
		return fi.Size()
	}
	w := newWin(t, m)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Upload(ctx, `C:\large.bin`, bytes.NewReader(content), -1, 0) }()
	await(t, "half of the file", func() bool { return part() >= 6*partSize })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	w.env.Close()
	have, before := part(), c.sent.Load()
	if err := newWin(t, m).Upload(t.Context(), `C:\large.bin`, bytes.NewReader(content), -1, 0); err != nil {
		t.Fatal(err)
	}
	if got := g.read("large.bin"); got != string(content) {
		t.Error("other bytes arrived")
	}
	// Base64 twice; of what was under way when it broke, some may be counted here.
	if n, want := c.sent.Load()-before, (int64(len(content))-have+partSize)*16/9+64<<10; n > want {
		t.Errorf("%d bytes were sent, want at most %d: %d of %d were there", n, want, have, len(content))
	}
	g.clean()
}

// The connection is cut again and again; every cut costs one part at most.
func TestWindowsUploadCut(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	c := newCutter(t, g.ports["winrm"])
	w := newWin(t, c.machine(g.m))
	c.limit.Store(700 << 10)
	content := noise(4 * partSize)
	if err := w.Upload(t.Context(), `C:\large.bin`, bytes.NewReader(content), -1, 0); err != nil {
		t.Fatal(err)
	}
	if got := g.read("large.bin"); got != string(content) || c.cuts.Load() == 0 {
		t.Errorf("%d bytes, %d cuts", len(got), c.cuts.Load())
	}
	var b bytes.Buffer
	if err := w.Download(t.Context(), `C:\large.bin`, &b); err != nil || !bytes.Equal(b.Bytes(), content) {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
	await(t, "the machine is clean", func() bool { return len(g.left()) == 0 })
}

// What lies on the machine of an earlier upload is not trusted.
func TestWindowsUploadDamaged(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	w := newWin(t, g.m)
	content := noise(3 * partSize)
	p, err := newZipArchive()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if _, err := p.file("file", bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	if err := p.finish(); err != nil {
		t.Fatal(err)
	}
	dir := "Windows/Temp/" + place16("put", `C:\large.bin`)
	os.Mkdir(g.path(dir), 0o700)
	g.write(dir+"/"+p.digest, string(noise(partSize)))
	g.write(dir+"/other", "of another content")
	if err := w.Upload(t.Context(), `C:\large.bin`, bytes.NewReader(content), -1, 0); err != nil {
		t.Fatal(err)
	}
	if got := g.read("large.bin"); got != string(content) {
		t.Error("other bytes arrived")
	}
	if s := strings.Join(w.sink.texts(dag.Detail), "\n"); !strings.Contains(s, "arrived damaged") {
		t.Errorf("said %q", s)
	}
	g.clean()
}

// Who took an earlier upload may have all of it and be unpacking it still.
func TestWindowsUploadUnpacked(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	w := newWin(t, g.m)
	content := noise(partSize)
	p, err := newZipArchive()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if _, err := p.file("file", bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	if err := p.finish(); err != nil {
		t.Fatal(err)
	}
	archive := make([]byte, p.size)
	if _, err := p.f.ReadAt(archive, 0); err != nil {
		t.Fatal(err)
	}
	for name, have := range map[string]int64{"all": p.size, "not all": 100, "all, then nothing": p.size, "not all, then nothing": 100} {
		dst := `C:\` + name
		dir := "Windows/Temp/" + place16("put", dst)
		os.Mkdir(g.path(dir), 0o700)
		g.write(dir+"/"+p.digest, string(archive[:have]))
		done := make(chan error, 1)
		go func() {
			done <- w.PowerShell(t.Context(), `$f = [IO.File]::Open($a.part, 'Open', 'Read', 'None')
[IO.File]::WriteAllText($a.dir + '\held', '')
Start-Sleep -Milliseconds 1500
$f.Close()
if ($a.gone) { try { [IO.Directory]::Delete($a.dir, $true) } catch { } }`,
				map[string]any{"dir": `C:\` + dir, "part": `C:\` + dir + `\` + p.digest, "gone": strings.HasSuffix(name, "nothing")}, nil)
		}()
		await(t, "an open archive", func() bool { _, err := os.Stat(g.path(dir + "/held")); return err == nil })
		if err := w.Upload(t.Context(), dst, bytes.NewReader(content), -1, 0); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if g.read(name) != string(content) {
			t.Errorf("%s: other bytes arrived", name)
		}
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	g.clean()
}

// What is there is not lost to what cannot be removed.
func TestWindowsUploadOpen(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	w := newWin(t, g.m)
	held := "Windows/Temp/" + place16("put", `C:\file`)
	go w.PowerShell(t.Context(), `[void][IO.Directory]::CreateDirectory($a.dir)
$f = [IO.File]::Open($a.dir + '\held', 'Create', 'ReadWrite', 'None')
Start-Sleep 60`, map[string]string{"dir": `C:\` + held}, nil)
	await(t, "an open file", func() bool { _, err := os.Stat(g.path(held + "/held")); return err == nil })
	if err := w.Upload(t.Context(), `C:\file`, strings.NewReader("text"), -1, 0); err != nil || g.read("file") != "text" {
		t.Error(err)
	}
	if ws := w.sink.texts(dag.Warned); len(ws) != 1 || !strings.Contains(ws[0], "somebody has it open") {
		t.Errorf("%q", ws)
	}
}

func TestWindowsTree(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	w := newWin(t, g.m)
	src := t.TempDir()
	want := map[string]string{"a.txt": "a", "sub/b.bin": string(noise(1000)), "sub/deep/ünï 文.txt": "u", "sub/ro.txt": "ro"}
	for name, text := range want {
		p := filepath.Join(src, filepath.FromSlash(name))
		os.MkdirAll(filepath.Dir(p), 0o755)
		os.WriteFile(p, []byte(text), 0o644)
	}
	os.Mkdir(filepath.Join(src, "empty"), 0o755)
	os.Chmod(filepath.Join(src, "sub", "ro.txt"), 0o444)
	os.Symlink("a.txt", filepath.Join(src, "link.txt"))
	want["link.txt"] = "a"
	os.Symlink("sub", filepath.Join(src, "dir"))
	want["dir/b.bin"], want["dir/deep/ünï 文.txt"], want["dir/ro.txt"] = want["sub/b.bin"], "u", "ro"
	out := t.TempDir()
	os.WriteFile(filepath.Join(out, "o.txt"), []byte("o"), 0o644)
	os.Symlink(out, filepath.Join(src, "out"))
	want["out/o.txt"] = "o"
	os.Symlink("..", filepath.Join(src, "sub", "up"))
	os.Symlink("nowhere", filepath.Join(src, "dangling"))
	for range 2 { // the second time over what is there
		if err := w.UploadDir(t.Context(), `C:\tree`, src); err != nil {
			t.Fatal(err)
		}
		for name, text := range want {
			if got := g.read("tree/" + name); got != text {
				t.Errorf("%s: %.40q", name, got)
			}
		}
		if fi, err := os.Stat(g.path("tree/empty")); err != nil || !fi.IsDir() {
			t.Error(err)
		}
		os.Chmod(g.path("tree/a.txt"), 0o444)
	}
	told := strings.Join(w.sink.texts(dag.Warned), "\n")
	for _, name := range []string{"sub/up", "dir/up", "dangling"} {
		if _, err := os.Lstat(g.path("tree/" + name)); err == nil || strings.Count(told, filepath.Join(src, name)+": it ") != 2 {
			t.Errorf("%s is there, or not told:\n%s", name, told)
		}
	}
	back := t.TempDir()
	if err := downloadDir(t.Context(), w, "C:/tree", back); err != nil {
		t.Fatal(err)
	}
	for name, text := range want {
		if b, err := os.ReadFile(filepath.Join(back, filepath.FromSlash(name))); err != nil || string(b) != text {
			t.Errorf("%s back: %.40q %v", name, b, err)
		}
	}
	if fi, err := os.Stat(filepath.Join(back, "empty")); err != nil || !fi.IsDir() {
		t.Error(err)
	}
	if err := w.UploadDir(t.Context(), `C:\new\too`, src); err != nil || g.read("new/too/a.txt") != want["a.txt"] {
		t.Error(err)
	}
	if err := w.UploadDir(t.Context(), `C:\tree\a.txt`, src); err == nil || !strings.Contains(err.Error(), "it is a file") {
		t.Error(err)
	}
	if err := downloadDir(t.Context(), w, `C:\none`, back); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	g.clean()
}

// Who served an earlier download may live on, with its archive open.
func TestWindowsTreeOpen(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	w := newWin(t, g.m)
	os.Mkdir(g.path("tree"), 0o755)
	g.write("tree/a.txt", "a")
	held := "Windows/Temp/" + place16("get", `C:\tree`)
	go w.PowerShell(t.Context(), `[void][IO.Directory]::CreateDirectory($a.dir)
$f = [IO.File]::Open($a.dir + '\part', 'Create', 'ReadWrite', 'None')
Start-Sleep 60`, map[string]string{"dir": `C:\` + strings.ReplaceAll(held, "/", `\`)}, nil)
	await(t, "an open file", func() bool { _, err := os.Stat(g.path(held + "/part")); return err == nil })
	back := t.TempDir()
	if err := downloadDir(t.Context(), w, `C:\tree`, back); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(back, "a.txt")); err != nil || string(b) != "a" {
		t.Errorf("%q %v", b, err)
	}
	if ws := w.sink.texts(dag.Warned); len(ws) != 1 || !strings.Contains(ws[0], "cannot remove the archive") {
		t.Errorf("%q", ws)
	}
}

// A directory that broke on its way goes on where it was.
func TestWindowsTreeCut(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	c := newCutter(t, g.ports["winrm"])
	w := newWin(t, c.machine(g.m))
	os.Mkdir(g.path("tree"), 0o755)
	content := noise(4 * partSize)
	g.write("tree/a.bin", string(content))
	c.limit.Store(700 << 10)
	back := t.TempDir()
	if err := downloadDir(t.Context(), w, `C:\tree`, back); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(back, "a.bin")); err != nil || !bytes.Equal(b, content) || c.cuts.Load() == 0 {
		t.Errorf("%d bytes, %d cuts, %v", len(b), c.cuts.Load(), err)
	}
}

func TestWindowsManyFiles(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	w := newWin(t, g.m)
	src := t.TempDir()
	for i := range 1000 {
		d := filepath.Join(src, fmt.Sprint("d", i%10))
		os.MkdirAll(d, 0o755)
		os.WriteFile(filepath.Join(d, fmt.Sprint("f", i)), []byte(fmt.Sprint(i)), 0o644)
	}
	if err := w.UploadDir(t.Context(), `C:\many`, src); err != nil {
		t.Fatal(err)
	}
	if found, _ := filepath.Glob(g.path("many/d*/f*")); len(found) != 1000 {
		t.Errorf("%d files", len(found))
	}
}
