package winguest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// wmicClasses are the names by which wmic knows the classes.
var wmicClasses = map[string]string{
	"useraccount": "Win32_UserAccount", "group": "Win32_Group", "os": "Win32_OperatingSystem", "process": "Win32_Process", "service": "Win32_Service",
	"computersystem": "Win32_ComputerSystem", "cpu": "Win32_Processor", "bios": "Win32_BIOS", "logicaldisk": "Win32_LogicalDisk", "qfe": "Win32_QuickFixEngineering",
	"product": "Win32_Product", "timezone": "Win32_TimeZone", "csproduct": "Win32_ComputerSystemProduct", "nicconfig": "Win32_NetworkAdapterConfiguration",
	"pagefileset": "Win32_PageFileSetting",
}

// wmicExe is wmic.exe: CLASS [where CONDITION] get|list|set|call|delete.
func wmicExe(_ context.Context, p *Proc) int {
	words, err := wmicWords(p.raw())
	if err != nil {
		return p.refuse("%v", err)
	}
	for len(words) > 0 && strings.HasPrefix(words[0].text, "/") {
		switch low := strings.ToLower(words[0].text); {
		case strings.HasPrefix(low, "/interactive"), low == `/namespace:\\root\cimv2`, low == "/node:localhost", low == "/node:127.0.0.1", strings.EqualFold(low, "/node:"+p.Machine.ComputerName()):
		default:
			return p.unsupported(words[0].text, `are /node:localhost, /namespace:\\root\cimv2 and /interactive:`)
		}
		words = words[1:]
	}
	if len(words) == 0 {
		return p.refuse("without a class it reads commands from a console, and there is none")
	}
	class, alias := words[0].text, true
	words = words[1:]
	if strings.EqualFold(class, "path") && len(words) > 0 {
		class, alias = words[0].text, false
		words = words[1:]
	}
	if alias {
		name, ok := wmicClasses[strings.ToLower(class)]
		if !ok {
			p.complain("%s - Alias not found. (Those of this machine are fewer than those of Windows.)", class)
			return 44135
		}
		class = name
	}
	where := ""
	if len(words) > 1 && strings.EqualFold(words[0].text, "where") {
		where = words[1].text
		words = words[2:]
		if len(words) > 0 && !words[0].quoted && !wmicVerb(words[0].text) { // name = 'x', without quotes around
			return p.refuse("the condition %q goes on without quotes around it", where)
		}
	}
	if i := strings.IndexByte(class, '.'); i > 0 { // path Win32_Service.Name='x'
		where, class = class[i+1:], class[:i]
	}
	verb := "list"
	if len(words) > 0 {
		verb = strings.ToLower(words[0].text)
		words = words[1:]
	}
	var rest []string
	for _, w := range words {
		rest = append(rest, w.text)
	}
	if verb == "call" && strings.EqualFold(class, "Win32_Process") && where == "" && len(rest) > 0 && strings.EqualFold(rest[0], "create") {
		return wmicCreate(p, rest[1:])
	}
	list, err := p.Machine.Instances(class, where)
	if err != nil {
		p.complain("Node - %s\nERROR:\nDescription = %v", p.Machine.ComputerName(), err)
		return int(-2147217392 & 0x7fffffff)
	}
	if len(list) == 0 {
		p.complain("No Instance(s) Available.\n")
		return 0
	}
	switch verb {
	case "get":
		return wmicGet(p, list, rest)
	case "list":
		if len(rest) > 0 && (strings.EqualFold(rest[0], "full") || strings.EqualFold(rest[0], "brief")) {
			brief := strings.EqualFold(rest[0], "brief")
			rest = rest[1:]
			if !brief {
				rest = append([]string{"/value"}, rest...)
			}
		}
		return wmicGet(p, list, rest)
	case "set":
		return wmicSet(p, list, rest)
	case "call":
		return wmicCall(p, list, rest)
	case "delete":
		if !strings.EqualFold(class, "Win32_Process") || where == "" || len(rest) > 0 {
			return p.refuse("delete: known is process where CONDITION delete")
		}
		return wmicCall(p, list, []string{"terminate"})
	}
	return p.unsupported(verb, "are get, list, set, call and delete")
}

func wmicVerb(w string) bool {
	return slices.Contains([]string{"get", "list", "set", "call", "delete", "assoc"}, strings.ToLower(w))
}

type wmicWord struct {
	text   string
	quoted bool
}

// wmicWords splits a line: quotes and parentheses hold together and go.
func wmicWords(line string) (words []wmicWord, err error) {
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return words, nil
		}
		switch line[0] {
		case '"', '\'':
			end := strings.IndexByte(line[1:], line[0])
			if end < 0 {
				return nil, errors.New("a quote is not closed")
			}
			words = append(words, wmicWord{line[1 : end+1], true})
			line = line[end+2:]
			continue
		case '(':
			depth, quote := 0, byte(0)
			end := -1
			for i := range len(line) {
				switch c := line[i]; {
				case quote != 0:
					if c == quote {
						quote = 0
					}
				case c == '"' || c == '\'':
					quote = c
				case c == '(':
					depth++
				case c == ')':
					depth--
				}
				if depth == 0 && end < 0 {
					end = i
					break
				}
			}
			if end < 0 {
				return nil, errors.New("a parenthesis is not closed")
			}
			words = append(words, wmicWord{strings.ReplaceAll(line[1:end], `"`, "'"), true})
			line = line[end+1:]
			continue
		}
		quote, i := byte(0), 0
		for ; i < len(line); i++ {
			c := line[i]
			if quote == 0 && (c == ' ' || c == '\t') {
				break
			}
			switch {
			case quote == 0 && (c == '"' || c == '\''):
				quote = c
			case c == quote:
				quote = 0
			}
		}
		if quote != 0 {
			return nil, errors.New("a quote is not closed")
		}
		words = append(words, wmicWord{line[:i], false})
		line = line[i:]
	}
}

