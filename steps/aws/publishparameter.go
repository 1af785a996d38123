package aws

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/imgflow/imgflow/dag"
)

// PublishParameter makes the id of a finished image the newest value of a parameter of Systems
// Manager. Nothing of it is taken back when the run's things are removed.
type PublishParameter struct {
	Of       dag.Out[ReadyImage] `json:"of"`
	Account  string              `json:"account,omitempty"`      // in which is published
	Role     string              `json:"role,omitempty" key:"-"` // that is taken for that
	Name     string              `json:"name"`
	DataType string              `json:"data_type,omitempty"` // "" is aws:ec2:image
	Labels   []string            `json:"labels,omitempty"`
}

func (PublishParameter) Kind() string    { return "aws.publish-parameter" }
func (s PublishParameter) Title() string { return "publish the image as " + s.Name + ofRole(s.Role) }

// Do looks first: a value that is the image's is written once, whatever was cut off before.
func (s PublishParameter) Do(ctx context.Context, c *Cloud, t *dag.Task) (Published, error) {
	of := s.Of.Value()
	made := Published{Place: Place{s.Account, of.Region}, Image: of.ID, Name: s.Name}
	doing := "publish " + of.ID + " as " + s.Name + " in " + of.Region + ofRole(s.Role)
	var now struct {
		Parameter struct {
			Type, Value string
			Version     int
		}
	}
	err := c.callJSON(ctx, made.Place, parameterStore, "GetParameter", struct{ Name string }{s.Name}, &now)
	if code, _ := apiError(err); err != nil && code != "ParameterNotFound" {
		return Published{}, wrapAPI(doing, "GetParameter", old, err)
	}
	if p := now.Parameter; p.Type != "" && p.Type != "String" {
		return Published{}, fmt.Errorf("cannot %s: the parameter is a %s, and an id of an image is a String: name another one", doing, clip(p.Type, 40))
	}
	if made.Version = now.Parameter.Version; now.Parameter.Value != of.ID {
		t.Say("publishing %s as %s in %s%s", of.ID, s.Name, of.Region, ofRole(s.Role))
		in := struct {
			Name, Value, Type, DataType string
			Overwrite                   bool
		}{s.Name, of.ID, "String", cmp.Or(s.DataType, "aws:ec2:image"), true}
		var out struct{ Version int }
		if err := c.callJSON(ctx, made.Place, parameterStore, "PutParameter", in, &out); err != nil {
			return Published{}, wrapAPI(doing, "PutParameter", 0, err)
		}
		made.Version = out.Version
	}
	if len(s.Labels) == 0 {
		return made, nil
	}
	in := struct {
		Name             string
		ParameterVersion int
		Labels           []string
	}{s.Name, made.Version, s.Labels}
	var out struct{ InvalidLabels []string }
	if err := c.callJSON(ctx, made.Place, parameterStore, "LabelParameterVersion", in, &out); err != nil {
		return Published{}, wrapAPI("label version "+fmt.Sprint(made.Version)+" of "+s.Name+" in "+of.Region, "LabelParameterVersion", 0, err)
	}
	if len(out.InvalidLabels) > 0 {
		return Published{}, fmt.Errorf("cannot label %s in %s: AWS refuses %s", s.Name, of.Region, clip(strings.Join(out.InvalidLabels, ", "), 200))
	}
	return made, nil
}
