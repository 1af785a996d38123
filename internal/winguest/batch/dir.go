package batch

import (
	"slices"
	"sort"
	"strings"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

// free is what dir says is free: the disk is a folder of the host, and scripts
// only look whether it is enough.
const free = 20 << 30

type listing struct {
	bare, deep  bool
	want, not   posh.Attributes
	hidden      bool
	order       string
	files, dirs int
	total       int64
}

func dir(s *shell, args string) (int, error) {
	flags, names := switches(args)
	var l listing
	for _, f := range flags {
		switch {
		case f == "b":
			l.bare = true
		case f == "s":
			l.deep = true
		case f == "a":
			l.hidden = true
		case f[0] == 'a':
			var ok bool
			if l.want, l.not, ok = attributeSwitch(f[1:]); !ok {
				return s.badDir(f)
			}
			l.hidden = (l.want|l.not)&(posh.Hidden|posh.SystemBit) != 0
		case f[0] == 'o':
			if l.order = strings.TrimPrefix(f[1:], ":"); strings.Trim(l.order, "nesdg-") != "" {
				return s.badDir(f)
			}
		case f == "-c" || f == "c" || f == "n" || f == "4" || f == "tw":
		case f == "l" || f == "w" || f == "d" || f == "x" || f == "q" || f == "r" || f == "p" || f[0] == 't':
			return 1, s.unknownSwitch("dir", f)
		default:
			return s.badDir(f)
		}
	}
	if len(names) == 0 {
		names = []string{"."}
	}
	if !l.bare {
		s.volume()
	}
	found := false
	for _, name := range names {
		full := s.abs(name)
		if strings.HasSuffix(name, `\`) || s.isDir(full) {
			full = join(full, "*")
		}
		visit := func(d string) error {
			if s.listed(&l, d, baseOf(full)) {
				found = true
			}
			return s.ctx.Err()
		}
		var err error
		if l.deep {
			err = s.walk(folderOf(full), visit)
		} else {
			err = visit(folderOf(full))
		}
		if err != nil {
			return 1, err
		}
	}
	if !found {
		return s.fail("File Not Found")
	}
	if !l.bare {
		if l.deep {
			s.out("\n     Total Files Listed:\n%16d File(s) %14s bytes\n", l.files, comma(l.total))
		}
		s.out("%16d Dir(s) %15s bytes free\n", l.dirs, comma(free))
	}
	return s.ok()
}

func (s *shell) badDir(f string) (int, error) {
	return s.fail("Parameter format not correct - %q.", f)
}

// listed prints what of a folder a pattern selects, and tells whether anything.
func (s *shell) listed(l *listing, folder, pattern string) bool {
	list, err := s.machine.List(folder)
	if err != nil {
		return false
	}
	list = slices.DeleteFunc(list, func(f posh.FileInfo) bool {
		return !match(pattern, f.Name) || !l.hidden && !visible(f) || f.Attributes&l.want != l.want || f.Attributes&l.not != 0
	})
	whole := pattern == "*" && l.want&^posh.Directory == 0 && l.not&posh.Directory == 0
	if !l.bare && whole && folder[2:] != `\` {
		st, _ := s.machine.Stat(folder)
		up := st
		st.Name, up.Name = ".", ".."
		list = append([]posh.FileInfo{st, up}, list...)
	}
	if len(list) == 0 && !(whole && !l.bare) {
		return false
	}
	l.sort(list)
	if !l.bare {
		s.out("\n Directory of %s\n\n", folder)
	}
	files, size := 0, int64(0)
	for _, f := range list {
		switch {
		case l.bare && l.deep:
			s.out("%s\n", join(folder, f.Name))
		case l.bare:
			s.out("%s\n", f.Name)
		case f.IsDir():
			l.dirs++
			s.out("%s    <DIR>          %s\n", s.local(f.Written).Format("01/02/2006  03:04 PM"), f.Name)
		default:
			files, size = files+1, size+f.Size
			s.out("%s    %14s %s\n", s.local(f.Written).Format("01/02/2006  03:04 PM"), comma(f.Size), f.Name)
		}
	}
	l.files, l.total = l.files+files, l.total+size
	if !l.bare {
		s.out("%16d File(s) %14s bytes\n", files, comma(size))
	}
	return true
}

func (l *listing) sort(list []posh.FileInfo) {
	if l.order == "" {
		return
	}
	sort.SliceStable(list, func(i, k int) bool {
		a, b := list[i], list[k]
		minus := false
		for _, c := range l.order {
			if c == '-' {
				minus = true
				continue
			}
			r := 0
			switch c {
			case 'n':
				r = strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
			case 'e':
				_, x := splitExt(a.Name)
				_, y := splitExt(b.Name)
				r = strings.Compare(strings.ToLower(x), strings.ToLower(y))
			case 's':
				r = int(max(-1, min(1, a.Size-b.Size)))
			case 'd':
				r = a.Written.Compare(b.Written)
			case 'g':
				switch {
				case a.IsDir() && !b.IsDir():
					r = -1
				case b.IsDir() && !a.IsDir():
					r = 1
				}
			}
			if minus {
				r = -r
			}
			minus = false
			if r != 0 {
				return r < 0
			}
		}
		return false
	})
}
