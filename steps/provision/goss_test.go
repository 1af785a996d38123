package provision

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// gossSays is a Goss that tells how it was called, and shows what it is given.
const gossSays = `case " $* " in *" render -d "*) echo debug; exit;; *" render "*) echo spec; exit;; esac
[ "$1" != --version ] || { echo version; exit; }
echo "in $PWD, $GREETING"
for a; do echo "[$a]"; done
for a; do case $a in */.vars*) cat "$a"; stat -c %a "$a";; esac; done
exit ${CODE:-0}`

// gossHere runs the step with a working directory.
func gossHere(t *testing.T, s Goss, dir string) (*memSink, error) {
	t.Helper()
	sink := &memSink{}
	w := onHere(sink)
	w.v.dir = dir
	return sink, w.do(t.Context(), s.run)
}

func TestGoss(t *testing.T) {
	here, remote := t.TempDir(), t.TempDir()+"/tests"
	s := Goss{SkipInstall: true, DownloadPath: dag.Text(standIn(t, "goss", gossSays) + "/goss"), RemotePath: dag.Text(remote), GossFile: "goss/goss.yaml",
		VarsInline: map[string]dag.Text{"id": parsed("{{ build `ID` }}"), "key": dag.Text(dag.Mark("key-1"))}, VarsEnv: map[string]dag.Text{"GREETING": "hello"},
		Format: "json", FormatOptions: "pretty", RetryTimeout: 3 * time.Second,
		Uploads: []steps.File{directory(t, map[string]string{"goss.yaml": "x"}), file(t, filepath.Join(t.TempDir(), "one.yaml"), "1")}}
	if f := s.Check(); len(f) > 0 {
		t.Fatal(f)
	}
	sink, err := gossHere(t, s, here)
	want := strings.ReplaceAll(`in REMOTE, hello
[--gossfile]
[goss/goss.yaml]
[--vars]
[REMOTE/.vars-inline.json]
[validate]
[--retry-timeout]
[3s]
[--sleep]
[1s]
[-f]
[json]
[-o]
[pretty]
{"id":"i-0abc","key":"PRIVATE"}600
`, "REMOTE", remote)
	if err != nil || sink.printed() != want {
		t.Errorf("%v, printed\n%s", err, sink.printed())
	}
	if text(t, here+"/goss-spec.yaml") != "spec\n" || text(t, here+"/debug-goss-spec.yaml") != "debug\n" {
		t.Error("the specifications were not brought back")
	}
	if text(t, remote+"/one.yaml") != "1" || text(t, remote+"/"+filepath.Base(s.Uploads[0].Path)+"/goss.yaml") != "x" {
		t.Error("not all tests are there")
	}
	if _, err := os.Stat(remote + "/.vars-inline.json"); err == nil {
		t.Error("the variables are left for the image")
	}

	// A failure, which inspect lets; results in a file; variables of both kinds.
	s.VarsEnv["CODE"], s.SkipDownload, s.OutputFile = "1", true, dag.Text(remote+"/out.json")
	s.VarsFile, s.VarsInline = file(t, filepath.Join(t.TempDir(), "vars.yaml"), "a: 1"), map[string]dag.Text{"b": "it's"}
	sink, err = gossHere(t, s, here)
	wantError(t, err, "goss validate exited with status 1")
	if !strings.Contains(sink.printed(), "[--vars]\n["+remote+"/vars.yaml]\n[--vars-inline]\n[{\"b\":\"it's\"}]\n") || text(t, here+"/out.json") != sink.printed() {
		t.Errorf("printed\n%s", sink.printed())
	}
	s.OutputFile = dag.Text(remote + "/..")
	_, err = gossHere(t, s, here)
	wantError(t, err, `".." is no name of a file here`)
	s.OutputFile, s.Sleep, s.Inspect = "", new(time.Duration), true
	if sink, err = gossHere(t, s, here); err != nil || !strings.Contains(sink.said(dag.Warned), "inspect lets it") || !strings.Contains(sink.printed(), "[--sleep]\n[0s]\n") {
		t.Errorf("%v, warned %q", err, sink.said(dag.Warned))
	}
}

// TestGossFails: what Goss could not make is not brought back, whatever is let.
func TestGossFails(t *testing.T) {
	here := t.TempDir()
	s := Goss{SkipInstall: true, DownloadPath: dag.Text(standIn(t, "goss", "exit 1") + "/goss"), RemotePath: dag.Text(t.TempDir())}
	_, err := gossHere(t, s, here)
	wantError(t, err, "goss render exited with status 1")
	s.Inspect = true
	sink, err := gossHere(t, s, here)
	if got, _ := os.ReadDir(here); err != nil || len(got) > 0 || strings.Count(sink.said(dag.Warned), "inspect lets it") != 3 {
		t.Errorf("%v, brought %v, warned %q", err, got, sink.said(dag.Warned))
	}
}

