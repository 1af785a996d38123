package posh

import (
	"errors"
	"io/fs"
	"strings"
	"time"
)

// fileItem is a FileInfo or a DirectoryInfo.
type fileItem struct {
	s    *shell
	path string
	dir  bool // where the file is not there: what was asked for
	memo *FileInfo
	bare bool // found in a directory that was listed: its text is the name alone
}

func (f *fileItem) typeName() string {
	if f.dir {
		return "System.IO.DirectoryInfo"
	}
	return "System.IO.FileInfo"
}

func (f *fileItem) String() string {
	if f.bare && !f.s.core {
		return f.s.leaf(f.path)
	}
	return f.path
}

func (f *fileItem) names() []string {
	if f.dir {
		return []string{"Name", "FullName", "Parent", "Exists", "Root", "Extension", "CreationTime", "LastWriteTime", "Attributes"}
	}
	return []string{"Name", "Length", "DirectoryName", "Directory", "IsReadOnly", "Exists", "FullName", "Extension", "CreationTime", "LastWriteTime", "Attributes"}
}

func (s *shell) fileObject(path string, i FileInfo) *fileItem {
	return &fileItem{s: s, path: path, dir: i.IsDir(), memo: &i}
}

// info is the state when the object was made, as .NET keeps it too.
func (f *fileItem) info() (FileInfo, error) {
	if f.memo == nil {
		i, err := f.s.m.Stat(f.path)
		if err != nil {
			return i, err
		}
		f.memo = &i
	}
	return *f.memo, nil
}

// ofFileSystem is a path with its provider, as PSPath has it.
func (s *shell) ofFileSystem(path string) string {
	if path == "" || s.core {
		return path
	}
	return `Microsoft.PowerShell.Core\FileSystem::` + path
}

func (f *fileItem) get(s *shell, k string) (any, bool, error) {
	leaf := s.leaf(f.path)
	switch k {
	case "fullname":
		return f.path, true, nil
	case "pspath":
		return s.ofFileSystem(f.path), true, nil
	case "name", "pschildname":
		return leaf, true, nil
	case "basename":
		if i := strings.LastIndexByte(leaf, '.'); i >= 0 && !f.dir {
			return leaf[:i], true, nil
		}
		return leaf, true, nil
	case "extension":
		if i := strings.LastIndexByte(leaf, '.'); i >= 0 {
			return leaf[i:], true, nil
		}
		return "", true, nil
	case "directoryname":
		return s.parentPath(f.path), true, nil
	case "psparentpath":
		return s.ofFileSystem(s.parentPath(f.path)), true, nil
	case "directory", "parent":
		up := s.parentPath(f.path)
		if up == "" {
			return nil, true, nil
		}
		return &fileItem{s: s, path: up, dir: true}, true, nil
	case "root":
		return &fileItem{s: s, path: f.path[:min(3, len(f.path))], dir: true}, true, nil
	case "psiscontainer":
		return f.dir, true, nil
	case "psdrive", "psprovider", "versioninfo":
		return nil, true, s.refuse("the property %s of a file", k)
	case "linktype", "target":
		return nil, true, nil
	}
	i, err := f.info()
	missing := errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNotDirectory)
	switch k {
	case "exists":
		return err == nil && i.IsDir() == f.dir, true, nil
	case "length":
		if f.dir {
			return nil, false, nil
		}
		if missing {
			return nil, true, dotnet("System.IO.FileNotFoundException", "Could not find file '%s'.", f.path)
		}
		return i.Size, true, s.fileFault(err, f.path)
	}
	if missing { // .NET's times of what is not there
		i, err = FileInfo{Created: time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC), Written: time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC), Attributes: -1}, nil
	}
	if err != nil {
		return nil, true, s.fileFault(err, f.path)
	}
	switch k {
	case "lastwritetime":
		return i.Written.Truncate(100).In(s.local()), true, nil
	case "lastwritetimeutc":
		return i.Written.Truncate(100).In(time.UTC), true, nil
	case "creationtime":
		return i.Created.Truncate(100).In(s.local()), true, nil
	case "creationtimeutc":
		return i.Created.Truncate(100).In(time.UTC), true, nil
	case "lastaccesstime":
		return i.Written.Truncate(100).In(s.local()), true, nil
	case "lastaccesstimeutc":
		return i.Written.Truncate(100).In(time.UTC), true, nil
	case "attributes":
		return enumVal{allTypes["system.io.fileattributes"], int64(i.Attributes)}, true, nil
	case "isreadonly":
		return i.Attributes&ReadOnly != 0, true, nil
	case "mode":
		m := []byte("------")
		for j, b := range []Attributes{Directory, Archive, ReadOnly, Hidden, SystemBit} {
			if i.Attributes&b != 0 {
				m[j] = "darhs"[j]
			}
		}
		return string(m), true, nil
	}
	return nil, false, nil
}

