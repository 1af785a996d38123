package posh

import (
	"errors"
	"slices"
)

// stage is one command at work in a pipeline.
type stage interface {
	begin() error
	process(v any) error // one object from the pipeline
	alone() error        // there is no pipeline in front
	end() error
}

// emit sends a value down a pipeline, a collection as its elements.
func emit(v any, out *port) error {
	switch v := v.(type) {
	case nil, string, int32, bool:
		return out.put(v)
	case void:
		return nil
	case *enumerator:
		return v.each(out.put)
	}
	if e, ok := list(v); ok {
		same := unchanged(v)
		for i := 0; i < len(e); i++ {
			if err := out.put(e[i]); err != nil {
				return err
			}
			if same != nil && !same() {
				return badEnumeration()
			}
		}
		return nil
	}
	return out.put(v)
}

// pipe runs a pipeline.
func (s *shell) pipe(p *pipeStmt, out *port) error {
	if len(p.elems) == 1 && p.elems[0].e != nil && len(p.elems[0].redirs) == 0 {
		v, err := s.evalTop(p.elems[0].e)
		if err != nil {
			return err
		}
		s.ok = true
		return emit(v, out)
	}
	failed := s.failed
	s.failed = false
	err := s.pipeline(p, out)
	s.ok = !s.failed && err == nil
	s.failed = failed
	return err
}

// evalTop evaluates an expression that is a statement: steps write nothing.
func (s *shell) evalTop(e expr) (any, error) {
	if i, ok := e.(*stepExpr); ok {
		_, err := s.step1(i)
		return void{}, err
	}
	return s.eval(e)
}

type element struct {
	st      stage
	s       *shell
	scope   *scope
	streams *streams
	at      span
	close   func() error
}

// in runs a part of a stage in its own surroundings.
func (e *element) in(f func() error) error {
	s := e.s
	scope, streams, src, at := s.scope, s.streams, s.src, s.at
	s.scope, s.streams, s.at = e.scope, e.streams, e.at
	err := f()
	s.scope, s.streams, s.src, s.at = scope, streams, src, at
	return err
}

func (s *shell) pipeline(p *pipeStmt, out *port) (err error) {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	var chain []*element
	who := new(int)
	next := out
	defer func() {
		for _, e := range chain {
			if e.close != nil {
				if cerr := e.close(); err == nil {
					err = cerr
				}
			}
		}
	}()
	from := 0
	if p.elems[0].e != nil {
		from = 1
	}
	for i := len(p.elems) - 1; i >= from; i-- {
		el := &element{s: s, scope: s.scope, at: p.elems[i].span}
		chain = append([]*element{el}, chain...)
		dest, err := s.redirect(el, p.elems[i].redirs, next)
		if err != nil {
			return err
		}
		place := i
		if el.st, err = s.newStage(p.elems[i].cmd, dest, i == from && from == 0); err != nil {
			return err
		}
		e := el
		next = &port{put: func(v any) error {
			err := e.in(func() error { return e.st.process(v) })
			var stop *stopErr
			if errors.As(err, &stop) && stop.who == nil {
				stop.at, stop.who = place, who
			}
			return err
		}}
	}
	for _, e := range chain {
		if err := e.in(e.st.begin); err != nil {
			return err
		}
	}
	done := 0 // elements that get no end
	stopAt := func(err error) error {
		var stop *stopErr
		if errors.As(err, &stop) && stop.who == who {
			done = max(done, stop.at-from)
			return nil
		}
		return err
	}
	if from == 1 {
		el := &element{s: s, scope: s.scope, at: p.elems[0].span}
		dest, err := s.redirect(el, p.elems[0].redirs, next)
		if el.close != nil {
			chain = append(chain, el)
			defer func() { chain = chain[:len(chain)-1] }()
		}
		if err != nil {
			return err
		}
		err = el.in(func() error {
			v, err := s.evalTop(p.elems[0].e)
			if err != nil {
				return err
			}
			return emit(v, dest)
		})
		if el.close != nil {
			if cerr := el.close(); err == nil {
				err = cerr
			}
		}
		if err := stopAt(err); err != nil {
			return err
		}
	} else if err := stopAt(chain[0].in(chain[0].st.alone)); err != nil {
		return err
	}
	for i := 0; i < len(p.elems)-from; i++ {
		if i < done {
			continue
		}
		if err := stopAt(chain[i].in(chain[i].st.end)); err != nil {
			return err
		}
	}
	return nil
}

// redirect sets up where the streams of one element go.
func (s *shell) redirect(el *element, redirs []redirAST, out *port) (*port, error) {
	el.streams = s.streams
	if len(redirs) == 0 {
		return out, nil
	}
	st := *s.streams
	el.streams = &st
	dest := out
	var closers []func() error
	el.close = func() error {
		el.close = nil
		var first error
		for _, c := range closers {
			if err := c(); first == nil {
				first = err
			}
		}
		return first
	}
	// Where streams are merged does not depend on the order: 2>&1 >f has both in f.
	redirs = slices.Clone(redirs)
	slices.SortStableFunc(redirs, func(a, b redirAST) int { return a.to - b.to })
	for _, r := range redirs {
		p := out
		if r.to == 0 {
			v, err := s.plain(r.file)
			if err != nil {
				return nil, err
			}
			if v == nil {
				p = &port{put: func(any) error { return nil }}
			} else {
				w, err := s.fileSink(s.text(v), r.append)
				if err != nil {
					return nil, err
				}
				closers = append(closers, w.close)
				p = &port{put: w.put}
			}
		} else if r.from != 1 {
			p = &port{put: dest.put} // a merged stream is no console
		}
		switch {
		case r.from == 0:
			for i := 2; i < len(st); i++ {
				st[i] = p
			}
			if r.to == 0 {
				dest = p
			}
		case r.from == 1:
			dest = p
		default:
			st[r.from] = p
		}
	}
	return dest, nil
}

