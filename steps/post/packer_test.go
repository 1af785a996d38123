package post

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
)

// What Packer's own manifest and checksum write, ours write to the byte, but for the
// time and the run.
func TestAsPacker(t *testing.T) {
	packer, err := exec.LookPath("packer")
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("NOT TESTED: that manifests are as Packer's: ", err)
	}
	theirs := t.TempDir()
	write(t, `{"builders": [{"type": "file", "name": "f", "content": "abc", "target": "out.txt"}],
"post-processors": ["manifest", [{"type": "checksum", "checksum_types": ["sha1", "sha512"], "output": "sum.{{.ChecksumType}}"},
 {"type": "manifest", "output": "m.json", "strip_path": true, "custom_data": {"b": "<&>", "a": "é"}}]]}`, theirs, "t.json")
	cmd := exec.Command(packer, "build", "t.json")
	cmd.Dir = theirs
	cmd.Env = []string{"HOME=" + theirs, "PATH=" + os.Getenv("PATH"), "CHECKPOINT_DISABLE=1", "PACKER_PLUGIN_MIN_PORT=20000"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	e, ours := place(t)
	write(t, "abc", ours, "out.txt")
	b := dag.Build{Name: "f", Type: "file"}
	task := func() *dag.Task { return (&making{run: "run1", token: "t"}).task() }
	if _, err := (Manifest{Of: files("out.txt"), Build: b}).Do(t.Context(), e, task()); err != nil {
		t.Fatal(err)
	}
	sums, err := Checksum{Of: files("out.txt"), Build: b, ChecksumTypes: []string{"sha1", "sha512"}, Output: "sum." + dag.Word("{{.ChecksumType}}")}.Do(t.Context(), e, task())
	if err != nil {
		t.Fatal(err)
	}
	second := Manifest{Of: dag.Lit[steps.Product](sums), Build: b, Output: "m.json", StripPath: true, CustomData: map[string]dag.Text{"b": "<&>", "a": "é"}}
	if _, err := second.Do(t.Context(), e, task()); err != nil {
		t.Fatal(err)
	}
	varies := regexp.MustCompile(`"build_time": \d+|_uuid": "[^"]*"`)
	for _, name := range []string{"packer-manifest.json", "m.json", "sum.sha1", "sum.sha512"} {
		want, got := varies.ReplaceAllString(read(t, theirs, name), "…"), varies.ReplaceAllString(read(t, ours, name), "…")
		if got != want {
			t.Errorf("%s is\n%s\nand Packer's\n%s", filepath.Base(name), got, want)
		}
	}
}