func (f *fileItem) set(s *shell, k string, v any) (bool, error) {
	i, err := f.info()
	if err != nil {
		return true, s.fileFault(err, f.path)
	}
	f.memo = nil
	switch k {
	case "lastwritetime", "lastwritetimeutc":
		t, err := s.castTo(v, allTypes["system.datetime"])
		if err != nil {
			return true, err
		}
		w := s.fromZone(t.(time.Time))
		if k == "lastwritetimeutc" && timeKind(t.(time.Time)) == "Unspecified" {
			w = time.Date(w.Year(), w.Month(), w.Day(), w.Hour(), w.Minute(), w.Second(), w.Nanosecond(), time.UTC)
		}
		return true, s.fileFault(s.m.SetTimes(f.path, w), f.path)
	case "isreadonly":
		a := i.Attributes &^ ReadOnly
		if truth(v) {
			a |= ReadOnly
		}
		return true, s.fileFault(s.m.SetAttributes(f.path, a), f.path)
	case "attributes":
		e, err := s.castEnum(v, allTypes["system.io.fileattributes"])
		if err != nil {
			return true, err
		}
		return true, s.fileFault(s.m.SetAttributes(f.path, Attributes(e.(enumVal).n)), f.path)
	}
	return false, nil
}

func (f *fileItem) call(s *shell, k string, a []any) (any, bool, error) {
	static := func(t, name string, more ...any) (any, bool, error) {
		v, err := allTypes[t].funcs[name](s, append([]any{f.path}, more...))
		f.memo = nil
		return v, true, err
	}
	switch k {
	case "refresh":
		f.memo = nil
		return void{}, true, nil
	case "delete":
		if f.dir {
			return static("system.io.directory", "delete", a...)
		}
		return static("system.io.file", "delete")
	case "open", "openread", "openwrite", "create", "opentext", "createtext", "appendtext":
		if f.dir && k == "create" {
			_, err := allTypes["system.io.directory"].funcs["createdirectory"](s, []any{f.path})
			return void{}, true, err
		}
		if !f.dir {
			return static("system.io.file", k, a...)
		}
	case "moveto":
		if f.dir {
			return static("system.io.directory", "move", a...)
		}
		return static("system.io.file", "move", a...)
	case "copyto":
		if !f.dir {
			return static("system.io.file", "copy", a...)
		}
	case "getfiles", "getdirectories", "getfilesysteminfos":
		if f.dir && len(a) == 0 {
			l, err := s.m.List(f.path)
			if err != nil {
				return nil, true, s.fileFault(err, f.path)
			}
			out := &Array{}
			for _, i := range l {
				if k == "getfilesysteminfos" || i.IsDir() == (k == "getdirectories") {
					o := s.fileObject(s.join(f.path, i.Name), i)
					o.bare = true
					out.Elem = append(out.Elem, o)
				}
			}
			return out, true, nil
		}
	}
	return nil, false, nil
}

