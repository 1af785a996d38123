package model

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Values is a structure of a request: the model's member names, and for each a
// string, bool, int64, float64, time.Time, []byte, Values or []any.
type Values map[string]any

// An Error says what is wrong with a request, in the words of the service.
type Error struct {
	Code    string // UnknownParameter, MissingParameter, InvalidParameterValue
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Envelope are the parameters of a form that are not the operation's own:
// of the protocol, and of a signature that stands in the query.
func Envelope(name string) bool {
	switch name {
	case "Action", "Version", "AWSAccessKeyId", "SignatureVersion", "SignatureMethod", "Signature", "Timestamp", "Expires":
		return true
	}
	return strings.HasPrefix(name, "X-Amz-")
}

// Parse reads the form of a request. The error is an *Error.
func (o *Operation) Parse(form url.Values) (Values, error) {
	root := &node{}
	for name, v := range form {
		if Envelope(name) {
			continue
		}
		if len(v) != 1 {
			return nil, &Error{"InvalidParameterCombination", fmt.Sprintf("The parameter '%s' may only be specified once.", name)}
		}
		n := root
		for part := range strings.SplitSeq(name, ".") {
			n = n.child(part)
		}
		n.value = &v[0]
	}
	if o.input == "" {
		if len(root.children) > 0 {
			return nil, unknown(root.names()[0])
		}
		return Values{}, nil
	}
	v, err := o.service.structure(o.input, root, "")
	if err != nil {
		return nil, err
	}
	return v, nil
}

type node struct {
	value    *string
	children map[string]*node
}

func (n *node) child(name string) *node {
	c := n.children[name]
	if c == nil {
		if n.children == nil {
			n.children = map[string]*node{}
		}
		c = &node{}
		n.children[name] = c
	}
	return c
}

func (n *node) names() []string {
	names := make([]string, 0, len(n.children))
	for name := range n.children {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func unknown(path string) error {
	return &Error{"UnknownParameter", fmt.Sprintf("The parameter %s is not recognized", path)}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// wire is the name of a member in a form.
func (s *Service) wire(name string, m *member) string {
	if !s.EC2 {
		if m.LocationName != "" {
			return m.LocationName
		}
		return name
	}
	if m.QueryName != "" {
		return m.QueryName
	}
	if m.LocationName != "" {
		r := []rune(m.LocationName)
		r[0] = unicode.ToUpper(r[0])
		return string(r)
	}
	return name
}

func (s *Service) structure(name string, n *node, path string) (Values, error) {
	sh := s.shapes[name]
	if n.value != nil {
		return nil, unknown(path)
	}
	members := make(map[string]string, len(sh.Members))
	for name, m := range sh.Members {
		members[s.wire(name, m)] = name
	}
	v := Values{}
	for _, wire := range n.names() {
		at := join(path, wire)
		member, ok := members[wire]
		if !ok {
			return nil, unknown(at)
		}
		x, err := s.read(sh.Members[member].Shape, n.children[wire], at)
		if err != nil {
			return nil, err
		}
		v[member] = x
	}
	for _, r := range sh.Required {
		if _, ok := v[r]; !ok {
			return nil, &Error{"MissingParameter", fmt.Sprintf("The request must contain the parameter %s", join(path, s.wire(r, sh.Members[r])))}
		}
	}
	return v, nil
}

func (s *Service) read(name string, n *node, path string) (any, error) {
	sh := s.shapes[name]
	switch sh.Type {
	case "structure":
		return s.structure(name, n, path)
	case "list":
		return s.list(sh, n, path)
	}
	if n.value == nil {
		return nil, unknown(join(path, n.names()[0]))
	}
	if len(n.children) > 0 {
		return nil, unknown(join(path, n.names()[0]))
	}
	v, err := scalar(sh, *n.value)
	if err != nil {
		shown := *n.value
		if sh.Sensitive {
			shown = "*****"
		}
		return nil, &Error{"InvalidParameterValue", fmt.Sprintf("Value (%s) for parameter %s is invalid. %s.", shown, path, err)}
	}
	return v, nil
}

func (s *Service) list(sh *shape, n *node, path string) (any, error) {
	if n.value != nil {
		if *n.value == "" && len(n.children) == 0 {
			return []any{}, nil // how an empty list is written
		}
		return nil, unknown(path)
	}
	if !s.EC2 && !sh.Flattened {
		tag := sh.Member.LocationName
		if tag == "" {
			tag = "member"
		}
		for _, name := range n.names() {
			if name != tag {
				return nil, unknown(join(path, name))
			}
		}
		n, path = n.children[tag], join(path, tag)
	}
	var at []int
	for name := range n.children {
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || strconv.Itoa(i) != name {
			return nil, unknown(join(path, name))
		}
		at = append(at, i)
	}
	sort.Ints(at)
	list := make([]any, 0, len(at))
	for _, i := range at {
		name := strconv.Itoa(i)
		v, err := s.read(sh.Member.Shape, n.children[name], join(path, name))
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func scalar(sh *shape, text string) (any, error) {
	switch sh.Type {
	case "string":
		if len(sh.Enum) > 0 && !slices.Contains(sh.Enum, text) {
			return nil, fmt.Errorf("It is not one of the values that this parameter takes")
		}
		return text, nil
	case "boolean":
		switch strings.ToLower(text) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, fmt.Errorf("It must be true or false")
	case "integer", "long":
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("It must be an integer")
		}
		return i, nil
	case "float", "double":
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("It must be a number")
		}
		return f, nil
	case "timestamp":
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return nil, fmt.Errorf("It must be a time such as 2026-01-31T12:00:00Z")
		}
		return t.UTC(), nil
	case "blob":
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("It must be base64")
		}
		return b, nil
	}
	return nil, fmt.Errorf("This endpoint does not know the type %s", sh.Type)
}
