package dag

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Text is a setting that is text of which some may be known only later. It is made
// of four kinds of parts: literal ones; secrets, see [Mark]; words, whose meaning
// only its step knows when it runs, see [Word]; and references to what other steps
// make, see [Ref].
//
// Whatever reads a template parses each text once and makes a Text of it. The parts
// are kept in one string, so that a Text is empty, compared, converted, stored and
// used as a key of a map like any string; a text without private characters is
// literal. The step gets its final form from [Task.Fill].
type Text string

// A part that is not literal begins with one of these, and ends with the character
// after that. Those of secrets are MarkOpen and MarkClose.
const (
	markOpen = '\uE000'
	wordOpen = '\uE002'
	refOpen  = '\uE004'
	opens    = string(markOpen) + string(wordOpen) + string(refOpen)
)

// Evaluator is implemented by outputs that texts may refer to.
type Evaluator interface {
	// Evaluate returns what an expression comes to for this output. Secrets that stand
	// in it, as Mark writes them, may stand in the result.
	Evaluate(expr string) (string, error)
}

// Word is a part that the step itself replaces when it runs. Dag does not know what
// an expression means.
func Word(expr string) Text { return part(wordOpen, expr) }

// Ref is a part that comes to what the expression says of the output of another
// step, which thereby comes first.
func Ref[T Evaluator](o Out[T], expr string) Text {
	if o.key == (Key{}) {
		panic("dag: a text refers to the output of no step")
	}
	return part(refOpen, o.key.String()+expr)
}

// Path is a part that comes to what stands at a path in the output of another step,
// which thereby comes first: names of fields, keys of maps and places in lists,
// with dots between them. What T has no place for is a panic; see [CheckPath].
func Path[T any](o Out[T], path string) Text {
	if o.key == (Key{}) {
		panic("dag: a text refers to the output of no step")
	}
	if err := CheckPath[T](path); err != nil {
		panic("dag: " + err.Error())
	}
	return part(refOpen, o.key.String()+"."+path)
}

func part(open rune, inner string) Text { return Text(string(open) + inner + string(open+1)) }

// each calls fn for every part. Open is 0 for a literal one.
func (x Text) each(fn func(open rune, inner string)) {
	for s := string(x); s != ""; {
		i := strings.IndexAny(s, opens)
		if i < 0 {
			fn(0, s)
			return
		}
		open, size := utf8.DecodeRuneInString(s[i:])
		inner, rest, closed := strings.Cut(s[i+size:], string(open+1))
		if !closed {
			fn(0, s)
			return
		}
		if i > 0 {
			fn(0, s[:i])
		}
		fn(open, inner)
		s = rest
	}
}

// Known reports whether the text is literal from beginning to end.
func (x Text) Known() bool { return !strings.ContainsAny(string(x), opens) }

// Literal is what the text holds in any case, whatever its other parts come to.
func (x Text) Literal() string {
	var b strings.Builder
	x.each(func(open rune, inner string) {
		if open == 0 {
			b.WriteString(inner)
		}
	})
	return b.String()
}

// Pattern is one of path.Match that fits what the text may come to: * stands for each part
// that is not literal.
func (x Text) Pattern() string {
	var b strings.Builder
	x.each(func(open rune, inner string) {
		if open != 0 {
			b.WriteByte('*')
			return
		}
		b.WriteString(strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(inner))
	})
	return b.String()
}

// Words are the expressions of its words.
func (x Text) Words() (exprs []string) {
	x.each(func(open rune, inner string) {
		if open == wordOpen {
			exprs = append(exprs, inner)
		}
	})
	return exprs
}

// Final reports whether nothing in the text waits for a step to run, neither a word
// nor a reference.
func (x Text) Final() bool { return !strings.ContainsAny(string(x), string(wordOpen)+string(refOpen)) }

// Secrets are the names of the secrets in it, in expressions, too.
func (x Text) Secrets() (names []string) {
	expandMarks(string(x), func(name string) string {
		names = append(names, name)
		return ""
	})
	return names
}