func init() {
	enumeration("System.IO.FileMode", false, enumName{"CreateNew", 1}, enumName{"Create", 2}, enumName{"Open", 3}, enumName{"OpenOrCreate", 4}, enumName{"Truncate", 5}, enumName{"Append", 6})
	enumeration("System.IO.FileAccess", true, enumName{"Read", 1}, enumName{"Write", 2}, enumName{"ReadWrite", 3})
	enumeration("System.IO.FileShare", true, enumName{"None", 0}, enumName{"Read", 1}, enumName{"Write", 2}, enumName{"ReadWrite", 3}, enumName{"Delete", 4}, enumName{"Inheritable", 16})
	enumeration("System.IO.SeekOrigin", false, enumName{"Begin", 0}, enumName{"Current", 1}, enumName{"End", 2})
	enumeration("System.IO.SearchOption", false, enumName{"TopDirectoryOnly", 0}, enumName{"AllDirectories", 1})
	enumeration("System.IO.FileOptions", true, enumName{"None", 0}, enumName{"DeleteOnClose", 67108864}, enumName{"SequentialScan", 134217728}, enumName{"RandomAccess", 268435456}, enumName{"Asynchronous", 1073741824})
	enumeration("System.IO.FileAttributes", true, enumName{"ReadOnly", 1}, enumName{"Hidden", 2}, enumName{"System", 4}, enumName{"Directory", 16}, enumName{"Archive", 32},
		enumName{"Device", 64}, enumName{"Normal", 128}, enumName{"Temporary", 256}, enumName{"SparseFile", 512}, enumName{"ReparsePoint", 1024}, enumName{"Compressed", 2048})
	item := func(dir bool) func(*shell, []any) (any, error) {
		return func(s *shell, a []any) (any, error) {
			p, err := s.netPath(s.text(argOr(a, 0, "")))
			if err != nil {
				return nil, err
			}
			return &fileItem{s: s, path: p, dir: dir}, nil
		}
	}
	define(&Type{name: "System.IO.FileInfo", ctor: item(false)})
	define(&Type{name: "System.IO.DirectoryInfo", ctor: item(true)})
	define(&Type{name: "System.IO.MemoryStream", ctor: func(s *shell, a []any) (any, error) {
		if len(a) == 0 {
			return newMemory(nil, false), nil
		}
		if _, size := a[0].(int32); size && len(a) == 1 {
			return newMemory(nil, false), nil
		}
		b, err := s.bytesArg(a, 0)
		if err == nil && len(a) >= 3 {
			b, err = s.part(b, a[1], a[2])
		}
		if err != nil {
			return nil, err
		}
		return newMemory(b, true), nil
	}})
	define(&Type{name: "System.IO.FileStream", ctor: func(s *shell, a []any) (any, error) { return s.openArgs(a) }})
	text := func(write bool) func(*shell, []any) (any, error) {
		return func(s *shell, a []any) (any, error) {
			if len(a) == 0 {
				return nil, overload("New", 0)
			}
			code := encodings["utf-8"]
			if write {
				code = encodings["utf-8-plain"]
			}
			add, sniff := false, true
			for _, v := range a[1:] {
				switch x := v.(type) {
				case *encoding:
					code = x
				case bool:
					add, sniff = x, x
				case int32:
				default:
					return nil, s.refuse("a StreamReader or StreamWriter of this form")
				}
			}
			base, ok := a[0].(*stream)
			if !ok {
				how := Open{OpenExisting, Read, ShareRead}
				if write {
					how = Open{Create, Write, ShareRead}
					if add {
						how.Mode = Append
					}
				}
				var err error
				if base, err = s.openFile(s.text(a[0]), how); err != nil {
					return nil, err
				}
				sniff = true
			}
			if write {
				if base.wr == nil {
					return nil, dotnet("System.ArgumentException", "Stream was not writable.")
				}
				return s.newWriter(base, code), nil
			}
			if base.rd == nil {
				return nil, dotnet("System.ArgumentException", "Stream was not readable.")
			}
			r, err := s.newReader(base.rd, code, sniff)
			if err != nil {
				return nil, err
			}
			r.base = base
			return r, nil
		}
	}
	define(&Type{name: "System.IO.StreamReader", ctor: text(false)})
	define(&Type{name: "System.IO.StreamWriter", ctor: text(true)})
	define(&Type{name: "System.IO.StringReader", ctor: func(s *shell, a []any) (any, error) {
		return &reader{typ: "System.IO.StringReader", text: true, all: s.text(argOr(a, 0, "")), code: encodings["utf-16"]}, nil
	}})
	define(&Type{name: "System.IO.StringWriter", ctor: func(s *shell, a []any) (any, error) {
		return &writer{typ: "System.IO.StringWriter", text: &strings.Builder{}, newline: s.host.newline, code: encodings["utf-16"]}, nil
	}})
	defineFile()
	defineDirectory()
	definePath()
}

// openArgs is [IO.File]::Open and new FileStream: path, mode, access, share.
func (s *shell) openArgs(v []any) (*stream, error) {
	a := &args{s: s, a: v}
	if len(v) < 2 || len(v) > 6 {
		return nil, overload("Open", len(v))
	}
	how := Open{Mode: Mode(a.enum(1, allTypes["system.io.filemode"])), Access: ReadWrite, Share: ShareNone}
	if how.Mode == Append {
		how.Access = Write
	}
	if len(v) > 2 {
		how.Access = Access(a.enum(2, allTypes["system.io.fileaccess"]))
	}
	if len(v) > 3 {
		how.Share = Share(a.enum(3, allTypes["system.io.fileshare"]))
	}
	if len(v) > 5 && a.enum(5, allTypes["system.io.fileoptions"])&67108864 != 0 {
		return nil, s.refuse("FileOptions.DeleteOnClose")
	}
	if a.err != nil {
		return nil, a.err
	}
	if how.Mode < 1 || how.Mode > 6 || how.Mode == Append && how.Access&Read != 0 || how.Access&Write == 0 && how.Mode != OpenExisting && how.Mode != OpenOrCreate {
		return nil, dotnet("System.ArgumentException", "Combining FileMode: %s with FileAccess: %s is invalid.", enumVal{allTypes["system.io.filemode"], int64(how.Mode)}, enumVal{allTypes["system.io.fileaccess"], int64(how.Access)})
	}
	return s.openFile(a.text(0), how)
}

