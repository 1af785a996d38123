package hcl

import (
	"bytes"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/imgflow/imgflow/template"
)

// apart are files with blank lines and comments between their blocks.
func apart(files []txtar.File) (list []txtar.File) {
	for _, f := range files {
		list = append(list, txtar.File{Name: f.Name, Data: bytes.ReplaceAll(f.Data, []byte("\n}\n"), []byte("\n}\n\n\n# more\n\n"))})
	}
	return list
}

func TestFormat(t *testing.T) {
	const src = "source   \"amazon-ebs\" \"a\" {\n# what it is\nregion=\"us-east-1\"\n    instance_type =   var.type // small\n\n  tags={\na=1\nlonger = 2}\n  user_data = <<EOT\n   as = it  is\nEOT\n}\n"
	const want = "source \"amazon-ebs\" \"a\" {\n  # what it is\n  region        = \"us-east-1\"\n  instance_type = var.type // small\n\n  tags = {\n    a = 1\n  longer = 2 }\n  user_data = <<EOT\n   as = it  is\nEOT\n}\n"
	for _, bom := range []string{"", "\ufeff"} {
		got, errs := Format(template.VarFile{Name: "a.pkr.hcl", Src: []byte(bom + src)})
		if string(got) != want || errs != nil {
			t.Errorf("%v\n%s", errs, got)
		}
	}
	got, errs := Format(template.VarFile{Name: "a.pkr.hcl", Src: []byte("a = 1\nb = [\n")})
	if got != nil || len(errs) != 1 || errs[0].Pos.Line != 3 && errs[0].Pos.Line != 2 {
		t.Errorf("a faulty file: %q, %v", got, errs)
	}
	if _, errs = Format(template.VarFile{Name: "a.pkr.hcl", Src: []byte("a = " + strings.Repeat("[", 100_000))}); len(errs) != 1 {
		t.Errorf("a deep one: %v", errs)
	}
}

// TestFormatKeepsLines: what is laid out has the same words in the same lines, and is not changed a second time.
func TestFormatKeepsLines(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	looked, space := 0, regexp.MustCompile(`[ \t]+`)
	for _, path := range archives {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range slices.Concat(a.Files, apart(a.Files)) {
			once, errs := Format(template.VarFile{Name: f.Name, Src: f.Data})
			if !strings.HasSuffix(f.Name, ".hcl") || errs != nil {
				continue
			}
			looked++
			if twice, errs := Format(template.VarFile{Name: f.Name, Src: once}); errs != nil || !bytes.Equal(once, twice) {
				t.Errorf("%s: %s is laid out again: %v\n%s", path, f.Name, errs, twice)
			}
			before, after := strings.Split(string(f.Data), "\n"), strings.Split(string(once), "\n")
			if len(before) != len(after) {
				t.Errorf("%s: %s: %d lines became %d", path, f.Name, len(before), len(after))
				continue
			}
			for i := range before {
				if space.ReplaceAllString(before[i], "") != space.ReplaceAllString(after[i], "") {
					t.Errorf("%s: %s: line %d: %q became %q", path, f.Name, i+1, before[i], after[i])
				}
			}
		}
	}
	if looked < 60 {
		t.Errorf("%d files were looked at", looked)
	}
}
