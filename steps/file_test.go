package steps

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The digest of a directory is that of what is copied of it: what its links lead
// to outside is part of it, and so is all of one that is a link itself.
func TestFileDigestFollowsLinks(t *testing.T) {
	base := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		p := filepath.Join(base, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	digest := func(name string) string {
		t.Helper()
		f, err := NewFile(filepath.Join(base, name))
		if err != nil {
			t.Fatal(err)
		}
		return f.Digest
	}
	write("tree/f", "f")
	write("out/g", "one")
	for name, to := range map[string]string{"tree/file": "../out/g", "tree/round": "round", "link": "tree"} {
		if err := os.Symlink(to, filepath.Join(base, name)); err != nil {
			t.Fatal(err)
		}
	}
	tree, link := digest("tree"), digest("link")
	if tree != link {
		t.Error("a link to a directory has another digest than the directory")
	}
	write("out/g", "two")
	if digest("tree") == tree {
		t.Error("a file that a link leads to is not part of the digest")
	}
	tree = digest("tree")
	write("tree/f", "other")
	if got := digest("link"); got == link || got == tree {
		t.Error("what a link to a directory holds is not part of the digest")
	}
}

func TestNewFile(t *testing.T) {
	d := t.TempDir()
	os.WriteFile(filepath.Join(d, "a"), []byte("1"), 0o644)
	one, err := NewFile(d)
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(d, "a"), []byte("2"), 0o644)
	two, _ := NewFile(d)
	os.Chmod(filepath.Join(d, "a"), 0o755)
	three, _ := NewFile(d)
	if one.Digest == two.Digest || two.Digest == three.Digest {
		t.Error("a change was not seen")
	}
	if _, err := NewFile(filepath.Join(d, "none")); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("err %v", err)
	}
}