func defineFile() {
	// onFile makes a method whose first argument is a path.
	onFile := func(f func(a *args, path string) (any, error)) func(*shell, []any) (any, error) {
		return func(s *shell, v []any) (any, error) {
			if len(v) == 0 {
				return nil, overload("File", 0)
			}
			p, err := s.netPath(s.text(v[0]))
			if err != nil {
				return nil, err
			}
			a := &args{s: s, a: v}
			r, err := f(a, p)
			if a.err != nil {
				return nil, a.err
			}
			return r, s.fileFault(err, p)
		}
	}
	code := func(a *args, i int) *encoding {
		if e, ok := a.any(i).(*encoding); ok {
			return e
		}
		if i < len(a.a) && a.err == nil {
			a.err = a.s.refuse("an encoding that is %s", typeNameOf(a.any(i)))
		}
		return encodings["utf-8-plain"]
	}
	readText := func(a *args, p string) (string, error) {
		def := encodings["utf-8"]
		if len(a.a) > 1 {
			def = code(a, 1)
		}
		b, err := a.s.readAll(p)
		if err != nil {
			return "", err
		}
		e, rest := detect(b, def)
		return e.decode(rest), nil
	}
	write := func(mode Mode, lines bool) func(*shell, []any) (any, error) {
		return onFile(func(a *args, p string) (any, error) {
			a.need("Write", 2, 3)
			e := code(a, 2)
			var t string
			if lines {
				var b strings.Builder
				for _, l := range elements(a.any(1)) {
					b.WriteString(a.s.text(l) + a.s.host.newline)
				}
				t = b.String()
			} else {
				t = a.text(1)
			}
			if a.err != nil {
				return nil, nil
			}
			bom := e.bom
			if mode == Append {
				if i, err := a.s.m.Stat(p); err == nil && i.Size > 0 {
					bom = nil
				}
			}
			return void{}, a.s.writeAll(p, mode, bom, e.encode(t))
		})
	}
	opener := func(how Open) func(*shell, []any) (any, error) {
		return func(s *shell, a []any) (any, error) { return wrapErr(s.openFile(s.text(argOr(a, 0, "")), how)) }
	}
	times := func(utc bool, created bool) func(*shell, []any) (any, error) {
		return onFile(func(a *args, p string) (any, error) {
			k := "lastwritetime"
			if created {
				k = "creationtime"
			}
			if utc {
				k += "utc"
			}
			v, _, err := (&fileItem{s: a.s, path: p}).get(a.s, k)
			return v, err
		})
	}
	f := statics{
		"exists": func(s *shell, a []any) (any, error) {
			p, err := s.netPath(s.text(argOr(a, 0, "")))
			if err != nil {
				return false, nil
			}
			i, err := s.m.Stat(p)
			return err == nil && !i.IsDir(), nil
		},
		"open":       func(s *shell, a []any) (any, error) { return wrapErr(s.openArgs(a)) },
		"openread":   opener(Open{OpenExisting, Read, ShareRead}),
		"openwrite":  opener(Open{OpenOrCreate, Write, ShareNone}),
		"create":     opener(Open{Create, ReadWrite, ShareNone}),
		"opentext":   func(s *shell, a []any) (any, error) { return allTypes["system.io.streamreader"].ctor(s, a) },
		"createtext": func(s *shell, a []any) (any, error) { return allTypes["system.io.streamwriter"].ctor(s, a) },
		"appendtext": func(s *shell, a []any) (any, error) {
			return allTypes["system.io.streamwriter"].ctor(s, append(append([]any{}, a...), true))
		},
		"readallbytes": onFile(func(a *args, p string) (any, error) { return wrapErr(a.s.readAll(p)) }),
		"readalltext":  onFile(func(a *args, p string) (any, error) { return readText(a, p) }),
		"readalllines": onFile(func(a *args, p string) (any, error) {
			t, err := readText(a, p)
			out := &Array{Type: "string"}
			for _, l := range splitLines(t) {
				out.Elem = append(out.Elem, l)
			}
			return out, err
		}),
		"writealltext": write(Create, false), "writealllines": write(Create, true), "appendalltext": write(Append, false), "appendalllines": write(Append, true),
		"writeallbytes": onFile(func(a *args, p string) (any, error) {
			a.need("WriteAllBytes", 2)
			b := a.bytes(1)
			if a.err != nil {
				return nil, nil
			}
			return void{}, a.s.writeAll(p, Create, b)
		}),
		"delete": onFile(func(a *args, p string) (any, error) {
			i, err := a.s.m.Stat(p)
			if errors.Is(err, fs.ErrNotExist) {
				if up, e := a.s.m.Stat(a.s.parentPath(p)); e != nil || !up.IsDir() {
					return nil, err
				}
				return void{}, nil
			}
			if err == nil && (i.IsDir() || i.Attributes&ReadOnly != 0) {
				return nil, fs.ErrPermission
			}
			if err == nil {
				err = a.s.m.Remove(p)
			}
			return void{}, err
		}),
		"copy": onFile(func(a *args, p string) (any, error) {
			a.need("Copy", 2, 3)
			to, err := a.s.netPath(a.text(1))
			if err != nil || a.err != nil {
				return nil, err
			}
			return void{}, a.s.copyFile(p, to, len(a.a) == 3 && truth(a.any(2)))
		}),
		"move": onFile(func(a *args, p string) (any, error) {
			a.need("Move", 2)
			to, err := a.s.netPath(a.text(1))
			if err != nil || a.err != nil {
				return nil, err
			}
			if i, err := a.s.m.Stat(p); err != nil || i.IsDir() {
				return nil, fs.ErrNotExist
			}
			err = a.s.m.Rename(p, to)
			if errors.Is(err, fs.ErrExist) {
				return nil, dotnet("System.IO.IOException", "Cannot create a file when that file already exists.")
			}
			return void{}, err
		}),
		"getattributes": onFile(func(a *args, p string) (any, error) {
			i, err := a.s.m.Stat(p)
			return enumVal{allTypes["system.io.fileattributes"], int64(i.Attributes)}, err
		}),
		"setattributes": onFile(func(a *args, p string) (any, error) {
			n := a.enum(1, allTypes["system.io.fileattributes"])
			if a.err != nil {
				return nil, nil
			}
			return void{}, a.s.m.SetAttributes(p, Attributes(n))
		}),
		"getlastwritetime": times(false, false), "getlastwritetimeutc": times(true, false), "getcreationtime": times(false, true), "getcreationtimeutc": times(true, true),
		"setlastwritetime": onFile(func(a *args, p string) (any, error) {
			_, err := (&fileItem{s: a.s, path: p}).set(a.s, "lastwritetime", a.any(1))
			return void{}, err
		}),
		"setlastwritetimeutc": onFile(func(a *args, p string) (any, error) {
			_, err := (&fileItem{s: a.s, path: p}).set(a.s, "lastwritetimeutc", a.any(1))
			return void{}, err
		}),
	}
	f["readlines"] = f["readalllines"]
	define(&Type{name: "System.IO.File", funcs: f})
}

