package provision

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

func TestChefClient(t *testing.T) {
	dir := standIn(t, "chef-client", chefSays+"\ntouch ${3%/*}/client.pem")
	withPath(t, dir)
	knife := func(script string) {
		os.WriteFile(filepath.Join(dir, "knife"), []byte("#!/bin/sh\necho knife \"$@\"\n"+script+"\n"), 0o755)
	}
	knife(`cat "$6"`)
	staging := t.TempDir() + "/chef"
	s := ChefClient{
		Chef:      Chef{SkipInstall: true, PreventSudo: true, StagingDirectory: dag.Text(staging), ChefLicense: "accept-silent", ChefEnvironment: "prod"},
		ServerURL: "https://chef.example.org/", NodeName: parsed("node-{{ build `ID` }}"), ValidationClientName: "validator", SSLVerifyMode: "verify_none",
		ValidationKeyPath: file(t, filepath.Join(t.TempDir(), "v.pem"), "key"), TrustedCertsDir: "/etc/certs", SkipCleanStagingDirectory: true,
	}
	if f := s.Check(); len(f) > 0 {
		t.Fatal(f)
	}
	sink, err := doHere(t, s.run)
	const common = `log_level :info
log_location STDOUT
chef_server_url "https://chef.example.org/"
node_name "node-i-0abc"
client_key "STAGING/client.pem"
`
	want := `chef-client
[--no-color]
[-c]
[STAGING/client.rb]
[-j]
[STAGING/node.json]
` + common + `validation_client_name "validator"
validation_key "STAGING/validation.pem"
environment "prod"
trusted_certs_dir "/etc/certs"
chef_license "accept-silent"
ssl_verify_mode :verify_none
{}
600
knife node delete node-i-0abc -y -c STAGING/knife.rb
` + common + `knife client delete node-i-0abc -y -c STAGING/knife.rb
` + common
	if want = strings.ReplaceAll(want, "STAGING", staging); err != nil || sink.printed() != want {
		t.Errorf("%v, printed\n%s", err, sink.printed())
	}
	for name, stays := range map[string]bool{"client.rb": true, "validation.pem": false, "client.pem": false} {
		if _, err := os.Stat(staging + "/" + name); (err == nil) != stays {
			t.Errorf("%s: %v", name, err)
		}
	}

	// What was registered is removed after a failure, too; that it fails is no other error.
	knife("exit 5")
	os.WriteFile(filepath.Join(dir, "chef-client"), []byte("#!/bin/sh\nexit 1\n"), 0o755)
	sink, err = doHere(t, s.run)
	wantError(t, err, "chef-client exited with status 1")
	if strings.Contains(err.Error(), "knife") || strings.Count(sink.said(dag.Warned), "may be left on the Chef server") != 2 {
		t.Errorf("%v, warned %s", err, sink.said(dag.Warned))
	}
	os.WriteFile(filepath.Join(dir, "chef-client"), []byte("#!/bin/sh\n"), 0o755)
	_, err = doHere(t, s.run)
	wantError(t, err, "knife node delete exited with status 5")

	// A knife of the user's own, and nothing left.
	s.KnifeCommand, s.SkipCleanNode, s.SkipCleanStagingDirectory = parsed("echo mine {{.Args}} {{.Flags}}"), true, false
	sink, err = doHere(t, s.run)
	if err != nil || sink.printed() != "mine client delete node-i-0abc -y -c "+staging+"/knife.rb\n" {
		t.Errorf("%v, printed %q", err, sink.printed())
	}
	if _, err := os.Stat(staging); err == nil {
		t.Error("the staging directory is left")
	}
	os.WriteFile(filepath.Join(dir, "chef-client"), []byte("#!/bin/sh\nexit 1\n"), 0o755)
	if _, err = doHere(t, s.run); err == nil {
		t.Error("it did not fail")
	}
	if _, err := os.Stat(staging + "/client.rb"); err != nil {
		t.Errorf("after a failure nothing is left to look at: %v", err)
	}
}

