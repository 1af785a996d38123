package builtin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Consul reads a value of Consul's key-value store, as the function `consul_key` does: from the server that CONSUL_HTTP_ADDR names.
type Consul struct {
	// The key whose value is wanted, such as `app/password`.
	Key string `json:"key,omitempty" option:"required"`
}

// Check says what is wrong with the options.
func (c *Consul) Check() []steps.OptionError {
	var f steps.OptionErrors
	checkPath(&f, "key", c.Key)
	return f
}

func (*Consul) Output() any { return FoundSecret{} }

// Add adds the step that reads the value.
func (c *Consul) Add(g *dag.Graph, b dag.Build, name string) dag.Key {
	return dag.Add(g, b, name, *c).Key()
}

func (Consul) Kind() string    { return "builtin.consul" }
func (c Consul) Title() string { return "read a key of Consul" }

// Do reads the value.
func (c Consul) Do(ctx context.Context, e *comm.Env, t *dag.Task) (FoundSecret, error) {
	found, err := c.read(ctx, e, t)
	if err != nil {
		return FoundSecret{}, failed(c.Key+" in Consul", err)
	}
	t.Say("read %s in Consul", c.Key)
	return found, nil
}

func (c Consul) read(ctx context.Context, e *comm.Env, t *dag.Task) (FoundSecret, error) {
	secure, err := is(e, "CONSUL_HTTP_SSL", false)
	if err != nil {
		return FoundSecret{}, err
	}
	verified, err := is(e, "CONSUL_HTTP_SSL_VERIFY", true)
	if err != nil {
		return FoundSecret{}, err
	}
	address := cmp.Or(e.Getenv("CONSUL_HTTP_ADDR"), "127.0.0.1:8500")
	if !strings.Contains(address, "://") {
		scheme := "http://"
		if secure {
			scheme = "https://"
		}
		address = scheme + address
	}
	header := http.Header{"X-Consul-Token": {e.Getenv("CONSUL_HTTP_TOKEN")}}
	s, err := newSecretServer(e, "CONSUL_HTTP_ADDR", address, "CONSUL_CACERT", !verified, header)
	if err != nil {
		return FoundSecret{}, err
	}
	if user, password, ok := strings.Cut(e.Getenv("CONSUL_HTTP_AUTH"), ":"); ok {
		s.base.User = url.UserPassword(user, password)
	}
	query := url.Values{"raw": {""}}
	if space := e.Getenv("CONSUL_NAMESPACE"); space != "" {
		query.Set("ns", space)
	}
	status, body, err := s.get(ctx, e, "v1/kv/"+strings.TrimPrefix(c.Key, "/"), query.Encode())
	switch {
	case err != nil:
		return FoundSecret{}, err
	case status == http.StatusNotFound:
		return FoundSecret{}, errors.New("there is no such key")
	case status == http.StatusForbidden:
		return FoundSecret{}, fmt.Errorf("CONSUL_HTTP_TOKEN may not read it%s", begins(body))
	case status != http.StatusOK:
		return FoundSecret{}, s.refusal(status, body)
	}
	return keep(e, t, string(body))
}
