package pscheck

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A fault is what is wrong with a line of a script.
type fault struct {
	line int
	text string
}

// A checker holds a script against servers.
type checker struct {
	servers   []*server
	dotnet    map[string]string // what is in dotnet.txt: "type" or "type::member" to a version
	functions map[string]bool   // that the scripts of the folder define
	faults    []fault
}

func (c *checker) add(n *branch, format string, a ...any) {
	c.faults = append(c.faults, fault{n.line, fmt.Sprintf(format, a...)})
}

// lacking names the servers that do not have something.
func (c *checker) lacking(has func(*server) bool) string {
	var out []string
	for _, s := range c.servers {
		if !has(s) {
			out = append(out, s.name)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " and ")
}

func (n *branch) all(visit func(*branch)) {
	visit(n)
	for _, k := range n.kids {
		k.all(visit)
	}
}

// sole is what is left of n without the nodes of operators that are not there.
func (n *branch) sole() *branch {
	for len(n.kids) == 1 && !strings.HasSuffix(n.kind, "string_literal") {
		n = n.kids[0]
	}
	return n
}

// source is the text of a node without what separates words.
func (n *branch) source() string {
	if n.text != "" || len(n.kids) == 0 {
		return n.text
	}
	var b strings.Builder
	for _, k := range n.kids {
		b.WriteString(k.source())
	}
	return b.String()
}

// defined returns the names of a script's functions.
func defined(tree *branch) (names []*branch) {
	tree.all(func(n *branch) {
		if n.kind == "function_name" {
			names = append(names, n)
		}
	})
	return names
}

// reserved are the words that are or may become part of the language.
var reserved = strings.Fields("assembly base begin break catch class command configuration continue data define do dynamicparam else elseif end enum exit filter finally for foreach from function hidden if in inlinescript interface module namespace parallel param private process public return sequence static switch throw trap try type until using var while workflow")

var (
	// A colon behind a variable in a string is part of its name, so that "$x: y" is
	// a syntax error.
	colon   = regexp.MustCompile("(?:^|[^`])(?:``)*(\\$\\w+:(?:[^\\w:]|$))")
	escapes = regexp.MustCompile("(?:^|[^`])(?:``)*(`(?:e|u\\{))")
	number  = regexp.MustCompile(`^(\d+\.\.\d+|\d+)$`)
)

// newer are the variables that only later versions set.
var newer = []string{"$iswindows", "$islinux", "$ismacos", "$iscoreclr", "$psstyle", "$psnativecommandargumentpassing", "$psnativecommanduseerroractionpreference"}

// check says what is wrong with a script.
func (c *checker) check(tree *branch) []fault {
	c.faults = nil
	tree.all(func(n *branch) {
		switch n.kind {
		case "ERROR":
			c.add(n, "syntax error at %q", strings.TrimSpace(n.source()))
		case "MISSING":
			c.add(n, "syntax error: something is missing")
		case "pipeline_chain_tail":
			c.add(n, "Windows PowerShell has no %s between commands", n.kids[0].text)
		case "expandable_string_literal", "expandable_here_string_literal":
			if m := colon.FindStringSubmatch(n.text); m != nil {
				c.add(n, "%q in a string is a syntax error: write %s", m[1], "`: or ${}")
			}
			if m := escapes.FindStringSubmatch(n.text); m != nil {
				c.add(n, "Windows PowerShell does not know the escape %q", m[1])
			}
		case "function_name":
			c.function(n)
		case "variable":
			if slices.Contains(newer, strings.ToLower(n.source())) {
				c.add(n, "Windows PowerShell does not set %s", n.source())
			}
		case "command":
			c.command(n)
		case "type_spec":
			c.typeName(n, n.text)
		case "invokation_expression", "member_access":
			c.member(n)
		}
	})
	slices.SortStableFunc(c.faults, func(a, b fault) int { return a.line - b.line })
	return c.faults
}

// function: an alias wins over a function, which wins over a cmdlet.
func (c *checker) function(n *branch) {
	name := strings.ToLower(n.text)
	if slices.Contains(reserved, name) {
		c.add(n, "%q is a reserved word", n.text)
	}
	for _, s := range c.servers {
		if s.Aliases[name] != "" {
			c.add(n, "%s has an alias %q, which wins over the function", s.name, n.text)
		} else if s.Commands[name] != nil {
			c.add(n, "%s has a command %q", s.name, n.text)
		}
	}
}

// blocks of a script, not of a function, are commands to the grammar.
var blocks = map[string]bool{"begin": true, "process": true, "end": true}

// command checks a command's name and parameters.
func (c *checker) command(n *branch) {
	var name *branch
	var words []*branch
	for _, k := range n.kids {
		switch k.kind {
		case "command_name", "command_name_expr":
			name = k.sole()
		case "command_elements":
			words = k.kids
		}
	}
	if name == nil {
		return
	}
	word := name.text
	switch {
	case strings.HasSuffix(name.kind, "string_literal"):
		word = strings.Trim(word, `'"`)
	case name.kind != "command_name":
		return // a value: a script block, a file
	}
	if strings.HasPrefix(word, "$") && !strings.ContainsAny(word, `\/`) || number.MatchString(word) {
		return
	}
	if c.functions[strings.ToLower(word)] || blocks[strings.ToLower(word)] && len(words) > 0 && words[len(words)-1].sole().kind == "script_block_expression" {
		return
	}
	file := strings.ToLower(word[strings.LastIndexAny(word, `\/`)+1:])
	if strings.HasSuffix(file, ".ps1") {
		return
	}
	lacking := c.lacking(func(s *server) bool {
		_, ok := s.command(word)
		return ok || slices.Contains(s.Programs, file) || slices.Contains(s.Programs, file+".exe")
	})
	if lacking != "" {
		c.add(n, "%s is no command of %s", word, lacking)
		return
	}
	c.params(n, word, words)
}

// encodings are what -Encoding takes in Windows PowerShell.
var encodings = strings.Fields("unknown string unicode bigendianunicode utf8 utf7 utf32 ascii default oem byte bigendianutf32")

func (c *checker) params(cmd *branch, name string, words []*branch) {
	var positional []*branch
	last := "" // the parameter before a word
	for _, w := range words {
		switch w.kind {
		case "command_argument_sep", "redirection", "(", ")":
			continue
		case "command_parameter":
			p := strings.TrimRight(strings.TrimPrefix(w.text, "-"), ":")
			last = strings.ToLower(p)
			lacking := c.lacking(func(s *server) bool {
				params, ok := s.command(name)
				return !ok || slices.Contains(params, last) || slices.Contains(s.Common, last) // programs have none
			})
			if lacking != "" {
				c.add(w, "%s has no parameter -%s in %s", name, p, lacking)
			}
			if last == "typename" && strings.EqualFold(name, "new-object") {
				positional = nil
			}
			continue
		}
		v := w.sole()
		if v.kind == "variable" && strings.HasPrefix(v.source(), "@") {
			c.add(w, "what %s stands for cannot be checked: write the parameters of %s out", v.source(), name)
		}
		text := strings.ToLower(strings.Trim(v.source(), `'"`))
		if last == "encoding" && !strings.HasPrefix(text, "$") && !slices.Contains(encodings, text) {
			c.add(w, "Windows PowerShell knows no encoding %q here", text)
		}
		switch {
		case strings.EqualFold(name, "new-object") && (last == "typename" || last == "" && len(positional) == 0):
			t := strings.Trim(v.source(), `'"`)
			if !strings.HasPrefix(t, "$") {
				c.typeName(w, t)
				of, _, _ := strings.Cut(t, "[")
				c.listed(w, of)
			}
		case strings.EqualFold(name, "join-path") && last == "" && len(positional) == 2:
			c.add(w, "Join-Path of Windows PowerShell takes two parts")
		}
		if last == "" {
			positional = append(positional, v)
		}
		last = ""
	}
}

// elementType is the type without the brackets of an array.
func elementType(name string) string {
	if i := strings.IndexByte(name, '['); i >= 0 && strings.Trim(name[i:], "[], ") == "" {
		name = name[:i]
	}
	return name
}

// typeName checks that a type exists.
func (c *checker) typeName(n *branch, name string) {
	name = elementType(name)
	if i := strings.IndexByte(name, '['); i >= 0 {
		args := split(strings.TrimSuffix(name[i+1:], "]"))
		for _, a := range args {
			c.typeName(n, strings.Trim(a, "[] "))
		}
		name = fmt.Sprintf("%s`%d", name[:i], len(args))
	}
	if strings.EqualFold(name, "ordered") {
		return // no type
	}
	lacking := c.lacking(func(s *server) bool {
		return s.find(name) != nil || s.find(name+"Attribute") != nil
	})
	if _, loaded := c.dotnet[strings.ToLower(name)]; lacking != "" && !loaded {
		c.add(n, "there is no type [%s] in %s; one that is loaded later stands in testdata/dotnet.txt", name, lacking)
	}
}

// split cuts the arguments of a generic type.
func split(s string) (out []string) {
	depth, from := 0, 0
	for i, r := range s {
		switch r {
		case '[':
			depth++
		case ']':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, s[from:i])
				from = i + 1
			}
		}
	}
	return append(out, s[from:])
}

