package state

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
)

// awkward are values that every way of writing changes, and each another one.
var awkward = map[string]string{
	"quotes":     `it's "so" quoted''""`,
	"newlines":   "first line\nsecond line\r\n\tthird line\n",
	"backticks":  "`date`$(date)${HOME}!x",
	"percent":    "100%25 of a+b&c=d/e?f#g",
	"umlauts":    "Mädchenträume größer 🎈 süß",
	"backslash":  `C:\new\"table"\\share`,
	"html":       "<a href='x'>&amp;</a>",
	"controls":   "a\x1b[31mred\x01\x7f\btail",
	"plain":      "hunter2hunter2",
	"eight KiB":  strings.Repeat("8 KiB: \"é\" 'x' /%`$\\ \n", 8<<10/27),
	"one length": strings.Repeat("Zz9/+", 8<<10/5),
}

// asciiJSON writes as Python and PHP do, without the marks.
func asciiJSON(s, format string) string {
	p, _ := json.Marshal(s)
	var b strings.Builder
	for _, c := range strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(unquoted(string(p))) {
		if c < 0x80 {
			b.WriteRune(c)
			continue
		}
		for _, u := range utf16.Encode([]rune{c}) {
			fmt.Fprintf(&b, format, u)
		}
	}
	return b.String()
}

func plainJSON(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s)
	return unquoted(strings.TrimSpace(b.String()))
}

// wrapped breaks a text after every so many bytes.
func wrapped(s string, width int) string {
	var b strings.Builder
	for ; len(s) > width; s = s[width:] {
		b.WriteString(s[:width] + "\n")
	}
	return b.String() + s
}

