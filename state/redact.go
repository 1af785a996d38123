package state

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"

	"github.com/imgflow/imgflow/dag"
)

// Redacted is what stands in the place of a secret.
const Redacted = "<sensitive>"

// minSecret is the length, in bytes, of the shortest text that is redacted.
// Shorter ones occur in everything: to hide "no" or "443" would hide the log
// and, by the gaps, tell the secret.
const minSecret = 4

// Redactor takes secrets out of text: as they are, and in the forms in which
// shells, URLs, JSON and base64 write them. Of a secret of several lines each
// line is one too. The zero Redactor knows no secrets.
type Redactor struct {
	mu      sync.RWMutex
	known   map[string]bool
	forms   map[string]bool
	starts  map[string][]string // forms by their first minSecret bytes
	begins  map[string]bool     // all beginnings of forms that are shorter than that
	longest int                 // the length of the longest form, in bytes
}

// Add makes a secret known.
func (r *Redactor) Add(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[secret] {
		return
	}
	if r.known == nil {
		r.known, r.forms = map[string]bool{}, map[string]bool{}
		r.starts, r.begins = map[string][]string{}, map[string]bool{}
	}
	r.known[secret] = true
	r.learn(secret)
	r.learn(strings.TrimSpace(secret))
	lines := strings.FieldsFunc(secret, func(c rune) bool { return c == '\n' || c == '\r' })
	if len(lines) > 1 {
		for _, l := range lines {
			// The rulers of a PEM block are no secret, and stand in public ones too.
			if l = strings.TrimSpace(l); !strings.HasPrefix(l, "-----") {
				r.learn(l)
			}
		}
	}
}

// add makes one form known.
func (r *Redactor) add(form string) {
	if len(form) < minSecret || r.forms[form] {
		return
	}
	r.forms[form] = true
	start := form[:minSecret]
	r.starts[start] = append(r.starts[start], form)
	for n := 1; n < minSecret; n++ {
		r.begins[form[:n]] = true
	}
	r.longest = max(r.longest, len(form))
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
	if len(r.forms) == 0 {
		return nil
	}
	var found []span
	for i := 0; i+minSecret <= len(s); i++ {
		end := 0
		for _, f := range r.starts[s[i:i+minSecret]] {
			if strings.HasPrefix(s[i:], f) {
				end = max(end, i+len(f))
			}
		}
		switch last := len(found) - 1; {
		case end == 0:
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
		for _, f := range r.starts[rest[:minSecret]] {
			if len(f) > len(rest) && strings.HasPrefix(f, rest) {
				return i
			}
		}
	}
	return len(s)
}

// Event returns the event without the secrets.
func (r *Redactor) Event(e dag.Event) dag.Event {
	e.Text, e.Err = r.Redact(e.Text), r.Redact(e.Err)
	return e
}

// learn adds all the forms of one secret.
func (r *Redactor) learn(s string) {
	if len(s) < minSecret {
		return
	}
	add := r.add
	add(s)
	add(strings.ToValidUTF8(s, "\uFFFD")) // as output is kept

	// Shells: inside '', inside "", and by backslashes as printf %q writes it.
	add(strings.ReplaceAll(s, `'`, `'\''`))
	add(strings.ReplaceAll(s, `'`, `'"'"'`))
	add(escape(s, `\`, "\\\"$`"))
	add(escape(s, `\`, "\\\"$`!"))
	add(escape(s, `\`, " !\"#$&'()*;<>?[\\]^`{|}~,"))

	// PowerShell: inside "" and inside ''; cmd.
	add(escape(s, "`", "`$\""))
	add(escape(s, "`", "`$\"'"))
	add(strings.ReplaceAll(s, `'`, `''`))
	add(escape(s, `^`, `^&|<>"`))

	// JSON and Go, with and without the characters of HTML; XML.
	add(unquoted(strconv.Quote(s)))
	if p, err := json.Marshal(s); err == nil {
		add(unquoted(string(p)))
		add(unquoted(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(p))))
	}
	add(html.EscapeString(s))
	add(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;").Replace(s))

	// URLs, with the hexadecimal digits of either case.
	for _, u := range []string{url.QueryEscape(s), url.PathEscape(s), strings.ReplaceAll(url.QueryEscape(s), "+", "%20")} {
		add(u)
		add(lowerPercent(u))
	}
	add(hex.EncodeToString([]byte(s)))

	// Base64, also when it stands inside of something longer, and in lines.
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		whole := enc.EncodeToString([]byte(s))
		add(whole)
		add(strings.TrimRight(whole, "="))
		for _, width := range []int{64, 76} {
			for i := 0; len(whole) > width && i < len(whole); i += width {
				if l := whole[i:min(i+width, len(whole))]; len(l) >= minEncoded {
					add(l)
				}
			}
		}
		for shift := range 3 {
			// PowerShell encodes a command as UTF-16.
			for _, text := range []string{s, wide(s)} {
				if in := inside(enc, text, shift); len(in) >= minEncoded {
					add(in)
				}
			}
		}
	}
}

// minEncoded is the shortest piece of base64 that is taken for a secret: less
// could be any word.
const minEncoded = 6

// inside returns the digits that s always has in the base64 of a longer text
// in which shift bytes (modulo 3) stand before it.
func inside(enc *base64.Encoding, s string, shift int) string {
	e := enc.WithPadding(base64.NoPadding).EncodeToString(append(make([]byte, shift), s...))
	from := (8*shift + 5) / 6      // the first digit that is made of s alone
	to := 8 * (shift + len(s)) / 6 // behind the last one
	return e[min(from, to):to]
}

// wide returns s in UTF-16, little end first.
func wide(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

// escape puts mark before every character of set.
func escape(s, mark, set string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(set, s[i]) >= 0 {
			b.WriteString(mark)
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unquoted(s string) string { return s[1 : len(s)-1] }

func lowerPercent(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], strings.ToLower(string(b[i+1:i+3])))
		}
	}
	return string(b)
}
