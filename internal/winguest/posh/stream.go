package posh

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
)

// stream is a System.IO.Stream.
type stream struct {
	typ    string
	name   string
	rd     io.Reader
	wr     io.Writer
	sk     io.Seeker
	trunc  func(int64) error
	flush  func() error
	finish func() error
	mem    *memory
	closed bool
}

func (f *stream) typeName() string { return f.typ }
func (f *stream) String() string   { return f.typ }

// memory is what a MemoryStream holds.
type memory struct {
	b     []byte
	at    int64
	fixed bool
}

func (m *memory) Read(p []byte) (int, error) {
	if m.at >= int64(len(m.b)) {
		return 0, io.EOF
	}
	n := copy(p, m.b[m.at:])
	m.at += int64(n)
	return n, nil
}

func (m *memory) Write(p []byte) (int, error) {
	end := m.at + int64(len(p))
	if end > int64(len(m.b)) {
		if m.fixed {
			return 0, dotnet("System.NotSupportedException", "Memory stream is not expandable.")
		}
		if end > maxText {
			return 0, tooBig("a memory stream")
		}
		if end > int64(cap(m.b)) {
			grown := make([]byte, len(m.b), max(end, 2*int64(cap(m.b))))
			copy(grown, m.b)
			m.b = grown
		}
		m.b = m.b[:end]
	}
	copy(m.b[m.at:], p)
	m.at = end
	return len(p), nil
}

func (m *memory) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += m.at
	case io.SeekEnd:
		off += int64(len(m.b))
	}
	if off < 0 {
		return 0, dotnet("System.IO.IOException", "An attempt was made to move the position before the beginning of the stream.")
	}
	m.at = off
	return off, nil
}

func (m *memory) Truncate(n int64) error {
	if n > maxText {
		return tooBig("a memory stream")
	}
	for int64(len(m.b)) < n {
		m.b = append(m.b, 0)
	}
	m.b = m.b[:n]
	m.at = min(m.at, n)
	return nil
}

func newMemory(b []byte, fixed bool) *stream {
	m := &memory{b: b, fixed: fixed}
	return &stream{typ: "System.IO.MemoryStream", rd: m, wr: m, sk: m, trunc: m.Truncate, mem: m}
}

// fileFault is a file system's error as .NET throws it.
func (s *shell) fileFault(err error, path string) error {
	if err == nil || s.passes(err) {
		return err
	}
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, ErrSharing):
		return dotnet("System.IO.IOException", "The process cannot access the file '%s' because it is being used by another process.", path)
	case errors.Is(err, fs.ErrNotExist):
		if i, e := s.m.Stat(s.parentPath(path)); e != nil || !i.IsDir() {
			return dotnet("System.IO.DirectoryNotFoundException", "Could not find a part of the path '%s'.", path)
		}
		return dotnet("System.IO.FileNotFoundException", "Could not find file '%s'.", path)
	case errors.Is(err, ErrNotDirectory):
		return dotnet("System.IO.DirectoryNotFoundException", "Could not find a part of the path '%s'.", path)
	case errors.Is(err, fs.ErrExist):
		return dotnet("System.IO.IOException", "The file '%s' already exists.", path)
	case errors.Is(err, ErrNotEmpty) && !s.core:
		return dotnet("System.IO.IOException", "The directory is not empty.")
	case errors.Is(err, ErrNotEmpty):
		return dotnet("System.IO.IOException", "The directory is not empty: '%s'.", path)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, ErrDirectory):
		return dotnet("System.UnauthorizedAccessException", "Access to the path '%s' is denied.", path)
	}
	return dotnet("System.IO.IOException", "%s", err.Error())
}

// netPath makes a path absolute as .NET does: from the process's directory.
func (s *shell) netPath(p string) (string, error) {
	if strings.TrimSpace(p) == "" {
		return "", dotnet("System.ArgumentException", "The path is not of a legal form.")
	}
	if strings.ContainsAny(p, "\x00") || !s.core && strings.ContainsAny(p, `<>|"`) {
		return "", dotnet("System.ArgumentException", "Illegal characters in path.")
	}
	return s.absFile(p, s.console.dir()), nil
}

// openFile opens a FileStream.
func (s *shell) openFile(p string, how Open) (*stream, error) {
	path, err := s.netPath(p)
	if err != nil {
		return nil, err
	}
	f, err := s.m.Open(path, how)
	if err != nil {
		return nil, s.fileFault(err, path)
	}
	st := &stream{typ: "System.IO.FileStream", name: path, sk: f, trunc: f.Truncate, flush: f.Sync, finish: f.Close}
	if how.Access&Read != 0 {
		st.rd = f
	}
	if how.Access&Write != 0 {
		st.wr = f
	}
	if how.Mode == Append {
		if _, err := f.Seek(0, io.SeekEnd); err != nil {
			_ = f.Close()
			return nil, s.fileFault(err, path)
		}
	}
	s.cleanup = append(s.cleanup, func() { _ = st.close() })
	return st, nil
}

