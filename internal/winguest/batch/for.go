package batch

import (
	"bytes"
	"io"
	"strconv"
	"strings"
)

func (s *shell) loop(n *loop) (int, error) {
	set, err := s.expand(n.set)
	if err != nil {
		return 1, err
	}
	opt, err := s.expand(n.opt)
	if err != nil {
		return 1, err
	}
	code := 0
	old, had := s.vars[n.name]
	defer func() {
		if had {
			s.vars[n.name] = old
		} else {
			delete(s.vars, n.name)
		}
	}()
	each := func(value string) error {
		s.vars[n.name] = value
		s.show(n.body, false)
		var err error
		code, err = s.exec(n.body)
		return s.last(err, false)
	}
	switch n.kind {
	case 'l':
		err = s.count(set, each)
	case 'f':
		if code, err = s.lines(n, set, opt, &code); err != nil {
			return code, err
		}
	case 'r':
		root := s.dir
		if opt != "" {
			root = s.abs(unquoteName(opt))
		}
		err = s.walk(root, func(dir string) error { return s.members(words(oneLineSet(set)), dir, n.kind, each) })
	default:
		err = s.members(words(oneLineSet(set)), "", n.kind, each)
	}
	return code, err
}

func oneLineSet(set string) string { return strings.ReplaceAll(set, "\n", " ") }

// count is for /l.
func (s *shell) count(set string, each func(string) error) error {
	var v [3]int64
	for k, w := range words(oneLineSet(set)) {
		if k == 3 {
			break
		}
		v[k], _ = strconv.ParseInt(w, 0, 32)
	}
	for i := v[0]; v[1] >= 0 && i <= v[2] || v[1] < 0 && i >= v[2]; i += v[1] {
		if err := each(strconv.FormatInt(i, 10)); err != nil {
			return err
		}
	}
	return nil
}

