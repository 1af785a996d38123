package posh

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
)

// textSink is a file that gets formatted text: > and Out-File.
type textSink struct {
	s    *shell
	f    File
	code *encoding
	form *formatter
}

func (s *shell) fileSink(path string, add bool) (*textSink, error) {
	code := encodings["utf-16"]
	if s.core {
		code = encodings["utf-8-plain"]
	}
	return s.textFile(path, add, code, false, false)
}

// textFile opens a file to write text to.
func (s *shell) textFile(path string, add bool, code *encoding, noClobber, force bool) (*textSink, error) {
	p, err := s.filePath(path)
	if err != nil {
		return nil, err
	}
	mode := Create
	switch {
	case add:
		mode = Append
	case noClobber:
		mode = CreateNew
	}
	if i, err := s.m.Stat(p); err == nil && i.Attributes&ReadOnly != 0 && force {
		if err := s.m.SetAttributes(p, i.Attributes&^ReadOnly); err != nil {
			return nil, err
		}
	}
	f, err := s.m.Open(p, Open{mode, Write, ShareRead})
	if err != nil {
		e := asError(s.fileFault(err, p))
		return nil, &Error{ID: "FileOpenFailure", Category: "OpenError", Exception: e.Exception, Message: e.Message, Target: path}
	}
	at := int64(0)
	if add {
		if at, err = f.Seek(0, io.SeekEnd); err != nil {
			_ = f.Close()
			return nil, err
		}
	}
	w := &textSink{s: s, f: f, code: code}
	if at == 0 {
		if _, err := f.Write(code.bom); err != nil {
			_ = f.Close()
			return nil, err
		}
	}
	w.form = &formatter{s: s, line: func(l string) error {
		_, err := f.Write(code.encode(l + s.host.newline))
		return err
	}}
	return w, nil
}

func (w *textSink) put(v any) error { return w.form.put(v) }

func (w *textSink) close() error {
	err := w.form.flush()
	if cerr := w.f.Close(); err == nil {
		err = cerr
	}
	return err
}

func contentCommands() []Command {
	encoding := param("Encoding", "", 0)
	common := []Param{refused("Filter"), param("Force", "switch", 0), refused("Include"), refused("Exclude"), refused("Credential"), param("Stream", "-", 0)}
	path := byName(param("Path", "string[]", 1))
	lit := byName(param("LiteralPath", "string[]", 0, "PSPath"))
	writing := append([]Param{path, lit, piped(needed(param("Value", "", 2))), encoding, param("NoNewline", "switch", 0), param("PassThru", "switch", 0)}, common...)
	return []Command{
		{Name: "Get-Content", Params: append([]Param{path, lit, param("Raw", "switch", 0), encoding, param("TotalCount", "int", 0, "First", "Head"), param("Tail", "int", 0, "Last"), param("ReadCount", "int", 0),
			param("Delimiter", "string", 0), param("Wait", "switch", 0)}, common...), Run: getContent},
		{Name: "Set-Content", Params: writing, Run: gatherValue, End: func(c *Call) error { return writeContent(c, Create) }},
		{Name: "Add-Content", Params: writing, Run: gatherValue, End: func(c *Call) error { return writeContent(c, Append) }},
		{Name: "Clear-Content", Params: append([]Param{path, lit}, common...), Run: func(c *Call) error {
			return c.eachPlace(true, func(p place) error {
				f, err := c.sh.m.Open(p.path, Open{Truncate, Write, ShareNone})
				if err != nil {
					return c.fileError(err, p.path, "ClearContentIOError")
				}
				return f.Close()
			})
		}},
		{Name: "Out-File", Params: []Param{inputObject, param("FilePath", "string", 1), byName(param("LiteralPath", "string", 0, "PSPath")), param("Encoding", "", 2), param("Append", "switch", 0), param("Force", "switch", 0),
			param("NoClobber", "switch", 0, "NoOverwrite"), param("Width", "int", 0), param("NoNewline", "switch", 0)}, Run: gather, End: outFile},
		{Name: "Get-FileHash", Class: "-", Params: []Param{byName(piped(param("Path", "string[]", 1))), lit, param("Algorithm", "string", 2), param("InputStream", "", 0)}, Run: getFileHash},
	}
}

// gatherValue collects -Value or what comes down the pipeline.
func gatherValue(c *Call) error {
	l, _ := c.State.([]any)
	v := c.Value("Value")
	if e, ok := list(v); ok && !c.piped {
		l = append(l, e...)
	} else {
		l = append(l, v)
	}
	c.State = l
	return nil
}

