package comm

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// archives reads archives written as text, one entry a line: "d NAME", "f NAME",
// "l NAME > TO", "h NAME > TO", "b NAME" for a device; "=DIR" begins another archive
// for a directory below the destination.
func archives(text string) (list []archive) {
	list = append(list, archive{dir: "."})
	for line := range strings.SplitSeq(text, "\n") {
		kind, rest, _ := strings.Cut(line, " ")
		if dir, ok := strings.CutPrefix(line, "="); ok {
			list = append(list, archive{dir: dir})
			continue
		}
		name, to, _ := strings.Cut(rest, " > ")
		h := &tar.Header{Name: name, Linkname: to, Mode: 0o7777}
		switch kind {
		case "d":
			h.Typeflag = tar.TypeDir
		case "f":
			h.Typeflag, h.Size = tar.TypeReg, int64(len(evil))
		case "l":
			h.Typeflag = tar.TypeSymlink
		case "h":
			h.Typeflag = tar.TypeLink
		case "b":
			h.Typeflag = tar.TypeBlock
		default:
			continue
		}
		last := &list[len(list)-1]
		last.entries = append(last.entries, h)
	}
	return list
}

type archive struct {
	dir     string
	entries []*tar.Header
}

const evil = "evil\n"

// box is a destination beside what is to be left alone: the file "outside/victim",
// and in the destination a link "old" of the user's own that leads there.
type box struct {
	t         testing.TB
	base, dst string
	root      *os.Root
}

func newBox(t testing.TB) *box {
	t.Helper()
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &box{t: t, base: base, dst: filepath.Join(base, "dst")}
	for _, d := range []string{"dst", "outside"} {
		if err := os.Mkdir(filepath.Join(base, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(base, "outside/victim"), []byte("good"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../outside", filepath.Join(b.dst, "old")); err != nil {
		t.Fatal(err)
	}
	if b.root, err = os.OpenRoot(b.dst); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.root.Close() })
	return b
}

// unpack takes entry by entry, as from an archive; it goes on after a failure, as
// another source would.
func (b *box) unpack(text string) (err error) {
	for _, a := range archives(text) {
		dir, lerr := local(a.dir)
		if lerr != nil || b.root.MkdirAll(dir, 0o755) != nil {
			continue
		}
		u := newUnpacker(b.t, b.root)
		u.dir = dir
		for _, h := range a.entries {
			var body io.Reader
			if h.Typeflag == tar.TypeReg {
				body = strings.NewReader(evil)
			}
			if eerr := u.entry(h, body); eerr != nil {
				err = eerr
				break
			}
		}
		if ferr := u.finish(); err == nil {
			err = ferr
		}
	}
	return err
}

// unharmed insists that nothing changed outside, and that no link leads there.
func (b *box) unharmed() {
	b.t.Helper()
	var outside []string
	filepath.WalkDir(b.base, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			b.t.Error(err)
			return nil
		}
		if p == b.dst {
			return filepath.SkipDir
		}
		outside = append(outside, strings.TrimPrefix(p, b.base))
		return nil
	})
	if !slices.Equal(outside, []string{"", "/outside", "/outside/victim"}) {
		b.t.Errorf("outside lies: %q", outside)
	}
	if got, err := os.ReadFile(filepath.Join(b.base, "outside/victim")); err != nil || string(got) != "good" {
		b.t.Errorf("the victim holds %q, %v", got, err)
	}
	filepath.WalkDir(b.dst, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			b.t.Error(err)
			return nil
		}
		fi, err := d.Info()
		if err != nil {
			b.t.Error(err)
			return nil
		}
		if fi.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeDevice|fs.ModeNamedPipe) != 0 {
			b.t.Errorf("%s is of the mode %v", p, fi.Mode())
		}
		if own, _ := os.Readlink(p); own == "../outside" && p == filepath.Join(b.dst, "old") {
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 && b.leadsOut(p) {
			to, _ := os.Readlink(p)
			b.t.Errorf("%s > %s leads out", p, to)
		}
		return nil
	})
}

// leadsOut follows a link one name at a time, and where nothing is, by the names.
func (b *box) leadsOut(link string) bool {
	at, rest := filepath.Dir(link), []string{filepath.Base(link)}
	for range 10000 {
		if at != b.dst && !strings.HasPrefix(at, b.dst+"/") {
			return true
		}
		if len(rest) == 0 {
			return false
		}
		name := rest[0]
		rest = rest[1:]
		if to, err := os.Readlink(filepath.Join(at, name)); err == nil {
			if filepath.IsAbs(to) {
				return true
			}
			rest = append(strings.Split(to, "/"), rest...)
			continue
		}
		at = filepath.Join(at, name) // which also goes up
	}
	return false // in circles
}

