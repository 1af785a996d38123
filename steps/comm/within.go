package comm

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A symbolic link leads where the links on its way lead, today and after each
// change of them. One that goes up first and then only down stays below the root
// whatever becomes of the directories that it passes, as long as all links there
// are like it; so no other is made.

// symlink makes the link p, which the machine calls name, unless it would lead out
// of the destination.
func (u *unpacker) symlink(p, name, to string) error {
	placing.Lock()
	defer placing.Unlock()
	dir, text, ok := within(u.root, filepath.Dir(p), to)
	if !ok {
		u.out.tell("%s is a symbolic link to %.200s, which leads out of the destination or nowhere", name, to)
		return nil
	}
	p = filepath.Join(dir, filepath.Base(p))
	if err := u.clear(p); err != nil {
		return err
	}
	return u.root.Symlink(text, p)
}

// within returns the real directory that dir is, and a text for a link there that
// leads to where to leads now, or will when it is there; false when that is
// outside, or may come to be.
func within(root *os.Root, dir, to string) (real, text string, ok bool) {
	real, _, ok = follow(root, ".", dir)
	if !ok || to == "" || len(to) > maxPath || strings.Count(to, "/") > maxDepth || outward(to) {
		return "", "", false
	}
	end, there, ok := follow(root, real, to)
	switch {
	case !ok:
		return "", "", false
	case descends(to):
		return real, filepath.FromSlash(to), true
	case !there:
		return "", "", false
	}
	text, err := filepath.Rel(real, end)
	return real, text, err == nil
}

// outward tells of a text that does not begin at the link.
func outward(to string) bool {
	return strings.HasPrefix(to, "/") || strings.ContainsRune(to, 0) || filepath.IsAbs(to) ||
		filepath.Separator != '/' && strings.ContainsAny(to, `\:`)
}

// descends tells whether a path never goes up once it has gone down.
func descends(p string) bool {
	down := false
	for name := range strings.SplitSeq(p, "/") {
		switch {
		case name == "" || name == ".":
		case name != "..":
			down = true
		case down:
			return false
		}
	}
	return true
}

// maxFollowed is how many links the way of a path may have, as on Linux.
const maxFollowed = 40

// follow goes a path from a real directory below the root, link after link, as the
// system would. It returns the real path of the end, whether something is there,
// and false when the way leaves the root. From where nothing is, it goes on by the
// names.
func follow(root *os.Root, at, p string) (end string, there, ok bool) {
	rest, followed := strings.Split(filepath.ToSlash(p), "/"), 0
	there = true
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		switch {
		case name == "" || name == ".":
			continue
		case name == ".." && at == ".":
			return "", false, false
		case name == "..":
			at = filepath.Dir(at)
			continue
		}
		at = filepath.Join(at, name)
		if !there {
			continue
		}
		fi, err := root.Lstat(at)
		if err != nil {
			there = false
			continue
		}
		if fi.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		to, err := root.Readlink(at)
		if followed++; err != nil || outward(filepath.ToSlash(to)) || followed > maxFollowed {
			return "", false, false
		}
		at = filepath.Dir(at)
		rest = append(strings.Split(filepath.ToSlash(to), "/"), rest...)
	}
	return at, there, true
}
