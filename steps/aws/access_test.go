package aws

import (
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/aws/ec2local"
	"github.com/imgflow/imgflow/steps/comm"
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
	if r, err := (Access{}).region(ctx); err == nil {
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
		if r, err := c.a.region(ctx); r != c.want {
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
		cfg, err := c.a.configure(t.Context(), home, secret)
		if err != nil {
			t.Errorf("%+v: %v", c.a, err)
			continue
		}
		if k, err := cfg.Credentials.Retrieve(t.Context()); err != nil || k.AccessKeyID != c.want {
			t.Errorf("%+v: %s, %v", c.a, k.AccessKeyID, err)
		}
	}
	if _, err := (Access{AccessKey: "a", SecretKey: dag.Secret(dag.Mark("lost"))}).configure(t.Context(), home, secret); err == nil {
		t.Error("a secret that nobody gave was used")
	}
}

func TestAccountNames(t *testing.T) {
	c := NewCloud(CloudOptions{})
	a := Access{Profile: "a"}
	if n := c.Register(a); n == "" || n != c.Register(a) || n != NewCloud(CloudOptions{}).Register(a) || n == c.Register(Access{Profile: "b"}) {
		t.Error("names do not say which account it is")
	}
	if c.Register(Access{}) != "" || c.Register(Access{Region: home}) != "" {
		t.Error("no settings are the default account")
	}
	// Temporary keys are other ones at the next login.
	first, second := Access{AccessKey: "ASIA1", SecretKey: "1", Token: "1"}, Access{AccessKey: "ASIA2", SecretKey: "2", Token: "2"}
	if NewCloud(CloudOptions{}).Register(first) != NewCloud(CloudOptions{}).Register(second) {
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
		s, err := c.at(t.Context(), Place{c.Register(a), region})
		if err != nil {
			t.Fatal(err)
		}
		o := s.api.(*ec2.Client).Options()
		return text(o.BaseEndpoint)
	}
	custom := Access{CustomEndpointEC2: "https://vpce.example.com", Region: home}
	if e := at(NewCloud(CloudOptions{}), home, custom); e != custom.CustomEndpointEC2 {
		t.Errorf("custom endpoint: %s", e)
	}
	if e := at(NewCloud(CloudOptions{}), "eu-west-1", custom); e != "" {
		t.Errorf("custom endpoint of another region: %s", e)
	}
	t.Setenv("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:1234")
	if e := at(NewCloud(CloudOptions{}), home, Access{}); e != "http://127.0.0.1:1234" {
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

func TestUserData(t *testing.T) {
	vault := &memVault{m: map[string][]byte{"hk": []byte("PRIVATE")}}
	c := NewCloud(CloudOptions{Vault: vault})
	linux := SourceImage{Owner: "099720109477"}
	key := dag.Lit(comm.Key{Public: "ssh-ed25519 AAAA", Secret: "hk"})
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, []byte("#!/bin/sh\necho file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stored, err := dag.NewFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data := func(l Launch, source SourceImage) string {
		t.Helper()
		d, err := l.userData(c, task("t"), source)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if d := data(Launch{HostKey: key}, linux); !strings.HasPrefix(d, "#cloud-config\n") || !strings.Contains(d, "PRIVATE") {
		t.Errorf("host key: %s", d)
	}
	if d := data(Launch{HostKey: key}, SourceImage{Owner: "self"}); d != "" || hostKeys(SourceImage{Owner: "self"}, key) != nil {
		t.Errorf("an image that may not run cloud-init: %s", d)
	}
	if d := data(Launch{MachineOptions: MachineOptions{UserData: "#!/bin/sh\n"}}, linux); d != "#!/bin/sh\n" {
		t.Errorf("the user's own: %s", d)
	}
	if d := data(Launch{MachineOptions: MachineOptions{UserData: base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\n"))}}, linux); d != "#!/bin/sh\n" {
		t.Errorf("base64: %s", d)
	}
	if d := data(Launch{MachineOptions: MachineOptions{UserDataFile: stored}}, linux); !strings.Contains(d, "echo file") {
		t.Errorf("file: %s", d)
	}
	if d := data(Launch{HostKey: key, MachineOptions: MachineOptions{MaxLifetime: time.Hour}}, linux); !strings.Contains(d, "bootcmd") || !strings.Contains(d, "shutdown -h now") {
		t.Errorf("lifetime: %s", d)
	}
	if d := data(Launch{MachineOptions: MachineOptions{MaxLifetime: time.Hour, UserData: "#!/bin/sh\necho own"}}, linux); !strings.Contains(d, "shutdown") || !strings.Contains(d, "base64 -d") {
		t.Errorf("lifetime before a script: %s", d)
	}
	if _, err := (Launch{MachineOptions: MachineOptions{MaxLifetime: time.Hour, UserData: "#cloud-config\n{}"}}).userData(c, task("t"), linux); err == nil {
		t.Error("a lifetime that nobody keeps was accepted")
	}
	if err := os.WriteFile(file, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (Launch{MachineOptions: MachineOptions{UserDataFile: stored}}).userData(c, task("t"), linux); err == nil {
		t.Error("a file that has changed was used")
	}
}

// A script that is run after the timer was started ends as it would have alone.
func TestHandOver(t *testing.T) {
	cmd := exec.Command("sh", "-c", handOver("#!/bin/sh\necho \"it's $(basename \"$0\" | cut -c1-3)\"\nexit 3\n"))
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.HasPrefix(string(out), "it's ") {
		t.Errorf("%q, %v", out, err)
	}
	// The timer itself, at an end that has passed, with a shutdown of our own.
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "shutdown"), []byte("#!/bin/sh\necho \"$@\" >"+dir+"/down\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command("sh", "-c", timer(time.Now().Add(-time.Minute))+"\nwait")
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatal(string(out), err)
	}
	if p, err := os.ReadFile(filepath.Join(dir, "down")); err != nil || string(p) != "-h now\n" {
		t.Errorf("shutdown was told %q, %v", p, err)
	}
}

func TestConsoleKeys(t *testing.T) {
	const console = "boot\nec2: -----BEGIN SSH HOST KEY KEYS-----\r\nec2: ssh-ed25519 AAAA root@a\r\necdsa-sha2-nistp256 BBBB\n-----END SSH HOST KEY KEYS-----\n" +
		"-----BEGIN SSH HOST KEY KEYS-----\nssh-rsa EVIL\n-----END SSH HOST KEY KEYS-----\n"
	if keys := parseConsole(console); strings.Join(keys, "|") != "ssh-ed25519 AAAA root@a|ecdsa-sha2-nistp256 BBBB" {
		t.Errorf("%q", keys)
	}
	if keys := parseConsole("-----BEGIN SSH HOST KEY KEYS-----\nssh-ed25519 AA"); keys != nil {
		t.Errorf("half a block: %q", keys)
	}
}

func TestAddress(t *testing.T) {
	i := types.Instance{PublicIpAddress: ptr("1.1.1.1"), PrivateIpAddress: ptr("10.0.0.1"), PublicDnsName: ptr("pub"), PrivateDnsName: ptr("priv"), Ipv6Address: ptr("::2")}
	for iface, want := range map[string]string{"": "1.1.1.1", "public_ip": "1.1.1.1", "private_ip": "10.0.0.1", "public_dns": "pub", "private_dns": "priv", "ipv6": "::2"} {
		if got := address(i, iface, 1); got != want {
			t.Errorf("%s: %s, want %s", iface, got, want)
		}
	}
	i.PublicIpAddress = nil
	if address(i, "", 1) != "" || address(i, "", 3) != "10.0.0.1" {
		t.Error("the private address is for who has no public one")
	}
}

// How the host key comes to be known is the template's to say.
func TestHostKeyFrom(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	key := dag.Lit(comm.Key{Public: "ssh-ed25519 AAAA", Secret: "hk"})
	canonical := SourceImage{Owner: "099720109477"}
	for _, c := range []struct {
		from   string
		key    dag.Out[comm.Key]
		source SourceImage
		want   string // the key, or of the error
	}{
		{"", key, canonical, "ssh-ed25519 AAAA"},
		{"preset", key, canonical, "ssh-ed25519 AAAA"},
		{"preset", key, SourceImage{Owner: "self"}, "set ssh_host_key to console or first-use"},
		{"first-use", dag.Out[comm.Key]{}, canonical, ""},
		{"", key, SourceImage{Owner: "self"}, ""},
	} {
		keys, err := Wait{Source: dag.Lit(c.source), HostKey: c.key, KeyFrom: c.from}.keys(t.Context(), w.site(), nil, "i-0123456789abcdef0")
		got := strings.Join(keys, " ")
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%q of %s: %q, want %q", c.from, c.source.Owner, got, c.want)
		}
	}
}
