package posh

import (
	"strings"
)

func (c *Call) delimiter() (string, error) {
	d := ","
	if c.Has("Delimiter") {
		d = c.Str("Delimiter")
	}
	if length16(d) != 1 {
		return "", &Error{ID: "CannotConvertArgumentNoMessage", Category: "InvalidArgument", Message: "A delimiter is one character, not '" + d + "'."}
	}
	return d, nil
}

func toCSV(c *Call) error {
	s := c.sh
	d, err := c.delimiter()
	if err != nil {
		return err
	}
	values := gathered(c)
	if len(values) == 0 {
		return nil
	}
	names := s.propertyNames(values[0])
	quote := func(t string) string { return `"` + strings.ReplaceAll(t, `"`, `""`) + `"` }
	if !c.On("NoTypeInformation") && !s.core {
		if err := c.out.put("#TYPE " + typeNameOf(values[0])); err != nil {
			return err
		}
	}
	var head []string
	for _, n := range names {
		head = append(head, quote(n))
	}
	if err := c.out.put(strings.Join(head, d)); err != nil {
		return err
	}
	for _, v := range values {
		var row []string
		for _, n := range names {
			x, _, err := s.get(v, n)
			if err != nil {
				return err
			}
			if x == nil {
				row = append(row, "")
				continue
			}
			row = append(row, quote(s.text(x)))
		}
		if err := c.out.put(strings.Join(row, d)); err != nil {
			return err
		}
	}
	return nil
}

func fromCSV(c *Call) error {
	d, err := c.delimiter()
	if err != nil {
		return err
	}
	var lines []string
	for _, v := range gathered(c) {
		lines = append(lines, splitLines(toText(v))...)
	}
	rows := csvRows(strings.Join(lines, "\n"), d[0])
	head := c.Strs("Header")
	for _, r := range rows {
		if len(r) > 0 && strings.HasPrefix(r[0], "#TYPE") && head == nil {
			continue
		}
		if head == nil {
			head = r
			continue
		}
		o := &Object{}
		for i, n := range head {
			if i < len(r) {
				o.Set(n, r[i])
			} else {
				o.Set(n, nil)
			}
		}
		if err := c.out.put(o); err != nil {
			return err
		}
	}
	return nil
}

// csvRows takes text apart; a quoted field may hold line ends.
func csvRows(t string, d byte) [][]string {
	var rows [][]string
	var row []string
	var f strings.Builder
	in, some := false, false
	for i := 0; i < len(t); i++ {
		ch := t[i]
		switch {
		case in && ch == '"' && i+1 < len(t) && t[i+1] == '"':
			f.WriteByte('"')
			i++
		case ch == '"':
			in, some = !in, true
		case in:
			f.WriteByte(ch)
		case ch == d:
			row = append(row, f.String())
			f.Reset()
			some = true
		case ch == '\n':
			if some || f.Len() > 0 {
				rows = append(rows, append(row, f.String()))
			}
			row, some = nil, false
			f.Reset()
		default:
			f.WriteByte(ch)
		}
	}
	if some || f.Len() > 0 {
		rows = append(rows, append(row, f.String()))
	}
	return rows
}
