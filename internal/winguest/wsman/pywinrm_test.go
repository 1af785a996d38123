package wsman

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// legacyOpenSSL is a configuration by which OpenSSL 3 knows MD4, which NTLM needs.
const legacyOpenSSL = `openssl_conf = init
[init]
providers = providers
[providers]
default = on
legacy = on
[on]
activate = 1
`

func legacyEnv(t testing.TB) []string {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "openssl.cnf")
	if err := os.WriteFile(conf, []byte(legacyOpenSSL), 0o600); err != nil {
		t.Fatal(err)
	}
	return append(os.Environ(), "OPENSSL_CONF="+conf, "NO_PROXY=127.0.0.1")
}

type pyCommand struct {
	Command string   `json:"command"`
	Args    []string `json:"args"`
	Stdin   []string `json:"stdin"`
}

type pyResult struct {
	Out, Err, Failed string
	Code             int
}

type pySpec struct {
	URL        string      `json:"url"`
	Transport  string      `json:"transport"`
	Encryption string      `json:"encryption"`
	Validation string      `json:"validation"`
	CA         string      `json:"ca"`
	User       string      `json:"user"`
	Password   string      `json:"password"`
	Timeout    int         `json:"timeout"`
	Commands   []pyCommand `json:"commands"`
}

// pywinrm runs commands with Debian's python3-winrm.
func pywinrm(t testing.TB, spec pySpec) []pyResult {
	t.Helper()
	const python = "/usr/bin/python3" // of the system, whose modules are Debian's
	if exec.Command(python, "-c", "import winrm, requests_ntlm").Run() != nil {
		missing(t, "python3-winrm is not installed")
	}
	in, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "testdata/pywinrm.py")
	cmd.Env, cmd.Stdin = legacyEnv(t), bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python: %v\n%s", err, stderr.String())
	}
	var results []pyResult
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		var r pyResult
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		results = append(results, r)
	}
	if len(results) != len(spec.Commands) {
		t.Fatalf("%d results of %d: %s", len(results), len(spec.Commands), out)
	}
	return results
}

func TestPywinrm(t *testing.T) {
	text := strings.Repeat("ä b\n", 20000)
	commands := []pyCommand{
		{Command: "both"},
		{Command: "echo", Args: []string{"ä<&>", "日本"}},
		{Command: "exit -1"},
		{Command: "env"},
		{Command: "cat", Stdin: []string{text, "", text}},
		{Command: "sleep 1500ms"}, // longer than a Receive waits
		{Command: "nosuch"},
	}
	for _, way := range []struct {
		name, transport, encryption string
		https                       bool
	}{
		{"basic over http", "basic", "never", false},
		{"ntlm over http", "ntlm", "never", false},
		{"sealed over http", "ntlm", "always", false},
		{"basic over https", "basic", "never", true},
		{"ntlm over https", "ntlm", "never", true},
		{"sealed over https", "ntlm", "always", true},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, func(s *Service) {
				s.AllowUnencrypted = !way.https && way.encryption == "never"
				s.CbtHardening = CbtStrict // this client sends channel bindings
			})
			spec := pySpec{URL: "http://" + p.http + "/wsman", Transport: way.transport, Encryption: way.encryption,
				Validation: "validate", User: toyUser, Password: toyPassword, Timeout: 1, Commands: commands}
			if way.transport == "basic" {
				spec.Password = strings.ReplaceAll(toyPassword, "€", "") // it has Latin-1 alone here
				p.set(func(s *Service) { s.Negotiate = false })
				p.password(spec.Password)
			}
			if way.https {
				spec.URL, spec.CA = "https://"+p.https+"/wsman", filepath.Join(t.TempDir(), "ca.pem")
				if err := os.WriteFile(spec.CA, p.ca, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got := pywinrm(t, spec)
			for i, want := range []pyResult{
				{Out: "out\r\n", Err: "err\r\n", Code: 7},
				{Out: "ä<&> 日本\r\n"},
				{Code: -1},
				{Out: "WHO=it's \"me\"\nC:\\Some Place"},
				{Out: text + text},
				{Out: "slept"},
			} {
				if got[i] != want {
					t.Errorf("%s: %+v", commands[i].Command, got[i])
				}
			}
			if f := got[6].Failed; !strings.Contains(f, "2147942402") || !strings.Contains(f, "cannot find the file") {
				t.Errorf("a command that does not exist: %s", f)
			}
			spec.Password, spec.Commands = "wrong", commands[:1]
			if f := pywinrm(t, spec)[0].Failed; !strings.Contains(f, "rejected") {
				t.Errorf("with a wrong password: %q", f)
			}
		})
	}
}
