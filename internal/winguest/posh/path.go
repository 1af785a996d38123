package posh

import (
	"errors"
	"io/fs"
	"strings"
)

// location is where Set-Location has gone: in the file system, or on a drive of a
// provider.
type location struct {
	drive string // "" is the file system
	path  string
}

func (s *shell) sep() string {
	if s.core {
		return "/"
	}
	return `\`
}

func (s *shell) isSep(c byte) bool { return c == '/' || c == '\\' && !s.core || c == '\\' && s.core }

func (s *shell) hasSeparator(p string) bool { return strings.ContainsAny(p, `/\`) }

// join puts a child behind a path.
func (s *shell) join(parent, child string) string {
	if !s.core {
		parent, child = strings.ReplaceAll(parent, "/", `\`), strings.ReplaceAll(child, "/", `\`)
	} else {
		parent, child = strings.ReplaceAll(parent, `\`, "/"), strings.ReplaceAll(child, `\`, "/")
	}
	sep := s.sep()
	if parent == "" {
		return child
	}
	return strings.TrimRight(parent, sep) + sep + strings.TrimLeft(child, sep)
}

func (s *shell) cut(p string) int { return strings.LastIndexAny(p, `/\`) }

func (s *shell) leaf(p string) string {
	p = s.trimSep(p)
	return p[s.cut(p)+1:]
}

func (s *shell) trimSep(p string) string {
	for len(p) > 1 && s.isSep(p[len(p)-1]) && !(len(p) == 3 && p[1] == ':') {
		p = p[:len(p)-1]
	}
	return p
}

// parentPath is a path without its last part.
func (s *shell) parentPath(p string) string {
	p = s.trimSep(p)
	i := s.cut(p)
	switch {
	case i < 0:
		return ""
	case i == 0:
		if len(p) == 1 {
			return ""
		}
		return p[:1]
	case i == 2 && p[1] == ':':
		if len(p) == 3 {
			return ""
		}
		return p[:3]
	}
	return p[:i]
}

// driveOf splits "HKLM:\x" and "Registry::x"; name is "" where there is none.
func driveOf(p string) (name, rest string) {
	if i := strings.Index(p, "::"); i > 0 {
		n := p[:i]
		if j := strings.LastIndexByte(n, '\\'); j >= 0 { // Microsoft.PowerShell.Core\Registry
			n = n[j+1:]
		}
		return n, p[i+2:]
	}
	i := strings.IndexByte(p, ':')
	if i <= 0 || strings.ContainsAny(p[:i], `/\*?[]"'`) {
		return "", p
	}
	return p[:i], p[i+1:]
}

