package steps

import (
	"errors"
	"fmt"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// Data is a struct of a data source's options that can add the step which looks
// something up. It may also be a [Preparer] and a [FileUser].
type Data interface {
	// Check says what is wrong with the options, without asking anybody outside.
	Check() []OptionError
	// Output is the zero value of what the step makes, a struct. Its JSON fields are
	// the attributes that templates see, of the types that the fields have; a
	// json.RawMessage is of any type. They are known before anything was looked up,
	// so that a misspelt one is an error at once.
	Output() any
	// Add adds the step. A text in its output may hold secrets as dag.Mark writes
	// them: those that the step has put into the run's vault under a [SealedName].
	Add(g *dag.Graph, b dag.Build, name string) dag.Key
}

// SealedName is the name under which the step of a data source puts a secret of its
// output into the run's vault. What it looked up can name no secret but its own,
// since it does not know the token.
func SealedName(token, attribute string) string { return "data/" + token + "/" + attribute }

// Seal puts a text that was looked up into the run's vault, and returns what stands
// for it in the output of the step with the token. An empty one is no secret.
func Seal(v comm.Vault, token, attribute, value string) (string, error) {
	if value == "" {
		return "", nil
	}
	if v == nil {
		return "", errors.New("cannot keep what was looked up: nobody keeps secrets here")
	}
	name := SealedName(token, attribute)
	if err := v.Put(name, []byte(value)); err != nil {
		return "", fmt.Errorf("cannot keep what was looked up: %w", err)
	}
	return dag.Mark(name), nil
}
