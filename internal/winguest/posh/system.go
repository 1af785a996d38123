package posh

import (
	"strings"
)

// consoleState is what [Console] and the process's .NET side know.
type consoleState struct {
	s       *shell
	pipeOut any // $OutputEncoding
	current string
	title   string
}

func (c *consoleState) dir() string {
	if c.current == "" {
		return c.s.o.Dir
	}
	return c.current
}

func (c *consoleState) setDir(p string) error {
	path, err := c.s.netPath(p)
	if err != nil {
		return err
	}
	if i, err := c.s.m.Stat(path); err != nil || !i.IsDir() {
		return dotnet("System.IO.DirectoryNotFoundException", "Could not find a part of the path '%s'.", path)
	}
	if err := c.s.m.Enter(path); err != nil {
		return c.s.fileFault(err, path)
	}
	c.current = path
	return nil
}

// outEncoding is how output of programs is read.
func (c *consoleState) outEncoding() *encoding { return c.s.host.code }

// pipeEncoding is how lines are handed to programs.
func (c *consoleState) pipeEncoding() *encoding {
	if e, ok := c.pipeOut.(*encoding); ok {
		return e
	}
	if c.s.core {
		return encodings["utf-8-plain"]
	}
	return encodings["us-ascii"]
}

// executionContext is $ExecutionContext, as far as paths and text go.
type executionContext struct{ s *shell }

func (e *executionContext) typeName() string {
	return "System.Management.Automation.EngineIntrinsics"
}
func (e *executionContext) String() string { return e.typeName() }

func (e *executionContext) get(s *shell, k string) (any, bool, error) {
	switch k {
	case "sessionstate":
		o := NewObject("System.Management.Automation.SessionState")
		o.Set("Path", &pathIntrinsics{s})
		return o, true, nil
	case "invokecommand":
		o := NewObject("System.Management.Automation.CommandInvocationIntrinsics")
		o.Method("ExpandString", func(a []any) (any, error) {
			if len(a) != 1 {
				return nil, overload("ExpandString", len(a))
			}
			return s.expandText(s.text(a[0]))
		})
		o.Method("NewScriptBlock", func(a []any) (any, error) { return s.newBlock(s.text(argOr(a, 0, ""))) })
		return o, true, nil
	}
	return nil, false, nil
}

func (e *executionContext) call(s *shell, k string, a []any) (any, bool, error) {
	return nil, false, nil
}

// expandText expands a string as one in double quotes, quotes in it being plain.
func (s *shell) expandText(text string) (any, error) {
	var b strings.Builder
	b.WriteString("@\"\n" + text + "\n\"@")
	ast, err := parse(b.String(), "", s.core)
	if err != nil {
		return nil, err
	}
	out, err := s.invokeBlock(&Block{ast: ast}, nil, nil)
	return collect(out), err
}

type pathIntrinsics struct{ s *shell }

func (p *pathIntrinsics) typeName() string { return "System.Management.Automation.PathIntrinsics" }
func (p *pathIntrinsics) get(s *shell, k string) (any, bool, error) {
	switch k {
	case "currentlocation", "currentfilesystemlocation":
		return s.pathInfo(), true, nil
	}
	return nil, false, nil
}

func (p *pathIntrinsics) call(s *shell, k string, a []any) (any, bool, error) {
	switch k {
	case "getunresolvedproviderpathfrompspath":
		if len(a) != 1 {
			return nil, true, s.refuse("GetUnresolvedProviderPathFromPSPath of this form")
		}
		pl, err := s.place(s.text(a[0]))
		if err != nil {
			return nil, true, err
		}
		return pl.path, true, nil
	case "combine":
		if len(a) == 2 {
			return s.join(s.text(a[0]), s.text(a[1])), true, nil
		}
	}
	return nil, false, nil
}