// clean makes an absolute path of the file system plain: one kind of separator,
// no . and .. in it.
func (s *shell) clean(p string) string {
	sep := s.sep()
	p = strings.ReplaceAll(strings.ReplaceAll(p, `\`, "/"), "/", sep)
	root := sep
	if !s.core {
		if len(p) < 2 || p[1] != ':' {
			return p
		}
		root = p[:2] + sep
		p = p[2:]
	}
	var parts []string
	for _, x := range strings.Split(p, sep) {
		switch x {
		case "", ".":
		case "..":
			if len(parts) > 0 {
				parts = parts[:len(parts)-1]
			}
		default:
			parts = append(parts, x)
		}
	}
	return root + strings.Join(parts, sep)
}

// absFile makes a path of the file system absolute, from the given directory.
func (s *shell) absFile(p, dir string) string {
	if p == "" {
		return s.clean(dir)
	}
	if s.core {
		p = strings.ReplaceAll(p, `\`, "/")
		if p[0] == '/' {
			return s.clean(p)
		}
		return s.clean(dir + "/" + p)
	}
	p = strings.ReplaceAll(p, "/", `\`)
	switch {
	case len(p) >= 2 && p[1] == ':':
		if len(p) == 2 || p[2] != '\\' {
			if strings.EqualFold(p[:2], dir[:min(2, len(dir))]) {
				return s.clean(dir + `\` + p[2:])
			}
			return s.clean(p[:2] + `\` + p[2:])
		}
		return s.clean(p)
	case strings.HasPrefix(p, `\\`):
		return p
	case p[0] == '\\':
		return s.clean(dir[:min(2, len(dir))] + p)
	}
	return s.clean(dir + `\` + p)
}

// place is what a path means: a provider (nil is the file system) and the path
// for it.
type place struct {
	prov  Provider
	drive string
	path  string
}

func (s *shell) place(p string) (place, error) {
	if strings.HasPrefix(p, "~") && (len(p) == 1 || s.isSep(p[1])) {
		home, _ := s.lookup("home")
		p = s.text(home) + p[1:]
	}
	name, rest := driveOf(p)
	if name == "" || strings.EqualFold(name, "FileSystem") {
		if name == "" && s.loc.drive != "" && !(p != "" && s.isSep(p[0])) {
			prov, err := s.provider(s.loc.drive)
			return place{prov, s.loc.drive, providerPath(s.loc.path + `\` + p)}, err
		}
		if name == "" && s.loc.drive != "" {
			prov, err := s.provider(s.loc.drive)
			return place{prov, s.loc.drive, providerPath(p)}, err
		}
		return place{path: s.absFile(rest, s.dir)}, nil
	}
	if len(name) == 1 && !s.core {
		return place{path: s.absFile(name+":"+rest, s.dir)}, nil
	}
	prov, err := s.provider(name)
	if err != nil {
		return place{}, err
	}
	return place{prov, name, providerPath(rest)}, nil
}

func providerPath(p string) string {
	var parts []string
	for _, x := range strings.FieldsFunc(p, func(r rune) bool { return r == '\\' || r == '/' }) {
		switch x {
		case ".":
		case "..":
			if len(parts) > 0 {
				parts = parts[:len(parts)-1]
			}
		default:
			parts = append(parts, x)
		}
	}
	return strings.Join(parts, `\`)
}

func (s *shell) provider(drive string) (Provider, error) {
	switch strings.ToLower(drive) {
	case "env", "environment":
		return envDrive{s}, nil
	case "variable":
		return variableDrive{s}, nil
	case "function":
		return functionDrive{s}, nil
	case "alias":
		return aliasDrive{s}, nil
	case "cert", "wsman", "hkcu", "hklm", "registry", "certificate":
		for k, p := range s.o.Drives {
			if strings.EqualFold(k, drive) {
				return p, nil
			}
		}
		return nil, s.refuse("the drive %s:", drive)
	}
	for k, p := range s.o.Drives {
		if strings.EqualFold(k, drive) {
			return p, nil
		}
	}
	return nil, noDrive(drive)
}

func noDrive(name string) error {
	return &Error{ID: "DriveNotFound", Category: "ObjectNotFound", Target: name, Exception: "System.Management.Automation.DriveNotFoundException",
		Message: "Cannot find drive. A drive with the name '" + name + "' does not exist."}
}

// filePath makes a path absolute that must be of the file system.
func (s *shell) filePath(p string) (string, error) {
	pl, err := s.place(p)
	if err != nil {
		return "", err
	}
	if pl.prov != nil {
		return "", &Error{ID: "NotSupported", Category: "InvalidOperation", Message: "Cannot use the path '" + p + "': it is not of the file system."}
	}
	return pl.path, nil
}

// show is the path as scripts see it.
func (p place) show() string {
	if p.prov == nil {
		return p.path
	}
	return p.drive + `:\` + p.path
}

func (s *shell) statPlace(p place) (found, container bool, err error) {
	if p.prov != nil {
		return p.prov.Stat(p.path)
	}
	i, err := s.m.Stat(p.path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNotDirectory) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	return true, i.IsDir(), nil
}

// glob gives what a path with wildcards means; a path without them is itself,
// whether it is there or not.
func (s *shell) glob(p string, literal bool) ([]place, error) {
	if literal || !hasWildcard(p) {
		pl, err := s.place(p)
		if err != nil {
			return nil, err
		}
		return []place{pl}, nil
	}
	// The parts before the first pattern are plain.
	pl, err := s.place(p)
	if err != nil {
		return nil, err
	}
	sep := `\`
	if pl.prov == nil {
		sep = s.sep()
	}
	parts := strings.Split(pl.path, sep)
	i := 0
	for i < len(parts) && !hasWildcard(parts[i]) {
		i++
	}
	base := strings.Join(parts[:i], sep)
	if pl.prov == nil {
		base = s.clean(base + sep)
	}
	found := []place{{pl.prov, pl.drive, base}}
	for _, part := range parts[i:] {
		var next []place
		for _, f := range found {
			names, err := s.childNames(f)
			if err != nil {
				continue // what cannot be listed matches nothing
			}
			for _, n := range names {
				if s.like(n, part, false) {
					next = append(next, s.child(f, n))
				}
			}
		}
		found = next
	}
	return found, nil
}

func (s *shell) child(p place, name string) place {
	if p.prov == nil {
		return place{path: s.join(p.path, name)}
	}
	if p.path == "" {
		return place{p.prov, p.drive, name}
	}
	return place{p.prov, p.drive, p.path + `\` + name}
}

func (s *shell) childNames(p place) ([]string, error) {
	var out []string
	if p.prov == nil {
		l, err := s.m.List(p.path)
		var files []string
		for _, i := range l { // directories come first
			if i.IsDir() {
				out = append(out, i.Name)
			} else {
				files = append(files, i.Name)
			}
		}
		return append(out, files...), err
	}
	l, err := p.prov.Children(p.path)
	for _, c := range l {
		out = append(out, c.Name)
	}
	return out, err
}

// pathInfo is what Get-Location gives.
func (s *shell) pathInfo() any {
	o := NewObject("System.Management.Automation.PathInfo")
	path := s.dir
	if s.loc.drive != "" {
		path = s.loc.drive + `:\` + s.loc.path
	}
	o.Set("Path", path).Set("ProviderPath", path).Set("Drive", strings.SplitN(path, ":", 2)[0])
	o.Show = []string{"Path"}
	o.Text = func() string { return path }
	return o
}
