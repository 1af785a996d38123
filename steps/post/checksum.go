package post

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Checksum writes the checksums of the files that were made, a line for each, behind what its file holds.
type Checksum struct {
	Of    dag.Out[steps.Product] `json:"of"`
	Build dag.Build              `json:"build,omitzero" option:"-"`
	steps.InputOptions

	// Kinds of checksums: md5, sha1, sha224, sha256, sha384, sha512. Default: `md5`.
	ChecksumTypes []string `json:"checksum_types,omitempty"`
	// The file, one for each kind if its name has {{.ChecksumType}}. Default:
	// `packer_{{.BuildName}}_{{.BuilderType}}_{{.ChecksumType}}.checksum`.
	Output dag.Text `json:"output,omitempty" option:"late=BuildName+BuilderType+ChecksumType+build"`
}

var checksums = []struct {
	name string
	make func() hash.Hash
}{
	{"md5", md5.New}, {"sha1", sha1.New}, {"sha224", sha256.New224}, {"sha256", sha256.New}, {"sha384", sha512.New384}, {"sha512", sha512.New},
}

func checksum(name string) func() hash.Hash {
	for _, c := range checksums {
		if c.name == name {
			return c.make
		}
	}
	return nil
}

func (Checksum) Kind() string  { return "post.checksum" }
func (Checksum) Title() string { return "write checksums" }

// Check refuses kinds that are not known.
func (s *Checksum) Check() []steps.OptionError {
	var f steps.OptionErrors
	for i, name := range s.ChecksumTypes {
		if checksum(name) == nil {
			f.Add(fmt.Sprintf("checksum_types[%d]", i), "%q is not known: it is one of md5, sha1, sha224, sha256, sha384, sha512", name)
		}
		if slices.Contains(s.ChecksumTypes[:i], name) {
			f.Add(fmt.Sprintf("checksum_types[%d]", i), "%s is there twice", name)
		}
	}
	return f
}

// Gives is what it was given, with its own files.
func (*Checksum) Gives() steps.Gives { return steps.GivesSame }

// LocalFiles are the files of sums.
func (s Checksum) LocalFiles() comm.LocalFiles {
	var f comm.LocalFiles
	for _, kind := range s.kinds() {
		out := dag.Text(s.defaultOutput(kind))
		if s.Output != "" {
			out = s.Output
		}
		f.Reads, f.Writes = append(f.Reads, out.Pattern()), append(f.Writes, out.Pattern())
	}
	return f
}

// Add adds the step.
func (s *Checksum) Add(g *dag.Graph, b dag.Build, name string, in dag.Out[steps.Product]) dag.Out[steps.Product] {
	step := *s
	step.Of, step.Build = in, b.Labelled()
	return dag.Add(g, b, name, step)
}

// Do adds the lines that an earlier attempt has not added.
func (s Checksum) Do(ctx context.Context, e *comm.Env, t *dag.Task) (steps.Product, error) {
	of := s.Of.Value()
	made := steps.Product{Builder: "packer.post-processor.checksum", Files: slices.Clone(of.Files), Machine: of.Machine}
	if len(of.Files) == 0 {
		t.Say("there are no files to take checksums of")
	}
	for _, kind := range s.kinds() {
		for i, file := range of.Files {
			path, err := s.path(t, of, kind)
			if err != nil {
				return made, err
			}
			line, err := sumLine(ctx, kind, e.Local(file))
			if err == nil && line != "" {
				err = s.append(ctx, e, t, fmt.Sprintf("%s %d", kind, i), path, line)
			}
			if err != nil {
				return made, fmt.Errorf("cannot write the checksum of %s: %w", file, err)
			}
			if line != "" && !slices.Contains(made.Files, path) {
				made.Files = append(made.Files, path)
				t.Say("the %s of what was made is in %s", kind, path)
			}
		}
	}
	return made, nil
}

func (s Checksum) kinds() []string {
	if len(s.ChecksumTypes) == 0 {
		return []string{"md5"}
	}
	return s.ChecksumTypes
}

func (s Checksum) defaultOutput(kind string) string {
	return fmt.Sprintf("packer_%s_%s_%s.checksum", s.Build.Name, s.Build.Type, kind)
}

func (s Checksum) path(t *dag.Task, of steps.Product, kind string) (string, error) {
	if s.Output == "" {
		return s.defaultOutput(kind), nil
	}
	return steps.BuildValues{Task: t, Machine: of.Machine}.Render("output", s.Output,
		map[string]any{"BuildName": s.Build.Name, "BuilderType": s.Build.Type, "ChecksumType": kind})
}

// append adds a line to a file. What it will be is kept before: after an interruption
// the file has the line, or is as it was.
func (s Checksum) append(ctx context.Context, e *comm.Env, t *dag.Task, key, path, line string) error {
	return e.Amend(ctx, t, e.Local(path), 0o644, localfile.Addition{Line: line}, func(have int) (bool, error) {
		var before int
		begun, err := t.Load(key, &before)
		if err != nil || begun {
			return have > before, err
		}
		return false, t.Save(key, have)
	})
}

// sumLine is the line of a file; none of a folder.
func sumLine(ctx context.Context, kind, path string) (string, error) {
	fi, err := os.Stat(path)
	if err != nil || fi.IsDir() {
		return "", err
	}
	if err := localfile.Special(path, fi); err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := checksum(kind)()
	if _, err := io.Copy(h, &stopped{ctx, f}); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)) + "\t" + filepath.Base(path) + "\n", nil
}
