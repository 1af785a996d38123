package dag

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

// door makes a thing behind a door that answers each call in turn; nobody can
// look behind it.
type door struct{ Answers *answers }

type doorOut struct{ Token string }

type answers struct {
	errs    []error
	tokens  []string
	looks   int
	removed int
}

type doorStep struct{ Name string }

func (doorStep) Kind() string { return "toy.door" }
func (doorStep) Do(_ context.Context, d door, t *Task) (doorOut, error) {
	d.Answers.tokens = append(d.Answers.tokens, t.Token)
	err := d.Answers.errs[0]
	d.Answers.errs = d.Answers.errs[1:]
	return doorOut{t.Token}, err
}
func (o doorOut) Find(_ context.Context, d door, t *Task) (doorOut, error) {
	d.Answers.looks++
	return doorOut{}, errors.New("access denied")
}
func (o doorOut) Undo(_ context.Context, d door, t *Task) error {
	d.Answers.removed++
	return nil
}

// TestNotMade: what was certainly not made is neither looked for nor left over,
// and its next making has a token of its own. After a try that may have had an
// effect, a refusal proves nothing.
func TestNotMade(t *testing.T) {
	refused, lost := NotMade(errBoom), Retry(errBoom, 0)
	for _, c := range []struct {
		name    string
		errs    []error
		nothing bool // is there, for sure
		looks   int
	}{
		{"refused", []error{refused}, true, 0},
		{"refused for a while, then for good", []error{Retry(refused, 0), refused}, true, 0},
		{"an ordinary failure", []error{errBoom}, false, 1},
		{"refused after a lost answer", []error{lost, refused}, false, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			a, store := &answers{errs: c.errs}, &MemStore{}
			engine := func() *Engine {
				e, err := New(Options{Run: "run", Store: store, Kinds: []Kind{Bind[doorStep](door{a})}})
				if err != nil {
					t.Fatal(err)
				}
				return e
			}
			g := NewGraph(nil)
			Goal(g, Add(g, Build{Name: "b"}, "door", doorStep{"x"}))
			e := engine()
			r := solve(t, e, g)
			if len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Err.Error(), "boom") {
				t.Errorf("%s: failed %v", c.name, r.Failed)
			}
			rec := e.Records()[0]
			if a.looks != c.looks || (len(r.Left) == 0) != c.nothing || (rec.Status == Gone) != c.nothing {
				t.Errorf("%s: the record is %s after %d looks, left %v", c.name, rec.Status, a.looks, r.Left)
			}
			if !c.nothing {
				return
			}
			if rec.Err != "boom" {
				t.Errorf("%s: the record does not say why: %q", c.name, rec.Err)
			}
			a.errs = []error{nil}
			e = engine()
			clean(t, solve(t, e, g))
			if n := len(a.tokens); a.looks != 0 || a.tokens[n-1] == a.tokens[0] {
				t.Errorf("%s: made again after %d looks with the tokens %q", c.name, a.looks, a.tokens)
			}
		})
	}
}
