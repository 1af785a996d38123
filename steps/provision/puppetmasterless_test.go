package provision

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// puppetSays is a Puppet that tells how it was called, and shows what it is given.
const puppetSays = `echo "in $PWD"
for a; do echo "[$a]"; done
env | grep ^FACTER_ | sort
for a; do case $a in *.pp) cat "$a"; grep -n . "${a%/*}"/* | wc -l;; esac; done
exit ${CODE:-2}`

func TestPuppetMasterless(t *testing.T) {
	staging := t.TempDir() + "/puppet"
	s := PuppetMasterless{
		Build: dag.Build{Name: "web", Type: "amazon-ebs"},
		Puppet: Puppet{PreventSudo: true, StagingDirectory: dag.Text(staging), CleanStagingDirectory: true,
			PuppetBinDir: dag.Text(standIn(t, "puppet", puppetSays)), Facter: map[string]dag.Text{"role": "it's", "id": parsed("{{ build `ID` }}")}},
		Manifest:        file(t, filepath.Join(t.TempDir(), "site.pp"), "include web\n"),
		Manifests:       directory(t, map[string]string{"nodes.pp": "one\n"}),
		Modules:         []steps.File{directory(t, map[string]string{"web/x": ""}), directory(t, map[string]string{"db/x": ""})},
		HieraConfigPath: file(t, filepath.Join(t.TempDir(), "h.yaml"), ""),
		ExtraArguments:  []dag.Text{"--verbose", parsed("--note='{{ .ManifestFile }} {{ .Sudo }}'")},
	}
	if f := s.Check(); len(f) > 0 {
		t.Fatal(f)
	}
	sink, err := doHere(t, s.run)
	want := strings.ReplaceAll(`in STAGING
[apply]
[--detailed-exitcodes]
[--modulepath=STAGING/module-0:STAGING/module-1]
[--hiera_config=STAGING/hiera.yaml]
[--manifestdir=STAGING/manifests]
[--verbose]
[--note=STAGING/manifests/site.pp false]
[STAGING/manifests/site.pp]
FACTER_id=i-0abc
FACTER_packer_build_name=web
FACTER_packer_builder_type=amazon-ebs
FACTER_role=it's
include web
2
`, "STAGING", staging)
	if err != nil || sink.printed() != want {
		t.Errorf("%v, printed\n%s", err, sink.printed())
	}
	if _, err := os.Stat(staging); err == nil {
		t.Error("the staging directory is left")
	}

	// The command of the user's own, as Packer documents it.
	s.ExecuteCommand = parsed("cd {{.WorkingDir}} && {{if ne .FacterVars \"\"}}{{.FacterVars}} {{end}}{{if .Sudo}}sudo -E {{end}}{{if ne .PuppetBinDir \"\"}}{{.PuppetBinDir}}/{{end}}puppet apply {{if .Debug}}--debug {{end}}" +
		"{{if ne .ModulePath \"\"}}--modulepath='{{.ModulePath}}' {{end}}{{if ne .ExtraArguments \"\"}}{{.ExtraArguments}} {{end}}{{.ManifestFile}}")
	s.WorkingDirectory, s.CleanStagingDirectory = "/", false
	sink, err = doHere(t, s.run)
	if got := sink.printed(); err != nil || !strings.HasPrefix(got, "in /\n[apply]\n[--modulepath=") || !strings.Contains(got, "\nFACTER_role=it's\n") {
		t.Errorf("%v, printed\n%s", err, got)
	}

	// A directory of manifests is the manifest.
	s.ExecuteCommand, s.Manifest, s.Manifests = "", directory(t, map[string]string{"a.pp": ""}), steps.File{}
	if sink, err = doHere(t, s.run); err != nil || !strings.Contains(sink.printed(), "["+staging+"/manifests]\n") || text(t, staging+"/manifests/a.pp") != "" {
		t.Errorf("%v, printed\n%s", err, sink.printed())
	}
}

// TestPuppetFails: what Puppet says with 4 and 6 is a failure, unless it is to be ignored.
func TestPuppetFails(t *testing.T) {
	s := PuppetMasterless{Puppet: Puppet{StagingDirectory: dag.Text(t.TempDir() + "/p"), PreventSudo: true, PuppetBinDir: dag.Text(standIn(t, "puppet", "exit 6"))},
		Manifest: file(t, filepath.Join(t.TempDir(), "site.pp"), "")}
	_, err := doHere(t, s.run)
	wantError(t, err, "puppet apply exited with status 6")
	s.CleanStagingDirectory = true
	if s.StagingDirectory = parsed("{{ build `ID` }}"); len(s.Check()) > 0 {
		t.Error(s.Check())
	}
	_, err = doHere(t, s.run)
	wantError(t, err, "cannot use clean_staging_directory")
	s.CleanStagingDirectory, s.StagingDirectory = false, dag.Text(t.TempDir()+"/p")
	s.IgnoreExitCodes = true
	sink, err := doHere(t, s.run)
	if err != nil || !strings.Contains(sink.said(dag.Warned), "status 6") {
		t.Errorf("%v, warned %q", err, sink.said(dag.Warned))
	}
}

