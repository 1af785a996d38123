package aws

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/internal/errcode"
)

// A one-time code begins one session, which signs the calls of each region; when that has
// expired, a new code is needed.
func TestMFACode(t *testing.T) {
	const device = "arn:aws:iam::123456789012:mfa/dev"
	conf := filepath.Join(t.TempDir(), "config")
	text := "[profile plain]\nregion = us-east-1\n[profile device]\nmfa_serial = " + device + "\n[profile role]\nmfa_serial = " + device + "\nrole_arn = " + roleOfTests + "\nsource_profile = keys\n" +
		"[profile keys]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = not-a-secret\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		a      Access
		action string
		want   string // of the failure
	}{
		{Access{Profile: "device"}, "GetSessionToken", ""},
		{Access{Profile: "device", AssumeRole: AssumeRole{RoleARN: roleOfTests}}, "AssumeRole", ""},
		{Access{Profile: "plain"}, "", "set mfa_serial"},
		{Access{}, "", "set mfa_serial"},
	} {
		w := newWorld(t, ec2local.Faults{})
		var sent []string
		w.front.setPlay(func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
			if form.Get("TokenCode") == "" {
				return false
			}
			sent = append(sent, action+" "+form.Get("SerialNumber")+" "+form.Get("TokenCode"))
			if action == "GetSessionToken" {
				fmt.Fprintf(rw, `<GetSessionTokenResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetSessionTokenResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><Expiration>%s</Expiration></Credentials></GetSessionTokenResult></GetSessionTokenResponse>`,
					w.cloud.o.AccessKey, w.cloud.o.SecretKey, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
				return true
			}
			return false
		})
		env := map[string]string{"AWS_CONFIG_FILE": conf, "AWS_SHARED_CREDENTIALS_FILE": conf + ".none"}
		c.a.AccessKey, c.a.SecretKey, c.a.MFACode = "AKIDEXAMPLE", "not-a-secret", "123456"
		cloud := w.fromEnvironment(env)
		account := cloud.Register(c.a)
		var err error
		var at *site
		for _, region := range []string{home, "eu-west-1"} {
			if at, err = cloud.at(t.Context(), Place{account, region}); err != nil {
				break
			}
			if _, err = at.api.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{}); err != nil {
				break
			}
		}
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", c.a.Profile, err)
			}
			continue
		}
		if err != nil || len(sent) != 1 || sent[0] != c.action+" "+device+" 123456" {
			t.Errorf("%s with %s: sent %q, %v", c.a.Profile, c.a.AssumeRole.RoleARN, sent, err)
			continue
		}
		at.options.Credentials.(interface{ Invalidate() }).Invalidate()
		_, err = at.api.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{})
		err = wrapAPI("look", "DescribeVpcs", old, err)
		if errcode.Of(err) != errcode.CredentialsExpired || !strings.Contains(err.Error(), "give a new mfa_code, then resume") || len(sent) != 1 {
			t.Errorf("%s after its end: %v", c.a.Profile, err)
		}
	}
	// A profile that takes a role by itself is given the code.
	env := func(name string) string { return map[string]string{"AWS_CONFIG_FILE": conf}[name] }
	for code, ok := range map[dag.Secret]bool{"": false, "123456": true} {
		if _, err := (Access{Profile: "role", MFACode: code}).configure(t.Context(), home, env, nil); (err == nil) != ok {
			t.Errorf("the role of a profile with the code %q: %v", code, err)
		}
	}
}
