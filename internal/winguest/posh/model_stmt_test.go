package posh

import (
	"errors"
	"fmt"
	"strings"
)

type (
	gAssign struct {
		names []string
		op    string
		from  any // gExpr, *gAssign, *gIf, *gEach
	}
	gOut struct{ x gExpr }
	gIf  struct {
		cond        any // gExpr or *gAssign
		then, other []gStmt
	}
	gEach struct {
		label, name string
		in          any // gExpr or *gAssign
		body        []gStmt
	}
	gWhile struct {
		label, name string
		n           int32
		body        []gStmt
		do          bool
	}
	gSwitch struct {
		subj  any
		cases []gCase
		other []gStmt
	}
	gCase struct {
		test gExpr
		body []gStmt
		stop string
	}
	gTry  struct{ body, catch, finally []gStmt }
	gFlow struct {
		kind, label string
		x           gExpr
	}
)

func gText(x any) string {
	switch x := x.(type) {
	case gExpr:
		return x.write(0)
	case gStmt:
		return x.lines("")
	}
	panic("no such part")
}

func gResult(w *world, x any) (any, error) {
	switch x := x.(type) {
	case *gAssign:
		return x.value(w)
	case gExpr:
		return x.eval(w)
	case gStmt:
		var out []any
		err := x.run(w, &out)
		return mCollect(out), err
	}
	panic("no such part")
}

func (s *gAssign) lines(in string) string {
	return in + "$" + strings.Join(s.names, ", $") + " " + s.op + " " + gText(s.from)
}
func (s *gAssign) run(w *world, _ *[]any) error { _, err := s.value(w); return err }
func (s *gAssign) value(w *world) (any, error) {
	if s.op != "=" {
		old := mPlain(w.get(s.names[0])) // read before the right side
		v, err := gResult(w, s.from)
		if err != nil {
			return nil, err
		}
		if v, err = mArith(s.op[:1], old, mPlain(v)); err != nil {
			return nil, err
		}
		w.vars[s.names[0]] = v
		return v, nil
	}
	v, err := gResult(w, s.from)
	if err != nil {
		return nil, err
	}
	if len(s.names) == 1 {
		w.vars[s.names[0]] = v
		return v, nil
	}
	l := mElements(v)
	if mPlain(v) == nil {
		l = nil
	}
	parts := []any{}
	for i, n := range s.names {
		var part any
		switch {
		case i >= len(l):
		case i < len(s.names)-1 || i == len(l)-1:
			part = l[i]
		default:
			part = append([]any{}, l[i:]...)
		}
		w.vars[n] = part
		parts = append(parts, part)
	}
	return parts, nil
}

func (s *gOut) lines(in string) string { return in + s.x.write(0) }
func (s *gOut) run(w *world, out *[]any) error {
	v, err := s.x.eval(w)
	if err != nil || v == (nothing{}) {
		return err
	}
	*out = append(*out, mElements(v)...)
	return nil
}

func gBraces(body []gStmt, in string) string { return "{\n" + gBody(body, in+"  ") + "\n" + in + "}" }

func (s *gIf) lines(in string) string {
	t := in + "if (" + gText(s.cond) + ") " + gBraces(s.then, in)
	if s.other != nil {
		t += " else " + gBraces(s.other, in)
	}
	return t
}
func (s *gIf) run(w *world, out *[]any) error {
	v, err := gResult(w, s.cond)
	if err != nil {
		return err
	}
	if mTruth(mPlain(v)) {
		return gRun(w, s.then, out)
	}
	return gRun(w, s.other, out)
}

// gLoop tells what an error means to a loop.
func gLoop(err error, label string) (stop bool, rest error) {
	var b gBreak
	var c gContinue
	switch {
	case err == nil:
		return false, nil
	case errors.As(err, &b) && (b.label == "" || b.label == label):
		return true, nil
	case errors.As(err, &c) && (c.label == "" || c.label == label):
		return false, nil
	}
	return true, err
}

func gLabel(l string) string {
	if l == "" {
		return ""
	}
	return ":" + l + " "
}

