package render

import (
	"fmt"
	"strings"
	"time"
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

// Progress writes how much of the work is done.
func Progress(count, total int64, unit string) string {
	amount := func(n int64) string { return fmt.Sprintf("%d", n) }
	if unit == "bytes" || unit == "B" {
		amount, unit = Bytes, ""
	}
	if unit == "%" || unit == "percent" {
		return fmt.Sprintf("%d %%", count)
	}
	if unit != "" {
		unit = " " + unit
	}
	if total <= 0 {
		return amount(count) + unit
	}
	return fmt.Sprintf("%d %% (%s of %s%s)", count*100/total, amount(count), amount(total), unit)
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
