package template

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/internal/interp"
)

// span is a range of bytes of a source: from start up to end.
type span struct{ start, end int }

// What may be a secret is found in the text of a file, not in its values, so that the excerpt of a file that is no JSON
// hides it as well, and also a password in a script.
var (
	sensitiveList = regexp.MustCompile(`"sensitive-variables"\s*:\s*(?:\[[^\]]*\]?|"[^"]*")`)
	jsonText      = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)

	// onlyActions is a text that is made of values which stand elsewhere.
	onlyActions = regexp.MustCompile("^(?:\\{\\{-?\\s*(?:user|env|build)\\s*(?:`[^`]*`|\\\\\"[^\"\\\\]*\\\\\")\\s*-?\\}\\})+$")
)

// afterName matches what stands between a name and the beginning of its value: the closing quote of the name, a
// colon or a sign of equality, the opening quote of the value. Quotes may be escaped, inside of another text.
const afterName = "(?:(\\\\*[\"'`])\\s*)?([:=]\\s*)?(\\\\*[\"'`])?"

// secretNames matches the names that tell of secrets, and those given, up to their values.
func secretNames(sensitive []string) *regexp.Regexp {
	names := []string{`[\w.-]*(?i:` + interp.SecretWords + `)[\w.-]*`}
	for _, n := range sensitive {
		names = append(names, `"`+regexp.QuoteMeta(string([]rune(n)))) // each byte that is no UTF-8 is U+FFFD, which matches it
	}
	return regexp.MustCompile("(" + strings.Join(names, "|") + ")" + `\s*` + afterName)
}

// hidden finds what an excerpt must not show: the values of secret names and of sensitive variables.
func (s *File) hidden() []span {
	s.once.Do(func() {
		sensitive := slices.Clone(s.sensitive)
		if list := sensitiveList.Find(s.text); list != nil {
			_, list, _ = bytes.Cut(list, []byte(":"))
			for _, m := range jsonText.FindAllSubmatch(list, -1) {
				sensitive = append(sensitive, string(m[1]))
			}
		}
		sensitive = slices.DeleteFunc(sensitive, func(n string) bool { return n == "" })
		slices.SortFunc(sensitive, func(a, b string) int { return len(b) - len(a) }) // none is matched by the beginning of its name
		names := secretNames(sensitive)
		for pos := 0; pos < len(s.text); {
			m := names.FindSubmatchIndex(s.text[pos:])
			if m == nil {
				break
			}
			for i := range m {
				if m[i] >= 0 {
					m[i] += pos
				}
			}
			pos = max(m[1], s.hideValue(m))
		}
	})
	return s.spans
}

// hideValue hides the value after a name, and returns where it ends. The places are those of a match: all, name,
// closing quote, colon, opening quote.
func (s *File) hideValue(m []int) int {
	name, at := strings.ToLower(string(s.text[m[2]:m[3]])), m[1]
	if plain(name) {
		return at
	}
	if m[8] >= 0 && (m[6] >= 0 || m[4] >= 0) { // in quotes, after a colon or at least after a name in quotes
		end := at + untilQuote(s.text[at:], s.text[m[8]:m[9]])
		s.hide(at, end)
		return end
	}
	if m[6] < 0 || at == len(s.text) || bytes.HasPrefix(s.text[at:], []byte("{{")) {
		return at
	}
	if m[4] >= 0 && (s.text[at] == '{' || s.text[at] == '[') {
		return s.hideInside(at)
	}
	stop := "\r\n,]}\"'`\\"
	if s.text[m[6]] == '=' {
		stop += " \t"
	}
	end := at
	for end < len(s.text) && strings.IndexByte(stop, s.text[end]) < 0 {
		end++
	}
	switch strings.TrimSpace(string(s.text[at:end])) {
	case "true", "false", "null":
	default:
		s.hide(at, end)
	}
	return end
}

// plain says whether a name only sounds as if it told of a secret.
func plain(name string) bool {
	return !strings.HasPrefix(name, `"`) && (strings.HasSuffix(name, "_file") || strings.HasSuffix(name, "_files") || strings.HasSuffix(name, "_timeout") || name == "http_tokens")
}

// hideInside hides all texts of the list or object that opens at an offset, and returns its end.
func (s *File) hideInside(at int) int {
	depth := 0
	for i := at; i < len(s.text); i++ {
		switch s.text[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i
			}
		case '"':
			end := i + 1 + untilQuote(s.text[i+1:], []byte{'"'})
			s.hide(i+1, end)
			i = end
		}
	}
	return len(s.text)
}

// untilQuote returns where a text ends that was opened by a quote. Should that one not come, the text ends with the
// text around it, or with the line.
func untilQuote(text, quote []byte) int {
	i := 0
	for ; i < len(text) && text[i] != '\n'; i++ {
		if bytes.HasPrefix(text[i:], quote) || text[i] == '"' {
			return i
		}
		if text[i] == '\\' {
			i++
		}
	}
	return min(i, len(text))
}

func (s *File) hide(start, end int) {
	if start < end && !onlyActions.Match(s.text[start:end]) {
		s.spans = append(s.spans, span{start, end})
	}
}

// hides says whether the byte at an offset may belong to a secret.
func (s *File) hides(offset int) bool {
	spans := s.hidden()
	i, found := slices.BinarySearchFunc(spans, offset, func(x span, at int) int { return x.start - at })
	return found || i > 0 && offset < spans[i-1].end
}

// mayHide says whether what stands at a place may be a secret, so that no message should quote it.
func (p Pos) mayHide() bool {
	src := p.src
	return src != nil && (src.hides(p.offset) || p.offset < len(src.text) && src.text[p.offset] == '"' && src.hides(p.offset+1))
}
