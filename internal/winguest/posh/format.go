package posh

import (
	"fmt"
	"strings"
	"time"
)

// formatter turns objects into lines of text: plain values at once, objects with
// properties as tables or lists when their kind changes.
type formatter struct {
	s     *shell
	line  func(string) error
	group []any
	shape string
	cols  []string
	table bool
}

func (f *formatter) put(v any) error {
	switch x := v.(type) {
	case nil:
		return nil
	case string:
		if err := f.flush(); err != nil {
			return err
		}
		return f.line(x)
	case literal:
		return f.put(x.v)
	case *errorRecord:
		if err := f.flush(); err != nil {
			return err
		}
		return f.lines(f.s.errorText(x))
	case *formatted:
		if err := f.flush(); err != nil {
			return err
		}
		for _, l := range x.lines {
			if err := f.line(l); err != nil {
				return err
			}
		}
		return nil
	case time.Time:
		if err := f.flush(); err != nil {
			return err
		}
		if f.s.core {
			return f.lines("\n" + x.Format("Monday, 02 January 2006 15:04:05") + "\n")
		}
		return f.lines("\n" + x.Format("Monday, January 2, 2006 3:04:05 PM") + "\n\n")
	case *Hash:
		for _, e := range x.entries() {
			if err := f.put(e); err != nil {
				return err
			}
		}
		return nil
	}
	if e, ok := list(v); ok {
		for _, x := range e {
			if err := f.put(x); err != nil {
				return err
			}
		}
		return nil
	}
	cols, table := f.s.columns(v)
	if cols == nil {
		if err := f.flush(); err != nil {
			return err
		}
		return f.line(f.s.text(v))
	}
	shape := typeNameOf(v) + "\x00" + strings.Join(cols, "\x00")
	if in, ok := v.(*fileItem); ok {
		shape += f.s.parentPath(in.path)
	}
	if shape != f.shape {
		if err := f.flush(); err != nil {
			return err
		}
		f.shape, f.cols, f.table = shape, cols, table
	}
	f.group = append(f.group, v)
	if len(f.group) > 100_000 {
		return f.flush()
	}
	return nil
}

func (f *formatter) lines(text string) error {
	for _, l := range strings.Split(text, "\n") {
		if err := f.line(l); err != nil {
			return err
		}
	}
	return nil
}

// columns are the properties that an object is shown with; nil shows its text.
func (s *shell) columns(v any) (cols []string, table bool) {
	switch x := v.(type) {
	case *Object:
		if x.Show != nil {
			return x.Show, len(x.Show) <= 6
		}
		if len(x.props) == 0 || x.Text != nil {
			return nil, false
		}
		n := x.Names()
		return n, len(n) <= 4
	case *fileItem:
		return []string{"Mode", "LastWriteTime", "Length", "Name"}, true
	case *commandInfo:
		return []string{"CommandType", "Name", "Version", "Source"}, true
	case *psObject, *enumerator, *propertySet:
		return nil, false
	case time.Duration:
		n := s.propertyNames(v)
		return n, false
	case *exception, *Type, enumVal, *Block:
		return nil, false
	case interface{ names() []string }:
		n := x.names()
		return n, len(n) <= 4
	}
	return nil, false
}

func (f *formatter) flush() error {
	if len(f.group) == 0 {
		return nil
	}
	group := f.group
	f.group, f.shape = nil, ""
	var text []string
	if f.table {
		text = f.s.tableText(group, f.cols, nil, false)
	} else {
		text = f.s.listText(group, f.cols)
	}
	for _, l := range text {
		if err := f.line(l); err != nil {
			return err
		}
	}
	return nil
}

// formatted is what Format-Table and Format-List give.
type formatted struct{ lines []string }

func (f *formatted) typeName() string {
	return "Microsoft.PowerShell.Commands.Internal.Format.FormatEntryData"
}

func (s *shell) cell(v any, name string, calc map[string]*Block) (text string, right bool) {
	var x any
	if b, ok := calc[name]; ok {
		out, err := s.invokeBlock(b, v, nil)
		if err != nil {
			return "", false
		}
		x = collect(out)
	} else {
		x, _, _ = s.get(v, name)
	}
	if l, ok := x.(*Array); ok {
		var part []string
		for i, e := range l.Elem {
			if i == 4 {
				part = append(part, "...")
				break
			}
			part = append(part, s.text(e))
		}
		return "{" + strings.Join(part, ", ") + "}", false
	}
	if t, ok := x.(time.Time); ok {
		return t.Format("1/2/2006 3:04:05 PM"), false
	}
	return oneLine(s.text(x)), isNumber(x)
}

func oneLine(t string) string {
	t, _, _ = strings.Cut(t, "\n")
	return strings.TrimRight(t, "\r")
}

func pad(t string, width int, right bool) string {
	n := width - len([]rune(t))
	if n <= 0 {
		return t
	}
	if right {
		return strings.Repeat(" ", n) + t
	}
	return t + strings.Repeat(" ", n)
}

func (s *shell) tableText(group []any, cols []string, calc map[string]*Block, hide bool) []string {
	rows := make([][]string, len(group))
	width := make([]int, len(cols))
	right := make([]bool, len(cols))
	for c, n := range cols {
		width[c] = len([]rune(n))
		right[c] = true
	}
	for i, v := range group {
		for c, n := range cols {
			t, r := s.cell(v, n, calc)
			rows[i] = append(rows[i], t)
			width[c] = max(width[c], len([]rune(t)))
			right[c] = right[c] && r
		}
	}
	out := []string{""}
	join := func(cells []string) {
		var b strings.Builder
		for c, t := range cells {
			if c > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(pad(t, width[c], right[c]))
		}
		out = append(out, strings.TrimRight(b.String(), " "))
	}
	if in, ok := group[0].(*fileItem); ok {
		out = append(out, "", "    Directory: "+s.parentPath(in.path), "", "")
	}
	if !hide {
		join(cols)
		dash := make([]string, len(cols))
		for c, n := range cols {
			dash[c] = strings.Repeat("-", len([]rune(n)))
		}
		join(dash)
	}
	for _, r := range rows {
		join(r)
	}
	return append(out, "", "")
}

func (s *shell) listText(group []any, cols []string) []string {
	out := []string{""}
	width := 0
	for _, n := range cols {
		width = max(width, len([]rune(n)))
	}
	for _, v := range group {
		out = append(out, "")
		for _, n := range cols {
			t, _ := s.cell(v, n, nil)
			out = append(out, fmt.Sprintf("%s : %s", pad(n, width, false), t))
		}
	}
	return append(out, "", "", "")
}

// asText is what Out-String and files get of some objects.
func (s *shell) asText(values []any) ([]string, error) {
	var out []string
	f := &formatter{s: s, line: func(l string) error { out = append(out, l); return nil }}
	for _, v := range values {
		if err := f.put(v); err != nil {
			return nil, err
		}
	}
	return out, f.flush()
}
