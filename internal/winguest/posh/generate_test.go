package posh

import (
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"testing"
)

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
		kind := "Object[]"
		switch v.(type) {
		case bool:
			kind = "Boolean"
		case int32:
			kind = "Int32"
		case float64:
			kind = "Double"
		case string:
			kind = "String"
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
