package winguest

import (
	"path"
	"slices"
	"strings"
	"unicode/utf16"
)

// The folders that everything knows.
const (
	SystemRoot = `C:\Windows`
	System32   = SystemRoot + `\System32`
	nul        = `\\.\NUL`
)

// maxPath is how long a path may be for programs that do not ask for more by
// the prefix \\?\, its end included.
const maxPath = 260

var devices = []string{
	"con", "prn", "aux", "nul", "conin$", "conout$",
	"com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
	"lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
}

// Resolve makes a path absolute and plain: C:\a\b, whatever of slashes, dots,
// relative parts and prefixes it is written with. dir is what it is relative to.
// NUL is \\.\NUL, in any folder. The error is an *fs.PathError with a Code:
// InvalidName for what no file may be called, and for streams and devices;
// PathNotFound for another drive than C:.
func Resolve(dir, name string) (string, error) {
	p := strings.ReplaceAll(name, "/", `\`)
	literal := strings.HasPrefix(p, `\\?\`)
	if literal {
		p = p[4:]
	} else if strings.HasPrefix(p, `\\.\`) {
		if strings.EqualFold(p, nul) {
			return nul, nil
		}
		return "", fail("open", name, FileNotFound)
	}
	switch {
	case name == "":
		return "", fail("open", name, InvalidParameter)
	case strings.ContainsRune(p, 0):
		return "", fail("open", name, InvalidName)
	case strings.HasPrefix(p, `\\`):
		return "", fail("open", name, BadNetPath)
	case len(p) > 1 && p[1] == ':':
		if c := p[0] | 0x20; c < 'a' || c > 'z' {
			return "", fail("open", name, InvalidName)
		} else if c != 'c' {
			return "", fail("open", name, PathNotFound)
		}
		if p = p[2:]; !strings.HasPrefix(p, `\`) {
			p = below(dir) + `\` + p // C:x is x in the current directory of C:
		}
	case !strings.HasPrefix(p, `\`):
		p = below(dir) + `\` + p
	}
	parts := strings.Split(p, `\`)
	for i, s := range parts {
		if s == "." || s == ".." {
			continue
		}
		if !literal {
			s = strings.TrimRight(s, " .")
		}
		stem, _, _ := strings.Cut(s, ".")
		if stem = strings.ToLower(strings.TrimRight(stem, " ")); slices.Contains(devices, stem) {
			if stem == "nul" && i == len(parts)-1 {
				return nul, nil
			}
			return "", fail("open", name, InvalidName)
		}
		if strings.ContainsAny(s, `<>:"|?*`) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
			return "", fail("open", name, InvalidName)
		}
		parts[i] = s
	}
	clean := path.Clean("/" + strings.Join(parts, "/"))
	full := `C:` + strings.ReplaceAll(clean, "/", `\`)
	if !literal && len(utf16.Encode([]rune(full))) >= maxPath {
		return "", fail("open", name, TooLong)
	}
	return full, nil
}

// below is an absolute directory without its drive.
func below(dir string) string {
	if len(dir) > 1 && dir[1] == ':' {
		dir = dir[2:]
	}
	return strings.TrimRight(strings.ReplaceAll(dir, "/", `\`), `\`)
}

// relative is a resolved path as the host has it below drive C:.
func relative(full string) string {
	rel := strings.ReplaceAll(strings.Trim(full[2:], `\`), `\`, "/")
	if rel == "" {
		return "."
	}
	return rel
}

func baseName(p string) string { return p[strings.LastIndexAny(p, `\/`)+1:] }

// extension is that of the last part of a path, with its dot.
func extension(p string) string {
	b := baseName(p)
	if i := strings.LastIndexByte(b, '.'); i >= 0 {
		return b[i:]
	}
	return ""
}
