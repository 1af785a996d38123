package template_test

import (
	"strings"
	"testing"

	"github.com/imgflow/imgflow/template"
)

// No message shows a secret that is written into a file, be the file as broken as it may. In the sources, hunter
// begins every word that is secret, and open every one that must be shown.
func TestMessagesHideSecrets(t *testing.T) {
	for _, src := range []string{
		`{"builders": [{"type": "x", "openkey": "{{user |opennope|}}", "ssh_password": "hunter2", "open2": 1}]}`,
		`{"builders": [{"type": "x", "ssh_password": "hunter{{hunter2}}", "open2": 1}]}`,
		`{"builders": [{"type": "x", "ssh_password": "{{user |opennope|}}", "open2": "{{nope}}"}]}`,
		`{"builders": [{"type": "x", "Tokens": {"a": "hunter2", "b": ["hunter3", "hunter\"4"]}, "open2": "{{nope}}"}]}`,
		`{"builders": [{"type": "x", "http_tokens": "open1{{opennope}}", "x_private_key_file": "open2", "secret": true}]}`,
		`{"builders": [{"type": "x", "windows_password_timeout": "open3", "openkey": "{{opennope}}"}]}`,
		"{\"builders\": [{\"type\": \"x\", \"inline\": [\n\"DB_PASSWORD=hunter2 openA {{opennope}}\", \"x PASSWD='hunter3' openB\"]}]}",
		`{"builders": [{"type": "x", "inline": ["{\"access_key\": \"hunter4\"} openC {{opennope}}"]}]}`,
		`{"builders": [{"type": "x", "user_data": "password: hunter2\nopenA: {{opennope}}"}]}`,
		`{"variables": {"pw": "hunter2", "pw2": "hunter3{{hunter}}", "open": "{{opennope}}"}, "sensitive-variables": ["pw", "pw2"], "builders": [{"type": "x"}]}`,
		`{"variables": {"pw": "hunter2"}, "sensitive-variables": "pw", "open": 1, "builders": [{"type": "x"}]}`,
		// Files that cannot be read.
		`{"variables": {"pw": "hunter2", "open"}, "sensitive-variables": ["pw"]}`,
		`{"variables": {"pw": "hunter2"}, "sensitive-variables": ["pw"`,
		`{"variables": {"secret": "hunter2", "open": 'x'}}`,
		"{\"open\": 1, \"secret\": \"hunter2, }\n",
		`{"open": 1, "secret": hunter2, "open2": 2}`,
		`{"open": 1, "secret": 0815hunter, "secret2": 0815, "open2": 2, "open3": 01}`,
		`{"open": 1, "secret" "hunter2", "open2": 2}`,
		`{"open": 1, "secret: "hunter2", "open2": 2}`,
		`{open: 1, 'secret': 'hunter2', "open2": 2}`,
		`{open: 1, "secrets": ["hunter2", "hunter3`,
	} {
		src = strings.ReplaceAll(src, "|", "`")
		tmpl, errs := template.Parse("t.json", []byte(src))
		if tmpl != nil {
			in := inputs()
			in.Strict = true
			_, more := tmpl.Evaluate(in)
			errs = append(errs, more...).Sorted()
		}
		got := errs.Error()
		if strings.Contains(got, "hunter") || strings.Contains(src, "0815") && strings.Contains(got, "0815,") {
			t.Errorf("%s\nis shown as\n%s", src, got)
		}
		for _, word := range strings.FieldsFunc(src, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') }) {
			if strings.HasPrefix(word, "open") && !strings.Contains(got, word) {
				t.Errorf("%s\nis shown without %s as\n%s", src, word, got)
			}
		}
		if !strings.Contains(got, "^") {
			t.Errorf("%s\nhas no place in\n%s", src, got)
		}
	}
}

// The caret stays where it was, and files of variables hide what the template says.
func TestHiddenPlaces(t *testing.T) {
	tmpl, errs := template.Parse("t.json", []byte(`{"variables": {"pw": null}, "sensitive-variables": ["pw"], "builders": [{"type": "x"}]}`))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	in := inputs()
	in.VarFiles = []template.VarFile{{Name: "v.json", Src: []byte(`{"pw": "hünter{{2}", "db_password": "x{{yz", "list": []}`)}}
	in.Vars = map[string]string{"other_token": "hunter{{hunter2}}"}
	_, errs = tmpl.Evaluate(in)
	want := `-var other_token: cannot evaluate variables.other_token: an action in it is wrong
    HINT
v.json:1:15: cannot evaluate variables.pw: an action in it is wrong
    {"pw": "••••••••••", "db_password": "•••••", "list": []}
                  ^
    HINT
v.json:1:39: cannot evaluate variables.db_password: an action in it is wrong
    {"pw": "••••••••••", "db_password": "•••••", "list": []}
                                          ^
    HINT
v.json:1:54: cannot use the variable list: a text is expected, not a list
    {"pw": "••••••••••", "db_password": "•••••", "list": []}
                                                         ^`
	want = strings.ReplaceAll(want, "HINT", "write {{`{{`}} for two braces that begin no action; the text may be secret, so nothing of it is shown")
	if got := errs.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
