package posh

import (
	"errors"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"testing"
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

// generator makes programs; what it may use depends on where it is.
type generator struct {
	r     *rand.Rand
	loops []string // labels of the loops around
	in    struct{ function, finally, try bool }
	names int
	funcs []string
}

func (g *generator) n(n int) int { return g.r.Intn(n) }

func (g *generator) name() string { return string(rune('a' + g.n(4))) }

func (g *generator) expr(depth int) gExpr {
	if depth <= 0 {
		switch g.n(8) {
		case 0, 1, 2:
			return gVar{g.name()}
		case 3:
			return gLit{[]any{nil, true, false}[g.n(3)]}
		case 4:
			return gLit{[]string{"", "x", "Y", "12", "0", "ab"}[g.n(6)]}
		case 5:
			return gLit{[]any{int32(2147483647), 0.5, 2.5, int32(100)}[g.n(4)]}
		}
		return gLit{int32(g.n(8) - 2)}
	}
	d := depth - 1
	switch g.n(16) {
	case 0, 1, 2:
		return gBin{[]string{"+", "-", "*", "/", "%"}[g.n(5)], g.expr(d), g.expr(d)}
	case 3, 4:
		return gBin{[]string{"-eq", "-ne", "-lt", "-le", "-gt", "-ge"}[g.n(6)], g.expr(d), g.expr(d)}
	case 5:
		return gBin{[]string{"-and", "-or", "-xor"}[g.n(3)], g.expr(d), g.expr(d)}
	case 6:
		return gBin{[]string{"-contains", "-notcontains", "-in", "-notin", "-join"}[g.n(5)], g.expr(d), g.expr(d)}
	case 7:
		return gBin{"..", g.expr(d), g.expr(d)}
	case 8:
		if g.n(2) == 0 {
			return gNeg{g.expr(d)}
		}
		return gNot{g.expr(d)}
	case 9:
		l := gList{}
		for range 2 + g.n(2) {
			l.items = append(l.items, g.expr(d))
		}
		return l
	case 10:
		if g.n(3) == 0 {
			return gOne{g.expr(d)}
		}
		return gIndex{g.expr(d), g.expr(d)}
	case 11:
		return gValue{g.assign(d)}
	case 12:
		return gStep{g.name(), int32(1 - 2*g.n(2)), g.n(2) == 0}
	case 13:
		if g.n(2) == 0 {
			return gArray{g.simple(d)}
		}
		return gSub{g.simple(d)}
	case 14:
		s := gString{}
		for range 1 + g.n(2) {
			s.parts = append(s.parts, g.expr(0))
		}
		return s
	}
	if len(g.funcs) > 0 {
		return gCall{g.funcs[g.n(len(g.funcs))], g.expr(d)}
	}
	return gVar{g.name()}
}

// simple are statements without an end of their own line.
func (g *generator) simple(depth int) []gStmt {
	var out []gStmt
	for range 1 + g.n(2) {
		if g.n(3) == 0 {
			out = append(out, g.assign(depth))
		} else {
			out = append(out, &gOut{g.expr(depth)})
		}
	}
	return out
}

func (g *generator) assign(depth int) *gAssign {
	a := &gAssign{names: []string{g.name()}, op: "="}
	switch g.n(8) {
	case 0:
		a.op = []string{"+=", "-=", "*="}[g.n(3)]
	case 1:
		a.names = append(a.names, g.name())
	}
	if g.n(4) == 0 && depth > 0 {
		a.from = g.assign(depth - 1)
	} else {
		a.from = g.expr(depth)
	}
	return a
}

// subject is what stands in the parentheses of a statement.
func (g *generator) subject(depth int) any {
	if g.n(3) == 0 {
		return g.assign(depth)
	}
	return g.expr(depth)
}

func (g *generator) loop(f func(label string)) {
	label := ""
	if g.n(3) == 0 {
		label = "l" + strconv.Itoa(len(g.loops))
	}
	finally := g.in.finally
	g.loops, g.in.finally = append(g.loops, label), false
	f(label)
	g.loops, g.in.finally = g.loops[:len(g.loops)-1], finally
}

func (g *generator) body(depth int) []gStmt {
	var out []gStmt
	for range 1 + g.n(3) {
		out = append(out, g.stmt(depth))
	}
	return out
}

func (g *generator) stmt(depth int) gStmt {
	if depth <= 0 {
		if g.n(2) == 0 {
			return g.assign(2)
		}
		return &gOut{g.expr(2)}
	}
	d := depth - 1
	switch g.n(14) {
	case 0, 1:
		return g.assign(3)
	case 2, 3:
		return &gOut{g.expr(3)}
	case 4, 5:
		s := &gIf{cond: g.subject(2), then: g.body(d)}
		if g.n(2) == 0 {
			s.other = g.body(d)
		}
		return s
	case 6:
		var s *gEach
		g.loop(func(l string) { s = &gEach{l, g.name(), g.subject(2), g.body(d)} })
		return s
	case 7:
		var s *gWhile
		g.loop(func(l string) {
			g.names++
			s = &gWhile{l, "i" + strconv.Itoa(g.names), int32(g.n(4)), g.body(d), g.n(2) == 0}
		})
		return s
	case 8:
		s := &gSwitch{subj: g.subject(1)}
		loops := g.loops
		g.loops = append(append([]string{}, loops...), "")
		for range 1 + g.n(3) {
			s.cases = append(s.cases, gCase{g.expr(0), g.body(0), []string{"", "", "break", "continue"}[g.n(4)]})
		}
		s.other = g.body(0)
		g.loops = loops
		return s
	case 9:
		was := g.in
		s := &gTry{}
		g.in.try = true
		s.body = g.body(d)
		g.in = was
		if g.n(3) > 0 {
			s.catch = append(g.body(d), &gOut{gString{[]gExpr{gVar{"_"}}}})
		}
		if s.catch == nil || g.n(3) == 0 {
			loops := g.loops
			g.in, g.loops = struct{ function, finally, try bool }{finally: true}, nil
			s.finally = g.body(0)
			g.in, g.loops = was, loops
		}
		return s
	case 10:
		if g.in.try {
			return &gFlow{kind: "throw", x: gLit{[]string{"e1", "e2"}[g.n(2)]}}
		}
	case 11:
		if len(g.loops) > 0 && !g.in.finally {
			f := &gFlow{kind: []string{"break", "continue"}[g.n(2)]}
			if l := g.loops[g.n(len(g.loops))]; l != "" && g.n(2) == 0 {
				f.label = l
			}
			return &gIf{cond: g.expr(1), then: []gStmt{f}}
		}
	case 12:
		if g.in.function && !g.in.finally {
			return &gIf{cond: g.expr(1), then: []gStmt{&gFlow{kind: "return", x: g.expr(1)}}}
		}
	case 13:
		a := g.assign(0)
		a.op, a.names = "=", a.names[:1]
		a.from = &gIf{cond: g.subject(1), then: g.body(0), other: g.body(0)}
		if g.n(3) == 0 {
			g.loop(func(l string) { a.from = &gEach{l, g.name(), g.subject(1), g.body(0)} })
		}
		return a
	}
	return &gOut{g.expr(2)}
}

// program generates one, and says what it prints.
func program(seed int64) (script string, want []string, err error) {
	g := &generator{r: rand.New(rand.NewSource(seed))}
	w := &world{vars: map[string]any{"a": int32(g.n(9)), "b": "x", "c": []any{int32(3), "q", nil}}, funcs: map[string]*gFunc{}}
	var b strings.Builder
	fmt.Fprintf(&b, "$a = %d; $b = 'x'; $c = 3, 'q', $null\n", w.vars["a"])
	for i := range g.n(3) {
		name := "f" + strconv.Itoa(i)
		g.in.function = true
		f := &gFunc{append(g.body(1), &gOut{gVar{"p"}})}
		g.in.function = false
		w.funcs[name] = f
		g.funcs = append(g.funcs, name)
		b.WriteString("function " + name + "($p) " + gBraces(f.body, "") + "\n")
	}
	var body []gStmt
	for range 1 + g.n(4) {
		body = append(body, g.stmt(2))
	}
	b.WriteString(". {\n" + gBody(body, "  ") + "\n} | ForEach-Object { \"[$_]\" }\n")
	var out []any
	if err := gRun(w, body, &out); err != nil {
		return "", nil, err
	}
	for _, v := range out {
		want = append(want, "["+mText(v)+"]")
	}
	for _, n := range []string{"a", "b", "c", "d"} {
		fmt.Fprintf(&b, "if ($null -eq $%[1]s) { '%[1]s=' } else { '%[1]s=' + $%[1]s.GetType().Name + ':' + $%[1]s }\n", n)
		v := mPlain(w.vars[n])
		if v == nil {
			want = append(want, n+"=")
			continue
		}
		kind := map[bool]string{true: "Object[]"}[len(mElements(v)) != 1]
		switch v.(type) {
		case bool:
			kind = "Boolean"
		case int32:
			kind = "Int32"
		case float64:
			kind = "Double"
		case string:
			kind = "String"
		default:
			kind = "Object[]"
		}
		want = append(want, n+"="+kind+":"+mText(v))
	}
	return b.String(), want, nil
}

// Programs over the grammar print what the model says that they do. Another seed
// than the first is POSH_SEED, how many programs POSH_PROGRAMS.
func TestGenerated(t *testing.T) {
	seed, count := int64(1), 2000
	if v, err := strconv.ParseInt(os.Getenv("POSH_SEED"), 10, 64); err == nil {
		seed = v
	}
	if v, err := strconv.Atoi(os.Getenv("POSH_PROGRAMS")); err == nil {
		count = v
	}
	b := newBox(t)
	ran, bad := 0, 0
	for i := seed; ran < count; i++ {
		script, want, err := program(i)
		if err != nil {
			continue
		}
		ran++
		r := b.run("-NoProfile", "-Command", script)
		got := strings.TrimRight(strings.ReplaceAll(r.out, "\r\n", "\n"), "\n")
		if got == strings.Join(want, "\n") && r.err == "" {
			continue
		}
		if bad++; bad > 5 {
			t.Fatal("and more")
		}
		t.Errorf("seed %d\n%s\n got  %q\n want %q\n%s", i, script, got, strings.Join(want, "\n"), r.err)
	}
}