func (f *stream) close() error {
	if f.closed {
		return nil
	}
	f.closed = true
	if f.finish != nil {
		return f.finish()
	}
	return nil
}

func (f *stream) length() (int64, error) {
	if f.mem != nil {
		return int64(len(f.mem.b)), nil
	}
	if f.sk == nil {
		return 0, dotnet("System.NotSupportedException", "Stream does not support seeking.")
	}
	at, err := f.sk.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	end, err := f.sk.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	_, err = f.sk.Seek(at, io.SeekStart)
	return end, err
}

func (f *stream) open() error {
	if f.closed {
		return dotnet("System.ObjectDisposedException", "Cannot access a closed file.")
	}
	return nil
}

func (f *stream) get(s *shell, k string) (any, bool, error) {
	switch k {
	case "canread":
		return !f.closed && f.rd != nil, true, nil
	case "canwrite":
		return !f.closed && f.wr != nil, true, nil
	case "canseek":
		return !f.closed && f.sk != nil, true, nil
	case "name":
		if f.name != "" {
			return f.name, true, nil
		}
	case "length":
		if err := f.open(); err != nil {
			return nil, true, err
		}
		n, err := f.length()
		return n, true, s.fileFault(err, f.name)
	case "position":
		if err := f.open(); err != nil {
			return nil, true, err
		}
		if f.sk == nil {
			return nil, true, dotnet("System.NotSupportedException", "Stream does not support seeking.")
		}
		n, err := f.sk.Seek(0, io.SeekCurrent)
		return n, true, err
	}
	return nil, false, nil
}

func (f *stream) set(s *shell, k string, v any) (bool, error) {
	if k != "position" || f.sk == nil {
		return false, nil
	}
	n, err := toInt(v, "System.Int64", 0, 1<<62)
	if err == nil {
		_, err = f.sk.Seek(n, io.SeekStart)
	}
	return true, err
}

func (f *stream) call(s *shell, k string, av []any) (any, bool, error) {
	a := &args{s: s, a: av}
	done := func(v any, err error) (any, bool, error) {
		if a.err != nil {
			return nil, true, a.err
		}
		return v, true, s.fileFault(err, f.name)
	}
	switch k {
	case "close", "dispose":
		return done(void{}, f.close())
	}
	if f.mem != nil {
		switch k {
		case "toarray":
			return append([]byte{}, f.mem.b...), true, nil
		case "getbuffer":
			return f.mem.b, true, nil
		}
	}
	if err := f.open(); err != nil {
		return nil, true, err
	}
	switch k {
	case "read", "write":
		a.need(k, 3)
		b := a.any(0)
		buf, isBytes := b.([]byte)
		if a.err == nil && !isBytes {
			if k == "read" {
				return nil, true, s.refuse("Read into something that is not a byte array")
			}
			buf = a.bytes(0)
		}
		if a.err != nil {
			return done(nil, nil)
		}
		part, err := s.part(buf, a.any(1), a.any(2))
		if err != nil {
			return nil, true, err
		}
		if k == "read" {
			if f.rd == nil {
				return nil, true, dotnet("System.NotSupportedException", "Stream does not support reading.")
			}
			n, err := f.rd.Read(part)
			if err == io.EOF || n > 0 {
				err = nil
			}
			return done(int32(n), err)
		}
		if f.wr == nil {
			return nil, true, dotnet("System.NotSupportedException", "Stream does not support writing.")
		}
		_, err = f.wr.Write(part)
		return done(void{}, err)
	case "readbyte":
		if f.rd == nil {
			return nil, true, dotnet("System.NotSupportedException", "Stream does not support reading.")
		}
		var one [1]byte
		if n, err := io.ReadFull(f.rd, one[:]); n == 0 {
			if err == io.EOF {
				err = nil
			}
			return done(int32(-1), err)
		}
		return done(int32(one[0]), nil)
	case "writebyte":
		if f.wr == nil {
			return nil, true, dotnet("System.NotSupportedException", "Stream does not support writing.")
		}
		n, err := toInt(a.any(0), "System.Byte", 0, 255)
		if err == nil {
			_, err = f.wr.Write([]byte{byte(n)})
		}
		return done(void{}, err)
	case "seek":
		a.need("Seek", 2)
		off, origin := a.long(0), a.enum(1, allTypes["system.io.seekorigin"])
		if f.sk == nil && a.err == nil {
			a.err = dotnet("System.NotSupportedException", "Stream does not support seeking.")
		}
		if a.err != nil {
			return done(nil, nil)
		}
		return done(wrapErr(f.sk.Seek(off, int(origin))))
	case "setlength":
		n := a.long(0)
		if f.trunc == nil || f.wr == nil {
			return nil, true, dotnet("System.NotSupportedException", "Stream does not support writing.")
		}
		if a.err != nil {
			return done(nil, nil)
		}
		return done(void{}, f.trunc(n))
	case "flush":
		if f.flush != nil {
			return done(void{}, f.flush())
		}
		return void{}, true, nil
	case "copyto", "writeto":
		to, ok := a.any(0).(*stream)
		if !ok || to.wr == nil {
			return nil, true, dotnet("System.NotSupportedException", "Stream does not support writing.")
		}
		if err := to.open(); err != nil {
			return nil, true, err
		}
		if k == "writeto" && f.mem != nil {
			_, err := to.wr.Write(f.mem.b)
			return done(void{}, err)
		}
		if f.rd == nil {
			return nil, true, dotnet("System.NotSupportedException", "Stream does not support reading.")
		}
		return done(void{}, s.copy(to.wr, f.rd))
	}
	return nil, false, nil
}

