package comm

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/pkg/sftp"
)

// Stat implements Remote.
func (r *remote) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	p := relative(name)
	var fi fs.FileInfo
	err := r.files(ctx, func(c *sftp.Client) (err error) {
		fi, err = c.Stat(p)
		return err
	}, func(l *sshConn) error {
		var out output
		err := l.script(ctx, assign("p", p)+`case $p in -*) p=./$p;; esac
[ -e "$p" ] || { echo none; exit; }
stat -L -c '%f %s %Y' "$p"
`, nil, &out)
		if err != nil {
			return err
		}
		fi, err = parseStat(path.Base(p), out.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot look at %s on %s: %w", name, r.m.label(), plainError(err))
	}
	return fi, nil
}

// statInfo is what stat tells of a file.
type statInfo struct {
	name string
	mode fs.FileMode
	size int64
	time time.Time
}

func (s statInfo) Name() string       { return s.name }
func (s statInfo) Size() int64        { return s.size }
func (s statInfo) Mode() fs.FileMode  { return s.mode }
func (s statInfo) ModTime() time.Time { return s.time }
func (s statInfo) IsDir() bool        { return s.mode.IsDir() }
func (s statInfo) Sys() any           { return nil }

// parseStat reads a raw hexadecimal mode, a size and a time.
func parseStat(name, text string) (fs.FileInfo, error) {
	if strings.TrimSpace(text) == "none" {
		return nil, fs.ErrNotExist
	}
	var raw uint32
	var unix int64
	s := statInfo{name: name}
	if _, err := fmt.Sscanf(text, "%x %d %d", &raw, &s.size, &unix); err != nil {
		return nil, fmt.Errorf("the machine answers %.200q", text)
	}
	s.mode = fs.FileMode(raw & 0o777)
	switch raw & 0o170000 {
	case 0o040000:
		s.mode |= fs.ModeDir
	case 0o100000:
	default:
		s.mode |= fs.ModeIrregular
	}
	s.time = time.Unix(unix, 0)
	return s, nil
}