// newStage finds the command of an element and makes it ready.
func (s *shell) newStage(cmd *cmdAST, out *port, first bool) (stage, error) {
	s.at = cmd.span
	var target any
	if cmd.word != "" && (cmd.call == 0 || cmd.call == '&' || cmd.call == '.') {
		target = cmd.word
	} else {
		v, err := s.plain(cmd.name)
		if err != nil {
			return nil, err
		}
		target = v
	}
	args, err := s.evalArgs(cmd)
	if err != nil {
		return nil, err
	}
	s.at = cmd.span
	return s.stageFor(target, args, out, cmd.call == '.')
}

func (s *shell) stageFor(target any, args []actual, out *port, dot bool) (stage, error) {
	switch t := target.(type) {
	case *Block:
		return &blockStage{s: s, b: t, args: args, dot: dot, out: out}, nil
	case *commandInfo:
		if t.block != nil {
			return &blockStage{s: s, b: t.block, name: t.name, args: args, dot: dot, out: out}, nil
		}
		if t.def != nil {
			return s.cmdletStage(t.def, t.name, args, out)
		}
		target = t.path
	case nil:
		return nil, &Error{ID: "BadExpression", Category: "InvalidOperation", Message: "What stands behind '&' gave nothing; it must give a command's name, a script block or what Get-Command gives."}
	}
	name := s.text(target)
	if name == "" {
		return nil, &Error{ID: "BadExpression", Category: "InvalidOperation", Message: "What stands behind '&' gave an empty name."}
	}
	c, err := s.command(name)
	if err != nil {
		return nil, err
	}
	switch {
	case c.block != nil:
		return &blockStage{s: s, b: c.block, name: c.name, args: args, dot: dot, out: out}, nil
	case c.def != nil:
		return s.cmdletStage(c.def, name, args, out)
	case c.kind == "ExternalScript":
		return s.scriptStage(c.path, args, out, dot)
	}
	return &nativeStage{s: s, path: c.path, name: name, args: args, out: out}, nil
}

// commandInfo is what a name means: what Get-Command gives.
type commandInfo struct {
	name  string
	kind  string // Alias, Function, Cmdlet, ExternalScript, Application
	path  string
	block *Block
	def   *Command
}

func (c *commandInfo) typeName() string {
	switch c.kind {
	case "Cmdlet":
		return "System.Management.Automation.CmdletInfo"
	case "Function":
		return "System.Management.Automation.FunctionInfo"
	case "ExternalScript":
		return "System.Management.Automation.ExternalScriptInfo"
	}
	return "System.Management.Automation.ApplicationInfo"
}

func (c *commandInfo) String() string { return c.name }

// command resolves a name as PowerShell does: alias, function, cmdlet, program.
func (s *shell) command(name string) (*commandInfo, error) {
	key := foldKey(name)
	for i := 0; i < 10; i++ {
		to, ok := s.alias(key)
		if !ok {
			break
		}
		key = foldKey(to)
		name = to
	}
	if b := s.function(key); b != nil {
		return &commandInfo{name: name, kind: "Function", block: b}, nil
	}
	if d, ok := s.cmdlets[key]; ok {
		return &commandInfo{name: d.Name, kind: "Cmdlet", def: d}, nil
	}
	if len(key) > 4 && key[len(key)-4:] == ".ps1" {
		if path, err := s.filePath(name); err == nil {
			if i, err := s.m.Stat(path); err == nil && !i.IsDir() && s.hasSeparator(name) {
				return &commandInfo{name: s.leaf(path), kind: "ExternalScript", path: path}, nil
			}
		}
	}
	if path, ok := s.m.Find(name, s.dir, s.env); ok {
		if len(path) > 4 && foldKey(path[len(path)-4:]) == ".ps1" {
			return &commandInfo{name: s.leaf(path), kind: "ExternalScript", path: path}, nil
		}
		return &commandInfo{name: s.leaf(path), kind: "Application", path: path}, nil
	}
	if s.hasSeparator(name) {
		if path, err := s.filePath(name + ".ps1"); err == nil {
			if i, err := s.m.Stat(path); err == nil && !i.IsDir() {
				return &commandInfo{name: s.leaf(path), kind: "ExternalScript", path: path}, nil
			}
		}
	}
	if foreign()[key] {
		return nil, s.refuse("the cmdlet %s", name)
	}
	return nil, &Error{ID: "CommandNotFoundException", Category: "ObjectNotFound", Target: name, Exception: "System.Management.Automation.CommandNotFoundException",
		Message: "The term '" + name + "' is not recognized as the name of a cmdlet, function, script file, or operable program."}
}

func (s *shell) alias(key string) (string, bool) {
	if to, ok := s.aliases[key]; ok {
		return to, to != ""
	}
	to, ok := builtinAliases[key]
	return to, ok
}
