package provision

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// convergeSays is a Converge that tells how it was called.
const convergeSays = `echo "in $PWD"; for a; do echo "[$a]"; done; exit ${CODE:-0}`

func TestConverge(t *testing.T) {
	bin, to := standIn(t, "converge", convergeSays), t.TempDir()
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	modules := directory(t, map[string]string{"web/main.hcl": "task {}"})
	s := Converge{Module: parsed("web-{{ build `ID` }}.hcl"), PreventSudo: true, WorkingDirectory: dag.Text(to),
		Params:     map[string]dag.Text{"message": "it's \"$HOME\"", "id": parsed("{{ build `ID` }}")},
		ModuleDirs: []ModuleDir{{Source: modules.Path, Destination: dag.Text(to)}, {Source: modules.Path + "/", Destination: dag.Text(to + "/made/here")}}}
	if f := append(s.ResolveFiles(steps.NewFile), s.Check()...); len(f) > 0 {
		t.Fatal(f)
	}
	sink, err := doHere(t, s.run)
	const params = `{"id":"i-0abc","message":"it\u0027s \"$HOME\""}`
	want := "in " + to + "\n[apply]\n[--local]\n[--log-level=WARNING]\n[--paramsJSON]\n[" + params + "]\n[web-i-0abc.hcl]\n"
	if err != nil || sink.printed() != want {
		t.Errorf("%v, printed\n%s", err, sink.printed())
	}
	if got := tree(t, to); got != filepath.Base(modules.Path)+"/web/main.hcl=task {} made/here/web/main.hcl=task {}" {
		t.Errorf("uploaded %s", got)
	}

	// The command of the user's own, as Packer documents it.
	s.ExecuteCommand = parsed("cd {{.WorkingDirectory}} && {{if .Sudo}}sudo {{end}}converge apply --paramsJSON '{{.ParamsJSON}}' {{.Module}}")
	sink, err = doHere(t, s.run)
	if got := sink.printed(); err != nil || got != "in "+to+"\n[apply]\n[--paramsJSON]\n["+params+"]\n[web-i-0abc.hcl]\n" {
		t.Errorf("%v, printed\n%s", err, got)
	}
	t.Setenv("CODE", "3")
	_, err = doHere(t, s.run)
	wantError(t, err, "converge exited with status 3")
	t.Setenv("CODE", "127")
	_, err = doHere(t, s.run)
	wantError(t, err, "converge is not on the machine")
}

// TestConvergeIsInstalled: only if that is asked for, and with the version.
func TestConvergeIsInstalled(t *testing.T) {
	for want, s := range map[string]Converge{
		"cd '/tmp' && sudo converge apply --local --log-level=WARNING --paramsJSON '{}' 'm'": {},
		"sudo sh \"$d/install.sh\" -v 0.5.0\ncd '/tmp' && sudo converge":                     {Bootstrap: true, Version: "0.5.0"},
		"\nsh \"$d/install.sh\"\ncd '/tmp' && converge":                                      {Bootstrap: true, PreventBootstrapSudo: true, PreventSudo: true},
		"get 0.5.0 true\ncd": {Bootstrap: true, Version: "0.5.0", BootstrapCommand: parsed("get {{.Version}} {{.Sudo}}")},
	} {
		s.Module = "m"
		r := &fakeRemote{run: exits(0)}
		w := &tool{r: r, v: values{t: task(nil)}}
		if err := s.run(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		var ran strings.Builder
		for _, j := range r.ran {
			ran.Write(j.Script)
		}
		if !strings.Contains(ran.String(), want) || len(r.ran) > 1 != s.Bootstrap {
			t.Errorf("%q is not in what ran:\n%s", want, ran.String())
		}
	}
	s := Converge{Module: "m", Bootstrap: true}
	r := &fakeRemote{run: exits(4)}
	wantError(t, s.run(t.Context(), &tool{r: r, v: values{t: task(nil)}}), "the installation of Converge exited with status 4")
	if len(r.ran) != 1 {
		t.Errorf("%d runs", len(r.ran))
	}
}

func TestConvergeCheck(t *testing.T) {
	secret := dag.Text(dag.Mark("key-1"))
	for want, s := range map[string]*Converge{
		"":                       {Module: "m", Bootstrap: true, Version: "0.5.0"},
		"module":                 {},
		"params.b":               {Module: "m", Params: map[string]dag.Text{"a": "x", "b": "x" + secret}},
		"module_dirs[0].exclude": {Module: "m", ModuleDirs: []ModuleDir{{Exclude: []string{"x"}}}},
		"version":                {Module: "m", Bootstrap: true, Version: "1; id"},
		"version (idle), bootstrap_command (idle), prevent_bootstrap_sudo (idle)": {Module: "m", Version: "1", BootstrapCommand: "x", PreventBootstrapSudo: true},
	} {
		if got := fields(s.Check()); got != want {
			t.Errorf("option errors of %q, want %q: %v", got, want, s.Check())
		}
	}
	if got := fields((&Converge{Module: "https://" + secret + "@x"}).Check()); got != "module" {
		t.Errorf("of a secret in the module: %q", got)
	}
	if got := located(t, &Converge{ModuleDirs: []ModuleDir{{Source: t.TempDir()}, {Source: file(t, t.TempDir()+"/f", "").Path}, {Source: "nowhere"}}}); got != "module_dirs[1].source, module_dirs[2].source" {
		t.Errorf("of files: %q", got)
	}
	dir := t.TempDir()
	key := func(edit string) dag.Key {
		file(t, dir+"/m/a.hcl", edit)
		s := &Converge{Module: "m", ModuleDirs: []ModuleDir{{Source: dir + "/m", Destination: "/d"}}}
		s.ResolveFiles(steps.NewFile)
		return s.Add(dag.NewGraph(func(string) string { return "" }), dag.Build{}, "converge", dag.Lit(winMachine())).Key()
	}
	if key("a") == key("b") {
		t.Error("an edited module is not seen")
	}
}
