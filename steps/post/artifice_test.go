package post

import (
	"path/filepath"
	"slices"
	"testing"
)

func TestArtifice(t *testing.T) {
	e, dir := place(t)
	e.Dir = filepath.Join(dir, "a [b]*")
	dir = e.Dir
	write(t, "1", dir, "out", "b.raw")
	write(t, "2", dir, "out", "a.raw")
	s := Artifice{Of: image, Files: []string{"out/*.raw", "./out/a.raw", filepath.Join(filepath.Dir(dir), "*", "out", "b.raw")}}
	made, err := s.Do(t.Context(), e, (&making{}).task())
	if err != nil || made.ID != "" || made.Builder != "packer.post-processor.artifice" || made.Machine.Host == "" ||
		!slices.Equal(made.Files, []string{"out/a.raw", "out/b.raw", filepath.Join(dir, "out", "b.raw")}) {
		t.Errorf("%+v %v", made, err)
	}
	s.Files = []string{"out/*.raw", "out/*.ova"}
	_, err = s.Do(t.Context(), e, (&making{}).task())
	wantError(t, err, "cannot take out/*.ova for what was made: there is no such file")
	s.Files = []string{"a[", ""}
	if errs := s.Check(); len(errs) != 2 || errs[0].Field != "files[0]" {
		t.Errorf("%+v", errs)
	}
}
