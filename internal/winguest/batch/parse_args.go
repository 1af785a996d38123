package batch

import (
	"strings"
)

// take reads up to one of the given characters outside of quotes, and takes the
// carets out: what follows one has no meaning of its own. A caret at the end
// of a line goes on with the next.
func (p *parser) take(stop string, lines bool) (string, error) {
	var b strings.Builder
	quote := false
	for {
		if p.end() {
			if lines {
				ok, err := p.fill()
				if err != nil {
					return "", err
				}
				if ok {
					b.WriteByte('\n')
					quote = false
					continue
				}
			}
			return b.String(), nil
		}
		c := p.text[p.i]
		switch {
		case c == '"':
			quote = !quote
		case quote:
		case c == '^':
			p.i++
			if p.end() {
				ok, err := p.fill()
				if err != nil || !ok {
					return b.String(), err
				}
				if p.end() { // an empty line behind a caret
					return b.String(), nil
				}
			}
			c = p.text[p.i]
		case strings.IndexByte(stop, c) >= 0:
			return b.String(), nil
		}
		b.WriteByte(c)
		p.i++
	}
}

// arguments reads the rest of a simple command, redirections taken out.
func (p *parser) arguments() (string, []redirect, error) {
	var b strings.Builder
	var to []redirect
	for {
		text, err := p.take("&|<>"+p.closing(), false)
		if err != nil {
			return "", nil, err
		}
		if p.end() || p.peek() != '<' && p.peek() != '>' {
			b.WriteString(text)
			return b.String(), to, nil
		}
		// A digit that stands alone is the handle.
		if n := len(text); n > 0 && text[n-1] >= '0' && text[n-1] <= '9' && p.text[p.i-1] == text[n-1] &&
			(n == 1 && b.Len() == 0 || n > 1 && isDelimiter(text[n-2])) {
			p.i--
			text = text[:n-1]
		}
		b.WriteString(text)
		r, ok, err := p.redirect()
		if err != nil {
			return "", nil, err
		}
		if !ok {
			return "", nil, unexpected(p.word())
		}
		to = append(to, r)
	}
}

// redirect reads one redirection, if one stands here.
func (p *parser) redirect() (redirect, bool, error) {
	i, r := p.i, redirect{handle: -1}
	if i < len(p.text) && p.text[i] >= '0' && p.text[i] <= '9' {
		r.handle = int(p.text[i] - '0')
		i++
	}
	if i >= len(p.text) || p.text[i] != '<' && p.text[i] != '>' {
		return r, false, nil
	}
	r.op = p.text[i : i+1]
	i++
	if r.op == ">" && i < len(p.text) && p.text[i] == '>' {
		r.op = ">>"
		i++
	}
	if r.handle < 0 {
		r.handle = 1
		if r.op == "<" {
			r.handle = 0
		}
	}
	p.i = i
	if p.peek() == '&' {
		p.i++
		p.space()
		if c := p.peek(); c < '0' || c > '9' {
			return r, false, unexpected(p.word())
		}
		r.op, r.target = "&", p.text[p.i:p.i+1]
		p.i++
		return r, true, nil
	}
	p.space()
	var err error
	if r.target, err = p.take(delimiters+"&|<>"+p.closing(), false); err != nil {
		return r, false, err
	}
	if r.target == "" {
		if p.end() {
			return r, false, errSyntax
		}
		return r, false, unexpected(p.word())
	}
	return r, true, nil
}