// copy copies until the end, or until the process is to end.
func (s *shell) copy(w io.Writer, r io.Reader) error {
	buf := make([]byte, 128<<10)
	for {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// reader is a StreamReader or a StringReader.
type reader struct {
	typ  string
	b    *bufio.Reader
	code *encoding
	base *stream
	in   *lineReader // the process's own input
	text bool        // wide encodings are decoded as a whole
	all  string
	at   int
}

func (r *reader) typeName() string { return r.typ }
func (r *reader) String() string   { return r.typ }

func (s *shell) newReader(src io.Reader, code *encoding, sniff bool) (*reader, error) {
	r := &reader{typ: "System.IO.StreamReader", code: code, b: bufio.NewReaderSize(src, 64<<10)}
	if sniff {
		head, _ := r.b.Peek(4) // a short file has no more
		e, rest := detect(head, code)
		if _, err := r.b.Discard(len(head) - len(rest)); err != nil {
			return nil, err
		}
		r.code = e
	}
	if r.code.wide > 0 {
		all, err := io.ReadAll(io.LimitReader(r.b, maxText))
		if err != nil {
			return nil, err
		}
		r.text, r.all = true, r.code.decode(all)
	}
	return r, nil
}

func (r *reader) line() (string, bool, error) {
	if r.in != nil {
		return r.in.line()
	}
	if r.text {
		if r.at >= len(r.all) {
			return "", false, nil
		}
		rest := r.all[r.at:]
		i := strings.IndexAny(rest, "\r\n")
		if i < 0 {
			r.at = len(r.all)
			return rest, true, nil
		}
		r.at += i + 1
		if rest[i] == '\r' && i+1 < len(rest) && rest[i+1] == '\n' {
			r.at++
		}
		return rest[:i], true, nil
	}
	var b []byte
	for {
		c, err := r.b.ReadByte()
		if err == io.EOF {
			if b == nil {
				return "", false, nil
			}
			return r.code.decode(b), true, nil
		}
		if err != nil {
			return "", false, err
		}
		if c == '\r' {
			if next, _ := r.b.Peek(1); len(next) == 1 && next[0] == '\n' {
				_, _ = r.b.Discard(1) // peeked
			}
		}
		if c == '\r' || c == '\n' {
			return r.code.decode(b), true, nil
		}
		if b = append(b, c); len(b) > maxText {
			return "", false, tooBig("a line")
		}
	}
}

func (r *reader) rest() (string, error) {
	if r.in != nil {
		all, err := io.ReadAll(io.LimitReader(r.in, maxText))
		return r.in.decode(all), err
	}
	if r.text {
		t := r.all[min(r.at, len(r.all)):]
		r.at = len(r.all)
		return t, nil
	}
	all, err := io.ReadAll(io.LimitReader(r.b, maxText))
	return r.code.decode(all), err
}

func (r *reader) get(s *shell, k string) (any, bool, error) {
	switch k {
	case "endofstream":
		if r.text {
			return r.at >= len(r.all), true, nil
		}
		if r.b != nil {
			_, err := r.b.Peek(1)
			return err != nil, true, nil
		}
	case "basestream":
		if r.base != nil {
			return r.base, true, nil
		}
	case "currentencoding":
		return r.code, true, nil
	}
	return nil, false, nil
}

func (r *reader) call(s *shell, k string, a []any) (any, bool, error) {
	switch k {
	case "readline":
		t, ok, err := r.line()
		if err != nil || !ok {
			return nil, true, err
		}
		return t, true, nil
	case "readtoend":
		t, err := r.rest()
		return t, true, err
	case "peek":
		if r.text {
			if r.at >= len(r.all) {
				return int32(-1), true, nil
			}
			return int32(units(r.all[r.at:])[0]), true, nil
		}
		if r.b != nil {
			b, _ := r.b.Peek(1)
			if len(b) == 0 {
				return int32(-1), true, nil
			}
			if b[0] < 128 {
				return int32(b[0]), true, nil
			}
		}
		return nil, true, s.refuse("Peek at this character")
	case "read":
		if len(a) == 0 && r.b != nil && !r.text {
			c, _, err := r.b.ReadRune()
			if err == io.EOF {
				return int32(-1), true, nil
			}
			return int32(c), true, err
		}
		return nil, true, s.refuse("Read of this form")
	case "close", "dispose":
		if r.base != nil {
			return void{}, true, r.base.close()
		}
		return void{}, true, nil
	}
	return nil, false, nil
}

// writer is a StreamWriter or a StringWriter, or the console.
type writer struct {
	typ     string
	w       *bufio.Writer
	code    *encoding
	base    *stream
	newline string
	auto    bool
	sink    func(string) error // the console
	text    *strings.Builder   // a StringWriter
	fresh   bool               // the byte order mark is still to come
}

func (w *writer) typeName() string { return w.typ }
func (w *writer) String() string {
	if w.text != nil {
		return w.text.String()
	}
	return w.typ
}

func (s *shell) newWriter(base *stream, code *encoding) *writer {
	w := &writer{typ: "System.IO.StreamWriter", code: code, base: base, newline: s.host.newline, w: bufio.NewWriterSize(base.wr, 64<<10), fresh: len(code.bom) > 0}
	if base.sk != nil {
		if at, err := base.sk.Seek(0, io.SeekCurrent); err != nil || at > 0 {
			w.fresh = false
		}
	}
	s.cleanup = append(s.cleanup, func() { _ = w.w.Flush() })
	return w
}

func (w *writer) put(t string) error {
	switch {
	case w.sink != nil:
		return w.sink(t)
	case w.text != nil:
		w.text.WriteString(t)
		return nil
	}
	if err := w.base.open(); err != nil {
		return err
	}
	if w.fresh {
		w.fresh = false
		if _, err := w.w.Write(w.code.bom); err != nil {
			return err
		}
	}
	if _, err := w.w.Write(w.code.encode(t)); err != nil {
		return err
	}
	if w.auto {
		return w.w.Flush()
	}
	return nil
}

func (w *writer) get(s *shell, k string) (any, bool, error) {
	switch k {
	case "autoflush":
		return w.auto || w.sink != nil, true, nil
	case "newline":
		return w.newline, true, nil
	case "basestream":
		if w.base != nil {
			return w.base, true, nil
		}
	case "encoding":
		return w.code, true, nil
	}
	return nil, false, nil
}

func (w *writer) set(s *shell, k string, v any) (bool, error) {
	switch k {
	case "autoflush":
		w.auto = truth(v)
		if w.auto && w.w != nil {
			return true, w.w.Flush()
		}
		return true, nil
	case "newline":
		w.newline = s.text(v)
		return true, nil
	}
	return false, nil
}

func (w *writer) call(s *shell, k string, a []any) (any, bool, error) {
	switch k {
	case "write", "writeline":
		t := ""
		switch {
		case len(a) == 1:
			t = s.charText(a[0])
		case len(a) > 1:
			f, err := s.format(s.text(a[0]), a[1:])
			if err != nil {
				return nil, true, err
			}
			t = f
		}
		if k == "writeline" {
			t += w.newline
		}
		return void{}, true, w.put(t)
	case "flush":
		if w.w != nil {
			return void{}, true, w.w.Flush()
		}
		return void{}, true, nil
	case "close", "dispose":
		if w.w == nil || w.base.closed {
			return void{}, true, nil
		}
		if w.fresh {
			if err := w.put(""); err != nil {
				return nil, true, err
			}
		}
		err := w.w.Flush()
		if cerr := w.base.close(); err == nil {
			err = cerr
		}
		return void{}, true, err
	}
	return nil, false, nil
}

// readAll reads a whole file.
func (s *shell) readAll(path string) ([]byte, error) {
	f, err := s.m.Open(path, Open{OpenExisting, Read, ShareRead})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	if err := s.copy(&b, io.LimitReader(f, maxText+1)); err != nil {
		return nil, err
	}
	if b.Len() > maxText {
		return nil, tooBig("the content of " + path)
	}
	return b.Bytes(), nil
}

// writeAll makes a file of bytes.
func (s *shell) writeAll(path string, mode Mode, parts ...[]byte) error {
	f, err := s.m.Open(path, Open{mode, Write, ShareRead})
	if err != nil {
		return err
	}
	if mode == Append {
		if _, err := f.Seek(0, io.SeekEnd); err != nil {
			_ = f.Close()
			return err
		}
	}
	for _, p := range parts {
		if _, err := f.Write(p); err != nil {
			_ = f.Close()
			return err
		}
	}
	return f.Close()
}
