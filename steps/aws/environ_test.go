package aws

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// files writes a file for each name, and returns their folder.
func files(t *testing.T, texts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Whatever the process has in its environment, a cloud goes by the one that it was
// made with: where it says nothing, too.
func TestOnlyTheOwnEnvironmentCounts(t *testing.T) {
	container := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "token" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Write([]byte(`{"AccessKeyId": "CONTAINER", "SecretAccessKey": "s"}`))
	}))
	defer container.Close()
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		w.Write([]byte(`<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>` +
			r.Form.Get("WebIdentityToken") + `</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`))
	}))
	defer sts.Close()
	none := files(t, nil)
	dir := files(t, map[string]string{
		".aws/credentials": "[default]\naws_access_key_id = DEFAULT\naws_secret_access_key = s\n[work]\naws_access_key_id = WORK\naws_secret_access_key = s\n",
		".aws/config":      "[default]\nregion = eu-west-3\n[profile work]\nregion = eu-north-1\nendpoint_url = http://127.0.0.1:4\n",
		"elsewhere":        "[default]\naws_access_key_id = ELSEWHERE\naws_secret_access_key = s\n",
		"jwt":              "JWT",
	})
	process := files(t, map[string]string{
		"credentials": "[default]\naws_access_key_id = PROCESSFILE\naws_secret_access_key = s\n[own]\naws_access_key_id = PROCESSFILE\naws_secret_access_key = s\n",
		"config":      "[default]\nregion = af-south-1\n[profile own]\nregion = af-south-1\nendpoint_url = http://127.0.0.1:3\n",
	})
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "PROCESS", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t", "AWS_PROFILE": "own", "AWS_REGION": "af-south-1",
		"AWS_CONFIG_FILE": process + "/config", "AWS_SHARED_CREDENTIALS_FILE": process + "/credentials",
		"AWS_ENDPOINT_URL": "http://127.0.0.1:2", "AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	foreign := []string{"http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"}
	const nowhere = "the region is not known"
	for _, x := range []struct {
		what                         string
		a                            Access
		env                          string // NAME=VALUE with spaces between them
		key, token, region, endpoint string
	}{
		{"keys", Access{}, "HOME=" + none + " AWS_ACCESS_KEY_ID=MINE AWS_SECRET_ACCESS_KEY=s AWS_DEFAULT_REGION=eu-west-1", "MINE", "", "eu-west-1", ""},
		{"keys and a token", Access{}, "HOME=" + dir + " AWS_ACCESS_KEY_ID=MINE AWS_SECRET_ACCESS_KEY=s AWS_SESSION_TOKEN=m", "MINE", "m", "eu-west-3", ""},
		{"the default profile", Access{}, "HOME=" + dir, "DEFAULT", "", "eu-west-3", ""},
		{"a profile", Access{}, "HOME=" + dir + " AWS_PROFILE=work", "WORK", "", "eu-north-1", "http://127.0.0.1:4"},
		{"a profile, by its older name", Access{}, "HOME=" + dir + " AWS_DEFAULT_PROFILE=work", "WORK", "", "eu-north-1", "http://127.0.0.1:4"},
		{"an older name of none", Access{}, "HOME=" + dir + " AWS_DEFAULT_PROFILE=none AWS_EC2_METADATA_DISABLED=true", "", "", nowhere, ""},
		{"the template's profile before keys", Access{Profile: "work"}, "HOME=" + dir + " AWS_ACCESS_KEY_ID=MINE AWS_SECRET_ACCESS_KEY=s", "WORK", "", "eu-north-1", "http://127.0.0.1:4"},
		{"keys before a profile", Access{}, "HOME=" + dir + " AWS_PROFILE=work AWS_ACCESS_KEY_ID=MINE AWS_SECRET_ACCESS_KEY=s", "MINE", "", "eu-north-1", "http://127.0.0.1:4"},
		{"another file", Access{}, "HOME=" + dir + " AWS_SHARED_CREDENTIALS_FILE=" + dir + "/elsewhere", "ELSEWHERE", "", "eu-west-3", ""},
		{"the template's file", Access{SharedCredentialsFile: dir + "/elsewhere"}, "HOME=" + dir, "ELSEWHERE", "", "eu-west-3", ""},
		{"an endpoint", Access{}, "HOME=" + dir + " AWS_ENDPOINT_URL=http://127.0.0.1:8", "DEFAULT", "", "eu-west-3", "http://127.0.0.1:8"},
		{"an endpoint of EC2", Access{}, "HOME=" + dir + " AWS_ENDPOINT_URL=http://127.0.0.1:8 AWS_ENDPOINT_URL_EC2=http://127.0.0.1:9", "DEFAULT", "", "eu-west-3", "http://127.0.0.1:9"},
		{"endpoints that are to be ignored", Access{}, "HOME=" + dir + " AWS_PROFILE=work AWS_ENDPOINT_URL=http://127.0.0.1:8 AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true", "WORK", "", "eu-north-1", ""},
		{"a container", Access{}, "HOME=" + none + " AWS_CONTAINER_CREDENTIALS_FULL_URI=" + container.URL + " AWS_CONTAINER_AUTHORIZATION_TOKEN=token", "CONTAINER", "", nowhere, ""},
		{"a token of the web", Access{}, "HOME=" + none + " AWS_WEB_IDENTITY_TOKEN_FILE=" + dir + "/jwt AWS_ROLE_ARN=arn:aws:iam::111122223333:role/r AWS_ENDPOINT_URL_STS=" + sts.URL, "JWT", "t", nowhere, ""},
		{"nothing", Access{}, "HOME=" + none + " AWS_EC2_METADATA_DISABLED=true", "", "", nowhere, ""},
	} {
		env := environ(func(name string) string {
			for kv := range strings.FieldsSeq(x.env) {
				if n, v, _ := strings.Cut(kv, "="); n == name {
					return v
				}
			}
			return ""
		})
		if r, err := x.a.region(t.Context(), env); r != x.region && (err == nil || !strings.Contains(err.Error(), x.region)) {
			t.Errorf("%s: region %q, %v", x.what, r, err)
		}
		cfg, err := x.a.configure(t.Context(), home, env, nil)
		if err != nil {
			t.Errorf("%s: %v", x.what, err)
			continue
		}
		k, err := cfg.Credentials.Retrieve(t.Context())
		if k.AccessKeyID != x.key || k.SessionToken != x.token || (err != nil) != (x.key == "") {
			t.Errorf("%s: the key is %q with the token %q, %v", x.what, k.AccessKeyID, k.SessionToken, err)
		}
		if got := text(x.a.client(cfg, home, env, newLimiter(1)).Options().BaseEndpoint); got != x.endpoint {
			t.Errorf("%s: calls of EC2 go to %q", x.what, got)
		}
		if got := text(x.a.sts(cfg, env).Options().BaseEndpoint); slices.Contains(foreign, got) {
			t.Errorf("%s: calls of STS go to %q", x.what, got)
		}
		req := httptest.NewRequest(http.MethodGet, "https://ec2.us-east-1.amazonaws.com", nil)
		if p, err := x.a.httpClient(env, nil).GetTransport().Proxy(req); p != nil || err != nil {
			t.Errorf("%s: through the proxy %v, %v", x.what, p, err)
		}
	}
}

