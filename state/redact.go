package state

import (
	"slices"
	"strings"
	"sync"

	"github.com/imgflow/imgflow/dag"
)

// Redacted is what stands in the place of a secret.
const Redacted = "<sensitive>"

// minSecret is the length, in bytes, of the shortest text that is redacted.
// Shorter ones occur in everything: to hide "no" or "443" would hide the log
// and, by the gaps, tell the secret.
const minSecret = 4

// Redactor takes secrets out of text: as they are, and in the [forms] in which
// shells, URLs, JSON and base64 write them. Of a secret of several lines each
// line is one too. The zero Redactor knows no secrets.
//
// A look at one place of a text costs a search in the few forms that begin with
// the same bytes, however many secrets there are.
type Redactor struct {
	mu      sync.RWMutex
	known   map[string]bool
	starts  map[start][]string // forms by their first bytes, each list sorted
	begins  map[string]bool    // all beginnings of forms that are shorter than those
	longest int                // the length of the longest form, in bytes
}

// start is what a form begins with.
type start [minSecret]byte

// Add makes a secret known.
func (r *Redactor) Add(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[secret] {
		return
	}
	if r.known == nil {
		r.known = map[string]bool{}
		r.starts, r.begins = map[start][]string{}, map[string]bool{}
	}
	r.known[secret] = true
	r.learn(secret)
	r.learn(strings.TrimSpace(secret))
	lines := strings.FieldsFunc(secret, func(c rune) bool { return c == '\n' || c == '\r' })
	if len(lines) > 1 {
		r.learn(strings.Join(lines, "\r\n")) // as a file of Windows has it
		for _, l := range lines {
			// The rulers of a PEM block are no secret, and stand in public ones too.
			if l = strings.TrimSpace(l); !strings.HasPrefix(l, "-----") {
				r.learn(l)
			}
		}
	}
}

// learn makes all the forms of one text known.
func (r *Redactor) learn(s string) {
	if len(s) >= minSecret {
		forms(s, r.add)
	}
}

// add makes one form known.
func (r *Redactor) add(form string) {
	if len(form) < minSecret {
		return
	}
	first := start([]byte(form[:minSecret]))
	at, known := slices.BinarySearch(r.starts[first], form)
	if known {
		return
	}
	r.starts[first] = slices.Insert(r.starts[first], at, form)
	for n := 1; n < minSecret; n++ {
		r.begins[form[:n]] = true
	}
	r.longest = max(r.longest, len(form))
}

// match returns the length of the longest form that s begins with.
func (r *Redactor) match(s string) int {
	forms := r.starts[start([]byte(s[:minSecret]))]
	for {
		at, equal := slices.BinarySearch(forms, s)
		switch {
		case equal:
			return len(s)
		case at == 0:
			return 0
		}
		// All that s begins with is in what it shares with the form before it.
		f := forms[at-1]
		if strings.HasPrefix(s, f) {
			return len(f)
		}
		s, forms = s[:shared(s, f)], forms[:at-1]
	}
}

// shared returns for how many bytes two texts are the same.
func shared(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// Redact returns s without the secrets.
func (r *Redactor) Redact(s string) string {
	r.mu.RLock()
	found := r.find(s)
	r.mu.RUnlock()
	if len(found) == 0 {
		return s
	}
	var b strings.Builder
	at := 0
	for _, f := range found {
		b.WriteString(s[at:f.start])
		b.WriteString(Redacted)
		at = f.end
	}
	b.WriteString(s[at:])
	return b.String()
}

// span is a range of bytes: from start up to end.
type span struct{ start, end int }

// find returns where secrets stand in s, in order. Those that overlap are one.
func (r *Redactor) find(s string) []span {
	if len(r.starts) == 0 {
		return nil
	}
	var found []span
	for i := 0; i+minSecret <= len(s); i++ {
		n := r.match(s[i:])
		switch last, end := len(found)-1, i+n; {
		case n == 0:
		case last >= 0 && i < found[last].end:
			found[last].end = max(found[last].end, end)
		default:
			found = append(found, span{i, end})
		}
	}
	return found
}

// Break says after how many bytes of an unfinished line, at most most, the line
// may be broken without tearing a secret: where a break would, it is before the
// secret, or behind one that the line begins with. 0 means that only what follows
// shows whether there is a secret; that it does within the length of the longest
// form bounds what must be waited for.
func (r *Redactor) Break(line string, most int) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	whole := r.find(line)
	open := span{r.beginning(line), len(line) + 1}
	for n := len(whole); n > 0 && whole[n-1].end > open.start; n-- {
		open.start = min(open.start, whole[n-1].start)
		whole = whole[:n-1]
	}
	for _, f := range append(whole, open) {
		switch {
		case f.start >= most || f.end <= most:
		case f.start > 0:
			return f.start
		case f.end <= len(line):
			return f.end
		case len(line) < most+r.longest:
			return 0
		}
	}
	return most
}

// beginning returns where the end of s may be the beginning of a secret, or the
// length of s.
func (r *Redactor) beginning(s string) int {
	for i := max(0, len(s)-r.longest+1); i < len(s); i++ {
		rest := s[i:]
		if len(rest) < minSecret {
			if r.begins[rest] {
				return i
			}
			continue
		}
		forms := r.starts[start([]byte(rest[:minSecret]))]
		at, equal := slices.BinarySearch(forms, rest)
		if equal {
			at++
		}
		if at < len(forms) && strings.HasPrefix(forms[at], rest) {
			return i
		}
	}
	return len(s)
}

// Event returns the event without the secrets.
func (r *Redactor) Event(e dag.Event) dag.Event {
	e.Text, e.Err = r.Redact(e.Text), r.Redact(e.Err)
	return e
}
