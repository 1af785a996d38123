package aws

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

// bare is an environment without anything that the SDK would find.
func bare(t *testing.T) {
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "credentials"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func TestRegion(t *testing.T) {
	bare(t)
	ctx := t.Context()
	if r, err := (Access{}).region(ctx, os.Getenv); err == nil {
		t.Errorf("a region out of nowhere: %s", r)
	} else if !strings.Contains(err.Error(), "AWS_REGION") {
		t.Error(err)
	}
	conf := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(conf, []byte("[profile work]\nregion = eu-west-3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", conf)
	for _, c := range []struct {
		a    Access
		env  string
		want string
	}{
		{Access{Profile: "work"}, "", "eu-west-3"},
		{Access{Profile: "work"}, "eu-west-2", "eu-west-2"},
		{Access{Profile: "work", Region: "eu-west-1"}, "eu-west-2", "eu-west-1"},
	} {
		t.Setenv("AWS_DEFAULT_REGION", c.env)
		if r, err := c.a.region(ctx, os.Getenv); r != c.want {
			t.Errorf("%+v with AWS_DEFAULT_REGION=%s: %s, %v", c.a, c.env, r, err)
		}
	}
}

func TestCredentials(t *testing.T) {
	bare(t)
	creds := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(creds, []byte("[work]\naws_access_key_id = PROFILE\naws_secret_access_key = s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "ENVIRONMENT")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	secret := func(name string) (string, error) {
		if name == "known" {
			return "revealed", nil
		}
		return "", errors.New("it is not known")
	}
	for _, c := range []struct {
		a    Access
		want string
	}{
		{Access{}, "ENVIRONMENT"},
		{Access{Profile: "work", SharedCredentialsFile: creds}, "PROFILE"},
		{Access{AccessKey: "TEMPLATE", SecretKey: "s", Profile: "work", SharedCredentialsFile: creds}, "TEMPLATE"},
		{Access{AccessKey: dag.Mark("known"), SecretKey: "s"}, "revealed"},
	} {
		cfg, err := c.a.configure(t.Context(), home, os.Getenv, secret)
		if err != nil {
			t.Errorf("%+v: %v", c.a, err)
			continue
		}
		if k, err := cfg.Credentials.Retrieve(t.Context()); err != nil || k.AccessKeyID != c.want {
			t.Errorf("%+v: %s, %v", c.a, k.AccessKeyID, err)
		}
	}
	if _, err := (Access{AccessKey: "a", SecretKey: dag.Secret(dag.Mark("lost"))}).configure(t.Context(), home, os.Getenv, secret); err == nil {
		t.Error("a secret that nobody gave was used")
	}
}

func TestAccountNames(t *testing.T) {
	c := NewCloud(CloudOptions{Getenv: os.Getenv})
	a := Access{Profile: "a"}
	if n := c.Register(a); n == "" || n != c.Register(a) || n != NewCloud(CloudOptions{Getenv: os.Getenv}).Register(a) || n == c.Register(Access{Profile: "b"}) {
		t.Error("names do not say which account it is")
	}
	if c.Register(Access{}) != "" || c.Register(Access{Region: home}) != "" {
		t.Error("no settings are the default account")
	}
	// Temporary keys are other ones at the next login.
	first, second := Access{AccessKey: "ASIA1", SecretKey: "1", Token: "1"}, Access{AccessKey: "ASIA2", SecretKey: "2", Token: "2"}
	if NewCloud(CloudOptions{Getenv: os.Getenv}).Register(first) != NewCloud(CloudOptions{Getenv: os.Getenv}).Register(second) {
		t.Error("a new session is another account")
	}
	if c.Register(first) == c.Register(second) {
		t.Error("two sessions of one process are mixed up")
	}
}

func TestEndpoints(t *testing.T) {
	bare(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	at := func(c *Cloud, region string, a Access) string {
		client, _, err := c.client(t.Context(), a, region)
		if err != nil {
			t.Fatal(err)
		}
		return text(client.Options().BaseEndpoint)
	}
	custom := Access{CustomEndpointEC2: "https://vpce.example.com", Region: home}
	if e := at(NewCloud(CloudOptions{Getenv: os.Getenv}), home, custom); e != custom.CustomEndpointEC2 {
		t.Errorf("custom endpoint: %s", e)
	}
	if e := at(NewCloud(CloudOptions{Getenv: os.Getenv}), "eu-west-1", custom); e != "" {
		t.Errorf("custom endpoint of another region: %s", e)
	}
	t.Setenv("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:1234")
	if e := at(NewCloud(CloudOptions{Getenv: os.Getenv}), home, Access{}); e != "http://127.0.0.1:1234" {
		t.Errorf("AWS_ENDPOINT_URL_EC2: %s", e)
	}
	if e := at(NewCloud(CloudOptions{Endpoint: "http://127.0.0.1:1"}), home, custom); e != "http://127.0.0.1:1" {
		t.Errorf("the forced endpoint: %s", e)
	}
	for url, want := range map[string]bool{"http://127.0.0.1:1": true, "http://localhost": true, "http://[::1]:80": true, "https://ec2.eu-west-1.amazonaws.com": false} {
		if isLoopback(url) != want {
			t.Errorf("isLoopback(%s)", url)
		}
	}
}
