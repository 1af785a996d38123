package provision

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/steps/comm"
)

func TestBuildValues(t *testing.T) {
	dir := t.TempDir()
	keyFile := filepath.Join(dir, "key")
	os.WriteFile(keyFile, []byte("KEY"), 0o600)
	m := comm.Machine{Endpoint: comm.Endpoint{Protocol: "ssh", Host: "h", Port: 22, Vars: map[string]string{"ID": "i-1", "Host": "other", "Port": "2222"}}, SSH: comm.SSH{Username: "admin", KeyName: "key-1"}}
	v := values{task(nil), m, ""}
	for name, want := range map[string]string{"ID": "i-1", "Host": "h", "Port": "22", "User": "admin", "ConnType": "ssh", "PackerRunUUID": "run1", "SSHPrivateKey": "PRIVATE", "Password": "", "PackerHTTPAddr": "ERR_HTTP_ADDR_NOT_IMPLEMENTED_BY_BUILDER"} {
		if got, err := v.of().Value(name); err != nil || got != want {
			t.Errorf("%s is %q, want %q, %v", name, got, want, err)
		}
	}
	v.m.SSH = comm.SSH{PrivateKeyFile: keyFile}
	if got, err := v.of().Value("SSHPrivateKey"); err != nil || got != "KEY" {
		t.Errorf("from a file: %q, %v", got, err)
	}
	_, m = machine(t)
	v.m = m
	if got, err := v.of().Value("SSHPublicKey"); err != nil || !strings.HasPrefix(got, "ssh-ed25519 ") {
		t.Errorf("public: %q, %v", got, err)
	}
	_, err := v.of().Value("SourceAmi")
	wantError(t, err, "SourceAMI")
}

// Two sessions of a process work in directories of their own, whatever the process's is.
func TestFilesAreShownFromTheSessionsDirectory(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	file := filepath.Join(one, "scripts", "setup.sh")
	short := filepath.Join("scripts", "setup.sh")
	for _, process := range []string{one, two} {
		t.Chdir(process)
		for _, c := range [][3]string{{one, file, short}, {one, file + "/", short + "/"}, {two, file, file}, {"", file, file}} {
			if got := shown(c[0], c[1]); got != c[2] {
				t.Errorf("from %q, in %s, %s is shown as %s, want %s", c[0], process, c[1], got, c[2])
			}
		}
	}
}
