package posh

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

func removeItem(c *Call) error {
	s := c.sh
	return c.eachPlace(true, func(p place) error {
		if p.prov != nil {
			return c.removeProvided(p)
		}
		i, err := s.m.Stat(p.path)
		if err != nil {
			return c.fileError(err, p.path, "RemoveItemIOError")
		}
		if c.On("Recurse") && c.filtered() && i.IsDir() {
			return s.refuse("Remove-Item -Recurse with a filter")
		}
		if !c.kept(i.Name) {
			return nil
		}
		if err := c.inUse("Cannot remove the item at '%s' because it is in use.", p.path); err != nil {
			return err
		}
		if !i.IsDir() {
			return c.removeOne(p.path, i, false)
		}
		if !c.On("Recurse") {
			if l, err := s.m.List(p.path); err == nil && len(l) > 0 {
				return s.refuse("the question whether to remove %s with all in it (-Recurse answers it)", p.path)
			}
		}
		return c.removeDir(p.path, i, false)
	})
}

// inUse is the error about an item that the shell is in, or below of.
func (c *Call) inUse(format, path string) error {
	s := c.sh
	in := func(p string) string { return foldKey(strings.TrimRight(p, s.sep()) + s.sep()) }
	if !strings.HasPrefix(in(s.dir), in(path)) {
		return nil
	}
	return &Error{ID: "InvalidOperation", Category: "InvalidOperation", Message: fmt.Sprintf(format, path), Exception: "System.Management.Automation.PSInvalidOperationException"}
}

func (c *Call) removeProvided(p place) error {
	found, dir, err := p.prov.Stat(p.path)
	if err != nil {
		return err
	}
	if found && dir && !c.On("Recurse") {
		if ch, err := p.prov.Children(p.path); err == nil && len(ch) > 0 {
			return c.sh.refuse("the question whether to remove %s with all in it (-Recurse answers it)", p.show())
		}
	}
	switch err := p.prov.Remove(p.path, c.On("Recurse")); {
	case errors.Is(err, fs.ErrNotExist):
		return NotFound(p.show())
	case errors.Is(err, fs.ErrPermission):
		return &Error{ID: "VariableNotRemovable", Category: "WriteError", Message: "Cannot remove " + p.show() + " because it is constant or read-only.", Exception: "System.Management.Automation.SessionStateUnauthorizedAccessException"}
	default:
		return err
	}
}

// removeDir removes a directory: the directories in it, then the files, then
// itself. What cannot be removed is an error of its own, and the rest goes on.
func (c *Call) removeDir(path string, i FileInfo, listed bool) error {
	s := c.sh
	if err := s.ctx.Err(); err != nil {
		return err
	}
	l, err := s.m.List(path)
	if err != nil {
		return c.fileError(err, path, "RemoveItemIOError")
	}
	for _, dirs := range []bool{true, false} {
		for _, in := range l {
			at := s.join(path, in.Name)
			switch {
			case in.IsDir() != dirs:
				continue
			case dirs:
				err = c.removeDir(at, in, true)
			default:
				err = c.removeOne(at, in, true)
			}
			if err == nil {
				continue
			}
			if s.passes(err) {
				return err
			}
			if err := c.Error(err); err != nil {
				return err
			}
		}
	}
	if l, err := s.m.List(path); err == nil && len(l) > 0 && !c.On("Force") {
		return &Error{ID: "DirectoryNotEmpty", Category: "WriteError", Exception: "System.IO.IOException", Target: c.shown(path, i, listed),
			Message: "Directory " + path + " cannot be removed because it is not empty."}
	}
	return c.removeOne(path, i, listed)
}

// removeOne removes a file or an empty directory. What was found in a directory
// that is removed goes by its name alone in .NET's messages, if it is a file.
func (c *Call) removeOne(path string, i FileInfo, listed bool) error {
	s := c.sh
	e := &Error{ID: "RemoveFileSystemItemUnAuthorizedAccess", Category: "PermissionDenied", Exception: "System.IO.IOException", Target: c.shown(path, i, listed),
		Message: "You do not have sufficient access rights to perform this operation."}
	if i.Attributes&(ReadOnly|Hidden|SystemBit) == 0 || c.On("Force") {
		err := s.m.Remove(path)
		if err == nil || s.passes(err) {
			return err
		}
		name := path
		if listed && !i.IsDir() {
			name = i.Name
		}
		told := asError(s.fileFault(err, name))
		e.Exception, e.Message = told.Exception, told.Message
		switch {
		case told.Exception != "System.UnauthorizedAccessException":
			e.ID, e.Category = "RemoveFileSystemItemIOError", "WriteError"
		case c.On("Force"): // the attributes are set first, of which .NET tells in its own way
			e.ID, e.Category, e.Exception = "RemoveFileSystemItemArgumentError", "InvalidArgument", "System.ArgumentException"
			e.Message = "Access to the path is denied."
		}
	}
	e.Details = "Cannot remove item " + path + ": " + e.Message
	return e
}

// shown is the object that an error names.
func (c *Call) shown(path string, i FileInfo, listed bool) any {
	o := c.sh.fileObject(path, i)
	o.bare = listed
	return o
}
