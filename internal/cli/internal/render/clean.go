package render

import (
	"io"
	"strings"

	"github.com/imgflow/imgflow/internal/termsafe"
)

// SafeWriter lets through text only: no byte of what is written to it can drive
// a terminal, whoever made it up: a machine, an endpoint, a template. Each Write
// is a text of its own, so a character must not be divided between two.
type SafeWriter struct{ Raw io.Writer }

// Write writes p without its control sequences.
func (w SafeWriter) Write(p []byte) (int, error) {
	lines := strings.Split(string(p), "\n")
	for i, l := range lines {
		lines[i] = termsafe.Clean(strings.ReplaceAll(strings.TrimRight(l, "\r"), "\r", " "), false) // nothing is overwritten here
	}
	if _, err := io.WriteString(w.Raw, strings.Join(lines, "\n")); err != nil {
		return 0, err
	}
	return len(p), nil
}

// clean takes what could drive a terminal out of a line; colours stay where
// colours are shown.
func (l *Lines) clean(line string) string { return termsafe.Clean(line, l.o.Color) }
