package post

import (
	"archive/tar"
	"archive/zip"
	"cmp"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// Compress packs the files that were made into one file: a tar, zip or gz, as its name ends.
type Compress struct {
	Of    dag.Out[steps.Product] `json:"of"`
	Build dag.Build              `json:"build,omitzero" option:"-"`
	steps.InputOptions

	// The file. Its name ends in .tar, .tar.gz, .zip, or for a single file .gz; any other is a tar that is compressed by gzip.
	// Default: `packer_{{.BuildName}}_{{.BuilderType}}`.
	Output dag.Text `json:"output,omitempty" option:"late=BuildName+BuilderType+build"`
	// How it is packed, where the name of the file has no ending: tar, tar.gz, zip or gz. Default: tar.gz.
	Format string `json:"format,omitempty"`
	// From 1, fast, to 9, small; 0 and -1 are the method's own. Default: -1.
	CompressionLevel int `json:"compression_level,omitempty"`
	// Accepted and without effect: what the name of the file says counts. Default: none.
	Archive string `json:"archive,omitempty" key:"-"`
	// Accepted and without effect: what the name of the file says counts. Default: none.
	Algorithm string `json:"algorithm,omitempty" key:"-"`
}

// Packed is a file that was packed.
type Packed struct {
	steps.Product
	Path   string `json:"path"`
	Digest string `json:"digest"` // SHA-256 of what it holds
}

func (Compress) Kind() string  { return "post.compress" }
func (Compress) Title() string { return "pack what was made" }

// Label is what messages call it.
func (p Packed) Label() string { return p.Path }

// Artifacts is the file.
func (p Packed) Artifacts() []steps.Artifact {
	return []steps.Artifact{{Kind: "file", ID: p.Path, Name: p.Files[0], Maker: p.Builder}}
}

// others are endings whose methods Packer has and this program has not.
var others = []string{"lz4", "bgzf", "xz", "bzip2"}

// Check refuses methods that are not here, as far as they are known.
func (s *Compress) Check() []steps.OptionError {
	var f steps.OptionErrors
	if s.CompressionLevel < -1 {
		f.Add("compression_level", "it goes from 1 to 9; 0 and -1 are the method's own")
	}
	if s.CompressionLevel > 9 {
		f.Doubt("compression_level", "it goes from 1 to 9, so 9 is taken")
	}
	if s.Format != "" && !slices.Contains([]string{"tar", "tar.gz", "zip", "gz"}, s.Format) {
		f.Add("format", "%q is not supported: it is one of tar, tar.gz, zip and gz", s.Format)
	}
	if ext := ending(string(s.Output)); s.Output.Known() && slices.Contains(others, ext) {
		f.Add("output", "files that end in .%s are not supported: let it end in .tar, .tar.gz, .zip or .gz", ext)
	}
	if s.Archive != "" {
		f.Idle("archive", "what the name of the output says counts")
	}
	if s.Algorithm != "" {
		f.Idle("algorithm", "what the name of the output says counts")
	}
	return f
}

// Claims is the file. Names of builds are those of their steps, which builds of for_each share.
func (s *Compress) Claims(b dag.Build) []steps.Claim {
	b = b.Labelled()
	out := dag.Text(defaultOutput(b))
	if s.Output != "" {
		out = s.Output.Bind(func(word string) dag.Text {
			switch strings.Trim(word, "{}- ") {
			case ".BuildName":
				return dag.Text(b.Name)
			case ".BuilderType":
				return dag.Text(b.Type)
			}
			return dag.Word(word)
		})
	}
	if !out.Known() {
		return nil
	}
	return []steps.Claim{{Field: "output", Key: "file " + filepath.Clean(string(out)), What: "the file " + string(out)}}
}

func defaultOutput(b dag.Build) string { return "packer_" + b.Name + "_" + b.Type }

func ending(path string) string { return strings.TrimPrefix(filepath.Ext(path), ".") }

// Gives is the file.
func (*Compress) Gives() steps.Gives { return steps.GivesOwn }

// LocalFiles is the file.
func (s Compress) LocalFiles() comm.LocalFiles {
	out := dag.Text(defaultOutput(s.Build))
	if s.Output != "" {
		out = s.Output
	}
	return comm.LocalFiles{Writes: []string{out.Pattern()}}
}

// Add adds the step.
func (s *Compress) Add(g *dag.Graph, b dag.Build, name string, in dag.Out[steps.Product]) dag.Out[steps.Product] {
	step := *s
	step.Of, step.Build = in, b.Labelled()
	packed := dag.Add(g, b, name, step)
	dag.Keep(g, packed, packed)
	return dag.As[steps.Product](packed)
}

// Do puts the file in its place when all of it is on the disk.
func (s Compress) Do(ctx context.Context, e *comm.Env, t *dag.Task) (Packed, error) {
	of := s.Of.Value()
	out := defaultOutput(s.Build)
	if s.Output != "" {
		var err error
		out, err = steps.BuildValues{Task: t, Machine: of.Machine}.Render("output", s.Output, map[string]any{"BuildName": s.Build.Name, "BuilderType": s.Build.Type})
		if err != nil {
			return Packed{}, dag.NotMade(err)
		}
	}
	made, err := s.pack(ctx, e, t, of, out)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("cannot pack what was made into %s: %w", out, err)
	}
	return made, err
}

