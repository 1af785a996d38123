package render

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf16"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/termsafe"
)

// JSON shows events as one JSON object a line, in the versioned form of
// dag.Event. Its methods may be called from many goroutines.
type JSON struct {
	mu  sync.Mutex
	enc *json.Encoder
}

// NewJSON returns a JSON that writes to w.
func NewJSON(w io.Writer) *JSON {
	enc := json.NewEncoder(escaping{w})
	enc.SetEscapeHTML(false)
	return &JSON{enc: enc}
}

// Event writes one event.
func (j *JSON) Event(e dag.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.enc.Encode(e) // nobody is left to tell when the output is gone
}

// Indented writes any value as JSON for people and programs alike.
func Indented(w io.Writer, v any) error {
	enc := json.NewEncoder(escaping{w})
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// escaping writes JSON in which each character that could drive or mislead a
// terminal is escaped, and the second of two #, with which commands of servers of CI
// begin: they stand in a string, and are the same to a program.
type escaping struct{ w io.Writer }

func (e escaping) Write(p []byte) (int, error) {
	text := strings.ReplaceAll(string(p), "##", `#\u0023`)
	if strings.IndexFunc(text, special) >= 0 {
		var b strings.Builder
		for _, r := range text {
			if special(r) {
				for _, u := range utf16.AppendRune(nil, r) {
					fmt.Fprintf(&b, `\u%04x`, u)
				}
				continue
			}
			b.WriteRune(r)
		}
		text = b.String()
	}
	if _, err := io.WriteString(e.w, text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// special says whether a character must be escaped. The encoder has done so with
// those below a space that stand in a string; what is left is its own line ends.
func special(r rune) bool { return r != '\n' && termsafe.Unsafe(r) }
