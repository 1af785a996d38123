package model

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

type element struct {
	name     xml.Name
	text     string
	children []*element
}

// Check says in what a reply of the operation differs from the model: the name
// and namespace of the root, elements that the model does not name or names
// twice, tags of list items, the syntax of scalars, values of enumerations.
func (o *Operation) Check(reply []byte) []string {
	root, err := parseXML(reply)
	if err != nil {
		return []string{fmt.Sprintf("%s: the reply is not XML: %v", o.Name, err)}
	}
	c := &checker{s: o.service}
	if want := o.Name + "Response"; root.name.Local != want {
		c.wrong(o.Name, "the root is %s, not %s", root.name.Local, want)
	}
	if root.name.Space != o.service.Namespace {
		c.wrong(o.Name, "the namespace is %q, not %q", root.name.Space, o.service.Namespace)
	}
	if !o.service.EC2 {
		c.query(o, root)
		return c.problems
	}
	rest := root.children
	if len(rest) == 0 || rest[0].name.Local != "requestId" || rest[0].text == "" {
		c.wrong(o.Name, "the first element is not the requestId")
	} else {
		rest = rest[1:]
	}
	c.result(o, &element{name: root.name, children: rest, text: root.text})
	return c.problems
}

// answers are values that the service gives although its model does not list
// them, by the name of the shape.
var answers = map[string]string{
	"PlatformValues":   "windows",   // listed as Windows
	"AttachmentStatus": "available", // of an internet gateway, as its documentation says
}

type checker struct {
	s        *Service
	problems []string
}

func (c *checker) wrong(path, format string, a ...any) {
	c.problems = append(c.problems, path+": "+fmt.Sprintf(format, a...))
}

func (c *checker) query(o *Operation, root *element) {
	result, meta := false, false
	for _, e := range root.children {
		switch e.name.Local {
		case o.Wrapper:
			result = true
			c.result(o, e)
		case "ResponseMetadata":
			meta = len(e.children) == 1 && e.children[0].name.Local == "RequestId"
		default:
			c.wrong(o.Name, "unknown element %s", e.name.Local)
		}
	}
	if o.output != "" && o.Wrapper != "" && !result {
		c.wrong(o.Name, "there is no %s", o.Wrapper)
	}
	if !meta {
		c.wrong(o.Name, "there is no ResponseMetadata with a RequestId")
	}
}

func (c *checker) result(o *Operation, e *element) {
	if o.output != "" {
		c.shape(o.output, e, o.Name)
		return
	}
	// Calls without a result answer <return>true</return>.
	for _, child := range e.children {
		if child.name.Local != "return" || child.text != "true" {
			c.wrong(o.Name, "unknown element %s", child.name.Local)
		}
	}
}

func (c *checker) shape(name string, e *element, path string) {
	sh := c.s.shapes[name]
	switch sh.Type {
	case "structure":
		c.structure(sh, e, path)
		return
	case "list":
		if strings.TrimSpace(e.text) != "" {
			c.wrong(path, "text %q in a list", e.text)
		}
		tag := sh.Member.LocationName
		if tag == "" {
			tag = "member"
		}
		for i, item := range e.children {
			if item.name.Local != tag {
				c.wrong(path, "an item of the list is called %s, not %s", item.name.Local, tag)
				continue
			}
			c.shape(sh.Member.Shape, item, fmt.Sprintf("%s[%d]", path, i))
		}
		return
	}
	if len(e.children) > 0 {
		c.wrong(path, "a %s holds the element %s", sh.Type, e.children[0].name.Local)
		return
	}
	if answers[name] == e.text && e.text != "" {
		return
	}
	if err := syntax(sh, e.text); err != "" {
		c.wrong(path, "%q %s", e.text, err)
	}
}

func (c *checker) structure(sh *shape, e *element, path string) {
	if strings.TrimSpace(e.text) != "" {
		c.wrong(path, "text %q in a structure", e.text)
	}
	members := map[string]*member{}
	for name, m := range sh.Members {
		if m.LocationName != "" {
			name = m.LocationName
		}
		members[name] = m
	}
	seen := map[string]bool{}
	for _, child := range e.children {
		name := child.name.Local
		m := members[name]
		switch {
		case m == nil:
			c.wrong(path, "unknown element %s", name)
		case seen[name]:
			c.wrong(path, "element %s twice", name)
		default:
			c.shape(m.Shape, child, path+"."+name)
		}
		seen[name] = true
	}
}

func syntax(sh *shape, text string) string {
	ok := true
	switch sh.Type {
	case "boolean":
		ok = text == "true" || text == "false"
	case "integer":
		_, err := strconv.ParseInt(text, 10, 32)
		ok = err == nil
	case "long":
		_, err := strconv.ParseInt(text, 10, 64)
		ok = err == nil
	case "float", "double":
		_, err := strconv.ParseFloat(text, 64)
		ok = err == nil
	case "timestamp":
		_, err := time.Parse("2006-01-02T15:04:05.999Z", text)
		ok = err == nil
	case "blob":
		_, err := base64.StdEncoding.DecodeString(text)
		ok = err == nil
	case "string":
		if len(sh.Enum) > 0 && !slices.Contains(sh.Enum, text) {
			return "is not one of " + strings.Join(sh.Enum[:min(len(sh.Enum), 12)], ", ")
		}
	}
	if !ok {
		return "is no " + sh.Type
	}
	return ""
}

func parseXML(raw []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(raw))
	var stack []*element
	var root *element
	for {
		t, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			e := &element{name: t.Name}
			if len(stack) > 0 {
				top := stack[len(stack)-1]
				top.children = append(top.children, e)
			} else if root == nil {
				root = e
			}
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text += string(t)
			}
		}
	}
	if root == nil {
		return nil, io.ErrUnexpectedEOF
	}
	return root, nil
}
