package guest

import (
	"bytes"
	"compress/gzip"
	"reflect"
	"strings"
	"testing"
)

func TestUserData(t *testing.T) {
	p := parseUserData([]byte(`#cloud-config
hostname: web
package_update: true
packages: [redis, [nginx, "1.2"]]
write_files:
  - path: /etc/a
    content: |
      one
    permissions: '0640'
    owner: root:adm
  - {path: /etc/b, encoding: b64, content: aGk=, permissions: 0755, append: true}
runcmd:
  - echo $HOME > /x
  - [ls, "-l", "a b"]
  - [date]
bootcmd: [date >> /boots]
swap: {size: 1}
ssh_authorized_keys: [ssh-ed25519 AAAA x]
`))
	want := &plan{Hostname: "web", Update: true, Packages: []string{"redis"}, Keys: []string{"ssh-ed25519 AAAA x"},
		Files:    []planFile{{Path: "/etc/a", Data: []byte("one\n"), Mode: 0o640, Owner: "root:adm"}, {Path: "/etc/b", Data: []byte("hi"), Mode: 0o755, Append: true}},
		Boot:     [][]string{{"date >> /boots"}},
		Commands: [][]string{{"echo $HOME > /x"}, {"ls", "-l", "a b"}, {"env", "date"}},
		Notes: []string{"user data: packages: line 4: a package with a version or of another packager is not supported by the embedded EC2",
			"user data: swap is not supported by the embedded EC2"}}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("\n got %+v\nwant %+v", p, want)
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write([]byte("#!/bin/sh\ntrue\n"))
	w.Close()
	if p := parseUserData(z.Bytes()); string(p.Script) != "#!/bin/sh\ntrue\n" || p.Notes != nil {
		t.Errorf("packed script: %+v", p)
	}
	for text, note := range map[string]string{
		"":      "",
		" \n":   "",
		"hello": `its first line "hello" names neither`,
		"Content-Type: multipart/mixed; boundary=x\n":               "MIME archive is not supported",
		"#include\nhttp://x":                                        "#include is not supported",
		"#cloud-config\n- a":                                        "line 2: expected keys and values",
		"#cloud-config\na: [":                                       "cannot read the cloud-config",
		"#cloud-config\nruncmd: x":                                  "cannot use runcmd: line 2: expected a list",
		"#cloud-config\nssh_keys: {ed25519_private: x}":             "cannot use ssh_keys: line 2: ed25519_private",
		"#cloud-config\nwrite_files: [{path: a}]":                   `path "a" is not absolute`,
		"#cloud-config\nwrite_files: [{path: /a, encoding: rot13}]": `encoding "rot13" is not supported`,
		"<powershell>\n":                                            "script for Windows is not supported",
		"\x1f\x8bxx":                                                "cannot unpack it",
	} {
		p := parseUserData([]byte(text))
		if got := strings.Join(p.Notes, "\n"); !strings.Contains(got, note) || (note == "") != (got == "") {
			t.Errorf("%q: noted %q, want %q", text, got, note)
		}
		if p.Script != nil || p.Commands != nil {
			t.Errorf("%q would run something", text)
		}
	}
}
