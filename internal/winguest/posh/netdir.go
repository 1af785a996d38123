package posh

import (
	"errors"
	"io/fs"
	"strings"
)

func defineDirectory() {
	onDir := func(f func(a *args, path string) (any, error)) func(*shell, []any) (any, error) {
		return func(s *shell, v []any) (any, error) {
			if len(v) == 0 {
				return nil, overload("Directory", 0)
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
	list := func(files, dirs bool) func(*shell, []any) (any, error) {
		return onDir(func(a *args, p string) (any, error) {
			a.need("GetFiles", 1, 2, 3)
			pat := "*"
			if len(a.a) > 1 {
				pat = a.text(1)
			}
			deep := len(a.a) == 3 && a.enum(2, allTypes["system.io.searchoption"]) == 1
			out := &Array{Type: "string"}
			show := a.text(0)
			var walk func(dir, show string) error
			walk = func(dir, show string) error {
				l, err := a.s.m.List(dir)
				if err != nil {
					return err
				}
				for _, i := range l {
					if (i.IsDir() && dirs || !i.IsDir() && files) && (pat == "*" || pat == "*.*" || a.s.like(i.Name, strings.NewReplacer("[", "`[", "]", "`]").Replace(pat), false)) {
						out.Elem = append(out.Elem, a.s.join(show, i.Name))
					}
				}
				for _, i := range l {
					if deep && i.IsDir() {
						if err := walk(a.s.join(dir, i.Name), a.s.join(show, i.Name)); err != nil {
							return err
						}
					}
				}
				return nil
			}
			return out, walk(p, show)
		})
	}
	f := statics{
		"exists": func(s *shell, a []any) (any, error) {
			p, err := s.netPath(s.text(argOr(a, 0, "")))
			if err != nil {
				return false, nil
			}
			i, err := s.m.Stat(p)
			return err == nil && i.IsDir(), nil
		},
		"createdirectory": onDir(func(a *args, p string) (any, error) {
			if i, err := a.s.m.Stat(p); err == nil && !i.IsDir() {
				return nil, dotnet("System.IO.IOException", "Cannot create \"%s\" because a file or directory with the same name already exists.", p)
			}
			if err := a.s.m.MakeDir(p); err != nil {
				return nil, err
			}
			return &fileItem{s: a.s, path: p, dir: true}, nil
		}),
		"delete": onDir(func(a *args, p string) (any, error) {
			i, err := a.s.m.Stat(p)
			if err != nil {
				if errors.Is(err, fs.ErrNotExist) {
					err = dotnet("System.IO.DirectoryNotFoundException", "Could not find a part of the path '%s'.", p)
				}
				return nil, err
			}
			if !i.IsDir() {
				return nil, dotnet("System.IO.IOException", "The directory name is invalid.")
			}
			if len(a.a) > 1 && truth(a.any(1)) {
				return void{}, a.s.removeTree(p, false)
			}
			return void{}, a.s.m.Remove(p)
		}),
		"getfiles": list(true, false), "getdirectories": list(false, true), "getfilesystementries": list(true, true),
		"enumeratefiles": list(true, false), "enumeratedirectories": list(false, true), "enumeratefilesystementries": list(true, true),
		"getcurrentdirectory": func(s *shell, a []any) (any, error) { return s.console.dir(), nil },
		"setcurrentdirectory": func(s *shell, a []any) (any, error) { return void{}, s.console.setDir(s.text(argOr(a, 0, ""))) },
		"move": onDir(func(a *args, p string) (any, error) {
			to, err := a.s.netPath(a.text(1))
			if err != nil {
				return nil, err
			}
			return void{}, a.s.m.Rename(p, to)
		}),
		"getparent": onDir(func(a *args, p string) (any, error) {
			up := a.s.parentPath(p)
			if up == "" {
				return nil, nil
			}
			return &fileItem{s: a.s, path: up, dir: true}, nil
		}),
		"getlastwritetimeutc": func(s *shell, a []any) (any, error) {
			return allTypes["system.io.file"].funcs["getlastwritetimeutc"](s, a)
		},
		"getlastwritetime": func(s *shell, a []any) (any, error) {
			return allTypes["system.io.file"].funcs["getlastwritetime"](s, a)
		},
		"getlogicaldrives": func(s *shell, a []any) (any, error) { return wrap(s.m.Roots()), nil },
	}
	define(&Type{name: "System.IO.Directory", funcs: f})
}

// removeTree removes a directory with all in it; read-only files only with force.
func (s *shell) removeTree(p string, force bool) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	l, err := s.m.List(p)
	if err != nil {
		return err
	}
	for _, i := range l {
		c := s.join(p, i.Name)
		if i.IsDir() {
			err = s.removeTree(c, force)
		} else if i.Attributes&ReadOnly != 0 && !force {
			err = dotnet("System.UnauthorizedAccessException", "Access to the path '%s' is denied.", i.Name)
		} else if err = s.m.Remove(c); err != nil {
			err = s.fileFault(err, c)
		}
		if err != nil {
			return err
		}
	}
	return s.m.Remove(p)
}

func definePath() {
	one := func(f func(s *shell, p string) any) func(*shell, []any) (any, error) {
		return func(s *shell, a []any) (any, error) {
			if len(a) < 1 {
				return nil, overload("Path", len(a))
			}
			if a[0] == nil {
				return nil, nil
			}
			return f(s, s.text(a[0])), nil
		}
	}
	leaf := func(p string) string { return p[strings.LastIndexAny(p, `/\:`)+1:] }
	ext := func(p string) string {
		l := leaf(p)
		if i := strings.LastIndexByte(l, '.'); i >= 0 && i < len(l)-1 {
			return l[i:]
		}
		return ""
	}
	rooted := func(s *shell, p string) bool {
		return p != "" && (p[0] == '/' || p[0] == '\\' && !s.core || len(p) > 1 && p[1] == ':' && !s.core)
	}
	sep := func(s *shell) (any, error) { return Char(s.sep()[0]), nil }
	temp := func(s *shell) string {
		for _, n := range []string{"TMP", "TEMP", "TMPDIR"} {
			if v, ok := s.env.Get(n); ok {
				return strings.TrimRight(v, `/\`) + s.sep()
			}
		}
		return s.sys.Root + s.sep() + "Temp" + s.sep()
	}
	random := func() string {
		h := strings.ReplaceAll(newGuid().String(), "-", "")
		return h[:8] + "." + h[8:11]
	}
	define(&Type{name: "System.IO.Path", props: values{"directoryseparatorchar": sep, "altdirectoryseparatorchar": constant(Char('/')),
		"pathseparator": func(s *shell) (any, error) {
			if s.core {
				return Char(':'), nil
			}
			return Char(';'), nil
		}, "volumeseparatorchar": constant(Char(':'))},
		funcs: statics{
			"combine": func(s *shell, a []any) (any, error) {
				out := ""
				if len(a) == 1 {
					a = elements(a[0])
				}
				for _, v := range a {
					if v == nil {
						return nil, dotnet("System.ArgumentNullException", "Value cannot be null.")
					}
					p := s.text(v)
					switch {
					case p == "":
					case out == "" || rooted(s, p):
						out = p
					case s.isSep(out[len(out)-1]) && !(s.core && out[len(out)-1] == '\\') || out[len(out)-1] == ':' && !s.core:
						out += p
					default:
						out += s.sep() + p
					}
				}
				return out, nil
			},
			"getfilename":  one(func(s *shell, p string) any { return leaf(p) }),
			"getextension": one(func(s *shell, p string) any { return ext(p) }),
			"hasextension": one(func(s *shell, p string) any { return ext(p) != "" }),
			"getfilenamewithoutextension": one(func(s *shell, p string) any {
				l := leaf(p)
				if i := strings.LastIndexByte(l, '.'); i >= 0 {
					return l[:i]
				}
				return l
			}),
			"getdirectoryname": one(func(s *shell, p string) any {
				if !s.core {
					p = strings.ReplaceAll(p, "/", `\`)
				}
				i := s.cut(p)
				switch {
				case i < 0:
					return ""
				case i == len(p)-1 && i == 2 && p[1] == ':', i == 0 && len(p) == 1:
					return nil
				case i == 2 && p[1] == ':':
					return p[:3]
				case i == 0:
					return p[:1]
				}
				return strings.TrimRight(p[:i], s.sep())
			}),
			"changeextension": func(s *shell, a []any) (any, error) {
				p := s.text(argOr(a, 0, ""))
				l := leaf(p)
				if i := strings.LastIndexByte(l, '.'); i >= 0 {
					p = p[:len(p)-len(l)+i]
				}
				if x := argOr(a, 1, nil); x != nil {
					e := s.text(x)
					if !strings.HasPrefix(e, ".") {
						e = "." + e
					}
					p += e
				}
				return p, nil
			},
			"getfullpath":       func(s *shell, a []any) (any, error) { return wrapErr(s.netPathKeep(s.text(argOr(a, 0, "")))) },
			"gettemppath":       func(s *shell, a []any) (any, error) { return temp(s), nil },
			"getrandomfilename": func(s *shell, a []any) (any, error) { return random(), nil },
			"gettempfilename": func(s *shell, a []any) (any, error) {
				p := temp(s) + "tmp" + strings.ToUpper(random()[:4]) + ".tmp"
				return p, s.fileFault(s.writeAll(p, CreateNew), p)
			},
			"ispathrooted": one(func(s *shell, p string) any { return rooted(s, p) }),
			"getpathroot": one(func(s *shell, p string) any {
				switch {
				case len(p) > 2 && p[1] == ':' && s.isSep(p[2]):
					return p[:2] + s.sep()
				case len(p) > 1 && p[1] == ':':
					return p[:2]
				case p != "" && s.isSep(p[0]):
					return s.sep()
				}
				return ""
			}),
			"getinvalidfilenamechars": func(s *shell, a []any) (any, error) {
				out := charArray("\"<>|\x00:*?\\/")
				for c := 1; c < 32; c++ {
					out.Elem = append(out.Elem, Char(c))
				}
				return out, nil
			},
		}})
}

// netPathKeep is netPath with a separator at the end where there was one.
func (s *shell) netPathKeep(p string) (string, error) {
	full, err := s.netPath(p)
	if err == nil && s.isSep(p[len(p)-1]) && !strings.HasSuffix(full, s.sep()) {
		full += s.sep()
	}
	return full, err
}
