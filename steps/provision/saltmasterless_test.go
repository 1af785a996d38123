package provision

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

func TestSaltMasterless(t *testing.T) {
	dir := t.TempDir()
	s := SaltMasterless{SkipBootstrap: true, DisableSudo: true, TempConfigDir: dag.Text(dir + "/temp"), SaltBinDir: dag.Text(standIn(t, "salt-call", `for a; do echo "[$a]"; done; exit 2`)),
		States: directory(t, map[string]string{"top.sls": "new"}), Pillar: directory(t, map[string]string{"top.sls": "pillar"}),
		RemoteStateTree: dag.Text(dir + "/srv/salt/"), RemotePillarRoots: dag.Text(dir + "/srv/pillar"), CustomState: parsed("web-{{ build `ID` }}"), SaltCallArgs: "--state-output=terse --x=1", LogLevel: "debug"}
	if f := s.Check(); len(f) > 0 {
		t.Fatal(f)
	}
	file(t, dir+"/srv/salt/old.sls", "old")
	sink, err := doHere(t, s.run)
	wantError(t, err, "salt-call exited with status 2")
	want := strings.ReplaceAll(`[--local]
[state.sls]
[web-i-0abc]
[--file-root=DIR/srv/salt]
[--pillar-root=DIR/srv/pillar]
[--retcode-passthrough]
[-l]
[debug]
[--state-output=terse]
[--x=1]
`, "DIR", dir)
	if sink.printed() != want {
		t.Errorf("printed\n%s", sink.printed())
	}
	if old, _ := filepath.Glob(dir + "/srv/*/old.sls"); old != nil || text(t, dir+"/srv/salt/top.sls") != "new" || text(t, dir+"/srv/pillar/top.sls") != "pillar" {
		t.Errorf("the trees are not what they should be: %v", old)
	}
	late := s
	late.RemotePillarRoots = parsed("{{ build `ID` }}")
	if f := late.Check(); len(f) > 0 {
		t.Fatal(f)
	}
	if sink, err := doHere(t, late.run); err == nil || sink.printed() != "" || strings.Contains(err.Error(), "exited") {
		t.Errorf("it has removed i-0abc: %v, printed\n%s", err, sink.printed())
	}
	s.NoExitOnFailure, s.CustomState = true, ""
	sink, err = doHere(t, s.run)
	if err != nil || !strings.HasPrefix(sink.printed(), "[--local]\n[state.highstate]\n") || strings.Contains(sink.printed(), "retcode") || !strings.Contains(sink.said(dag.Warned), "status 2") {
		t.Errorf("%v, printed\n%s", err, sink.printed())
	}
}

// TestSaltOfRoot: what goes to root's directories is moved there by sudo.
func TestSaltOfRoot(t *testing.T) {
	s := SaltMasterless{BootstrapArgs: "-x python3", States: directory(t, nil),
		MinionConfig: file(t, t.TempDir()+"/m", "a: 1"), GrainsFile: file(t, t.TempDir()+"/g", "b: 1")}
	s.TempConfigDir = dag.Text(t.TempDir())
	r := &fakeRemote{run: exits(0)}
	w := onHere(nil)
	r.Remote, r.boots = w.r, []string{""}
	w.r = r
	if err := w.do(t.Context(), s.run); err != nil {
		t.Fatal(err)
	}
	var ran []string
	for _, j := range r.ran {
		ran = append(ran, string(j.Script))
	}
	want := []string{"bootstrap-salt.sh; } &&\nsudo sh \"$d/install.sh\" -x python3\n", "", "sudo salt-call --local state.highstate --retcode-passthrough -l info\n"}
	if temp := string(s.TempConfigDir); true {
		want[1] = strings.ReplaceAll(`set -e
sudo rm -rf -- '/srv/salt'
sudo mkdir -p -- '/srv'
sudo mv -f -- 'TEMP/tree-salt' '/srv/salt'
sudo mkdir -p -- '/etc/salt'
sudo mv -f -- 'TEMP/minion' '/etc/salt/minion'
sudo mkdir -p -- '/etc/salt'
sudo mv -f -- 'TEMP/grains' '/etc/salt/grains'
`, "TEMP", temp)
	}
	for i := range want {
		if i >= len(ran) || !strings.HasSuffix(ran[i], want[i]) {
			t.Fatalf("ran %q, want %q", ran, want)
		}
	}
}

func TestSaltOnWindows(t *testing.T) {
	r := &fakeWindows{run: exits(0), power: func(context.Context, string, any, any) error { return nil }}
	s := SaltMasterless{BootstrapArgs: "-Version 3007", GrainsFile: file(t, t.TempDir()+"/g", "a: 1"), States: directory(t, nil)}
	if err := s.run(t.Context(), &tool{r: r, v: values{t: task(nil), m: winMachine()}}); err != nil {
		t.Fatal(err)
	}
	if got := r.ran[1].Command; got != `salt-call --local state.highstate --file-root="C:/salt/state" --pillar-root="C:/salt/pillar" --retcode-passthrough -l info` {
		t.Errorf("ran %s", got)
	}
	if r.uploaded["C:/salt/state/"] != s.States.Path || r.uploaded["C:/salt/conf/grains"] != "a: 1" {
		t.Errorf("uploaded %v", r.uploaded)
	}
	if j := r.ran[0]; string(j.Script) != psBootstrapSalt || j.Env["IMGFLOW_SALT_ARGS"] != "-Version 3007" {
		t.Errorf("%+v", j)
	}
}

func TestSaltMasterlessCheck(t *testing.T) {
	some := steps.File{Path: "/x", Digest: "sha256:1"}
	for want, s := range map[string]*SaltMasterless{
		"":                      {RemoteStateTree: "/srv/x"},
		"remote_state_tree":     {RemoteStateTree: "/srv"},
		"remote_pillar_roots":   {RemotePillarRoots: "/srv/x", MinionConfig: some},
		"bootstrap_args (idle)": {BootstrapArgs: "x", SkipBootstrap: true},
		"log_level":             {LogLevel: "a b"},
		"guest_os_type":         {Guest: Guest{"x"}},
	} {
		if got := fields(s.Check()); got != want {
			t.Errorf("option errors of %q, want %q: %v", got, want, s.Check())
		}
	}
	if got := located(t, &SaltMasterless{LocalStateTree: t.TempDir() + "/nowhere", LocalPillarRoots: some.Path}); got != "local_state_tree, local_pillar_roots" {
		t.Errorf("of files: %q", got)
	}
}
