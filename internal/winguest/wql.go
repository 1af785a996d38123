package winguest

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// wql is a condition of WMI's query language, as after WHERE.
type wql func(get func(name string) (any, bool)) (bool, error)

// wqlQuery reads SELECT what FROM class [WHERE condition].
func wqlQuery(q string) (what []string, class, where string, err error) {
	m := regexp.MustCompile(`(?is)^\s*select\s+(.+?)\s+from\s+([A-Za-z_0-9]+)\s*(?:where\s+(.*))?$`).FindStringSubmatch(q)
	if m == nil {
		return nil, "", "", fmt.Errorf("cannot read the query %q: it is SELECT, properties, FROM, a class, and WHERE with a condition", q)
	}
	for _, s := range strings.Split(m[1], ",") {
		what = append(what, strings.TrimSpace(s))
	}
	return what, m[2], m[3], nil
}

type wqlParser struct {
	words []string
	at    int
}

var wqlWord = regexp.MustCompile(`(?s)\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|<>|!=|<=|>=|[=<>()]|-?[A-Za-z_0-9.]+)`)

// wqlCondition reads a condition; an empty one is always true.
func wqlCondition(text string) (wql, error) {
	p := &wqlParser{}
	for rest := strings.TrimSpace(text); rest != ""; rest = strings.TrimSpace(rest) {
		m := wqlWord.FindStringSubmatchIndex(rest)
		if m == nil || m[0] != 0 {
			return nil, fmt.Errorf("cannot read the condition %q: at %q", text, rest)
		}
		p.words = append(p.words, rest[m[2]:m[3]])
		rest = rest[m[1]:]
	}
	if len(p.words) == 0 {
		return func(func(string) (any, bool)) (bool, error) { return true, nil }, nil
	}
	w, err := p.or()
	if err == nil && p.at < len(p.words) {
		err = fmt.Errorf("%q is not expected", p.words[p.at])
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the condition %q: %w", text, err)
	}
	return w, nil
}

func (p *wqlParser) take(word string) bool {
	if p.at < len(p.words) && strings.EqualFold(p.words[p.at], word) {
		p.at++
		return true
	}
	return false
}

func (p *wqlParser) or() (wql, error) {
	a, err := p.and()
	for err == nil && p.take("or") {
		var b wql
		left := a
		if b, err = p.and(); err == nil {
			a = func(get func(string) (any, bool)) (bool, error) {
				if ok, err := left(get); ok || err != nil {
					return ok, err
				}
				return b(get)
			}
		}
	}
	return a, err
}

func (p *wqlParser) and() (wql, error) {
	a, err := p.not()
	for err == nil && p.take("and") {
		var b wql
		left := a
		if b, err = p.not(); err == nil {
			a = func(get func(string) (any, bool)) (bool, error) {
				if ok, err := left(get); !ok || err != nil {
					return false, err
				}
				return b(get)
			}
		}
	}
	return a, err
}

func (p *wqlParser) not() (wql, error) {
	if p.take("not") {
		a, err := p.not()
		return func(get func(string) (any, bool)) (bool, error) {
			ok, err := a(get)
			return !ok, err
		}, err
	}
	if p.take("(") {
		a, err := p.or()
		if err == nil && !p.take(")") {
			err = fmt.Errorf("a parenthesis is not closed")
		}
		return a, err
	}
	return p.comparison()
}

func (p *wqlParser) comparison() (wql, error) {
	if len(p.words)-p.at < 3 {
		return nil, fmt.Errorf("it ends too early")
	}
	name, op, text := p.words[p.at], strings.ToLower(p.words[p.at+1]), p.words[p.at+2]
	p.at += 3
	if op == "is" {
		not := strings.EqualFold(text, "not")
		if not {
			if p.at == len(p.words) {
				return nil, fmt.Errorf("it ends too early")
			}
			text = p.words[p.at]
			p.at++
		}
		if !strings.EqualFold(text, "null") {
			return nil, fmt.Errorf("after IS stands NULL or NOT NULL")
		}
		return func(get func(string) (any, bool)) (bool, error) {
			v, ok := get(name)
			if !ok {
				return false, wqlUnknown(name)
			}
			return (v == nil) != not, nil
		}, nil
	}
	test, ok := map[string]func(int) bool{
		"=": func(c int) bool { return c == 0 }, "<>": func(c int) bool { return c != 0 }, "!=": func(c int) bool { return c != 0 },
		"<": func(c int) bool { return c < 0 }, "<=": func(c int) bool { return c <= 0 }, ">": func(c int) bool { return c > 0 }, ">=": func(c int) bool { return c >= 0 },
	}[op]
	if !ok && op != "like" {
		return nil, fmt.Errorf("%q is no comparison", op)
	}
	quoted := len(text) > 1 && (text[0] == '\'' || text[0] == '"')
	if quoted {
		text = regexp.MustCompile(`\\(.)`).ReplaceAllString(text[1:len(text)-1], "$1")
	}
	return func(get func(string) (any, bool)) (bool, error) {
		v, ok := get(name)
		if !ok {
			return false, wqlUnknown(name)
		}
		if v == nil {
			return op == "=" && strings.EqualFold(text, "null") && !quoted, nil
		}
		if op == "like" {
			return wqlLike(text).MatchString(fmt.Sprint(v)), nil
		}
		return test(wqlCompare(v, text)), nil
	}, nil
}

func wqlUnknown(name string) error { return fmt.Errorf("the class has no property %s", name) }

func wqlCompare(v any, text string) int {
	switch x := v.(type) {
	case bool:
		want := strings.EqualFold(text, "true") || text == "1" || text == "-1"
		if x == want {
			return 0
		}
		return 1
	case time.Time:
		return cmp.Compare(dmtf(x), text)
	case string:
		return cmp.Compare(strings.ToLower(x), strings.ToLower(text))
	}
	a, err1 := strconv.ParseFloat(fmt.Sprint(v), 64)
	b, err2 := strconv.ParseFloat(text, 64)
	if err1 != nil || err2 != nil {
		return cmp.Compare(strings.ToLower(fmt.Sprint(v)), strings.ToLower(text))
	}
	return cmp.Compare(a, b)
}

// wqlLike makes a pattern with % and _ a regular expression.
func wqlLike(pattern string) *regexp.Regexp {
	var b strings.Builder
	for _, r := range pattern {
		switch r {
		case '%':
			b.WriteString(".*")
		case '_':
			b.WriteByte('.')
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	return regexp.MustCompile(`(?is)^` + b.String() + `$`)
}

// dmtf is how WMI writes a time.
func dmtf(t time.Time) string { return t.UTC().Format("20060102150405.000000") + "+000" }