// hostile are archives that tried, and what there has to be of them.
var hostile = map[string]struct {
	text    string
	refused bool
	left    []string // what lies in the destination
}{
	"a name that leads out":      {"f ../evil", true, nil},
	"in its middle":              {"f a/../../evil", true, nil},
	"an absolute name":           {"f /evil", true, nil},
	"no name":                    {"f ", true, nil},
	"a long name":                {"f " + strings.Repeat("long", 64), true, nil},
	"a deep name":                {"f " + strings.Repeat("d/", 300) + "f", true, nil},
	"a name that is not UTF-8":   {"f a\xff\xfe", false, []string{"a\xff\xfe"}},
	"a chain by its text inside": {"d d\nd d/e\nl d/e/l > ..\nl x > d/e/l/../../outside\nf x/victim", false, []string{"d", "d/e", "d/e/l", "x", "x/victim"}},
	"the next source below it":   {"d d\nd d/e\nl d/e/l > ..\nl x > d/e/l/../../outside\n=x\nf victim", false, []string{"d", "d/e", "d/e/l", "x", "x/victim"}},
	"a way that changes later":   {"l x > a/b/../outside\nl a/b > ..\nf x/victim", false, []string{"a", "a/b", "x", "x/victim"}},
	"a directory that is made a link": {"d a\nd a/b\nd a/y\nl x > a/b/../y\nl a/b > ..\nf x/victim",
		false, []string{"a", "a/b", "a/y", "a/y/victim", "x"}},
	"a hard link to a link":          {"d a\nl a/l > ../outside\nh x > a/l\nf x/victim", false, []string{"a", "a/l", "x", "x/victim"}},
	"a hard link out":                {"h x > ../outside/victim", true, nil},
	"a hard link through a link out": {"h x > old/victim", false, nil},
	"a hard link to itself":          {"f x\nh x > x", false, []string{"x"}},
	"a link through a link":          {"d d\nl l > d\nd d/m\nl l/n > ../../outside", false, []string{"d", "d/m", "l"}},
	"through the user's link":        {"f old/victim", true, nil},
	"a link by the user's link":      {"l x > old\nf x/victim", false, []string{"x", "x/victim"}},
	"in place of the user's link":    {"f old", false, nil},
	"a device, twice":                {"f x\nb x", false, []string{"x"}},
	"one name again and again":       {"f x\nd x\nl x > .\nf x", false, []string{"x"}},
	"a circle":                       {"l a > b\nl b > a\nf a/x", true, []string{"a", "b"}},
	"an empty link":                  {"l x > ", false, nil},
	"a link to itself":               {"l x > x\nl y > x/..", false, []string{"x"}},
}

func TestHostileNames(t *testing.T) {
	t.Parallel()
	for name, tt := range hostile {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			if err := b.unpack(tt.text); (err != nil) != tt.refused {
				t.Errorf("%v", err)
			}
			b.unharmed()
			var left []string
			filepath.WalkDir(b.dst, func(p string, _ fs.DirEntry, _ error) error {
				if rel, _ := filepath.Rel(b.dst, p); rel != "." && rel != "old" && len(rel) < 200 {
					left = append(left, rel)
				}
				return nil
			})
			if !slices.Equal(left, tt.left) {
				t.Errorf("there is %q, not %q", left, tt.left)
			}
		})
	}
}

