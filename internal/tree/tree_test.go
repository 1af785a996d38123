package tree

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// lay makes what the lines name: "dir/", "file", or "link -> target". $ stands
// for the directory of all.
func lay(t *testing.T, lines ...string) string {
	t.Helper()
	base := t.TempDir()
	for _, l := range lines {
		name, to, link := strings.Cut(strings.ReplaceAll(l, "$", base), " -> ")
		p := filepath.Join(base, name)
		err := os.MkdirAll(filepath.Dir(p), 0o755)
		switch {
		case err != nil:
		case link:
			err = os.Symlink(to, p)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(p, 0o755)
		default:
			err = os.WriteFile(p, []byte(name), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return base
}

// list is what a walk visits, as lay takes it, and what it notes.
func list(t *testing.T, w Walk, dir string) (all, notes []string, err error) {
	t.Helper()
	root, _ := filepath.EvalSymlinks(dir)
	w.Note = func(p, why string) {
		rel, err := filepath.Rel(root, p)
		if err != nil {
			t.Error(err)
		}
		notes = append(notes, rel+": "+why)
	}
	err = w.Each(dir, func(e Entry) error {
		switch {
		case e.Link != "":
			all = append(all, e.Name+" -> "+e.Link)
		case e.Info.IsDir():
			all = append(all, e.Name+"/")
		default:
			b, err := os.ReadFile(e.Path)
			if err != nil {
				return err
			}
			all = append(all, e.Name+" = "+string(b))
		}
		return nil
	})
	return all, notes, err
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		lay          []string
		kept, copied []string // what is visited, where links can be kept and where they cannot
		notes        []string // in both cases
		follow       []string // what is noted besides where they cannot
	}{
		"inside": {
			lay:    []string{"t/a", "t/d/b -> ../a", "t/l -> d"},
			kept:   []string{"a = t/a", "d/", "d/b -> ../a", "l -> d"},
			copied: []string{"a = t/a", "d/", "d/b = t/a", "l/", "l/b = t/a"},
		},
		"to a file outside": {
			lay:  []string{"o", "t/d/l -> ../../o", "t/abs -> $/o"},
			kept: []string{"abs = o", "d/", "d/l = o"},
		},
		"absolute, to the inside": {
			lay:  []string{"t/a", "t/l -> $/t/a"},
			kept: []string{"a = t/a", "l = t/a"},
		},
		"out and in again": {
			lay:  []string{"t/a", "t/l -> ../t/a"},
			kept: []string{"a = t/a", "l = t/a"},
		},
		"by way of another that leads out": {
			lay:  []string{"o/f", "o/g", "t/f -> d/f", "t/d -> ../o", "t/g -> d/../o/g"},
			kept: []string{"d/", "d/f = o/f", "d/g = o/g", "f = o/f", "g = o/g"},
		},
		"to a directory outside, with links of its own": {
			lay:    []string{"o/f", "o/l -> f", "o/s/up -> ../f", "p", "o/s/out -> ../../p", "t/d -> ../o"},
			kept:   []string{"d/", "d/f = o/f", "d/l -> f", "d/s/", "d/s/out = p", "d/s/up -> ../f"},
			copied: []string{"d/", "d/f = o/f", "d/l = o/f", "d/s/", "d/s/out = p", "d/s/up = o/f"},
		},
		"to nothing": {
			lay:    []string{"t/in -> gone", "t/out -> ../gone", "t/abs -> /gone/x", "t/back -> gone/../../o", "t/f", "t/under -> f/x", "t/z -> abs"},
			kept:   []string{"f = t/f", "in -> gone", "under -> f/x"},
			copied: []string{"f = t/f"},
			notes: []string{"abs: it is a symbolic link to /gone/x, where there is nothing",
				"back: it is a symbolic link to gone/../../o, where there is nothing",
				"in: it is a symbolic link to gone, where there is nothing; the link is kept",
				"out: it is a symbolic link to ../gone, where there is nothing",
				"under: it is a symbolic link to f/x, where there is nothing; the link is kept",
				"z: it is a symbolic link to abs, where there is nothing"},
		},
		"round and round": {
			lay:   []string{"t/a -> b", "t/b -> a", "t/self -> self"},
			notes: []string{"a: it is a symbolic link to b, which leads back to it", "b: it is a symbolic link to a, which leads back to it", "self: it is a symbolic link to self, which leads back to it"},
		},
		"up, inside": {
			lay:    []string{"t/d/up -> ..", "t/d/here -> ."},
			kept:   []string{"d/", "d/here -> .", "d/up -> .."},
			copied: []string{"d/"},
			follow: []string{"d/here: it leads back to a directory that it lies in", "d/up: it leads back to a directory that it lies in"},
		},
		"to what the tree lies in": {
			lay:   []string{"t/d/l -> $", "x"},
			kept:  []string{"d/", "d/l/", "d/l/x = x"},
			notes: []string{"d/l/t: it leads back to a directory that it lies in"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := lay(t, tt.lay...)
			if tt.copied == nil {
				tt.copied = tt.kept
			}
			for _, follow := range []bool{false, true} {
				want, notes := tt.kept, tt.notes
				if follow {
					want, notes = tt.copied, append(slices.Clone(tt.notes), tt.follow...)
				}
				all, noted, err := list(t, Walk{Follow: follow}, filepath.Join(base, "t"))
				if err != nil || !slices.Equal(all, want) {
					t.Errorf("follow %v: %q, want %q: %v", follow, all, want, err)
				}
				for i, n := range noted {
					if noted[i] = n; follow {
						noted[i] = strings.TrimSuffix(n, "; the link is kept")
					}
				}
				for i, n := range notes {
					if follow {
						notes[i] = strings.TrimSuffix(n, "; the link is kept")
					}
					notes[i] = strings.ReplaceAll(notes[i], "$", base)
				}
				if !slices.Equal(noted, notes) {
					t.Errorf("follow %v: noted %q, want %q", follow, noted, notes)
				}
			}
		})
	}
}

// The directory itself may be a link, and may be written in any way.
func TestRoot(t *testing.T) {
	t.Parallel()
	base := lay(t, "t/f", "t/d/l -> ../f", "l -> t", "far -> $/l")
	for _, dir := range []string{"t", "t/", "t/.", "l", "l/", "far/.", "t/d/.."} {
		if all, notes, err := list(t, Walk{}, base+"/"+dir); err != nil || notes != nil || !slices.Equal(all, []string{"d/", "d/l -> ../f", "f = t/f"}) {
			t.Errorf("%s: %q %q %v", dir, all, notes, err)
		}
	}
	for _, dir := range []string{"t/f", "none"} {
		if _, _, err := list(t, Walk{}, base+"/"+dir); err == nil {
			t.Errorf("%s: no error", dir)
		}
	}
}

// Two links in each of thirty directories lead to the next one: a billion ways.
func TestLinksOnAndOn(t *testing.T) {
	t.Parallel()
	var lines []string
	// 2^14 ways. Linux follows 40 links in a path, and counts those of a lookup
	// that it had to begin anew: with more than 20 it refuses one now and then.
	for i := range 14 {
		lines = append(lines, fmt.Sprintf("%d/a -> ../%d", i, i+1), fmt.Sprintf("%d/b -> ../%d", i, i+1))
	}
	base := lay(t, append(lines, "14/f")...)
	if _, _, err := list(t, Walk{most: 5000}, base+"/0"); err == nil || !strings.Contains(err.Error(), "more than 5000 files lie where they lead") {
		t.Error(err)
	}
}