// splitLines takes text apart at \r\n, \n and \r.
func splitLines(t string) []string {
	var out []string
	for t != "" {
		i := strings.IndexAny(t, "\r\n")
		if i < 0 {
			return append(out, t)
		}
		out = append(out, t[:i])
		if t[i] == '\r' && i+1 < len(t) && t[i+1] == '\n' {
			i++
		}
		t = t[i+1:]
	}
	return out
}

// copyFile copies one file with its attributes and time.
func (s *shell) copyFile(from, to string, over bool) error {
	i, err := s.m.Stat(from)
	if err != nil {
		return err
	}
	if i.IsDir() {
		return fs.ErrPermission
	}
	if old, err := s.m.Stat(to); err == nil && old.Attributes&ReadOnly != 0 {
		return fs.ErrPermission
	}
	in, err := s.m.Open(from, Open{OpenExisting, Read, ShareRead})
	if err != nil {
		return err
	}
	defer in.Close()
	mode := CreateNew
	if over {
		mode = Create
	}
	out, err := s.m.Open(to, Open{mode, Write, ShareNone})
	if err != nil {
		if errors.Is(err, fs.ErrExist) {
			return dotnet("System.IO.IOException", "The file '%s' already exists.", to)
		}
		return s.fileFault(err, to)
	}
	if err := s.copy(out, in); err != nil {
		_ = out.Close()
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	if err := s.m.SetTimes(to, i.Written); err != nil {
		return err
	}
	return s.m.SetAttributes(to, i.Attributes)
}
