package batch

import (
	"strings"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

// start runs a program in the background, or with /wait to its end.
func start(s *shell, args string) (int, error) {
	rest := strings.TrimLeft(args, delimiters)
	var background, wait bool
	dir := s.dir
	for first := true; ; first = false {
		k := wordEnd(rest)
		word := rest[:k]
		if first && strings.HasPrefix(word, `"`) { // the title of a window
			rest = strings.TrimLeft(rest[k:], delimiters)
			continue
		}
		if !strings.HasPrefix(word, "/") {
			break
		}
		rest = strings.TrimLeft(rest[k:], delimiters)
		switch f := strings.ToLower(word[1:]); {
		case f == "b":
			background = true
		case f == "w" || f == "wait":
			wait = true
		case f == "d":
			k := wordEnd(rest)
			dir = s.abs(unquoteName(rest[:k]))
			rest = strings.TrimLeft(rest[k:], delimiters)
		case strings.HasPrefix(f, "d") && len(f) > 1:
			dir = s.abs(unquoteName(word[2:]))
		case f == "min" || f == "max" || f == "i" || f == "low" || f == "normal" || f == "high" || f == "realtime" || f == "abovenormal" || f == "belownormal":
		default:
			return s.fail("Invalid switch - %s.", quoted(word))
		}
	}
	k := wordEnd(rest)
	name, tail := rest[:k], rest[k:]
	if name == "" {
		return 1, s.refuse("start without a program: it opens a console, and there is none")
	}
	if word, _ := internal(name); word != "" {
		return 1, s.refuse("start with %s: its console would stay open for ever; use start cmd /c", quoted(name))
	}
	path, err := s.find(unquoteName(name))
	if err != nil {
		return s.fail("The system cannot find the file %s.", unquoteName(name))
	}
	if _, ext := splitExt(path); !strings.EqualFold(ext, ".exe") && !strings.EqualFold(ext, ".com") {
		return 1, s.refuse("start with %s: its console would stay open for ever; use start cmd /c", quoted(path))
	}
	p := posh.Program{Path: path, Name: unquoteName(name), Args: strings.TrimLeft(tail, " \t"), Env: s.env.Clone(), Dir: dir}
	if background || wait {
		p.Stdout, p.Stderr = s.writer(1), s.writer(2)
	}
	if wait {
		p.Stdin = s.io[0].r
		code, err := s.machine.Run(s.ctx, p)
		switch {
		case s.ctx.Err() != nil:
			return 1, s.ctx.Err()
		case err != nil:
			return 1, s.refuse("%s: %s", quoted(path), reason(err))
		}
		s.level = code
		return 0, nil // whatever the code: that is start's own success
	}
	if _, err := s.machine.Start(s.ctx, p); err != nil {
		return 1, s.refuse("%s: %s", quoted(path), reason(err))
	}
	return 0, nil
}
