package ec2local

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

type filter struct {
	Name   string
	Values []string
}

// wild tells whether values of a filter mean more than themselves.
func (f filter) wild() bool {
	return slices.ContainsFunc(f.Values, func(v string) bool { return strings.ContainsAny(v, `*?\`) })
}

// filters are the filters of one describing call: for each name, the values
// that a thing has. A thing passes if one of its values matches one of the
// filter's.
type filters[T any] map[string]func(c *call, x *T) []string

// tagged adds the filters tag:<key>, tag-key and tag-value.
func (f filters[T]) tagged(tags func(c *call, x *T) []tag) filterSet[T] {
	return filterSet[T]{named: f, tags: tags}
}

func (f filters[T]) plain() filterSet[T] { return filterSet[T]{named: f} }

type filterSet[T any] struct {
	named filters[T]
	tags  func(c *call, x *T) []tag
	id    string   // the filter whose values are ids
	index []string // those that are marks as well
}

// found names the filters by which things are found without looking at all: that of
// ids, and those whose values are marks of that name.
func (s filterSet[T]) found(id string, marks ...string) filterSet[T] {
	s.id, s.index = id, marks
	return s
}

const maxFilterValues = 200

func (s filterSet[T]) apply(c *call, asked []filter, list []*T) ([]*T, error) {
	if len(asked) == 0 {
		return list, nil
	}
	tests := make([]func(c *call, x *T) []string, len(asked))
	for i, f := range asked {
		if f.Name == "" {
			return nil, missing("Filter.Name")
		}
		if len(f.Values) > maxFilterValues {
			return nil, fail("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", maxFilterValues)
		}
		test := s.named[f.Name]
		if test == nil && s.tags != nil {
			test = s.tagTest(f.Name)
		}
		if test == nil {
			return nil, invalid("The filter '%s' is invalid", f.Name)
		}
		if len(f.Values) == 0 {
			return nil, fail("InvalidParameterValue", "The filter '%s' has no values", f.Name)
		}
		tests[i] = test
	}
	var out []*T
	for _, x := range list {
		pass := true
		for i, f := range asked {
			if !anyMatch(f.Values, tests[i](c, x)) {
				pass = false
				break
			}
		}
		if pass {
			out = append(out, x)
		}
	}
	return out, nil
}

func (s filterSet[T]) tagTest(name string) func(c *call, x *T) []string {
	pick := func(keep func(tag) (string, bool)) func(c *call, x *T) []string {
		return func(c *call, x *T) []string {
			var v []string
			for _, g := range s.tags(c, x) {
				if text, ok := keep(g); ok {
					v = append(v, text)
				}
			}
			return v
		}
	}
	switch {
	case name == "tag-key":
		return pick(func(g tag) (string, bool) { return g.Key, true })
	case name == "tag-value":
		return pick(func(g tag) (string, bool) { return g.Value, true })
	case strings.HasPrefix(name, "tag:") && len(name) > len("tag:"):
		key := name[len("tag:"):]
		return pick(func(g tag) (string, bool) { return g.Value, g.Key == key })
	}
	return nil
}

// candidates are the ids of all things of a table that can pass, where one of the
// filters names them; ok tells whether one does.
func (s filterSet[T]) candidates(c *call, table string, asked []filter) (ids []string, ok bool) {
	for _, f := range asked {
		if f.wild() {
			continue
		}
		switch {
		case f.Name == s.id && s.id != "":
			ids, ok = append(ids, f.Values...), true
		case slices.Contains(s.index, f.Name):
			for _, v := range f.Values {
				ids = append(ids, c.ids(table, c.region, mark{f.Name, v})...)
			}
			ok = true
		case s.tags != nil && strings.HasPrefix(f.Name, "tag:"):
			for _, v := range f.Values {
				ids = append(ids, c.ids("tags", c.region, mark{f.Name, v})...)
			}
			ok = true
		default:
			continue
		}
		break
	}
	slices.Sort(ids)
	return slices.Compact(ids), ok
}

func anyMatch(patterns, values []string) bool {
	for _, p := range patterns {
		for _, v := range values {
			if match(p, v) {
				return true
			}
		}
	}
	return false
}

// match knows *, ? and a backslash before a character that means itself.
func match(pattern, text string) bool {
	p, t := []rune(pattern), []rune(text)
	pi, ti, star, mark := 0, 0, -1, 0
	for ti < len(t) {
		switch {
		case pi < len(p) && p[pi] == '*':
			star, mark = pi, ti
			pi++
			continue
		case pi < len(p) && p[pi] == '?':
			pi++
			ti++
			continue
		case pi+1 < len(p) && p[pi] == '\\' && p[pi+1] == t[ti]:
			pi += 2
			ti++
			continue
		case pi < len(p) && p[pi] != '\\' && p[pi] == t[ti]:
			pi++
			ti++
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		pi, ti = star+1, mark
	}
	for pi < len(p) && p[pi] == '*' {
		pi++
	}
	return pi == len(p)
}

func one(v string) []string {
	if v == "" {
		return nil
	}
	return []string{v}
}

func yes(v bool) []string     { return []string{strconv.FormatBool(v)} }
func number(n int64) []string { return []string{strconv.FormatInt(n, 10)} }

// stamp is how EC2 writes a time.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// A set is a list, with its tag even if there is nothing in it.
type set[T any] struct {
	Items []T `xml:"item"`
}

type pageRequest struct {
	MaxResults *int
	NextToken  string
}

type pageResponse struct {
	NextToken string `xml:"nextToken,omitempty"`
}

// page cuts a list, and returns the token of what follows.
func page[T any](list []T, q pageRequest, least, most int) ([]T, string, error) {
	start := 0
	if q.NextToken != "" {
		raw, err := base64.RawURLEncoding.DecodeString(q.NextToken)
		text, ok := strings.CutPrefix(string(raw), "from:")
		n, err2 := strconv.Atoi(text)
		if err != nil || !ok || err2 != nil || n < 0 {
			return nil, "", fail("InvalidPaginationToken", "The specified pagination token is not valid or is expired.")
		}
		start = min(n, len(list))
	}
	end := len(list)
	if q.MaxResults != nil {
		n := *q.MaxResults
		if n < least || n > most {
			return nil, "", invalid("Value ( %d ) for parameter maxResults is invalid. Expecting a value between %d and %d.", n, least, most)
		}
		end = min(end, start+n)
	}
	next := ""
	if end < len(list) {
		next = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "from:%d", end))
	}
	return list[start:end], next, nil
}

// onePage refuses ids together with a page size, as EC2 does.
func onePage(q pageRequest, ids []string, name string) error {
	if q.MaxResults != nil && len(ids) > 0 {
		return fail("InvalidParameterCombination", "The parameter %s cannot be used with the parameter maxResults", name)
	}
	return nil
}

// narrow filters a list and cuts a page of it.
func narrow[T any](c *call, s filterSet[T], asked []filter, list []*T, q pageRequest) ([]*T, pageResponse, error) {
	out, err := s.apply(c, asked, list)
	if err != nil {
		return nil, pageResponse{}, err
	}
	out, next, err := page(out, q, 5, 1000)
	return out, pageResponse{next}, err
}