// TestGossIsLoaded: by curl or wget, whole or not at all, and who asks is in no command line.
func TestGossIsLoaded(t *testing.T) {
	dir := standIn(t, "curl", `echo "curl $*"; stat -c %a "$4"; exit 22`)
	withPath(t, dir)
	os.WriteFile(filepath.Join(dir, "wget"), []byte("#!/bin/sh\necho \"wget $*\"; c=\"${3#--config=}\"; stat -c %a \"$c\"; cat \"$c\"; printf '#!/bin/sh\\necho goss \"$@\"\\n' >\"$5\"\n"), 0o755)
	remote := t.TempDir() + "/tests"
	s := Goss{Version: "0.3.16", Arch: "arm64", SkipSSL: true, Username: "me", Password: `p"w`, DownloadPath: dag.Text(t.TempDir() + "/goss"), RemotePath: dag.Text(remote), SkipDownload: true,
		Uploads: []steps.File{file(t, filepath.Join(t.TempDir(), "goss.yaml"), "")}}
	sink, err := doHere(t, s.run)
	const from = "https://github.com/goss-org/goss/releases/download/v0.3.16/goss-linux-arm64"
	to := string(s.DownloadPath)
	want := "curl -fsSL -k -K " + remote + "/.curlrc -o " + to + ".part " + from + "\n600\n" +
		"wget -q --no-check-certificate --config=" + remote + "/.wgetrc -O " + to + ".part " + from + "\n600\nuser = me\npassword = p\"w\n" +
		"goss --version\ngoss validate --retry-timeout 0s --sleep 1s\n"
	if err != nil || sink.printed() != want {
		t.Errorf("%v, printed\n%s", err, sink.printed())
	}
	if left, _ := filepath.Glob(remote + "/.*rc"); left != nil {
		t.Errorf("left for the image: %v", left)
	}
	os.WriteFile(filepath.Join(dir, "wget"), []byte("#!/bin/sh\nexit 4\n"), 0o755)
	_, err = doHere(t, s.run)
	wantError(t, err, "loading Goss exited with status 4")
	s.Password = "two\nlines"
	_, err = doHere(t, s.run)
	wantError(t, err, "username and password must be one line each")
	if got := curlString(`a\"b`); got != `"a\\\"b"` {
		t.Errorf("curl reads %s", got)
	}
}

func TestGossOnWindows(t *testing.T) {
	r := &fakeWindows{run: exits(0), power: func(context.Context, string, any, any) error { return nil }}
	s := Goss{SkipDownload: true, VarsEnv: map[string]dag.Text{"GOSS_USE_ALPHA": "1"}, UseSudo: true, Uploads: []steps.File{file(t, filepath.Join(t.TempDir(), "goss.yaml"), "x")}}
	if err := s.run(t.Context(), &tool{r: r, v: values{t: task(nil), m: winMachine()}}); err != nil {
		t.Fatal(err)
	}
	const exe = "/tmp/goss-0.4.7-windows-amd64.exe"
	if got := r.ran[0].Command; got != `curl -fsSL -o "`+exe+`.part" "https://github.com/goss-org/goss/releases/download/v0.4.7/goss-alpha-windows-amd64.exe" && move /y "\tmp\goss-0.4.7-windows-amd64.exe.part" "\tmp\goss-0.4.7-windows-amd64.exe" && "`+exe+`" --version` {
		t.Errorf("loaded by %s", got)
	}
	if j := r.ran[1]; j.Command != `cd /d "/tmp/goss" && "`+exe+`" validate --retry-timeout 0s --sleep 1s` || j.Env["GOSS_USE_ALPHA"] != "1" || r.uploaded["/tmp/goss/goss.yaml"] != "x" {
		t.Errorf("%+v", j)
	}
}

func TestGossCheck(t *testing.T) {
	for want, s := range map[string]*Goss{
		"":               {URL: "https://example.org/goss", Format: "tap", TargetOS: "Windows"},
		"target_os":      {TargetOS: "linux"},
		"format":         {Format: "xml"},
		"format_options": {FormatOptions: "x"},
		"version":        {Version: "1/../2"},
		"arch":           {Arch: "a b"},
		"url":            {URL: "ftp://example.org/goss"},
		"url (idle)":     {URL: "https://example.org/goss", SkipInstall: true},
		"username":       {Password: "x"},
		"vars_inline.a":  {VarsFile: steps.File{Path: "x", Digest: "x"}, VarsInline: map[string]dag.Text{"a": dag.Text(dag.Mark("x"))}},
		"vars_env.a-b":   {VarsEnv: map[string]dag.Text{"a-b": ""}},
		"retry_timeout":  {RetryTimeout: -1},
	} {
		if got := fields(s.Check()); got != want {
			t.Errorf("option errors of %q, want %q: %v", got, want, s.Check())
		}
	}
	pause := -time.Second
	if got := fields((&Goss{Sleep: &pause}).Check()); got != "sleep" {
		t.Errorf("%s", got)
	}
	if got := located(t, &Goss{Tests: []string{"", t.TempDir() + "/nowhere"}}); got != "tests[1], tests[0]" && got != "tests[0], tests[1]" {
		t.Errorf("of files: %q", got)
	}
	if got := strings.Join((&Goss{TargetOS: "Windows"}).Communicators(), " "); got != "winrm" {
		t.Errorf("reached by %s", got)
	}
}
