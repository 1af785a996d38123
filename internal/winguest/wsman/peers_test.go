package wsman

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const identifyMessage = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"><s:Header/><s:Body><i:Identify/></s:Body></s:Envelope>`

func curl(t testing.TB, env []string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		missing(t, "curl is not installed")
	}
	cmd := exec.Command("curl", append([]string{"-s", "-S", "-i", "-m", "30", "--noproxy", "*"}, args...)...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("curl: %v\n%s", err, out)
	}
	return string(out)
}

func TestCurl(t *testing.T) {
	p := start(t)
	post := []string{"-H", "Content-Type: application/soap+xml;charset=UTF-8", "-d", identifyMessage}
	url := "http://" + p.http + "/wsman"
	if out := curl(t, nil, append(post, "-u", toyUser+":"+toyPassword, "--basic", url)...); !strings.Contains(out, "OS: 10.0.17763") {
		t.Errorf("Basic: %s", out)
	}
	if out := curl(t, nil, append(post, "-H", "WSMANIDENTIFY: unauthenticated", url)...); !strings.Contains(out, "OS: 0.0.0") || !strings.Contains(out, "200 OK") {
		t.Errorf("without a user: %s", out)
	}
	// WinRM offers Negotiate, with NTLM inside, and never NTLM by itself.
	if out := curl(t, legacyEnv(t), append(post, "-u", toyUser+":"+toyPassword, "--ntlm", url)...); !strings.Contains(out, "401") || strings.Contains(out, "200 OK") {
		t.Errorf("NTLM that was not offered: %s", out)
	}
}

// By gss-ntlmssp, curl speaks SPNEGO with NTLM inside.
func TestCurlSPNEGO(t *testing.T) {
	module := os.Getenv("GSSNTLMSSP")
	if found, _ := filepath.Glob("/usr/lib/*/gssntlmssp/gssntlmssp.so"); module == "" && len(found) > 0 {
		module = found[0]
	}
	if module == "" {
		missing(t, "gss-ntlmssp is not installed: no SPNEGO client to test with")
	}
	dir := t.TempDir()
	mech, users, ca := filepath.Join(dir, "mech"), filepath.Join(dir, "users"), filepath.Join(dir, "ca.pem")
	for file, text := range map[string]string{
		mech:  "gssntlmssp_v1 1.3.6.1.4.1.311.2.2.10 " + module + "\n",
		users: "WIN-TOY:" + toyUser + ":plain\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t)
	if err := os.WriteFile(ca, p.ca, 0o600); err != nil {
		t.Fatal(err)
	}
	p.password("plain")
	env := append(legacyEnv(t), "GSS_MECH_CONFIG="+mech, "NTLM_USER_FILE="+users)
	post := []string{"-H", "Content-Type: application/soap+xml;charset=UTF-8", "-d", identifyMessage, "--negotiate", "-u", ":", "--cacert", ca}
	for _, url := range []string{"http://" + p.http + "/wsman", "https://" + p.https + "/wsman"} {
		out := curl(t, env, append(post, url)...)
		if !strings.Contains(out, "OS: 10.0.17763") || !strings.Contains(out, "Www-Authenticate: Negotiate o") {
			t.Errorf("%s: %s", url, out)
		}
		p.password("other")
		if out := curl(t, env, append(post, url)...); strings.Contains(out, "200 OK") {
			t.Errorf("%s: a wrong password got in: %s", url, out)
		}
		p.password("plain")
	}
}
