package interp

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// A marker is MarkOpen, a name, MarkClose. Both are private-use characters, which have no
// business in a template.
const (
	MarkOpen  = "\uE000"
	MarkClose = "\uE001"
)

// reserved are the characters that mark what is not literal in a text, here and where its parts go.
const reserved = "\uE000\uE001\uE002\uE003\uE004\uE005"

var errBroken = errors.New("a function cannot take a part of a sensitive value")

// SecretWords is a pattern of the words by which the name of an option or variable tells that its value may be secret.
const SecretWords = `secret|passw|passphrase|token|access_?key|credential|private_?key`

var secretName = regexp.MustCompile("(?i)" + SecretWords)

// SecretName says whether a name tells that its value may be secret.
func SecretName(name string) bool { return secretName.MatchString(name) }

// Mark returns the marker that stands for the secret of that name.
func Mark(name string) string { return MarkOpen + name + MarkClose }

// Marked says whether text holds a marker.
func Marked(text string) bool { return strings.Contains(text, MarkOpen) }

// Reveal replaces each marker in text by what lookup returns for its name.
// It fails at the first error of lookup, when a marker has no end, and when the text would be longer than MaxText.
func Reveal(text string, lookup func(name string) (string, error)) (string, error) {
	var b limited
	for {
		before, rest, found := strings.Cut(text, MarkOpen)
		if _, err := b.WriteString(before); err != nil {
			return "", err
		}
		if !found {
			if strings.Contains(before, MarkClose) {
				return "", errBroken
			}
			return b.String(), nil
		}
		name, after, closed := strings.Cut(rest, MarkClose)
		if !closed {
			return "", errBroken
		}
		v, err := lookup(name)
		if err != nil {
			return "", err
		}
		if _, err := b.WriteString(v); err != nil {
			return "", err
		}
		text = after
	}
}

// known fails when text holds a marker that stands for nothing in secrets.
func known(text string, secrets map[string]string) error {
	if !strings.ContainsAny(text, MarkOpen+MarkClose) {
		return nil
	}
	_, err := Reveal(text, func(name string) (string, error) {
		v, ok := secrets[name]
		if !ok {
			return "", errBroken
		}
		return v, nil
	})
	return err
}

// sealed wraps fn so that it works on the real values of the markers among its arguments. If there
// were any, a text it returns is registered in secrets and replaced by a marker of its own.
func sealed(name string, fn any, secrets map[string]string) any {
	return wrap(fn, func(args []any) (func(string) (string, error), func(string) string) {
		reveal := func(s string) (string, error) {
			return Reveal(s, func(n string) (string, error) {
				v, ok := secrets[n]
				if !ok {
					return "", errBroken
				}
				return v, nil
			})
		}
		derived := deriveName(name, args)
		if len(derived) > maxName {
			return func(string) (string, error) { return "", errDeep }, nil
		}
		return reveal, func(result string) string {
			if result == "" {
				return ""
			}
			secrets[derived] = result
			return Mark(derived)
		}
	})
}

// refusing wraps fn so that it fails when a marker is among its arguments.
func refusing(name string, fn any) any {
	return wrap(fn, func([]any) (func(string) (string, error), func(string) string) {
		return func(s string) (string, error) {
			if Marked(s) {
				return "", fmt.Errorf("%s cannot change a sensitive value at build time", name)
			}
			return s, nil
		}, func(s string) string { return s }
	})
}

// passing wraps fn so that markers pass through it.
func passing(fn any) any {
	same := func(s string) string { return s }
	return wrap(fn, func([]any) (func(string) (string, error), func(string) string) {
		return func(s string) (string, error) { return s, nil }, same
	})
}

// wrap returns a function of fn's type. When none of its arguments holds a marker it is fn. Otherwise
// guard gets the arguments, and returns what to do to each text argument and to the result.
func wrap(fn any, guard func(args []any) (arg func(string) (string, error), result func(string) string)) any {
	v := reflect.ValueOf(fn)
	t := v.Type()
	fail := func(err error) []reflect.Value {
		out := make([]reflect.Value, t.NumOut())
		for i := range out {
			out[i] = reflect.Zero(t.Out(i))
		}
		out[len(out)-1] = reflect.ValueOf(&err).Elem()
		return out
	}
	return reflect.MakeFunc(t, func(in []reflect.Value) []reflect.Value {
		call := v.Call
		args := in
		if t.IsVariadic() {
			call = v.CallSlice
			last := in[len(in)-1]
			args = append([]reflect.Value{}, in[:len(in)-1]...)
			for i := range last.Len() {
				args = append(args, last.Index(i))
			}
		}
		values, marked := make([]any, len(args)), false
		for i, a := range args {
			values[i] = a.Interface()
			marked = marked || strings.ContainsAny(fmt.Sprint(values[i]), MarkOpen+MarkClose)
		}
		if err := fits(values...); err != nil {
			return fail(err)
		}
		if !marked {
			out := call(in)
			if err := fits(out[0].Interface()); err != nil {
				return fail(err)
			}
			return out
		}
		arg, result := guard(values)
		real := append([]reflect.Value{}, in...)
		if t.IsVariadic() {
			last := in[len(in)-1]
			real[len(in)-1] = reflect.MakeSlice(last.Type(), last.Len(), last.Len())
			reflect.Copy(real[len(in)-1], last)
		}
		at := func(i int) reflect.Value {
			if t.IsVariadic() && i >= len(in)-1 {
				return real[len(in)-1].Index(i - len(in) + 1)
			}
			return real[i]
		}
		length := 0
		for i, a := range args {
			s, ok := a.Interface().(string)
			if !ok {
				continue
			}
			s, err := arg(s)
			if length += len(s); err == nil && length > MaxText {
				err = errTooLong
			}
			if err != nil {
				return fail(err)
			}
			if t.IsVariadic() && i >= len(in)-1 {
				at(i).Set(reflect.ValueOf(s))
			} else {
				real[i] = reflect.ValueOf(s)
			}
		}
		out := call(real)
		if err, _ := out[len(out)-1].Interface().(error); err != nil {
			// The message could quote the value.
			return fail(fmt.Errorf("the function fails on the sensitive value"))
		}
		if err := fits(out[0].Interface()); err != nil {
			return fail(err)
		}
		if s, ok := out[0].Interface().(string); ok {
			out[0] = reflect.ValueOf(result(s))
		}
		return out
	}).Interface()
}