// wmicText is a value as wmic prints it.
func wmicText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		return strings.ToUpper(fmt.Sprint(v))
	case time.Time:
		return dmtf(v)
	case []string:
		return `{"` + strings.Join(v, `","`) + `"}`
	}
	return fmt.Sprint(v)
}

func wmicGet(p *Proc, list []Instance, args []string) int {
	form := "table"
	var names []string
	for _, a := range args {
		switch low := strings.ToLower(a); {
		case low == "/value", low == "/format:list", low == "/format:value", low == "/format:textvaluelist":
			form = "value"
		case low == "/format:table":
		case low == "/format:csv":
			form = "csv"
		case strings.HasPrefix(low, "/"):
			return p.unsupported(a, "are /value and /format:list, table, csv")
		default:
			for _, n := range strings.Split(a, ",") {
				if n = strings.TrimSpace(n); n != "" {
					names = append(names, n)
				}
			}
		}
	}
	all := list[0].Names()
	if len(names) == 0 || slices.Equal(names, []string{"*"}) {
		names = slices.Clone(all)
	}
	for i, n := range names {
		k := slices.IndexFunc(all, func(o string) bool { return strings.EqualFold(o, n) })
		if k < 0 {
			p.complain("Node - %s\nERROR:\nDescription = Invalid query: %s has no property %s here", p.Machine.ComputerName(), list[0].Class, n)
			return 1
		}
		names[i] = all[k]
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	text := func(i Instance, n string) string {
		v, _ := i.Get(n)
		return wmicText(v)
	}
	switch form {
	case "value":
		for _, i := range list {
			p.say("\n\n")
			for _, n := range names {
				p.say("%s=%s\n", n, text(i, n))
			}
		}
		p.say("\n\n\n")
	case "csv":
		p.say("\nNode,%s\n", strings.Join(names, ","))
		for _, i := range list {
			var vs []string
			for _, n := range names {
				vs = append(vs, text(i, n))
			}
			p.say("%s,%s\n", p.Machine.ComputerName(), strings.Join(vs, ","))
		}
	default:
		width := make([]int, len(names))
		for k, n := range names {
			width[k] = len(n)
			for _, i := range list {
				width[k] = max(width[k], len(text(i, n)))
			}
		}
		row := func(cell func(k int) string) {
			for k := range names {
				p.say("%-*s", width[k]+2, cell(k))
			}
			p.say("\n")
		}
		row(func(k int) string { return names[k] })
		for _, i := range list {
			row(func(k int) string { return text(i, names[k]) })
		}
		p.say("\n")
	}
	return 0
}

func wmicSet(p *Proc, list []Instance, args []string) int {
	if len(args) == 0 {
		return p.refuse("set needs NAME=VALUE")
	}
	if err := p.Admin(); err != nil {
		p.complain("ERROR:\nDescription = Access denied")
		return int(AccessDenied)
	}
	for _, i := range list {
		name, _ := i.Get("Name")
		p.say("Updating property(s) of '\\\\%s\\ROOT\\CIMV2:%s.Name=\"%v\"'\n", p.Machine.ComputerName(), i.Class, name)
		for _, part := range strings.Split(strings.Join(args, " "), ",") {
			n, v, ok := strings.Cut(part, "=")
			if !ok {
				return p.refuse("%q is not of the form NAME=VALUE", part)
			}
			if err := p.Machine.Set(i, strings.TrimSpace(n), strings.Trim(strings.TrimSpace(v), `"'`)); err != nil {
				p.complain("ERROR:\nDescription = %v", err)
				return 1
			}
		}
		p.say("Property(s) update successful.\n")
	}
	return 0
}

func wmicCall(p *Proc, list []Instance, args []string) int {
	if len(args) == 0 {
		return p.refuse("call needs the name of a method")
	}
	var values []any
	for _, a := range args[1:] {
		for _, v := range strings.Split(a, ",") {
			if _, after, ok := strings.Cut(v, "="); ok {
				v = after
			}
			if v = strings.Trim(strings.TrimSpace(v), `"'`); v != "" {
				values = append(values, v)
			}
		}
	}
	for _, i := range list {
		result, err := p.Call(i, args[0], values)
		if err != nil {
			return p.refuse("%v", err)
		}
		wmicDone(p, i.Class, args[0], fmt.Sprintf("\tReturnValue = %d;\n", result))
		if result != 0 {
			return int(result)
		}
	}
	return 0
}

func wmicDone(p *Proc, class, method, out string) {
	p.say("Executing (%s)->%s()\nMethod execution successful.\nOut Parameters:\ninstance of __PARAMETERS\n{\n%s};\n\n", class, method, out)
}

func wmicCreate(p *Proc, args []string) int {
	if len(args) == 0 || len(args) > 2 {
		return p.refuse("process call create takes a command line, and a folder")
	}
	line, dir := args[0], ""
	if len(args) == 2 {
		dir = strings.Trim(args[1], `,"' `)
	}
	result, id := p.CreateProcess(strings.Trim(strings.TrimSuffix(line, ","), `"'`), dir, nil)
	out := fmt.Sprintf("\tReturnValue = %d;\n", result)
	if result == 0 {
		out = fmt.Sprintf("\tProcessId = %d;\n", id) + out
	}
	wmicDone(p, "Win32_Process", "Create", out)
	return int(result)
}
