package posh

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// newItemHere is New-Item with the parameters that the place of the item adds.
func (s *shell) newItemHere(d *Command, args []actual) *Command {
	for _, a := range append([]actual{{value: "."}}, args...) {
		path, ok := bare(a.value).(string)
		if !ok {
			continue
		}
		pl, err := s.place(path)
		if err != nil {
			continue
		}
		if m, ok := pl.prov.(Maker); ok {
			if more := m.NewParams(pl.path); more != nil {
				own := *d
				own.Params = slices.Concat(d.Params, more)
				return &own
			}
		}
	}
	return d
}

func newItem(c *Call) error {
	s := c.sh
	paths := c.Strs("Path")
	if name := c.Str("Name"); name != "" {
		if paths == nil {
			paths = []string{"."}
		}
		for i, p := range paths {
			paths[i] = s.join(p, name)
			if d, _ := driveOf(p); d != "" && len(d) > 1 {
				paths[i] = strings.TrimRight(p, `\`) + `\` + name
			}
		}
	}
	if paths == nil {
		return &Error{ID: "MissingMandatoryParameter", Category: "InvalidArgument", Message: "Cannot process command because of one or more missing mandatory parameters: Path.", Exception: "System.Management.Automation.ParameterBindingException"}
	}
	v := c.Value("Value")
	for _, p := range paths {
		pl, err := s.place(p)
		if err != nil {
			return err
		}
		var out any
		if pl.prov != nil {
			out, err = makeItem(c, pl.prov, pl.path, v)
			if errors.Is(err, fs.ErrExist) {
				err = &Error{ID: "System.IO.IOException", Exception: "System.IO.IOException", Category: "ResourceExists", Message: "A key in this path already exists.", Target: pl.show()}
			} else if errors.Is(err, fs.ErrNotExist) {
				err = NotFound(pl.show())
			}
		} else {
			out, err = newFileItem(c, pl.path, v)
		}
		if err != nil {
			if s.passes(err) {
				return err
			}
			if err := c.Error(err); err != nil {
				return err
			}
			continue
		}
		if out != nil {
			if err := c.out.put(out); err != nil {
				return err
			}
		}
	}
	return nil
}

func makeItem(c *Call, prov Provider, path string, v any) (any, error) {
	if m, ok := prov.(Maker); ok {
		values := map[string]any{}
		for _, p := range m.NewParams(path) {
			if c.Has(p.Name) {
				values[p.Name] = c.Value(p.Name)
			}
		}
		if len(values) > 0 {
			return m.Make(path, values, c.On("Force"))
		}
	}
	return prov.New(path, c.Str("ItemType"), v, c.On("Force"))
}

// itemType is what a beginning of a type's name means: Dir, d, file.
func itemType(s string) string {
	s = strings.ToLower(s)
	for _, t := range []string{"directory", "container", "file"} {
		if s != "" && strings.HasPrefix(t, s) {
			return strings.Replace(t, "container", "directory", 1)
		}
	}
	return s
}

func newFileItem(c *Call, path string, v any) (any, error) {
	s := c.sh
	old, err := s.m.Stat(path)
	exists := err == nil
	switch itemType(c.Str("ItemType")) {
	case "directory":
		if exists && (!c.On("Force") || !old.IsDir()) {
			return nil, &Error{ID: "DirectoryExist", Category: "ResourceExists", Exception: "System.IO.IOException", Message: "An item with the specified name " + path + " already exists.", Target: path}
		}
		if err := s.m.MakeDir(path); err != nil {
			return nil, c.fileError(err, path, "CreateDirectoryIOError")
		}
	case "file", "":
		if exists && old.IsDir() {
			return nil, &Error{ID: "NewItemUnauthorizedAccessError", Category: "PermissionDenied", Exception: "System.UnauthorizedAccessException", Message: "Access to the path '" + path + "' is denied.", Target: path}
		}
		if exists && !c.On("Force") {
			return nil, &Error{ID: "NewItemIOError", Category: "WriteError", Exception: "System.IO.IOException", Message: "The file '" + path + "' already exists.", Target: path}
		}
		if c.On("Force") {
			if err := s.m.MakeDir(s.parentPath(path)); err != nil {
				return nil, c.fileError(err, path, "NewItemIOError")
			}
		}
		var data []byte
		if v != nil {
			data = []byte(s.text(v))
		}
		if err := s.writeAll(path, Create, data); err != nil {
			e := asError(s.fileFault(err, path))
			id := "NewItemIOError"
			if e.Exception == "System.UnauthorizedAccessException" {
				id = "NewItemUnauthorizedAccessError"
			}
			return nil, &Error{ID: id, Category: "WriteError", Exception: e.Exception, Message: e.Message, Target: path}
		}
	default:
		return nil, s.refuse("New-Item -ItemType %s", c.Str("ItemType"))
	}
	i, err := s.m.Stat(path)
	if err != nil {
		return nil, err
	}
	return s.fileObject(path, i), nil
}