func (s Compress) pack(ctx context.Context, e *comm.Env, t *dag.Task, of steps.Product, out string) (Packed, error) {
	method := s.method(out)
	if slices.Contains(others, method) {
		return Packed{}, dag.NotMade(fmt.Errorf("files that end in .%s are not supported", method))
	}
	if method == "gz" && len(of.Files) != 1 {
		return Packed{}, dag.NotMade(fmt.Errorf("a .gz holds one file, and there are %d: let it end in .tar.gz", len(of.Files)))
	}
	if len(of.Files) == 0 {
		return Packed{}, dag.NotMade(errors.New("there are no files: artifice before it says which are meant"))
	}
	path := e.Local(out)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return Packed{}, dag.NotMade(err)
	}
	if err := t.Save("path", path); err != nil {
		return Packed{}, err
	}
	temp := packing(path, t)
	os.Remove(temp) // of an attempt that was interrupted
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return Packed{}, err
	}
	h := sha256.New()
	err = s.write(ctx, e, of.Files, method, io.MultiWriter(f, h))
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	made := Packed{steps.Product{Builder: "packer.post-processor.compress", Files: []string{out}, Machine: of.Machine}, path, hex.EncodeToString(h.Sum(nil))}
	if err == nil {
		err = t.Save("packed", made)
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err == nil {
		err = e.Wrote(t, path)
	}
	if err != nil {
		os.Remove(temp)
		return Packed{}, err
	}
	t.Say("%s is written", out)
	return made, nil
}

func (s Compress) method(out string) string {
	end := filepath.Base(out)
	if ending(end) == "" {
		end = "x." + cmp.Or(s.Format, "tar.gz")
	}
	switch ext := ending(end); {
	case strings.HasSuffix(end, ".tar.gz"):
		return "tar.gz"
	case ext == "tar", ext == "zip", ext == "gz", slices.Contains(others, ext):
		return ext
	}
	return "tar.gz"
}

// packing is where the file is until it is whole.
func packing(path string, t *dag.Task) string {
	return filepath.Join(filepath.Dir(path), "."+t.Token+".tmp")
}

func (s Compress) level() int {
	switch {
	case s.CompressionLevel <= 0:
		return flate.DefaultCompression
	case s.CompressionLevel > 9:
		return 9
	}
	return s.CompressionLevel
}

// write packs the files. In a zip they are called as the template calls them, and in a
// tar by their last name, as Packer does.
func (s Compress) write(ctx context.Context, e *comm.Env, files []string, method string, to io.Writer) (err error) {
	add := func(name string, begin func(fi fs.FileInfo) (io.Writer, error)) error {
		f, err := os.Open(e.Local(name))
		if err != nil {
			return err
		}
		defer f.Close()
		fi, err := f.Stat()
		if err == nil {
			err = localfile.Special(name, fi)
		}
		if err != nil {
			return err
		}
		w, err := begin(fi)
		if err == nil {
			_, err = io.Copy(w, &stopped{ctx, f})
		}
		return err
	}
	if method == "zip" {
		z := zip.NewWriter(to)
		z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, s.level()) })
		for _, name := range files {
			err := add(name, func(fi fs.FileInfo) (io.Writer, error) {
				h, err := zip.FileInfoHeader(fi)
				if err != nil {
					return nil, err
				}
				h.Name, h.Method = strings.TrimLeft(filepath.ToSlash(name), "/"), zip.Deflate
				return z.CreateHeader(h)
			})
			if err != nil {
				return err
			}
		}
		return z.Close()
	}
	if method != "tar" {
		z, err := gzip.NewWriterLevel(to, s.level())
		if err != nil {
			return err
		}
		if method == "gz" {
			if err := add(files[0], func(fs.FileInfo) (io.Writer, error) { return z, nil }); err != nil {
				return err
			}
			return z.Close()
		}
		defer func() { err = errors.Join(err, z.Close()) }()
		to = z
	}
	w := tar.NewWriter(to)
	in := map[string]string{}
	for _, name := range files {
		base := filepath.Base(name)
		if other, twice := in[base]; twice {
			return fmt.Errorf("%s and %s would have one name in a tar: pack a zip, which keeps their folders", other, name)
		}
		in[base] = name
		if err := add(name, func(fi fs.FileInfo) (io.Writer, error) {
			h, err := tar.FileInfoHeader(fi, "")
			if err != nil {
				return nil, err
			}
			return w, w.WriteHeader(h)
		}); err != nil {
			return err
		}
	}
	return w.Close()
}

// Find returns the file if it is there. One that was interrupted is told by what it
// holds.
func (p Packed) Find(_ context.Context, e *comm.Env, t *dag.Task) (Packed, error) {
	if p.Path == "" {
		var path string
		if begun, err := t.Load("path", &path); err != nil || !begun {
			return p, errors.Join(err, dag.ErrNotFound)
		}
		os.Remove(packing(e.Local(path), t))
		if done, err := t.Load("packed", &p); err != nil || !done {
			return p, cmp.Or(err, dag.ErrNotFound)
		}
		switch got, err := localfile.Digest(e.Local(p.Path)); {
		case errors.Is(err, fs.ErrNotExist), err == nil && got != p.Digest:
			return p, dag.ErrNotFound
		default:
			return p, err
		}
	}
	if _, err := os.Lstat(e.Local(p.Path)); errors.Is(err, fs.ErrNotExist) {
		return p, dag.ErrNotFound
	}
	return p, nil
}

// Undo removes the file, unless somebody has changed it: then it is theirs.
func (p Packed) Undo(_ context.Context, e *comm.Env, t *dag.Task) error {
	got, err := localfile.Digest(e.Local(p.Path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case got != p.Digest:
		t.Warn("%s was changed since it was written: it stays", p.Path)
		return nil
	}
	return os.Remove(e.Local(p.Path))
}
