package interp

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template/parse"
	"unicode"
)

// unit is a piece of a template string: literal text, or one action, or one whole if or with
// statement from its opening to its end.
type unit struct {
	start, end int // byte offsets in the string
	literal    bool
	trimBefore bool // begins with {{- so white space before it goes
	trimAfter  bool // ends with -}}
	nodes      *parse.ListNode
}

// scan cuts text into units and parses every one that is not literal.
func scan(text string) ([]unit, Faults) {
	if strings.Contains(text, "{{") && strings.Contains(text, "$") && usesVariables(text) {
		// A variable of one action is read in another: they only make sense together.
		u := unit{end: len(text)}
		if f := u.parse(text); f != nil {
			return nil, Faults{f}
		}
		return []unit{u}, nil
	}
	var units []unit
	var faults Faults
	pos, depth, open := 0, 0, 0
	for pos < len(text) {
		i := strings.Index(text[pos:], "{{")
		if i < 0 {
			break
		}
		start := pos + i
		if depth == 0 && start > pos {
			units = append(units, unit{start: pos, end: start, literal: true})
		}
		end, word, err := action(text, start)
		if err != nil {
			return nil, append(faults, &Fault{Offset: start, Text: err.Error()})
		}
		if depth == 0 {
			open = start
		}
		switch word {
		case "if", "with":
			depth++
		case "end":
			depth--
		case "range", "define", "block", "template", "break", "continue":
			return nil, append(faults, &Fault{Offset: start, Text: fmt.Sprintf("%s is not available in template strings", word)})
		}
		if depth <= 0 {
			depth = 0
			u := unit{
				start: open, end: end,
				trimBefore: trimsLeft(text[open:end]),
				trimAfter:  trimsRight(text[open:end]),
			}
			if f := u.parse(text); f != nil {
				faults = append(faults, f)
			} else {
				units = append(units, u)
			}
		}
		pos = end
	}
	if depth > 0 {
		return nil, append(faults, &Fault{Offset: open, Text: "the statement has no {{end}}"})
	}
	if pos < len(text) {
		units = append(units, unit{start: pos, end: len(text), literal: true})
	}
	return units, faults
}

// action finds the end of the action that starts at text[start:] and its first word.
func action(text string, start int) (end int, word string, err error) {
	i := start + 2
	if strings.HasPrefix(text[i:], "- ") {
		i += 2
	}
	for i < len(text) && strings.IndexByte(" \t\r\n", text[i]) >= 0 {
		i++
	}
	if strings.HasPrefix(text[i:], "/*") {
		j := strings.Index(text[i:], "*/")
		if j < 0 {
			return 0, "", errors.New("the comment has no closing */")
		}
		i += j + 2
		k := strings.Index(text[i:], "}}")
		if k < 0 {
			return 0, "", errors.New("the action has no closing }}")
		}
		return i + k + 2, "", nil
	}
	j := i
	for j < len(text) && (text[j] == '_' || text[j] < 0x80 && unicode.IsLetter(rune(text[j]))) {
		j++
	}
	word = text[i:j]
	for i < len(text) {
		switch c := text[i]; c {
		case '}':
			if strings.HasPrefix(text[i:], "}}") {
				return i + 2, word, nil
			}
		case '"', '\'', '`':
			j := i + 1
			for j < len(text) && text[j] != c {
				if text[j] == '\\' && c != '`' {
					j++
				}
				if c != '`' && j < len(text) && text[j] == '\n' {
					return 0, "", fmt.Errorf("the text in %c quotes has no end", c)
				}
				j++
			}
			if j >= len(text) {
				return 0, "", fmt.Errorf("the text in %c quotes has no end", c)
			}
			i = j
		}
		i++
	}
	return 0, "", errors.New("the action has no closing }}")
}

func trimsLeft(s string) bool {
	return len(s) > 3 && s[2] == '-' && strings.IndexByte(" \t\r\n", s[3]) >= 0
}

func trimsRight(s string) bool {
	return len(s) > 3 && s[len(s)-3] == '-' && strings.IndexByte(" \t\r\n", s[len(s)-4]) >= 0
}

// usesVariables says whether a template variable such as $x stands in any action of text.
func usesVariables(text string) bool {
	for pos := 0; ; {
		i := strings.Index(text[pos:], "{{")
		if i < 0 {
			return false
		}
		end, _, err := action(text, pos+i)
		if err != nil {
			return false
		}
		if bare := quoted.ReplaceAllString(text[pos+i:end], `""`); strings.Contains(bare, "$") {
			return true
		}
		pos = end
	}
}

var quoted = regexp.MustCompile("(?s)\"(?:\\\\.|[^\"\\\\])*\"|`[^`]*`|/\\*.*?\\*/")

// parserPrefix is what the standard parser puts before its messages: name and line, which mean
// nothing to the reader of a string.
var parserPrefix = regexp.MustCompile(`^template: [^:]*:\d+: `)

func (u *unit) parse(text string) *Fault {
	t := parse.New("string")
	t.Mode = parse.SkipFuncCheck
	sets := map[string]*parse.Tree{}
	if _, err := t.Parse(text[u.start:u.end], "{{", "}}", sets); err != nil {
		return &Fault{Offset: u.start, Text: parserPrefix.ReplaceAllString(err.Error(), "")}
	}
	if len(sets) > 1 {
		return &Fault{Offset: u.start, Text: "define and block are not available in template strings"}
	}
	u.nodes = t.Root
	if u.nodes == nil {
		u.nodes = &parse.ListNode{NodeType: parse.NodeList}
	}
	var f *Fault
	inspect(u.nodes, func(n parse.Node) {
		switch n.(type) {
		case *parse.RangeNode, *parse.TemplateNode:
			if f == nil {
				f = &Fault{Offset: u.start + int(n.Position()), Text: "range and template are not available in template strings"}
			}
		}
	})
	return f
}

// inspect calls fn for n and everything below it, parents first.
func inspect(n parse.Node, fn func(parse.Node)) {
	if l, ok := n.(*parse.ListNode); ok && l == nil { // literal text, or no else
		return
	}
	fn(n)
	branch := func(b *parse.BranchNode) {
		inspect(b.Pipe, fn)
		inspect(b.List, fn)
		inspect(b.ElseList, fn)
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, c := range n.Nodes {
			inspect(c, fn)
		}
	case *parse.ActionNode:
		inspect(n.Pipe, fn)
	case *parse.PipeNode:
		for _, c := range n.Cmds {
			inspect(c, fn)
		}
	case *parse.CommandNode:
		for _, a := range n.Args {
			inspect(a, fn)
		}
	case *parse.ChainNode:
		inspect(n.Node, fn)
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	}
}

// Segment is a piece of a template string as it is written.
type Segment struct {
	Start  int // in bytes, from the start of the string
	Text   string
	Action bool // else it is literal text
}

// Segments cuts a template string into its pieces. The error is a Faults.
func Segments(text string) ([]Segment, error) {
	units, faults := scan(text)
	list := make([]Segment, len(units))
	for i, u := range units {
		list[i] = Segment{u.start, text[u.start:u.end], !u.literal}
	}
	return list, faults.err()
}
