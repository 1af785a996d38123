package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/termsafe"
)

// Bounds of a log page.
const (
	maxLines = 500 // of the past, and of one message
	maxWidth = 4000
)

// line is one of a log.
type line struct {
	Time             time.Time
	Builds           []string
	Step, Class      string
	Before, Hit, End string // of the text; Hit is what was looked for
}

// filter says which lines are wanted.
type filter struct{ Build, Step, Query string }

func filterOf(r *http.Request) filter {
	q := r.URL.Query()
	return filter{q.Get("build"), q.Get("step"), q.Get("q")}
}

// Values is the filter as part of an address.
func (f filter) Values() string {
	v := url.Values{}
	for name, value := range map[string]string{"build": f.Build, "step": f.Step, "q": f.Query} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v.Encode()
}

// lines are what an event says, as far as the filter wants it.
func (f filter) lines(e dag.Event) (ls []line) {
	if f.Build != "" && !slices.Contains(e.Builds, f.Build) || f.Step != "" && e.Step != f.Step {
		return nil
	}
	text, class := e.Text, "said"
	switch e.Type {
	case dag.Printed:
		if strings.HasPrefix(e.Stream, "exit") {
			return nil
		}
		class, _, _ = strings.Cut(e.Stream, "/")
	case dag.Started, dag.Said, dag.Detail, dag.Adopted, dag.Rebuilt:
	case dag.Awaited, dag.Borrowed:
		if text == "" {
			return nil
		}
	case dag.Warned:
		class = "warn"
	case dag.Retrying:
		text, class = fmt.Sprintf("%s; the next try in %s", e.Err, e.Wait.Round(time.Second/10)), "warn"
	case dag.Failed, dag.Left:
		text, class = e.Err, "stderr"
	case dag.RunBegun:
		text = "the run is driven"
	case dag.RunEnded:
		text = strings.TrimSpace("the run is " + e.Text + " " + e.Err)
	default:
		return nil
	}
	for t := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		t = termsafe.Clean(t, false)
		if len(t) > maxWidth {
			t = strings.ToValidUTF8(t[:maxWidth], "") + "…"
		}
		l := line{Time: e.Time, Builds: e.Builds, Step: termsafe.Clean(e.Step, false), Class: class, Before: t}
		if f.Query != "" {
			var ok bool
			if l.Before, l.Hit, l.End, ok = cutFold(t, f.Query); !ok {
				continue
			}
		}
		ls = append(ls, l)
	}
	return ls
}

// cutFold cuts a text where another stands in it, without looking at the case of letters.
func cutFold(s, what string) (before, hit, end string, ok bool) {
	for i := range s {
		if n := min(len(s)-i, len(what)); n == len(what) && strings.EqualFold(s[i:i+n], what) {
			return s[:i], s[i : i+n], s[i+n:], true
		}
	}
	return s, "", "", false
}

// readLog reads what the filter wants behind a position, the last maxLines of it.
func (s *Server) readLog(ctx context.Context, id string, f filter, from int64) (ls []line, more int, at int64, err error) {
	at, err = s.o.Home.EachEvent(id, from, func(e dag.Event) error {
		ls = append(ls, f.lines(e)...)
		if n := len(ls); n > 4*maxLines { // cut now and then, not each time
			more += n - maxLines
			ls = append(ls[:0], ls[n-maxLines:]...)
		}
		return ctx.Err()
	})
	if n := len(ls); n > maxLines {
		more += n - maxLines
		ls = ls[n-maxLines:]
	}
	return ls, more, at, err // what there is, also when the time is over
}

type logData struct {
	pageData
	Run    string
	Filter filter
	Lines  []line
	More   int
	At     int64
}

func (s *Server) logPage(w http.ResponseWriter, r *http.Request) {
	sum, ok := s.run(w, r)
	if !ok {
		return
	}
	d := logData{pageData: s.data("Log of run " + sum.ID), Run: sum.ID, Filter: filterOf(r)}
	var err error
	if d.Lines, d.More, d.At, err = s.readLog(r.Context(), sum.ID, d.Filter, 0); err != nil {
		s.failed(w, http.StatusInternalServerError, err)
		return
	}
	s.show(w, http.StatusOK, "log-page", d)
}

// logStream sends the lines that come after those of the page.
func (s *Server) logStream(w http.ResponseWriter, r *http.Request) {
	sum, ok := s.run(w, r)
	if !ok {
		return
	}
	f := filterOf(r)
	at, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64)
	if err != nil {
		at, err = strconv.ParseInt(r.URL.Query().Get("from"), 10, 64)
	}
	if err != nil || at < 0 {
		http.Error(w, "cannot follow a log from no position", http.StatusBadRequest)
		return
	}
	s.stream(w, r, func(ctx context.Context) ([]byte, string, error) {
		for {
			ls, more, next, err := s.readLog(ctx, sum.ID, f, at)
			at = next
			if err != nil && ctx.Err() == nil {
				return nil, "", err
			}
			if len(ls) > 0 {
				var b bytes.Buffer
				err := s.pages.ExecuteTemplate(&b, "log-lines", logData{Lines: ls, More: more})
				return b.Bytes(), strconv.FormatInt(at, 10), err
			}
			if pause(ctx, 0); ctx.Err() != nil {
				return nil, "", ctx.Err()
			}
		}
	})
}