// Split cuts the text at each separator that stands in a literal part.
func (x Text) Split(separator string) []Text {
	list := []Text{""}
	add := func(t Text) { list[len(list)-1] += t }
	x.each(func(open rune, inner string) {
		if open != 0 {
			add(part(open, inner))
			return
		}
		for i, piece := range strings.Split(inner, separator) {
			if i > 0 {
				list = append(list, "")
			}
			add(Text(piece))
		}
	})
	return list
}

// Bind replaces each word.
func (x Text) Bind(f func(expr string) Text) Text {
	var b strings.Builder
	x.each(func(open rune, inner string) {
		switch open {
		case 0:
			b.WriteString(inner)
		case wordOpen:
			b.WriteString(string(f(inner)))
		default:
			b.WriteString(string(part(open, inner)))
		}
	})
	return Text(b.String())
}

// String shows the text as it was written: expressions stand for themselves.
func (x Text) String() string {
	var b strings.Builder
	x.each(func(open rune, inner string) {
		switch open {
		case markOpen:
			b.WriteString(Mark(inner))
		case refOpen:
			b.WriteString(inner[min(len(inner), 2*len(Key{})):])
		default:
			b.WriteString(inner)
		}
	})
	return b.String()
}

// Reference is what a text refers to: an expression about the output of a step.
type Reference struct {
	Step Key    `json:"step"`
	Expr string `json:"expr"`
}

func reference(inner string) (r Reference, ok bool) {
	n := 2 * len(Key{})
	if len(inner) < n || r.Step.UnmarshalText([]byte(inner[:n])) != nil {
		return r, false
	}
	r.Expr = inner[n:]
	return r, true
}

func (x Text) references() (list []Reference) {
	x.each(func(open rune, inner string) {
		if r, ok := reference(inner); ok && open == refOpen {
			list = append(list, r)
		}
	})
	return list
}

// Evaluated is what a reference comes to, or why it comes to nothing.
type Evaluated struct {
	Reference
	Text string `json:"text,omitempty"`
	Err  string `json:"err,omitempty"`
}

// evaluate finds out what the references of a step's texts come to.
func (e *Engine) evaluate(n Node) []Evaluated {
	all := make([]Evaluated, len(n.Texts))
	for i, ref := range n.Texts {
		all[i].Reference = ref
		out, err := e.out(ref.Step)
		if err == nil {
			r, _ := e.rec(ref.Step)
			if k := e.kinds[r.Kind]; k.eval != nil {
				all[i].Text, err = k.eval(out, ref.Expr)
			} else {
				err = unknownKind(r.Name, r.Kind)
			}
		}
		if err != nil {
			all[i].Err = err.Error()
		}
	}
	return all
}

// Fill returns the final text. Word says what an expression comes to; it is not
// called for a text without words, and may be nil where there are none. Secrets that
// stand in an expression may stand in what it comes to.
func (t *Task) Fill(x Text, word func(expr string) (string, error)) (string, error) {
	var b strings.Builder
	var first error
	x.each(func(open rune, inner string) {
		if first != nil {
			return
		}
		var s string
		var err error
		switch open {
		case 0:
			s = inner
		case markOpen:
			s, err = t.Reveal(Secret(Mark(inner)))
		case wordOpen:
			if word == nil {
				err = fmt.Errorf("%s is not known here", inner)
			} else if s, err = word(inner); err == nil {
				s, err = t.Reveal(Secret(s))
			}
		case refOpen:
			r, _ := reference(inner)
			switch i := slices.IndexFunc(t.texts, func(v Evaluated) bool { return v.Reference == r }); {
			case i < 0:
				err = fmt.Errorf("%s is not known here", r.Expr)
			case t.texts[i].Err != "":
				err = errors.New(t.texts[i].Err)
			default:
				s, err = t.Reveal(Secret(t.texts[i].Text))
			}
		}
		b.WriteString(s)
		first = err
	})
	if first != nil {
		return "", first
	}
	return b.String(), nil
}
