package winguest

import (
	"context"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
)

// input is what a program reads: a file, or without one its input.
type input struct {
	name string
	text []string // lines
}

// lines splits text into lines without their ends.
func lines(b []byte) []string {
	text := strings.TrimPrefix(strings.ReplaceAll(string(b), "\r\n", "\n"), "\ufeff")
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// expand is the files that names with or without wildcards mean.
func (p *Proc) expand(name string) ([]string, error) {
	dir, pattern := name[:len(name)-len(baseName(name))], baseName(name)
	if !strings.ContainsAny(pattern, "*?") {
		return []string{name}, nil
	}
	from := dir
	if from == "" {
		from = "."
	}
	list, err := p.List(from)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, f := range list {
		if !f.Dir && matches(pattern, f.Name) {
			out = append(out, dir+f.Name)
		}
	}
	if len(out) == 0 {
		return nil, FileNotFound
	}
	return out, nil
}

// matches matches a name with a pattern of * and ?.
func matches(pattern, name string) bool {
	if pattern == "*.*" {
		return true
	}
	re := "(?is)^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern)) + "$"
	ok, err := regexp.MatchString(re, name)
	return err == nil && ok
}

func (p *Proc) inputs(ctx context.Context, names []string) (list []input, missing []string, err error) {
	if len(names) == 0 {
		b, err := io.ReadAll(whileAlive{ctx, p.Stdin})
		return []input{{text: lines(b)}}, nil, err
	}
	for _, n := range names {
		files, err := p.expand(n)
		if err != nil {
			missing = append(missing, n)
			continue
		}
		for _, f := range files {
			b, err := p.ReadFile(f)
			if err != nil {
				missing = append(missing, f)
				continue
			}
			list = append(list, input{f, lines(b)})
		}
	}
	return list, missing, nil
}

// findExe is find.exe. It reads its line itself: what it looks for stands in
// quotes.
func findExe(ctx context.Context, p *Proc) int {
	var opts = map[string]bool{}
	var want *string
	var names []string
	rest := p.raw()
	for {
		rest = strings.TrimLeft(rest, " \t")
		if rest == "" {
			break
		}
		if rest[0] == '"' {
			end := 1
			var b strings.Builder
			for end < len(rest) && (rest[end] != '"' || strings.HasPrefix(rest[end:], `""`)) {
				if rest[end] == '"' {
					end++
				}
				b.WriteByte(rest[end])
				end++
			}
			if end >= len(rest) {
				p.complain("FIND: Parameter format not correct")
				return 2
			}
			rest = rest[end+1:]
			if s := b.String(); want == nil {
				want = &s
			} else {
				names = append(names, s)
			}
			continue
		}
		end := strings.IndexAny(rest, " \t\"")
		if end <= 0 {
			end = len(rest)
		}
		word := rest[:end]
		rest = rest[end:]
		if word[0] != '/' {
			names = append(names, word)
			continue
		}
		for _, o := range strings.Split(strings.ToLower(word[1:]), "/") {
			if !slices.Contains([]string{"v", "c", "n", "i"}, o) {
				p.complain("FIND: Invalid switch")
				return 2
			}
			opts[o] = true
		}
	}
	if want == nil {
		p.complain("FIND: Parameter format not correct")
		return 2
	}
	list, missing, err := p.inputs(ctx, names)
	if err != nil {
		return 2
	}
	for _, m := range missing {
		p.complain("File not found - %s", strings.ToUpper(m))
	}
	found := false
	for _, in := range list {
		count := 0
		if in.name != "" && !opts["c"] {
			p.say("\n---------- %s\n", strings.ToUpper(in.name))
		}
		for k, line := range in.text {
			has := strings.Contains(line, *want)
			if opts["i"] {
				has = strings.Contains(strings.ToLower(line), strings.ToLower(*want))
			}
			if *want == "" {
				has = false
			}
			if has == opts["v"] {
				continue
			}
			count++
			switch {
			case opts["c"]:
			case opts["n"]:
				p.say("[%d]%s\n", k+1, line)
			default:
				sayTo(p.Stdout, "%s\n", line)
			}
		}
		found = found || count > 0
		if opts["c"] {
			if in.name != "" {
				p.say("\n---------- %s: %d\n", strings.ToUpper(in.name), count)
			} else {
				p.say("%d\n", count)
			}
		}
	}
	if len(missing) > 0 && len(list) == 0 || !found {
		return 1
	}
	return 0
}

// findstrExe is findstr.exe.
func findstrExe(ctx context.Context, p *Proc) int {
	on := map[byte]bool{}
	var wants []string
	literal, regular, given := false, false, false
	var names []string
	for _, a := range p.Args {
		if len(a) < 2 || a[0] != '/' && a[0] != '-' {
			if !given {
				given = true
				wants = append(wants, strings.Fields(a)...)
			} else {
				names = append(names, a)
			}
			continue
		}
		low := strings.ToLower(a[1:])
		switch {
		case strings.HasPrefix(low, "c:"):
			given = true
			wants = append(wants, a[3:])
			literal = true
		case strings.HasPrefix(low, "g:"):
			b, err := p.ReadFile(a[3:])
			if err != nil {
				p.complain("FINDSTR: Cannot open %s", a[3:])
				return 2
			}
			given = true
			wants = append(wants, lines(b)...)
		default:
			for _, o := range []byte(strings.ReplaceAll(low, "/", "")) {
				switch o {
				case 'b', 'e', 'i', 'm', 'n', 'v', 'x', 's', 'p':
					on[o] = true
				case 'l':
					literal = true
				case 'r':
					regular = true
				default:
					p.complain("FINDSTR: /%c is not supported here: known are /b /e /i /l /m /n /p /r /s /v /x /c: /g:", o)
					return 2
				}
			}
		}
	}
	if len(wants) == 0 {
		p.complain("FINDSTR: Bad command line")
		return 2
	}
	var res []*regexp.Regexp
	for _, w := range wants {
		text := regexp.QuoteMeta(w)
		if regular || !literal {
			var err error
			if text, err = findstrRegexp(w); err != nil {
				p.complain("FINDSTR: %v", err)
				return 2
			}
		}
		if on['b'] || on['x'] {
			text = "^(?:" + text + ")"
		}
		if on['e'] || on['x'] {
			text = "(?:" + text + ")$"
		}
		if on['i'] {
			text = "(?i)" + text
		}
		re, err := regexp.Compile(text)
		if err != nil {
			p.complain("FINDSTR: %q cannot be looked for: %v", w, err)
			return 2
		}
		res = append(res, re)
	}
	named := len(names) > 1
	if on['s'] {
		var all []string
		for _, n := range names {
			all = append(all, p.below(ctx, n)...)
		}
		named, names = true, all
		if len(all) == 0 {
			return 1
		}
	}
	for _, n := range names {
		named = named || strings.ContainsAny(n, "*?")
	}
	list, missing, err := p.inputs(ctx, names)
	if err != nil {
		return 2
	}
	for _, m := range missing {
		p.complain("FINDSTR: Cannot open %s", m)
	}
	found := false
	for _, in := range list {
		for k, line := range in.text {
			if slices.ContainsFunc(res, func(re *regexp.Regexp) bool { return re.MatchString(line) }) == on['v'] {
				continue
			}
			found = true
			if on['m'] {
				p.say("%s\n", in.name)
				break
			}
			prefix := ""
			if named {
				prefix = in.name + ":"
			}
			if on['n'] {
				prefix += itoa(k+1) + ":"
			}
			sayTo(p.Stdout, "%s%s\n", prefix, line)
		}
	}
	if !found {
		return 1
	}
	return 0
}

// below is the files in a folder and all below it whose names match.
func (p *Proc) below(ctx context.Context, name string) (out []string) {
	dir, pattern := name[:len(name)-len(baseName(name))], baseName(name)
	var walk func(dir string)
	walk = func(dir string) {
		from := dir
		if from == "" {
			from = "."
		}
		list, err := p.List(from)
		if err != nil || ctx.Err() != nil {
			return
		}
		for _, f := range list {
			if !f.Dir && matches(pattern, f.Name) {
				out = append(out, dir+f.Name)
			}
		}
		for _, f := range list {
			if f.Dir {
				walk(dir + f.Name + `\`)
			}
		}
	}
	walk(dir)
	return out
}

// findstrRegexp translates the expressions of findstr: . * ^ $ [class] \< \> \x.
func findstrRegexp(w string) (string, error) {
	var b strings.Builder
	again := false // behind a star
	for i := 0; i < len(w); i++ {
		c := w[i]
		switch c {
		case '.', '^', '$':
			b.WriteByte(c)
		case '*':
			switch {
			case i == 0:
				b.WriteString(`\*`)
			case !again: // any number of any number is any number
				b.WriteByte('*')
			}
		case '[':
			end := strings.IndexByte(w[i+1:], ']')
			if end < 0 {
				return "", errors.New("a bracket is not closed")
			}
			class := w[i+1 : i+1+end]
			not := ""
			if rest, ok := strings.CutPrefix(class, "^"); ok {
				not, class = "^", rest
			}
			if class == "" {
				return "", errors.New("brackets hold nothing")
			}
			b.WriteString("[" + not + strings.NewReplacer(`\`, `\\`, `[`, `\[`, `^`, `\^`).Replace(class) + "]")
			i += end + 1
		case '\\':
			if i++; i == len(w) {
				b.WriteString(`\\`)
				break
			}
			switch w[i] {
			case '<', '>':
				b.WriteString(`\b`)
			default:
				b.WriteString(regexp.QuoteMeta(w[i : i+1]))
			}
		default:
			if c < 0x80 {
				b.WriteString(regexp.QuoteMeta(string(c)))
			} else { // a part of a character goes as it is
				b.WriteByte(c)
			}
		}
		again = c == '*' && i > 0
	}
	return b.String(), nil
}

// sortExe is sort.exe.
func sortExe(ctx context.Context, p *Proc) int {
	var names []string
	out, reverse := "", false
	for i := 0; i < len(p.Args); i++ {
		switch a := strings.ToLower(p.Args[i]); {
		case a == "/r" || a == "/reverse":
			reverse = true
		case a == "/o" || a == "/output":
			if i++; i == len(p.Args) {
				return p.refuse("/o needs a file")
			}
			out = p.Args[i]
		case strings.HasPrefix(a, "/"):
			return p.unsupported(p.Args[i], "are /r and /o")
		default:
			names = append(names, p.Args[i])
		}
	}
	if len(names) > 1 {
		return p.refuse("it takes one file")
	}
	list, missing, err := p.inputs(ctx, names)
	if err != nil {
		return 1
	}
	if len(missing) > 0 {
		p.complain("%s: %v", missing[0], FileNotFound)
		return 1
	}
	text := list[0].text
	slices.SortStableFunc(text, func(a, b string) int {
		c := strings.Compare(strings.ToLower(a), strings.ToLower(b))
		if reverse {
			return -c
		}
		return c
	})
	var b strings.Builder
	for _, line := range text {
		b.WriteString(line + "\r\n")
	}
	if out != "" {
		if err := p.WriteFile(out, []byte(b.String())); err != nil {
			p.complain("%s: %v", out, CodeOf(err))
			return 1
		}
		return 0
	}
	io.WriteString(p.Stdout, b.String())
	return 0
}

// moreExe is more.com, which never stops where there is no console.
func moreExe(ctx context.Context, p *Proc) int {
	for _, a := range p.Args {
		if strings.HasPrefix(a, "/") || strings.HasPrefix(a, "+") {
			return p.unsupported(a, "are files alone")
		}
	}
	list, missing, err := p.inputs(ctx, p.Args)
	if err != nil {
		return 1
	}
	for _, m := range missing {
		p.complain("Cannot access file %s", m)
	}
	for _, in := range list {
		for _, line := range in.text {
			sayTo(p.Stdout, "%s\n", line)
		}
	}
	if len(missing) > 0 {
		return 1
	}
	return 0
}