func TestPuppetMasterlessCheck(t *testing.T) {
	some := steps.File{Path: "/x/site.pp", Digest: "sha256:1"}
	for want, s := range map[string]*PuppetMasterless{
		"":                     {Manifest: some},
		"manifest_file":        {},
		"guest_os_type":        {Manifest: some, Puppet: Puppet{Guest: Guest{"beos"}}},
		"facter.a-b":           {Manifest: some, Puppet: Puppet{Facter: map[string]dag.Text{"a-b": "1"}}},
		"staging_directory":    {Manifest: some, Puppet: Puppet{CleanStagingDirectory: true, StagingDirectory: "/tmp"}},
		"elevated_user":        {Manifest: some, Puppet: Puppet{ElevatedPassword: "x"}},
		"elevated_user (idle)": {Manifest: some, Puppet: Puppet{Guest: Guest{"unix"}, ElevatedUser: "SYSTEM"}},
	} {
		if got := fields(s.Check()); got != want {
			t.Errorf("option errors of %q, want %q: %v", got, want, s.Check())
		}
	}
	s := &PuppetMasterless{ManifestFile: some.Path, ManifestDir: t.TempDir(), ModulePaths: []string{t.TempDir(), "", dag.Mark("x"), file(t, t.TempDir()+"/f", "").Path}}
	if got := located(t, s); got != "manifest_file, module_paths[1], module_paths[2], module_paths[3]" {
		t.Errorf("of files: %q", got)
	}
}

// TestPuppetOnWindows: the command is for cmd.exe, and values are no part of it.
func TestPuppetOnWindows(t *testing.T) {
	s := PuppetMasterless{Puppet: Puppet{PuppetBinDir: "C:/Program Files/Puppet/bin", Facter: map[string]dag.Text{"role": `we"b`}, ElevatedUser: "SYSTEM"},
		Manifest: file(t, filepath.Join(t.TempDir(), "site.pp"), "include web\n")}
	r := &fakeWindows{run: exits(2), power: func(context.Context, string, any, any) error { return nil }}
	w := &tool{r: r, v: values{t: task(nil), m: winMachine()}}
	if err := s.run(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	j := r.ran[0]
	const dir = "C:/Windows/Temp/packer-puppet-masterless"
	if j.Command != `cd /d "`+dir+`" && "C:/Program Files/Puppet/bin/puppet" apply --detailed-exitcodes "`+dir+`/manifests/site.pp"` ||
		j.Env["FACTER_role"] != `we"b` || j.Elevate == nil || j.Elevate.User != "SYSTEM" || r.uploaded[dir+"/manifests/site.pp"] != "include web\n" {
		t.Errorf("%+v, uploaded %v", j, r.uploaded)
	}
	s.ExecuteCommand = parsed("{{.FacterVars}} && puppet apply {{.ManifestFile}}")
	wantError(t, s.run(t.Context(), w), "cannot write FACTER_role into execute_command")
	s.Facter = map[string]dag.Text{"role": "web"}
	if err := s.run(t.Context(), w); err != nil || !strings.HasPrefix(r.ran[1].Command, `SET "FACTER_packer_build_name=" & SET "FACTER_packer_builder_type=" & SET "FACTER_role=web" && puppet`) {
		t.Errorf("%v, %+v", err, r.ran)
	}
}

// TestPuppetOfAGuest runs the usual command where cmd.exe reads it.
func TestPuppetOfAGuest(t *testing.T) {
	g := newGuest(t)
	os.MkdirAll(g.path("opt/my tools"), 0o755)
	os.WriteFile(g.path("opt/my tools/puppet.bat"), []byte("@echo off\r\necho %CD% %FACTER_role%\r\necho %1 %2 %3\r\nexit /b 2\r\n"), 0o644)
	s := PuppetMasterless{On: dag.Lit(g.m).Take(), Puppet: Puppet{PuppetBinDir: "c:/opt/my tools", Facter: map[string]dag.Text{"role": "web"}, CleanStagingDirectory: true},
		Manifest: file(t, filepath.Join(t.TempDir(), "site.pp"), "")}
	out, err := g.do(s)
	if err != nil || !strings.Contains(out, `C:\Windows\Temp\packer-puppet-masterless web`) || !strings.Contains(out, `apply --detailed-exitcodes "C:/Windows/Temp/packer-puppet-masterless/manifests/site.pp"`) {
		t.Errorf("%v, printed %q", err, out)
	}
	g.clean()
}
