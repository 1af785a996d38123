package aws

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps"
)

// seeded is a world with parameters and secrets.
func seeded(t *testing.T, text string) *world {
	t.Helper()
	seed := filepath.Join(t.TempDir(), "seed.json")
	if err := os.WriteFile(seed, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return newWorldOf(t, ec2local.Options{Seed: seed})
}

// deny has the endpoint refuse an operation, as a service of JSON does.
func (w *world) deny(action, message string) {
	w.front.setPlay(func(rw http.ResponseWriter, a string, _ int, _ url.Values) bool {
		if a == action {
			rw.WriteHeader(400)
			rw.Write([]byte(`{"__type": "com.amazonaws#AccessDeniedException", "Message": "` + message + `"}`))
		}
		return a == action
	})
}

// fails insists that a step fails with words.
func fails[T any](t *testing.T, w *world, s dag.Step[*Cloud, T], words ...string) {
	t.Helper()
	_, err := s.Do(t.Context(), w.cloud, task("fails"))
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%+v: %v, want %q", s, err, word)
		}
	}
}

func TestDataParameter(t *testing.T) {
	w := seeded(t, `{"parameters": {"/app/size": "8"}, "secure_parameters": {"/app/password": "hunter2"}}`)
	plain := twice(t, w, DataParameter{Place: here, Name: "/app/size", WithDecryption: true})
	if plain != (FoundParameter{"8", "1", "arn:aws:ssm:us-east-1:123456789012:parameter/app/size"}) {
		t.Errorf("%+v", plain)
	}
	secret := twice(t, w, DataParameter{Place: here, Name: "/app/password", WithDecryption: true})
	name := steps.SealedName("twice", "value")
	if sealed, err := w.vault.Get(name); secret.Value != dag.Mark(name) || string(sealed) != "hunter2" {
		t.Errorf("%+v: %s, %v", secret, sealed, err)
	}
	if closed := twice(t, w, DataParameter{Place: here, Name: "/app/password"}); len(closed.Value) < 64 || strings.Contains(closed.Value, "hunter2") || !dag.Text(closed.Value).Known() {
		t.Errorf("what nobody decrypts is %+v", closed)
	}
	image := twice(t, w, DataParameter{Place: here, Name: "/aws/service/canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id"})
	if found := w.describeImage(image.Value); !strings.Contains(text(found.Name), "jammy") {
		t.Errorf("the public parameter leads to %s", text(found.Name))
	}
	fails(t, w, DataParameter{Place: here, Name: "/none"}, "cannot read the parameter /none in us-east-1: ParameterNotFound (look at name and at the region)")
	fails(t, w, DataParameter{Place: here, Name: "/app/size:7"}, "could not find version 7", "what follows the colon")
	w.deny("GetParameter", "User: x is not authorized to perform: ssm:GetParameter")
	fails(t, w, DataParameter{Place: here, Name: "/app/size"}, "AccessDeniedException", "the credentials lack the permission ssm:GetParameter")
	w.deny("GetParameter", "User: x is not authorized to perform: kms:Decrypt on the key")
	fails(t, w, DataParameter{Place: here, Name: "/app/size"}, "the credentials lack the permission kms:Decrypt")
	if n := w.front.count("GetParameter"); n != 12 {
		t.Errorf("%d calls, not 12: what is refused is not asked again", n)
	}

	o := Data(w.cloud)["amazon-parameterstore"]().(*ParameterOptions)
	o.Name, o.WithDecryption = "/app/size", true
	if err := o.Prepare(t.Context()); err != nil || len(o.Check()) > 0 {
		t.Error(err, o.Check())
	}
	g := dag.NewGraph(nil)
	if o.Add(g, dag.Build{Name: "b"}, "x"); string(g.Nodes[0].Spec) != `{"region":"us-east-1","name":"/app/size","with_decryption":true}` {
		t.Errorf("%s", g.Nodes[0].Spec)
	}
}
