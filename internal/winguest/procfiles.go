package winguest

import (
	"context"
	"io"
	"time"
)

// Abs resolves a path against the process's current directory.
func (p *Proc) Abs(path string) (string, error) { return Resolve(p.Dir, path) }

// Open opens a file. It closes with the process at the latest.
func (p *Proc) Open(path string, m Mode) (*File, error) {
	full, err := p.path(path, m.Write)
	if err == nil && m.Write && m.Read {
		_, err = p.path(path, false)
	}
	if err != nil {
		return nil, err
	}
	f, err := p.Machine.disk.openFile(full, m)
	if err != nil || p.process == nil || f.f == nil {
		return f, err
	}
	p.process.mu.Lock()
	dead := p.process.dead
	if !dead {
		f.owner = p.process
		p.process.handles[f] = true
	}
	p.process.mu.Unlock()
	if dead {
		f.Close()
		return nil, context.Canceled
	}
	return f, nil
}

// path resolves a path that the process wants to read or to change.
func (p *Proc) path(path string, write bool) (string, error) {
	if err := p.alive(); err != nil {
		return "", err
	}
	full, err := p.Abs(path)
	if err == nil && full != nul && !p.allowed(full, write) {
		return "", fail("open", path, AccessDenied)
	}
	return full, err
}

// ReadFile returns what a file holds.
func (p *Proc) ReadFile(path string) ([]byte, error) {
	f, err := p.Open(path, ForReading)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// WriteFile makes a file or writes it anew.
func (p *Proc) WriteFile(path string, b []byte) error {
	f, err := p.Open(path, ForWriting)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(b)
	return err
}

// Enter makes a folder the process's current one, which nobody can remove or rename
// as long as it is. Relative paths stay relative to Dir: a shell resolves its own.
func (p *Proc) Enter(path string) error {
	full, err := p.path(path, false)
	if err != nil || p.process == nil {
		return err
	}
	p.process.mu.Lock()
	defer p.process.mu.Unlock()
	if p.process.dead {
		return context.Canceled
	}
	return p.Machine.disk.enter(p.process, full)
}

// Stat tells of a file or folder.
func (p *Proc) Stat(path string) (FileInfo, error) {
	full, err := p.path(path, false)
	if err != nil {
		return FileInfo{}, err
	}
	return p.Machine.disk.stat(full)
}

// List tells what is in a folder, in the order of names.
func (p *Proc) List(path string) ([]FileInfo, error) {
	full, err := p.path(path, false)
	if err != nil {
		return nil, err
	}
	return p.Machine.disk.list(full)
}

// Mkdir makes a folder and those above it; AlreadyExists if there is one.
func (p *Proc) Mkdir(path string) error {
	full, err := p.path(path, true)
	if err != nil {
		return err
	}
	d := p.Machine.disk
	if _, err := d.stat(full); err == nil {
		return fail("mkdir", full, AlreadyExists)
	}
	return d.mkdirAll(full)
}

// Remove deletes a file or an empty folder.
func (p *Proc) Remove(path string) error {
	full, err := p.path(path, true)
	if err != nil {
		return err
	}
	if err := p.Machine.disk.remove(full); err != nil {
		return err
	}
	return p.Machine.moveRights(full, "")
}

// Rename moves a file or a folder; a file that is at the new place is replaced if
// replace says so.
func (p *Proc) Rename(from, to string, replace bool) error {
	src, err := p.path(from, true)
	if err != nil {
		return err
	}
	dst, err := p.path(to, true)
	if err != nil {
		return err
	}
	if err := p.Machine.disk.rename(src, dst, replace); err != nil {
		return err
	}
	return p.Machine.moveRights(src, dst)
}

// SetReadOnly sets or clears the attribute of a file.
func (p *Proc) SetReadOnly(path string, on bool) error {
	full, err := p.path(path, true)
	if err != nil {
		return err
	}
	return p.Machine.disk.setReadOnly(full, on)
}

// SetModified sets the time of the last change.
func (p *Proc) SetModified(path string, at time.Time) error {
	full, err := p.path(path, true)
	if err != nil {
		return err
	}
	return p.Machine.disk.setModified(full, at)
}
