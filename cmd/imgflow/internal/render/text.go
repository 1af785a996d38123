package render

import (
	"fmt"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// Duration writes a time span with no more digits than a person wants.
func Duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	s := d.Round(time.Second).String()
	if rest, ok := strings.CutSuffix(s, "m0s"); ok {
		s = rest + "m"
	}
	if rest, ok := strings.CutSuffix(s, "h0m"); ok {
		s = rest + "h"
	}
	return s
}

// progress writes how much of the work is done.
func progress(e dag.Event) string {
	unit := e.Unit
	amount := func(n int64) string { return fmt.Sprintf("%d", n) }
	if unit == "bytes" || unit == "B" {
		amount, unit = Bytes, ""
	}
	if unit == "%" || unit == "percent" {
		return fmt.Sprintf("%d %%", e.Count)
	}
	if unit != "" {
		unit = " " + unit
	}
	if e.Total <= 0 {
		return amount(e.Count) + unit
	}
	return fmt.Sprintf("%d %% (%s of %s%s)", e.Count*100/e.Total, amount(e.Count), amount(e.Total), unit)
}

// Bytes writes a size in the largest unit that keeps it above one.
func Bytes(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1000, 0
	for v >= 1000 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	return fmt.Sprintf("%.1f %cB", v, units[i])
}

// clean takes everything out of a line of remote output that could change the
// terminal. What a carriage return would have overwritten is dropped. Colours
// stay where colours are shown.
func (l *Lines) clean(line string) string { return clean(line, l.o.Color) }

func clean(line string, color bool) string {
	line = strings.TrimRight(line, "\r")
	if i := strings.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:]
	}
	if strings.IndexFunc(line, isControl) < 0 {
		return line
	}
	var b strings.Builder
	for i := 0; i < len(line); {
		if line[i] == 0x1b {
			n := sequence(line[i:])
			if color && isColor(line[i:i+n]) {
				b.WriteString(line[i : i+n])
			}
			i += n
			continue
		}
		r, size := rune(line[i]), 1
		if r >= 0x80 {
			r, size = decode(line[i:])
		}
		if !isControl(r) {
			b.WriteString(line[i : i+size])
		}
		i += size
	}
	return b.String()
}

func decode(s string) (rune, int) {
	for i, r := range s {
		if i == 0 {
			n := len(string(r))
			if r == 0xFFFD && !strings.HasPrefix(s, "\uFFFD") {
				n = 1 // a byte that is not UTF-8
			}
			return r, n
		}
	}
	return 0, 1
}

func isControl(r rune) bool {
	return r < 0x20 && r != '\t' || r >= 0x7f && r < 0xa0
}

// sequence is the length of the escape sequence that s begins with.
func sequence(s string) int {
	if len(s) < 2 {
		return len(s)
	}
	switch s[1] {
	case '[': // control sequence: up to a letter or sign from @ to ~
		for i := 2; i < len(s); i++ {
			if s[i] >= 0x40 && s[i] <= 0x7e {
				return i + 1
			}
		}
		return len(s)
	case ']', 'P', 'X', '^', '_': // a string: up to BEL or ESC \
		for i := 2; i < len(s); i++ {
			if s[i] == 0x07 {
				return i + 1
			}
			if s[i] == 0x1b && i+1 < len(s) && s[i+1] == '\\' {
				return i + 2
			}
		}
		return len(s)
	}
	return 2
}

func isColor(seq string) bool {
	return strings.HasPrefix(seq, "\x1b[") && strings.HasSuffix(seq, "m") &&
		strings.Trim(seq[2:len(seq)-1], "0123456789;:") == ""
}
