package batch

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// percent expands what stands between percent signs, as is done with every line
// before it is parsed. In a batch file %% is one sign, arguments are expanded,
// and a variable that is not there is empty; on a command line it stays as it is.
func (s *shell) percent(text string, batch bool) (string, error) {
	if !strings.Contains(text, "%") {
		return text, nil
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		if text[i] != '%' {
			b.WriteByte(text[i])
			i++
			continue
		}
		rest := text[i+1:]
		if batch {
			if strings.HasPrefix(rest, "%") {
				b.WriteByte('%')
				i += 2
				continue
			}
			value, n, err := s.argument(rest)
			if err != nil {
				return "", err
			}
			if n > 0 {
				b.WriteString(value)
				i += 1 + n
				continue
			}
		}
		value, n, found, err := s.variable(rest, '%')
		switch {
		case err != nil:
			return "", err
		case found:
			b.WriteString(value)
			i += 1 + n
		case batch: // n is what the name took, nothing if there is none
			i += 1 + n
		default:
			b.WriteByte('%')
			i++
		}
	}
	return b.String(), nil
}

// variable reads NAME%, NAME:~1,2% or NAME:a=b% behind the sign that opened it,
// and returns the value and how much it read. Without such a variable it returns
// how much of the text its name takes.
func (s *shell) variable(text string, sign byte) (value string, n int, found bool, err error) {
	end := strings.IndexByte(text, sign)
	if end <= 0 {
		return "", 0, false, nil
	}
	name, colon := text[:end], strings.IndexByte(text[:end], ':')
	if colon == 0 || colon == end-1 { // a colon before the sign is part of the name
		colon = -1
	}
	if colon < 0 {
		value, found := s.lookup(name)
		return value, end + 1, found, nil
	}
	if value, found = s.lookup(name[:colon]); !found {
		return "", colon + 1, false, nil
	}
	how := name[colon+1:]
	if from, ok := strings.CutPrefix(how, "~"); ok {
		if value, ok = substring(value, from); ok {
			return value, end + 1, true, nil
		}
		return "", 0, false, s.refuse("%s: a substring is %s", quoted("%"+name+"%"), quoted("%NAME:~from,length%"))
	}
	// A sign cannot be in what is looked for, but an equals sign can be in what
	// replaces it.
	from, to, ok := strings.Cut(how, "=")
	if !ok || from == "" {
		return "", 0, false, s.refuse("%s: a replacement is %s", quoted("%"+name+"%"), quoted("%NAME:old=new%"))
	}
	return replace(value, from, to), end + 1, true, nil
}

// substring is what :~ selects.
func substring(value, how string) (string, bool) {
	first, second, two := strings.Cut(how, ",")
	r := []rune(value)
	from, ok := number(first)
	if !ok {
		return "", false
	}
	if from < 0 {
		from = max(0, len(r)+from)
	}
	from = min(from, len(r))
	to := len(r)
	if two {
		n, ok := number(second)
		if !ok {
			return "", false
		}
		if n < 0 {
			to = len(r) + n
		} else {
			to = min(len(r), from+min(n, len(r)))
		}
	}
	if to < from {
		return "", true
	}
	return string(r[from:to]), true
}

// number reads an integer as cmd does: 0x is hexadecimal, 0 octal, none is 0.
func number(text string) (int, bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, true
	}
	n, err := strconv.ParseInt(text, 0, 32)
	if err != nil || strings.ContainsRune(text, '_') {
		return 0, false
	}
	return int(n), true
}

// replace replaces every occurrence in any case; a star in front takes all up to
// the first.
func replace(value, from, to string) string {
	upTo := false
	if f, ok := strings.CutPrefix(from, "*"); ok && f != "" {
		from, upTo = f, true
	}
	var b strings.Builder
	for i := 0; i < len(value); {
		if len(value)-i >= len(from) && strings.EqualFold(value[i:i+len(from)], from) {
			if upTo {
				return to + value[i+len(from):]
			}
			b.WriteString(to)
			i += len(from)
			continue
		}
		b.WriteByte(value[i])
		i++
	}
	return b.String()
}

