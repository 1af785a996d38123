package convert

import (
	"regexp"
	"strings"

	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/template"
)

// The actions that HCL2 has expressions for. A text in them is quoted either way.
var (
	userAction    = regexp.MustCompile("^\\{\\{\\s*user\\s+(?:`([^`]*)`|\"([^\"\\\\]*)\")\\s*\\}\\}$")
	envAction     = regexp.MustCompile("^\\{\\{\\s*env\\s+(?:`([^`]*)`|\"([^\"\\\\]*)\")\\s*\\}\\}$")
	isotimeAction = regexp.MustCompile("^\\{\\{\\s*isotime\\s+(?:`([^`]*)`|\"([^\"\\\\]*)\")\\s*\\}\\}$")
	plainAction   = regexp.MustCompile(`^\{\{\s*(\w+)\s*\}\}$`)
	askAction     = regexp.MustCompile("^\\{\\{\\s*(vault|consul_key|aws_secretsmanager|aws_secretsmanager_raw)((?:\\s+(?:`[^`]*`|\"[^\"\\\\]*\"))+)\\s*\\}\\}$")
	quoted        = regexp.MustCompile("`([^`]*)`|\"([^\"]*)\"")
	userArgument  = regexp.MustCompile("^user\\s+(?:`([^`]*)`|\"([^\"\\\\]*)\")")
)

// plain are the actions of one word.
var plain = map[string]string{"template_dir": "path.root", "pwd": "path.cwd", "packer_version": "packer.version"}

// text writes a template string as an expression. Within variables env means something, and uuid is what all users share.
func (c *converter) text(s string, inVariables bool) string {
	segments, err := interp.Segments(s)
	if err != nil {
		return `"` + literal(s) + `"` // what is wrong with it is told when it is evaluated
	}
	var b strings.Builder
	for _, seg := range segments {
		if !seg.Action {
			b.WriteString(literal(seg.Text))
			continue
		}
		expr, ok := c.expression(seg.Text, inVariables)
		if ok && len(segments) == 1 {
			return expr
		}
		if ok {
			b.WriteString("${" + expr + "}")
			continue
		}
		b.WriteString(c.action(s, seg))
	}
	return `"` + b.String() + `"`
}

// expression is what an action is in HCL2, if that is known.
func (c *converter) expression(action string, inVariables bool) (string, bool) {
	if m := userAction.FindStringSubmatch(action); m != nil {
		return c.reference(m[1] + m[2]), true
	}
	if m := isotimeAction.FindStringSubmatch(action); m != nil {
		return `legacy_isotime("` + literal(m[1]+m[2]) + `")`, true
	}
	if m := envAction.FindStringSubmatch(action); m != nil && inVariables {
		return `env("` + literal(m[1]+m[2]) + `")`, true
	}
	if m := askAction.FindStringSubmatch(action); m != nil && inVariables {
		var args []string
		for _, a := range quoted.FindAllStringSubmatch(m[2], -1) {
			args = append(args, `"`+literal(a[1]+a[2])+`"`)
		}
		return m[1] + "(" + strings.Join(args, ", ") + ")", true
	}
	if m := plainAction.FindStringSubmatch(action); m != nil {
		if inVariables && m[1] == "uuid" {
			return "uuidv4()", true
		}
		expr, ok := plain[m[1]]
		return expr, ok
	}
	return "", false
}

// action is one that stays, with the variables that it uses put into it as texts.
func (c *converter) action(s string, seg interp.Segment) string {
	var b strings.Builder
	pos := seg.Start
	for _, u := range interp.Uses(s) {
		if u.Offset < pos || u.Offset >= seg.Start+len(seg.Text) {
			continue
		}
		m := userArgument.FindStringSubmatch(s[u.Offset:])
		if m == nil {
			continue // its name is another spelling of a text: the error says so
		}
		b.WriteString(literal(s[pos:u.Offset]) + "`${" + c.reference(u.Name) + "}`")
		pos = u.Offset + len(m[0])
	}
	b.WriteString(literal(s[pos : seg.Start+len(seg.Text)]))
	return b.String()
}

// literal writes text as a part of a quoted template of HCL.
func literal(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case (r == '$' || r == '%') && strings.HasPrefix(s[i+1:], "{"):
			b.WriteString(string(r) + string(r))
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029:
			const hex = "0123456789abcdef"
			b.WriteString(`\u` + string([]byte{hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15]}))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// names of variables that a text uses.
func uses(v template.Raw) (names []string) {
	switch v.Kind {
	case template.String:
		for _, u := range interp.Uses(v.Text) {
			names = append(names, u.Name)
		}
	case template.List:
		for _, x := range v.List {
			names = append(names, uses(x)...)
		}
	case template.Object:
		for _, f := range v.Fields {
			names = append(names, uses(template.Raw{Kind: template.String, Text: f.Name})...)
			names = append(names, uses(f.Value)...)
		}
	}
	return names
}
