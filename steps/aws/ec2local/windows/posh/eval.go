package posh

import (
	"errors"
	"fmt"
)

// run runs statements.
func (s *shell) run(body []stmt, out *port) error {
	var traps []*trapStmt
	for _, st := range body {
		if t, ok := st.(*trapStmt); ok {
			traps = append(traps, t)
		}
	}
	if traps != nil {
		s.tries++
		defer func() { s.tries-- }()
	}
	// Functions are known from where they stand, not before.
	for _, st := range body {
		if err := s.step(); err != nil {
			return err
		}
		s.at = st.where()
		if s.debug > 0 {
			if err := s.trace(st); err != nil {
				return err
			}
		}
		err := s.exec1(st, out)
		if err == nil {
			continue
		}
		if err = s.settle(err, traps, out); err != nil {
			return err
		}
	}
	return nil
}

// trace shows a statement as Set-PSDebug -Trace asks for.
func (s *shell) trace(st stmt) error {
	switch st.(type) {
	case *funcStmt, *trapStmt, *tryStmt:
		return nil
	}
	at := st.where().from
	line, col := s.src.position(at)
	text, _ := s.src.line(at)
	r := []rune(text)
	col = min(col-1, len(r))
	return s.host.line(fmt.Sprintf("DEBUG: %4d+ %s >>>> %s", line, string(r[:col]), string(r[col:])))
}

// settle decides whether an error ends more than its statement.
func (s *shell) settle(err error, traps []*trapStmt, out *port) error {
	if s.passes(err) {
		return err
	}
	t := s.asThrown(err)
	s.ok = false
	for _, trap := range traps {
		if trap.typ != nil {
			match, e := s.matches(t.rec, trap.typ)
			if e != nil {
				return e
			}
			if match == nil {
				continue
			}
		}
		return s.runTrap(trap, t, out)
	}
	pref := s.pref("", "erroractionpreference")
	if t.throw && (pref == "silentlycontinue" || pref == "ignore") && s.tries == 0 {
		s.remember(t.rec)
		return nil
	}
	if t.hard || s.tries > 0 {
		return t
	}
	if pref == "stop" {
		t.hard = true
		return t
	}
	s.failed = true
	if pref == "ignore" {
		return nil
	}
	s.remember(t.rec)
	if pref == "silentlycontinue" {
		return nil
	}
	return s.write(streamError, t.rec)
}

func (s *shell) runTrap(trap *trapStmt, t *thrown, out *port) error {
	s.remember(t.rec)
	old := s.scope
	s.scope = newScope(old)
	s.scope.set("_", t.rec)
	err := s.run(trap.body, out)
	s.scope = old
	switch {
	case err == nil:
		return s.write(streamError, t.rec)
	case is[*continueErr](err):
		return nil
	case is[*breakErr](err):
		return t
	}
	return err
}

// matches finds the exception of a record that a catch clause of a type takes:
// its own, or the one inside.
func (s *shell) matches(rec *errorRecord, name *typeName) (*exception, error) {
	t, err := s.resolve(name)
	if err != nil {
		return nil, err
	}
	for x := rec.exc; x != nil; x = x.inner {
		if isException(x.typ, t.name) {
			return x, nil
		}
	}
	return nil, nil
}

func (s *shell) exec1(st stmt, out *port) error {
	switch st := st.(type) {
	case *pipeStmt:
		return s.pipe(st, out)
	case *assignStmt:
		err := s.assignment(st)
		if err == nil {
			s.ok = true
		}
		return err
	case *ifStmt:
		for i, c := range st.conds {
			v, err := s.value(c)
			if err != nil {
				return err
			}
			if truth(v) {
				return s.run(st.then[i], out)
			}
		}
		return s.run(st.other, out)
	case *loopStmt:
		return s.loop(st, out)
	case *foreachStmt:
		return s.foreach(st, out)
	case *switchStmt:
		return s.switchOn(st, out)
	case *funcStmt:
		return s.define(st)
	case *flowStmt:
		return s.flow(st, out)
	case *tryStmt:
		return s.try(st, out)
	case *trapStmt:
		return nil
	}
	return s.refuse("this statement")
}

func (s *shell) define(st *funcStmt) error {
	b := &Block{ast: st.body}
	name := foldKey(st.name)
	sc := s.scope
	for _, p := range [...]string{"global:", "script:", "local:"} {
		if len(name) > len(p) && name[:len(p)] == p {
			name, sc = name[len(p):], s.scopeNamed(p[:len(p)-1])
		}
	}
	if sc.funcs == nil {
		sc.funcs = map[string]*Block{}
	}
	sc.funcs[name] = b
	return nil
}