// eachPlace goes through what -Path and -LiteralPath mean; there says that what
// is not there is an error.
func (c *Call) eachPlace(there bool, f func(place) error) error {
	paths, literal := c.Strs("Path"), false
	if c.Has("LiteralPath") {
		paths, literal = c.Strs("LiteralPath"), true
	}
	if in, ok := c.Input(); ok && len(paths) > 0 {
		if _, isFile := in.(*fileItem); isFile { // the object's own path, whatever signs it has
			literal = true
		}
	}
	if paths == nil {
		return &Error{ID: "MissingMandatoryParameter", Category: "InvalidArgument", Message: "Cannot process command because of one or more missing mandatory parameters: Path.", Exception: "System.Management.Automation.ParameterBindingException"}
	}
	for _, p := range paths {
		if p == "" {
			return &Error{ID: "ParameterArgumentValidationErrorEmptyStringNotAllowed", Category: "InvalidData", Exception: "System.Management.Automation.ParameterBindingException",
				Message: "Cannot bind argument to parameter 'Path' because it is an empty string."}
		}
		places, err := c.sh.glob(p, literal)
		if err != nil {
			if c.sh.passes(err) {
				return err
			}
			if err := c.Error(err); err != nil {
				return err
			}
			continue
		}
		for _, pl := range places {
			if !literal && hasWildcard(p) && c.unseen(pl) {
				continue
			}
			if there {
				found, _, err := c.sh.statPlace(pl)
				if err != nil && c.sh.passes(err) {
					return err
				}
				if !found {
					if err := c.Error(NotFound(pl.show())); err != nil {
						return err
					}
					continue
				}
			}
			if err := f(pl); err != nil {
				if c.sh.passes(err) {
					return err
				}
				if err := c.Error(err); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// unseen tells that a pattern does not mean an item, since it is hidden.
func (c *Call) unseen(p place) bool {
	if p.prov != nil || c.On("Force") || c.On("Hidden") {
		return false
	}
	i, err := c.sh.m.Stat(p.path)
	return err == nil && i.Attributes&Hidden != 0
}

// fileError is a file system's error as cmdlets show it.
func (c *Call) fileError(err error, path, id string) error {
	if c.sh.passes(err) {
		return err
	}
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	if errors.Is(err, fs.ErrNotExist) {
		if i, serr := c.sh.m.Stat(c.sh.parentPath(path)); serr == nil && i.IsDir() || id == "" {
			return NotFound(path)
		}
	}
	e := asError(c.sh.fileFault(err, path))
	if e.Exception == "System.UnauthorizedAccessException" {
		id = strings.TrimSuffix(id, "IOError") + "UnauthorizedAccessError"
	}
	return &Error{ID: id, Exception: e.Exception, Message: e.Message, Category: "WriteError", Target: path}
}

// isBytes tells the value of -Encoding that means bytes.
func isBytes(v any) bool { return strings.EqualFold(toText(v), "Byte") }

func getContent(c *Call) error {
	s := c.sh
	if c.On("Wait") {
		return s.refuse("Get-Content -Wait")
	}
	if c.Has("Delimiter") {
		return s.refuse("Get-Content -Delimiter")
	}
	return c.eachPlace(true, func(p place) error {
		if p.prov != nil {
			return getProviderContent(c, p)
		}
		if i, err := s.m.Stat(p.path); err == nil && i.IsDir() {
			return &Error{ID: "GetContentReaderUnauthorizedAccessError", Exception: "System.UnauthorizedAccessException", Category: "PermissionDenied", Message: "Access to the path '" + p.path + "' is denied.", Target: p.path}
		}
		b, err := readShared(s, p.path)
		if err != nil {
			return c.fileError(err, p.path, "GetContentReaderIOError")
		}
		if isBytes(c.Value("Encoding")) {
			if c.On("Raw") || c.Has("ReadCount") && c.Int("ReadCount") == 0 {
				return c.out.put(b)
			}
			return emit(b, c.out)
		}
		def := encodings["windows-1252"]
		if s.core {
			def = encodings["utf-8"]
		}
		if c.Has("Encoding") {
			if def, err = s.encodingNamed(c.Value("Encoding"), "default"); err != nil {
				return err
			}
		}
		e, rest := detect(b, def)
		text := e.decode(rest)
		if c.On("Raw") {
			if text == "" && len(b) == 0 && !s.core {
				return nil
			}
			return c.out.put(text)
		}
		lines := splitLines(text)
		if c.Has("TotalCount") && c.Int("TotalCount") >= 0 {
			lines = lines[:min(len(lines), c.Int("TotalCount"))]
		}
		if c.Has("Tail") {
			lines = lines[max(0, len(lines)-c.Int("Tail")):]
		}
		if c.Has("ReadCount") && c.Int("ReadCount") != 1 {
			a := &Array{}
			for _, l := range lines {
				a.Elem = append(a.Elem, l)
				if n := c.Int("ReadCount"); n > 0 && len(a.Elem) == n {
					if err := c.out.put(a); err != nil {
						return err
					}
					a = &Array{}
				}
			}
			if len(a.Elem) > 0 {
				return c.out.put(a)
			}
			return nil
		}
		for _, l := range lines {
			if err := c.out.put(l); err != nil {
				return err
			}
		}
		return nil
	})
}

// readShared reads a file that others may be writing.
func readShared(s *shell, path string) ([]byte, error) {
	f, err := s.m.Open(path, Open{OpenExisting, Read, ShareReadWrite})
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

func getProviderContent(c *Call, p place) error {
	v, err := p.prov.Item(p.path)
	if err != nil {
		return NotFound(p.show())
	}
	switch x := v.(type) {
	case *commandInfo:
		return c.out.put(x.block)
	case *Object:
		for _, n := range []string{"Value", "Definition"} {
			if y, ok := x.Get(n); ok {
				return emit(y, c.out)
			}
		}
	}
	return c.sh.refuse("Get-Content of %s", p.show())
}

func writeContent(c *Call, mode Mode) error {
	s := c.sh
	values := gathered(c)
	c.piped = false
	return c.eachPlace(false, func(p place) error {
		if p.prov != nil {
			set, ok := p.prov.(itemSetter)
			if !ok {
				return s.refuse("Set-Content of %s", p.show())
			}
			return set.SetItem(p.path, collect(values))
		}
		var data bytes.Buffer
		def := encodings["windows-1252"]
		if s.core {
			def = encodings["utf-8-plain"]
		}
		size := int64(0)
		old, statErr := s.m.Stat(p.path)
		if statErr == nil {
			size = old.Size
		}
		if statErr == nil && old.IsDir() {
			return &Error{ID: "GetContentWriterUnauthorizedAccessError", Exception: "System.UnauthorizedAccessException", Category: "PermissionDenied", Message: "Access to the path '" + p.path + "' is denied.", Target: p.path}
		}
		if isBytes(c.Value("Encoding")) {
			for _, v := range values {
				b, err := s.bytesArg([]any{v}, 0)
				if err != nil {
					return err
				}
				data.Write(b)
			}
		} else {
			code := def
			var err error
			if c.Has("Encoding") {
				if code, err = s.encodingNamed(c.Value("Encoding"), "default"); err != nil {
					return err
				}
			} else if mode == Append && size > 0 {
				if head, err := readShared(s, p.path); err == nil {
					code, _ = detect(head[:min(4, len(head))], def)
				}
			}
			if mode == Create || size == 0 {
				data.Write(code.bom)
			}
			for _, v := range values {
				t := s.text(v)
				if !c.On("NoNewline") {
					t += s.host.newline
				}
				data.Write(code.encode(t))
			}
		}
		if statErr == nil && old.Attributes&ReadOnly != 0 && c.On("Force") {
			if err := s.m.SetAttributes(p.path, old.Attributes&^ReadOnly); err != nil {
				return err
			}
		}
		if err := s.writeAll(p.path, mode, data.Bytes()); err != nil {
			return c.fileError(err, p.path, "GetContentWriterIOError")
		}
		if c.On("PassThru") {
			for _, v := range values {
				if err := c.out.put(v); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func outFile(c *Call) error {
	s := c.sh
	path := c.Str("FilePath")
	if path == "" {
		path = c.Str("LiteralPath")
	}
	if path == "" {
		return &Error{ID: "MissingMandatoryParameter", Category: "InvalidArgument", Message: "Cannot process command because of one or more missing mandatory parameters: FilePath.", Exception: "System.Management.Automation.ParameterBindingException"}
	}
	code := encodings["utf-16"]
	if s.core {
		code = encodings["utf-8-plain"]
	}
	if c.Has("Encoding") {
		var err error
		if code, err = s.encodingNamed(c.Value("Encoding"), "unicode"); err != nil {
			return err
		}
	}
	w, err := s.textFile(path, c.On("Append"), code, c.On("NoClobber"), c.On("Force"))
	if err != nil {
		return err
	}
	if c.On("NoNewline") {
		w.form.line = func(l string) error { _, err := w.f.Write(code.encode(l)); return err }
	}
	for _, v := range gathered(c) {
		if err := w.put(v); err != nil {
			_ = w.close()
			return err
		}
	}
	return w.close()
}

func getFileHash(c *Call) error {
	s := c.sh
	alg := "SHA256"
	if c.Has("Algorithm") {
		alg = strings.ToUpper(c.Str("Algorithm"))
	}
	f, ok := hashes[alg]
	if !ok {
		return s.refuse("Get-FileHash -Algorithm %s", alg)
	}
	emitHash := func(r io.Reader, path any) error {
		h := f()
		if err := s.copy(h, r); err != nil {
			return err
		}
		o := NewObject("").Set("Algorithm", alg).Set("Hash", strings.ToUpper(hexOf(h.Sum(nil)))).Set("Path", path)
		return c.out.put(o)
	}
	if st, ok := c.Value("InputStream").(*stream); ok {
		return emitHash(st.rd, nil)
	}
	return c.eachPlace(true, func(p place) error {
		if p.prov != nil {
			return s.refuse("Get-FileHash of %s", p.show())
		}
		r, err := s.m.Open(p.path, Open{OpenExisting, Read, ShareReadWrite})
		if err != nil {
			return c.fileError(err, p.path, "FileReadError")
		}
		defer r.Close()
		return emitHash(r, p.path)
	})
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*len(b))
	for _, x := range b {
		out = append(out, digits[x>>4], digits[x&15])
	}
	return string(out)
}
