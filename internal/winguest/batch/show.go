package batch

import (
	"strings"
)

// show prints a command with the prompt before it runs, where echo is on.
// Commands of batch files are shown, and the rounds of a for anywhere.
func (s *shell) show(n node, line bool) {
	if !s.echo || line && s.batch == nil || s.ctx.Err() != nil {
		return
	}
	if text := s.text(n); text != "" {
		s.print(1, "\n%s%s\n", s.prompt(), text)
	}
}

// text is a command as it was understood; nothing if it is not to be shown.
func (s *shell) text(n node) string {
	each := func(t string) string {
		if v, err := s.each(t); err == nil {
			return v
		}
		return t
	}
	with := func(text string, to []redirect) string {
		for _, r := range to {
			text += " " + each(r.String()) + " "
		}
		return text
	}
	switch n := n.(type) {
	case *simple:
		if n.quiet {
			return ""
		}
		text := each(n.name)
		if n.args != "" {
			text += each(n.args) + " "
		}
		return with(text, n.to)
	case *remark:
		if n.text == "" {
			return "rem"
		}
		return "rem" + n.text + " "
	case *joined:
		left, right := s.text(n.left), s.text(n.right)
		if left == "" {
			return ""
		}
		return left + " " + n.op + " " + right
	case *group:
		if n.quiet {
			return ""
		}
		var lines []string
		for _, c := range n.body {
			if t := s.text(c); t != "" {
				lines = append(lines, t)
			}
		}
		if len(lines) == 0 {
			return ""
		}
		return with("("+strings.Join(lines, "\n ")+" )", n.to)
	case *branch:
		if n.quiet {
			return ""
		}
		text := "if "
		if n.fold {
			text += "/I "
		}
		if n.not {
			text += "NOT "
		}
		if n.right != "" {
			text += each(n.left) + " " + n.op + " " + each(n.right)
		} else {
			text += n.op + " " + each(n.left)
		}
		text += " " + s.text(n.then)
		if n.els != nil {
			text += " else " + s.text(n.els)
		}
		return text
	case *loop:
		if n.quiet {
			return ""
		}
		text := "for "
		if n.kind != 0 {
			text += "/" + strings.ToUpper(string(n.kind)) + " "
		}
		if n.opt != "" {
			text += each(n.opt) + " "
		}
		return text + "%" + string(n.name) + " in (" + each(n.set) + ") do " + s.text(n.body)
	}
	return ""
}

// prompt is what PROMPT says.
func (s *shell) prompt() string {
	form := s.variableOr("PROMPT", "$P$G")
	now := s.now()
	var b strings.Builder
	for i := 0; i < len(form); i++ {
		if form[i] != '$' || i+1 == len(form) {
			b.WriteByte(form[i])
			continue
		}
		i++
		switch form[i] | 0x20 {
		case 'p':
			b.WriteString(s.dir)
		case 'g':
			b.WriteByte('>')
		case 'l':
			b.WriteByte('<')
		case 'q':
			b.WriteByte('=')
		case 'b':
			b.WriteByte('|')
		case 'a':
			b.WriteByte('&')
		case 'c':
			b.WriteByte('(')
		case 'f':
			b.WriteByte(')')
		case 's':
			b.WriteByte(' ')
		case 'n':
			b.WriteByte('C')
		case 'd':
			b.WriteString(dateOf(now))
		case 't':
			b.WriteString(timeOf(now))
		case 'v':
			b.WriteString(s.versionText())
		case '$':
			b.WriteByte('$')
		}
		if form[i] == '_' {
			b.WriteString("\n")
		}
	}
	return b.String()
}