// members gives the words of a set, with files for those that hold wildcards.
// With a folder they are in it.
func (s *shell) members(set []string, dir string, kind byte, each func(string) error) error {
	for _, w := range set {
		name := unquoteName(w)
		if !strings.ContainsAny(name, "*?") {
			if dir != "" {
				w = strings.TrimSuffix(dir, `\`) + `\` + name
			}
			if err := each(w); err != nil {
				return err
			}
			continue
		}
		lead := name[:strings.LastIndexAny(name, `\/:`)+1]
		from := lead
		if dir != "" {
			lead = strings.TrimSuffix(dir, `\`) + `\` + lead
			from = lead
		}
		if from == "" {
			from = "."
		}
		pattern := name[strings.LastIndexAny(name, `\/:`)+1:]
		list, err := s.machine.List(s.abs(from))
		if err != nil {
			continue
		}
		for _, f := range list {
			if f.IsDir() == (kind == 'd') && visible(f) && match(pattern, f.Name) {
				if err := each(lead + f.Name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// walk visits a folder and all below it.
func (s *shell) walk(dir string, visit func(string) error) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if err := visit(dir); err != nil {
		return err
	}
	list, err := s.machine.List(dir)
	if err != nil {
		return nil
	}
	for _, f := range list {
		if f.IsDir() {
			if err := s.walk(join(dir, f.Name), visit); err != nil {
				return err
			}
		}
	}
	return nil
}

// parsing is how for /f splits its lines.
type parsing struct {
	eol    byte
	skip   int
	delims string
	tokens []int
	rest   bool // the last token is all that is left
	back   bool // usebackq
}

func (s *shell) parsing(opt string) (parsing, error) {
	p := parsing{eol: ';', delims: " \t", tokens: []int{1}}
	bad := func() (parsing, error) { return p, unexpected(opt) }
	opt = unquoteAll(opt)
	for {
		opt = strings.TrimLeft(opt, " \t")
		if opt == "" {
			return p, nil
		}
		key := strings.ToLower(opt)
		value := opt[strings.IndexByte(opt, '=')+1:]
		word, after := value, ""
		if k := strings.IndexAny(value, " \t"); k >= 0 {
			word, after = value[:k], value[k:]
		}
		switch {
		case strings.HasPrefix(key, "usebackq"):
			p.back = true
			opt = opt[len("usebackq"):]
			continue
		case strings.HasPrefix(key, "eol="):
			if value == "" {
				return bad()
			}
			p.eol = value[0]
			opt = value[1:]
			continue
		case strings.HasPrefix(key, "skip="):
			n, err := strconv.ParseInt(word, 0, 32)
			if err != nil || n < 1 {
				return bad()
			}
			p.skip = int(n)
		case strings.HasPrefix(key, "delims="):
			// A blank is one of them where no other option follows it.
			for _, k := range []string{"eol=", "skip=", "tokens=", "usebackq"} {
				if strings.HasPrefix(strings.ToLower(strings.TrimLeft(after, " \t")), k) {
					value = word
				}
			}
			if value == word {
				p.delims = word
				break
			}
			p.delims = value
			return p, nil
		case strings.HasPrefix(key, "tokens="):
			if star, ok := strings.CutSuffix(word, "*"); ok {
				p.rest = true
				word = strings.TrimSuffix(star, ",")
			}
			p.tokens = nil
			for _, t := range strings.Split(word, ",") {
				if t == "" && p.rest {
					continue
				}
				first, last, ok := strings.Cut(t, "-")
				from, err := strconv.Atoi(first)
				to := from
				if ok && err == nil {
					to, err = strconv.Atoi(last)
				}
				if err != nil || from < 1 || to > 31 {
					return bad()
				}
				for ; from <= to; from++ {
					p.tokens = append(p.tokens, from)
				}
			}
		default:
			return bad()
		}
		opt = after
	}
}

// lines is for /f: over the lines of files, of text, or of a command's output.
func (s *shell) lines(n *loop, set, opt string, code *int) (int, error) {
	p, err := s.parsing(opt)
	if err != nil {
		return 1, err
	}
	set = strings.TrimSpace(set)
	wrapped := func(q byte) (string, bool) {
		if len(set) >= 2 && set[0] == q && set[len(set)-1] == q {
			return set[1 : len(set)-1], true
		}
		return "", false
	}
	text, command := byte('"'), byte('\'')
	if p.back {
		text, command = '\'', '`'
	}
	if t, ok := wrapped(text); ok {
		return s.split(n, p, []string{t}, code)
	}
	if t, ok := wrapped(command); ok {
		out, err := s.output(t)
		if err != nil {
			return 1, err
		}
		return s.split(n, p, textLines(out), code)
	}
	var all []string
	for _, name := range words(set) {
		data, err := s.readFile(s.abs(unquoteName(name)))
		if err != nil {
			s.complain("The system cannot find the file %s.", unquoteName(name))
			return 1, nil
		}
		all = append(all, textLines(data)...)
	}
	return s.split(n, p, all, code)
}

// output runs a command in a shell of its own and takes what it prints.
func (s *shell) output(line string) ([]byte, error) {
	var b bytes.Buffer
	c := s.child()
	c.io[1] = &stream{w: &b}
	code, err := c.runText(line)
	_, err = c.ended(code, err)
	return b.Bytes(), err
}

func (s *shell) readFile(path string) ([]byte, error) {
	f, err := s.machine.Open(path, readShared)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func textLines(b []byte) []string {
	text := strings.TrimPrefix(strings.ReplaceAll(string(b), "\r\n", "\n"), "\ufeff")
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// split runs the body for each line that is not empty, with its tokens.
func (s *shell) split(n *loop, p parsing, lines []string, code *int) (int, error) {
	old := map[byte]string{}
	names := len(p.tokens)
	if p.rest {
		names++
	}
	for k := range names {
		if v, ok := s.vars[n.name+byte(k)]; ok && k > 0 {
			old[n.name+byte(k)] = v
		}
	}
	defer func() {
		for k := 1; k < names; k++ {
			delete(s.vars, n.name+byte(k))
		}
		for k, v := range old {
			s.vars[k] = v
		}
	}()
	for k, line := range lines {
		if k < p.skip || line == "" {
			continue
		}
		rest := strings.TrimLeft(line, p.delims)
		if rest == "" || rest[0] == p.eol {
			continue
		}
		var tokens []string
		last := 0
		for _, t := range p.tokens {
			last = max(last, t)
		}
		for len(tokens) < last && rest != "" {
			end := strings.IndexAny(rest, p.delims)
			if p.delims == "" || end < 0 {
				end = len(rest)
			}
			tokens = append(tokens, rest[:end])
			rest = strings.TrimLeft(rest[end:], p.delims)
		}
		for i, t := range p.tokens {
			s.vars[n.name+byte(i)] = ""
			if t <= len(tokens) {
				s.vars[n.name+byte(i)] = tokens[t-1]
			}
		}
		if p.rest {
			s.vars[n.name+byte(names-1)] = rest
		}
		s.show(n.body, false)
		var err error
		if *code, err = s.exec(n.body); err != nil {
			return *code, s.last(err, false)
		}
	}
	return *code, nil
}
