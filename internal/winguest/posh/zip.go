package posh

import (
	"archive/zip"
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"
)

// archive is a ZipArchive.
type archive struct {
	s    *shell
	base *stream
	r    *zip.Reader
	w    *zip.Writer
	keep bool
	open *stream // the entry that is being written
	done bool
}

type readerAt struct {
	mu sync.Mutex
	f  *stream
}

func (r *readerAt) ReadAt(p []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.f.sk.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	return io.ReadFull(r.f.rd, p)
}

func badZip(err error) error {
	if errors.Is(err, zip.ErrFormat) || errors.Is(err, zip.ErrAlgorithm) || errors.Is(err, zip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) {
		return dotnet("System.IO.InvalidDataException", "The archive is damaged or no zip archive: %v.", err)
	}
	return err
}

func (s *shell) newArchive(base *stream, mode int64, keep bool) (*archive, error) {
	z := &archive{s: s, base: base, keep: keep}
	switch mode {
	case 0:
		if base.sk == nil || base.rd == nil {
			return nil, s.refuse("a zip archive in a stream that cannot seek")
		}
		n, err := base.length()
		if err != nil {
			return nil, err
		}
		r, err := zip.NewReader(&readerAt{f: base}, n)
		if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
			return nil, badZip(err)
		}
		z.r = r
	case 1:
		if base.wr == nil {
			return nil, dotnet("System.ArgumentException", "Cannot use create mode on a stream that cannot be written to.")
		}
		z.w = zip.NewWriter(base.wr)
		s.cleanup = append(s.cleanup, func() { _ = z.close() })
	default:
		return nil, s.refuse("ZipArchiveMode.Update")
	}
	return z, nil
}

func (z *archive) typeName() string { return "System.IO.Compression.ZipArchive" }
func (z *archive) String() string   { return z.typeName() }

func (z *archive) close() error {
	if z.done {
		return nil
	}
	z.done = true
	var err error
	if z.w != nil {
		err = z.w.Close()
	}
	if !z.keep {
		if cerr := z.base.close(); err == nil {
			err = cerr
		}
	}
	return err
}

func (z *archive) entries() []any {
	var out []any
	if z.r != nil {
		for _, f := range z.r.File {
			out = append(out, &zipEntry{z: z, f: f, name: f.Name})
		}
	}
	return out
}

func (z *archive) get(s *shell, k string) (any, bool, error) {
	if z.done {
		return nil, true, dotnet("System.ObjectDisposedException", "Cannot access a disposed object. Object name: 'System.IO.Compression.ZipArchive'.")
	}
	switch k {
	case "entries":
		if z.w != nil {
			return nil, true, dotnet("System.NotSupportedException", "Cannot access entries in Create mode.")
		}
		return &List{Elem: z.entries(), typ: "System.Collections.ObjectModel.ReadOnlyCollection`1[System.IO.Compression.ZipArchiveEntry]"}, true, nil
	case "mode":
		n := int64(0)
		if z.w != nil {
			n = 1
		}
		return enumVal{allTypes["system.io.compression.ziparchivemode"], n}, true, nil
	}
	return nil, false, nil
}

func (z *archive) call(s *shell, k string, a []any) (any, bool, error) {
	switch k {
	case "dispose":
		return void{}, true, z.close()
	case "getentry":
		for _, e := range z.entries() {
			if len(a) == 1 && e.(*zipEntry).name == s.text(a[0]) {
				return e, true, nil
			}
		}
		return nil, true, nil
	case "createentry":
		if z.w == nil || z.done || len(a) == 0 {
			return nil, true, dotnet("System.NotSupportedException", "Cannot create entries in this archive.")
		}
		e := &zipEntry{z: z, name: s.text(a[0]), level: 0, at: s.sys.Now()}
		if len(a) > 1 {
			l, err := s.castEnum(a[1], allTypes["system.io.compression.compressionlevel"])
			if err != nil {
				return nil, true, err
			}
			e.level = int(l.(enumVal).n)
		}
		if strings.HasSuffix(e.name, "/") {
			_, err := e.writer()
			return e, true, err
		}
		return e, true, nil
	}
	return nil, false, nil
}

// zipEntry is a ZipArchiveEntry.
type zipEntry struct {
	z     *archive
	f     *zip.File
	name  string
	level int
	at    time.Time
}

