package dag

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Step is one typed unit of work: a plain struct whose exported fields are its
// settings and its references to what other steps make. E is the environment
// that its kind was bound to, T what it makes.
//
// A field tagged `key:"-"` does not enter the step's key (timeouts, poll
// intervals). A reference tagged `dag:"attach"` says that what the step makes
// stands on the referenced thing, which cannot be removed before; one tagged
// `dag:"detach"` says that after this step the thing behind the reference lets
// go of all that it holds.
//
// An error of Do leaves open whether its thing was made, so that it is looked for
// before it is released or made again. One that proves that nothing was made says
// so with [NotMade]; one that may pass is marked with [Retry].
//
// A step may have a method Title() string, what it does in a few words for the
// user, and Patience.
type Step[E, T any] interface {
	Kind() string
	Do(ctx context.Context, env E, t *Task) (T, error)
}

// Thing is implemented by outputs that exist outside the process.
type Thing[E, T any] interface {
	// Find returns the thing that the task's token names, or, when called on an
	// output, that very thing. The error is ErrNotFound only if it is sure that
	// it does not exist; things too young to be visible are waited for.
	Find(ctx context.Context, env E, t *Task) (T, error)
	// Undo removes the thing; removing what is gone already is no error. It sees
	// only the output itself.
	Undo(ctx context.Context, env E, t *Task) error
}

// Given is implemented by outputs that were there before: a machine that nobody
// here makes or removes. Steps may take it as they take a thing. It cannot be made
// again, so what they have changed stays: a step that was edited runs once more, on
// what its earlier form has left.
type Given interface{ Given() }

// Chooser is implemented by steps that find what a build begins from.
type Chooser interface {
	// Chooses tells whether the step chooses among what others make, so that it may find
	// another one another day, or finds the one that its settings name.
	Chooses() bool
}

// Caller is implemented by environments whose steps call a service that is at many sites,
// such as an account in a region. What many steps ask of one site can be asked together by
// whoever does them all.
type Caller interface {
	// Site is where a step calls whose settings are these, in a word that holds no secret and
	// is the same for all who call there, in every process. "" is not known by them: the
	// step calls where what it reads was made.
	Site(spec json.RawMessage) string
}

type titled interface{ Title() string }

// labelled is implemented by things that messages call by a name of their own,
// such as "instance i-0abc".
type labelled interface{ Label() string }

// Kind is a step type with its environment bound and its types erased.
type Kind struct {
	Name   string
	thing  bool
	do     func(ctx context.Context, spec json.RawMessage, t *Task, get func(Key) (json.RawMessage, error)) (json.RawMessage, error)
	find   func(ctx context.Context, t *Task, out json.RawMessage) (json.RawMessage, error)
	undo   func(ctx context.Context, t *Task, out json.RawMessage) error
	label  func(out json.RawMessage) string
	made   func(out json.RawMessage) []Artifact
	report func(out json.RawMessage) string
	read   func(out json.RawMessage) error // for what is no output of it
	eval   func(out json.RawMessage, expr string) (string, error)
	wait   func(spec json.RawMessage) (patience Patient)
	site   func(spec json.RawMessage) string // nil: its steps call none
}

// Bind binds a step type to its environment. It panics for a type whose
// settings or output a checkpoint could not give back.
func Bind[S Step[E, T], E, T any](env E) Kind {
	var zero S
	var nothing T
	m := methods{
		step: reflect.TypeFor[S](), out: reflect.TypeFor[T](),
		do: func(ctx context.Context, s any, t *Task) (any, error) { return s.(S).Do(ctx, env, t) },
	}
	if _, ok := any(nothing).(Thing[E, T]); ok {
		m.find = func(ctx context.Context, out any, t *Task) (any, error) { return out.(Thing[E, T]).Find(ctx, env, t) }
		m.undo = func(ctx context.Context, out any, t *Task) error { return out.(Thing[E, T]).Undo(ctx, env, t) }
	}
	k := bind(zero.Kind(), m)
	if c, ok := any(env).(Caller); ok {
		k.site = c.Site
	}
	return k
}

// methods are what a kind needs of its types. They are all that is compiled for each
// kind anew: there are many, and the rest is long.
type methods struct {
	step, out reflect.Type
	do        func(ctx context.Context, step any, t *Task) (any, error)
	find      func(ctx context.Context, out any, t *Task) (any, error) // nil, as undo: it is not a thing
	undo      func(ctx context.Context, out any, t *Task) error
}

