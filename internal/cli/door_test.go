package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/internal/app/local"
)

// needed is where a tool is that CI must have.
func needed(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: %v", err)
	}
	return path
}

// asNobody makes a command that another user of this machine runs, with nothing
// in its environment but what is given.
func asNobody(t *testing.T, env []string, name string, args ...string) *exec.Cmd {
	t.Helper()
	line := append([]string{"-n", "-u", "nobody", "env", "-i", "PATH=" + os.Getenv("PATH"), "HOME=/nonexistent"}, env...)
	if err := exec.Command("sudo", "-n", "-u", "nobody", "true").Run(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("this needs sudo, to be another user: %v", err)
		}
		t.Skipf("NOT TESTED: what other users can do: sudo: %v", err)
	}
	return exec.Command("sudo", append(append(line, name), args...)...)
}

// TestOnlyItsUserMayCall has another user of this machine and a page of a browser
// call the endpoint, then its own user with what it says.
func TestOnlyItsUserMayCall(t *testing.T) {
	aws := needed(t, "/usr/bin/aws")
	curl := needed(t, "curl")
	d := newDesk(t)
	if err := os.Mkdir(filepath.Join(d.dir, "ec2"), 0o755); err != nil { // as somebody may have made it
		t.Fatal(err)
	}
	said, at := d.serveWith()
	key := filepath.Join(d.dir, "ec2", "credentials")
	if !strings.Contains(said, "the key is kept in "+key+".") {
		t.Errorf("it says %s", said)
	}
	export := regexp.MustCompile(`(?m)^  export (.*)$`).FindStringSubmatch(said)
	if export == nil {
		t.Fatalf("it does not say how to call it: %s", said)
	}
	env := append(strings.Fields(export[1]), "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true")
	var guessed []string
	for _, kv := range env {
		if strings.HasPrefix(kv, "AWS_SECRET_ACCESS_KEY=") {
			kv = "AWS_SECRET_ACCESS_KEY=guessed"
		}
		guessed = append(guessed, kv)
	}
	run := func(cmd *exec.Cmd) string {
		out, err := cmd.CombinedOutput()
		if err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out)
	}
	launch := []string{"--endpoint-url", at, "ec2", "run-instances", "--image-id", "ami-12345678", "--instance-type", "t3.micro", "--user-data", "#!/bin/sh"}

	// Another user reads neither key nor state, and has no request done.
	for _, file := range []string{key, filepath.Join(d.dir, "ec2", "ec2.db"), filepath.Join(d.dir, "ec2", "server.json")} {
		if out := run(asNobody(t, nil, "cat", file)); !strings.Contains(out, "Permission denied") {
			t.Errorf("another user reads %s: %s", file, out)
		}
	}
	if out := run(asNobody(t, nil, "find", filepath.Join(d.dir, "ec2"), "-readable", "-not", "-type", "d")); strings.Contains(strings.ReplaceAll(out, "find: ", ""), "\n"+d.dir) || strings.HasPrefix(out, d.dir) {
		t.Errorf("another user reads in its directory: %s", out)
	}
	if out := run(asNobody(t, guessed, aws, launch...)); !strings.Contains(out, "(AuthFailure)") {
		t.Errorf("another user: %s", out)
	}
	for _, path := range []string{"/_ec2local/inventory", "/_ec2local/lease", "/?Action=RunInstances&Version=2016-11-15"} {
		if out := run(asNobody(t, nil, curl, "-sS", at+path)); !strings.Contains(out, "<Code>AuthFailure</Code>") {
			t.Errorf("another user at %s: %s", path, out)
		}
		if out := run(exec.Command(curl, "-sS", "-H", "Sec-Fetch-Site: cross-site", "-H", "Referer: https://evil.example/", at+path)); !strings.Contains(out, "<Code>AccessDenied</Code>") {
			t.Errorf("a page at %s: %s", path, out)
		}
	}

	// Its own user, by the line that it prints, and by the file.
	mine := func(env []string, args ...string) string {
		cmd := exec.Command(aws, args...)
		cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir}, env...)
		return run(cmd)
	}
	if out := mine(env, launch...); !strings.Contains(out, "(InvalidAMIID.NotFound)") {
		t.Errorf("its own user: %s", out)
	}
	byFile := []string{"AWS_ENDPOINT_URL=" + at, "AWS_DEFAULT_REGION=us-east-1", "AWS_SHARED_CREDENTIALS_FILE=" + key, "AWS_PAGER="}
	if out := mine(byFile, "--endpoint-url", at, "ec2", "describe-images", "--owners", "099720109477", "--query", "length(Images)"); len(out) < 2 || out[0] < '1' || out[0] > '9' {
		t.Errorf("its own user, with the file: %s", out)
	}
	d.env = byFile
	if out, code := d.do("destroy", "--orphans", "--region", "us-east-1", "--yes"); code != 0 {
		t.Errorf("imgflow, with the file: %d, %s", code, out)
	}
}

// TestOnlyItsUserMayCallTheLocalServer does so with the server of local runs.
func TestOnlyItsUserMayCallTheLocalServer(t *testing.T) {
	aws := needed(t, "/usr/bin/aws")
	d := newDesk(t)
	broken := strings.Replace(slowTemplate, `"echo run >> /tmp/runs"`, `"exit 1"`, 1)
	if err := os.WriteFile(filepath.Join(d.dir, "broken.json"), []byte(broken), 0o644); err != nil {
		t.Fatal(err)
	}
	// The machine of a suspended run keeps the server.
	if out, code := d.do("run", "--local", "-on-error=suspend", "broken.json"); code != exitFailed {
		t.Fatalf("%d\n%s", code, out)
	}
	dir := filepath.Join(d.dir, "home", "local")
	k, err := local.ReadKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.ReadFile(filepath.Join(dir, "server.json"))
	if err != nil {
		t.Fatal(err)
	}
	at := "http://" + regexp.MustCompile(`127\.0\.0\.1:[0-9]+`).FindString(string(p))
	for _, file := range []string{"credentials", "server.json", "server.log", "ec2.db"} {
		if out, err := asNobody(t, nil, "cat", filepath.Join(dir, file)).CombinedOutput(); err == nil || !strings.Contains(string(out), "Permission denied") {
			t.Errorf("another user reads %s: %s", file, out)
		}
	}
	env := []string{"AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=", "AWS_ACCESS_KEY_ID=" + k.ID}
	for secret, want := range map[string]string{"local": "(AuthFailure)", k.Secret: `"Reservations"`} {
		out, _ := asNobody(t, append(env, "AWS_SECRET_ACCESS_KEY="+secret), aws, "--endpoint-url", at, "ec2", "describe-instances").CombinedOutput()
		if !strings.Contains(string(out), want) {
			t.Errorf("another user, with the secret %q: %s; want %s", secret, out, want)
		}
	}
	if p, err := os.ReadFile(filepath.Join(dir, "server.log")); err != nil || strings.Contains(string(p), k.Secret) {
		t.Errorf("the log holds the secret, or %v", err)
	}
}
