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

// withPath lets a shell find programs in a directory first.
func withPath(t *testing.T, dir string) {
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func anyText(s dag.Text) steps.Any { return steps.Any{Text: &s} }

// chefSays is a Chef that tells how it was called, and shows what it is given.
const chefSays = `echo "$0" | sed 's,.*/,,'
for a; do echo "[$a]"; done
cat "$3" "$5"
stat -c %a "$5"`

func TestChefSolo(t *testing.T) {
	withPath(t, standIn(t, "chef-solo", chefSays))
	staging := t.TempDir() + "/chef"
	s := ChefSolo{
		Chef: Chef{SkipInstall: true, PreventSudo: true, StagingDirectory: dag.Text(staging), ChefEnvironment: "prod#{1}", ChefLicense: "accept",
			RunList: []dag.Text{"recipe[web]", parsed("role[{{ build `ID` }}]")}, EncryptedDataBagSecretPath: file(t, filepath.Join(t.TempDir(), "s"), "hush"),
			JSON: steps.Any{Map: map[string]steps.Any{"app": {Map: map[string]steps.Any{"version": anyText(`1 & "2"`), "port": {Word: "8080"}}}, "key": anyText(dag.Text(dag.Mark("key-1")))}}},
		RemoteCookbookPaths: []dag.Text{"/srv/books"},
		Cookbooks:           []steps.File{directory(t, map[string]string{"web/recipes/default.rb": "x"}), directory(t, map[string]string{"db/recipes/default.rb": "y"})},
		Roles:               directory(t, map[string]string{"r.json": "{}"}), DataBags: directory(t, nil), Environments: directory(t, nil),
	}
	if f := s.Check(); len(f) > 0 {
		t.Fatal(f)
	}
	sink, err := doHere(t, s.run)
	want := strings.ReplaceAll(`chef-solo
[--no-color]
[-c]
[STAGING/solo.rb]
[-j]
[STAGING/node.json]
cookbook_path ["/srv/books", "STAGING/cookbooks-0", "STAGING/cookbooks-1"]
role_path "STAGING/roles"
data_bag_path "STAGING/data_bags"
encrypted_data_bag_secret "STAGING/encrypted_data_bag_secret"
environment_path "STAGING/environments"
environment "prod\#{1}"
chef_license "accept"
{
  "app": {
    "port": 8080,
    "version": "1 & \"2\""
  },
  "key": "PRIVATE",
  "run_list": [
    "recipe[web]",
    "role[i-0abc]"
  ]
}
600
`, "STAGING", staging)
	if err != nil || sink.printed() != want {
		t.Errorf("%v, printed\n%s", err, sink.printed())
	}
	if text(t, staging+"/cookbooks-0/web/recipes/default.rb") != "x" || text(t, staging+"/cookbooks-1/db/recipes/default.rb") != "y" || text(t, staging+"/roles/r.json") != "{}" {
		t.Error("not all is there")
	}
	for _, name := range []string{"encrypted_data_bag_secret", "node.json"} {
		if _, err := os.Stat(staging + "/" + name); err == nil {
			t.Errorf("%s is left for the image", name)
		}
	}

	// A configuration and commands of the user's own.
	s.ConfigTemplate = file(t, filepath.Join(t.TempDir(), "solo.rb.tmpl"), "cookbook_path [{{.CookbookPaths}}]\n{{if .HasRolesPath}}roles \"{{.RolesPath}}\"{{end}}\nid '{{ build `ID` }} {{ build `Password` }}'\n")
	s.ExecuteCommand = parsed("{{if .Sudo}}sudo {{end}}chef-solo --local -c {{.ConfigPath}} -j {{.JsonPath}}")
	s.SkipInstall, s.Version, s.InstallCommand = false, "18.1", parsed("echo installing {{.Version}} sudo={{.Sudo}}")
	if f := s.Check(); len(f) > 0 {
		t.Fatal(f)
	}
	sink = &memSink{}
	w := onHere(sink)
	w.v.m.SSH.Password = dag.Secret(dag.Mark("key-1"))
	err = w.do(t.Context(), s.run)
	want = "installing 18.1 sudo=false\nchef-solo\n[--local]\n[-c]\n[" + staging + "/solo.rb]\n[-j]\n[" + staging + "/node.json]\n" +
		"cookbook_path [\"/srv/books\", \"" + staging + "/cookbooks-0\", \"" + staging + "/cookbooks-1\"]\nroles \"" + staging + "/roles\"\nid 'i-0abc PRIVATE'\n"
	if err != nil || !strings.HasPrefix(sink.printed(), want) {
		t.Errorf("%v, printed\n%s", err, sink.printed())
	}
}

// TestChefInstalls: the script of Chef's makers is loaded whole before it runs, by curl or by wget.
func TestChefInstalls(t *testing.T) {
	const omnitruck = `for a; do case $a in */install.sh) [ "${a#https}" = "$a" ] && echo 'echo "install $*"' >"$a";; esac; done; exit 0`
	dir := standIn(t, "curl", omnitruck)
	withPath(t, dir)
	os.WriteFile(filepath.Join(dir, "chef-solo"), []byte("#!/bin/sh\nexit 3\n"), 0o755)
	s := ChefSolo{Chef: Chef{Version: "18.1", PreventSudo: true, StagingDirectory: dag.Text(t.TempDir() + "/s")}}
	sink, err := doHere(t, s.run)
	wantError(t, err, "chef-solo exited with status 3")
	if sink.printed() != "install -v 18.1\n" {
		t.Errorf("printed %q", sink.printed())
	}
	os.WriteFile(filepath.Join(dir, "wget"), []byte("#!/bin/sh\n"+omnitruck+"\n"), 0o755)
	os.WriteFile(filepath.Join(dir, "curl"), []byte("#!/bin/sh\nexit 7\n"), 0o755)
	if sink, _ = doHere(t, s.run); sink.printed() != "install -v 18.1\n" {
		t.Errorf("by wget: printed %q", sink.printed())
	}
	os.WriteFile(filepath.Join(dir, "wget"), []byte("#!/bin/sh\nexit 4\n"), 0o755)
	_, err = doHere(t, s.run)
	wantError(t, err, "the installation of Chef exited with status 4")
	if got := installChef(true, ""); !strings.HasSuffix(got, "\nsudo bash \"$d/install.sh\"") {
		t.Errorf("by sudo: %s", got)
	}
}

func TestChefOnWindows(t *testing.T) {
	r := &fakeWindows{run: exits(0), power: func(context.Context, string, any, any) error { return nil }}
	s := ChefSolo{Chef: Chef{Version: "18.1"}}
	if err := s.run(t.Context(), &tool{r: r, v: values{t: task(nil), m: winMachine()}}); err != nil {
		t.Fatal(err)
	}
	const dir = "C:/Windows/Temp/packer-chef-solo"
	if string(r.ran[0].Script) != psInstallChef || r.ran[0].Env["IMGFLOW_CHEF_VERSION"] != "18.1" || r.ran[0].Ext != ".ps1" {
		t.Errorf("installed by %+v", r.ran[0])
	}
	if r.ran[1].Command != `c:/opscode/chef/bin/chef-solo.bat --no-color -c "`+dir+`/solo.rb" -j "`+dir+`/node.json"` {
		t.Errorf("run by %+v", r.ran[1])
	}
	if r.uploaded[dir+"/node.json"] != "{}\n" || !strings.Contains(r.uploaded[dir+"/solo.rb"], `chef_license "accept-silent"`) {
		t.Errorf("uploaded %v", r.uploaded)
	}
}

func TestChefSoloCheck(t *testing.T) {
	config := func(text string) steps.File { return file(t, filepath.Join(t.TempDir(), "c"), text) }
	for want, c := range map[string]Chef{
		"":                               {JSON: steps.Any{Word: "{}"}},
		"guest_os_type":                  {Guest: Guest{"dos"}},
		"json":                           {JSON: anyText("x")},
		"chef_license":                   {ChefLicense: "yes"},
		"version":                        {Version: "1; id"},
		"install_command (idle)":         {SkipInstall: true, InstallCommand: "x"},
		"version (idle)":                 {SkipInstall: true, Version: "1"},
		"execute_command (idle)":         {ExecuteCommand: "chef-solo"},
		"config_template":                {ConfigTemplate: config("{{ .Nope }}")},
		"config_template, chef_license ": {},
	} {
		s := &ChefSolo{Chef: c}
		if strings.HasSuffix(want, " ") {
			s.ConfigTemplate, s.ChefLicense, want = config("{{ if"), "x", "chef_license, config_template"
		}
		if got := fields(s.Check()); got != want {
			t.Errorf("option errors of %q, want %q: %v", got, want, s.Check())
		}
	}
	nowhere := t.TempDir() + "/nowhere"
	s := &ChefSolo{CookbookPaths: []string{nowhere}, RolesPath: nowhere, DataBagsPath: nowhere, EnvironmentsPath: nowhere}
	if got := located(t, s); got != "cookbook_paths[0], roles_path, data_bags_path, environments_path" {
		t.Errorf("of files: %q", got)
	}
}
