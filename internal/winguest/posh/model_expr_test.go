package posh

import (
	"errors"
	"strconv"
	"strings"
)

// A program is generated as a tree; each node can write itself as PowerShell, and
// do in the model what it means.
type (
	world struct {
		vars  map[string]any
		up    *world // the caller's scope: it can be read, and is not written
		funcs map[string]*gFunc
		steps int
	}
	gExpr interface {
		write(level int) string // with parentheses where it binds less than level
		eval(w *world) (any, error)
	}
	gStmt interface {
		lines(in string) string
		run(w *world, out *[]any) error
	}
	gFunc struct{ body []gStmt }

	gBreak    struct{ label string }
	gContinue struct{ label string }
	gReturn   struct{}
	gThrown   struct{ v string }
)

func (gBreak) Error() string    { return "break" }
func (gContinue) Error() string { return "continue" }
func (gReturn) Error() string   { return "return" }
func (gThrown) Error() string   { return "throw" }

func (w *world) get(n string) any {
	for s := w; s != nil; s = s.up {
		if v, ok := s.vars[n]; ok {
			return v
		}
	}
	return nil
}

func (w *world) tick() error {
	if w.steps++; w.steps > 200 {
		return errModel
	}
	return nil
}

// Levels of precedence, from the language specification, 7.
var gLevels = map[string]int{"-and": 1, "-or": 1, "-xor": 1, "-eq": 3, "-ne": 3, "-lt": 3, "-le": 3, "-gt": 3, "-ge": 3,
	"-contains": 3, "-notcontains": 3, "-in": 3, "-notin": 3, "-join": 3, "+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "..": 7}

const (
	gComma = 8
	gUnary = 9
	gAtom  = 10
)

type (
	gLit struct{ v any }
	gVar struct{ name string }
	gBin struct {
		op   string
		x, y gExpr
	}
	gNot   struct{ x gExpr }
	gNeg   struct{ x gExpr }
	gList  struct{ items []gExpr }
	gOne   struct{ x gExpr } // ,x
	gIndex struct{ x, i gExpr }
	gValue struct{ s *gAssign } // (an assignment)
	gStep  struct {
		name   string
		by     int32
		prefix bool
	}
	gArray  struct{ body []gStmt }
	gSub    struct{ body []gStmt }
	gString struct{ parts []gExpr }
	gCall   struct {
		name string
		arg  gExpr
	}
)

func gWrap(own, level int, text string) string {
	if own < level {
		return "(" + text + ")"
	}
	return text
}

func (e gLit) write(level int) string {
	switch v := e.v.(type) {
	case nil:
		return "$null"
	case bool:
		return "$" + strings.ToLower(mText(v))
	case string:
		return "'" + v + "'"
	case int32:
		if v < 0 {
			return gWrap(gUnary, level, strconv.Itoa(int(v)))
		}
	}
	return mText(e.v)
}
func (e gLit) eval(*world) (any, error) { return e.v, nil }

func (e gVar) write(int) string           { return "$" + e.name }
func (e gVar) eval(w *world) (any, error) { return w.get(e.name), nil }

func (e gBin) write(level int) string {
	own := gLevels[e.op]
	return gWrap(own, level, e.x.write(own)+" "+e.op+" "+e.y.write(own+1))
}
func (e gBin) eval(w *world) (any, error) {
	x, err := gPlain(w, e.x)
	if err != nil {
		return nil, err
	}
	if e.op == "-and" && !mTruth(x) || e.op == "-or" && mTruth(x) {
		return mTruth(x), nil
	}
	y, err := gPlain(w, e.y)
	if err != nil {
		return nil, err
	}
	if e.op == "-and" || e.op == "-or" {
		return mTruth(y), nil
	}
	return mBinary(e.op, x, y)
}

func gPlain(w *world, e gExpr) (any, error) {
	v, err := e.eval(w)
	return mPlain(v), err
}

func (e gNot) write(level int) string { return gWrap(gUnary, level, "-not "+e.x.write(gUnary)) }
func (e gNot) eval(w *world) (any, error) {
	v, err := gPlain(w, e.x)
	return !mTruth(v), err
}

func (e gNeg) write(level int) string { return gWrap(gUnary, level, "-"+e.x.write(gAtom)) }
func (e gNeg) eval(w *world) (any, error) {
	v, err := gPlain(w, e.x)
	if err != nil {
		return nil, err
	}
	return mArith("-", int32(0), v)
}

func (e gList) write(level int) string {
	var t []string
	for _, x := range e.items {
		t = append(t, x.write(gUnary))
	}
	return gWrap(gComma, level, strings.Join(t, ", "))
}
func (e gList) eval(w *world) (any, error) {
	out := []any{}
	for _, x := range e.items {
		v, err := gPlain(w, x)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (e gOne) write(level int) string { return gWrap(gUnary, level, ","+e.x.write(gUnary)) }
func (e gOne) eval(w *world) (any, error) {
	v, err := gPlain(w, e.x)
	return []any{v}, err
}

func (e gIndex) write(int) string { return e.x.write(gAtom) + "[" + e.i.write(0) + "]" }
func (e gIndex) eval(w *world) (any, error) {
	x, err := gPlain(w, e.x)
	if err != nil {
		return nil, err
	}
	i, err := gPlain(w, e.i)
	if err != nil {
		return nil, err
	}
	return mIndex(x, i)
}

func (e gValue) write(int) string           { return "(" + e.s.lines("") + ")" }
func (e gValue) eval(w *world) (any, error) { return e.s.value(w) }

func (e gStep) write(int) string {
	op := map[int32]string{1: "++", -1: "--"}[e.by]
	if e.prefix {
		return "(" + op + "$" + e.name + ")"
	}
	return "($" + e.name + op + ")"
}
func (e gStep) eval(w *world) (any, error) {
	old := mPlain(w.get(e.name))
	if old == nil {
		old = int32(0)
	}
	switch old.(type) {
	case int32, float64:
	default:
		return nil, errModel
	}
	v, err := mArith("+", old, e.by)
	if err != nil {
		return nil, err
	}
	w.vars[e.name] = v
	if e.prefix {
		return v, nil
	}
	return old, nil
}

func gBody(body []gStmt, in string) string {
	var t []string
	for _, s := range body {
		t = append(t, s.lines(in))
	}
	return strings.Join(t, "\n")
}

func gRun(w *world, body []gStmt, out *[]any) error {
	for _, s := range body {
		if err := w.tick(); err != nil {
			return err
		}
		if err := s.run(w, out); err != nil {
			return err
		}
	}
	return nil
}

func (e gArray) write(int) string {
	return "@(" + strings.ReplaceAll(gBody(e.body, ""), "\n", "; ") + ")"
}
func (e gArray) eval(w *world) (any, error) {
	out := []any{}
	return out, gInto(w, e.body, &out)
}

func gInto(w *world, body []gStmt, out *[]any) error {
	o := []any{}
	err := gRun(w, body, &o)
	*out = o
	return err
}

func (e gSub) write(int) string {
	return "$(" + strings.ReplaceAll(gBody(e.body, ""), "\n", "; ") + ")"
}
func (e gSub) eval(w *world) (any, error) {
	var out []any
	err := gInto(w, e.body, &out)
	return mCollect(out), err
}

func (e gString) write(int) string {
	var t []string
	for _, p := range e.parts {
		if v, ok := p.(gVar); ok {
			t = append(t, "$"+v.name)
		} else {
			t = append(t, "$("+p.write(0)+")")
		}
	}
	return `"` + strings.Join(t, "|") + `"`
}
func (e gString) eval(w *world) (any, error) {
	var t []string
	for _, p := range e.parts {
		v, err := gPlain(w, p)
		if err != nil {
			return nil, err
		}
		t = append(t, mText(v))
	}
	return strings.Join(t, "|"), nil
}

func (e gCall) write(int) string { return "(" + e.name + " " + gArg(e.arg) + ")" }

// gArg is an argument of a command: in parentheses unless it is a variable.
func gArg(e gExpr) string {
	if v, ok := e.(gVar); ok {
		return v.write(0)
	}
	return "(" + e.write(0) + ")"
}
func (e gCall) eval(w *world) (any, error) {
	arg, err := gPlain(w, e.arg)
	if err != nil {
		return nil, err
	}
	root := w
	for root.up != nil {
		root = root.up
	}
	inner := &world{vars: map[string]any{"p": arg}, up: w, steps: w.steps}
	var out []any
	err = gRun(inner, root.funcs[e.name].body, &out)
	w.steps = inner.steps
	if errors.As(err, new(gReturn)) {
		err = nil
	}
	return mCollect(out), err
}
