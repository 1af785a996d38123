package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/internal/errcode"
)

// fromEnvironment is a cloud that finds its endpoint and its credentials as on AWS.
func (w *world) fromEnvironment(env map[string]string) *Cloud {
	o := w.cloud.o
	env["AWS_ENDPOINT_URL"] = o.Endpoint
	o.Endpoint, o.AccessKey, o.SecretKey = "", "", ""
	o.Getenv = func(name string) string { return env[name] }
	o.Shared = nil
	return NewCloud(o)
}

const roleOfTests = "arn:aws:iam::123456789012:role/builder"

// roleKeys are the variables of a role that is taken now.
func (w *world) roleKeys() map[string]string {
	w.t.Helper()
	client := sts.New(sts.Options{Region: home, BaseEndpoint: aws.String(w.cloud.o.Endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(w.cloud.o.AccessKey, w.cloud.o.SecretKey, "")})
	out, err := client.AssumeRole(w.t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(roleOfTests), RoleSessionName: aws.String("test")})
	if err != nil {
		w.t.Fatal(err)
	}
	return map[string]string{"AWS_ACCESS_KEY_ID": *out.Credentials.AccessKeyId, "AWS_SECRET_ACCESS_KEY": *out.Credentials.SecretAccessKey, "AWS_SESSION_TOKEN": *out.Credentials.SessionToken}
}

// Credentials that have an end stop a run, which goes on with new ones on the same machine.
func TestExpiredCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ec2local.Faults{Token: 4 * time.Second})
	taken := time.Now()
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		if action == "StopInstances" && n == 1 {
			time.Sleep(time.Until(taken.Add(4 * time.Second)))
		}
		return false
	})
	local := *w
	w.cloud = w.fromEnvironment(w.roleKeys())
	store := &dag.MemStore{}
	e, err := dag.New(dag.Options{Run: "r1", Store: store, Kinds: w.kinds(), Sink: &events{}, OnFailure: func(_ context.Context, n dag.Node, err error) dag.Decision {
		if errcode.Of(err) == errcode.CredentialsExpired {
			return dag.Suspend
		}
		return dag.Cleanup
	}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.Solve(t.Context(), w.graph(whole()))
	if err != nil || len(r.Failed) == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, f := range r.Failed {
		if got := f.Err.Error(); !strings.Contains(got, "the credentials have expired: set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN to new ones, then resume") {
			t.Errorf("%s: %s", f.Name, got)
		}
	}
	if !strings.Contains(fmt.Sprint(alive(e)), "launch") {
		t.Fatalf("the machine is gone: %v", alive(e))
	}
	w.cloud = local.fromEnvironment(local.roleKeys())
	w.build(store, w.graph(whole()))
	if n := w.front.count("RunInstances"); n != 1 {
		t.Errorf("%d launches", n)
	}
	w.cloud = local.cloud
	w.only(1)
}

// The credentials of a role that the template takes are made anew by themselves.
func TestRolesAreRenewed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ec2local.Faults{Token: 2 * time.Second})
	c := w.fromEnvironment(map[string]string{"AWS_ACCESS_KEY_ID": w.cloud.o.AccessKey, "AWS_SECRET_ACCESS_KEY": w.cloud.o.SecretKey})
	at, err := c.at(t.Context(), Place{c.Register(Access{AssumeRole: AssumeRole{RoleARN: roleOfTests}}), home})
	if err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); time.Since(begun) < 5*time.Second; time.Sleep(500 * time.Millisecond) {
		if _, err := at.api.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.front.count("AssumeRole"); n < 2 {
		t.Errorf("the role was taken %d times", n)
	}
}

func TestRenewal(t *testing.T) {
	dir := t.TempDir()
	conf, creds := filepath.Join(dir, "config"), filepath.Join(dir, "credentials")
	for file, text := range map[string]string{
		conf: `[profile login]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = builder
[sso-session corp]
sso_region = us-east-1
sso_start_url = https://corp.awsapps.com/start
[profile behind]
role_arn = ` + roleOfTests + `
source_profile = login
`,
		creds: "[lasting]\naws_access_key_id = a\naws_secret_access_key = b\n[passing]\naws_access_key_id = a\naws_secret_access_key = b\naws_session_token = c\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keys := map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
	for _, c := range []struct {
		a    Access
		env  map[string]string
		want string
	}{
		{Access{AccessKey: "a", SecretKey: "b"}, nil, ""},
		{Access{AccessKey: "a", SecretKey: "b", Token: "c"}, nil, "give new ones as access_key, secret_key and token"},
		{Access{}, keys, ""},
		{Access{AssumeRole: AssumeRole{RoleARN: roleOfTests}}, keys, "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN to new ones"},
		{Access{}, map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "f"}, "AWS_WEB_IDENTITY_TOKEN_FILE needs a new token"},
		{Access{Profile: "login"}, keys, "`aws sso login --profile 'login'`"},
		{Access{}, map[string]string{"AWS_PROFILE": "behind"}, "`aws sso login --profile 'behind'`"},
		{Access{Profile: "lasting"}, nil, ""},
		{Access{Profile: "passing"}, nil, "the profile passing needs new ones"},
		{Access{Profile: "nobody's"}, nil, "get new ones"},
		{Access{}, nil, "get new ones"},
	} {
		got := c.a.renewal(t.Context(), func(name string) string {
			return cmp.Or(c.env[name], map[string]string{"AWS_CONFIG_FILE": conf, "AWS_SHARED_CREDENTIALS_FILE": creds}[name])
		})
		if got != c.want {
			t.Errorf("%+v with %v: %q, want %q", c.a, c.env, got, c.want)
		}
	}
}

func TestExpiredIsTold(t *testing.T) {
	signing := func(err error) error {
		return &smithy.OperationError{ServiceID: "EC2", OperationName: "RunInstances", Err: fmt.Errorf("get identity: get credentials: %w", err)}
	}
	for _, c := range []struct {
		err  error
		want bool
	}{
		{ec2Error("RequestExpired"), true},
		{ec2Error("ExpiredTokenException"), true},
		{signing(&ssocreds.InvalidTokenError{Err: errors.New("cached SSO token is expired")}), true},
		{signing(&smithy.OperationError{ServiceID: "SSO", OperationName: "GetRoleCredentials", Err: ec2Error("UnauthorizedException")}), true},
		{ec2Error("UnauthorizedOperation"), false},
		{signing(errors.New("no EC2 IMDS role found")), false},
	} {
		f := wrapAPI("launch", "RunInstances", old, expired("do something", c.err))
		if got := errcode.Of(f) == errcode.CredentialsExpired; got != c.want || got != strings.Contains(f.Error(), "expired: do something, then resume") {
			t.Errorf("%v: %v, as %s", c.err, f, errcode.Of(f))
		}
		if errcode.Of(wrapAPI("launch", "RunInstances", old, expired("", c.err))) == errcode.CredentialsExpired {
			t.Errorf("%v of lasting keys has expired", c.err)
		}
	}
}
