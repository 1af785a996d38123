package guest

import (
	"reflect"
	"strings"
	"testing"
)

func TestPasswordData(t *testing.T) {
	p := parseUserData([]byte(`#cloud-config
chpasswd:
  expire: false
  list:
    - a:one:two
    - b:$6$salt$hash
    - c:RANDOM
  users:
    - {name: d, password: plain, type: text}
    - {name: e, password: $y$j9T$salt$hash}
password: own
ssh_pwauth: false
`))
	want := &plan{PasswordAuth: "no", Lasting: true,
		Passwords: []planPassword{{Password: "own"}, {"a", "one:two", false}, {"b", "$6$salt$hash", true}, {"d", "plain", false}, {"e", "$y$j9T$salt$hash", true}},
		Notes:     []string{"user data: chpasswd: a random password for c is not supported by the embedded EC2"}}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("\n got %+v\nwant %+v", p, want)
	}
	for text, note := range map[string]string{
		"ssh_pwauth: perhaps":                                     `cannot use ssh_pwauth: line 2: "perhaps" is neither true nor false`,
		"chpasswd: {list: [hush]}":                                "cannot use chpasswd: line 2: list: an entry is not USER:PASSWORD",
		"chpasswd: {users: [{password: hush}]}":                   "users: an entry has no name",
		"chpasswd: {users: [{name: a}]}":                          "users: a has no password",
		"chpasswd: {users: [{name: a, password: hush, type: x}]}": `the type "x" of a is none of`,
		"password: [hush]":                                        "cannot use password: line 2",
	} {
		p := parseUserData([]byte("#cloud-config\n" + text))
		if got := strings.Join(p.Notes, "\n"); !strings.Contains(got, note) || strings.Contains(got, "hush") {
			t.Errorf("%q: noted %q, want %q", text, got, note)
		}
	}
}

func TestSSHDSays(t *testing.T) {
	a, b := []byte("# PasswordAuthentication yes\nMatch User x\nPasswordAuthentication yes\n"), []byte("passwordauthentication = \"No\"\nPasswordAuthentication yes\n")
	if got := sshdSays("PasswordAuthentication", a, b); got != "no" {
		t.Errorf("%q", got)
	}
	if got := sshdSays("PermitRootLogin", a, b); got != "" {
		t.Errorf("%q", got)
	}
}
