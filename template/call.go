package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"github.com/imgflow/imgflow/dag"
)

// Call is that of a function which asks a server for a secret, such as vault. It is a data source without a block: what it
// yields is looked up with those, and not known before.
type Call struct {
	Function string
	Args     []string // an optional one that is empty counts as none
}

// asked is the data source that a function stands for.
type asked struct {
	kind    string
	options []string // that the arguments are
	least   int      // how many of them are needed
	output  string   // what the function yields of it
}

// calls are the functions that ask.
var calls = map[string]asked{
	"aws_secretsmanager":     {"amazon-secretsmanager", []string{"name", "key"}, 1, "value"},
	"aws_secretsmanager_raw": {"amazon-secretsmanager", []string{"name"}, 1, "secret_string"},
	"consul_key":             {"consul", []string{"key"}, 1, "value"},
	"vault":                  {"vault", []string{"path", "key"}, 2, "value"},
}

// MaxCalls bounds how many different calls a template makes.
const MaxCalls = 200

var bareWord = regexp.MustCompile(`^[\w./@:+=-]+$`)

// Data is the data source that the call stands for. Its name is made of the arguments, so that equal calls are one; no
// block can have such a name.
func (c Call) Data(at Pos, known map[string]Looked) (Data, error) {
	f := calls[c.Function]
	if len(c.Args) < f.least || len(c.Args) > len(f.options) {
		return Data{}, fmt.Errorf("it takes %s", strings.Join(f.options, " and "))
	}
	place := &Place{Pos: at}
	options := object{place, map[string]cty.Value{}, nil}
	var words []string
	for i, a := range c.Args {
		if !dag.Text(a).Known() {
			return Data{}, errors.New("the private characters U+E000 to U+E005 are not allowed in its arguments")
		}
		if a == "" && i >= f.least {
			continue
		}
		in := Inner{Name: f.options[i], Key: Place{Pos: at}, Value: Place{Pos: at}}
		v := TextValue(dag.Text(a), &in.Value)
		options.add(in, v)
		if !bareWord.MatchString(a) {
			a = strconv.Quote(a)
		}
		words = append(words, a)
	}
	d := Data{Type: f.kind, Name: "(" + strings.Join(words, ",") + ")", Pos: at, Options: Value{cty.ObjectVal(options.attributes), place}}
	_, d.Known = known[d.Label()]
	return d, nil
}

// Result is what the call yields of what was looked up.
func (c Call) Result(l Looked) (cty.Value, error) {
	v := l.GetAttr(calls[c.Function].output)
	if c.Function != "aws_secretsmanager" || len(c.Args) == 2 && c.Args[1] != "" {
		return v, nil
	}
	var members map[string]json.RawMessage
	whole, _ := l.GetAttr("secret_string").Unmark()
	if json.Unmarshal([]byte(whole.AsString()), &members) == nil && len(members) > 1 {
		return v, fmt.Errorf("the secret %s has %d members: say as the second argument which, or call aws_secretsmanager_raw for all", c.Args[0], len(members))
	}
	return v, nil
}
