package post

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
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
)

func tarred(t *testing.T, r io.Reader) (all string) {
	t.Helper()
	for a := tar.NewReader(r); ; {
		h, err := a.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		p, _ := io.ReadAll(a)
		all += h.Name + "=" + string(p) + " "
	}
}

func unzipped(t *testing.T, text string) io.Reader {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCompress(t *testing.T) {
	e, dir := place(t)
	write(t, "one", dir, "in", "a")
	write(t, "two", dir, "in", "sub", "b")
	b := dag.Build{Name: "web", Type: "file"}
	for out, s := range map[string]Compress{
		"new/x.tar": {}, "x.tar.gz": {CompressionLevel: 12}, "x.tgz": {}, "packer_web_file": {}, "x.zip": {CompressionLevel: 1}, "bare": {Format: "tar"},
	} {
		s.Of, s.Build = files("in/a", "in/sub/b"), b
		if out != "packer_web_file" {
			s.Output = dag.Text(out)
		}
		made, err := s.Do(t.Context(), e, (&making{token: "t"}).task())
		if err != nil || made.Builder != "packer.post-processor.compress" || !slices.Equal(made.Files, []string{out}) {
			t.Fatalf("%s: %+v %v", out, made, err)
		}
		text, got := read(t, dir, out), ""
		switch out {
		case "new/x.tar", "bare":
			got = tarred(t, strings.NewReader(text))
		case "x.zip":
			z, err := zip.NewReader(bytes.NewReader([]byte(text)), int64(len(text)))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range z.File {
				r, _ := f.Open()
				p, _ := io.ReadAll(r)
				got += strings.TrimPrefix(f.Name, "in/") + "=" + string(p) + " "
			}
			got = strings.Replace(got, "sub/b", "b", 1)
		default:
			got = tarred(t, unzipped(t, text))
		}
		if got != "a=one b=two " {
			t.Errorf("%s holds %q", out, got)
		}
	}
	if _, err := (Compress{Of: files("in/a"), Output: "one.gz"}).Do(t.Context(), e, (&making{token: "t"}).task()); err != nil {
		t.Fatal(err)
	}
	if p, err := io.ReadAll(unzipped(t, read(t, dir, "one.gz"))); err != nil || string(p) != "one" {
		t.Errorf("%q %v", p, err)
	}
}

// A name in a zip begins in no root, wherever the file is.
func TestCompressNames(t *testing.T) {
	e, dir := place(t)
	write(t, "one", dir, "a")
	if _, err := (Compress{Of: files(filepath.Join(dir, "a")), Output: "x.zip"}).Do(t.Context(), e, (&making{token: "t"}).task()); err != nil {
		t.Fatal(err)
	}
	text := read(t, dir, "x.zip")
	z, err := zip.NewReader(strings.NewReader(text), int64(len(text)))
	if err != nil || len(z.File) != 1 || filepath.IsAbs(z.File[0].Name) || !strings.HasSuffix(z.File[0].Name, "/a") {
		t.Errorf("%+v %v", z, err)
	}
}

// What was interrupted is found by what it holds, and what is not whole goes.
func TestCompressInterrupted(t *testing.T) {
	e, dir := place(t)
	write(t, "one", dir, "a")
	s := Compress{Of: files("a"), Output: "x.tar"}
	m := &making{token: "t"}
	if _, err := (Packed{}).Find(t.Context(), e, m.task()); !errors.Is(err, dag.ErrNotFound) {
		t.Error(err)
	}
	made, err := s.Do(t.Context(), e, m.task())
	if err != nil {
		t.Fatal(err)
	}
	write(t, "part", dir, ".t.tmp")
	found, err := Packed{}.Find(t.Context(), e, m.task())
	if _, still := os.Stat(filepath.Join(dir, ".t.tmp")); err != nil || found.Digest != made.Digest || still == nil {
		t.Errorf("%+v %v", found, err)
	}
	write(t, "other", dir, "x.tar")
	if _, err := (Packed{}).Find(t.Context(), e, m.task()); !errors.Is(err, dag.ErrNotFound) {
		t.Error(err)
	}
	// What somebody has changed is theirs.
	if err := made.Undo(t.Context(), e, m.task()); err != nil || read(t, dir, "x.tar") != "other" || !strings.Contains(m.sink.said(), "was changed") {
		t.Error(err)
	}
	write(t, "part", dir, ".t.tmp") // of an attempt that was killed, whose call is made again
	if made, err = s.Do(t.Context(), e, m.task()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := made.Undo(t.Context(), e, m.task()); err != nil {
			t.Error(err)
		}
	}
	if _, err := made.Find(t.Context(), e, m.task()); !errors.Is(err, dag.ErrNotFound) {
		t.Error(err)
	}
}

func TestCompressRefuses(t *testing.T) {
	e, dir := place(t)
	write(t, "one", dir, "a")
	write(t, "two", dir, "sub", "a")
	for want, s := range map[string]Compress{
		"a .gz holds one file, and there are 2": {Of: files("a", "sub/a"), Output: "x.gz"},
		"would have one name in a tar":          {Of: files("a", "sub/a"), Output: "x.tar"},
		"there are no files":                    {Of: image, Output: "x.tar"},
		"nothing":                               {Of: files("nothing"), Output: "x.tar"},
		"it is a directory":                     {Of: files("sub"), Output: "x.zip"},
		".xz are not supported":                 {Of: files("a"), Output: "x.xz"},
	} {
		_, err := s.Do(t.Context(), e, (&making{token: "t"}).task())
		wantError(t, err, "cannot pack what was made into "+string(s.Output)+": ", want)
	}
	if list, _ := os.ReadDir(dir); len(list) != 2 {
		t.Errorf("left is %v", list)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Compress{Of: files("a"), Output: "x.tar"}).Do(ctx, e, (&making{token: "t"}).task()); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupt is not heard: %v", err)
	}
	var fields []string
	for _, s := range []Compress{{CompressionLevel: -2}, {CompressionLevel: 10}, {Format: "rar"}, {Output: "x.lz4"}, {Archive: "tar"}, {Algorithm: "gz"}, {Output: "x.tgz", Format: "zip"}} {
		for _, f := range s.Check() {
			fields = append(fields, f.Field)
		}
	}
	if !slices.Equal(fields, []string{"compression_level", "compression_level", "format", "output", "archive", "algorithm"}) {
		t.Errorf("%q", fields)
	}
	var _ steps.PostProcessor = &Compress{}
}

// Only what is known of the file's name is claimed.
func TestCompressClaims(t *testing.T) {
	b := dag.Build{Name: `file.a["x"]`, Label: "a", Type: "file"}
	for want, s := range map[string]Compress{
		"file packer_a_file": {},
		"file a/file.tar":    {Output: "./" + dag.Word("{{.BuildName}}") + "/" + dag.Word("{{ .BuilderType }}") + ".tar"},
		"":                   {Output: dag.Word("{{ build `ID` }}") + ".tar"},
	} {
		got := ""
		for _, c := range s.Claims(b) {
			got += c.Key
		}
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
