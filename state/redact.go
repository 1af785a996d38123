package state

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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
	mu    sync.Mutex
	known map[string]bool
	forms map[string]bool
	r     atomic.Pointer[strings.Replacer]
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
	}
	r.known[secret] = true
	before := len(r.forms)
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
	if len(r.forms) == before {
		return
	}
	// At one place of the text the first match wins: the longest must be first.
	forms := make([]string, 0, len(r.forms))
	for f := range r.forms {
		forms = append(forms, f)
	}
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	pairs := make([]string, 0, 2*len(forms))
	for _, f := range forms {
		pairs = append(pairs, f, Redacted)
	}
	r.r.Store(strings.NewReplacer(pairs...))
}

// Redact returns s without the secrets. It takes one pass.
func (r *Redactor) Redact(s string) string {
	if rep := r.r.Load(); rep != nil && len(s) >= minSecret {
		return rep.Replace(s)
	}
	return s
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
	add := func(form string) {
		if len(form) >= minSecret {
			r.forms[form] = true
		}
	}
	add(s)

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
