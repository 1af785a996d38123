package winguest

import "strings"

// firstWord cuts the program off a command line. CreateProcess reads it without
// the escapes of C's runtime: up to the next quote, or up to the next blank.
func firstWord(line string) (word, rest string) {
	line = strings.TrimLeft(line, " \t")
	if strings.HasPrefix(line, `"`) {
		word, rest, _ = strings.Cut(line[1:], `"`)
		return word, strings.TrimLeft(rest, " \t")
	}
	i := strings.IndexAny(line, " \t")
	if i < 0 {
		return line, ""
	}
	return line[:i], strings.TrimLeft(line[i:], " \t")
}

// Split splits the arguments of a command line as C's runtime does: blanks
// separate, quotes hold together, a backslash is one except before a quote.
func Split(line string) []string {
	args := []string{}
	for i := 0; ; {
		for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
			i++
		}
		if i == len(line) {
			return args
		}
		var b strings.Builder
		for quoted := false; i < len(line); {
			n := 0
			for i < len(line) && line[i] == '\\' {
				n++
				i++
			}
			if i < len(line) && line[i] == '"' {
				b.WriteString(strings.Repeat(`\`, n/2))
				switch {
				case n%2 == 1:
					b.WriteByte('"')
				case quoted && i+1 < len(line) && line[i+1] == '"': // "" in quotes is one
					b.WriteByte('"')
					i++
				default:
					quoted = !quoted
				}
				i++
				continue
			}
			b.WriteString(strings.Repeat(`\`, n))
			if i == len(line) || !quoted && (line[i] == ' ' || line[i] == '\t') {
				break
			}
			b.WriteByte(line[i])
			i++
		}
		args = append(args, b.String())
	}
}

// Quote makes of words a line that Split reads as these words again.
func Quote(words ...string) string {
	var b strings.Builder
	for n, w := range words {
		if n > 0 {
			b.WriteByte(' ')
		}
		if w != "" && !strings.ContainsAny(w, " \t\"") {
			b.WriteString(w)
			continue
		}
		b.WriteByte('"')
		slashes := 0
		for i := range len(w) {
			switch w[i] {
			case '\\':
				slashes++
				continue
			case '"':
				b.WriteString(strings.Repeat(`\`, 2*slashes+1))
			default:
				b.WriteString(strings.Repeat(`\`, slashes))
			}
			slashes = 0
			b.WriteByte(w[i])
		}
		b.WriteString(strings.Repeat(`\`, 2*slashes))
		b.WriteByte('"')
	}
	return b.String()
}