// value is what a statement gives as a value: one object, or an array of all.
func (s *shell) value(st stmt) (any, error) {
	if p, ok := st.(*pipeStmt); ok && len(p.elems) == 1 && p.elems[0].e != nil && len(p.elems[0].redirs) == 0 {
		s.at = p.span
		v, err := s.eval(p.elems[0].e)
		if err != nil {
			return nil, err
		}
		s.ok = true
		if _, none := v.(void); none {
			return nil, nil
		}
		return v, nil
	}
	out, err := s.outputs(func(p *port) error { return s.exec1(st, p) })
	return collect(out), err
}

// outputs collects what goes to a port.
func (s *shell) outputs(f func(*port) error) ([]any, error) {
	var out []any
	err := f(&port{put: func(v any) error { out = append(out, v); return nil }})
	return out, err
}

func (s *shell) assignment(st *assignStmt) error {
	v, err := s.value(st.value)
	if err != nil {
		return err
	}
	if _, isPipe := st.value.(*pipeStmt); isPipe {
		s.at = st.span
	}
	if st.op == "=" {
		return s.assignTo(st.target, v)
	}
	old, err := s.eval(st.target)
	if err != nil {
		return err
	}
	if v, err = s.arith(st.op[:1], old, v); err != nil {
		return err
	}
	return s.assignTo(st.target, v)
}

func (s *shell) assignTo(target expr, v any) error {
	switch t := target.(type) {
	case *varExpr:
		return s.assignVar(t, v, nil)
	case *castExpr:
		x, ok := t.x.(*varExpr)
		if !ok {
			y, err := s.cast(v, t.typ)
			if err != nil {
				return err
			}
			return s.assignTo(t.x, y)
		}
		typ, err := s.resolve(t.typ)
		if err != nil {
			return err
		}
		return s.assignVar(x, v, typ)
	case *memberExpr:
		return s.assignMember(t, v)
	case *indexExpr:
		return s.assignIndex(t, v)
	case *parenExpr:
		return s.assignTo(t.body.(*pipeStmt).elems[0].e, v)
	case *listExpr:
		e := elements(v)
		for i, x := range t.items {
			var part any
			switch {
			case i < len(t.items)-1 && i < len(e):
				part = e[i]
			case i == len(t.items)-1 && i < len(e):
				part = collect(append([]any(nil), e[i:]...))
			}
			if err := s.assignTo(x, part); err != nil {
				return err
			}
		}
		return nil
	}
	return s.refuse("an assignment to this")
}

// looped takes break and continue that are meant for a loop.
func looped(err error, label string) (stop bool, rest error) {
	if err == nil {
		return false, nil
	}
	var brk *breakErr
	var next *continueErr
	switch {
	case errors.As(err, &brk) && (brk.label == "" || foldKey(brk.label) == foldKey(label)):
		return true, nil
	case errors.As(err, &next) && (next.label == "" || foldKey(next.label) == foldKey(label)):
		return false, nil
	}
	return true, err
}

func (s *shell) loop(st *loopStmt, out *port) error {
	if st.init != nil {
		if err := s.exec1(st.init, out); err != nil {
			return err
		}
	}
	for first := true; ; first = false {
		if err := s.step(); err != nil {
			return err
		}
		if st.cond != nil && !(first && st.after) {
			v, err := s.value(st.cond)
			if err != nil {
				return err
			}
			if truth(v) == st.until {
				return nil
			}
		}
		if stop, err := looped(s.run(st.body, out), st.label); stop {
			return err
		}
		if st.next != nil {
			if err := s.exec1(st.next, out); err != nil {
				return err
			}
		}
	}
}

func (s *shell) foreach(st *foreachStmt, out *port) error {
	v, err := s.value(st.in)
	if err != nil {
		return err
	}
	same := unchanged(v)
	each := elements(v)
	for i := 0; i < len(each); i++ {
		if err := s.assignVar(st.v, each[i], nil); err != nil {
			return err
		}
		if err := s.step(); err != nil {
			return err
		}
		if stop, err := looped(s.run(st.body, out), st.label); stop {
			return err
		}
		if same != nil && !same() {
			return &Error{ID: "System.InvalidOperationException", Exception: "System.InvalidOperationException", Category: "OperationStopped", Message: modified}
		}
	}
	return nil
}

func (s *shell) switchOn(st *switchStmt, out *port) error {
	v, err := s.value(st.subj)
	if err != nil {
		return err
	}
	each := []any{v}
	if e, ok := list(v); ok {
		each = e
	}
	old, had := s.scope.vars["_"]
	defer func() {
		if delete(s.scope.vars, "_"); had {
			s.scope.vars["_"] = old
		}
	}()
	for _, x := range each {
		stop, err := looped(s.switchOne(st, x, out), st.label)
		if stop {
			return err
		}
	}
	return nil
}