func (e *zipEntry) typeName() string { return "System.IO.Compression.ZipArchiveEntry" }
func (e *zipEntry) String() string   { return e.name }
func (e *zipEntry) names() []string {
	return []string{"FullName", "Name", "Length", "CompressedLength", "LastWriteTime"}
}

func (e *zipEntry) get(s *shell, k string) (any, bool, error) {
	switch k {
	case "fullname":
		return e.name, true, nil
	case "name":
		return e.name[strings.LastIndexAny(e.name, `/\`)+1:], true, nil
	case "length", "compressedlength":
		if e.f == nil {
			return nil, true, dotnet("System.InvalidOperationException", "Length properties are unavailable once an entry has been opened for writing.")
		}
		if k == "length" {
			return int64(e.f.UncompressedSize64), true, nil
		}
		return int64(e.f.CompressedSize64), true, nil
	case "lastwritetime":
		if e.f != nil {
			return e.f.Modified.In(s.local()), true, nil
		}
		return e.at, true, nil
	case "archive":
		return e.z, true, nil
	}
	return nil, false, nil
}

func (e *zipEntry) set(s *shell, k string, v any) (bool, error) {
	if k != "lastwritetime" || e.f != nil {
		return false, nil
	}
	t, err := s.castTo(v, allTypes["system.datetime"])
	if err != nil {
		return true, err
	}
	e.at = s.fromZone(t.(time.Time))
	return true, nil
}

func (e *zipEntry) writer() (io.Writer, error) {
	h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: e.at}
	if e.level == 2 || strings.HasSuffix(e.name, "/") {
		h.Method = zip.Store
	}
	return e.z.w.CreateHeader(h)
}

func (e *zipEntry) open() (*stream, error) {
	if e.z.done {
		return nil, dotnet("System.ObjectDisposedException", "Cannot access a disposed object. Object name: 'System.IO.Compression.ZipArchive'.")
	}
	if e.f != nil {
		r, err := e.f.Open()
		if err != nil {
			return nil, badZip(err)
		}
		return &stream{typ: "System.IO.Compression.DeflateStream", rd: zipReader{r}, finish: r.Close}, nil
	}
	if e.z.open != nil && !e.z.open.closed {
		return nil, dotnet("System.IO.IOException", "Entries cannot be created while previously created entries are still open.")
	}
	w, err := e.writer()
	if err != nil {
		return nil, err
	}
	e.z.open = &stream{typ: "System.IO.Compression.WrappedStream", wr: w}
	return e.z.open, nil
}

type zipReader struct{ r io.Reader }

func (r zipReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	return n, badZip(err)
}

func (e *zipEntry) call(s *shell, k string, a []any) (any, bool, error) {
	if k == "open" && len(a) == 0 {
		f, err := e.open()
		return f, true, err
	}
	return nil, false, nil
}

// extract writes an entry to a file.
func (e *zipEntry) extract(s *shell, path string, over bool) error {
	mode := CreateNew
	if over {
		mode = Create
	}
	in, err := e.open()
	if err != nil {
		return err
	}
	defer in.close() //nolint:errcheck // a reader's end
	out, err := s.m.Open(path, Open{mode, Write, ShareNone})
	if err != nil {
		return s.fileFault(err, path)
	}
	if err := s.copy(out, in.rd); err != nil {
		_ = out.Close()
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return s.m.SetTimes(path, e.f.Modified)
}

// extractAll unpacks an archive below a directory.
func (z *archive) extractAll(dir string, over bool) error {
	s := z.s
	root := strings.TrimRight(s.clean(dir), s.sep()) + s.sep()
	if err := s.m.MakeDir(dir); err != nil {
		return s.fileFault(err, dir)
	}
	for _, v := range z.entries() {
		e := v.(*zipEntry)
		to := s.clean(root + strings.ReplaceAll(e.name, "/", s.sep()))
		if !strings.HasPrefix(foldKey(to+s.sep()), foldKey(root)) {
			return dotnet("System.IO.IOException", "Extracting Zip entry would have resulted in a file outside the specified destination directory.")
		}
		if strings.HasSuffix(e.name, "/") || strings.HasSuffix(e.name, `\`) {
			if err := s.m.MakeDir(to); err != nil {
				return s.fileFault(err, to)
			}
			continue
		}
		if err := s.m.MakeDir(s.parentPath(to)); err != nil {
			return s.fileFault(err, to)
		}
		if err := e.extract(s, to, over); err != nil {
			return err
		}
	}
	return nil
}

// packAll puts a directory into an archive, under a name.
func (z *archive) packAll(dir, under string) error {
	s := z.s
	l, err := s.m.List(dir)
	if err != nil {
		return s.fileFault(err, dir)
	}
	for _, i := range l {
		name := under + i.Name
		p := s.join(dir, i.Name)
		if i.IsDir() {
			if sub, err := s.m.List(p); err == nil && len(sub) == 0 {
				if _, err := (&zipEntry{z: z, name: name + "/", at: i.Written}).writer(); err != nil {
					return err
				}
			}
			if err := z.packAll(p, name+"/"); err != nil {
				return err
			}
			continue
		}
		if err := z.packFile(p, name, i.Written); err != nil {
			return err
		}
	}
	return nil
}

func (z *archive) packFile(path, name string, at time.Time) error {
	in, err := z.s.m.Open(path, Open{OpenExisting, Read, ShareRead})
	if err != nil {
		return z.s.fileFault(err, path)
	}
	defer in.Close()
	w, err := (&zipEntry{z: z, name: name, at: at}).writer()
	if err != nil {
		return err
	}
	return z.s.copy(w, in)
}

func init() {
	enumeration("System.IO.Compression.CompressionMode", false, enumName{"Decompress", 0}, enumName{"Compress", 1})
	enumeration("System.IO.Compression.CompressionLevel", false, enumName{"Optimal", 0}, enumName{"Fastest", 1}, enumName{"NoCompression", 2})
	enumeration("System.IO.Compression.ZipArchiveMode", false, enumName{"Read", 0}, enumName{"Create", 1}, enumName{"Update", 2})
	packed := func(typ string, open func(io.Reader) (io.ReadCloser, error), make func(io.Writer) io.WriteCloser) {
		define(&Type{name: typ, ctor: func(s *shell, v []any) (any, error) {
			a := &args{s: s, a: v}
			a.need("New", 2, 3)
			base, ok := a.any(0).(*stream)
			if !ok {
				return nil, overload("New", len(v))
			}
			if _, level := a.any(1).(enumVal); level && a.any(1).(enumVal).typ.name == "System.IO.Compression.CompressionLevel" {
				a.a[1] = enumVal{allTypes["system.io.compression.compressionmode"], 1}
			}
			mode := a.enum(1, allTypes["system.io.compression.compressionmode"])
			if a.err != nil {
				return nil, a.err
			}
			keep := len(v) == 3 && truth(v[2])
			f := &stream{typ: typ}
			end := func() error {
				if keep {
					return nil
				}
				return base.close()
			}
			if mode == 1 {
				w := make(base.wr)
				f.wr, f.finish = w, func() error {
					err := w.Close()
					if cerr := end(); err == nil {
						err = cerr
					}
					return err
				}
				return f, nil
			}
			f.rd, f.finish = &lazyReader{open: func() (io.Reader, error) { return open(base.rd) }}, end
			return f, nil
		}})
	}
	packed("System.IO.Compression.GZipStream", func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	packed("System.IO.Compression.DeflateStream", func(r io.Reader) (io.ReadCloser, error) { return flate.NewReader(r), nil }, func(w io.Writer) io.WriteCloser {
		z, _ := flate.NewWriter(w, flate.DefaultCompression) // the level is valid
		return z
	})
	define(&Type{name: "System.IO.Compression.ZipArchive", ctor: func(s *shell, v []any) (any, error) {
		a := &args{s: s, a: v}
		a.need("New", 1, 2, 3)
		base, ok := a.any(0).(*stream)
		if !ok {
			return nil, overload("New", len(v))
		}
		mode := int64(0)
		if len(v) > 1 {
			mode = a.enum(1, allTypes["system.io.compression.ziparchivemode"])
		}
		if a.err != nil {
			return nil, a.err
		}
		return wrapErr(s.newArchive(base, mode, len(v) == 3 && truth(v[2])))
	}})
	openZip := func(s *shell, v []any) (*archive, error) {
		a := &args{s: s, a: v}
		mode := int64(0)
		if len(v) > 1 {
			mode = a.enum(1, allTypes["system.io.compression.ziparchivemode"])
		}
		if a.err != nil {
			return nil, a.err
		}
		how := Open{OpenExisting, Read, ShareRead}
		if mode == 1 {
			how = Open{CreateNew, Write, ShareNone}
		}
		f, err := s.openFile(s.text(argOr(v, 0, "")), how)
		if err != nil {
			return nil, err
		}
		z, err := s.newArchive(f, mode, false)
		if err != nil {
			_ = f.close()
			return nil, err
		}
		return z, nil
	}
	define(&Type{name: "System.IO.Compression.ZipFile", funcs: statics{
		"open":     func(s *shell, a []any) (any, error) { return wrapErr(openZip(s, a)) },
		"openread": func(s *shell, a []any) (any, error) { return wrapErr(openZip(s, a[:min(1, len(a))])) },
		"extracttodirectory": func(s *shell, a []any) (any, error) {
			if len(a) < 2 || len(a) > 3 {
				return nil, overload("ExtractToDirectory", len(a))
			}
			z, err := openZip(s, a[:1])
			if err != nil {
				return nil, err
			}
			defer z.close() //nolint:errcheck // a reader's end
			dir, err := s.netPath(s.text(a[1]))
			if err != nil {
				return nil, err
			}
			return void{}, z.extractAll(dir, false)
		},
		"createfromdirectory": func(s *shell, a []any) (any, error) {
			if len(a) < 2 || len(a) > 4 {
				return nil, overload("CreateFromDirectory", len(a))
			}
			dir, err := s.netPath(s.text(a[0]))
			if err != nil {
				return nil, err
			}
			z, err := openZip(s, []any{a[1], "Create"})
			if err != nil {
				return nil, err
			}
			under := ""
			if len(a) == 4 && truth(a[3]) {
				under = s.leaf(dir) + "/"
			}
			err = z.packAll(dir, under)
			if cerr := z.close(); err == nil {
				err = cerr
			}
			return void{}, err
		},
	}})
	define(&Type{name: "System.IO.Compression.ZipFileExtensions", funcs: statics{
		"extracttofile": func(s *shell, a []any) (any, error) {
			e, ok := argOr(a, 0, nil).(*zipEntry)
			if !ok || len(a) < 2 {
				return nil, overload("ExtractToFile", len(a))
			}
			p, err := s.netPath(s.text(a[1]))
			if err != nil {
				return nil, err
			}
			return void{}, e.extract(s, p, len(a) == 3 && truth(a[2]))
		},
		"extracttodirectory": func(s *shell, a []any) (any, error) {
			z, ok := argOr(a, 0, nil).(*archive)
			if !ok || len(a) < 2 {
				return nil, overload("ExtractToDirectory", len(a))
			}
			p, err := s.netPath(s.text(a[1]))
			if err != nil {
				return nil, err
			}
			return void{}, z.extractAll(p, false)
		},
		"createentryfromfile": func(s *shell, a []any) (any, error) {
			z, ok := argOr(a, 0, nil).(*archive)
			if !ok || len(a) < 3 || z.w == nil {
				return nil, overload("CreateEntryFromFile", len(a))
			}
			p, err := s.netPath(s.text(a[1]))
			if err != nil {
				return nil, err
			}
			i, err := s.m.Stat(p)
			if err != nil {
				return nil, s.fileFault(err, p)
			}
			if i.IsDir() {
				return nil, s.fileFault(fs.ErrPermission, p)
			}
			return &zipEntry{z: z, name: s.text(a[2])}, z.packFile(p, s.text(a[2]), i.Written)
		},
	}})
}

// lazyReader opens a packed stream when it is first read.
type lazyReader struct {
	open func() (io.Reader, error)
	r    io.Reader
}

func (l *lazyReader) Read(p []byte) (int, error) {
	if l.r == nil {
		r, err := l.open()
		if err == io.EOF {
			return 0, io.EOF
		}
		if err != nil {
			return 0, dotnet("System.IO.InvalidDataException", "The magic number in GZip header is not correct.")
		}
		l.r = r
	}
	n, err := l.r.Read(p)
	if err != nil && err != io.EOF {
		err = dotnet("System.IO.InvalidDataException", "The packed data are damaged: %v.", err)
	}
	return n, err
}
