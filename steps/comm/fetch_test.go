package comm

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

// downloadDir is DownloadDir into a directory of its own, which is made.
func downloadDir(ctx context.Context, r Remote, src, dst string) error {
	if err := os.MkdirAll(dst, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dst)
	if err != nil {
		return err
	}
	defer root.Close()
	return r.DownloadDir(ctx, src, root, ".")
}

// What lies on a machine with OpenSSH and a real tar may be as hostile as what
// nobody's tar would send; with every shell, and without tar.
func TestDownloadOfHostileTree(t *testing.T) {
	t.Parallel()
	src := t.TempDir()
	for _, d := range []string{"d/e", "empty", "closed"} {
		if err := os.MkdirAll(filepath.Join(src, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{
		"d/e/l": "..", "logs": "d/e/l/../../outside", "abs": "/etc", "up": "../outside", "old": "/nowhere",
		"good": "d/e/../file", "loop": "loop", "later": "z/missing", "d/back": "../d/file",
	} {
		if err := os.Symlink(to, filepath.Join(src, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"d/file", "a\\b", "new\nline", "not-utf8-\xff", "closed/f", "-rf"} {
		if err := os.WriteFile(filepath.Join(src, name), []byte(evil), 0o4755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(src, "logs"), filepath.Join(src, "d/logs")); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("mkfifo", filepath.Join(src, "fifo")).Run(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(src, "closed"), 0o555); err != nil {
		t.Fatal(err)
	}
	want := []string{"-rf", "a\\b", "closed", "closed/f", "d", "d/back", "d/e", "d/e/l", "d/file", "empty", "later", "new\nline", "not-utf8-\xff"}
	check := func(t *testing.T, l *lab, download func(*box) error) {
		b := newBox(t)
		for range 2 { // a second time over what is there
			if err := download(b); err != nil {
				t.Fatal(err)
			}
			b.unharmed()
		}
		var got []string
		filepath.WalkDir(b.dst, func(p string, _ fs.DirEntry, _ error) error {
			rel, _ := filepath.Rel(b.dst, p)
			// Whether a way that goes down and up again can be gone yet depends on the order.
			if !slices.Contains([]string{".", "good", "loop", "old"}, rel) {
				got = append(got, rel)
			}
			return nil
		})
		if !slices.Equal(got, want) {
			t.Errorf("arrived: %q, want %q", got, want)
		}
		if told := strings.Join(l.sink.texts(dag.Warned), "\n"); !strings.Contains(told, "logs is a symbolic link") || !strings.Contains(told, "fifo is neither") {
			t.Errorf("told: %s", told)
		}
	}
	eachShell(t, func(t *testing.T, s *server) {
		l := newLab(t, s.machine())
		check(t, l, func(b *box) error { return l.remote.DownloadDir(t.Context(), src, b.root, ".") })
	})
	tarless(t, func(t *testing.T, l *lab) {
		check(t, l, func(b *box) error { return l.remote.DownloadDir(t.Context(), src, b.root, ".") })
	})
	t.Run("without tar", func(t *testing.T) {
		l := newLab(t, sshd(t, "dash").machine())
		r := l.remote.(*remote)
		k, err := l.env.conn(t.Context(), l.task, r.m, patience{})
		if err != nil {
			t.Fatal(err)
		}
		check(t, l, func(b *box) error { return r.fetchTree(t.Context(), k, src, b.root, ".") })
	})
}

// Two builds may download into one directory at once.
func TestTwoInOneDirectory(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	var both sync.WaitGroup
	for _, text := range []string{"d d\nl d/e > ..\nd d", "d d\nd d/e\nl d/e/x > ../../outside\nl d/e/y > ../../../outside"} {
		both.Go(func() {
			for range 2000 {
				b.unpack(text)
			}
		})
	}
	both.Wait()
	b.unharmed()
}

// What is fetched and cannot be kept ends the transfer, whatever the machine still
// has to send.
func TestDownloadThatCannotBeKept(t *testing.T) {
	t.Parallel()
	src := t.TempDir()
	if err := os.WriteFile(filepath.Join(src, "large"), random(8<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	b := newBox(t)
	if err := os.MkdirAll(filepath.Join(b.dst, "large", "in-the-way"), 0o755); err != nil {
		t.Fatal(err)
	}
	l := newLab(t, sshd(t, "dash").machine())
	err := l.remote.DownloadDir(t.Context(), src, b.root, ".")
	if err == nil || !strings.Contains(err.Error(), "large") {
		t.Errorf("%v", err)
	}
}

func newUnpacker(t testing.TB, root *os.Root) *unpacker {
	return &unpacker{root: root, dir: ".", out: omitted{warn: t.Logf}, m: &meter{t: dagTask("t", nil)}}
}
