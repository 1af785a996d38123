package wsman

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// parseDuration reads an xs:duration. Years and months are no fixed time and
// therefore refused, as is anything below zero.
func parseDuration(s string) (time.Duration, bool) {
	s, ok := strings.CutPrefix(s, "P")
	if !ok || s == "" {
		return 0, false
	}
	days, clock, timed := strings.Cut(s, "T")
	if timed && clock == "" {
		return 0, false
	}
	var total float64
	take := func(part string, units string, seconds map[byte]float64) bool {
		for part != "" {
			i := strings.IndexAny(part, units)
			if i <= 0 {
				return false
			}
			number, unit := part[:i], part[i]
			if strings.Trim(number, "0123456789.") != "" || strings.Contains(number, ".") && unit != 'S' {
				return false
			}
			n, err := strconv.ParseFloat(number, 64)
			if err != nil {
				return false
			}
			total += n * seconds[unit]
			units = units[strings.IndexByte(units, unit)+1:]
			part = part[i+1:]
		}
		return true
	}
	if !take(days, "D", map[byte]float64{'D': 86400}) || !take(clock, "HMS", map[byte]float64{'H': 3600, 'M': 60, 'S': 1}) {
		return 0, false
	}
	if total > math.MaxInt32 {
		return 0, false
	}
	return time.Duration(total * float64(time.Second)), true
}

// formatSeconds is a duration as Windows writes time limits.
func formatSeconds(d time.Duration) string { return fmt.Sprintf("PT%.3fS", d.Seconds()) }

// formatClock is a duration as Windows writes the ages of shells.
func formatClock(d time.Duration) string {
	s := int(d.Seconds())
	return fmt.Sprintf("P%dDT%dH%dM%dS", s/86400, s/3600%24, s/60%60, s%60)
}
