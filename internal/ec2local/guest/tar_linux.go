package guest

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// exportTar writes layers (topmost first) merged, as one tar in which deleted
// things are OCI whiteouts, so that it can lie on any base.
func exportTar(w io.Writer, store string, layers []string) error {
	tw := tar.NewWriter(w)
	keys := map[string]bool{}
	for _, l := range layers {
		es, err := os.ReadDir(filepath.Join(store, "layers", l))
		if err != nil {
			return err
		}
		for _, e := range es {
			keys[e.Name()] = true
		}
	}
	var order []string
	for k := range keys {
		order = append(order, k)
	}
	sort.Strings(order)
	for _, k := range order {
		var dirs []string
		for _, l := range layers {
			if d := filepath.Join(store, "layers", l, k); isDir(d) {
				dirs = append(dirs, d)
			}
		}
		if err := mergeDir(tw, strings.Trim(strings.ReplaceAll(k, "%", "/"), "/"), dirs); err != nil {
			return err
		}
	}
	return tw.Close()
}

func mergeDir(tw *tar.Writer, name string, dirs []string) error {
	first := map[string]int{}
	var names []string
	for i, d := range dirs {
		es, err := os.ReadDir(d)
		if err != nil {
			return err
		}
		for _, e := range es {
			if _, ok := first[e.Name()]; !ok {
				first[e.Name()], names = i, append(names, e.Name())
			}
		}
	}
	sort.Strings(names)
	for _, n := range names {
		p, to := filepath.Join(dirs[first[n]], n), strings.TrimPrefix(name+"/"+n, "/")
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		if isWhiteout(&st) {
			if err := tw.WriteHeader(&tar.Header{Name: strings.TrimPrefix(name+"/.wh."+n, "/"), Mode: 0o600}); err != nil {
				return err
			}
			continue
		}
		fi, err := os.Lstat(p)
		if err != nil {
			return err
		}
		if fi.Mode()&fs.ModeSocket != 0 {
			continue
		}
		target, _ := os.Readlink(p)
		h, err := tar.FileInfoHeader(fi, target)
		if err != nil {
			return err
		}
		h.Name, h.Uname, h.Gname, h.Format, h.PAXRecords = to, "", "", tar.FormatPAX, map[string]string{}
		for k, v := range xattrs(p) {
			if !strings.HasPrefix(k, "user.overlay.") {
				h.PAXRecords["SCHILY.xattr."+k] = string(v)
			}
		}
		if err := tw.WriteHeader(h); err != nil {
			return fmt.Errorf("%s: %w", to, err)
		}
		if fi.Mode().IsRegular() {
			f, err := os.Open(p)
			if err != nil {
				return err
			}
			_, err = io.Copy(tw, f)
			f.Close()
			if err != nil {
				return err
			}
		}
		if !fi.IsDir() {
			continue
		}
		var sub []string
		opaque := false
		for _, d := range dirs[first[n]:] {
			q := filepath.Join(d, n)
			var s unix.Stat_t
			if unix.Lstat(q, &s) != nil {
				continue
			}
			if s.Mode&unix.S_IFMT != unix.S_IFDIR {
				opaque = true
				break
			}
			sub = append(sub, q)
			if isOpaque(q) {
				opaque = true
				break
			}
		}
		if opaque {
			if err := tw.WriteHeader(&tar.Header{Name: to + "/.wh..wh..opq", Mode: 0o600}); err != nil {
				return err
			}
		}
		if err := mergeDir(tw, to, sub); err != nil {
			return err
		}
	}
	return nil
}
