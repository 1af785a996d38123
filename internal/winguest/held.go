package winguest

import (
	"path"
	"slices"
	"strings"
)

// posixDelete is the first build (Windows 10 1903) where the name of a file that
// is deleted is free at once. Before, a file that others have open keeps its name
// until they close it, and nobody can open it any more.
const posixDelete = 18362

// enter makes a folder the current one of a process: as long as it is, nobody can
// remove or rename it.
func (d *disk) enter(p *Process, full string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	actual, in, err := d.look(full)
	switch {
	case err != nil:
		return err
	case in == nil:
		return fail("enter", full, FileNotFound)
	case !in.IsDir():
		return fail("enter", full, InvalidDirectory)
	}
	d.within[p] = actual
	return nil
}

func (d *disk) leave(p *Process) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.within, p)
}

// held tells whether something open keeps a file or folder from being removed or
// renamed.
func (d *disk) held(actual string) bool {
	for _, dir := range d.within {
		if dir == actual {
			return true
		}
	}
	return slices.ContainsFunc(d.open[actual], func(f *File) bool { return !f.mode.ShareDelete })
}

// busy tells whether anything below a folder is open, which keeps it from being
// renamed, whatever is shared.
func (d *disk) busy(actual string) bool {
	for _, dir := range d.within {
		if strings.HasPrefix(dir, actual+"/") {
			return true
		}
	}
	for name := range d.open {
		if strings.HasPrefix(name, actual+"/") {
			return true
		}
	}
	return false
}

// unlink removes a file or an empty folder that nothing holds. What others have
// open stays theirs until they close it, and on older releases its name, too.
func (d *disk) unlink(actual string) error {
	files := d.open[actual]
	if len(files) > 0 && d.keepNames {
		d.doomed[actual] = true
		return nil
	}
	if err := d.alter(path.Dir(actual), "", func() error { return d.root.Remove(actual) }); err != nil {
		return err
	}
	for _, f := range files {
		f.key = ""
	}
	delete(d.open, actual)
	return nil
}

// release forgets a handle; the last one of a file that was deleted takes its name
// along.
func (d *disk) release(f *File) {
	d.mu.Lock()
	defer d.mu.Unlock()
	files := slices.DeleteFunc(d.open[f.key], func(o *File) bool { return o == f })
	if len(files) > 0 {
		d.open[f.key] = files
		return
	}
	delete(d.open, f.key)
	if d.doomed[f.key] {
		delete(d.doomed, f.key)
		_ = d.unlink(f.key) // its folder is there as long as the name is
	}
}
