package comm

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// ways are the servers that transfers must work with.
func ways(t *testing.T, f func(t *testing.T, l *lab)) {
	for name, s := range map[string]func() *server{
		"sftp":    func() *server { return sshd(t, "dash") },
		"no sftp": func() *server { return sshd(t, "dash", "Subsystem other /bin/true") },
		"broken":  func() *server { return sshd(t, "bash", "Subsystem sftp /bin/false") },
		"busybox": func() *server { return sshd(t, "busybox", "Subsystem other /bin/true") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, newLab(t, s().machine()))
		})
	}
}

func random(n int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	r.Read(b)
	return b
}

func TestUpload(t *testing.T) {
	t.Parallel()
	ways(t, func(t *testing.T, l *lab) {
		dir := t.TempDir()
		up := func(name string, body []byte, mode fs.FileMode) error {
			return l.remote.Upload(t.Context(), name, bytes.NewReader(body), int64(len(body)), mode)
		}
		want := func(name string, body []byte, mode fs.FileMode) {
			t.Helper()
			got, err := os.ReadFile(name)
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("%s: %d bytes, want %d: %v", name, len(got), len(body), err)
			}
			if fi, err := os.Stat(name); err == nil && fi.Mode().Perm() != mode {
				t.Errorf("%s: mode %o, want %o", name, fi.Mode().Perm(), mode)
			}
		}
		big, p := random(3<<20), dir+"/it's a file"
		if err := up(p, big, 0o640); err != nil {
			t.Fatal(err)
		}
		want(p, big, 0o640)
		before, _ := os.Stat(p)
		if err := up(p, []byte("new"), 0); err != nil {
			t.Fatal(err)
		}
		want(p, []byte("new"), 0o640)
		if after, _ := os.Stat(p); os.SameFile(before, after) {
			t.Error("not replaced at once")
		}
		if err := up(dir+"/empty", nil, 0o755); err != nil {
			t.Fatal(err)
		}
		want(dir+"/empty", nil, 0o755)

		// A link stays a link.
		os.Symlink("it's a file", dir+"/link")
		if err := up(dir+"/link", []byte("through"), 0); err != nil {
			t.Fatal(err)
		}
		want(p, []byte("through"), 0o640)
		if fi, _ := os.Lstat(dir + "/link"); fi.Mode().Type() != fs.ModeSymlink {
			t.Error("the link was replaced")
		}
		for name, why := range map[string]string{dir: "directory", dir + "/none/x": "no", "/dev/null/x": ""} {
			if err := up(name, []byte("x"), 0o644); err == nil || !strings.Contains(strings.ToLower(err.Error()), why) || !strings.HasPrefix(err.Error(), "cannot upload to "+name) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := l.remote.Upload(t.Context(), dir+"/short", strings.NewReader("abc"), 10, 0); err == nil {
			t.Error("a source that ends early is no error")
		}
		if _, err := os.Stat(dir + "/short"); err == nil {
			t.Error("half a file")
		}
		if m, _ := filepath.Glob(dir + "/.imgf*"); m != nil {
			t.Errorf("left: %v", m)
		}

		var buf bytes.Buffer
		os.WriteFile(dir+"/big", big, 0o600)
		if err := l.remote.Download(t.Context(), dir+"/big", &buf); err != nil || !bytes.Equal(buf.Bytes(), big) {
			t.Errorf("%d bytes: %v", buf.Len(), err)
		}
		if err := l.remote.Download(t.Context(), dir+"/none", io.Discard); err == nil {
			t.Error("downloaded what is not there")
		}
		if fi, err := l.remote.Stat(t.Context(), dir+"/big"); err != nil || fi.Size() != int64(len(big)) || fi.Mode() != 0o600 {
			t.Errorf("%v %v", fi, err)
		}
		if fi, err := l.remote.Stat(t.Context(), dir); err != nil || !fi.IsDir() {
			t.Errorf("%v %v", fi, err)
		}
		if _, err := l.remote.Stat(t.Context(), dir+"/none"); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
}

// sampleTree makes a directory with everything that a tree may hold.
func sampleTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(dir+"/sub/deep", 0o755))
	must(os.Mkdir(dir+"/empty", 0o700))
	must(os.WriteFile(dir+"/plain", []byte("plain\n"), 0o644))
	must(os.WriteFile(dir+"/sub/run me.sh", []byte("#!/bin/sh\n"), 0o755))
	must(os.WriteFile(dir+"/sub/deep/secret", random(100_000), 0o600))
	must(os.WriteFile(dir+"/sub/"+strings.Repeat("long", 50), []byte("name"), 0o644))
	must(os.WriteFile(dir+"/-dash", nil, 0o644))
	must(os.Symlink("../plain", dir+"/sub/link"))
	must(os.Symlink("nowhere", dir+"/dangling"))
	old := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	must(os.Chtimes(dir+"/plain", old, old))
	return dir
}

