package main

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// writing is a template whose steps leave files on the computer that does them, in every way.
const writing = `{"variables": {"word": null}, "sensitive-variables": ["word"], "builders": [
 {"type": "amazon-ebs", "region": "us-east-1", "name": "web",
  "source_ami_filter": {"owners": ["099720109477"], "most_recent": true, "filters": {"name": "ubuntu/images/*ubuntu-xenial-16.04-amd64-server-*"}},
  "instance_type": "t3.micro", "ssh_username": "ubuntu", "ami_name": "image-{{timestamp}}"},
 {"type": "file", "name": "text", "content": "the word is {{user ` + "`word`" + `}}\n", "target": "made/secret.txt"}],
"provisioners": [
 {"type": "shell-local", "inline": ["mkdir -p tree/sub", "echo local > tree/sub/local.txt", "pwd > pwd.txt", "cp {{template_dir}}/there/a.txt copied.txt"]},
 {"type": "file", "source": "tree", "generated": true, "destination": "/home/ubuntu/"},
 {"type": "shell", "inline": ["cat /home/ubuntu/tree/sub/local.txt", "mkdir -p got", "echo one > got/one", "echo two > got/two"]},
 {"type": "file", "direction": "download", "source": "/home/ubuntu/got", "destination": "down"},
 {"type": "file", "direction": "download", "source": "/home/ubuntu/got/one", "destination": "down/other.txt"},
 {"type": "shell", "inline": ["echo '{\"bomFormat\": \"CycloneDX\"}' > list.json"]},
 {"type": "sbom", "source": "/home/ubuntu/list.json", "destination": "made/sbom.json"}],
"post-processors": [
 {"type": "manifest", "output": "manifest.json", "strip_time": true, "custom_data": {"of": "{{build ` + "`PackerRunUUID`" + `}}"}},
 [{"type": "artifice", "files": ["down/got/*", "tree/sub/*.txt", "there/*.txt"], "only": ["web"]},
  {"type": "checksum", "checksum_types": ["sha256"], "output": "made/{{.BuildName}}.sums"},
  {"type": "compress", "output": "made/{{.BuildName}}.tar.gz"},
  {"type": "checksum", "checksum_types": ["md5"], "output": "made/sums"}],
 {"type": "shell-local", "inline": ["grep -c artifact_id manifest.json > count-{{build ` + "`ID`" + `}}.txt || true", "cat down/got/one"], "only": ["web"]}]}`

// writingTemplate makes the folder of the template.
func (b *bench) writingTemplate(name, template string) string {
	b.t.Helper()
	dir := filepath.Join(b.dir, name)
	for file, text := range map[string]string{
		"t.json": template, "there/a.txt": "there before\n", "made/web.sums": "earlier\n", "manifest.json": `{"builds": [{"name": "earlier"}], "last_run_uuid": "x"}`,
	} {
		path := filepath.Join(dir, file)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	return filepath.Join(dir, "t.json")
}

// tree is all that a folder holds: permissions and text of each file, of an archive what it holds. What is another in
// each run is not told.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		rel = regexp.MustCompile(`i-[0-9a-f]{17}`).ReplaceAllString(rel, "i-ID")
		if d.IsDir() {
			all[rel] = "directory"
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(rel, ".tar.gz") {
			text = []byte(packed(t, path))
		}
		all[rel] = fmt.Sprintf("%v\n%s", fi.Mode(), regexp.MustCompile(`ami-[0-9a-f]{17}|mx[0-9a-z]{10}|\b[0-9a-f]{32}\t(web|text).tar.gz`).ReplaceAllString(strings.ReplaceAll(string(text), dir, "DIR"), "ID"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// packed is what an archive holds, in order.
func packed(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s: %s", h.Name, text)
	}
}

// in is a command of a machine in the folder of a template.
func (b *bench) in(machine, dir string, args ...string) (out string) {
	b.t.Helper()
	cmd := b.machine(machine, args...)
	cmd.Dir = dir
	return b.output(0, cmd)
}

// What a run leaves on the computer that it runs on, it leaves there as well when workers do its steps, whichever worker does
// which.
func TestFilesOfWorkersComeHome(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	here := filepath.Dir(b.writingTemplate("here", writing))
	away := filepath.Dir(b.writingTemplate("away", writing))
	b.worker("one")
	b.worker("two")
	b.worker("three")
	b.in("me", here, "run", "-var", "word=hunTer2", "t.json")
	out := b.in("me", away, "run", "--on", b.engine, "-var", "word=hunTer2", "t.json")
	want, got := tree(t, here), tree(t, away)
	delete(want, "pwd.txt") // which is told as it was
	delete(got, "pwd.txt")
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s is\n%q, and here\n%q", name, got[name], text)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("there is %s, which is not here", name)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
	// Nothing is there twice, and another machine has it, too.
	run := b.newest()
	b.in("me", away, "fetch", run)
	if again := tree(t, away); again["manifest.json"] != got["manifest.json"] || again["made/web.sums"] != got["made/web.sums"] {
		t.Errorf("fetched again there is %q", again)
	}
	b.output(0, b.machine("other", "fetch", run, "out"))
	for name, text := range tree(t, filepath.Join(b.dir, "other", "out")) {
		if want, ok := got[name]; ok && want != text && name != "manifest.json" && name != "made/web.sums" {
			t.Errorf("%s is elsewhere\n%q, and here\n%q", name, text, want)
		}
	}
	b.in("me", away, "destroy", "--artifacts", "--yes", run)
	for _, name := range []string{"made/secret.txt", "made/web.tar.gz"} {
		if _, err := os.Stat(filepath.Join(away, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
}

// A worker that is killed between two steps takes nothing with it.
func TestFilesOutliveTheirWorker(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	flag := filepath.Join(b.dir, "killed")
	dir := filepath.Dir(b.writingTemplate("away", `{"builders": [{"type": "file", "content": "text", "target": "made/text.txt"}],
"post-processors": [[{"type": "compress", "output": "made/text.zip"}, {"type": "shell-local", "inline": ["test -e `+flag+` || { touch `+flag+`; cp made/text.zip half.zip; kill -9 $(cat $HOME/pid); sleep 60; }", "cp made/text.zip copy.zip"]}, {"type": "checksum"}], {"type": "manifest"}]}`))
	kill := make(chan string, 2)
	for _, name := range []string{"one", "two"} {
		cmd := b.worker(name)
		if err := os.WriteFile(filepath.Join(b.dir, name, "pid"), []byte(fmt.Sprint(cmd.Process.Pid)), 0o600); err != nil {
			t.Fatal(err)
		}
		go func() {
			cmd.Process.Wait()
			kill <- name
		}()
	}
	cmd := b.machine("me", "run", "--on", b.engine, "t.json")
	cmd.Dir = dir
	out := new(lockedBuffer)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(50*time.Second, func() { cmd.Process.Signal(syscall.SIGQUIT) }).Stop()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	select {
	case <-kill:
	default:
		t.Error("no worker was killed")
	}
	var names []string
	for name := range tree(t, dir) {
		names = append(names, name)
	}
	slices.Sort(names)
	if want := []string{"copy.zip", "made", "made/text.txt", "made/text.zip", "made/web.sums", "manifest.json", "packer-manifest.json", "packer_file_file_md5.checksum", "t.json", "there", "there/a.txt"}; !slices.Equal(names, want) {
		t.Errorf("there is %q\n%s", names, out.String())
	}
}
