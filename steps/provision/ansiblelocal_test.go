package provision

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// prepared has its files found and its options checked, as those of a template.
func (s AnsibleLocal) prepared(t testing.TB, e *comm.Env, m comm.Machine) AnsibleLocal {
	t.Helper()
	if f := s.ResolveFiles(find(e.Dir)); len(f) > 0 {
		t.Fatal(f)
	}
	if f := s.Check(); len(f) > 0 {
		t.Fatal(f)
	}
	s.On, s.Build = dag.Lit(m).Take(), dag.Build{Name: "web", Type: "null"}
	return s
}

func TestAnsibleLocal(t *testing.T) {
	e, m := controlNode(t)
	out, stage := t.TempDir(), filepath.Join(t.TempDir(), "stage")
	role(t, e.Dir)
	file(t, filepath.Join(e.Dir, "gv/web"), "whom: group\n")
	second := file(t, filepath.Join(e.Dir, "later.yml"), "- {hosts: web, connection: local, gather_facts: false, tasks: [{copy: {content: two, dest: '{{ out }}/two'}}]}\n")
	s := AnsibleLocal{PlaybookFiles: []steps.File{file(t, filepath.Join(e.Dir, "site.yml"), rolePlaybook), second}}
	s.RolePaths, s.GroupVars, s.InventoryGroups = []string{"roles/greet"}, "gv", []dag.Text{"web"}
	s.StagingDirectory, s.CleanStagingDirectory = dag.Text(stage), true
	s.Command = dag.Text("TMPDIR=" + t.TempDir() + " ANSIBLE_REMOTE_TEMP=" + t.TempDir() + " ANSIBLE_LOCAL_TEMP=" + t.TempDir() + " GREETING=hi ansible-playbook")
	s.ExtraArguments = []dag.Text{dag.Text("--extra-vars 'out=" + out + " secret=" + dag.Mark("key-1") + "'")}
	s = s.prepared(t, e, m)

	// An interruption while the first playbook runs: another process follows it.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sink := &memSink{}
	sink.on = func(ev dag.Event) {
		if strings.Contains(ev.Text, "PLAY [all]") {
			cancel()
		}
	}
	first := task(sink)
	if _, err := s.Do(ctx, e, first); !errors.Is(err, context.Canceled) {
		t.Fatalf("suspended: %v %s", err, sink.printed())
	}
	other := ansibleEnv(t)
	other.Dir = e.Dir
	if _, err := s.Do(t.Context(), other, again(first, sink)); err != nil {
		t.Fatal(err, sink.printed())
	}
	if got := tree(t, out); got != "motd=hello group\n told=PRIVATE two=two" {
		t.Errorf("made %q", got)
	}
	if n := strings.Count(sink.printed(), "PLAY [all]"); n != 1 || !strings.Contains(sink.printed(), "hi from web null ['web']") {
		t.Errorf("%d plays, printed %s", n, sink.printed())
	}
	if n := strings.Count(sink.said(dag.Said), "uploading"); n != 4 {
		t.Errorf("uploaded %d times: %s", n, sink.said(dag.Said))
	}
	if _, err := os.Stat(stage); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the staging directory: %v", err)
	}
}

// filesRemote notes what is copied to it.
type filesRemote struct {
	fakeRemote
	got []string
}

func (r *filesRemote) Upload(_ context.Context, path string, _ io.Reader, _ int64, _ os.FileMode) error {
	r.got = append(r.got, path)
	return nil
}

func (r *filesRemote) UploadDir(_ context.Context, dst, _ string) error {
	r.got = append(r.got, dst+"/")
	return nil
}

func TestAnsibleLocalCopiesAndCalls(t *testing.T) {
	e := &comm.Env{Dir: t.TempDir()}
	f := func(name, text string) steps.File { return file(t, filepath.Join(e.Dir, name), text) }
	s := AnsibleLocal{
		PlaybookFile: f("site/plays/a.yml", "[]"), PlaybookDir: "site", PlaybookPaths: []string{"more"}, RolePaths: []string{"r/one", "r/two"}, CollectionPaths: []string{"c"},
		HostVars: "hv", InventoryFile: f("hosts", ""), GalaxyFile: f("req.yml", "roles: []\ncollections: []\n"), GalaxyForceInstall: true,
	}
	for _, dir := range []string{"more", "r/one", "r/two", "c", "hv"} {
		f(dir+"/x", dir)
	}
	s.ExtraArguments = []dag.Text{parsed("--limit '{{ build `ID` }}'"), "-v"}
	s.Command = "sudo ansible-playbook"
	s = s.prepared(t, e, comm.Machine{})
	r := &filesRemote{fakeRemote: fakeRemote{run: exits(0), boots: []string{""}}}
	tk := task(&memSink{})
	v := values{tk, comm.Machine{Endpoint: comm.Endpoint{Vars: map[string]string{"ID": "i-1"}}}, e.Dir}
	if err := s.run(t.Context(), r, v, 0); err != nil {
		t.Fatal(err)
	}
	stage := "/tmp/packer-provisioner-ansible-local/" + tk.Token
	var want []string
	for _, name := range []string{"./", "playbooks/more/", "roles/one/", "roles/two/", "collections/c/", "host_vars/", "hosts", "req.yml"} {
		want = append(want, strings.Replace(stage+"/"+name, "/./", "/", 1))
	}
	slices.Sort(want)
	slices.Sort(r.got)
	if !slices.Equal(r.got, want) {
		t.Errorf("copied %q, want %q", r.got, want)
	}
	cd := "cd '" + stage + "' && "
	calls := []string{
		cd + "ansible-galaxy role install -r req.yml --force --roles-path " + stage + "/roles",
		cd + "ansible-galaxy collection install -r req.yml --force --collections-path " + stage + "/collections",
		cd + `sudo ansible-playbook 'plays/a.yml' --extra-vars '{"packer_build_name":"web","packer_builder_type":"null"}' --limit 'i-1' -v -c local -i 'hosts'`,
	}
	for i, j := range r.ran {
		if i >= len(calls) || j.Command != calls[i] {
			t.Errorf("ran %s", j.Command)
		}
	}
	if len(r.ran) != len(calls) || r.ran[2].Become == "" {
		t.Errorf("%d calls", len(r.ran))
	}
	for code, want := range map[int]string{127: "install it by a shell provisioner", 2: "tasks have failed"} {
		r.run = exits(code)
		wantError(t, s.run(t.Context(), r, v, 0), want)
	}
}

func TestAnsibleLocalCheck(t *testing.T) {
	p := steps.File{Path: "/p"}
	for want, s := range map[string]*AnsibleLocal{
		"":              {PlaybookFile: p},
		"playbook_file": {PlaybookFile: p, PlaybookFiles: []steps.File{p}},
		"inventory_groups (idle), galaxy_force_install (idle)": {PlaybookFile: p, InventoryFile: p, InventoryGroups: []dag.Text{"g"}, GalaxyForceInstall: true},
	} {
		if got := fields(s.Check()); got != want {
			t.Errorf("option errors of %q, want %q", got, want)
		}
	}
	if f := (&AnsibleLocal{}).Check(); len(f) != 1 || len(f[0].Among) != 2 {
		t.Errorf("nothing to play: %v", f)
	}
	s := AnsibleLocal{PlaybookFile: p, RolePaths: []string{"none"}}
	if f := s.ResolveFiles(find(t.TempDir())); fields(f) != "role_paths[0]" {
		t.Errorf("%v", f)
	}
}
