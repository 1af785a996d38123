package post

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// manifest is the file, as Packer has it.
type manifest struct {
	Builds  []json.RawMessage `json:"builds"`
	LastRun string            `json:"last_run_uuid"`
}

func noted(t *testing.T, path string) (m manifest, entries []manifestEntry) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, path)), &m); err != nil {
		t.Fatal(err)
	}
	for _, b := range m.Builds {
		var e manifestEntry
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return m, entries
}

// The bytes are those of Packer 1.6.6, with our run.
func TestManifest(t *testing.T) {
	e, dir := place(t)
	write(t, "abc", dir, "out", "disk.raw")
	for _, s := range []Manifest{
		{Of: files("out/disk.raw"), Build: dag.Build{Name: "f1", Type: "file"}},
		{Of: image, Build: dag.Build{Name: "web", Type: "amazon-ebs"}, StripTime: true, CustomData: map[string]dag.Text{"b": "2", "a": "<" + dag.Word("{{ build `SourceAMI` }}") + ">"}},
		{Of: files("out/disk.raw"), Build: dag.Build{Name: "f2", Type: "file"}, StripPath: true},
	} {
		m := &making{run: "run1", token: "t"}
		if of, err := s.Do(t.Context(), e, m.task()); err != nil || of.ID != s.Of.Value().ID {
			t.Fatal(of, err)
		}
	}
	got := regexp.MustCompile(`"build_time": \d{10},`).ReplaceAllString(read(t, dir, "packer-manifest.json"), `"build_time": TIME,`)
	want := `{
  "builds": [
    {
      "name": "f1",
      "builder_type": "file",
      "build_time": TIME,
      "files": [
        {
          "name": "out/disk.raw",
          "size": 3
        }
      ],
      "artifact_id": "File",
      "packer_run_uuid": "run1",
      "custom_data": null
    },
    {
      "name": "web",
      "builder_type": "amazon-ebs",
      "files": null,
      "artifact_id": "us-east-1:ami-0abc",
      "packer_run_uuid": "run1",
      "custom_data": {
        "a": "\u003cami-source\u003e",
        "b": "2"
      }
    },
    {
      "name": "f2",
      "builder_type": "file",
      "build_time": TIME,
      "files": [
        {
          "name": "disk.raw",
          "size": 3
        }
      ],
      "artifact_id": "File",
      "packer_run_uuid": "run1",
      "custom_data": null
    }
  ],
  "last_run_uuid": "run1"
}`
	if got != want {
		t.Errorf("%s", got)
	}
	if fi, err := os.Stat(filepath.Join(dir, "packer-manifest.json")); err != nil || fi.Mode().Perm() != 0o644 {
		t.Error(fi.Mode(), err)
	}
}

