package state

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
)

// forms calls add with a text and with all that programs make of it when they
// show it.
func forms(s string, add func(string)) {
	add(s)
	add(strings.ToValidUTF8(s, "\uFFFD")) // as output is kept
	for _, quote := range quotes {
		q := quote(s)
		add(q)
		for _, outer := range jsons[:3] { // in a log whose lines are JSON
			add(outer.text(q))
		}
	}
	for _, escape := range []func(string) string{url.QueryEscape, url.PathEscape, percent("-._~"), percent("-._~/"), percent("-._~!*'()"), percent("-._~$&+,;="), percent("-._~!*'();,/?:@&=+$#")} {
		u := escape(s)
		add(u)
		add(lowerPercent(u))
		add(strings.ReplaceAll(u, "%", "%25")) // once more, as a parameter of a redirection
	}
	h := hex.EncodeToString([]byte(s))
	add(h)
	add(strings.ToUpper(h))

	based(s, add, len(s) <= maxInLines)
	based(wide(s), add, len(s) <= maxInLines) // as PowerShell encodes commands
	// The documents that tools encode are JSON more often than not.
	for _, j := range jsons[:3] {
		if q := j.text(s); q != s {
			based(q, add, false)
		}
	}
}

// quotes are the ways to write a text as a word or a string of a language,
// without the marks around it.
var quotes = []func(string) string{
	// Shells: inside '', inside "", by backslashes as printf %q writes it, and
	// inside $'', as it does if there are control characters.
	func(s string) string { return strings.ReplaceAll(s, `'`, `'\''`) },
	func(s string) string { return strings.ReplaceAll(s, `'`, `'"'"'`) },
	func(s string) string { return escape(s, `\`, "\\\"$`") },
	func(s string) string { return escape(s, `\`, "\\\"$`!") },
	func(s string) string { return escape(s, `\`, " !\"#$&'()*;<>?[\\]^`{|}~,") },
	func(s string) string { return ansiC(s, false) },
	func(s string) string { return ansiC(s, true) },

	// PowerShell: inside "" and inside ''; cmd.
	func(s string) string { return escape(s, "`", "`$\"") },
	func(s string) string { return escape(s, "`", "`$\"'") },
	func(s string) string { return escape(strings.ReplaceAll(s, `"`, `""`), "`", "`$") },
	func(s string) string { return strings.ReplaceAll(s, `'`, `''`) },
	func(s string) string { return escape(s, `^`, `^&|<>"`) },
	func(s string) string { return strings.ReplaceAll(s, `%`, `%%`) },

	// JSON, Go, XML.
	jsons[0].text, jsons[1].text, jsons[2].text, jsons[3].text, jsons[4].text, jsons[5].text, jsons[6].text,
	func(s string) string { return unquoted(strconv.Quote(s)) },
	html.EscapeString,
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;").Replace,
}

// jsonForm is how a program writes strings of JSON.
type jsonForm struct {
	set   string // what it writes by its code, besides control characters
	ascii bool   // it writes by their codes all that are not ASCII
	slash bool   // it writes \/
	upper bool   // the digits of a code are upper case
}

var jsons = []jsonForm{
	{},                              // jq, JavaScript, Json.NET
	{set: "<>&\u2028\u2029"},        // Go
	{ascii: true},                   // Python
	{ascii: true, slash: true},      // PHP
	{slash: true},                   // PHP, asked for UTF-8
	{set: "<>&'\u2028\u2029"},       // Windows PowerShell
	{"\"<>&'+`", true, false, true}, // System.Text.Json
}

// text writes s as a string of JSON, without the marks around it.
func (j jsonForm) text(s string) string {
	digits := `\u%04x`
	if j.upper {
		digits = `\u%04X`
	}
	var b strings.Builder
	for _, c := range s {
		switch short := strings.IndexByte("\b\f\n\r\t", byte(min(c, 0x7f))); {
		case short >= 0:
			b.WriteByte('\\')
			b.WriteByte("bfnrt"[short])
		case c < ' ' || j.ascii && c > 0x7f || strings.ContainsRune(j.set, c):
			for _, u := range utf16.Encode([]rune{c}) {
				fmt.Fprintf(&b, digits, u)
			}
		default:
			if c == '"' || c == '\\' || c == '/' && j.slash {
				b.WriteByte('\\')
			}
			b.WriteRune(c)
		}
	}
	return b.String()
}

// ansiC writes s as shells do inside of $”; in the locale C by octal codes all
// that are not ASCII.
func ansiC(s string, octal bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch short := strings.IndexByte("\a\b\t\n\v\f\r\x1b\\'", c); {
		case short >= 0:
			b.WriteByte('\\')
			b.WriteByte(`abtnvfrE\'`[short])
		case c < ' ' || c == 0x7f || octal && c > 0x7f:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// percent returns what writes all but letters, digits and the bytes of safe as
// URLs have it.
func percent(safe string) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for i := range len(s) {
			c := s[i]
			if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte(safe, c) >= 0 {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
		return b.String()
	}
}

// minEncoded is the shortest piece of base64 that is taken for a secret: less
// could be any word. A piece that a line of base64 may begin or end with has
// two groups of digits.
const (
	minEncoded = 6
	group      = 4
	minPiece   = 2 * group
)

// maxInLines is the length of the longest text, in bytes, whose base64 is found
// in lines, too, of which each may begin anywhere in it: that takes some hundred
// times its memory.
const maxInLines = 64 << 10

// based calls add with what base64 makes of s: alone and inside of something
// longer, and with inLines in lines, too. Of a line that holds an end of s a group
// of digits, three bytes of s, may be left.
func based(s string, add func(string), inLines bool) {
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		whole := enc.EncodeToString([]byte(s))
		add(whole)
		add(strings.TrimRight(whole, "="))
		if n := len(whole) - minPiece; inLines && n > 0 {
			add(whole[n:])
		}
		for shift := range 3 {
			in, first := inside(enc, s, shift)
			if len(in) >= minEncoded {
				add(in)
			}
			if inLines && len(in) > minPiece {
				pieces(in, first, add)
			}
		}
	}
}

// pieces calls add with the parts of digits that cover every line whose ends are
// between groups, of which the first begins at first.
func pieces(digits string, first int, add func(string)) {
	if first+group >= minEncoded {
		add(digits[:first+group])
	}
	for ; first+minPiece <= len(digits); first += group {
		add(digits[first : first+minPiece])
	}
	if first >= group && len(digits)-first+group >= minEncoded {
		add(digits[first-group:])
	}
}

// inside returns the digits that s always has in the base64 of a longer text
// in which shift bytes (modulo 3) stand before it, and where the first group of
// them begins.
func inside(enc *base64.Encoding, s string, shift int) (digits string, first int) {
	e := enc.WithPadding(base64.NoPadding).EncodeToString(append(make([]byte, shift), s...))
	from := (8*shift + 5) / 6      // the first digit that is made of s alone
	to := 8 * (shift + len(s)) / 6 // behind the last one
	from = min(from, to)
	return e[from:to], (group - from) % group
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
