package posh

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// List is an ArrayList, a List[T], a Queue or what else grows.
type List struct {
	Elem   []any
	typ    string
	elem   *Type
	mine   bool // made for -ErrorVariable and the like
	shared *[]any
}

func (l *List) typeName() string {
	if l.typ == "" {
		return "System.Collections.ArrayList"
	}
	return l.typ
}

func listOf(e *Type) *Type {
	name := "System.Collections.Generic.List`1[[" + e.name + "]]"
	return &Type{name: name, ctor: func(s *shell, a []any) (any, error) {
		l := &List{typ: name, elem: e}
		if len(a) == 1 {
			if _, isInt := a[0].(int32); isInt {
				return l, nil
			}
			for _, x := range elements(a[0]) {
				v, err := s.castTo(x, e)
				if err != nil {
					return nil, err
				}
				l.Elem = append(l.Elem, v)
			}
		}
		return l, nil
	}, cast: func(s *shell, v any) (any, error) {
		l := &List{typ: name, elem: e}
		for _, x := range elements(v) {
			y, err := s.castTo(x, e)
			if err != nil {
				return nil, err
			}
			l.Elem = append(l.Elem, y)
		}
		return l, nil
	}}
}

func dictionaryOf() *Type {
	name := "System.Collections.Generic.Dictionary`2"
	return &Type{name: name, ctor: func(s *shell, a []any) (any, error) {
		if len(a) > 0 {
			return nil, s.refuse("a Dictionary with arguments")
		}
		h := NewHash(false)
		h.exact, h.typ = true, name
		return h, nil
	}}
}

func (l *List) get(s *shell, k string) (any, bool, error) {
	switch k {
	case "capacity":
		return int32(cap(l.Elem)), true, nil
	}
	return nil, false, nil
}

func (l *List) call(s *shell, k string, a []any) (any, bool, error) {
	one := func(v any) (any, error) {
		if l.elem == nil {
			return v, nil
		}
		return s.castTo(v, l.elem)
	}
	keep := func() {
		if l.shared != nil {
			*l.shared = l.Elem
		}
	}
	pos := func(i int) (int, error) {
		n, err := s.toInt32(a[i])
		if err == nil && (n < 0 || int(n) > len(l.Elem)) {
			err = dotnet("System.ArgumentOutOfRangeException", "Index was out of range. Must be non-negative and less than the size of the collection.")
		}
		return int(n), err
	}
	switch {
	case k == "add" && len(a) == 1:
		v, err := one(a[0])
		if err != nil {
			return nil, true, err
		}
		l.Elem = append(l.Elem, v)
		if l.typ == "" {
			return int32(len(l.Elem) - 1), true, nil
		}
		return void{}, true, nil
	case k == "addrange" && len(a) == 1:
		for _, x := range elements(a[0]) {
			v, err := one(x)
			if err != nil {
				return nil, true, err
			}
			l.Elem = append(l.Elem, v)
		}
		return void{}, true, nil
	case k == "clear" && len(a) == 0:
		l.Elem = nil
		keep()
		return void{}, true, nil
	case k == "removeat" && len(a) == 1:
		i, err := pos(0)
		if err == nil && i == len(l.Elem) {
			err = dotnet("System.ArgumentOutOfRangeException", "Index was out of range. Must be non-negative and less than the size of the collection.")
		}
		if err != nil {
			return nil, true, err
		}
		l.Elem = append(l.Elem[:i:i], l.Elem[i+1:]...)
		keep()
		return void{}, true, nil
	case k == "remove" && len(a) == 1:
		for i, v := range l.Elem {
			if s.equal(v, a[0], true) {
				l.Elem = append(l.Elem[:i:i], l.Elem[i+1:]...)
				keep()
				if l.typ != "" {
					return true, true, nil
				}
				return void{}, true, nil
			}
		}
		if l.typ != "" {
			return false, true, nil
		}
		return void{}, true, nil
	case k == "insert" && len(a) == 2:
		i, err := pos(0)
		if err != nil {
			return nil, true, err
		}
		l.Elem = append(l.Elem[:i:i], append([]any{a[1]}, l.Elem[i:]...)...)
		return void{}, true, nil
	case k == "toarray" && len(a) == 0:
		arr := &Array{Elem: append([]any(nil), l.Elem...)}
		if l.elem != nil && l.elem.name != "System.Object" {
			v, err := s.castArray(arr, arrayOf(l.elem))
			return v, true, err
		}
		return arr, true, nil
	case k == "reverse" && len(a) == 0:
		for i, j := 0, len(l.Elem)-1; i < j; i, j = i+1, j-1 {
			l.Elem[i], l.Elem[j] = l.Elem[j], l.Elem[i]
		}
		return void{}, true, nil
	case k == "sort" && len(a) == 0:
		err := s.sortValues(l.Elem)
		return void{}, true, err
	}
	return s.arrayCall(&Array{Elem: l.Elem}, k, a)
}