// However many processes append at once, all entries are there.
func TestManifestAtOnce(t *testing.T) {
	e, dir := place(t)
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			s := Manifest{Of: image, Build: dag.Build{Name: fmt.Sprint("b", i), Type: "amazon-ebs"}, Output: "new/m.json"}
			if _, err := s.Do(t.Context(), e, (&making{run: "run1", token: fmt.Sprint(i)}).task()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	_, entries := noted(t, filepath.Join(dir, "new", "m.json"))
	names := map[string]bool{}
	for _, x := range entries {
		names[x.Name] = true
	}
	if len(entries) != 12 || len(names) != 12 {
		t.Errorf("%+v", entries)
	}
	if list, _ := os.ReadDir(filepath.Join(dir, "new")); len(list) != 1 {
		t.Errorf("left is %v", list)
	}
}

// A second attempt finds what the first has written, also when time has gone by and
// others have written, too; one that was interrupted before that writes it with the
// time of the first.
func TestManifestInterrupted(t *testing.T) {
	e, dir := place(t)
	path := filepath.Join(dir, "m.json")
	s := Manifest{Of: image, Build: dag.Build{Name: "web", Type: "amazon-ebs"}, Output: "m.json"}
	m := &making{run: "run1", token: "t"}
	first := time.Now().Add(-time.Hour)
	begin, _ := json.Marshal(first)
	m.saved = map[string]json.RawMessage{"begun": begin}
	for range 3 {
		if _, err := s.Do(t.Context(), e, m.task()); err != nil {
			t.Fatal(err)
		}
		if _, err := (Manifest{Of: image, Build: dag.Build{Name: "other"}, Output: "m.json"}).Do(t.Context(), e, (&making{run: "run2", token: "o"}).task()); err != nil {
			t.Fatal(err)
		}
	}
	fresh := &making{run: "run1", token: "f"}
	if _, err := (Manifest{Of: image, Output: "fresh.json"}).Do(t.Context(), e, fresh.task()); err != nil || fresh.saved["begun"] == nil {
		t.Errorf("the time is not kept: %v %v", fresh.saved, err)
	}
	_, entries := noted(t, path)
	if n := len(entries); n != 4 || entries[0].Name != "web" || entries[0].Time != first.Unix() {
		t.Errorf("%+v", entries)
	}
	// One that is like it in all has an entry of its own, whether or not it is resumed.
	twin := s
	twin.Repeat = 1
	for range 2 {
		if _, err := twin.Do(t.Context(), e, m.task()); err != nil {
			t.Fatal(err)
		}
	}
	if _, entries = noted(t, path); len(entries) != 5 {
		t.Errorf("%+v", entries)
	}
}

func TestManifestForce(t *testing.T) {
	e, dir := place(t)
	for i, run := range []string{"run1", "run2", "run2"} {
		s := Manifest{Of: image, Build: dag.Build{Name: fmt.Sprint("b", i)}, Output: "m.json", Force: true}
		if _, err := s.Do(t.Context(), e, (&making{run: run, token: "t"}).task()); err != nil {
			t.Fatal(err)
		}
	}
	m, entries := noted(t, filepath.Join(dir, "m.json"))
	if len(entries) != 2 || entries[0].Name != "b1" || m.LastRun != "run2" {
		t.Errorf("%+v", entries)
	}
}

// A sensitive value is for the file alone, and only its owner may read it then.
func TestManifestSecret(t *testing.T) {
	e, dir := place(t)
	path := filepath.Join(dir, "m.json")
	write(t, "\n", path)
	os.Symlink("m.json", filepath.Join(dir, "link.json"))
	s := Manifest{Of: image, Output: "link.json", CustomData: map[string]dag.Text{"pw": dag.Text(dag.Mark("pw"))}}
	m := &making{run: "run1", token: "t"}
	if _, err := s.Do(t.Context(), e, m.task()); err != nil {
		t.Fatal(err)
	}
	fi, _ := os.Lstat(path)
	if _, entries := noted(t, path); entries[0].Custom["pw"] != "secret of pw" || fi.Mode().Perm() != 0o600 {
		t.Errorf("%+v %v", entries, fi.Mode())
	}
	if kept := fmt.Sprint(m.saved, m.sink.said()); strings.Contains(kept, "secret of") {
		t.Error(kept)
	}
}

// What cannot be noted leaves the file as it was.
func TestManifestRefuses(t *testing.T) {
	e, dir := place(t)
	write(t, `{"builds": 1}`, dir, "m.json")
	os.Mkdir(filepath.Join(dir, "directory"), 0o755)
	for want, s := range map[string]Manifest{
		"it is no manifest": {Of: image, Output: "m.json"},
		"is a directory":    {Of: image, Output: "directory"},
		"not a directory":   {Of: image, Output: "m.json/m.json"},
		"gone.raw":          {Of: files("gone.raw"), Output: "x.json"},
		"there is no build": {Of: image, Output: "x.json", CustomData: map[string]dag.Text{"a": dag.Word("{{ build `Nothing` }}")}},
	} {
		_, err := s.Do(t.Context(), e, (&making{run: "run1", token: "t"}).task())
		wantError(t, err, "cannot note in "+s.Output+" what was made: ", strings.Replace(want, "it is no manifest", "is no manifest", 1))
	}
	if got := read(t, dir, "m.json"); got != `{"builds": 1}` {
		t.Error(got)
	}
	var names []string
	list, _ := os.ReadDir(dir)
	for _, f := range list {
		names = append(names, f.Name())
	}
	if !slices.Equal(names, []string{"directory", "m.json"}) {
		t.Errorf("%q", names)
	}
}
