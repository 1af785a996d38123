package provision

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/imgflow/imgflow/steps/comm"
)

// downloadRoot is the local directory that downloads are put into. All that a machine
// names lies below it: the directory is opened once, and no link leads out of it.
type downloadRoot struct {
	e    *comm.Env
	path string
	root *os.Root
}

// at opens the directory at a path that the template gives, which is made.
func (l *downloadRoot) at(path string) (*os.Root, error) {
	if l.root != nil && l.path == path {
		return l.root, nil
	}
	l.close()
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err == nil {
		l.path, l.root = path, root
	}
	return root, err
}

func (l *downloadRoot) close() {
	if l.root != nil {
		l.root.Close()
		l.root = nil
	}
}

// fetch downloads every source.
func (s FileCopy) fetch(ctx context.Context, e *comm.Env, r comm.Remote, v values, dst string) error {
	into := slashed(dst)
	dst = e.Local(dst)
	l := downloadRoot{e: e}
	defer l.close()
	p := pathsOf(v.m)
	for _, src := range s.sources() {
		from, err := v.render(src.option, src.text, nil)
		if err != nil {
			return err
		}
		if !strings.ContainsAny(from, "*?[") {
			if err := s.fetchOne(ctx, r, v, &l, from, dst, into); err != nil {
				return err
			}
			continue
		}
		names, err := glob(ctx, r, p, from)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := s.fetchOne(ctx, r, v, &l, name, dst, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetchOne downloads a file or directory. Into says that dst is the directory to
// put it into.
func (s FileCopy) fetchOne(ctx context.Context, r comm.Remote, v values, l *downloadRoot, from, dst string, into bool) error {
	p := pathsOf(v.m)
	fi, err := r.Stat(ctx, from)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot download %s: it is not on the machine", from)
	case err != nil:
		return err
	case fi.IsDir():
		return fetchDir(ctx, r, v, l, from, dst)
	case p.slashed(from):
		return fmt.Errorf("cannot download %s: it is not a directory", from)
	case !fi.Mode().IsRegular():
		return fmt.Errorf("cannot download %s: it is neither a file nor a directory", from)
	}
	dir, name := filepath.Split(dst)
	if into {
		dir, name = dst, p.base(from)
	}
	root, err := l.at(filepath.Clean(dir))
	if err != nil {
		return fmt.Errorf("cannot download %s: %w", from, err)
	}
	v.t.Say("downloading %s => %s", from, shown(v.dir, filepath.Join(dir, name)))
	if err := download(ctx, r, from, root, name); err != nil {
		return err
	}
	return l.e.Wrote(v.t, filepath.Join(dir, name))
}

// fetchDir downloads a directory: by its own name, or what it holds.
func fetchDir(ctx context.Context, r comm.Remote, v values, l *downloadRoot, from, dst string) error {
	p, dir := pathsOf(v.m), "."
	if !contents(from, p.seps) {
		dir = p.base(from)
	}
	root, err := l.at(dst)
	if err != nil {
		return fmt.Errorf("cannot download %s: %w", from, err)
	}
	v.t.Say("downloading %s => %s", strings.TrimRight(from, p.seps)+"/", shown(v.dir, filepath.Join(dst, dir)))
	wrote, err := l.e.Watch(v.t, filepath.Join(dst, dir))
	if err != nil {
		return err
	}
	return wrote(r.DownloadDir(ctx, from, root, dir))
}

// download puts the file in its place when it is complete.
func download(ctx context.Context, r comm.Remote, from string, root *os.Root, name string) (err error) {
	tmp := ".imgflow-" + strings.ToLower(rand.Text()[:12])
	f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("cannot download %s: %w", from, err)
	}
	defer func() {
		if err != nil {
			root.Remove(tmp)
		}
	}()
	err = r.Download(ctx, from, f)
	if err != nil {
		f.Close()
		return err
	}
	mode := fs.FileMode(0o644)
	if old, serr := root.Lstat(name); serr == nil && old.Mode().IsRegular() {
		mode = old.Mode().Perm()
	}
	err = f.Chmod(mode)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = root.Rename(tmp, name)
	}
	if err != nil {
		return fmt.Errorf("cannot download %s: %w", from, err)
	}
	return nil
}

// glob lists what the pattern matches on the machine.
func glob(ctx context.Context, r comm.Remote, p paths, pattern string) (names []string, err error) {
	if w, ok := r.(comm.Windows); ok {
		err = w.PowerShell(ctx, psFind, map[string]string{"pattern": pattern}, &names)
	} else {
		names, err = globShell(ctx, r, pattern)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look for %s on the machine: %w", pattern, err)
	}
	if names, err = p.matched(pattern, names); err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("cannot download %s: nothing on the machine matches", pattern)
	}
	return names, nil
}

// globShell has a POSIX shell look.
func globShell(ctx context.Context, r comm.Remote, pattern string) ([]string, error) {
	var b strings.Builder
	for i := range len(pattern) {
		c := pattern[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c >= 0x80, strings.IndexByte("/._-*?[]!^,:@%+=", c) >= 0, c == '~' && i == 0:
		case c == '\n':
			b.WriteString("'\n'")
			continue
		default:
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	out, x, err := r.Exec(ctx, "for f in "+b.String()+`; do if [ -e "$f" ] || [ -L "$f" ]; then printf '%s\0' "$f"; fi; done`, nil)
	if err != nil {
		return nil, err
	}
	if x.Code != 0 {
		return nil, fmt.Errorf("exit status %d", x.Code)
	}
	if len(out) == 0 {
		return nil, nil
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), nil
}
