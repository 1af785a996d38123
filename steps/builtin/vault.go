package builtin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Vault reads a secret of HashiCorp Vault, as the function `vault` does: from the server that VAULT_ADDR names, with VAULT_TOKEN.
type Vault struct {
	// Where the secret is: `secret/data/app` in version 2 of the key-value engine, `secret/app` in version 1.
	Path string `json:"path,omitempty" option:"required"`
	// The key whose value is wanted.
	Key string `json:"key,omitempty" option:"required"`
}

// Check says what is wrong with the options.
func (v *Vault) Check() []steps.OptionError {
	var f steps.OptionErrors
	checkPath(&f, "path", v.Path)
	return f
}

// checkPath refuses a path that would lead elsewhere.
func checkPath(f *steps.OptionErrors, option, path string) {
	for _, part := range strings.Split(path, "/") {
		if part == "." || part == ".." {
			f.Add(option, "it has a part %q", part)
			return
		}
	}
}

func (*Vault) Output() any { return FoundSecret{} }

// Add adds the step that reads the secret.
func (v *Vault) Add(g *dag.Graph, b dag.Build, name string) dag.Key {
	return dag.Add(g, b, name, *v).Key()
}

func (Vault) Kind() string    { return "builtin.vault" }
func (v Vault) Title() string { return "read a secret of Vault" }

// Do reads the secret.
func (v Vault) Do(ctx context.Context, e *comm.Env, t *dag.Task) (FoundSecret, error) {
	found, err := v.read(ctx, e, t)
	if err != nil {
		return FoundSecret{}, failed(fmt.Sprintf("%q of %s in Vault", v.Key, v.Path), err)
	}
	t.Say("read %q of %s in Vault", v.Key, v.Path)
	return found, nil
}

func (v Vault) read(ctx context.Context, e *comm.Env, t *dag.Task) (FoundSecret, error) {
	token := e.Getenv("VAULT_TOKEN")
	if token == "" {
		return FoundSecret{}, errors.New("no token is known: set VAULT_TOKEN")
	}
	unverified, err := is(e, "VAULT_SKIP_VERIFY", false)
	if err != nil {
		return FoundSecret{}, err
	}
	s, err := newSecretServer(e, "VAULT_ADDR", cmp.Or(e.Getenv("VAULT_ADDR"), "https://127.0.0.1:8200"), "VAULT_CACERT", unverified, http.Header{
		"X-Vault-Token": {token}, "X-Vault-Namespace": {e.Getenv("VAULT_NAMESPACE")}, "X-Vault-Request": {"true"}})
	if err != nil {
		return FoundSecret{}, err
	}
	status, body, err := s.get(ctx, e, "v1/"+strings.Trim(v.Path, "/"), "")
	if err != nil {
		return FoundSecret{}, err
	}
	value, err := v.value(status, body)
	if err != nil {
		return FoundSecret{}, err
	}
	return keep(e, t, value)
}

// value is that of the key in an answer. No error shows any of a secret.
func (v Vault) value(status int, body []byte) (string, error) {
	var answer struct {
		Data     map[string]json.RawMessage
		Warnings []string
		Errors   []string
	}
	err := json.Unmarshal(body, &answer)
	says := ""
	if words := strings.Join(append(answer.Errors, answer.Warnings...), "; "); words != "" {
		says = begins([]byte(words))
	}
	switch {
	case status == http.StatusNotFound:
		return "", fmt.Errorf("there is no secret at that path%s", says)
	case status == http.StatusForbidden:
		return "", fmt.Errorf("VAULT_TOKEN may not read it, or has expired%s", says)
	case status != http.StatusOK:
		return "", fmt.Errorf("HTTP %d %s%s", status, http.StatusText(status), says)
	case err != nil:
		return "", errors.New("the answer is none of Vault: look at VAULT_ADDR")
	}
	members := answer.Data
	var inner map[string]json.RawMessage
	if json.Unmarshal(members["data"], &inner) == nil && inner != nil && members["metadata"] != nil { // version 2 of the engine
		members = inner
	}
	raw, there := members[v.Key]
	if !there {
		return "", errors.New("the secret has no such key")
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var b bytes.Buffer
	err = json.Compact(&b, raw)
	return b.String(), err
}