func (s *gEach) lines(in string) string {
	return in + gLabel(s.label) + "foreach ($" + s.name + " in " + gText(s.in) + ") " + gBraces(s.body, in)
}
func (s *gEach) run(w *world, out *[]any) error {
	v, err := gResult(w, s.in)
	if err != nil || mPlain(v) == nil {
		return err
	}
	for _, x := range mElements(v) {
		if err := w.tick(); err != nil {
			return err
		}
		w.vars[s.name] = x
		if stop, err := gLoop(gRun(w, s.body, out), s.label); stop {
			return err
		}
	}
	return nil
}

func (s *gWhile) lines(in string) string {
	cond := fmt.Sprintf("($%s++ -lt %d)", s.name, s.n)
	if s.do {
		return in + "$" + s.name + " = 0\n" + in + gLabel(s.label) + "do " + gBraces(s.body, in) + " while " + cond
	}
	return in + "$" + s.name + " = 0\n" + in + gLabel(s.label) + "while " + cond + " " + gBraces(s.body, in)
}
func (s *gWhile) run(w *world, out *[]any) error {
	w.vars[s.name] = int32(0)
	for first := true; ; first = false {
		if !first || !s.do {
			n := w.vars[s.name].(int32)
			w.vars[s.name] = n + 1
			if n >= s.n {
				return nil
			}
		}
		if err := w.tick(); err != nil {
			return err
		}
		if stop, err := gLoop(gRun(w, s.body, out), s.label); stop {
			return err
		}
	}
}

func (s *gSwitch) lines(in string) string {
	t := in + "switch (" + gText(s.subj) + ") {\n"
	for _, c := range s.cases {
		body := gBody(c.body, in+"    ")
		if c.stop != "" {
			body += "\n" + in + "    " + c.stop
		}
		t += in + "  " + gArg(c.test) + " {\n" + body + "\n" + in + "  }\n"
	}
	return t + in + "  default " + gBraces(s.other, in+"  ") + "\n" + in + "}"
}
func (s *gSwitch) run(w *world, out *[]any) error {
	v, err := gResult(w, s.subj)
	if err != nil || v == (nothing{}) {
		return err
	}
	one := func(x any) error {
		hit := false
		for _, c := range s.cases {
			t, err := gPlain(w, c.test)
			if err != nil {
				return err
			}
			if _, arr := mArr(t); arr {
				return errModel
			}
			if !mEqual(x, t) {
				continue
			}
			hit = true
			if err := gRun(w, c.body, out); err != nil {
				return err
			}
			switch c.stop {
			case "break":
				return gBreak{}
			case "continue":
				return gContinue{}
			}
		}
		if hit {
			return nil
		}
		return gRun(w, s.other, out)
	}
	for _, x := range mElements(v) {
		if _, nested := mArr(x); nested {
			return errModel
		}
		if stop, err := gLoop(one(x), ""); stop {
			return err
		}
	}
	return nil
}

func (s *gTry) lines(in string) string {
	t := in + "try " + gBraces(s.body, in)
	if s.catch != nil {
		t += " catch " + gBraces(s.catch, in)
	}
	if s.finally != nil {
		t += " finally " + gBraces(s.finally, in)
	}
	return t
}
func (s *gTry) run(w *world, out *[]any) error {
	err := gRun(w, s.body, out)
	var t gThrown
	if s.catch != nil && errors.As(err, &t) {
		old, had := w.vars["_"]
		w.vars["_"] = t.v
		err = gRun(w, s.catch, out)
		if delete(w.vars, "_"); had {
			w.vars["_"] = old
		}
	}
	if ferr := gRun(w, s.finally, out); ferr != nil {
		return ferr
	}
	return err
}

func (s *gFlow) lines(in string) string {
	switch {
	case s.x != nil:
		return in + s.kind + " " + s.x.write(0)
	case s.label != "":
		return in + s.kind + " " + s.label
	}
	return in + s.kind
}
func (s *gFlow) run(w *world, out *[]any) error {
	switch s.kind {
	case "break":
		return gBreak{s.label}
	case "continue":
		return gContinue{s.label}
	case "throw":
		v, err := gPlain(w, s.x)
		if err != nil {
			return err
		}
		t, ok := v.(string)
		if !ok {
			return errModel
		}
		return gThrown{t}
	}
	if s.x != nil {
		if err := (&gOut{s.x}).run(w, out); err != nil {
			return err
		}
	}
	return gReturn{}
}
