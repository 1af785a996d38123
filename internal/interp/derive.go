package interp

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// The name of a derived secret is the call that makes it, such as replace("a","b",1,upper(pw)): a bare
// word is the name of another secret, and quoted text may hold markers. So whoever has the values of the
// variables can make the derived ones again.

var plainName = regexp.MustCompile(`^[A-Za-z0-9_.-]*[A-Za-z_.][A-Za-z0-9_.-]*$`)

func deriveName(function string, args []any) string {
	words := make([]string, len(args))
	for i, a := range args {
		s, isText := a.(string)
		inner := strings.TrimSuffix(strings.TrimPrefix(s, MarkOpen), MarkClose)
		_, _, err := parseCall(inner)
		switch {
		case !isText:
			words[i] = fmt.Sprint(a)
		case s == Mark(inner) && !strings.ContainsAny(inner, MarkOpen+MarkClose) && (plainName.MatchString(inner) || err == nil):
			words[i] = inner
		default:
			words[i] = strconv.Quote(s)
		}
	}
	return function + "(" + strings.Join(words, ",") + ")"
}

// Resolve returns the value of the secret called name: what lookup knows of it, or, if it is the name of a
// derived secret, what its function makes of the values of others. The error says which name lookup lacks.
func Resolve(name string, lookup func(name string) (value string, ok bool)) (string, error) {
	if v, ok := lookup(name); ok {
		return v, nil
	}
	function, words, err := parseCall(name)
	fn, ok := pure[function]
	if err != nil || !ok {
		return "", fmt.Errorf("the value of the secret %s is not known", name)
	}
	v := reflect.ValueOf(fn)
	t := v.Type()
	if len(words) < t.NumIn() && !t.IsVariadic() || len(words) > t.NumIn() && !t.IsVariadic() {
		return "", fmt.Errorf("the value of the secret %s is not known", name)
	}
	in := make([]reflect.Value, len(words))
	for i, w := range words {
		want := t.In(min(i, t.NumIn()-1))
		if t.IsVariadic() && i >= t.NumIn()-1 {
			want = want.Elem()
		}
		a, err := argument(w, lookup)
		if err != nil {
			return "", err
		}
		x := reflect.ValueOf(a)
		if !x.Type().AssignableTo(want) {
			return "", fmt.Errorf("the value of the secret %s is not known", name)
		}
		in[i] = x
	}
	if len(in) < t.NumIn()-1 {
		return "", fmt.Errorf("the value of the secret %s is not known", name)
	}
	out := v.Call(in)
	text, ok := out[0].Interface().(string)
	if e := out[len(out)-1]; !ok || !e.IsNil() {
		return "", fmt.Errorf("the value of the secret %s cannot be made", name)
	}
	return text, nil
}

// argument returns what a word of a call stands for.
func argument(word string, lookup func(string) (string, bool)) (any, error) {
	if n, err := strconv.Atoi(word); err == nil {
		return n, nil
	}
	if !strings.HasPrefix(word, `"`) {
		return Resolve(word, lookup)
	}
	s, err := strconv.Unquote(word)
	if err != nil {
		return nil, err
	}
	return Reveal(s, func(name string) (string, error) { return Resolve(name, lookup) })
}

var errNoCall = errors.New("not a call")

// parseCall splits f(a,"b",g(c)) into f and its words.
func parseCall(s string) (function string, words []string, err error) {
	function, rest, ok := strings.Cut(s, "(")
	if !ok || pure[function] == nil || !strings.HasSuffix(rest, ")") {
		return "", nil, errNoCall
	}
	rest = strings.TrimSuffix(rest, ")")
	depth, start := 0, 0
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '"':
			q, err := strconv.QuotedPrefix(rest[i:])
			if err != nil {
				return "", nil, errNoCall
			}
			i += len(q) - 1
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return "", nil, errNoCall
			}
		case ',':
			if depth == 0 {
				words = append(words, rest[start:i])
				start = i + 1
			}
		}
	}
	if depth != 0 {
		return "", nil, errNoCall
	}
	return function, append(words, rest[start:]), nil
}