// enumerator is what GetEnumerator and $input give; it can be gone through once.
type enumerator struct {
	elem []any
	next int
	cur  any
	same func() bool
}

func newEnumerator(e []any) *enumerator { return &enumerator{elem: e} }

func (e *enumerator) typeName() string { return "System.Collections.IEnumerator" }

// move goes to the next element; there is none without.
func (e *enumerator) move() bool {
	if e.next >= len(e.elem) {
		return false
	}
	e.cur = e.elem[e.next]
	e.next++
	return true
}

func (e *enumerator) rest() []any {
	r := e.elem[e.next:]
	e.next = len(e.elem)
	return r
}

func (e *enumerator) each(f func(any) error) error {
	for e.move() {
		if err := f(e.cur); err != nil {
			return err
		}
		if e.same != nil && !e.same() {
			return badEnumeration()
		}
	}
	return nil
}

// unchanged returns what tells whether a collection is still as it is now; nil is
// one that may change while it is gone through.
func unchanged(v any) func() bool {
	switch v := v.(type) {
	case *Hash:
		at := v.changes
		return func() bool { return v.changes == at }
	case *Array:
		if v.of != nil {
			return unchanged(v.of)
		}
	case *List:
		if n := len(v.Elem); v.shared == nil {
			return func() bool { return len(v.Elem) == n }
		}
	case *enumerator:
		return v.same
	}
	return nil
}

const modified = "Collection was modified; enumeration operation may not execute."

// badEnumeration is what a pipeline makes of that.
func badEnumeration() error {
	return &Error{ID: "BadEnumeration", Category: "InvalidOperation", Message: "An error occurred while enumerating through a collection: " + modified + "."}
}

func (e *enumerator) get(s *shell, k string) (any, bool, error) {
	if k == "current" {
		return e.cur, true, nil
	}
	return nil, false, nil
}

func (e *enumerator) call(s *shell, k string, a []any) (any, bool, error) {
	switch k {
	case "movenext":
		if e.next >= len(e.elem) {
			return false, true, nil
		}
		e.cur = e.elem[e.next]
		e.next++
		return true, true, nil
	case "reset":
		e.next, e.cur = 0, nil
		return void{}, true, nil
	}
	return nil, false, nil
}

// version is [version]; -1 is a part that is not there.
type version struct{ a, b, c, d int }

func parseVersion(t string) (*version, error) {
	parts := strings.Split(strings.TrimSpace(t), ".")
	if len(parts) < 2 || len(parts) > 4 {
		return nil, dotnet("System.ArgumentException", "Version string portion was too short or too long.")
	}
	n := []int{-1, -1, -1, -1}
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 31)
		if err != nil {
			return nil, dotnet("System.FormatException", "Input string was not in a correct format.")
		}
		n[i] = int(v)
	}
	return &version{n[0], n[1], n[2], n[3]}, nil
}

func (v *version) typeName() string { return "System.Version" }

func (v *version) String() string {
	t := fmt.Sprintf("%d.%d", v.a, v.b)
	if v.c >= 0 {
		t += fmt.Sprintf(".%d", v.c)
		if v.d >= 0 {
			t += fmt.Sprintf(".%d", v.d)
		}
	}
	return t
}