func (s *shell) hostObject() *Object {
	o := NewObject("System.Management.Automation.Internal.Host.InternalHost")
	o.Set("Name", "ConsoleHost").Set("Version", &version{5, 1, 14393, 1000}).Set("CurrentCulture", "en-US").Set("CurrentUICulture", "en-US")
	ui := NewObject("System.Management.Automation.Internal.Host.InternalHostUserInterface")
	put := func(nl string) func(a []any) (any, error) {
		return func(a []any) (any, error) {
			if len(a) == 0 {
				return void{}, s.host.raw(nl)
			}
			if err := s.host.form.flush(); err != nil {
				return nil, err
			}
			return void{}, s.host.raw(s.text(a[len(a)-1]) + nl)
		}
	}
	ui.Method("Write", put("")).Method("WriteLine", put(s.host.newline))
	ui.Method("WriteErrorLine", func(a []any) (any, error) { return void{}, s.host.errorText(s.text(argOr(a, 0, ""))) })
	ui.Method("WriteWarningLine", func(a []any) (any, error) {
		return void{}, s.host.record(streamWarning, &messageRecord{kind: "Warning", msg: s.text(argOr(a, 0, ""))})
	})
	raw := NewObject("System.Management.Automation.Internal.Host.InternalHostRawUserInterface").Set("WindowTitle", "Windows PowerShell")
	raw.Set("BufferSize", NewObject("System.Management.Automation.Host.Size").Set("Width", int32(120)).Set("Height", int32(50)))
	ui.Set("RawUI", raw)
	o.Set("UI", ui)
	o.Method("SetShouldExit", func(a []any) (any, error) {
		n, err := s.toInt32(argOr(a, 0, int32(0)))
		if err != nil {
			return nil, err
		}
		return nil, &exitErr{int(n)}
	})
	return o
}

func init() {
	encodingProp := func(get func(s *shell) *encoding) func(*shell) (any, error) {
		return func(s *shell) (any, error) { return get(s), nil }
	}
	consoleWriter := func(errs bool) func(*shell) (any, error) {
		return func(s *shell) (any, error) {
			return &writer{typ: "System.IO.TextWriter+SyncTextWriter", newline: s.host.newline, code: s.host.code, sink: func(t string) error {
				if err := s.host.form.flush(); err != nil {
					return err
				}
				if errs {
					_, err := s.host.err.Write(s.host.code.encode(t))
					return err
				}
				return s.host.raw(t)
			}}, nil
		}
	}
	input := func(s *shell) (any, error) {
		return &reader{typ: "System.IO.TextReader+SyncTextReader", in: s.in, code: encodings["utf-8"]}, nil
	}
	say := func(nl bool) func(*shell, []any) (any, error) {
		return func(s *shell, a []any) (any, error) {
			w, _ := consoleWriter(false)(s)
			k := "write"
			if nl {
				k = "writeline"
			}
			v, _, err := w.(*writer).call(s, k, a)
			return v, err
		}
	}
	setCode := func(s *shell, v any) error {
		e, ok := v.(*encoding)
		if !ok {
			return s.refuse("[Console]::OutputEncoding = %s", typeNameOf(v))
		}
		s.host.code = e
		return nil
	}
	define(&Type{name: "System.Console", props: values{"out": consoleWriter(false), "error": consoleWriter(true), "in": input,
		"outputencoding": encodingProp(func(s *shell) *encoding { return s.host.code }),
		"inputencoding": encodingProp(func(s *shell) *encoding {
			if s.in.code == nil {
				return encodings["utf-8"]
			}
			return s.in.code
		}),
		"isinputredirected": constant(true), "isoutputredirected": constant(true), "iserrorredirected": constant(true),
		"windowwidth": constant(int32(120)), "bufferwidth": constant(int32(120)), "windowheight": constant(int32(50)),
		"title": func(s *shell) (any, error) { return s.console.title, nil },
	}, sets: map[string]func(*shell, any) error{"outputencoding": setCode,
		"inputencoding": func(s *shell, v any) error {
			e, ok := v.(*encoding)
			if !ok {
				return s.refuse("[Console]::InputEncoding = %s", typeNameOf(v))
			}
			s.in.code = e
			return nil
		},
		"title":                func(s *shell, v any) error { s.console.title = s.text(v); return nil },
		"treatcontrolcasinput": func(*shell, any) error { return nil },
	}, funcs: statics{
		"writeline": say(true), "write": say(false),
		"readline": func(s *shell, a []any) (any, error) {
			t, ok, err := s.in.line()
			if err != nil || !ok {
				return nil, err
			}
			return t, nil
		},
		"openstandardinput": func(s *shell, a []any) (any, error) { return &stream{typ: "System.IO.__ConsoleStream", rd: s.in}, nil },
		"openstandardoutput": func(s *shell, a []any) (any, error) {
			return &stream{typ: "System.IO.__ConsoleStream", wr: flusher{s}}, nil
		},
		"openstandarderror": func(s *shell, a []any) (any, error) {
			return &stream{typ: "System.IO.__ConsoleStream", wr: s.host.err}, nil
		},
	}})
	// The usual way to ask for the machine's name after a restart.
	define(&Type{name: "System.Net.Dns", funcs: statics{
		"gethostname": func(s *shell, _ []any) (any, error) { return s.sys.Computer, nil },
	}})
	defineEnvironment()
}

