package provision

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// FileCopy copies files and directories to the machine, or from it. A slash at
// the end of a directory's source means what the directory holds, and so does a
// last element of . or .., which is no name; without them it is the directory
// itself. A slash at the end of the destination means a directory to put the files
// into.
type FileCopy struct {
	On           dag.Take[comm.Machine] `json:"on"`
	Build        dag.Build              `json:"build,omitzero" option:"-" key:"-"`
	steps.Common `option:"-"`

	// The path to copy: here for an upload, on the machine for a download. What a slash at its end means is said
	// above.
	Source dag.Text `json:"source,omitempty" option:"late=build"`
	// Several paths to copy, beside `source`. Default: none.
	Sources []dag.Text `json:"sources,omitempty" option:"late=build"`
	// The text of a file to write, in place of a source. Default: none.
	Content dag.Text `json:"content,omitempty" option:"late=build"`
	// Where to copy to; a slash at its end makes it a directory.
	Destination dag.Text `json:"destination,omitempty" option:"required,late=build"`
	// Which way to copy: `upload` or `download`. Default: `upload`.
	Direction string `json:"direction,omitempty"`
	// Says that the sources are made while the build runs, so that they are not looked for before. Default: `false`.
	Generated bool `json:"generated,omitempty" key:"-"`

	Uploads []Upload `json:"uploads,omitempty" option:"-"` // what Source and Sources are, for an upload
}

// Upload is one local file or directory.
type Upload struct {
	File     steps.File `json:"file"`               // without digest: looked at when the step runs
	Name     string     `json:"name"`               // its own name
	Contents bool       `json:"contents,omitempty"` // what the directory holds, not the directory
	Dir      bool       `json:"dir,omitempty"`
}

func (FileCopy) Kind() string { return "provision.file" }

// Title says what is copied.
func (s FileCopy) Title() string {
	switch {
	case s.download() && len(s.sources()) == 1:
		from := s.sources()[0].text.String()
		return "download " + pathsLike(from).base(from)
	case s.download():
		return fmt.Sprintf("download %d files", len(s.sources()))
	case len(s.Uploads) == 1:
		return "upload " + s.Uploads[0].Name
	case len(s.Uploads) > 1:
		return fmt.Sprintf("upload %d files", len(s.Uploads))
	}
	return "upload a text"
}

func (s FileCopy) download() bool { return s.Direction == "download" }

// named is a source and the option that it stands in.
type named struct {
	option string
	text   dag.Text
}

func (s FileCopy) sources() (list []named) {
	if s.Source != "" {
		list = append(list, named{"source", s.Source})
	}
	for i, text := range s.Sources {
		list = append(list, named{fmt.Sprintf("sources[%d]", i), text})
	}
	return list
}

// ResolveFiles finds the local files that are to be uploaded, so that their
// content is part of the step's key. It is called once, before Check.
func (s *FileCopy) ResolveFiles(resolve func(path string) (steps.File, error)) []steps.OptionError {
	var f steps.OptionErrors
	if s.download() {
		return f
	}
	for _, src := range s.sources() {
		path := string(src.text)
		u := Upload{File: steps.File{Path: path}, Name: filepath.Base(src.text.String()), Contents: contents(path, hereSeps)}
		late := len(src.text.Words()) > 0
		switch file, err := resolve(path); {
		case strings.Contains(path, dag.MarkOpen):
			f.Add(src.option, "a sensitive variable cannot stand in the name of a file")
			continue
		case late && !s.Generated:
			f.Add(src.option, "a file whose name is known only at build time needs \"generated\": true")
			continue
		case late:
		case err == nil:
			u.File.Path = file.Path
			if fi, err := os.Stat(file.Path); err == nil {
				u.Dir = fi.IsDir()
			}
			if !s.Generated {
				u.File.Digest = file.Digest
			}
		case !s.Generated || !errors.Is(err, fs.ErrNotExist):
			f.Add(src.option, "%v", err)
			continue
		}
		s.Uploads = append(s.Uploads, u)
	}
	s.Source, s.Sources = "", nil // the key holds the content, not where it lies
	return f
}

