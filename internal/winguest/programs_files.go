package winguest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"
)

// attribExe is attrib.exe: r, h and s; every file has a.
func attribExe(ctx context.Context, p *Proc) int {
	set := map[byte]bool{}
	var names []string
	deep, dirs := false, false
	for _, a := range p.Args {
		switch {
		case len(a) == 2 && (a[0] == '+' || a[0] == '-'):
			c := a[1] | 0x20
			if !strings.Contains("rhs", string(c)) && (c != 'a' || a[0] == '-') {
				return p.unsupported(a, "are +r -r +h -h +s -s, and +a, which every file has")
			}
			set[c] = a[0] == '+'
		case strings.EqualFold(a, "/s"):
			deep = true
		case strings.EqualFold(a, "/d"):
			dirs = true
		case strings.HasPrefix(a, "/"):
			return p.unsupported(a, "are /s and /d")
		default:
			names = append(names, a)
		}
	}
	if len(names) > 1 {
		return p.refuse("it takes one path")
	}
	if len(names) == 0 {
		names = []string{"*"}
	}
	full, err := p.Abs(strings.TrimSuffix(names[0], `\*`))
	pattern := baseName(names[0])
	if strings.ContainsAny(pattern, "*?") {
		full, err = p.Abs(strings.TrimSuffix("."+`\`+names[0], pattern))
		if len(names[0]) > 1 && (names[0][1] == ':' || names[0][0] == '\\') {
			full, err = p.Abs(strings.TrimSuffix(names[0], pattern))
		}
	} else if err == nil {
		pattern = baseName(full)
		full = full[:max(3, len(full)-len(pattern)-1)]
	}
	if err != nil {
		p.complain("%v", CodeOf(err))
		return 1
	}
	exact := !strings.ContainsAny(pattern, "*?")
	found, code := false, 0
	var walk func(dir string) error
	walk = func(dir string) error {
		list, err := p.List(dir)
		if err != nil {
			return err
		}
		for _, f := range list {
			if err := ctx.Err(); err != nil {
				return err
			}
			if matches(pattern, f.Name) && (!f.Dir || dirs || exact && !deep) {
				found = true
				if len(set) == 0 {
					p.say("%s%s\n", attributeColumns(f), f.Path)
				} else if err := p.attributes(f, set); err != nil {
					p.complain("%v - %s", CodeOf(err), f.Path)
					code = 1
				}
			}
			if f.Dir && deep {
				if err := walk(f.Path); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := walk(full); err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.complain("%v", CodeOf(err))
		return 1
	}
	if !found {
		p.complain("File not found - %s", names[0])
		return 1
	}
	return code
}

func attributeColumns(f FileInfo) string {
	b := []byte("             ")
	if !f.Dir {
		b[0] = 'A'
	}
	for k, on := range map[int]bool{3: f.System, 4: f.Hidden, 5: f.ReadOnly && !f.Dir} {
		if on {
			b[k] = " ...SHR"[k+1]
		}
	}
	return string(b)
}

func (p *Proc) attributes(f FileInfo, set map[byte]bool) error {
	r, h, s := f.ReadOnly, f.Hidden, f.System
	for c, on := range set {
		switch c {
		case 'r':
			r = on
		case 'h':
			h = on
		case 's':
			s = on
		}
	}
	full, err := p.path(f.Path, true)
	if err != nil {
		return err
	}
	return p.Machine.disk.setAttributes(full, r, h, s)
}

// whereExe is where.exe.
func whereExe(_ context.Context, p *Proc) int {
	quiet := false
	var names []string
	for _, a := range p.Args {
		switch {
		case strings.EqualFold(a, "/q"):
			quiet = true
		case strings.HasPrefix(a, "/"):
			return p.unsupported(a, "is /q")
		default:
			names = append(names, a)
		}
	}
	if len(names) == 0 {
		return p.refuse("it needs a name")
	}
	dirs := append([]string{p.Dir}, strings.Split(p.Getenv("PATH"), ";")...)
	exts := append([]string{""}, strings.Split(p.Getenv("PATHEXT"), ";")...)
	if len(exts) < 3 {
		exts = []string{"", ".COM", ".EXE", ".BAT", ".CMD"}
	}
	code := 0
	for _, name := range names {
		var found []string
		for _, d := range dirs {
			list, err := p.List(strings.Trim(strings.TrimSpace(d), `"`))
			if err != nil || strings.TrimSpace(d) == "" {
				continue
			}
			for _, f := range list {
				for _, e := range exts {
					if !f.Dir && matches(name+e, f.Name) && !slices.Contains(found, f.Path) {
						found = append(found, f.Path)
					}
				}
			}
		}
		if len(found) == 0 {
			code = 1
			if !quiet {
				p.complain("INFO: Could not find files for the given pattern(s).")
			}
		}
		for _, f := range found {
			if !quiet {
				p.say("%s\n", f)
			}
		}
	}
	return code
}

// copyFile copies a file with its time.
func (p *Proc) copyFile(ctx context.Context, from, to string, force bool) error {
	st, err := p.Stat(from)
	if err != nil {
		return err
	}
	src, err := p.Open(from, Mode{Disposition: OpenExisting, Read: true, ShareRead: true, ShareWrite: true})
	if err != nil {
		return err
	}
	defer src.Close()
	if old, err := p.Stat(to); err == nil && old.ReadOnly && force {
		if err := p.SetReadOnly(to, false); err != nil {
			return err
		}
	}
	dst, err := p.Open(to, Mode{Disposition: CreateAlways, Write: true})
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, whileAlive{ctx, src})
	if err = errors.Join(err, dst.Close()); err != nil {
		return err
	}
	return p.SetModified(to, st.Modified)
}

