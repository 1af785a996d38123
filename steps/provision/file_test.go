package provision

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// find resolves paths as a template in dir does.
func find(dir string) func(string) (steps.File, error) {
	return func(path string) (steps.File, error) {
		full := path
		if !filepath.IsAbs(full) {
			full = filepath.Join(dir, path)
			if strings.HasSuffix(path, "/") {
				full += "/"
			}
		}
		return steps.NewFile(full)
	}
}

// copier resolves, checks and does.
type copier func(t testing.TB, dir string, s FileCopy) (*memSink, error)

func copyFiles(t testing.TB, dir string, s FileCopy) (*memSink, error) {
	t.Helper()
	return usual.copy(t, dir, s)
}

// eachServer runs a test against machines with all means of transfer, and with the
// fewest.
func eachServer(t *testing.T, f func(t *testing.T, copyFiles copier)) {
	t.Run("usual", func(t *testing.T) { f(t, usual.copy) })
	t.Run("neither SFTP nor tar", func(t *testing.T) { f(t, bare.copy) })
}

func (on *sshd) copy(t testing.TB, dir string, s FileCopy) (*memSink, error) {
	t.Helper()
	for _, f := range append(s.ResolveFiles(find(dir)), s.Check()...) {
		return nil, f
	}
	e, m := on.machine(t)
	sink := &memSink{}
	s.On = dag.Lit(m).Take()
	_, err := s.Do(t.Context(), e, task(sink))
	return sink, err
}

// tree lists the files below dir with their content.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		text, _ := os.ReadFile(p)
		fmt.Fprintf(&b, "%s=%s ", rel, text)
		return nil
	})
	return strings.TrimSpace(b.String())
}

func TestFileUpload(t *testing.T) { eachServer(t, testFileUpload) }