// flusher writes bytes to the console behind what was shown before.
type flusher struct{ s *shell }

func (f flusher) Write(p []byte) (int, error) {
	if err := f.s.host.form.flush(); err != nil {
		return 0, err
	}
	return f.s.host.out.Write(p)
}

func defineEnvironment() {
	enumeration("System.EnvironmentVariableTarget", false, enumName{"Process", 0}, enumName{"User", 1}, enumName{"Machine", 2})
	folders := map[string]func(s *shell) string{}
	var names []enumName
	from := func(env, rest string) func(*shell) string {
		return func(s *shell) string {
			v, _ := s.env.Get(env)
			if v == "" {
				return ""
			}
			return v + rest
		}
	}
	for _, f := range []struct {
		name string
		n    int64
		path func(*shell) string
	}{
		{"Windows", 36, func(s *shell) string { return s.sys.Root }}, {"System", 37, func(s *shell) string { return s.sys.Root + `\system32` }},
		{"UserProfile", 40, from("USERPROFILE", "")}, {"ProgramFiles", 38, from("ProgramFiles", "")}, {"ProgramFilesX86", 42, from("ProgramFiles(x86)", "")},
		{"CommonApplicationData", 35, from("ProgramData", "")}, {"ApplicationData", 26, from("APPDATA", "")}, {"LocalApplicationData", 28, from("LOCALAPPDATA", "")},
		{"Desktop", 0, from("USERPROFILE", `\Desktop`)}, {"MyDocuments", 5, from("USERPROFILE", `\Documents`)}, {"Personal", 5, from("USERPROFILE", `\Documents`)},
		{"CommonStartMenu", 22, from("ProgramData", `\Microsoft\Windows\Start Menu`)}, {"CommonDesktopDirectory", 25, from("PUBLIC", `\Desktop`)},
	} {
		folders[strings.ToLower(f.name)] = f.path
		names = append(names, enumName{f.name, f.n})
	}
	enumeration("System.Environment+SpecialFolder", false, names...)
	target := func(a *args, i int) string {
		if i >= len(a.a) {
			return "Process"
		}
		return enumVal{allTypes["system.environmentvariabletarget"], a.enum(i, allTypes["system.environmentvariabletarget"])}.String()
	}
	prop := func(f func(s *shell) any) func(*shell) (any, error) {
		return func(s *shell) (any, error) { return f(s), nil }
	}
	define(&Type{name: "System.Environment", props: values{
		"newline": prop(func(s *shell) any { return s.host.newline }), "machinename": prop(func(s *shell) any { return s.sys.Computer }),
		"username": prop(func(s *shell) any { return s.sys.User }), "userdomainname": prop(func(s *shell) any { return s.sys.Domain }),
		"is64bitoperatingsystem": constant(true), "is64bitprocess": constant(true), "userinteractive": constant(false), "processorcount": constant(int32(2)),
		"currentdirectory": prop(func(s *shell) any { return s.console.dir() }), "systemdirectory": prop(func(s *shell) any { return s.sys.Root + `\system32` }),
		"hasshutdownstarted": constant(false), "version": prop(func(s *shell) any { return &version{4, 0, 30319, 42000} }),
		"tickcount": prop(func(s *shell) any { return int32(s.sys.Now().Sub(s.sys.Booted).Milliseconds()) }),
		"exitcode":  constant(int32(0)), "commandline": constant("powershell.exe"),
		"osversion": prop(func(s *shell) any {
			v, err := parseVersion(s.sys.Version)
			if err != nil {
				v = &version{10, 0, 14393, 0}
			}
			o := NewObject("System.OperatingSystem").Set("Platform", "Win32NT").Set("ServicePack", "").Set("Version", v)
			o.Set("VersionString", "Microsoft Windows NT "+v.String())
			o.Text = func() string { return "Microsoft Windows NT " + v.String() }
			return o
		}),
	}, sets: map[string]func(*shell, any) error{
		"currentdirectory": func(s *shell, v any) error { return s.console.setDir(s.text(v)) },
	}, funcs: statics{
		"getenvironmentvariable": method(func(a *args) any {
			a.need("GetEnvironmentVariable", 1, 2)
			env := a.s.env
			if t := target(a, 1); t != "Process" && a.err == nil {
				env, a.err = a.s.m.Environ(t)
			}
			if a.err != nil {
				return nil
			}
			if v, ok := env.Get(a.text(0)); ok {
				return v
			}
			return nil
		}),
		"setenvironmentvariable": method(func(a *args) any {
			a.need("SetEnvironmentVariable", 2, 3)
			name := a.text(0)
			if name == "" || strings.ContainsAny(name, "=\x00") {
				a.err = dotnet("System.ArgumentException", "Environment variable name cannot be empty or contain an equal character.")
			}
			t := target(a, 2)
			if a.err != nil {
				return nil
			}
			if t == "Process" {
				a.s.env.Set(name, a.text(1))
			} else {
				a.err = a.s.m.SetEnviron(t, name, a.text(1))
			}
			return void{}
		}),
		"getenvironmentvariables": method(func(a *args) any {
			env := a.s.env
			if t := target(a, 0); t != "Process" && a.err == nil {
				env, a.err = a.s.m.Environ(t)
			}
			h := NewHash(false)
			for _, n := range env.Names() {
				v, _ := env.Get(n)
				h.Set(n, v)
			}
			return h
		}),
		"expandenvironmentvariables": method(func(a *args) any { return a.s.expandPercent(a.text(0)) }),
		"getfolderpath": method(func(a *args) any {
			n := a.enum(0, allTypes["system.environment+specialfolder"])
			if a.err != nil {
				a.err = a.s.refuse("the special folder '%s'", a.text(0))
				return nil
			}
			return folders[strings.ToLower(enumVal{allTypes["system.environment+specialfolder"], n}.String())](a.s)
		}),
		"exit":               method(func(a *args) any { a.err = &exitErr{a.int(0)}; return nil }),
		"getcommandlineargs": func(s *shell, a []any) (any, error) { return NewArray("powershell.exe"), nil },
		"getlogicaldrives":   func(s *shell, a []any) (any, error) { return wrap(s.m.Roots()), nil },
	}})
	define(&Type{name: "System.Security.Principal.WindowsIdentity", funcs: statics{"getcurrent": func(s *shell, a []any) (any, error) {
		o := NewObject("System.Security.Principal.WindowsIdentity")
		o.Set("Name", s.sys.Domain+`\`+s.sys.User).Set("IsAuthenticated", true).Set("IsSystem", strings.EqualFold(s.sys.User, "SYSTEM"))
		return o, nil
	}}})
	enumeration("System.Security.Principal.WindowsBuiltInRole", false, enumName{"Administrator", 544}, enumName{"User", 545}, enumName{"Guest", 546}, enumName{"PowerUser", 547})
	define(&Type{name: "System.Security.Principal.WindowsPrincipal", cast: principal, ctor: func(s *shell, a []any) (any, error) { return principal(s, argOr(a, 0, nil)) }})
}

func principal(s *shell, v any) (any, error) {
	o := NewObject("System.Security.Principal.WindowsPrincipal").Set("Identity", v)
	o.Method("IsInRole", func(a []any) (any, error) {
		r, err := s.castEnum(argOr(a, 0, nil), allTypes["system.security.principal.windowsbuiltinrole"])
		if err != nil {
			return nil, s.refuse("IsInRole of '%s'", s.text(argOr(a, 0, nil)))
		}
		return r.(enumVal).n == 544 && s.sys.Admin, nil
	})
	return o, nil
}
