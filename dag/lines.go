package dag

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Lines are the canonical text of the step, that is, what its key is made of, for people:
// its kind, then one line for each setting, with its path, and for a setting of several lines
// one for each of those. In place of a step that it reads stands what name says of its
// key, in place of a file its path with the beginning of the digest of its content, and in
// place of a secret the beginning of the digest that stands for it.
func (n Node) Lines(name func(Key) string) []string {
	rest := strings.TrimPrefix(n.Canon, salt)
	kind, settings, ok := strings.Cut(rest, "\n")
	if !ok {
		return []string{"kind: " + n.Kind}
	}
	l := liner{name: name, files: map[string]string{}, out: []string{"kind: " + kind}}
	for path, digest := range n.Files() {
		l.files[digest] = path
	}
	var v any
	d := json.NewDecoder(strings.NewReader(settings))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return append(l.out, settings)
	}
	l.value("", v)
	return l.out
}

type liner struct {
	name  func(Key) string
	files map[string]string // paths by the digests of what they hold
	out   []string
}

func (l *liner) value(path string, v any) {
	switch x := v.(type) {
	case map[string]any:
		if hex, ok := x["step"].(string); ok && len(x) == 1 {
			var k Key
			if k.UnmarshalText([]byte(hex)) == nil {
				l.line(path, "what "+l.name(k)+" makes")
				return
			}
		}
		keys := make([]string, 0, len(x))
		for k := range x {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			l.value(strings.TrimPrefix(path+"."+l.text(k), "."), x[k])
		}
	case []any:
		for i, e := range x {
			l.value(fmt.Sprintf("%s[%d]", path, i), e)
		}
	case string:
		if file, ok := l.files[x]; ok && x != "" {
			l.line(path, fmt.Sprintf("the file %s, whose content is %s", file, shortDigest(x)))
			return
		}
		s := l.text(x)
		lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
		if len(lines) == 1 {
			l.line(path, fmt.Sprintf("%q", s))
			return
		}
		for _, line := range lines {
			l.out = append(l.out, path+" | "+line)
		}
	default:
		l.line(path, fmt.Sprint(x))
	}
}

func (l *liner) line(path, text string) { l.out = append(l.out, path+": "+text) }

// text shows what is not literal in a text.
func (l *liner) text(s string) string {
	secrets := func(s string) string {
		return expandMarks(s, func(digest string) string { return "<secret " + digest[:min(8, len(digest))] + ">" })
	}
	var b strings.Builder
	Text(s).each(func(open rune, inner string) {
		if r, ok := reference(inner); ok && open == refOpen {
			b.WriteString("<" + secrets(r.Expr) + " of " + l.name(r.Step) + ">")
			return
		}
		if open == markOpen {
			inner = string(part(open, inner))
		}
		b.WriteString(secrets(inner))
	})
	return b.String()
}

// shortDigest is the beginning of a digest, with the name of its kind.
func shortDigest(s string) string {
	i := strings.IndexByte(s, ':') + 1
	return s[:i] + s[i:min(i+12, len(s))]
}

// Files are the digests of the files that the settings name, by their paths.
func (n Node) Files() map[string]string {
	files := map[string]string{}
	if !bytes.Contains(n.Spec, []byte(`"digest"`)) {
		return files
	}
	var spec any
	if json.Unmarshal(n.Spec, &spec) != nil {
		return files
	}
	var walk func(v any)
	walk = func(v any) {
		switch x := v.(type) {
		case map[string]any:
			path, ok := x["path"].(string)
			if digest, has := x["digest"].(string); ok && has {
				files[path] = digest
			}
			for _, e := range x {
				walk(e)
			}
		case []any:
			for _, e := range x {
				walk(e)
			}
		}
	}
	walk(spec)
	return files
}
