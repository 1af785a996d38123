package aws

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// SecretOptions reads a secret of Secrets Manager.
type SecretOptions struct {
	Access
	SecretChoice

	cloud *Cloud
	place Place // since Prepare
}

// SecretChoice says which secret, and what of it.
type SecretChoice struct {
	// The name or ARN of the secret.
	Name string `json:"name,omitempty" option:"required"`
	// The key whose value is wanted, of a secret that is an object of JSON. Default: any, if there is but one.
	Key string `json:"key,omitempty"`
	// The id of the version that is wanted. Default: none.
	VersionID string `json:"version_id,omitempty"`
	// The stage of the version that is wanted. Default: `AWSCURRENT`.
	VersionStage string `json:"version_stage,omitempty"`
}

// DataSecret reads a secret of Secrets Manager.
type DataSecret struct {
	Place
	SecretChoice
}

// FoundSecret is what templates see of the secret. All but the version is secret.
type FoundSecret struct {
	Value     string `json:"value"`
	String    string `json:"secret_string"`
	Binary    string `json:"secret_binary"` // in base64: a text of a template cannot hold it otherwise
	VersionID string `json:"version_id"`
}

// Check says what is wrong with the options.
func (o *SecretOptions) Check() []steps.OptionError { return o.Access.optionErrors() }

// Prepare finds out where to look.
func (o *SecretOptions) Prepare(ctx context.Context) error {
	return o.cloud.locate(ctx, &o.Access, &o.place)
}

func (*SecretOptions) Output() any { return FoundSecret{} }

// Add adds the step that reads the secret.
func (o *SecretOptions) Add(g *dag.Graph, b dag.Build, name string) dag.Key {
	return dag.Add(g, b, name, DataSecret{o.place, o.SecretChoice}).Key()
}

func (DataSecret) Kind() string    { return "aws.data-secret" }
func (s DataSecret) Title() string { return "read a secret" }

// Do reads the secret.
func (s DataSecret) Do(ctx context.Context, c *Cloud, t *dag.Task) (FoundSecret, error) {
	in := struct {
		SecretId     string
		VersionId    string `json:",omitempty"`
		VersionStage string `json:",omitempty"`
	}{s.Name, s.VersionID, s.VersionStage}
	var out struct {
		SecretString *string
		SecretBinary []byte
		VersionId    string
	}
	if err := c.callJSON(ctx, s.Place, secretsManager, "GetSecretValue", in, &out); err != nil {
		return FoundSecret{}, wrapAPI("read the secret "+s.Name+" in "+s.Region, "GetSecretValue", old, err)
	}
	found := FoundSecret{String: text(out.SecretString), Binary: base64.StdEncoding.EncodeToString(out.SecretBinary), VersionID: out.VersionId}
	value, err := s.value(found.String)
	if err != nil {
		return FoundSecret{}, fmt.Errorf("cannot read the secret %s: %w", s.Name, err)
	}
	for name, text := range map[string]*string{"value": &value, "secret_string": &found.String, "secret_binary": &found.Binary} {
		if *text, err = steps.Seal(c.o.Vault, t.Token, name, *text); err != nil {
			return FoundSecret{}, err
		}
	}
	found.Value = value
	t.Say("read the secret %s, version %s", s.Name, found.VersionID)
	return found, nil
}

// value is the member that Key names. Without a key it is the only member of a JSON
// object, and of everything else the whole text. No error shows any of it.
func (s SecretChoice) value(text string) (string, error) {
	var members map[string]json.RawMessage
	isObject := json.Unmarshal([]byte(text), &members) == nil && members != nil
	raw, ok := members[s.Key]
	switch {
	case s.Key != "" && !isObject:
		return "", errors.New("key is given, and the secret is no object of JSON that could have it")
	case s.Key != "" && !ok:
		return "", fmt.Errorf("it has no member %q", s.Key)
	case s.Key == "" && len(members) != 1:
		return text, nil
	case s.Key == "":
		for _, only := range members {
			raw = only
		}
	}
	var word *string
	if json.Unmarshal(raw, &word) == nil {
		if word == nil {
			return "", nil // null
		}
		return *word, nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return "", errors.New("it is no JSON")
	}
	return b.String(), nil
}
