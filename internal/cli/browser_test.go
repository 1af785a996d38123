package cli

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var picturesIn = flag.String("pictures", "", "write what a browser shows to this directory")

// The packages of npm that the test of the page needs, and the SHA-256 of their archives.
var browserPacks = map[string]string{
	"playwright-core@1.65.1": "6f5a60be62a4fddfbe7d10c448d8fbd54547da3358f2f8a04211440471ee863e",
	"axe-core@4.14.1":        "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745",
}

// browserMissing ends a test for want of a tool: CI must have all of them.
func browserMissing(t *testing.T, format string, a ...any) {
	t.Helper()
	msg := "NOT TESTED: the page in a browser: " + fmt.Sprintf(format, a...)
	if os.Getenv("CI") == "true" {
		t.Fatal(msg)
	}
	t.Skip(msg)
}

// browserModules are the packages, from the user's cache or from npm.
func browserModules(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		browserMissing(t, "%v", err)
	}
	cache = filepath.Join(cache, "imgflow", "npm")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for pack, want := range browserPacks {
		file := filepath.Join(cache, strings.Replace(pack, "@", "-", 1)+".tgz")
		digest := func() string {
			p, _ := os.ReadFile(file)
			sum := sha256.Sum256(p)
			return hex.EncodeToString(sum[:])
		}
		if digest() != want {
			npm := exec.Command("npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", cache, pack)
			npm.Dir = dir
			if out, err := npm.CombinedOutput(); err != nil {
				browserMissing(t, "npm pack %s: %v\n%s", pack, err, out)
			}
			if got := digest(); got != want {
				t.Fatalf("npm pack %s has fetched another archive than the one that was looked at: its SHA-256 is %s", pack, got)
			}
		}
		name, _, _ := strings.Cut(pack, "@")
		to := filepath.Join(dir, name)
		if err := os.Mkdir(to, 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("tar", "-xzf", file, "-C", to, "--strip-components=1").CombinedOutput(); err != nil {
			t.Fatalf("tar: %v\n%s", err, out)
		}
	}
	return dir
}

const brokenTemplate = `{
  "builders": [{"type": "amazon-ebs", "name": "web", "region": "us-east-1", "instance_type": "t3.micro", "ssh_username": "ubuntu", "ami_name": "web-{{timestamp}}",
    "source_ami_filter": {"filters": {"name": "ubuntu/images/*ubuntu-xenial-16.04-amd64-server-*"}, "owners": ["099720109477"], "most_recent": true}}],
  "provisioners": [
    {"type": "shell", "inline": ["echo installing the base", "sleep 0.3"]},
    {"type": "shell", "inline": ["for i in 1 2 3 4 5 6 7 8 9; do echo line $i; sleep 2; done", "echo 'it is broken <b>here</b>' >&2", "exit 3"]},
    {"type": "shell", "inline": ["echo the last touch"]}]
}`

var printedURL = regexp.MustCompile(`http://\S+`)

// TestBrowser drives the page in a real browser: a run of another process is seen moving and failing, its template
// is mended, it is resumed and destroyed by buttons; who has no token, or comes from another origin, is refused.
func TestBrowser(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "node", "npm", "tar"} {
		path, err := exec.LookPath(name)
		if err != nil {
			browserMissing(t, "%v (apt-get install chromium nodejs npm tar)", err)
		}
		if name == "chromium" {
			browser = path
		}
	}
	modules := browserModules(t)
	d := newDesk(t)
	template := filepath.Join(d.dir, "web.json")
	if err := os.WriteFile(template, []byte(brokenTemplate), 0o644); err != nil {
		t.Fatal(err)
	}
	ui := d.command("ui")
	out, err := ui.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	ui.Stderr = os.Stderr
	if err := ui.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ui.Process.Signal(syscall.SIGTERM); ui.Wait() })
	url := ""
	for sc := bufio.NewScanner(out); url == "" && sc.Scan(); {
		url = printedURL.FindString(sc.Text())
	}
	run := d.command("run", "--local", "-on-error=suspend", template)
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	defer run.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	args := []string{"testdata/browser.mjs", url, template, modules, browser}
	if *picturesIn != "" {
		args = append(args, *picturesIn)
	}
	said, err := exec.CommandContext(ctx, "node", args...).CombinedOutput()
	if err != nil || !strings.Contains(string(said), "driven") {
		t.Error(err)
	}
	t.Logf("%s", said)
}