// TestChefClientKeeps: what Chef is given in secret is for the user alone while it runs, a node without
// a name has one of its own, and of an interruption nothing is removed.
func TestChefClientKeeps(t *testing.T) {
	withPath(t, standIn(t, "chef-client", `stat -c '%a %n' "${3%/*}"/*`))
	staging := t.TempDir() + "/chef"
	secret := func(name string) steps.File { return file(t, filepath.Join(t.TempDir(), name), "hush") }
	s := ChefClient{Chef: Chef{SkipInstall: true, PreventSudo: true, StagingDirectory: dag.Text(staging), EncryptedDataBagSecretPath: secret("e")},
		ServerURL: "https://chef.example.org/", ValidationKeyPath: secret("v"), SkipCleanNode: true, SkipCleanClient: true, SkipCleanStagingDirectory: true}
	sink := &memSink{}
	w := onHere(sink)
	if err := w.do(t.Context(), s.run); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"encrypted_data_bag_secret", "validation.pem", "node.json"} {
		if !strings.Contains(sink.printed(), "600 "+staging+"/"+name+"\n") {
			t.Errorf("%s: %s", name, sink.printed())
		}
		if _, err := os.Stat(staging + "/" + name); err == nil {
			t.Errorf("%s is left for the image", name)
		}
	}
	if rb := text(t, staging+"/client.rb"); !strings.Contains(rb, "node_name \"packer-"+w.v.t.Token+"\"\n") || strings.Contains(rb, "chef_license") {
		t.Errorf("%s", rb)
	}

	s.SkipCleanNode, s.SkipCleanStagingDirectory = false, false
	ctx, cancel := context.WithCancel(t.Context())
	w = onHere(sink)
	r := &fakeRemote{Remote: w.r, boots: []string{""}, run: func(context.Context, comm.Job) (comm.Exit, error) {
		cancel()
		return comm.Exit{}, ctx.Err()
	}}
	w.r = r
	if err := w.do(ctx, s.run); !errors.Is(err, context.Canceled) || len(r.ran) != 1 {
		t.Errorf("%v, %d runs", err, len(r.ran))
	}
	for _, command := range r.execs {
		if strings.Contains(command, "rm ") {
			t.Errorf("%s", command)
		}
	}
	s.StagingDirectory = parsed("{{ build `Dir` }}")
	w = onHere(sink)
	w.v.m.Vars["Dir"] = "/tmp"
	if err := w.do(t.Context(), s.run); err == nil || strings.Contains(err.Error(), "exited") {
		t.Errorf("it would have removed /tmp: %v", err)
	}
}

func TestChefClientCheck(t *testing.T) {
	for want, s := range map[string]*ChefClient{
		"":                     {ServerURL: "x"},
		"chef_environment":     {ServerURL: "x", PolicyName: "p", PolicyGroup: "g", Chef: Chef{ChefEnvironment: "e"}},
		"run_list":             {ServerURL: "x", PolicyName: "p", PolicyGroup: "g", Chef: Chef{RunList: []dag.Text{"r"}}},
		"ssl_verify_mode":      {ServerURL: "x", SSLVerifyMode: "none"},
		"knife_command (idle)": {ServerURL: "x", KnifeCommand: "knife"},
		"elevated_user":        {ServerURL: "x", ElevatedPassword: "x"},
		"staging_directory":    {ServerURL: "x", Chef: Chef{StagingDirectory: "/tmp"}},
		"config_template":      {ServerURL: "x", Chef: Chef{ConfigTemplate: steps.File{Path: t.TempDir() + "/nowhere"}}},
	} {
		if got := fields(s.Check()); got != want {
			t.Errorf("option errors of %q, want %q: %v", got, want, s.Check())
		}
	}
	for _, s := range []*ChefClient{{}, {ServerURL: "x", PolicyName: "p"}} {
		if f := s.Check(); len(f) != 1 || len(f[0].Among) != 2 {
			t.Errorf("%v", f)
		}
	}
}
