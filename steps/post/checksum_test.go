package post

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

// The lines are those of Packer 1.6.6.
func TestChecksum(t *testing.T) {
	e, dir := place(t)
	write(t, "a", dir, "out", "f1.txt")
	write(t, "b", dir, "out", "f2.txt")
	write(t, "before", dir, "sum.md5")
	s := Checksum{Of: files("out/f1.txt", "out/f2.txt", "out"), Build: dag.Build{Name: "f", Type: "file"}, ChecksumTypes: []string{"md5", "sha256"},
		Output: "sum." + dag.Word("{{.ChecksumType}}")}
	m := &making{run: "run1", token: "t"}
	made, err := s.Do(t.Context(), e, m.task())
	if err != nil || made.ID != "" || !slices.Equal(made.Files, []string{"out/f1.txt", "out/f2.txt", "out", "sum.md5", "sum.sha256"}) {
		t.Fatalf("%+v %v", made, err)
	}
	const md5 = "before\n0cc175b9c0f1b6a831c399e269772661\tf1.txt\n92eb5ffee6ae2fec3ad71c777531578f\tf2.txt\n"
	if got := read(t, dir, "sum.md5"); got != md5 {
		t.Errorf("%q", got)
	}
	if got := read(t, dir, "sum.sha256"); got[:80] != "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb\tf1.txt\n3e23e816" {
		t.Errorf("%q", got)
	}
	// Interrupted before its last line was there, or after.
	for range 2 {
		if _, err := s.Do(t.Context(), e, m.task()); err != nil || read(t, dir, "sum.md5") != md5 {
			t.Errorf("%q %v", read(t, dir, "sum.md5"), err)
		}
		m.saved = maps.Clone(m.saved)
		write(t, md5[:len(md5)-len("92eb5ffee6ae2fec3ad71c777531578f\tf2.txt\n")], dir, "sum.md5")
	}
	// What only ends as a line does is none.
	write(t, "x"+md5[len("before\n"):], dir, "sum.md5")
	if _, err := s.Do(t.Context(), e, m.task()); err != nil || read(t, dir, "sum.md5") != "x"+md5[len("before\n"):]+"0cc175b9c0f1b6a831c399e269772661\tf1.txt\n" {
		t.Errorf("%q %v", read(t, dir, "sum.md5"), err)
	}
	// Another run adds its own.
	write(t, md5, dir, "sum.md5")
	s.ChecksumTypes = nil
	if _, err := s.Do(t.Context(), e, (&making{run: "run2", token: "t", saved: map[string]json.RawMessage{}}).task()); err != nil || read(t, dir, "sum.md5") != md5+md5[len("before\n"):] {
		t.Errorf("%q %v", read(t, dir, "sum.md5"), err)
	}
	// Interrupted between two files, where an earlier run has left the second one's line.
	const second = "92eb5ffee6ae2fec3ad71c777531578f\tf2.txt\n"
	write(t, second, dir, "sum.md5")
	m = &making{run: "run3", token: "t"}
	for range 2 {
		if _, err := s.Do(t.Context(), e, m.task()); err != nil || read(t, dir, "sum.md5") != second+md5[len("before\n"):] {
			t.Errorf("%q %v", read(t, dir, "sum.md5"), err)
		}
		write(t, second+md5[len("before\n"):len(md5)-len(second)], dir, "sum.md5")
	}
	s.Output = ""
	if made, err := s.Do(t.Context(), e, (&making{}).task()); err != nil || made.Files[3] != "packer_f_file_md5.checksum" {
		t.Errorf("%+v %v", made, err)
	}
}

func TestChecksumRefuses(t *testing.T) {
	e, _ := place(t)
	_, err := Checksum{Of: files("nothing")}.Do(t.Context(), e, (&making{}).task())
	wantError(t, err, "cannot write the checksum of nothing: ")
	s := Checksum{ChecksumTypes: []string{"md5", "crc32", "md5"}}
	if errs := s.Check(); len(errs) != 2 || errs[0].Field != "checksum_types[1]" || errs[1].Field != "checksum_types[2]" {
		t.Errorf("%+v", errs)
	}
	sink := &making{}
	if made, err := (Checksum{Of: image}).Do(t.Context(), e, sink.task()); err != nil || made.Files != nil || sink.sink.said() != "there are no files to take checksums of" {
		t.Errorf("%+v %v", made, err)
	}
}