// listed checks that dotnet.txt knows the version of a type or static member.
func (c *checker) listed(n *branch, what string) {
	if t, _, member := strings.Cut(what, "::"); !member && !strings.Contains(t, ".") {
		return // byte and its like have always been there
	}
	v, ok := c.dotnet[strings.ToLower(what)]
	switch {
	case !ok:
		c.add(n, "testdata/dotnet.txt does not say which version of the .NET Framework %s came with", what)
	case versionOver(v, "4.5.2"):
		c.add(n, "%s came with .NET Framework %s, and not every machine has more than 4.5.2", what, v)
	}
}

func versionOver(v, limit string) bool {
	a, b := strings.Split(v, "."), strings.Split(limit, ".")
	for i := range a {
		if i >= len(b) {
			return a[i] != "0"
		}
		if a[i] != b[i] {
			return a[i] > b[i]
		}
	}
	return false
}

// member checks [Type]::Member, [Type]::Method(...) and $value.Method(...).
func (c *checker) member(n *branch) {
	var of, name, args *branch
	static := false
	for _, k := range n.kids {
		switch k.kind {
		case "member_name":
			name = k.sole()
		case "argument_list":
			args = k
		case "::":
			static = true
		default:
			if of == nil {
				of = k.sole()
				if k.kind == "type_literal" {
					of = k
				}
			}
		}
	}
	if name == nil || name.kind != "simple_name" {
		return
	}
	if !static {
		if args != nil {
			c.method(n, name.text, count(args))
		}
		return
	}
	if of == nil || of.kind != "type_literal" {
		c.add(n, "the type of ::%s cannot be told", name.text)
		return
	}
	t := strings.Trim(strings.TrimSpace(of.source()), "[]")
	what := t + "::" + name.text
	c.listed(n, what)
	lacking := c.lacking(func(s *server) bool {
		x := s.find(t)
		switch {
		case x == nil:
			return true // told, or loaded later
		case args == nil:
			return slices.Contains(x.Values, strings.ToLower(name.text))
		case strings.EqualFold(name.text, "new"):
			return x.New.take(count(args))
		}
		return x.Methods[strings.ToLower(name.text)].take(count(args))
	})
	if lacking != "" {
		if args != nil {
			what += fmt.Sprintf(" with %d arguments", count(args))
		}
		c.add(n, "there is no %s in %s", what, lacking)
	}
}

// count tells how many arguments a list has.
func count(args *branch) (n int) {
	for _, k := range args.kids {
		if k.kind == "argument_expression_list" {
			for _, a := range k.kids {
				if a.kind == "argument_expression" {
					n++
				}
			}
		}
	}
	return n
}

// method checks a method of a value, whose type is not known.
func (c *checker) method(n *branch, name string, args int) {
	if _, ok := c.dotnet["*::"+strings.ToLower(name)]; ok {
		return
	}
	lacking := c.lacking(func(s *server) bool { return s.Methods[strings.ToLower(name)].take(args) })
	if lacking != "" {
		c.add(n, "no type of %s has a method %s with %d arguments; one of a type that is loaded later, or of a COM object, stands in testdata/dotnet.txt", lacking, name, args)
	}
}
