package provision

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/imgflow/imgflow/steps/comm"
)

// paths are those of a machine: Windows takes slashes of either kind.
type paths struct{ seps string }

func pathsOf(m comm.Machine) paths {
	if m.Protocol == "winrm" {
		return paths{`/\`}
	}
	return paths{"/"}
}

// pathsLike tells from a path alone whose it is.
func pathsLike(name string) paths {
	if len(name) > 1 && name[1] == ':' || strings.HasPrefix(name, `\\`) {
		return paths{`/\`}
	}
	return paths{"/"}
}

func (p paths) windows() bool { return p.seps != "/" }

// slashed reports whether the path ends as that of a directory.
func (p paths) slashed(name string) bool {
	return name != "" && strings.IndexByte(p.seps, name[len(name)-1]) >= 0
}

func (p paths) base(name string) string {
	if !p.windows() {
		return path.Base(name)
	}
	name = p.trim(name)
	return name[strings.LastIndexAny(name, p.seps)+1:]
}

// matched takes what a machine says that a pattern matches: the base of each name
// becomes that of a file here. A pattern that ends as a directory does means what
// the directories hold, and their names end so, too. A shell may find "." and ".." by a pattern that begins with a dot.
func (p paths) matched(pattern string, names []string) (good []string, err error) {
	strange := "\x00/"
	if p.windows() || filepath.Separator != '/' {
		strange += `\:`
	}
	for _, name := range names {
		base := name
		if p.slashed(pattern) {
			base = strings.TrimRight(name, p.seps)
		}
		base = base[strings.LastIndexAny(base, p.seps)+1:]
		switch {
		case (base == "." || base == "..") && strings.HasPrefix(p.base(pattern), "."):
			continue
		case base == "." || strings.ContainsAny(base, strange) || !filepath.IsLocal(base):
			return nil, fmt.Errorf("cannot download %.200q, which the machine finds for %s: it cannot be the name of a file here", name, pattern)
		}
		good = append(good, name)
	}
	return good, nil
}

// dir is the directory that a file or directory lies in.
func (p paths) dir(name string) string {
	if !p.windows() {
		return path.Dir(name)
	}
	name = p.trim(name)
	switch i := strings.LastIndexAny(name, p.seps); {
	case i < 0:
		return "."
	case i == 0 || name[i-1] == ':':
		return name[:i+1]
	default:
		return name[:i]
	}
}

// join puts a name into a directory, in the manner in which that is written.
func (p paths) join(dir, name string) string {
	if !p.windows() {
		return path.Join(dir, name)
	}
	sep := "/"
	if strings.LastIndexByte(dir, '\\') > strings.LastIndexByte(dir, '/') {
		sep = `\`
	}
	if p.slashed(dir) || dir == "" {
		return dir + name
	}
	return dir + sep + name
}

// trim takes the separators off the end, but for a root's.
func (p paths) trim(name string) string {
	short := strings.TrimRight(name, p.seps)
	if short == "" || p.windows() && strings.HasSuffix(short, ":") {
		return name[:min(len(name), len(short)+1)]
	}
	return short
}

// slashed reports whether a local path, or one of a machine that is not known
// yet, ends as that of a directory.
func slashed(p string) bool {
	return strings.HasSuffix(p, "/") || strings.HasSuffix(p, string(filepath.Separator))
}

// hereSeps are what separates the names in a path of this computer.
const hereSeps = "/" + string(filepath.Separator)

// contents reports whether the path of a directory means what it holds: its last
// element is none, or is no name that the directory could have elsewhere.
func contents(path, seps string) bool {
	switch path[strings.LastIndexAny(path, seps)+1:] {
	case "", ".", "..":
		return true
	}
	return false
}
