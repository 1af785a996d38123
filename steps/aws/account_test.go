package aws

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
)

// keyed are access settings with keys whose secret parts have names of their own.
func keyed(values map[string]string, at int, key, secret, token string) Access {
	mark := func(field, value string) dag.Secret {
		name := fmt.Sprintf("builders.%d.%s", at, field)
		values[name] = value
		return dag.Secret(dag.Mark(name))
	}
	return Access{AccessKey: key, SecretKey: mark("secret_key", secret), Token: mark("token", token)}
}

// values gives those that are known.
func knows(values map[string]string) func(string) (string, error) {
	return func(name string) (string, error) {
		if v, ok := values[name]; ok {
			return v, nil
		}
		return "", errors.New("it is not known")
	}
}

// Settings are those of one account if they say the same, whatever their secrets
// are called.
func TestAccountsByValue(t *testing.T) {
	values := map[string]string{"key": "AKIA1"}
	c := NewCloud(CloudOptions{Secret: knows(values)})
	first := c.Register(keyed(values, 0, "AKIA1", "s", "t"))
	if n := c.Register(keyed(values, 1, "AKIA1", "s", "t")); n != first {
		t.Errorf("the same keys are the accounts %q and %q", first, n)
	}
	if n := c.Register(keyed(values, 2, dag.Mark("key"), "s", "t")); n != first {
		t.Errorf("a key by its name is the account %q", n)
	}
	polled := keyed(values, 3, "AKIA1", "s", "t")
	polled.Region, polled.Polling = "eu-west-1", Polling{MaxAttempts: 7}
	if n := c.Register(polled); n != first {
		t.Errorf("what has no effect makes the account %q", n)
	}
	names := map[string]bool{first: true}
	for i, a := range []Access{
		keyed(values, 4, "AKIA2", "s", "t"), keyed(values, 5, "AKIA1", "other", "t"), keyed(values, 6, "AKIA1", "s", "other"), keyed(values, 7, "AKIA1s", "", "t"),
		{}, {Profile: "work"}, {Profile: "play"}, {AssumeRole: AssumeRole{RoleARN: "arn:aws:iam::1:role/a"}},
	} {
		n := c.Register(a)
		if names[n] {
			t.Errorf("settings %d are those of another account, %q", i, n)
		}
		if names[n] = true; c.Register(a) != n {
			t.Errorf("settings %d change their name", i)
		}
	}
	if got := c.accountNames(); !slices.Equal(got, slices.Sorted(maps.Keys(names))) {
		t.Errorf("a search looks in the accounts %q, and there are %q", got, slices.Sorted(maps.Keys(names)))
	}
	for _, known := range append(slices.Collect(maps.Values(c.says)), slices.Collect(maps.Keys(c.forms))...) {
		if strings.Contains(known, "AKIA1") {
			t.Error("digests hold a key")
		}
	}
}

