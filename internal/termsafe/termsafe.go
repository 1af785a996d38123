// Package termsafe takes out of somebody else's text what could drive or mislead a
// terminal: whatever a machine, an endpoint or a template makes up, a reader sees
// text and nothing else.
package termsafe

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean takes everything out of a line that could change the terminal. What a
// carriage return would have overwritten is dropped. Colours stay if color says so.
// What is no character, or would turn the direction of those around it, becomes
// U+FFFD and does not vanish: its neighbours must not meet, since two stray bytes
// can be half a control character each.
func Clean(line string, color bool) string {
	line = strings.TrimRight(line, "\r")
	if i := strings.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:]
	}
	if utf8.ValidString(line) && strings.IndexFunc(line, Unsafe) < 0 {
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
		r, size := utf8.DecodeRuneInString(line[i:])
		switch {
		case isControl(r):
		case Unsafe(r):
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteRune(r) // U+FFFD for a byte that is not UTF-8
		}
		i += size
	}
	return b.String()
}

// Unsafe says whether a character does more than to stand where it is.
func Unsafe(r rune) bool { return isControl(r) || turns(r) }

func isControl(r rune) bool { return r != '\t' && unicode.IsControl(r) }

// turns says whether a character changes how those around it are laid out, so
// that a line reads as what it is not: the controls of direction, the old ones
// (U+206A to U+206F) too, the separators of lines and paragraphs, and the tags,
// which nobody sees.
func turns(r rune) bool {
	return unicode.Is(unicode.Bidi_Control, r) || r == 0x2028 || r == 0x2029 ||
		r >= 0x206a && r <= 0x206f || r >= 0xe0000 && r <= 0xe007f
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
