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
		_, err := s.assignment(st) // $? is that of the right side
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
	v, err := s.result(st)
	if _, none := v.(void); none {
		v = nil
	}
	return v, err
}

// result is value, where nothing at all is void: what a variable keeps of it goes
// down a pipeline as no object, and $null as one.
func (s *shell) result(st stmt) (any, error) {
	if a, ok := st.(*assignStmt); ok {
		return s.assignment(a)
	}
	if x := pureOf(st); x != nil {
		s.at = st.where()
		v, err := s.eval(x)
		if err != nil {
			return nil, err
		}
		s.ok = true
		return v, nil
	}
	out, err := s.outputs(func(p *port) error { return s.exec1(st, p) })
	if err == nil && len(out) == 0 {
		return void{}, nil
	}
	return collect(out), err
}

// outputs collects what goes to a port.
func (s *shell) outputs(f func(*port) error) ([]any, error) {
	var out []any
	err := f(&port{put: func(v any) error { out = append(out, v); return nil }})
	return out, err
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
	if st.init != nil { // what it and the step write goes nowhere
		if _, err := s.result(st.init); err != nil {
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
			if _, err := s.result(st.next); err != nil {
				return err
			}
		}
	}
}

func (s *shell) foreach(st *foreachStmt, out *port) error {
	v, err := s.result(st.in)
	if _, none := v.(void); none || err != nil {
		return err
	}
	same := unchanged(v)
	each := newEnumerator(elements(v))
	defer s.shadow("foreach", each)()
	for each.move() {
		if _, err := s.assignVar(st.v, each.cur, nil); err != nil {
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
	v, err := s.result(st.subj)
	if _, none := v.(void); none || err != nil {
		return err
	}
	each := newEnumerator([]any{v})
	if e, ok := list(v); ok {
		each = newEnumerator(e)
	}
	defer s.shadow("switch", each)()
	defer s.shadow("_", nil)()
	for each.move() {
		s.scope.set("_", each.cur)
		stop, err := looped(s.switchOne(st, out), st.label)
		if stop {
			return err
		}
	}
	return nil
}

func (s *shell) switchOne(st *switchStmt, out *port) error {
	hit := false
	for _, c := range st.cases {
		x, _ := s.lookup("_") // a body may have changed it
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
		return s.run(st.def, out)
	}
	return nil
}

// shadow gives a variable of the scope another value until the function that it
// returns is called.
func (s *shell) shadow(key string, v any) func() {
	vars := s.scope.vars
	old, had := vars[key]
	vars[key] = &variable{name: key, val: v}
	return func() {
		if delete(vars, key); had {
			vars[key] = old
		}
	}
}

func (s *shell) switchTest(st *switchStmt, test expr, x any) (bool, error) {
	t, err := s.plain(test)
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
		if r, ok := t.(*regex); ok && (r.options&regexIgnoreCase != 0) == st.exact {
			t = r.text // a [regex] counts only if it looks at case as the switch does
		}
		p, err := s.regexOperand(t, st.exact)
		if err != nil {
			return false, err
		}
		return s.match(s.text(x), p)
	}
	return s.equal(x, t, st.exact), nil
}

func (s *shell) flow(st *flowStmt, out *port) error {
	label := ""
	if st.label != nil {
		v, err := s.plain(st.label)
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
		if a, ok := st.value.(*assignStmt); ok { // whose value is returned, too
			v, err := s.result(a)
			if err == nil {
				err = emit(v, out)
			}
			if err != nil {
				return err
			}
		} else if st.value != nil {
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
	defer s.shadow("_", rec)()
	defer s.shadow("\x00catch", true)()
	return s.run(body, out)
}
