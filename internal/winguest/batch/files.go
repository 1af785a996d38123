package batch

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

func typeFiles(s *shell, args string) (int, error) {
	_, names := switches(args)
	if len(names) == 0 {
		return s.badSyntax()
	}
	failed := false
	for _, name := range names {
		if strings.EqualFold(strings.TrimSuffix(name, ":"), "nul") {
			continue
		}
		dir, list, err := s.glob(name)
		if err == nil && len(list) == 0 {
			err = fs.ErrNotExist
		}
		if err != nil {
			s.complain("%s", notFound(err))
			failed = true
			continue
		}
		for _, f := range list {
			if f.IsDir() {
				if len(list) == 1 {
					s.complain("Access is denied.")
					failed = true
				}
				continue
			}
			if len(list) > 1 || len(names) > 1 {
				s.print(2, "\n%s\n\n\n", f.Name)
			}
			if err := s.copyTo(s.writer(1), join(dir, f.Name)); err != nil {
				s.complain("%s", reason(err))
				failed = true
			}
		}
	}
	if failed {
		s.level = 1
		return 1, nil
	}
	return s.ok()
}

func notFound(err error) string {
	if err == fs.ErrNotExist {
		return "The system cannot find the file specified."
	}
	return reason(err)
}

func (s *shell) copyTo(w io.Writer, from string) error {
	f, err := s.machine.Open(from, readShared)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 64<<10)
	for {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		n, err := f.Read(buf)
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

// copyFiles is copy: one file, a pattern, or several joined by plus.
func copyFiles(s *shell, args string) (int, error) {
	flags, names := switches(args)
	overwrite := true // as for commands that no one types
	for _, f := range flags {
		switch f {
		case "y":
		case "-y":
			overwrite = false
		case "b", "v", "z", "d", "n", "a":
			if f == "a" || f == "n" || f == "z" {
				return 1, s.unknownSwitch("copy", f)
			}
		default:
			return s.badSyntax()
		}
	}
	var from []string
	for _, n := range names { // a+b, a + b
		if len(from) > 0 && (strings.HasPrefix(n, "+") || strings.HasSuffix(from[len(from)-1], "+")) {
			from[len(from)-1] += n
			continue
		}
		from = append(from, n)
	}
	if len(from) == 0 || len(from) > 2 {
		return s.badSyntax()
	}
	to := s.dir
	if len(from) == 2 {
		to = from[1]
	}
	sources := strings.Split(from[0], "+")
	if len(sources) > 1 {
		return s.concatenate(sources, to, overwrite)
	}
	if isDevice(from[0]) && !strings.EqualFold(from[0], "nul") || isDevice(to) {
		return 1, s.refuse("copy from or to %s: this machine has no such device", quoted(to))
	}
	count := 0
	if strings.EqualFold(from[0], "nul") {
		if err := s.writeFile(s.abs(to), strings.NewReader("")); err != nil {
			return s.fail("%s", reason(err))
		}
		count++
	} else {
		name := from[0]
		if s.isDir(s.abs(name)) {
			name = strings.TrimRight(name, `\/`) + `\*`
		}
		dir, list, err := s.glob(name)
		list = slices.DeleteFunc(list, posh.FileInfo.IsDir)
		if err != nil || len(list) == 0 {
			text := "The system cannot find the file specified."
			if err != nil {
				text = reason(err)
			}
			s.out("%s\n        0 file(s) copied.\n", text)
			s.level = 1
			return 1, nil
		}
		for _, f := range list {
			target := s.target(to, f.Name)
			if strings.ContainsAny(name, "*?") {
				s.out("%s\n", strings.TrimSuffix(from[0], baseOf(from[0]))+f.Name)
			}
			switch {
			case strings.EqualFold(target, join(dir, f.Name)):
				s.out("The file cannot be copied onto itself.\n        %d file(s) copied.\n", count)
				s.level = 1
				return 1, nil
			case !overwrite && s.isFile(target):
				return 1, s.refuse("copy /-y: it asks whether to replace %s, and nobody is there to answer", quoted(target))
			}
			if err := s.copyFile(join(dir, f.Name), target, f.Written); err != nil {
				s.out("%s\n        %d file(s) copied.\n", reason(err), count)
				s.level = 1
				return 1, nil
			}
			count++
		}
	}
	s.out("        %d file(s) copied.\n", count)
	return s.ok()
}

func isDevice(name string) bool {
	switch strings.ToLower(strings.TrimSuffix(name, ":")) {
	case "con", "prn", "aux", "lpt1", "com1":
		return true
	}
	return false
}

func (s *shell) concatenate(sources []string, to string, overwrite bool) (int, error) {
	var all []byte
	for _, name := range sources {
		b, err := s.readFile(s.abs(name))
		if err != nil {
			s.out("%s\n%s\n", name, reason(err))
			s.level = 1
			return 1, nil
		}
		s.out("%s\n", name)
		all = append(all, b...)
	}
	target := s.target(to, baseOf(sources[0]))
	if !overwrite && s.isFile(target) {
		return 1, s.refuse("copy /-y: it asks whether to replace %s, and nobody is there to answer", quoted(target))
	}
	if err := s.writeFile(target, strings.NewReader(string(all))); err != nil {
		s.out("%s\n        0 file(s) copied.\n", reason(err))
		s.level = 1
		return 1, nil
	}
	s.out("        1 file(s) copied.\n")
	return s.ok()
}

// target is where a file goes: into a folder, under the name, or the name's
// wildcards filled from its own.
func (s *shell) target(to, name string) string {
	full := s.abs(to)
	switch pattern := baseOf(full); {
	case s.isDir(full):
		return join(full, name)
	case strings.ContainsAny(pattern, "*?"):
		return join(folderOf(full), filled(pattern, name))
	}
	return full
}

// filled fills the wildcards of a target from a name: *.bak of a.txt is a.bak.
func filled(pattern, name string) string {
	part := func(p, n string) string {
		var b strings.Builder
		for i := range len(p) {
			switch {
			case p[i] == '*':
				if i < len(n) {
					b.WriteString(n[i:])
				}
				return b.String()
			case p[i] == '?':
				if i < len(n) {
					b.WriteByte(n[i])
				}
			default:
				b.WriteByte(p[i])
			}
		}
		return b.String()
	}
	pStem, pExt := splitExt(pattern)
	nStem, nExt := splitExt(name)
	if pExt == "" {
		return part(pStem, nStem)
	}
	ext := part(strings.TrimPrefix(pExt, "."), strings.TrimPrefix(nExt, "."))
	if ext == "" {
		return part(pStem, nStem)
	}
	return part(pStem, nStem) + "." + ext
}

func (s *shell) copyFile(from, to string, at time.Time) error {
	f, err := s.machine.Open(from, readShared)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := s.writeFile(to, f); err != nil {
		return err
	}
	return s.machine.SetTimes(to, at)
}

func (s *shell) writeFile(to string, r io.Reader) error {
	f, err := s.machine.Open(to, posh.Open{Mode: posh.Create, Access: posh.Write, Share: posh.ShareNone})
	if err != nil {
		return err
	}
	_, err = io.Copy(f, contextReader{s, r})
	return errors.Join(err, f.Close())
}

// contextReader ends when the shell has to.
type contextReader struct {
	s *shell
	r io.Reader
}

func (c contextReader) Read(b []byte) (int, error) {
	if err := c.s.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}

// moveFiles is move, which also renames folders.
func moveFiles(s *shell, args string) (int, error) {
	flags, names := switches(args)
	overwrite := true
	for _, f := range flags {
		switch f {
		case "y":
		case "-y":
			overwrite = false
		default:
			return s.badSyntax()
		}
	}
	if len(names) == 0 || len(names) > 2 {
		return s.badSyntax()
	}
	to := s.dir
	if len(names) == 2 {
		to = names[1]
	}
	dir, list, err := s.glob(strings.TrimRight(names[0], `\/`))
	if err == nil && strings.ContainsAny(baseOf(names[0]), "*?") {
		list = slices.DeleteFunc(list, posh.FileInfo.IsDir)
	}
	if err != nil || len(list) == 0 {
		return s.fail("%s", reason(errOr(err)))
	}
	files, folders := 0, 0
	for _, f := range list {
		from, target := join(dir, f.Name), s.target(to, f.Name)
		if st, err := s.machine.Stat(target); err == nil && !strings.EqualFold(from, target) {
			switch {
			case st.IsDir() || f.IsDir() || st.Attributes&posh.ReadOnly != 0:
				return s.fail("Access is denied.\n        %d file(s) moved.", files)
			case !overwrite:
				return 1, s.refuse("move /-y: it asks whether to replace %s, and nobody is there to answer", quoted(target))
			}
			if err := s.machine.Remove(target); err != nil {
				return s.fail("%s\n        %d file(s) moved.", reason(err), files)
			}
		}
		if err := s.machine.Rename(from, target); err != nil {
			return s.fail("%s\n        %d file(s) moved.", reason(err), files)
		}
		if f.IsDir() {
			folders++
		} else {
			files++
		}
	}
	if folders > 0 {
		s.out("        %d dir(s) moved.\n", folders)
	} else {
		s.out("        %d file(s) moved.\n", files)
	}
	return s.ok()
}

// errOr is an error, or that nothing was found.
func errOr(err error) error {
	if err == nil {
		return errors.New("The system cannot find the file specified.")
	}
	return err
}

func ren(s *shell, args string) (int, error) {
	_, names := switches(args)
	if len(names) != 2 || strings.ContainsAny(names[1], `\/:`) {
		return s.badSyntax()
	}
	dir, list, err := s.glob(names[0])
	if err != nil || len(list) == 0 {
		return s.fail("%s", reason(errOr(err)))
	}
	for _, f := range list {
		target := join(dir, filled(names[1], f.Name))
		if s.isFile(target) && !strings.EqualFold(target, join(dir, f.Name)) {
			return s.fail("A duplicate file name exists, or the file\ncannot be found.")
		}
		if err := s.machine.Rename(join(dir, f.Name), target); err != nil {
			return s.fail("%s", reason(err))
		}
	}
	return s.ok()
}

// del is del and erase.
func del(s *shell, args string) (int, error) {
	flags, names := switches(args)
	var force, deep bool
	var want, not posh.Attributes
	for _, f := range flags {
		switch {
		case f == "f":
			force = true
		case f == "q":
		case f == "s":
			deep = true
		case f == "p":
			return 1, s.refuse("del /p: it asks before each file, and nobody is there to answer")
		case f == "a":
			not = 0
			want = 0
		case strings.HasPrefix(f, "a"):
			var ok bool
			if want, not, ok = attributeSwitch(f[1:]); !ok {
				return s.badSyntax()
			}
		default:
			return s.badSyntax()
		}
	}
	hiddenToo := slices.ContainsFunc(flags, func(f string) bool { return strings.HasPrefix(f, "a") })
	if len(names) == 0 {
		return s.badSyntax()
	}
	failed := false
	for _, name := range names {
		full := s.abs(name)
		if s.isDir(full) {
			full = join(full, "*")
		}
		n := 0
		remove := func(dir string) error {
			_, list, err := s.glob(join(dir, baseOf(full)))
			if err != nil {
				return err
			}
			for _, f := range list {
				if f.IsDir() || !hiddenToo && !visible(f) || f.Attributes&want != want || f.Attributes&not != 0 {
					continue
				}
				n++
				at := join(dir, f.Name)
				if f.Attributes&posh.ReadOnly != 0 && !force && want&posh.ReadOnly == 0 {
					s.complain("%s\nAccess is denied.", at)
					continue
				}
				if err := s.machine.Remove(at); err != nil {
					s.complain("%s\n%s", at, reason(err))
					continue
				}
				if deep {
					s.out("Deleted file - %s\n", at)
				}
			}
			return s.ctx.Err()
		}
		var err error
		if deep {
			err = s.walk(folderOf(full), func(dir string) error {
				if err := remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
				return nil
			})
		} else {
			err = remove(folderOf(full))
		}
		switch {
		case err != nil && !s.isDir(folderOf(full)):
			s.complain("The system cannot find the path specified.")
			failed = true
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			s.complain("%s", reason(err))
			failed = true
		case n == 0:
			s.complain("Could Not Find %s", full)
		}
	}
	if failed {
		s.level = 1
		return 1, nil
	}
	return s.ok()
}

// attributeSwitch reads what stands behind /a: letters, a dash for not.
func attributeSwitch(text string) (want, not posh.Attributes, ok bool) {
	minus := false
	for _, c := range strings.TrimPrefix(text, ":") {
		var bit posh.Attributes
		switch c {
		case '-':
			minus = true
			continue
		case 'r':
			bit = posh.ReadOnly
		case 'h':
			bit = posh.Hidden
		case 's':
			bit = posh.SystemBit
		case 'a':
			bit = posh.Archive
		case 'd':
			bit = posh.Directory
		default:
			return 0, 0, false
		}
		if minus {
			not |= bit
		} else {
			want |= bit
		}
		minus = false
	}
	return want, not, !minus
}

func mkdir(s *shell, args string) (int, error) {
	_, names := switches(args)
	if len(names) == 0 {
		return s.badSyntax()
	}
	failed := false
	for _, name := range names {
		full := s.abs(name)
		if _, err := s.machine.Stat(full); err == nil {
			s.complain("A subdirectory or file %s already exists.", name)
			failed = true
			continue
		}
		if err := s.machine.MakeDir(full); err != nil {
			s.complain("%s", reason(err))
			failed = true
		}
	}
	if failed {
		s.level = 1
		return 1, nil
	}
	return s.ok()
}
