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

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

func TestUserData(t *testing.T) {
	vault := &memVault{m: map[string][]byte{"hk": []byte("PRIVATE")}}
	c := NewCloud(CloudOptions{Vault: vault})
	linux := SourceImage{Owner: "099720109477"}
	key := dag.Lit(comm.Key{Public: "ssh-ed25519 AAAA", Secret: "hk"})
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, []byte("#!/bin/sh\necho file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stored, err := steps.NewFile(file)
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
