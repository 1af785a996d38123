package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"
)

// Bounds of streams.
const (
	maxStreams = 64
	rest       = 250 * time.Millisecond
	breath     = 15 * time.Second // between signs of life, which find out who has gone
)

// stream sends what next returns, as messages of server-sent events, until the client or the
// server goes. Next is called again when its last message was taken: whoever is slow misses
// what is between, and nothing is kept for him. It returns nil for a sign of life. The stream ends,
// too, when other pages of its browser want their turn.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, next func(context.Context) (html []byte, id string, err error)) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		http.Error(w, "cannot follow: too many pages are open; close some", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	turn, done := s.turns.begin(ctx, s.door.browser(r))
	defer done()
	w.Header().Set("Content-Type", "text/event-stream")
	c := http.NewResponseController(w)
	c.SetReadDeadline(time.Time{}) // or the time for reading a request ends its answer
	if c.Flush() != nil {          // the answer begins, however long nothing happens
		return
	}
	for first := true; ; first = false {
		of := turn.Context
		if first {
			of = ctx // however many want their turn, each has one look
		}
		short, stop := context.WithTimeout(of, breath)
		html, id, err := next(short)
		failed := err != nil && short.Err() == nil
		stop()
		if ctx.Err() != nil {
			return
		}
		if failed {
			html = []byte(`<p class="error" role="alert">` + escape(err.Error()) + `</p>`)
		}
		var b bytes.Buffer
		if html == nil {
			b.WriteString(": here\n\n")
		} else {
			if id != "" {
				fmt.Fprintf(&b, "id: %s\n", id)
			}
			for line := range bytes.Lines(html) {
				b.WriteString("data: ")
				b.Write(bytes.TrimRight(line, "\r\n"))
				b.WriteByte('\n')
			}
			b.WriteByte('\n')
		}
		over := turn.Err() != nil
		if over { // without an event of a name its reader would not take in when to ask again
			fmt.Fprintf(&b, "event: turn\nretry: %d\ndata:\n\n", away.Milliseconds())
		}
		c.SetWriteDeadline(time.Now().Add(s.slowest))
		if _, werr := w.Write(b.Bytes()); werr != nil || c.Flush() != nil || over || failed {
			return
		}
	}
}

// pause waits before the next message: a page that costs much to make is made rarely.
func pause(ctx context.Context, took time.Duration) {
	t := time.NewTimer(max(rest, min(20*took, 5*time.Second)))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
