package aws

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/internal/errcode"
)

// vaultOf is a server of Vault that answers with a status and a body, and keeps what it is asked.
func vaultOf(t *testing.T, status int, body string) (addr string, asked func() []string) {
	var mu sync.Mutex
	var all []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := io.ReadAll(r.Body)
		mu.Lock()
		all = append(all, fmt.Sprintf("%s %s %s %s %s", r.Method, r.URL.Path, r.Header.Get("X-Vault-Token"), r.Header.Get("X-Vault-Namespace"), p))
		mu.Unlock()
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, func() []string { mu.Lock(); defer mu.Unlock(); return all }
}

// Credentials of Vault sign the calls of each region, and are made anew when the lease is over.
func TestVaultMakesCredentials(t *testing.T) {
	for _, c := range []struct {
		lease  int
		engine VaultEngine
		want   string
		often  int
	}{
		{3600, VaultEngine{Name: "builder"}, "GET /v1/aws/creds/builder tok team ", 1},
		{1, VaultEngine{Name: "builder", EngineName: "clouds/aws/"}, "GET /v1/clouds/aws/creds/builder tok team ", 2},
		{3600, VaultEngine{Name: "builder", RoleARN: roleOfTests, TTL: "1h"}, `PUT /v1/aws/sts/builder tok team {"role_arn":"` + roleOfTests + `","ttl":"1h"}`, 1},
	} {
		w := newWorld(t, ec2local.Faults{})
		answer, _ := json.Marshal(map[string]any{"lease_duration": c.lease, "data": map[string]any{"access_key": w.cloud.o.AccessKey, "secret_key": w.cloud.o.SecretKey, "security_token": nil}})
		addr, asked := vaultOf(t, 200, string(answer))
		cloud := w.fromEnvironment(map[string]string{"VAULT_ADDR": addr, "VAULT_TOKEN": "tok", "VAULT_NAMESPACE": "team", "AWS_ACCESS_KEY_ID": "another", "AWS_SECRET_ACCESS_KEY": "another"})
		account := cloud.Register(Access{VaultAWSEngine: c.engine})
		for _, region := range []string{home, "eu-west-1"} {
			at, err := cloud.at(t.Context(), Place{account, region})
			if err != nil {
				t.Fatal(err)
			}
			if c.lease == 1 && region != home {
				at.options.Credentials.(interface{ Invalidate() }).Invalidate()
			}
			if _, err := at.api.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{}); err != nil {
				t.Fatal(err)
			}
		}
		if all := asked(); len(all) != c.often || strings.TrimSpace(all[0]) != strings.TrimSpace(c.want) {
			t.Errorf("%+v: asked %q", c.engine, all)
		}
	}
}

func TestVaultThatMakesNone(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	for _, c := range []struct {
		status int
		body   string
		token  string
		want   string
		code   errcode.Code
	}{
		{403, `{"errors":["permission denied"]}`, "tok", "VAULT_TOKEN may not use the role builder, or has expired (the credentials have expired: set VAULT_TOKEN", errcode.CredentialsExpired},
		{200, `{}`, "", "no token is known: set VAULT_TOKEN", errcode.CredentialsExpired},
		{400, `{"errors":["unknown role"]}`, "tok", "HTTP 400 Bad Request unknown role", errcode.NoCredentials},
		{200, `<html>`, "tok", "the answer holds none: look at VAULT_ADDR", errcode.NoCredentials},
		{302, ``, "tok", "HTTP 302 Found", errcode.NoCredentials},
	} {
		addr, _ := vaultOf(t, c.status, c.body)
		cloud := w.fromEnvironment(map[string]string{"VAULT_ADDR": addr, "VAULT_TOKEN": c.token})
		at, err := cloud.at(t.Context(), Place{cloud.Register(Access{VaultAWSEngine: VaultEngine{Name: "builder"}}), home})
		if err != nil {
			t.Fatal(err)
		}
		_, err = at.api.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{})
		err = wrapAPI("look", "DescribeVpcs", old, err)
		if err == nil || !strings.Contains(err.Error(), "cannot look: cannot get credentials from Vault: "+c.want) || errcode.Of(err) != c.code {
			t.Errorf("%d %s: %v (%s)", c.status, c.body, err, errcode.Of(err))
		}
	}
}