// describe lists all that a directory holds.
func describe(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		fmt.Fprintf(&b, "%s %v", rel, fi.Mode())
		switch fi.Mode().Type() {
		case 0:
			body, _ := os.ReadFile(p)
			fmt.Fprintf(&b, " %d %x", len(body), body[:min(8, len(body))])
		case fs.ModeSymlink:
			to, _ := os.Readlink(p)
			b.WriteString(" " + to)
		}
		b.WriteString("\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDirs(t *testing.T) {
	t.Parallel()
	ways(t, func(t *testing.T, l *lab) {
		src := sampleTree(t)
		want := describe(t, src)
		up := t.TempDir() + "/new dir"
		for range 2 { // again, over what is there
			if err := l.remote.UploadDir(t.Context(), up, src); err != nil {
				t.Fatal(err)
			}
			if got := describe(t, up); got != want {
				t.Errorf("uploaded:\n%s\nwant:\n%s", got, want)
			}
		}
		if fi, err := os.Stat(up + "/plain"); err != nil || fi.ModTime().Year() != 2020 {
			t.Errorf("%v %v", fi, err)
		}
		down := t.TempDir() + "/x/y"
		for range 2 {
			if err := downloadDir(t.Context(), l.remote, up, down); err != nil {
				t.Fatal(err)
			}
			if got := describe(t, down); got != want {
				t.Errorf("downloaded:\n%s\nwant:\n%s", got, want)
			}
		}
		if err := l.remote.UploadDir(t.Context(), t.TempDir()+"/a/b", src); err == nil || !strings.HasPrefix(err.Error(), "cannot upload the directory") {
			t.Errorf("without a parent: %v", err)
		}
		if err := l.remote.UploadDir(t.Context(), up, src+"/plain"); err == nil || !strings.Contains(err.Error(), "not a directory") {
			t.Errorf("from a file: %v", err)
		}
		if err := downloadDir(t.Context(), l.remote, up+"/none", down); err == nil || !strings.HasPrefix(err.Error(), "cannot download the directory") {
			t.Errorf("what is not there: %v", err)
		}
	})
}

// A link that leads out of the tree takes along what it leads to, on every way to
// the machine. What is left out is told, once.
func TestUploadDirFollowsLinks(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	src := base + "/tree"
	for name, text := range map[string]string{"tree/f": "f", "out/g": "g", "out/sub/h": "h"} {
		os.MkdirAll(filepath.Dir(base+"/"+name), 0o755)
		os.WriteFile(base+"/"+name, []byte(text), 0o640)
	}
	for name, to := range map[string]string{"tree/in": "f", "tree/file": "../out/g", "tree/dir": base + "/out",
		"out/own": "g", "out/loop": "../tree", "tree/gone": "/none/such", "tree/round": "round", "tree/dev": "/dev/null"} {
		if err := os.Symlink(to, base+"/"+name); err != nil {
			t.Fatal(err)
		}
	}
	const want = "dir drwxr-xr-x\ndir/g -rw-r----- 1 67\ndir/own Lrwxrwxrwx g\ndir/sub drwxr-xr-x\ndir/sub/h -rw-r----- 1 68\n" +
		"f -rw-r----- 1 66\nfile -rw-r----- 1 67\nin Lrwxrwxrwx f\n"
	check := func(t *testing.T, l *lab, dst string) {
		t.Helper()
		if got := describe(t, dst); got != want {
			t.Errorf("uploaded:\n%s\nwant:\n%s", got, want)
		}
	}
	ways(t, func(t *testing.T, l *lab) {
		dst := t.TempDir() + "/new"
		if err := l.remote.UploadDir(t.Context(), dst, src); err != nil {
			t.Fatal(err)
		}
		check(t, l, dst)
		told := strings.Join(l.sink.texts(dag.Warned), "\n")
		for _, name := range []string{"dir/loop", "gone", "round", "dev"} {
			if strings.Count(told, src+"/"+name+": it ") != 1 {
				t.Errorf("%s is not told, or not once:\n%s", name, told)
			}
		}
	})
	tarless(t, func(t *testing.T, l *lab) {
		dst := t.TempDir() + "/new"
		if err := l.remote.UploadDir(t.Context(), dst, src); err != nil {
			t.Fatal(err)
		}
		check(t, l, dst)
	})
}

// tarless are machines with neither tar nor SFTP.
func tarless(t *testing.T, f func(t *testing.T, l *lab)) {
	for _, shell := range shells {
		t.Run("no tar, "+shell, func(t *testing.T) {
			t.Parallel()
			f(t, newLab(t, sshd(t, "tarless "+shell, "Subsystem other /bin/true").machine()))
		})
	}
}

// A link to a directory on the machine, such as /lib, is not replaced.
func TestUploadDirKeepsLinks(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, l *lab) {
		src, dst := t.TempDir(), t.TempDir()
		os.Mkdir(src+"/lib", 0o755)
		os.WriteFile(src+"/lib/f", []byte("f"), 0o644)
		os.Mkdir(dst+"/usr", 0o700)
		os.Symlink("usr", dst+"/lib")
		if err := l.remote.UploadDir(t.Context(), dst, src); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(dst + "/usr/f"); err != nil || string(b) != "f" {
			t.Error(string(b), err)
		}
		if fi, err := os.Stat(dst + "/usr"); err != nil || fi.Mode().Perm() != 0o700 {
			t.Errorf("%v %v", fi, err)
		}
	}
	t.Run("tar", func(t *testing.T) { check(t, newLab(t, sshd(t, "dash").machine())) })
	tarless(t, check)
}