func testFileUpload(t *testing.T, copyFiles copier) {
	src := t.TempDir()
	file(t, filepath.Join(src, "a.txt"), "A")
	file(t, filepath.Join(src, "b.txt"), "B")
	file(t, filepath.Join(src, "d", "x"), "X")
	file(t, filepath.Join(src, "d", "sub", "y"), "Y")
	for _, c := range []struct {
		name, want string
		s          FileCopy // Destination below the remote directory
	}{
		{"file to a name", "new.txt=A", FileCopy{Source: "a.txt", Destination: "/new.txt"}},
		{"file into a directory", "a.txt=A", FileCopy{Source: "a.txt", Destination: "/"}},
		{"directory", "d/sub/y=Y d/x=X", FileCopy{Source: "d", Destination: ""}},
		{"directory, slash at the destination", "d/sub/y=Y d/x=X", FileCopy{Source: "d", Destination: "/"}},
		{"what the directory holds", "sub/y=Y x=X", FileCopy{Source: "d/", Destination: ""}},
		{"what the directory holds, to a new one", "new/sub/y=Y new/x=X", FileCopy{Source: "d/", Destination: "/new"}},
		{"this directory", "new/a.txt=A new/b.txt=B new/d/sub/y=Y new/d/x=X", FileCopy{Source: ".", Destination: "/new"}},
		{"this directory, slash at the destination", "a.txt=A b.txt=B d/sub/y=Y d/x=X", FileCopy{Source: ".", Destination: "/"}},
		{"this directory, slash at its end", "a.txt=A b.txt=B d/sub/y=Y d/x=X", FileCopy{Source: "./", Destination: ""}},
		{"a directory with a dot", "sub/y=Y x=X", FileCopy{Source: "d/.", Destination: ""}},
		{"a directory with a dot and a slash", "sub/y=Y x=X", FileCopy{Source: "d/./", Destination: ""}},
		{"the directory above", "sub/y=Y x=X", FileCopy{Source: "d/sub/..", Destination: ""}},
		{"the directory above, slash at its end", "sub/y=Y x=X", FileCopy{Source: "d/sub/../", Destination: ""}},
		{"known late", "sub/y=Y x=X", FileCopy{Source: parsed(filepath.Join(src, "d") + "/sub/{{ if build `ID` }}..{{ end }}"), Destination: "", Generated: true}},
		{"several", "a.txt=A b.txt=B d/sub/y=Y d/x=X", FileCopy{Source: "a.txt", Sources: []dag.Text{"b.txt", "d"}, Destination: "/"}},
		{"content", "c=id i-0abc", FileCopy{Content: parsed("id {{ build `ID` }}"), Destination: "/c"}},
		{"late destination", "i-0abc=A", FileCopy{Source: "a.txt", Destination: parsed("/{{ build `ID` }}"), Direction: "upload"}},
		{"generated", "g=A", FileCopy{Source: "a.txt", Destination: "/g", Generated: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dst := t.TempDir()
			c.s.Destination = dag.Text(dst) + c.s.Destination
			if _, err := copyFiles(t, src, c.s); err != nil {
				t.Fatal(err)
			}
			if got := tree(t, dst); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}

	dst := t.TempDir()
	sink, err := copyFiles(t, src, FileCopy{Source: "a.txt", Destination: dag.Text(dst + "/n")})
	if want := "uploading " + filepath.Join(src, "a.txt") + " => " + dst + "/n\n"; err != nil || sink.said(dag.Said) != want {
		t.Errorf("said %q, want %q, %v", sink.said(dag.Said), want, err)
	}
	if _, err := copyFiles(t, src, FileCopy{Content: "x", Destination: dag.Text(dst + "/c/")}); err == nil {
		t.Error("content into a directory that is not there")
	}
	os.Mkdir(dst+"/c", 0o755)
	if _, err := copyFiles(t, src, FileCopy{Content: "x", Destination: dag.Text(dst + "/c/")}); err != nil || !strings.HasPrefix(tree(t, dst+"/c"), "content-") {
		t.Errorf("content into a directory: %s, %v", tree(t, dst), err)
	}
	os.Chmod(filepath.Join(src, "b.txt"), 0o751)
	if _, err := copyFiles(t, src, FileCopy{Source: "b.txt", Destination: dag.Text(dst + "/mode")}); err != nil {
		t.Error(err)
	} else if fi, _ := os.Stat(dst + "/mode"); fi.Mode().Perm() != 0o751 {
		t.Errorf("mode %v", fi.Mode())
	}

	_, err = copyFiles(t, src, FileCopy{Source: "a.txt", Destination: dag.Text(dst + "/no/such")})
	wantError(t, err, dst+"/no", "does not exist")
	_, err = copyFiles(t, src, FileCopy{Source: "a.txt", Destination: dag.Text(dst)})
	wantError(t, err, "end the destination with a slash")
	for _, d := range []string{"d", "d/"} {
		_, err = copyFiles(t, src, FileCopy{Source: dag.Text(d), Destination: dag.Text(dst + "/no/such/one")})
		wantError(t, err, "the directory "+dst+"/no/such", "does not exist", "make it by a shell provisioner")
	}
}

func TestFileGeneratedLate(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	s := FileCopy{Source: parsed(filepath.Join(src, "{{ build `ID` }}")), Destination: dag.Text(dst + "/"), Generated: true}
	_, err := copyFiles(t, src, s)
	wantError(t, err, "i-0abc")
	file(t, filepath.Join(src, "i-0abc"), "late")
	if _, err := copyFiles(t, src, s); err != nil || tree(t, dst) != "i-0abc=late" {
		t.Errorf("%s, %v", tree(t, dst), err)
	}
	s.Generated = false
	_, err = copyFiles(t, src, s)
	wantError(t, err, "generated")

	file(t, filepath.Join(src, "dots...", "f"), "F")
	if _, err := copyFiles(t, src, FileCopy{Source: "dots...", Destination: dag.Text(dst + "/")}); err != nil || tree(t, dst) != "dots.../f=F i-0abc=late" {
		t.Errorf("a name that only ends with dots: %s, %v", tree(t, dst), err)
	}
}

func TestFileChanged(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	file(t, filepath.Join(src, "a"), "A")
	s := FileCopy{Source: "a", Destination: dag.Text(dst + "/a")}
	if f := s.ResolveFiles(find(src)); len(f) > 0 {
		t.Fatal(f)
	}
	file(t, filepath.Join(src, "a"), "B")
	e, m := machine(t)
	s.On = dag.Lit(m).Take()
	_, err := s.Do(t.Context(), e, task(nil))
	wantError(t, err, "has changed")
}

func TestFileDownload(t *testing.T) { eachServer(t, testFileDownload) }

func testFileDownload(t *testing.T, copyFiles copier) {
	src := t.TempDir() // on the machine
	file(t, filepath.Join(src, "a.log"), "A")
	file(t, filepath.Join(src, "b c.log"), "BC")
	file(t, filepath.Join(src, "$(touch pwned).txt"), "T")
	file(t, filepath.Join(src, "d", "x"), "X")
	os.Mkdir(filepath.Join(src, "d", "e"), 0o755)
	file(t, filepath.Join(src, ".hidden"), "H")
	for _, c := range []struct {
		name, want string
		s          FileCopy
	}{
		{"file to a name", "n=A", FileCopy{Source: "/a.log", Destination: "/n"}},
		{"file to a new directory", "deep/er/a.log=A", FileCopy{Source: "/a.log", Destination: "/deep/er/"}},
		{"glob, and the sources behind it", "a.log=A b c.log=BC x=X", FileCopy{Sources: []dag.Text{"/*.log", "/d/x"}, Destination: "/"}},
		{"glob of one", "a.log=A", FileCopy{Source: "/[a].log", Destination: ""}},
		{"name that a shell would run", "$(touch pwned).txt=T", FileCopy{Source: "/$(touch pwned).tx?", Destination: "/"}},
		{"directory", "d/x=X", FileCopy{Source: "/d", Destination: ""}},
		{"what the directory holds", "x=X", FileCopy{Source: "/d/", Destination: ""}},
		{"what the directory holds, with a dot", "into/x=X", FileCopy{Source: "/d/.", Destination: "/into"}},
		{"the directory above", "into/x=X", FileCopy{Source: "/d/e/..", Destination: "/into"}},
		{"files and a directory", "a.log=A b c.log=BC d/x=X", FileCopy{Source: "/[abd]*", Destination: ""}},
		{"what directories hold", "x=X", FileCopy{Source: "/*/", Destination: ""}},
		{"hidden files, which a shell finds . and .. beside", ".hidden=H", FileCopy{Source: "/.*", Destination: "/"}},
		{"one source over another", "x=X", FileCopy{Sources: []dag.Text{"/d/x", "/d/"}, Destination: "/"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dst := t.TempDir()
			s := c.s
			s.Direction, s.Destination = "download", dag.Text(dst)+s.Destination
			if s.Source != "" {
				s.Source = dag.Text(src) + s.Source
			}
			for i := range s.Sources {
				s.Sources[i] = dag.Text(src) + s.Sources[i]
			}
			if _, err := copyFiles(t, "", s); err != nil {
				t.Fatal(err)
			}
			if got := tree(t, dst); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	dst := t.TempDir()
	for _, name := range []string{"/nosuch", "/nosuch*", "/a.log/"} {
		_, err := copyFiles(t, "", FileCopy{Direction: "download", Source: dag.Text(src + name), Destination: dag.Text(dst + "/x")})
		wantError(t, err, "cannot download", name)
	}
	if got := tree(t, dst); got != "" {
		t.Errorf("failed downloads left %q", got)
	}
	if err := exec.Command("mkfifo", filepath.Join(src, "fifo")).Run(); err != nil {
		t.Fatal(err)
	}
	_, err := copyFiles(t, "", FileCopy{Direction: "download", Source: dag.Text(src + "/fifo"), Destination: dag.Text(dst + "/x")})
	wantError(t, err, "cannot download", "neither a file nor a directory")
	t.Chdir(dst)
	if _, err := copyFiles(t, "", FileCopy{Direction: "download", Source: dag.Text(src + "/a.log"), Destination: "rel/"}); err != nil || tree(t, dst) != "rel/a.log=A" {
		t.Errorf("relative: %q, %v", tree(t, dst), err)
	}
}

func TestFileCheck(t *testing.T) {
	dir := t.TempDir()
	file(t, filepath.Join(dir, "a"), "A")
	file(t, filepath.Join(dir, "b"), "B")
	for _, c := range []struct {
		want string
		s    FileCopy
	}{
		{"", FileCopy{Source: "a", Destination: "/x"}},
		{"source", FileCopy{Source: "nosuch", Destination: "/x"}},
		{"sources[1]", FileCopy{Sources: []dag.Text{"a", "nosuch"}, Destination: "/x/"}},
		{"", FileCopy{Source: "nosuch", Destination: "/x", Generated: true}},
		{"direction", FileCopy{Source: "a", Destination: "/x", Direction: "sideways"}},
		{"content", FileCopy{Source: "a", Content: "x", Destination: "/x"}},
		{"content", FileCopy{Content: "x", Destination: "/x", Direction: "download"}},
		{"destination", FileCopy{Source: "a"}},
		{"destination", FileCopy{Sources: []dag.Text{"a", "b"}, Destination: "/x"}},
		{"", FileCopy{Sources: []dag.Text{"/remote/*", "b"}, Destination: "x", Direction: "download"}},
		{"source", FileCopy{Source: dag.Text(dag.Mark("secret")), Destination: "/x"}},
	} {
		s := c.s
		found := s.ResolveFiles(find(dir))
		if len(found) == 0 {
			found = s.Check()
		}
		if got := fields(found); got != c.want {
			t.Errorf("%+v: option errors of %q, want %q: %v", c.s, got, c.want, found)
		}
	}
	if f := (&FileCopy{Destination: "/x"}).Check(); len(f) != 1 || f[0].Field != "" {
		t.Errorf("of nothing: %v", f)
	}
}

func TestFileKey(t *testing.T) {
	key := func(dir string, s FileCopy) dag.Key {
		t.Helper()
		if f := s.ResolveFiles(find(dir)); len(f) > 0 {
			t.Fatal(errors.Join(f[0]))
		}
		g := dag.NewGraph(nil)
		s.Add(g, dag.Build{Name: "web"}, "file", dag.Lit(comm.Machine{}))
		return g.Nodes[0].Key
	}
	one, two, three := t.TempDir(), t.TempDir(), t.TempDir()
	file(t, filepath.Join(one, "a"), "A")
	file(t, filepath.Join(two, "a"), "A")
	file(t, filepath.Join(three, "a"), "other")
	file(t, filepath.Join(three, "b"), "A")
	base := key(one, FileCopy{Source: "a", Destination: "/x/"})
	if key(two, FileCopy{Source: dag.Text(filepath.Join(two, "a")), Destination: "/x/"}) != base {
		t.Error("where the file lies is part of the key")
	}
	if key(three, FileCopy{Source: "a", Destination: "/x/"}) == base {
		t.Error("the content is not part of the key")
	}
	if key(three, FileCopy{Source: "b", Destination: "/x/"}) == base {
		t.Error("the name, which the destination takes on, is not part of the key")
	}
	if key(one, FileCopy{Source: dag.Text(one), Destination: "/x"}) == key(one, FileCopy{Source: dag.Text(one + "/"), Destination: "/x"}) {
		t.Error("the slash is not part of the key")
	}
}

// A machine's names become those of files here, and nothing else.
func TestMatched(t *testing.T) {
	linux, windows := paths{"/"}, paths{`/\`}
	for _, c := range []struct {
		p             paths
		pattern, name string
		want          string // "taken", "passed by" or "refused"
	}{
		{linux, "/out/*", "/out/a b", "taken"},
		{linux, "/out/*", "/out/a\xff", "taken"},
		{linux, "/out/*", `/out/a\b`, "taken"},
		{linux, "/out/*", "/elsewhere/...", "taken"},
		{linux, "/out/*", "/out/..", "refused"},
		{linux, "/out/*", "/out/.", "refused"},
		{linux, "/out/*", "..", "refused"},
		{linux, "/out/*", "", "refused"},
		{linux, "/out/*", "/out/a/", "refused"},
		{linux, "/out/*", "/", "refused"},
		{linux, "/out/*/", "/out/a/", "taken"},
		{linux, "/out/*/", "/out/../", "refused"},
		{linux, "/out/*/", "/", "refused"},
		{linux, "/out/.*", "/out/..", "passed by"},
		{linux, "/out/.*/", "/out/./", "passed by"},
		{linux, "/out/.*", "/out/.a", "taken"},
		{windows, `C:\out\*`, `C:\out\a b`, "taken"},
		{windows, `C:\out\*`, `C:/out/a`, "taken"},
		{windows, `C:\out\*`, `C:\out\..`, "refused"},
		{windows, `C:\out\*`, `C:\out\`, "refused"},
		{windows, `C:\out\*`, `C:`, "refused"},
		{windows, `C:\out\*`, `C:\out\a:b`, "refused"},
		{windows, `C:\out\*`, "C:\\out\\a\x00b", "refused"},
	} {
		names, err := c.p.matched(c.pattern, []string{c.name})
		got := "taken"
		switch {
		case err != nil:
			got = "refused"
		case len(names) == 0:
			got = "passed by"
		}
		if got != c.want {
			t.Errorf("%s finds %q: %s, want %s", c.pattern, c.name, got, c.want)
		}
	}
}
