package live

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// width is how many cells a text takes. Terminals do not agree about joined
// characters: it is the most that any of them takes.
func width(s string) int { return max(ansi.StringWidth(s), ansi.StringWidthWc(s)) }

// fit cuts a text to so many cells. A tab, whose width depends on where it stands,
// becomes a space.
func fit(s string, cells int) string {
	s = strings.ReplaceAll(s, "\t", " ")
	if cells <= 0 {
		return ""
	}
	if len(s) <= cells || width(s) <= cells { // no character takes more cells than bytes
		return s
	}
	for room := cells; room > 0; room-- {
		if t := ansi.Truncate(s, room, "…"); width(t) <= cells {
			return t
		}
	}
	return ""
}

// spread puts one text to the left of a line and one to the right, which counts
// more where there is no room for both.
func spread(left, right string, cells int) string {
	right = fit(right, cells)
	room := cells - width(right)
	if room < 2 {
		return right
	}
	left = fit(left, room-1)
	return left + strings.Repeat(" ", room-width(left)) + right
}

// bar is a bar of so many cells, filled to a share of them.
func bar(share float64, cells int) string {
	const parts = "▏▎▍▌▋▊▉█"
	eighths := int(min(max(share, 0), 1) * float64(cells*8))
	b := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		b += string([]rune(parts)[rest-1])
	}
	return b + strings.Repeat("░", max(0, cells-(eighths+7)/8))
}

// paint gives a text a colour, if there are colours.
func paint(color bool, hue, text string) string {
	if !color || hue == "" || text == "" {
		return text
	}
	return "\x1b[" + hue + "m" + text + plain
}
