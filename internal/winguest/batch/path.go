package batch

import (
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

// abs makes a path absolute: C:\a\b, whatever of slashes and dots it is written
// with. Other drives stay as they are; the machine says that it has none.
func (s *shell) abs(path string) string { return join(s.dir, path) }

// join resolves a path against a folder.
func join(dir, path string) string {
	p := strings.ReplaceAll(path, "/", `\`)
	switch {
	case strings.HasPrefix(p, `\\`):
		return p
	case len(p) >= 2 && p[1] == ':':
		if !strings.EqualFold(p[:1], dir[:1]) {
			return p
		}
		if len(p) == 2 || p[2] != '\\' {
			p = dir + `\` + p[2:]
		}
	case strings.HasPrefix(p, `\`):
		p = dir[:2] + p
	default:
		p = dir + `\` + p
	}
	var parts []string
	for _, part := range strings.Split(p[2:], `\`) {
		switch part {
		case "", ".":
		case "..":
			if len(parts) > 0 {
				parts = parts[:len(parts)-1]
			}
		default:
			parts = append(parts, part)
		}
	}
	return p[:2] + `\` + strings.Join(parts, `\`)
}

func splitExt(path string) (stem, ext string) {
	k := strings.LastIndexAny(path, `.\/`)
	if k < 0 || path[k] != '.' {
		return path, ""
	}
	return path[:k], path[k:]
}

func baseOf(path string) string { return path[strings.LastIndexAny(path, `\/`)+1:] }

// folderOf is the folder that a path lies in.
func folderOf(path string) string {
	k := strings.LastIndexByte(path, '\\')
	if k <= 2 {
		return path[:min(3, len(path))]
	}
	return path[:k]
}

func (s *shell) isFile(path string) bool {
	st, err := s.machine.Stat(path)
	return err == nil && !st.IsDir()
}

func (s *shell) isDir(path string) bool {
	st, err := s.machine.Stat(path)
	return err == nil && st.IsDir()
}

// exists is what if exist asks: for a path, or for a file that a pattern matches.
func (s *shell) exists(path string) bool {
	full := s.abs(path)
	if strings.ContainsAny(baseOf(path), "*?") {
		list, err := s.machine.List(folderOf(full))
		if err != nil {
			return false
		}
		for _, f := range list {
			if match(baseOf(full), f.Name) {
				return true
			}
		}
		return false
	}
	_, err := s.machine.Stat(full)
	return err == nil && path != ""
}

// visible tells files that are not hidden.
func visible(f posh.FileInfo) bool { return f.Attributes&(posh.Hidden|posh.SystemBit) == 0 }

// match matches a name with a pattern of * and ?; *.* is everything.
func match(pattern, name string) bool {
	if pattern == "*.*" || pattern == "*" {
		return true
	}
	p, n := []rune(strings.ToLower(pattern)), []rune(strings.ToLower(name))
	if len(p) > 0 && p[len(p)-1] == '.' && !strings.ContainsRune(string(n), '.') { // "*." has no extension
		p = p[:len(p)-1]
	}
	// The classic two-pointer walk: linear but for the stars.
	i, k, star, mark := 0, 0, -1, 0
	for k < len(n) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, k
			i++
		case i < len(p) && (p[i] == '?' || p[i] == n[k]):
			i++
			k++
		case star >= 0:
			mark++
			i, k = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && (p[i] == '*' || p[i] == '?') {
		i++
	}
	if i+2 == len(p) && p[i] == '.' && p[i+1] == '*' { // name.* matches a name without extension
		return true
	}
	return i == len(p)
}

// glob is the files that a path with or without wildcards means; none is an
// empty list and no error as long as its folder is there.
func (s *shell) glob(path string) (dir string, list []posh.FileInfo, err error) {
	full := s.abs(path)
	if strings.ContainsAny(baseOf(full), "*?") {
		dir = folderOf(full)
		all, err := s.machine.List(dir)
		if err != nil {
			return dir, nil, err
		}
		for _, f := range all {
			if match(baseOf(full), f.Name) {
				list = append(list, f)
			}
		}
		return dir, list, nil
	}
	st, err := s.machine.Stat(full)
	if err != nil {
		return folderOf(full), nil, err
	}
	return folderOf(full), []posh.FileInfo{st}, nil
}

func (s *shell) local(t time.Time) time.Time {
	if z := s.machine.System().Zone; z != nil {
		return t.In(z)
	}
	return t.UTC()
}

func stamp(t time.Time) string { return t.Format("01/02/2006 03:04 PM") }

// attributes are those of a file as %~a shows them.
func attributes(a posh.Attributes) string {
	b := []byte("-----------")
	for k, at := range []struct {
		bit    posh.Attributes
		letter byte
	}{{posh.Directory, 'd'}, {posh.ReadOnly, 'r'}, {posh.Archive, 'a'}, {posh.Hidden, 'h'}, {posh.SystemBit, 's'}} {
		if a&at.bit != 0 {
			b[k] = at.letter
		}
	}
	return string(b)
}
