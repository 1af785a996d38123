package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/state"
)

// oldHome is a desk with the home that an older imgflow has left behind (see
// testdata/oldhome/make.sh): a run that has finished, one that was killed in the
// middle of a script when its other build was done, one that has failed and was
// suspended. Whoever changes a format either reads them still, or refuses what is
// unfinished with words that say what to do; then those words belong here, and an
// older home beside the newer one.
func oldHome(t *testing.T) (d *desk, runs map[string]string) {
	t.Helper()
	if _, err := os.Stat("/proc/self/cwd"); err != nil {
		t.Skipf("NOT TESTED: the runs of an older imgflow, whose templates are looked for there: %v", err)
	}
	t.Parallel()
	d = &desk{T: t, dir: t.TempDir()}
	t.Cleanup(func() { stopServer(filepath.Join(d.dir, "home", "local")) })
	if err := os.CopyFS(d.dir, os.DirFS("testdata/oldhome")); err != nil {
		t.Fatal(err)
	}
	tar := exec.Command(needed(t, "tar"), "-xzf", "home.tar.gz")
	tar.Dir = d.dir
	if out, err := tar.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return d, d.oldRuns(map[string]string{"finished": state.Done, "killed": state.Interrupted, "failed": state.Suspended})
}

// oldRuns are the ids of the runs by their templates; each must have its status.
func (d *desk) oldRuns(status map[string]string) map[string]string {
	d.Helper()
	var list []state.Summary
	out, code := d.do("list", "--json")
	if err := json.Unmarshal([]byte(out), &list); code != 0 || err != nil {
		d.Fatalf("list: %d, %v, %s", code, err, out)
	}
	ids := map[string]string{}
	for _, s := range list {
		name := strings.TrimSuffix(filepath.Base(s.Template), ".json")
		if ids[name] = s.ID; s.Status != status[name] {
			d.Errorf("%s is %s, want %s", name, s.Status, status[name])
		}
	}
	if len(ids) != len(status) {
		d.Fatalf("runs %v", ids)
	}
	return ids
}

// says runs a command that ends well, and prints all of some texts, but none of
// those that begin with !.
func (d *desk) says(texts []string, args ...string) {
	d.Helper()
	out, code := d.do(args...)
	if code != 0 {
		d.Fatalf("%s: status %d\n%s", args, code, out)
	}
	for _, text := range append(texts, "!opensesame") {
		if not, ok := strings.CutPrefix(text, "!"); strings.Contains(out, not) == ok {
			d.Errorf("%s: %q\n%s", args, text, out)
		}
	}
}

func TestRunsOfAnOlderImgflow(t *testing.T) {
	d, runs := oldHome(t)
	d.says([]string{"status    done\n", "web  amazon-ebs ", "us-east-1: ami-", "us-east-1: vol-", "web-20"}, "show", runs["finished"])
	d.says([]string{"    web: hello, <sensitive>\n", "    web: from the file\n", "    web: here\n"}, "logs", runs["finished"])
	d.says([]string{"there is nothing to resume"}, "resume", runs["finished"])
	d.says([]string{"status    suspended\n", "app  amazon-ebs  failed  shell-2: script exited with status 3", "imgflow resume " + runs["failed"]}, "show", runs["failed"])
	d.says([]string{"    app: second\n", "shell-2 failed"}, "logs", runs["failed"])

	// Its records hold the texts of its keys, too.
	d.says([]string{"  ~  app    shell-2 ", "it failed before", "  =  app    launch "}, "plan", "--run", runs["failed"], "--frozen")
	d.says([]string{"  ~ app: shell-2: runs again: it failed before: "}, "explain", "--frozen", runs["failed"], "shell-2")

	// The script goes on from where it was, on the same machine.
	d.says([]string{"    win: ended\n", "--> win: win-20", "--> bare: bare-20", "!win: begun", "!Launch"}, "resume", runs["killed"])
	d.says([]string{"win-20", "bare-20"}, "show", runs["killed"])
	d.says([]string{"    win: begun\n", "    win: ended\n"}, "logs", runs["killed"])

	d.says([]string{"instance i-", "security group sg-", "all of it is removed"}, "destroy", "--yes", runs["failed"])
	d.says([]string{"image ami-", "volumes vol-", "all of it is removed"}, "destroy", "--artifacts", "--yes", runs["finished"])
	d.oldRuns(map[string]string{"finished": state.Destroyed, "killed": state.Done, "failed": state.Destroyed})
}

// Where nothing is left of what they had made, they begin anew with what was theirs.
func TestRunsOfAnOlderImgflowWithoutTheirCloud(t *testing.T) {
	d, runs := oldHome(t)
	if err := os.RemoveAll(filepath.Join(d.dir, "home", "local")); err != nil {
		t.Fatal(err)
	}
	d.says([]string{"win: instance i-", "does not exist any more", "win: Launch", "    win: first, <sensitive>\n", "    win: begun\n    win: ended\n", "us-east-1: ami-"}, "resume", "--frozen", runs["killed"])
	if err := lackingGuests(t); err != nil {
		t.Skipf("NOT TESTED: how a build over SSH goes on: %v", err)
	}
	template := filepath.Join(d.dir, "failed.json")
	src, err := os.ReadFile(template)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(template, []byte(strings.Replace(string(src), `, "exit 3"`, "", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	d.says([]string{"  ~ app: shell-2: runs again because its settings have changed\n", "- inline[1]: \"exit 3\""}, "explain", runs["failed"], "shell-2")
	d.says([]string{"app: shell-2 has changed", "app: instance i-", "does not exist any more", "    app: first\n", "    app: second\n", "eu-west-1: ami-"}, "resume", runs["failed"])
	d.oldRuns(map[string]string{"finished": state.Done, "killed": state.Done, "failed": state.Done})
}