func (s *shell) switchOne(st *switchStmt, x any, out *port) error {
	hit := false
	for _, c := range st.cases {
		delete(s.scope.vars, "_")
		s.scope.set("_", x)
		ok, err := s.switchTest(st, c.test, x)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		hit = true
		if err := s.run(c.body, out); err != nil {
			return err
		}
	}
	if !hit && st.hasDef {
		delete(s.scope.vars, "_")
		s.scope.set("_", x)
		return s.run(st.def, out)
	}
	return nil
}

func (s *shell) switchTest(st *switchStmt, test expr, x any) (bool, error) {
	t, err := s.eval(test)
	if err != nil {
		return false, err
	}
	if b, ok := t.(*Block); ok {
		v, err := s.invokeBlock(b, x, nil)
		return truth(collect(v)), err
	}
	if l, ok := t.(literal); ok {
		t = l.v
	}
	switch st.mode {
	case "wildcard":
		return s.like(s.text(x), s.text(t), st.exact), nil
	case "regex":
		return s.match(s.text(x), s.text(t), st.exact)
	}
	return s.equal(x, t, st.exact), nil
}

func (s *shell) flow(st *flowStmt, out *port) error {
	label := ""
	if st.label != nil {
		v, err := s.eval(st.label)
		if err != nil {
			return err
		}
		label = s.text(v)
	}
	switch st.kind {
	case "break":
		return &breakErr{label}
	case "continue":
		return &continueErr{label}
	case "return":
		if st.value != nil {
			if err := s.exec1(st.value, out); err != nil {
				return err
			}
		}
		return &returnErr{}
	case "exit":
		if st.value == nil {
			return &exitErr{}
		}
		v, err := s.value(st.value)
		if err != nil {
			return err
		}
		n, err := s.toInt32(v)
		if err != nil { // exit 'text' ends with 0, as the text is no code
			n = 0
		}
		return &exitErr{int(n)}
	}
	var v any
	if st.value != nil {
		var err error
		if v, err = s.value(st.value); err != nil {
			return err
		}
	}
	s.at = st.span
	return s.throw(v, st.value != nil)
}

// throw makes an error of what a script throws.
func (s *shell) throw(v any, given bool) error {
	if !given {
		if rec, ok := s.lookup("_"); ok {
			if rec, ok := rec.(*errorRecord); ok && s.inCatch() {
				return &thrown{rec: rec, hard: true, throw: true}
			}
		}
		return s.hard(&Error{ID: "ScriptHalted", Message: "ScriptHalted", Category: "OperationStopped"})
	}
	switch x := v.(type) {
	case *errorRecord:
		return &thrown{rec: x, hard: true, throw: true}
	case *exception:
		return &thrown{hard: true, throw: true, rec: &errorRecord{exc: x, id: x.msg, category: "OperationStopped", src: s.src, at: s.at}}
	}
	text := s.text(v)
	return s.hard(&Error{ID: text, Message: text, Category: "OperationStopped", Target: v})
}

func (s *shell) hard(e *Error) error {
	return &thrown{rec: s.record(e, nil), hard: true, throw: true}
}

func (s *shell) inCatch() bool {
	v, ok := s.lookup("\x00catch")
	return ok && v == true
}

func (s *shell) try(st *tryStmt, out *port) (err error) {
	if st.hasFin {
		defer func() {
			if errors.Is(err, ErrOutside) || s.ctx.Err() != nil {
				return
			}
			ok := s.ok
			if e := s.run(st.finally, out); e != nil {
				err = e
			}
			s.ok = ok
		}()
	}
	s.tries++
	err = s.run(st.body, out)
	s.tries--
	if err == nil || s.passes(err) || len(st.catches) == 0 {
		return err
	}
	t := s.asThrown(err)
	for _, c := range st.catches {
		rec := t.rec
		if len(c.types) > 0 {
			hit := false
			for _, n := range c.types {
				x, e := s.matches(rec, n)
				if e != nil {
					return e
				}
				if x != nil {
					if x != rec.exc {
						cp := *rec
						cp.exc = x
						rec = &cp
					}
					hit = true
					break
				}
			}
			if !hit {
				continue
			}
		}
		s.remember(rec)
		return s.catch(rec, c.body, out)
	}
	return t
}

func (s *shell) catch(rec *errorRecord, body []stmt, out *port) error {
	sc := s.scope
	old, had := sc.vars["_"]
	flag, hadFlag := sc.vars["\x00catch"]
	sc.vars["_"] = &variable{name: "_", val: rec}
	sc.vars["\x00catch"] = &variable{val: true}
	defer func() {
		if delete(sc.vars, "_"); had {
			sc.vars["_"] = old
		}
		if delete(sc.vars, "\x00catch"); hadFlag {
			sc.vars["\x00catch"] = flag
		}
	}()
	return s.run(body, out)
}
