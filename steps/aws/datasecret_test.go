package aws

import (
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

func TestDataSecret(t *testing.T) {
	w := seeded(t, `{"secrets": {"db": {"user": "u", "port": 5432, "more": {"a": 1}, "none": null}, "one": {"only": "swordfish"}, "plain": "text", "list": "[1]"}, "binary_secrets": {"key": "AAH/"}}`)
	revealed := func(s DataSecret) FoundSecret {
		t.Helper()
		s.Place = here
		found := twice(t, w, s)
		for name, field := range map[string]*string{"value": &found.Value, "secret_string": &found.String, "secret_binary": &found.Binary} {
			if *field == "" {
				continue
			}
			sealed, err := w.vault.Get(steps.SealedName("twice", name))
			if err != nil || *field != dag.Mark(steps.SealedName("twice", name)) {
				t.Errorf("%+v: %s is not sealed: %q, %v", s, name, *field, err)
			}
			*field = string(sealed)
		}
		return found
	}
	const all = `{"user":"u","port":5432,"more":{"a":1},"none":null}`
	for _, x := range []struct{ name, key, value, text, binary string }{
		{"db", "user", "u", all, ""},
		{"db", "port", "5432", all, ""},
		{"db", "more", `{"a":1}`, all, ""},
		{"db", "none", "", all, ""},
		{"db", "", all, all, ""},
		{"one", "", "swordfish", `{"only":"swordfish"}`, ""},
		{"plain", "", "text", "text", ""},
		{"list", "", "[1]", "[1]", ""},
		{"key", "", "", "", "AAH/"},
	} {
		found := revealed(DataSecret{SecretChoice: SecretChoice{Name: x.name, Key: x.key}})
		if found.Value != x.value || found.String != x.text || found.Binary != x.binary || len(found.VersionID) != 36 {
			t.Errorf("%s %s: %+v", x.name, x.key, found)
		}
		if again := revealed(DataSecret{SecretChoice: SecretChoice{Name: x.name, VersionID: found.VersionID, VersionStage: "AWSCURRENT"}}); again.VersionID != found.VersionID {
			t.Errorf("%s by its version: %+v", x.name, again)
		}
	}
	for _, x := range []struct {
		s     SecretChoice
		words string
	}{
		{SecretChoice{Name: "none"}, "cannot read the secret none in us-east-1: ResourceNotFoundException: Secrets Manager can't find the specified secret (look at name"},
		{SecretChoice{Name: "db", VersionStage: "NEXT"}, "staging label: NEXT"},
		{SecretChoice{Name: "db", Key: "user1"}, `cannot read the secret db: it has no member "user1"`},
		{SecretChoice{Name: "plain", Key: "user"}, "no object of JSON"},
	} {
		fails(t, w, DataSecret{here, x.s}, x.words)
	}
	w.deny("GetSecretValue", "no")
	fails(t, w, DataSecret{here, SecretChoice{Name: "db"}}, "the credentials lack the permission secretsmanager:GetSecretValue")

	o := Data(w.cloud)["amazon-secretsmanager"]().(*SecretOptions)
	o.Name, o.Access.Profile = "db", "work"
	if err := o.Prepare(t.Context()); err != nil || len(o.Check()) > 0 {
		t.Error(err, o.Check())
	}
	g := dag.NewGraph(nil)
	if o.Add(g, dag.Build{Name: "b"}, "x"); !strings.Contains(string(g.Nodes[0].Spec), `"account":"`) {
		t.Errorf("%s", g.Nodes[0].Spec)
	}
}