// Without tar, what a tree holds goes through our own shell, and comes over SFTP or
// as it went.
func TestDirsWithoutTar(t *testing.T) {
	t.Parallel()
	src := sampleTree(t)
	for name, size := range map[string]int{"new\nline\n": 1, "  it's $(a) \"b\" `c` \\n *": 2, "not-utf8-\xff": 3, "blocks": 4 * block, "more": 4*block + 1, "less": 2*block - 1} {
		if err := os.WriteFile(filepath.Join(src, "sub", name), random(size), 0o604); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	if err := errors.Join(os.Symlink("to\nnothing", src+"/-l"), os.Chtimes(src+"/sub", old, old), os.Chmod(src+"/sub", 0o555)); err != nil {
		t.Fatal(err)
	}
	want := describe(t, src)
	up := func(t *testing.T, l *lab) string {
		t.Helper()
		dst := t.TempDir() + "/new dir"
		for range 2 { // again, over what is there
			if err := l.remote.UploadDir(t.Context(), dst, src); err != nil {
				t.Fatal(err)
			}
			if got := describe(t, dst); got != want {
				t.Errorf("uploaded:\n%s\nwant:\n%s", got, want)
			}
		}
		for _, name := range []string{"plain", "sub"} {
			fi, err := os.Stat(filepath.Join(dst, name))
			if here, herr := os.Stat(filepath.Join(src, name)); err != nil || herr != nil || !fi.ModTime().Equal(here.ModTime()) {
				t.Errorf("%s: %v %v", name, fi, err)
			}
		}
		return dst
	}
	back := func(t *testing.T, l *lab, dst string) {
		t.Helper()
		got := t.TempDir()
		if err := downloadDir(t.Context(), l.remote, dst, got); err != nil {
			t.Fatal(err)
		}
		// A directory of ours can always be written.
		if got, want := describe(t, got), strings.Replace(want, "sub dr-xr-xr-x", "sub drwxr-xr-x", 1); got != want {
			t.Errorf("downloaded:\n%s\nwant:\n%s", got, want)
		}
		if fi, err := os.Stat(got + "/sub"); err != nil || !fi.ModTime().Equal(old) {
			t.Errorf("%v %v", fi, err)
		}
	}
	tarless(t, func(t *testing.T, l *lab) {
		dst := up(t, l)
		back(t, l, dst)
		if err := downloadDir(t.Context(), l.remote, dst+"/none", t.TempDir()); err == nil || !strings.HasPrefix(err.Error(), "cannot download the directory") {
			t.Errorf("what is not there: %v", err)
		}
		if err := os.Mkdir(dst+"/blocked", 0o755); err != nil {
			t.Fatal(err)
		}
		other := t.TempDir()
		if err := errors.Join(os.WriteFile(other+"/blocked", nil, 0o644), os.WriteFile(other+"/never", nil, 0o644)); err != nil {
			t.Fatal(err)
		}
		if err := l.remote.UploadDir(t.Context(), dst, other); err == nil || !strings.Contains(err.Error(), "cannot write ./blocked") {
			t.Errorf("onto a directory: %v", err)
		}
	})
	t.Run("an old dd", func(t *testing.T) {
		t.Parallel()
		s := sshd(t, "tarless dash", "Subsystem other /bin/false")
		dd := filepath.Join(s.dir, "bin", "dd")
		script := "#!/bin/sh\ncase $* in *iflag*) exit 1;; esac\nexec /bin/dd \"$@\"\n"
		if err := errors.Join(os.Remove(dd), os.WriteFile(dd, []byte(script), 0o755)); err != nil {
			t.Fatal(err)
		}
		up(t, newLab(t, s.machine()))
	})
	t.Run("SFTP", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, sshd(t, "tarless dash").machine())
		back(t, l, up(t, l))
	})
}