// version is what cmd says of its extensions.
const extensionsVersion = "2"

// lookup is the value of a variable, or of one that cmd makes up.
func (s *shell) lookup(name string) (string, bool) {
	if v, ok := s.env.Get(name); ok {
		return v, true
	}
	now := s.now()
	switch strings.ToUpper(name) {
	case "ERRORLEVEL":
		return strconv.Itoa(s.level), true
	case "CD":
		return s.dir, true
	case "DATE":
		return dateOf(now), true
	case "TIME":
		return timeOf(now), true
	case "RANDOM":
		s.seed = s.seed*214013 + 2531011
		return strconv.Itoa(int(s.seed >> 16 & 0x7fff)), true
	case "CMDEXTVERSION":
		return extensionsVersion, true
	case "CMDCMDLINE":
		return s.line, true
	}
	return "", false
}

func (s *shell) now() time.Time {
	sys := s.machine.System()
	now := time.Now
	if sys.Now != nil {
		now = sys.Now
	}
	if sys.Zone != nil {
		return now().In(sys.Zone)
	}
	return now().UTC()
}

func dateOf(t time.Time) string { return t.Format("Mon 01/02/2006") }

func timeOf(t time.Time) string {
	return fmt.Sprintf("%2d:%02d:%02d.%02d", t.Hour(), t.Minute(), t.Second(), t.Nanosecond()/1e7)
}