// Links that stay inside arrive and lead where they led.
func TestHonestLinks(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	err := b.unpack("d lib\nf lib/a.1\nl lib/a > a.1\nl top > lib/a\nl lib/up > ../lib/./a\nd bin\nl bin/later > ../share/x\nd share\nf share/x\n" +
		"l round > bin/../lib/a\nl dir > lib\nf dir/b\nh hard > lib/a.1\nh lib/same > lib/a")
	if err != nil {
		t.Fatal(err)
	}
	b.unharmed()
	for _, name := range []string{"lib/a", "top", "lib/up", "bin/later", "round", "lib/b", "hard", "lib/same"} {
		if got, err := os.ReadFile(filepath.Join(b.dst, name)); err != nil || string(got) != evil {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	if to, _ := os.Readlink(filepath.Join(b.dst, "round")); to != "lib/a.1" {
		t.Errorf("a way that goes down and up again is %q", to)
	}
}

// What is left out is told, but not a million times.
func TestOmitted(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	var told []string
	u := newUnpacker(t, b.root)
	u.out.warn = func(format string, a ...any) { told = append(told, format) }
	for range 1000 {
		if err := u.entry(&tar.Header{Typeflag: tar.TypeSymlink, Name: "x", Linkname: "/etc"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.finish(); err != nil || len(told) != maxOmitted+1 || !strings.Contains(told[maxOmitted], "more") {
		t.Errorf("%v: %d warnings, %q", err, len(told), told[len(told)-1])
	}
}

// A directory that nobody may write to can be filled, and filled again.
func TestReadOnlyFolders(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	for range 2 {
		u := newUnpacker(t, b.root)
		for _, h := range []*tar.Header{
			{Typeflag: tar.TypeDir, Name: "a", Mode: 0o555}, {Typeflag: tar.TypeDir, Name: "a/b", Mode: 0},
			{Typeflag: tar.TypeReg, Name: "a/b/f", Mode: 0o444, Size: int64(len(evil))}, {Typeflag: tar.TypeDir, Name: "c", Mode: 0o700},
		} {
			if err := u.entry(h, strings.NewReader(evil)); err != nil {
				t.Fatal(err)
			}
		}
		if len(u.open) != 1 {
			t.Errorf("%d directories are remembered", len(u.open))
		}
		if err := u.finish(); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]fs.FileMode{"a": 0o755, "a/b": 0o700, "a/b/f": 0o444, "c": 0o700} {
		if fi, err := os.Stat(filepath.Join(b.dst, name)); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v %v", name, fi.Mode(), err)
		}
	}
}

// FuzzUnpack: whatever is sent, in whatever order and into whatever directories,
// nothing outside changes and no link that is left leads there.
func FuzzUnpack(f *testing.F) {
	for _, tt := range hostile {
		f.Add(tt.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4<<10 {
			return
		}
		b := newBox(t)
		b.unpack(text)
		b.unharmed()
	})
}

// FuzzArchive: the same for bytes that need be no archive at all.
func FuzzArchive(f *testing.F) {
	for _, tt := range hostile {
		for _, a := range archives(tt.text) {
			var w bytes.Buffer
			w.WriteString("0\n")
			tw := tar.NewWriter(&w)
			for _, h := range a.entries {
				if tw.WriteHeader(h) == nil && h.Size > 0 {
					io.WriteString(tw, evil)
				}
			}
			tw.Close()
			f.Add(w.Bytes())
		}
	}
	f.Add([]byte("1\n\x1f\x8b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		x := newBox(t)
		newUnpacker(t, x.root).stream(bytes.NewReader(b))
		x.unharmed()
	})
}

// A directory is held open between the files in it, and may be gone by then, or
// another in its place.
func TestHeldDirectory(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		swap    func(b *box, dir string) error
		refused bool
		arrives string
	}{
		{"removed", func(*box, string) error { return nil }, false, "d/y"},
		{"a link inside", func(b *box, dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(b.dst, "e"), 0o755), os.Symlink("e", dir))
		}, false, "e/y"},
		{"a link outside", func(_ *box, dir string) error { return os.Symlink("../outside", dir) }, true, ""},
		{"a file", func(_ *box, dir string) error { return os.WriteFile(dir, nil, 0o644) }, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			u := newUnpacker(t, b.root)
			defer u.closeDir()
			send := func(name string) error {
				return u.entry(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(evil)), Mode: 0o644}, strings.NewReader(evil))
			}
			dir := filepath.Join(b.dst, "d")
			if err := errors.Join(send("d/x"), os.RemoveAll(dir), tt.swap(b, dir)); err != nil {
				t.Fatal(err)
			}
			if err := send("d/y"); (err != nil) != tt.refused {
				t.Errorf("%v", err)
			}
			if tt.arrives != "" {
				if got, err := os.ReadFile(filepath.Join(b.dst, tt.arrives)); err != nil || string(got) != evil {
					t.Errorf("%q %v", got, err)
				}
			}
			if es, err := os.ReadDir(filepath.Join(b.base, "outside")); err != nil || len(es) != 1 {
				t.Errorf("outside lies: %v %v", es, err)
			}
		})
	}
}