func (v *version) cmp(w *version) int {
	for _, p := range [][2]int{{v.a, w.a}, {v.b, w.b}, {v.c, w.c}, {v.d, w.d}} {
		if c := cmpInt(int64(p[0]), int64(p[1])); c != 0 {
			return c
		}
	}
	return 0
}

func (v *version) names() []string { return []string{"Major", "Minor", "Build", "Revision"} }

func (v *version) get(s *shell, k string) (any, bool, error) {
	for i, n := range []string{"major", "minor", "build", "revision"} {
		if k == n {
			return int32([]int{v.a, v.b, v.c, v.d}[i]), true, nil
		}
	}
	return nil, false, nil
}

func (v *version) call(s *shell, k string, a []any) (any, bool, error) { return nil, false, nil }

// guid is [guid].
type guid struct{ b [16]byte }

func newGuid() *guid {
	return &guid{uuid.New()}
}

func parseGuid(t string) (*guid, error) {
	t = strings.Trim(strings.TrimSpace(t), "{}()")
	h := strings.ReplaceAll(t, "-", "")
	g := &guid{}
	if b, err := hex.DecodeString(h); err != nil || len(b) != 16 || len(t) != 32 && len(t) != 36 {
		return nil, dotnet("System.FormatException", "Guid should contain 32 digits with 4 dashes (xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx).")
	} else {
		copy(g.b[:], b)
	}
	return g, nil
}

func (g *guid) typeName() string { return "System.Guid" }
func (g *guid) String() string   { return uuid.UUID(g.b).String() }
func (g *guid) equal(o any) bool { h, ok := o.(*guid); return ok && g.b == h.b }

func (g *guid) format(spec string) (string, error) {
	t := g.String()
	switch strings.ToLower(spec) {
	case "", "d":
		return t, nil
	case "n":
		return strings.ReplaceAll(t, "-", ""), nil
	case "b":
		return "{" + t + "}", nil
	case "p":
		return "(" + t + ")", nil
	}
	return "", dotnet("System.FormatException", "Format String can be only \"D\", \"d\", \"N\", \"n\", \"P\", \"p\", \"B\", \"b\", \"X\" or \"x\".")
}

func (g *guid) names() []string { return []string{"Guid"} }
func (g *guid) get(s *shell, k string) (any, bool, error) {
	if k == "guid" {
		return g.String(), true, nil
	}
	return nil, false, nil
}

func (g *guid) call(s *shell, k string, a []any) (any, bool, error) {
	if k == "tostring" && len(a) == 1 {
		t, err := g.format(s.text(a[0]))
		return t, true, err
	}
	return nil, false, nil
}

// uri is [uri].
type uri struct {
	text string
	u    *url.URL
}

func (u *uri) typeName() string { return "System.Uri" }
func (u *uri) String() string   { return u.text }

func (u *uri) get(s *shell, k string) (any, bool, error) {
	if u.u.Scheme == "" && k != "originalstring" && k != "isabsoluteuri" {
		return nil, true, dotnet("System.InvalidOperationException", "This operation is not supported for a relative URI.")
	}
	switch k {
	case "host", "dnssafehost":
		return u.u.Hostname(), true, nil
	case "scheme":
		return u.u.Scheme, true, nil
	case "port":
		if p, err := strconv.Atoi(u.u.Port()); err == nil {
			return int32(p), true, nil
		}
		return int32(map[string]int{"http": 80, "https": 443, "ftp": 21}[u.u.Scheme]), true, nil
	case "absolutepath", "localpath":
		if u.u.Path == "" {
			return "/", true, nil
		}
		return u.u.EscapedPath(), true, nil
	case "query":
		if u.u.RawQuery == "" {
			return "", true, nil
		}
		return "?" + u.u.RawQuery, true, nil
	case "authority":
		return u.u.Host, true, nil
	case "originalstring":
		return u.text, true, nil
	case "absoluteuri":
		return u.u.String(), true, nil
	case "isabsoluteuri":
		return u.u.Scheme != "", true, nil
	}
	return nil, false, nil
}

func (u *uri) call(s *shell, k string, a []any) (any, bool, error) { return nil, false, nil }