func TestProxyAndAuthoritiesOfTheEnvironment(t *testing.T) {
	dir := files(t, map[string]string{"empty.pem": "nothing"})
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	env := environ(func(name string) string {
		return map[string]string{"https_proxy": "http://proxy:3128", "NO_PROXY": "inside.example", "AWS_CA_BUNDLE": dir + "/empty.pem"}[name]
	})
	through := env.proxy()
	for url, want := range map[string]string{"https://ec2.us-east-1.amazonaws.com": "http://proxy:3128", "https://inside.example": "", "https://127.0.0.1": ""} {
		got := ""
		if p, err := through(httptest.NewRequest(http.MethodGet, url, nil)); err != nil {
			t.Error(err)
		} else if p != nil {
			got = p.String()
		}
		if got != want {
			t.Errorf("%s through %q", url, got)
		}
	}
	if _, err := env.authorities(); err == nil || !strings.Contains(err.Error(), "empty.pem") {
		t.Errorf("err %v", err)
	}
	if _, err := (Access{}).configure(t.Context(), home, env, nil); err == nil {
		t.Error("went on without the authorities that were asked for")
	}
	if pool, err := environ(func(string) string { return "" }).authorities(); pool != nil || err != nil {
		t.Error(pool, err)
	}
}

// TestProfilesAreBounded holds that a file of profiles without end is refused wherever one is read: the SDK would read it
// until there is no memory left.
func TestProfilesAreBounded(t *testing.T) {
	for name, a := range map[string]Access{"AWS_CONFIG_FILE": {}, "AWS_SHARED_CREDENTIALS_FILE": {}, "": {SharedCredentialsFile: "/dev/zero"}} {
		env := environ(func(n string) string {
			if n == name {
				return "/dev/zero"
			}
			return ""
		})
		if _, err := a.shared(context.Background(), env, "default"); err == nil || !strings.Contains(err.Error(), "/dev/zero") {
			t.Errorf("%s: a profile is read: %v", name, err)
		}
		if _, err := a.load(context.Background(), env, "us-east-1"); err == nil || !strings.Contains(err.Error(), "/dev/zero") {
			t.Errorf("%s: the configuration is read: %v", name, err)
		}
	}
}
