package ec2local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

const seedOfTests = `{
  "regions": ["us-east-1", "eu-west-1"],
  "parameters": {"/app/size": "8", "/app/zones": ["a", "b"]},
  "secure_parameters": {"/app/password": "hunter2"},
  "secrets": {"app/db": {"user": "u", "password": "swordfish"}, "app/token": "t"},
  "binary_secrets": {"app/key": "AAH/"},
  "instance_profiles": ["app"],
  "instance_connect_endpoints": true
}`

// TestSeed starts with a file of parameters and secrets, and changes it.
func TestSeed(t *testing.T) {
	b := newBench(t, func(o *Options) {
		if err := os.WriteFile(filepath.Join(o.Dir, "seed.json"), []byte(seedOfTests), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	parameter := func(name string) any {
		t.Helper()
		return at(b.done("ssm", "GetParameter", object{"Name": name, "WithDecryption": true}), "Parameter", "Value")
	}
	for name, want := range map[string]string{"/app/size": "8", "/app/zones": "a,b", "/app/password": "hunter2"} {
		if v := parameter(name); v != want {
			t.Errorf("%s is %v", name, v)
		}
	}
	for name, want := range map[string]string{"app/db": `{"user":"u","password":"swordfish"}`, "app/token": "t"} {
		if v := b.done("secretsmanager", "GetSecretValue", object{"SecretId": name})["SecretString"]; v != want {
			t.Errorf("%s is %v", name, v)
		}
	}
	if v := b.done("secretsmanager", "GetSecretValue", object{"SecretId": "app/key"})["SecretBinary"]; v != "AAH/" {
		t.Errorf("the binary one is %v", v)
	}
	if n := len(b.server.Inventory().Of("secret")); n != 6 {
		t.Errorf("%d secrets in two regions, not 6", n)
	}
	if n := len(b.server.Inventory().Of("instance-connect-endpoint")); n != 2 {
		t.Errorf("%d endpoints in two regions", n)
	}
	b.run(func(in *ec2.RunInstancesInput) {
		in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: aws.String("app")}
	})

	// Another start changes nothing, and another file what it says.
	b.stop()
	b.start()
	if v := at(b.done("ssm", "GetParameter", object{"Name": "/app/size"}), "Parameter", "Version"); v != 1.0 {
		t.Errorf("after another start the version is %v", v)
	}
	d := b.done("secretsmanager", "DescribeSecret", object{"SecretId": "app/db"})
	if len(d["VersionIdsToStages"].(object)) != 1 {
		t.Errorf("after another start %v", d)
	}
	path, later := filepath.Join(b.opts.Dir, "seed.json"), time.Now().Add(time.Minute)
	change := func(text string) {
		later = later.Add(time.Minute)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, later, later); err != nil {
			t.Fatal(err)
		}
	}
	b.done("secretsmanager", "DeleteSecret", object{"SecretId": "app/token"})
	change(strings.NewReplacer(`"8"`, `"9"`, "swordfish", "marlin", `["a", "b"]`, `"c"`).Replace(seedOfTests))
	if v := parameter("/app/size"); v != "9" {
		t.Errorf("the changed file says %v", v)
	}
	if v := parameter("/app/zones"); v != "c" {
		t.Errorf("of another type it is %v", v)
	}
	if v := b.done("secretsmanager", "GetSecretValue", object{"SecretId": "app/db"})["SecretString"]; v != `{"user":"u","password":"marlin"}` {
		t.Errorf("the changed secret is %v", v)
	}
	if v := b.done("secretsmanager", "GetSecretValue", object{"SecretId": "app/token"})["SecretString"]; v != "t" {
		t.Errorf("the deleted secret is %v", v)
	}

	for text, want := range map[string]string{
		"{\n\"secrets\": {\n\"a\": \"hidden\"\"}}":                       "line 3 is no JSON",
		`{"parameter": {"a": "hidden"}}`:                                 `it has "parameter"; there may be`,
		`{"parameters": {"a": {"b": "hidden"}}}`:                         "a parameter is a text or a list of texts",
		`{"secrets": {"a": ["hidden"]}}`:                                 "secret a: a secret is a text or an object",
		`{"secrets": {"a b": "hidden"}}`:                                 "secret a b: Invalid name",
		`{"secure_parameters": {"/a": 5}}`:                               "secure_parameters has a value of the wrong type",
		`{"parameters": {"/aws/x": "hidden"}}`:                           "parameter /aws/x: No access",
		`{"instance_profiles": ["a b"]}`:                                 "instance_profiles: ",
		`{"regions": ["moon-1"]}`:                                        `there is no region "moon-1"`,
		`{"binary_secrets": {"a": "hidden!"}}`:                           "it is not as it has to be",
		`{"parameters": {"/x": "` + strings.Repeat("x", maxSeed) + `"}}`: "it is longer than 4 MiB",
	} {
		change(text)
		_, code, message := b.json("ssm", "GetParameter", `{"Name":"/app/size"}`)
		if code != "ValidationException" || !strings.Contains(message, "cannot use the seed") || !strings.Contains(message, want) || strings.Contains(message, "hidden") {
			t.Errorf("%.40s: %s %s; want %s", text, code, message, want)
		}
	}
	change(seedOfTests)
	if v := parameter("/app/size"); v != "8" {
		t.Errorf("once it is right again it says %v", v)
	}

	// One that was asked for has to be there.
	o := b.opts
	o.Dir, o.Seed = t.TempDir(), filepath.Join(t.TempDir(), "none.json")
	_, err := New(o)
	if err == nil || !strings.Contains(err.Error(), "cannot use the seed") {
		t.Errorf("without its seed: %v", err)
	}
}