// output reads an output; without one it is the zero value.
func (m methods) output(p json.RawMessage) (any, error) {
	out := reflect.New(m.out)
	if p != nil {
		if err := json.Unmarshal(p, out.Interface()); err != nil {
			return nil, err
		}
	}
	return out.Elem().Interface(), nil
}

func bind(name string, m methods) Kind {
	mustBePlain(m.step, m.step.String(), map[reflect.Type]bool{})
	mustBePlain(m.out, m.out.String(), map[reflect.Type]bool{})
	k := Kind{Name: name}
	k.do = func(ctx context.Context, p json.RawMessage, t *Task, get func(Key) (json.RawMessage, error)) (json.RawMessage, error) {
		step := reflect.New(m.step)
		if err := json.Unmarshal(p, step.Interface()); err != nil {
			return nil, fmt.Errorf("cannot read the settings of %s: %w", t.Name, err)
		}
		v := step.Elem()
		var err error
		walkRefs(v, "", func(v reflect.Value, _ string) {
			if e := v.Addr().Interface().(resolver).resolve(get); e != nil && err == nil {
				err = e
			}
		})
		if err == nil {
			err = reveal(v, func(name string) (string, error) { return t.Reveal(Secret(Mark(name))) })
		}
		if err != nil {
			return nil, err
		}
		out, err := m.do(ctx, v.Interface(), t)
		if err != nil {
			return nil, err
		}
		return marshalChecked(out)
	}
	k.read = func(p json.RawMessage) error { _, err := m.output(p); return err }
	k.wait = func(p json.RawMessage) Patient {
		step := reflect.New(m.step)
		if json.Unmarshal(p, step.Interface()) != nil {
			return nil
		}
		w, _ := step.Elem().Interface().(Patient)
		return w
	}
	k.eval = func(p json.RawMessage, expr string) (string, error) {
		out, err := m.output(p)
		if err != nil {
			return "", err
		}
		if path, ok := strings.CutPrefix(expr, "."); ok {
			return textAt(reflect.ValueOf(out), path)
		}
		if x, ok := out.(Evaluator); ok {
			return x.Evaluate(expr)
		}
		return "", fmt.Errorf("what a step of the kind %s makes has no expressions", k.Name)
	}
	nothing := reflect.Zero(m.out).Interface()
	if _, ok := nothing.(producer); ok {
		k.made = func(p json.RawMessage) []Artifact {
			out, err := m.output(p)
			if err != nil {
				return nil
			}
			return out.(producer).Artifacts()
		}
	}
	if _, ok := nothing.(reporter); ok {
		k.report = func(p json.RawMessage) string {
			out, err := m.output(p)
			if err != nil {
				return ""
			}
			return out.(reporter).Report()
		}
	}
	if m.find == nil {
		if _, ok := m.out.MethodByName("Undo"); ok {
			panic(fmt.Sprintf("dag: output of %s has Undo but is not a Thing", k.Name))
		}
		return k
	}
	k.thing = true
	k.find = func(ctx context.Context, t *Task, p json.RawMessage) (json.RawMessage, error) {
		out, err := m.output(p)
		if err != nil {
			return nil, err
		}
		out, err = m.find(ctx, out, t)
		if err != nil {
			return nil, err
		}
		return marshalChecked(out)
	}
	k.undo = func(ctx context.Context, t *Task, p json.RawMessage) error {
		out, err := m.output(p)
		if err != nil {
			return err
		}
		return m.undo(ctx, out, t)
	}
	k.label = func(p json.RawMessage) string {
		out, err := m.output(p)
		if l, ok := out.(labelled); ok && err == nil && p != nil {
			return l.Label()
		}
		return ""
	}
	return k
}

// marshalChecked marshals an output and insists that it comes back as it was: a
// checkpoint that forgets something is worse than none.
func marshalChecked(out any) (json.RawMessage, error) {
	p, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("cannot checkpoint: %w", err)
	}
	back := reflect.New(reflect.TypeOf(out))
	if err := json.Unmarshal(p, back.Interface()); err != nil {
		return nil, fmt.Errorf("cannot checkpoint: %w", err)
	}
	if !reflect.DeepEqual(out, back.Elem().Interface()) {
		return nil, fmt.Errorf("cannot checkpoint: a %T changes when it is stored: %s", out, p)
	}
	return p, nil
}