// bangs does delayed expansion: of one part of a command, if that holds an
// exclamation mark. A caret takes the meaning of what follows it.
func (s *shell) bangs(text string) (string, error) {
	if !s.delayed || !strings.Contains(text, "!") {
		return text, nil
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '^':
			if i++; i < len(text) {
				b.WriteByte(text[i])
			}
		case '!':
			value, n, _, err := s.variable(text[i+1:], '!')
			if err != nil {
				return "", err
			}
			b.WriteString(value)
			i += n
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String(), nil
}

// argument expands *, 1, or ~dp0 behind a percent sign; n is 0 if it is none.
func (s *shell) argument(text string) (value string, n int, err error) {
	if s.batch == nil || text == "" {
		return "", 0, nil
	}
	switch c := text[0]; {
	case c == '*':
		return s.batch.all, 1, nil
	case c >= '0' && c <= '9':
		return s.batch.arg(int(c - '0')), 1, nil
	case c != '~':
		return "", 0, nil
	}
	i := 1
	for i < len(text) && strings.IndexByte(modifiers, text[i]|0x20) >= 0 {
		i++
	}
	where, j := searchPath(text[i:])
	i += j
	if i >= len(text) || text[i] < '0' || text[i] > '9' {
		// Something else: the text between two signs that begins with a tilde.
		if strings.IndexByte(text, '%') > 0 {
			return "", 0, nil
		}
		return "", 0, s.refuse("%s: the modifiers of an argument are %s, with a digit behind them", quoted("%"+text), quoted("%~"+modifiers))
	}
	k := int(text[i] - '0')
	arg := s.batch.arg(k)
	if k == 0 && s.batch.path != "" && i > 1 {
		arg = s.batch.path // in a subroutine too
	}
	value, err = s.modify(arg, strings.ToLower(text[1:i-j]), where)
	return value, i + 1, err
}

const modifiers = "fdpnxsatz"

// searchPath reads $PATH: in front of a digit or letter.
func searchPath(text string) (variable string, n int) {
	if !strings.HasPrefix(text, "$") {
		return "", 0
	}
	end := strings.IndexByte(text, ':')
	if end < 2 || strings.ContainsAny(text[:end], "% ") {
		return "", 0
	}
	return text[1:end], end + 1
}

// modify applies the letters of %~dpnx1 to a value.
func (s *shell) modify(value, letters, search string) (string, error) {
	value = unquoteAll(value)
	if letters == "" && search == "" || value == "" {
		return value, nil
	}
	full := s.abs(value)
	if search != "" {
		full = ""
		list, _ := s.env.Get(search)
		for _, dir := range append([]string{s.dir}, splitPath(list)...) {
			if f := join(dir, value); s.isFile(f) {
				full = f
				break
			}
		}
		if full == "" {
			return "", nil
		}
		if letters == "" {
			letters = "f"
		}
	}
	has := func(c string) bool { return strings.Contains(letters, c) }
	if has("s") {
		for _, part := range strings.Split(full[min(3, len(full)):], `\`) {
			if !short(part) {
				return "", s.refuse("%s: the disk makes no short names, and %s needs one", quoted("%~s"), quoted(part))
			}
		}
	}
	var lead []string
	st, err := s.machine.Stat(full)
	if has("a") && err == nil {
		lead = append(lead, attributes(st.Attributes))
	}
	if has("t") && err == nil {
		lead = append(lead, stamp(s.local(st.Written)))
	}
	if has("z") && err == nil {
		lead = append(lead, strconv.FormatInt(st.Size, 10))
	}
	drive, dir, stem, ext := full[:2], "", "", ""
	tail := full[2:]
	k := strings.LastIndexByte(tail, '\\')
	dir, stem = tail[:k+1], tail[k+1:]
	if d := strings.LastIndexByte(stem, '.'); d >= 0 {
		stem, ext = stem[:d], stem[d:]
	}
	text := ""
	switch {
	case has("f") || has("s") && !has("d") && !has("p") && !has("n") && !has("x"):
		text = full
	default:
		for _, part := range []struct{ letter, text string }{{"d", drive}, {"p", dir}, {"n", stem}, {"x", ext}} {
			if has(part.letter) {
				text += part.text
			}
		}
	}
	if text != "" {
		lead = append(lead, text)
	}
	return strings.Join(lead, " "), nil
}

// short tells whether a name needs no other name of 8.3 characters.
func short(name string) bool {
	stem, ext, dot := strings.Cut(name, ".")
	return len(stem) <= 8 && len(ext) <= 3 && (!dot || ext != "" || stem == "") && !strings.ContainsAny(name, " +,;=[]") && !strings.Contains(ext, ".")
}

func unquoteAll(value string) string {
	if v, ok := strings.CutPrefix(value, `"`); ok {
		return strings.TrimSuffix(v, `"`)
	}
	return value
}

// each expands the variables of for in one part of a command.
func (s *shell) each(text string) (string, error) {
	if len(s.vars) == 0 || !strings.Contains(text, "%") {
		return text, nil
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		if v, ok := s.vars[text[i+1]]; ok {
			b.WriteString(v)
			i++
			continue
		}
		if text[i+1] != '~' {
			b.WriteByte('%')
			continue
		}
		value, n, err := s.eachModified(text[i+2:])
		if err != nil {
			return "", err
		}
		if n == 0 {
			b.WriteByte('%')
			continue
		}
		b.WriteString(value)
		i += 1 + n
	}
	return b.String(), nil
}

// eachModified reads nxi of %~nxi: as many letters as there can be in front of
// one that is a variable.
func (s *shell) eachModified(text string) (value string, n int, err error) {
	best, where, at := -1, "", 0
	for i := 0; i < len(text); i++ {
		if search, j := searchPath(text[i:]); j > 0 {
			if i+j < len(text) {
				if _, ok := s.vars[text[i+j]]; ok {
					best, where, at = i+j, search, i
				}
			}
			break
		}
		if _, ok := s.vars[text[i]]; ok {
			best, at = i, i
		}
		if strings.IndexByte(modifiers, text[i]|0x20) < 0 {
			break
		}
	}
	if best < 0 {
		return "", 0, nil
	}
	value, err = s.modify(s.vars[text[best]], strings.ToLower(text[:at]), where)
	return value, best + 1, err
}