// whole are encodings of which nothing may be left.
var whole = map[string]func(string) string{
	"as it is":   func(s string) string { return s },
	"sh '\\''":   func(s string) string { return strings.ReplaceAll(s, `'`, `'\''`) },
	"sh '\"'\"'": func(s string) string { return strings.ReplaceAll(s, `'`, `'"'"'`) },
	"sh \"\"": func(s string) string {
		return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`").Replace(s)
	},
	"powershell ''":           func(s string) string { return strings.ReplaceAll(s, `'`, `''`) },
	"powershell \"\"":         func(s string) string { return strings.NewReplacer("`", "``", `"`, "`\"", "$", "`$").Replace(s) },
	"powershell doubled \"\"": func(s string) string { return strings.NewReplacer("`", "``", `"`, `""`, "$", "`$").Replace(s) },
	"batch":                   func(s string) string { return strings.ReplaceAll(s, "%", "%%") },
	"query":                   url.QueryEscape,
	"path":                    url.PathEscape,
	"query, lower":            func(s string) string { return lowerPercent(url.QueryEscape(s)) },
	"userinfo":                func(s string) string { return strings.TrimPrefix(url.UserPassword("", s).String(), ":") },
	"percent, twice":          func(s string) string { return url.QueryEscape(strings.ReplaceAll(url.QueryEscape(s), "+", "%20")) },
	"json":                    plainJSON,
	"json of Go":              func(s string) string { p, _ := json.Marshal(s); return unquoted(string(p)) },
	"json of Python":          func(s string) string { return asciiJSON(s, `\u%04x`) },
	"json of PHP":             func(s string) string { return strings.ReplaceAll(asciiJSON(s, `\u%04x`), "/", `\/`) },
	"json \\/":                func(s string) string { return strings.ReplaceAll(plainJSON(s), "/", `\/`) },
	"json in json":            func(s string) string { return plainJSON(plainJSON(s)) },
	"ascii json in json":      func(s string) string { return plainJSON(asciiJSON(s, `\u%04x`)) },
	"sh in json":              func(s string) string { return plainJSON(strings.ReplaceAll(s, `'`, `'\''`)) },
	"go":                      func(s string) string { return unquoted(strconv.Quote(s)) },
	"html":                    html.EscapeString,
	"hex":                     func(s string) string { return hex.EncodeToString([]byte(s)) },
	"HEX":                     func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"base64":                  b64,
	"base64 url":              func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	"base64 of json":          func(s string) string { return b64(plainJSON(s)) },
	"-EncodedCommand":         func(s string) string { return b64(wide(s)) },
}

func TestRedactForms(t *testing.T) {
	for what, secret := range awkward {
		var r Redactor
		r.Add(secret)
		for how, encode := range whole {
			form := encode(secret)
			if got := r.Redact("see " + form + " there"); got != "see "+Redacted+" there" {
				t.Errorf("%s, %s: something is left of %.300q: %.300q", what, how, form, got)
			}
			if strings.Contains(form, "\n") {
				continue // output comes in lines
			}
			// A line that is broken has it, too, whole or not at all.
			line := strings.Repeat(".", 100) + form
			if n := r.Break(line, 101); n != 100 && n != len(line) {
				t.Errorf("%s, %s: torn after %d bytes of %d", what, how, n, len(form))
			}
		}
	}
}

// What is left of a secret in the base64 of something longer, in lines or in one,
// is at most the group of digits at each end of the secret and of a line.
func TestRedactWithinBase64(t *testing.T) {
	for what, secret := range awkward {
		var r Redactor
		r.Add(secret)
		for shift := range 70 {
			for _, width := range []int{64, 76, 1 << 20} {
				for how, text := range map[string]string{"UTF-8": strings.Repeat("u", shift) + secret + "vw", "UTF-16": wide(strings.Repeat("u", shift) + secret + "vw")} {
					from, to := shift, len(text)-len("vw")
					if how == "UTF-16" {
						from, to = 2*shift, len(text)-2*len("vw")
					}
					for n, line := range strings.Split(wrapped(b64(text), width), "\n") {
						// The bytes of the text that are wholly in this line.
						a, b := max(from, n*width*3/4), min(to, (n+1)*width*3/4)
						got := r.Redact(line)
						left := len(got) - len(Redacted)*strings.Count(got, Redacted)
						most := len(line) - (b-a)*4/3
						if a == from || b == to { // here the secret begins or ends
							most += 2*group + 2
						}
						if b > a && left > most {
							t.Fatalf("%s, %s behind %d bytes, columns of %d: %q of %q, a secret of %d bytes", what, how, shift, width, got, line, b-a)
						}
					}
				}
			}
		}
	}
}

// Of a short secret no form is so short that it is part of what everybody writes.
func TestFormsAreNotTooShort(t *testing.T) {
	for _, secret := range []string{"abcd", "root", "true", "häé", "a'b\"", "12345"} {
		forms(secret, func(f string) {
			if f != secret && len(f) <= len(secret) && len(f) < minEncoded {
				t.Errorf("%q is taken for %q", f, secret)
			}
		})
	}
	var r Redactor
	for _, short := range []string{"", "a", "no", "443", "é"} {
		r.Add(short)
	}
	if s := "no, a 443 é bm8= NDQz"; r.Redact(s) != s || r.longest > 0 {
		t.Errorf("short ones are hidden: %q", r.Redact(s))
	}
}

// BenchmarkRedact is what a line costs, beside so many secrets that begin alike,
// and what it costs to learn one.
func BenchmarkRedact(b *testing.B) {
	line := strings.Repeat("Get:1 http://deb.debian.org s3cret-, s3cret-5000-x redis 5:7.0.15-1 ", 15)
	for _, n := range []int{1, 10, 100, 1000} {
		var r Redactor
		learn := func(r *Redactor) {
			for i := range n {
				r.Add(fmt.Sprintf("s3cret-%d-%s", i, strings.Repeat("x", 30)))
			}
		}
		learn(&r)
		b.Run(fmt.Sprint("of ", n), func(b *testing.B) {
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				r.Redact(line)
			}
		})
		b.Run(fmt.Sprint("learn ", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				learn(&Redactor{})
			}
		})
	}
	b.Run("learn 8 KiB", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			new(Redactor).Add(awkward["eight KiB"])
		}
	})
}
