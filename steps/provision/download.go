package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/imgflow/imgflow/steps/comm"
)

// fetch downloads every source.
func (s FileCopy) fetch(ctx context.Context, r comm.Remote, v values, dst string) error {
	into := slashed(dst)
	if !filepath.IsAbs(dst) {
		dst = filepath.Join(s.Cwd, dst)
	}
	for _, src := range s.sources() {
		from, err := v.render(src.option, src.text, nil)
		if err != nil {
			return err
		}
		if !strings.ContainsAny(from, "*?[") {
			if err := s.fetchOne(ctx, r, v, from, dst, into); err != nil {
				return err
			}
			continue
		}
		names, err := glob(ctx, r, from)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := pathsOf(v.m).entry(name); err != nil {
				return err
			}
			if err := s.fetchOne(ctx, r, v, name, dst, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetchOne downloads a file or directory. Into says that dst is the directory to
// put it into.
func (s FileCopy) fetchOne(ctx context.Context, r comm.Remote, v values, from, dst string, into bool) error {
	p := pathsOf(v.m)
	fi, err := r.Stat(ctx, from)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot download %s: it is not on the machine", from)
	case err != nil:
		return err
	case fi.IsDir():
		if !contents(from, p.seps) {
			dst = filepath.Join(dst, p.base(from))
		}
		v.t.Say("downloading %s => %s", strings.TrimRight(from, p.seps)+"/", shown(dst))
		if err := os.MkdirAll(dst, 0o755); err != nil {
			return fmt.Errorf("cannot download %s: %w", from, err)
		}
		return r.DownloadDir(ctx, from, dst)
	case p.slashed(from):
		return fmt.Errorf("cannot download %s: it is not a directory", from)
	}
	if into {
		dst = filepath.Join(dst, p.base(from))
	}
	v.t.Say("downloading %s => %s", from, shown(dst))
	if err := download(ctx, r, from, dst); err != nil {
		return err
	}
	return nil
}

// download puts the file in its place when it is complete.
func download(ctx context.Context, r comm.Remote, from, dst string) (err error) {
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return fmt.Errorf("cannot download %s: %w", from, err)
	}
	f, err := os.CreateTemp(filepath.Dir(dst), ".imgflow-*")
	if err != nil {
		return fmt.Errorf("cannot download %s: %w", from, err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	err = r.Download(ctx, from, f)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("cannot download %s: %w", from, cerr)
	}
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if old, serr := os.Stat(dst); serr == nil {
		mode = old.Mode().Perm()
	}
	if err = os.Chmod(f.Name(), mode); err == nil {
		err = os.Rename(f.Name(), dst)
	}
	if err != nil {
		return fmt.Errorf("cannot download %s: %w", from, err)
	}
	return nil
}

// glob lists what the pattern matches on the machine.
func glob(ctx context.Context, r comm.Remote, pattern string) (names []string, err error) {
	if w, ok := r.(comm.Windows); ok {
		err = w.PowerShell(ctx, psFind, map[string]string{"pattern": pattern}, &names)
	} else {
		names, err = globShell(ctx, r, pattern)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look for %s on the machine: %w", pattern, err)
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