// Settings are those of one account if they lead to the same keys, wherever those
// stand, and to nothing else.
func TestAccountsByTheWay(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keys := func(id string) string { return "aws_access_key_id = " + id + "\naws_secret_access_key = s\n" }
	env := map[string]string{"AWS_SHARED_CREDENTIALS_FILE": write("credentials", "[work]\n"+keys("AKIA1")+"[play]\n"+keys("AKIA2")+"[away]\n"+keys("AKIA1")),
		"AWS_CONFIG_FILE": write("config", "[profile work]\nregion = eu-west-1\noutput = json\n[profile away]\nendpoint_url = http://127.0.0.1:1\n[profile role]\nrole_arn = arn:aws:iam::123456789012:role/a\nsource_profile = work\n")}
	other := write("other", "[default]\n"+keys("AKIA1"))
	role := AssumeRole{RoleARN: "arn:aws:iam::123456789012:role/a"}
	for _, tt := range []struct {
		name string
		env  map[string]string
		a    Access
		same bool // as the keys in the template
	}{
		{"a profile", nil, Access{Profile: "work"}, true},
		{"a profile and keys", nil, Access{Profile: "work", AccessKey: "AKIA1", SecretKey: "s"}, true},
		{"a file", nil, Access{SharedCredentialsFile: other}, true},
		{"the environment", map[string]string{"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": "s"}, Access{}, true},
		{"a profile of the environment", map[string]string{"AWS_PROFILE": "work"}, Access{}, true},
		{"another profile", nil, Access{Profile: "play"}, false},
		{"a profile that is not there", nil, Access{Profile: "none"}, false},
		{"a profile with an endpoint", nil, Access{Profile: "away"}, false},
		{"a profile with an endpoint, and keys", nil, Access{Profile: "away", AccessKey: "AKIA1", SecretKey: "s"}, false},
		{"a profile with a role", nil, Access{Profile: "role"}, false},
		{"a role upon the keys", nil, Access{Profile: "work", AssumeRole: role}, false},
		{"an endpoint", nil, Access{Profile: "work", CustomEndpointEC2: "http://127.0.0.1:1"}, false},
		{"other keys of the environment", map[string]string{"AWS_ACCESS_KEY_ID": "AKIA2", "AWS_SECRET_ACCESS_KEY": "s"}, Access{}, false},
		{"a session of the environment", map[string]string{"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}, Access{}, false},
		{"a token file of the environment", map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": other, "AWS_PROFILE": "work"}, Access{}, false},
		{"a profile that is not known yet", nil, Access{Profile: dag.Mark("profile")}, false},
	} {
		c := NewCloud(CloudOptions{Getenv: func(name string) string { return cmp.Or(tt.env[name], env[name]) }})
		own := c.Register(Access{AccessKey: "AKIA1", SecretKey: "s"})
		if got := c.Register(tt.a); (got == own) != tt.same {
			t.Errorf("%s: the account %q, and that of the keys is %q", tt.name, got, own)
		}
		if a := c.accounts[tt.a.name()]; tt.a.name() != "" && a.Profile != tt.a.Profile {
			t.Errorf("%s: what was stored under %q finds %+v", tt.name, tt.a.name(), a)
		}
	}
	c := NewCloud(CloudOptions{Getenv: func(name string) string { return env[name] }})
	if a, b := c.Register(Access{Profile: "work", AssumeRole: role}), c.Register(Access{AccessKey: "AKIA1", SecretKey: "s", AssumeRole: role}); a != b {
		t.Errorf("one role upon the same keys is the accounts %q and %q", a, b)
	}
}

// What earlier versions have stored under the name of a way of writing finds the
// credentials that were meant.
func TestAccountsOfOldRuns(t *testing.T) {
	values := map[string]string{}
	c := NewCloud(CloudOptions{Secret: knows(values)})
	for at, key := range []string{"AKIA1", "AKIA1", "AKIA2", "AKIA1"} {
		c.Register(keyed(values, at, key, "s", ""))
	}
	for name, want := range map[string]string{"": "AKIA1", "-2": "AKIA1", "-3": "AKIA2", "-4": "AKIA1"} {
		if got := c.accounts[name].AccessKey; got != want {
			t.Errorf("account %q has the key %q, want %q", name, got, want)
		}
	}
}

// A template that is read again may say something else under the same names.
func TestAccountsOfAnEditedTemplate(t *testing.T) {
	values := map[string]string{}
	c := NewCloud(CloudOptions{Secret: knows(values)})
	a, b := keyed(values, 0, "AKIA1", "s", ""), keyed(values, 1, "AKIA1", "s", "")
	if c.Register(a) != c.Register(b) {
		t.Fatal("the same keys are two accounts")
	}
	values["builders.0.secret_key"] = "new"
	if c.Register(a) == c.Register(b) {
		t.Error("the keys differ now, and they are one account")
	}
}

// Ten builders with the same keys in each share what a builder has for itself
// otherwise.
func TestTenBuildersWithKeys(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	values := map[string]string{}
	w.cloud.o.Secret = knows(values)
	g := dag.NewGraph(nil)
	for i := range 10 {
		b := template()
		region := b.Access.Region
		b.Access = keyed(values, i, "AKIDEXAMPLE", "not-a-secret", "")
		b.Access.Region, b.Communicator, b.AMIName = region, "ssh", fmt.Sprintf("image-%d", i)
		b.SSH.Username = "ubuntu"
		w.add(g, b, fmt.Sprintf("build-%d", i))
	}
	w.build(&dag.MemStore{}, g)
	w.only(10)
	for action, want := range map[string]int{"ImportKeyPair": 1, "CreateSecurityGroup": 1, "RunInstances": 10, "CreateImage": 10} {
		if n := w.front.count(action); n != want {
			t.Errorf("%d calls of %s, want %d", n, action, want)
		}
	}
	if n := w.front.total(); n > 125 {
		t.Errorf("%d calls, want 125 at most: %v", n, w.front.calls)
	} else {
		t.Logf("%d calls: %v", n, w.front.calls)
	}
}