// A machine that wants to write outside of the directory.
func TestHostileArchive(t *testing.T) {
	t.Parallel()
	evil := func(hs ...tar.Header) []byte {
		var b bytes.Buffer
		b.WriteString("0\n")
		w := tar.NewWriter(&b)
		for _, h := range hs {
			if h.Typeflag == 0 {
				h.Typeflag, h.Size = tar.TypeReg, 4
			}
			h.Mode = 0o7777
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if h.Size > 0 {
				w.Write([]byte("evil"))
			}
		}
		w.Close()
		return b.Bytes()
	}
	for name, tt := range map[string]struct {
		hs      []tar.Header
		refused bool
	}{
		"dots":       {[]tar.Header{{Name: "../evil"}}, true},
		"inner dots": {[]tar.Header{{Name: "a/../../evil"}}, true},
		"absolute":   {[]tar.Header{{Name: "/evil"}}, true},
		"link out":   {[]tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: ".."}, {Name: "l/evil"}}, false},
		"links into each other": {[]tar.Header{{Name: "d/", Typeflag: tar.TypeDir}, {Name: "l", Typeflag: tar.TypeSymlink, Linkname: "d"},
			{Name: "d/m/", Typeflag: tar.TypeDir}, {Name: "l/n", Typeflag: tar.TypeSymlink, Linkname: "../x"}}, false},
		"absolute link": {[]tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/tmp"}, {Name: "l/evil"}}, false},
		"chain": {[]tar.Header{{Name: "d/", Typeflag: tar.TypeDir}, {Name: "l", Typeflag: tar.TypeSymlink, Linkname: "d"},
			{Name: "l/m", Typeflag: tar.TypeSymlink, Linkname: ".."}, {Name: "d/m/m", Typeflag: tar.TypeSymlink, Linkname: "../.."}, {Name: "d/m/m/evil"}}, false},
		"hard link":        {[]tar.Header{{Name: "l", Typeflag: tar.TypeLink, Linkname: "../outside"}}, true},
		"device":           {[]tar.Header{{Name: "dev", Typeflag: tar.TypeBlock, Devmajor: 8}}, false},
		"set-uid":          {[]tar.Header{{Name: "suid"}}, false},
		"through old link": {[]tar.Header{{Name: "old/evil"}}, true},
		"onto old link":    {[]tar.Header{{Name: "old"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			dst := base + "/dst"
			os.Mkdir(dst, 0o755)
			os.WriteFile(base+"/outside", []byte("good"), 0o644)
			os.Symlink(base, dst+"/old")
			root, err := os.OpenRoot(dst)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			u := newUnpacker(t, root)
			err = u.stream(bytes.NewReader(evil(tt.hs...)))
			if (err != nil) != tt.refused {
				t.Errorf("%v", err)
			}
			filepath.WalkDir(dst, func(p string, d fs.DirEntry, err error) error {
				if to, err := filepath.EvalSymlinks(p); err == nil && filepath.Base(p) != "old" && to != dst && !strings.HasPrefix(to, dst+"/") {
					t.Errorf("%s leads to %s", p, to)
				}
				return nil
			})
			es, _ := os.ReadDir(base)
			if b, _ := os.ReadFile(base + "/outside"); len(es) != 2 || string(b) != "good" {
				t.Errorf("escaped: %v", es)
			}
			filepath.WalkDir(dst, func(p string, d fs.DirEntry, err error) error {
				if fi, _ := d.Info(); fi.Mode()&(fs.ModeSetuid|fs.ModeDevice) != 0 {
					t.Errorf("%s: %v", p, fi.Mode())
				}
				return nil
			})
		})
	}
}