// makeDir makes a folder unless it is there.
func (p *Proc) makeDir(path string) error {
	if st, err := p.Stat(path); err == nil && st.Dir {
		return nil
	}
	return p.Mkdir(path)
}

// xcopyExe is xcopy.exe.
func xcopyExe(ctx context.Context, p *Proc) int {
	var names []string
	on := map[string]bool{}
	for _, a := range p.Args {
		if !strings.HasPrefix(a, "/") {
			names = append(names, a)
			continue
		}
		for _, o := range strings.Split(strings.ToLower(a[1:]), "/") {
			if !slices.Contains([]string{"s", "e", "y", "i", "q", "h", "k", "r", "c", "f", "v", "j", "t"}, o) {
				return p.unsupported("/"+o, "are /c /e /f /h /i /j /k /q /r /s /t /v /y")
			}
			on[o] = true
		}
	}
	if len(names) == 0 || len(names) > 2 {
		p.complain("Invalid number of parameters\n0 File(s) copied")
		return 4
	}
	if len(names) == 1 {
		names = append(names, ".")
	}
	src, err := p.Abs(strings.TrimRight(names[0], `\`))
	pattern := "*"
	if base := baseName(names[0]); strings.ContainsAny(base, "*?") {
		pattern = base
		src, err = p.Abs(strings.TrimSuffix(names[0], base) + ".")
	}
	if err != nil {
		p.complain("%v\n0 File(s) copied", CodeOf(err))
		return 4
	}
	st, err := p.Stat(src)
	if err != nil {
		p.complain("File not found - %s\n0 File(s) copied", names[0])
		return 4
	}
	dst, err := p.Abs(strings.TrimRight(names[1], `\`))
	if err != nil {
		p.complain("%v\n0 File(s) copied", CodeOf(err))
		return 4
	}
	to, err := p.Stat(dst)
	folder := err == nil && to.Dir || strings.HasSuffix(names[1], `\`) || on["i"] && (st.Dir || pattern != "*")
	if err != nil && !folder {
		p.say("Does %s specify a file name\nor directory name on the target\n(F = file, D = directory)? ", names[1])
		switch p.answer() {
		case "f", "file":
		case "d", "directory":
			folder = true
		default:
			p.say("\n")
			p.complain("Nobody answered: nothing was copied. A backslash behind the target, or /i for folders, tells that it is a folder.")
			return 2
		}
		p.say("\n")
	}
	n := 0
	one := func(from, to string) error {
		if !on["y"] && p.Getenv("COPYCMD") != "/Y" {
			if _, err := p.Stat(to); err == nil && p.Console {
				return fmt.Errorf("it asks whether to replace %s, and nobody is there to answer: use /y", to)
			}
		}
		if on["t"] {
			return nil
		}
		if err := p.copyFile(ctx, from, to, on["r"]); err != nil {
			if !on["c"] {
				return err
			}
			p.complain("%s - %v", from, CodeOf(err))
			return nil
		}
		n++
		switch {
		case on["q"]:
		case on["f"]:
			p.say("%s -> %s\n", from, to)
		default:
			p.say("%s\n", from)
		}
		return nil
	}
	var walk func(from, to string) error
	walk = func(from, to string) error {
		list, err := p.List(from)
		if err != nil {
			return err
		}
		made := false
		for _, f := range list {
			if err := ctx.Err(); err != nil {
				return err
			}
			if f.Dir || !matches(pattern, f.Name) || (f.Hidden || f.System) && !on["h"] {
				continue
			}
			if !made {
				if err := p.makeDir(to); err != nil {
					return err
				}
				made = true
			}
			if err := one(f.Path, to+`\`+f.Name); err != nil {
				return err
			}
		}
		if (on["e"] || on["t"]) && !made {
			if err := p.makeDir(to); err != nil {
				return err
			}
		}
		for _, f := range list {
			if f.Dir && (on["s"] || on["e"]) && !strings.EqualFold(f.Path, dst) {
				if err := walk(f.Path, to+`\`+f.Name); err != nil {
					return err
				}
			}
		}
		return nil
	}
	switch {
	case st.Dir:
		err = walk(src, dst)
	case folder:
		if err = p.makeDir(dst); err == nil {
			err = one(src, dst+`\`+st.Name)
		}
	default:
		err = one(src, dst)
	}
	if err != nil {
		text := err.Error()
		if c := CodeOf(err); c != 31 {
			text = c.Error()
		}
		p.complain("%s", text)
		p.say("%d File(s) copied\n", n)
		return 4
	}
	p.say("%d File(s) copied\n", n)
	return 0
}

// robocopyExe is robocopy.exe. Its code is a sum: 1 copied, 2 there is more at
// the target, 8 failures, 16 nothing could be done.
func robocopyExe(ctx context.Context, p *Proc) int {
	var names, notFiles, notDirs []string
	on := map[string]bool{}
	into := &names
	for _, a := range p.Args {
		if !strings.HasPrefix(a, "/") {
			*into = append(*into, a)
			continue
		}
		into = &names
		name, value, _ := strings.Cut(strings.ToLower(a[1:]), ":")
		switch name {
		case "s", "e", "mir", "purge", "mov", "move", "is", "it", "xo", "l":
			on[name] = true
		case "np", "nfl", "ndl", "njh", "njs", "ns", "nc", "v", "fp", "bytes", "ts", "z", "zb", "b", "j", "r", "w", "mt", "unicode", "tee", "fft", "nodcopy", "xj", "eta":
		case "copy", "dcopy":
			if strings.Trim(value, "dat") != "" {
				return p.robocopyRefused("%s: it copies data, attributes and times only", a)
			}
		case "xf":
			into = &notFiles
		case "xd":
			into = &notDirs
		default:
			return p.robocopyRefused("%q is not supported here: known are /s /e /mir /purge /mov /move /is /it /xo /l /xf /xd /copy:dat /r /w /mt and what changes the output", a)
		}
	}
	if on["it"] || on["l"] || on["xo"] && on["mir"] {
		return p.robocopyRefused("/l, /it and /xo with /mir are not supported here")
	}
	if len(names) < 2 {
		return p.robocopyRefused("it needs a source and a target")
	}
	src, err1 := p.Abs(names[0])
	dst, err2 := p.Abs(names[1])
	if st, err := p.Stat(src); err1 != nil || err2 != nil || err != nil || !st.Dir {
		p.say("%s ERROR 2 (0x00000002) Accessing Source Directory %s\nThe system cannot find the file specified.\n", p.Machine.Now().UTC().Format("2006/01/02 15:04:05"), src)
		return 16
	}
	patterns := names[2:]
	if len(patterns) == 0 {
		patterns = []string{"*.*"}
	}
	anyMatch := func(list []string, name, path string) bool {
		return slices.ContainsFunc(list, func(w string) bool { return matches(w, name) || strings.EqualFold(w, path) })
	}
	deep := on["s"] || on["e"] || on["mir"] || on["move"] && on["e"]
	empty := on["e"] || on["mir"]
	purge := on["mir"] || on["purge"]
	var copied, extra, failed int
	bad := func(path string, err error) {
		failed++
		c := CodeOf(err)
		p.say("%s ERROR %d (0x%08X) %s\n%v\n", p.Machine.Now().UTC().Format("2006/01/02 15:04:05"), c, uint32(c), path, c)
	}
	var removeAll func(f FileInfo) error
	removeAll = func(f FileInfo) error {
		if f.Dir {
			list, err := p.List(f.Path)
			if err != nil {
				return err
			}
			for _, o := range list {
				if err := removeAll(o); err != nil {
					return err
				}
			}
		} else if f.ReadOnly {
			if err := p.SetReadOnly(f.Path, false); err != nil {
				return err
			}
		}
		return p.Remove(f.Path)
	}
	var walk func(from, to string)
	walk = func(from, to string) {
		list, err := p.List(from)
		if err != nil {
			bad(from, err)
			return
		}
		made := false
		need := func() bool {
			if !made {
				if err := p.makeDir(to); err != nil {
					bad(to, err)
					return false
				}
				made = true
			}
			return true
		}
		if empty && !need() {
			return
		}
		here := map[string]bool{}
		for _, f := range list {
			if ctx.Err() != nil {
				return
			}
			here[strings.ToLower(f.Name)] = true
			if f.Dir || !anyMatch(patterns, f.Name, "") || anyMatch(notFiles, f.Name, f.Path) {
				continue
			}
			target := to + `\` + f.Name
			if old, err := p.Stat(target); err == nil && !on["is"] {
				same := old.Size == f.Size && old.Modified.Sub(f.Modified).Abs() < 2*time.Second
				if same || on["xo"] && old.Modified.After(f.Modified) {
					continue
				}
			}
			if !need() {
				return
			}
			if err := p.copyFile(ctx, f.Path, target, true); err != nil {
				bad(target, err)
				continue
			}
			copied++
			p.say("\t    New File  \t\t%8s\t%s\n", strconv.FormatInt(f.Size, 10), f.Name)
			if on["mov"] || on["move"] {
				if err := removeAll(f); err != nil {
					bad(f.Path, err)
				}
			}
		}
		if there, err := p.List(to); err == nil {
			for _, f := range there {
				if here[strings.ToLower(f.Name)] || f.Dir && !deep || !f.Dir && !anyMatch(patterns, f.Name, "") || anyMatch(notDirs, f.Name, f.Path) || anyMatch(notFiles, f.Name, f.Path) {
					continue
				}
				extra++
				if purge {
					if err := removeAll(f); err != nil {
						bad(f.Path, err)
					}
				}
			}
		}
		for _, f := range list {
			if f.Dir && deep && !anyMatch(notDirs, f.Name, f.Path) && !strings.EqualFold(f.Path, dst) {
				walk(f.Path, to+`\`+f.Name)
			}
		}
		if on["move"] && ctx.Err() == nil {
			if left, err := p.List(from); err == nil && len(left) == 0 {
				if err := p.Remove(from); err != nil {
					bad(from, err)
				}
			}
		}
	}
	if err := p.makeDir(dst); err != nil {
		bad(dst, err)
		return 16
	}
	walk(src, dst)
	p.say("\n   Files : copied %d, extra %d, failed %d\n", copied, extra, failed)
	code := 0
	for bit, n := range map[int]int{1: copied, 2: extra, 8: failed} {
		if n > 0 {
			code |= bit
		}
	}
	return code
}

// robocopyRefused has a code that is a failure for robocopy.
func (p *Proc) robocopyRefused(format string, a ...any) int {
	p.refuse(format, a...)
	return 16
}
