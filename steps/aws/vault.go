package aws

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/imgflow/imgflow/internal/localfile"
)

// vaultKeys has HashiCorp Vault make the credentials, at the server and with the token
// that the environment names. New ones are made when nine tenths of the lease are over.
type vaultKeys struct {
	VaultEngine
	addr, token, namespace string
	client                 *http.Client
	err                    error // why there is no client
}

func newVaultKeys(e VaultEngine, env environ) vaultKeys {
	v := vaultKeys{VaultEngine: e, addr: cmp.Or(env("VAULT_ADDR"), "https://127.0.0.1:8200"), token: env("VAULT_TOKEN"), namespace: env("VAULT_NAMESPACE")}
	v.client, v.err = vaultClient(env)
	return v
}

// vaultError is why Vault has made no credentials.
type vaultError struct {
	text   string
	denied bool // the token may not, or not any more
}

func (e *vaultError) Error() string { return "cannot get credentials from Vault: " + e.text }

// Retrieve asks for credentials.
func (v vaultKeys) Retrieve(ctx context.Context) (awssdk.Credentials, error) {
	c, err := v.ask(ctx)
	var known *vaultError
	if err != nil && !errors.As(err, &known) {
		err = &vaultError{text: innermost(err)}
	}
	return c, err
}

func (v vaultKeys) ask(ctx context.Context) (awssdk.Credentials, error) {
	if v.err != nil {
		return awssdk.Credentials{}, v.err
	}
	req, err := v.request(ctx)
	if err != nil {
		return awssdk.Credentials{}, err
	}
	r, err := v.client.Do(req)
	if err != nil {
		return awssdk.Credentials{}, err
	}
	defer r.Body.Close()
	const limit = 1 << 20
	body, err := readBody(ctx, r.Body, limit, func([]byte) bool { return false })
	if err != nil {
		return awssdk.Credentials{}, err
	}
	var answer struct {
		Lease int64 `json:"lease_duration"` // seconds
		Data  struct {
			Key    string `json:"access_key"`
			Secret string `json:"secret_key"`
			Token  string `json:"security_token"`
			STS    string `json:"session_token"` // as newer servers call it
		}
		Errors []string
	}
	err = json.Unmarshal(body, &answer)
	switch {
	case r.StatusCode == http.StatusForbidden:
		return awssdk.Credentials{}, &vaultError{"VAULT_TOKEN may not use the role " + v.Name + ", or has expired", true}
	case r.StatusCode != http.StatusOK:
		return awssdk.Credentials{}, fmt.Errorf("HTTP %d %s %s", r.StatusCode, http.StatusText(r.StatusCode), clip(strings.Join(answer.Errors, "; "), 200))
	case err != nil, answer.Data.Key == "", answer.Data.Secret == "":
		return awssdk.Credentials{}, errors.New("the answer holds none: look at VAULT_ADDR, and at engine_name and name of vault_aws_engine")
	}
	c := awssdk.Credentials{AccessKeyID: answer.Data.Key, SecretAccessKey: answer.Data.Secret, SessionToken: cmp.Or(answer.Data.Token, answer.Data.STS), Source: "Vault"}
	if lives := min(answer.Lease, 365*24*60*60); lives > 0 {
		c.CanExpire, c.Expires = true, time.Now().Add(time.Duration(lives)*time.Second*9/10)
	}
	return c, nil
}

// request reads credentials of a user, or with a role those of a session of it.
func (v vaultKeys) request(ctx context.Context) (*http.Request, error) {
	if v.token == "" {
		return nil, &vaultError{"no token is known: set VAULT_TOKEN", true}
	}
	at, err := url.Parse(v.addr)
	if err != nil || at.Host == "" {
		return nil, errors.New("VAULT_ADDR is not a URL such as https://vault.example.com:8200")
	}
	method, kind, body := http.MethodGet, "creds", []byte(nil)
	if v.RoleARN != "" {
		method, kind = http.MethodPut, "sts"
		if body, err = json.Marshal(map[string]string{"role_arn": v.RoleARN, "ttl": v.TTL}); err != nil {
			return nil, err
		}
	}
	at.Path = path.Join("/", at.Path, "v1", cmp.Or(strings.Trim(v.EngineName, "/"), "aws"), kind, v.Name)
	req, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Vault-Token", v.token)
	req.Header.Set("X-Vault-Request", "true")
	if v.namespace != "" {
		req.Header.Set("X-Vault-Namespace", v.namespace)
	}
	return req, nil
}

// vaultClient trusts whom the environment says that Vault's clients trust. It goes nowhere else
// with the token.
func vaultClient(env environ) (*http.Client, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: strings.EqualFold(env("VAULT_SKIP_VERIFY"), "true") || env("VAULT_SKIP_VERIFY") == "1"}
	if file := env("VAULT_CACERT"); file != "" {
		p, err := localfile.Read(file, 16<<20)
		if err != nil {
			return nil, fmt.Errorf("cannot read VAULT_CACERT: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(p) {
			return nil, fmt.Errorf("there is no certificate in %s, which VAULT_CACERT names", file)
		}
	}
	return &http.Client{
		Timeout:       time.Minute,
		Transport:     &http.Transport{Proxy: env.proxy(), TLSClientConfig: t, MaxResponseHeaderBytes: maxHeaders, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
