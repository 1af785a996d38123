package aws

import (
	"slices"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

func TestPublishParameter(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	of := ReadyImage{}
	of.Region = home
	for n, id := range []string{"ami-00000000000000001", "ami-00000000000000002"} {
		of.ID = id
		p := twice(t, w, PublishParameter{Of: dag.Lit(of), Name: "/images/web", Labels: []string{"current"}})
		if p.Version != n+1 || p.Image != id || p.Region != home {
			t.Errorf("%+v", p)
		}
	}
	if values := w.parameter(home, "/images/web"); !slices.Equal(values, []string{"ami-00000000000000001", "ami-00000000000000002"}) {
		t.Errorf("its history: %q", values)
	}
	var labelled struct{ Parameter struct{ Value string } }
	if err := w.cloud.callJSON(t.Context(), here, parameterStore, "GetParameter", map[string]string{"Name": "/images/web:current"}, &labelled); err != nil || labelled.Parameter.Value != of.ID {
		t.Errorf("labelled %+v: %v", labelled, err)
	}
	if err := w.cloud.callJSON(t.Context(), here, parameterStore, "PutParameter", map[string]string{"Name": "/secret", "Type": "SecureString", "Value": "x"}, &struct{}{}); err != nil {
		t.Fatal(err)
	}
	fails(t, w, PublishParameter{Of: dag.Lit(of), Name: "/secret"}, "the parameter is a SecureString")
	of.ID = "ami-00000000000000003"
	step := PublishParameter{Of: dag.Lit(of), Name: "/images/web"}
	for _, action := range []string{"GetParameter", "PutParameter"} {
		w.deny(action, "User: x is not authorized to perform: ssm:"+action)
		fails(t, w, step, "cannot publish "+of.ID+" as /images/web in us-east-1: ", "the credentials lack the permission ssm:"+action)
	}
}
