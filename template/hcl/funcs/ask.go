package funcs

import (
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/imgflow/imgflow/internal/interp"
)

// asking are the functions that ask a server for a secret, with what they take; of the last one key may be left out, too.
var asking = map[string][]string{
	"aws_secretsmanager":     {"name"},
	"aws_secretsmanager_raw": {"name"},
	"consul_key":             {"key"},
	"vault":                  {"path", "key"},
}

// Asks tells whether a function asks a server.
func Asks(name string) bool { return asking[name] != nil }

// asking is such a function. It takes no secret, and so has none to guard.
func (w World) asking(name string) function.Function {
	spec := &function.Spec{
		Type: func(args []cty.Value) (cty.Type, error) {
			for _, a := range args {
				if a.IsMarked() {
					return cty.String, interp.ErrSensitive
				}
			}
			return cty.String, nil
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			var texts []string
			for _, a := range args {
				if !a.IsNull() {
					texts = append(texts, a.AsString())
				}
			}
			return w.Ask(name, texts)
		},
	}
	for _, n := range asking[name] {
		spec.Params = append(spec.Params, function.Parameter{Name: n, Type: cty.String, AllowMarked: true})
	}
	if name == "aws_secretsmanager" {
		spec.VarParam = &function.Parameter{Name: "key", Type: cty.String, AllowNull: true, AllowMarked: true}
	}
	return function.New(spec)
}

// Unasked are the functions that ask, where nothing is to be asked: what they yield is not known.
var Unasked = func() map[string]function.Function {
	w := World{Ask: func(string, []string) (cty.Value, error) { return cty.UnknownVal(cty.String), nil }}
	fs := map[string]function.Function{}
	for name := range asking {
		fs[name] = w.asking(name)
	}
	return fs
}()