// Transfers go on when the connection breaks.
func TestTransferBroken(t *testing.T) {
	t.Parallel()
	s := sshd(t, "dash")
	r := newRelay(t, s, func(n int64, c, b *net.TCPConn) {
		if n <= 2 {
			time.AfterFunc(time.Duration(60*n)*time.Millisecond, func() { c.Close(); b.Close() })
		}
	})
	l := newLab(t, r.machine(s))
	body, dir := random(24<<20), t.TempDir()
	if err := l.remote.Upload(t.Context(), dir+"/f", bytes.NewReader(body), int64(len(body)), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(dir + "/f"); !bytes.Equal(got, body) {
		t.Errorf("%d bytes", len(got))
	}
	l.env.drop(r.machine(s))
	r.conns.Store(0)
	var got bytes.Buffer
	if err := l.remote.Download(t.Context(), dir+"/f", &got); err != nil || !bytes.Equal(got.Bytes(), body) {
		t.Errorf("%d bytes %v", got.Len(), err)
	}
	l.env.drop(r.machine(s))
	r.conns.Store(0)
	if err := l.remote.Upload(t.Context(), dir+"/g", io.MultiReader(bytes.NewReader(body)), -1, 0o644); err == nil {
		if got, _ := os.ReadFile(dir + "/g"); !bytes.Equal(got, body) {
			t.Errorf("%d bytes", len(got))
		}
	} else if !strings.Contains(err.Error(), "second time") {
		t.Error(err)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	l := newLab(t, sshd(t, "dash").machine())
	if err := l.remote.Upload(t.Context(), t.TempDir()+"/f", bytes.NewReader(random(1<<20)), 1<<20, 0); err != nil {
		t.Fatal(err)
	}
	var last dag.Event
	for _, e := range l.sink.events {
		if e.Type == dag.Progress {
			if e.Count < last.Count {
				t.Errorf("%d after %d", e.Count, last.Count)
			}
			last = e
		}
	}
	if last.Count != 1<<20 || last.Total != 1<<20 || last.Unit != "bytes" {
		t.Errorf("%+v", last)
	}
}

func TestExec(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, s *server) {
		l := newLab(t, s.machine())
		out, x, err := l.remote.Exec(t.Context(), `cat; echo "it's"; exit 3`, strings.NewReader("in\n"))
		if err != nil || x.Code != 3 || string(out) != "in\nit's\n" {
			t.Errorf("%q %+v %v", out, x, err)
		}
	})
}
