package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/interp"
	"github.com/imgflow/imgflow/template"
	"github.com/imgflow/imgflow/template/compile"
	"github.com/imgflow/imgflow/template/convert"
	"github.com/imgflow/imgflow/template/hcl"
)

// keysOf are the keys of the steps of a template, and what is wrong with it.
func keysOf(dir string, t template.Parsed) (keys []string, errs template.Errors) {
	env := map[string]string{"AWS_REGION": "us-east-1", "HOME": dir, "METHOD": "m"}
	w := newWorld(app.WorldOptions{Env: app.NewEnv([]string{"AWS_REGION=us-east-1", "HOME=" + dir, "PATH=" + os.Getenv("PATH")}, dir), Dir: dir})
	defer w.Close()
	n := 0
	ev, errs := t.Evaluate(template.Inputs{Vars: map[string]string{}, Dir: dir, Cwd: dir, Clock: time.Date(2026, 11, 29, 10, 20, 30, 0, time.UTC),
		UUID:    func() string { n++; return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) },
		Environ: func(name string) string { return env[name] }})
	if len(errs) > 0 {
		return nil, errs
	}
	g, errs := compile.Compile(context.Background(), ev, w.Catalog(false), compile.Options{Cwd: dir, Dir: dir, ForRun: true,
		Digest: func(text string) string {
			plain, err := interp.Reveal(text, func(name string) (string, error) { return ev.Secrets[name], nil })
			return fmt.Sprint("digest of ", plain, err)
		}})
	if len(errs) > 0 {
		return nil, errs
	}
	for _, node := range g.Nodes {
		keys = append(keys, fmt.Sprintf("%s %s %s", node.Name, node.Kind, node.Canon))
	}
	slices.Sort(keys)
	return keys, nil
}

// jsonTemplates are all templates of the repository in JSON that can be run, each with the folder that it needs.
func jsonTemplates(t *testing.T) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	examples, err := filepath.Glob("../../examples/*/*.json")
	if err != nil || len(examples) < 4 {
		t.Fatal(examples, err)
	}
	for _, path := range examples {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		path, err = filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		found[path] = src
	}
	archives, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range archives {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for _, f := range a.Files {
			name := filepath.Join(dir, f.Name)
			os.MkdirAll(filepath.Dir(name), 0o755)
			if err := os.WriteFile(name, f.Data, 0o644); err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(name, ".json") {
				found[name] = f.Data
			}
		}
	}
	return found
}

// TestConvertKeepsKeys: what a JSON template is in HCL2 has the same steps.
func TestConvertKeepsKeys(t *testing.T) {
	same := 0
	templates := jsonTemplates(t)
	for _, path := range slices.Sorted(maps.Keys(templates)) {
		parsed, errs := template.Parse(filepath.Base(path), templates[path])
		if len(errs) > 0 {
			continue
		}
		want, errs := keysOf(filepath.Dir(path), parsed)
		if len(errs) > 0 {
			continue
		}
		compare(t, path, filepath.Dir(path), parsed, want)
		same++
	}
	if same < 40 {
		t.Errorf("only %d templates were looked at", same)
	}
}

// TestBothLanguagesHaveTheSameKeys: a template in JSON, what somebody would write for it in HCL2, and what convert makes of
// it have all their steps in common, with secrets and names.
func TestBothLanguagesHaveTheSameKeys(t *testing.T) {
	archives, err := filepath.Glob("testdata/equal/*.txtar")
	if err != nil || len(archives) < 3 {
		t.Fatal(archives, err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			dir, src := t.TempDir(), map[string][]byte{}
			for _, f := range a.Files {
				src[f.Name] = f.Data
				if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			parsed, errs := template.Parse("t.json", src["t.json"])
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			want, errs := keysOf(dir, parsed)
			if len(errs) > 0 || len(want) < 15 {
				t.Fatalf("%d steps: %v", len(want), errs)
			}
			written, errs := hcl.Parse([]template.VarFile{{Name: "t.pkr.hcl", Src: src["t.pkr.hcl"]}})
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			got, errs := keysOf(dir, written)
			if len(errs) > 0 || !slices.Equal(got, want) {
				t.Errorf("%v\nthe keys differ: %s", errs, differ(got, want))
			}
			compare(t, path, dir, parsed, want)
		})
	}
}

// TestExamplesInBothLanguages: an example that is there in JSON and in HCL2 is one example.
func TestExamplesInBothLanguages(t *testing.T) {
	bin := t.TempDir() // Ansible need not be here to be planned
	if err := os.WriteFile(filepath.Join(bin, "ansible-playbook"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	written, err := filepath.Glob("../../examples/*/image.pkr.hcl")
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for _, path := range written {
		dir, err := filepath.Abs(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		src, err := os.ReadFile(filepath.Join(dir, "image.json"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		text, err2 := os.ReadFile(path)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		parsed, errs := template.Parse("image.json", src)
		inHCL, errs2 := hcl.Parse([]template.VarFile{{Name: "image.pkr.hcl", Src: text}})
		if len(errs)+len(errs2) > 0 {
			t.Fatal(path, errs, errs2)
		}
		want, errs := keysOf(dir, parsed)
		got, errs2 := keysOf(dir, inHCL)
		if len(errs)+len(errs2) > 0 || !slices.Equal(got, want) {
			t.Errorf("%s: %v %v\nthe keys differ: %s", path, errs, errs2, differ(got, want))
		}
		same++
	}
	if same < 11 {
		t.Errorf("only %d examples are there in both languages", same)
	}
}

// differ are the steps that only one of two lists has.
func differ(got, want []string) string {
	only := func(a, b []string) []string {
		return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
	}
	return fmt.Sprintf("%q\nwant %q", only(got, want), only(want, got))
}

func compare(t *testing.T, path, dir string, parsed *template.Template, want []string) {
	t.Helper()
	text, errs := convert.HCL("t.pkr.hcl", parsed)
	if len(errs) > 0 {
		t.Errorf("%s: %v", path, errs)
		return
	}
	if again, errs := hcl.Format(template.VarFile{Name: "t.pkr.hcl", Src: text}); len(errs) > 0 || !bytes.Equal(again, text) {
		t.Errorf("%s: it is not laid out:\n%s", path, text)
	}
	converted, errs := hcl.Parse([]template.VarFile{{Name: "t.pkr.hcl", Src: text}})
	if len(errs) > 0 {
		t.Errorf("%s: %v\n%s", path, errs, text)
		return
	}
	got, errs := keysOf(dir, converted)
	if len(errs) > 0 {
		t.Errorf("%s: %v\n%s", path, errs, text)
		return
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: the keys differ: %s\n%s", path, differ(got, want), text)
	}
}
