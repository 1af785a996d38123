package aws

import (
	"context"
	"strconv"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// ParameterOptions reads a parameter of Systems Manager's Parameter Store.
type ParameterOptions struct {
	Access
	// The name of the parameter, such as /prod/db/host.
	Name string `json:"name,omitempty" option:"required"`
	// Decrypts the value of a parameter of the type SecureString. Default: `false`.
	WithDecryption bool `json:"with_decryption,omitempty"`

	cloud *Cloud
	place Place // since Prepare
}

// DataParameter reads a parameter of Systems Manager.
type DataParameter struct {
	Place
	Name           string `json:"name"`
	WithDecryption bool   `json:"with_decryption,omitempty"`
}

// FoundParameter is what templates see of the parameter.
type FoundParameter struct {
	Value   string `json:"value"`
	Version string `json:"version"`
	ARN     string `json:"arn"`
}

// Check says what is wrong with the options.
func (o *ParameterOptions) Check() []steps.OptionError { return o.Access.optionErrors() }

// Prepare finds out where to look.
func (o *ParameterOptions) Prepare(ctx context.Context) error {
	return o.cloud.locate(ctx, &o.Access, &o.place)
}

func (*ParameterOptions) Output() any { return FoundParameter{} }

// Add adds the step that reads the parameter.
func (o *ParameterOptions) Add(g *dag.Graph, b dag.Build, name string) dag.Key {
	return dag.Add(g, b, name, DataParameter{o.place, o.Name, o.WithDecryption}).Key()
}

func (DataParameter) Kind() string    { return "aws.data-parameter" }
func (s DataParameter) Title() string { return "read a parameter" }

// Do reads the parameter. What was decrypted is a secret.
func (s DataParameter) Do(ctx context.Context, c *Cloud, t *dag.Task) (FoundParameter, error) {
	var out struct {
		Parameter struct {
			Name, Type, Value, ARN string
			Version                int64
		}
	}
	in := struct {
		Name           string
		WithDecryption bool
	}{s.Name, s.WithDecryption}
	if err := c.callJSON(ctx, s.Place, parameterStore, "GetParameter", in, &out); err != nil {
		return FoundParameter{}, wrapAPI("read the parameter "+s.Name+" in "+s.Region, "GetParameter", old, err)
	}
	p := out.Parameter
	found := FoundParameter{p.Value, strconv.FormatInt(p.Version, 10), p.ARN}
	if s.WithDecryption && p.Type != "String" && p.Type != "StringList" {
		var err error
		if found.Value, err = steps.Seal(c.o.Vault, t.Token, "value", p.Value); err != nil {
			return FoundParameter{}, err
		}
	}
	t.Say("read the parameter %s, version %d", s.Name, p.Version)
	return found, nil
}
