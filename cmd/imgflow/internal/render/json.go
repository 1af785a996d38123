package render

import (
	"encoding/json"
	"io"
	"sync"

	"github.com/imgflow/imgflow/dag"
)

// JSON shows events as one JSON object a line, in the versioned form of
// dag.Event. Its methods may be called from many goroutines.
type JSON struct {
	mu  sync.Mutex
	enc *json.Encoder
}

// NewJSON returns a JSON that writes to w.
func NewJSON(w io.Writer) *JSON {
	enc := json.NewEncoder(w)
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
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
