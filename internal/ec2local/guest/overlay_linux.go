package guest

import (
	"os"
	"path/filepath"
	"strings"
)

// overlay is one overlay of the guest. "/" holds what no other overlay does and has
// no host directory below it. A Plain overlay has none either: the base layer
// holds a copy of what the guest needs.
type overlay struct {
	Path  string `json:"path"`
	Plain bool   `json:"plain"`
}

// key is the overlay's directory name in every layer.
func (p overlay) key() string { return strings.ReplaceAll(p.Path, "/", "%") }

// Only these of the host's directories are seen by a guest.
var exposed = []string{"/bin", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/sbin", "/usr", "/var"}

// hostOverlays lists the overlays, outer before inner. In a user namespace a
// directory with mounts below it cannot be a lower layer (its submounts are
// locked: EINVAL, "failed to clone lowerpath"), so it is split.
func hostOverlays(userns bool) []overlay {
	var points []string
	b, _ := os.ReadFile("/proc/self/mountinfo")
	for _, l := range strings.Split(string(b), "\n") {
		if f := strings.Fields(l); len(f) > 4 {
			points = append(points, f[4])
		}
	}
	out := []overlay{{Path: "/"}}
	var add func(dir string)
	add = func(dir string) {
		st, err := os.Lstat(dir)
		if err != nil || !st.IsDir() {
			return
		}
		p := overlay{Path: dir, Plain: userns && (dir == "/etc" || dir == "/var")}
		split := false
		for _, m := range points {
			split = split || userns && !p.Plain && strings.HasPrefix(m, dir+"/")
		}
		p.Plain = p.Plain || split
		out = append(out, p)
		if split {
			es, _ := os.ReadDir(dir)
			for _, e := range es {
				add(filepath.Join(dir, e.Name()))
			}
		}
	}
	for _, d := range exposed {
		add(d)
	}
	return out
}

// overlayOf returns the overlay that holds a path, and the path within it.
func overlayOf(ps []overlay, path string) (overlay, string) {
	best := overlay{Path: "/"}
	for _, p := range ps {
		if len(p.Path) > len(best.Path) && strings.HasPrefix(path, p.Path+"/") {
			best = p
		}
	}
	return best, strings.TrimPrefix(strings.TrimPrefix(path, best.Path), "/")
}