// Check says what is wrong with the options.
func (s *FileCopy) Check() []steps.OptionError {
	var f steps.OptionErrors
	if s.Direction != "" && s.Direction != "upload" && s.Direction != "download" {
		f.Add("direction", "%q is not known: it is upload or download", s.Direction)
	}
	given := len(s.sources()) + len(s.Uploads)
	switch {
	case given == 0 && s.Content == "":
		f.Lacks("there is nothing to copy: give source, sources or content", "source", "sources", "content")
	case given > 0 && s.Content != "":
		f.Add("content", "it cannot be given together with source or sources")
	case s.Content != "" && s.download():
		f.Add("content", "it cannot be downloaded: use source")
	}
	if s.Destination == "" {
		f.Add("destination", "it must say where to copy to")
	}
	dst := string(s.Destination)
	if files := s.files(); files > 1 && dst != "" && !strings.HasSuffix(dst, `\`) && !slashed(dst) && len(s.Destination.Words()) == 0 {
		f.Add("destination", "%v", needsDirectory(files, dst))
	}
	return f
}

// files counts what is uploaded and no directory.
func (s FileCopy) files() (n int) {
	for _, u := range s.Uploads {
		if !u.Dir {
			n++
		}
	}
	return n
}

func needsDirectory(files int, dst string) error {
	return fmt.Errorf("%d files cannot all be %s: a directory ends with a slash", files, dst)
}

// Communicators are those that carry files.
func (*FileCopy) Communicators() []string { return []string{"ssh", "winrm"} }

// LocalFiles are those that are downloaded, and what is made meanwhile and may be there before.
func (s FileCopy) LocalFiles() (f comm.LocalFiles) {
	if s.download() {
		f.Fills = []string{s.Destination.Pattern()}
	}
	return f
}

// Add adds the step to the graph.
func (s *FileCopy) Add(g *dag.Graph, b dag.Build, name string, on dag.Out[comm.Machine]) dag.Out[comm.Machine] {
	step := *s
	step.On, step.Build = on.Take(), b.Labelled()
	return dag.Add(g, b, name, step)
}

// Do copies everything; after an interruption, again.
func (s FileCopy) Do(ctx context.Context, e *comm.Env, t *dag.Task) (comm.Machine, error) {
	m := s.On.Value()
	r, err := e.Remote(t, m)
	if err != nil {
		return m, err
	}
	return m, s.Try(ctx, t, func(ctx context.Context, _ int) error {
		return s.run(ctx, e, r, values{t, m, e.Dir})
	})
}

// run copies what the options name.
func (s FileCopy) run(ctx context.Context, e *comm.Env, r comm.Remote, v values) error {
	dst, err := v.render("destination", s.Destination, nil)
	if err != nil {
		return err
	}
	if s.download() {
		return s.fetch(ctx, e, r, v, dst)
	}
	if s.Content != "" {
		return s.sendContent(ctx, r, v, dst)
	}
	if n := s.files(); n > 1 && !pathsOf(v.m).slashed(dst) {
		return fmt.Errorf("cannot upload: %w", needsDirectory(n, dst))
	}
	for _, u := range s.Uploads {
		if err := s.send(ctx, e, r, v, u, dst); err != nil {
			return err
		}
	}
	return nil
}

func (s FileCopy) sendContent(ctx context.Context, r comm.Remote, v values, dst string) error {
	text, err := v.render("content", s.Content, nil)
	if err != nil {
		return err
	}
	if pathsOf(v.m).slashed(dst) {
		sum := sha256.Sum256([]byte(text))
		dst += fmt.Sprintf("content-%x", sum[:4])
	}
	v.t.Say("uploading %d bytes => %s", len(text), dst)
	return s.hint(ctx, r, pathsOf(v.m), dst, r.Upload(ctx, dst, strings.NewReader(text), int64(len(text)), 0))
}

func (s FileCopy) send(ctx context.Context, e *comm.Env, r comm.Remote, v values, u Upload, dst string) error {
	src, err := v.render("source", dag.Text(u.File.Path), nil)
	if err != nil {
		return err
	}
	whole := u.Contents || contents(src, hereSeps)
	src = e.Local(src)
	if err := unchanged(v.dir, steps.File{Path: src, Digest: u.File.Digest}); err != nil {
		return err
	}
	fi, err := os.Stat(src)
	if err != nil {
		return fmt.Errorf("cannot upload: %w", err)
	}
	p := pathsOf(v.m)
	if fi.IsDir() {
		if !whole {
			dst = p.join(dst, filepath.Base(src))
		} else {
			dst = p.trim(dst)
		}
		v.t.Say("uploading %s => %s", shown(v.dir, filepath.Clean(src)+"/"), dst)
		if err := r.UploadDir(ctx, dst, src); err != nil {
			return hintMissingParent(ctx, r, p, dst, err)
		}
		return nil
	}
	if p.slashed(dst) {
		dst += filepath.Base(src)
	}
	v.t.Say("uploading %s => %s", shown(v.dir, src), dst)
	f, err := os.Open(src)
	if err != nil {
		return fmt.Errorf("cannot upload: %w", err)
	}
	defer f.Close()
	return s.hint(ctx, r, p, dst, r.Upload(ctx, dst, f, fi.Size(), fi.Mode().Perm()))
}

// hint adds to an error what the destination lacks.
func (s FileCopy) hint(ctx context.Context, r comm.Remote, p paths, dst string, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	if fi, serr := r.Stat(ctx, dst); serr == nil && fi.IsDir() {
		return fmt.Errorf("%w; end the destination with a slash to put the file into the directory", err)
	}
	return hintMissingParent(ctx, r, p, dst, err)
}

// hintMissingParent says so if it is the directory to put dst into that is missing, which
// Windows makes.
func hintMissingParent(ctx context.Context, r comm.Remote, p paths, dst string, err error) error {
	if ctx.Err() != nil || p.windows() {
		return err
	}
	if _, serr := r.Stat(ctx, p.dir(dst)); errors.Is(serr, fs.ErrNotExist) {
		return fmt.Errorf("cannot upload to %s: the directory %s does not exist on the machine: make it by a shell provisioner before", dst, p.dir(dst))
	}
	return err
}
