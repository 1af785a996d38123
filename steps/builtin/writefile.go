package builtin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
)

// WriteFile writes a local file.
type WriteFile struct {
	Content dag.Text   `json:"content,omitempty"`
	Source  steps.File `json:"source,omitzero"` // copied, instead of content
	Target  string     `json:"target"`
}

// Written is a file that was written.
type Written struct {
	steps.Artifact        // the ID is the absolute path
	Digest         string `json:"digest"` // SHA-256 of what was written
}

func (WriteFile) Kind() string    { return "builtin.write-file" }
func (s WriteFile) Title() string { return "write " + s.Target }

// Label is what messages call it.
func (w Written) Label() string { return w.ID }

// LocalFiles is the target, in a directory that is there.
func (s WriteFile) LocalFiles() comm.LocalFiles {
	return comm.LocalFiles{Folders: []string{filepath.Dir(s.Target)}, Writes: []string{dag.Text(s.Target).Pattern()}}
}

// Do replaces the target at once, when all of it is on the disk.
func (s WriteFile) Do(_ context.Context, e *comm.Env, t *dag.Task) (Written, error) {
	w, err := s.write(e, t)
	if err != nil {
		return Written{}, fmt.Errorf("cannot write %s: %w", s.Target, err)
	}
	t.Say("%s is written", s.Target)
	return w, nil
}

func (s WriteFile) write(e *comm.Env, t *dag.Task) (Written, error) {
	path, mode, err := s.place(e)
	if err != nil {
		return Written{}, dag.NotMade(err)
	}
	var from io.Reader
	if s.Source.Path != "" {
		fi, err := os.Stat(s.Source.Path)
		if err == nil {
			err = localfile.Special(s.Source.Path, fi)
		}
		if err != nil {
			return Written{}, dag.NotMade(err)
		}
		f, err := os.Open(s.Source.Path)
		if err != nil {
			return Written{}, dag.NotMade(err)
		}
		defer f.Close()
		from = f
	} else {
		text, err := t.Fill(s.Content, nil)
		if err != nil {
			return Written{}, dag.NotMade(err)
		}
		from = strings.NewReader(text)
	}
	temp := beside(path, t)
	os.Remove(temp) // of an attempt that was interrupted
	digest, err := writeNew(temp, from, mode)
	w := Written{steps.Artifact{Kind: "file", ID: path, Name: s.Target}, digest}
	if err == nil {
		err = t.Save("written", w)
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err == nil {
		err = e.Wrote(t, path)
	}
	if err != nil {
		os.Remove(temp)
		return Written{}, err
	}
	return w, nil
}

// place is where the target is, through links, and what permissions a new file gets
// there: those of the file that it replaces.
func (s WriteFile) place(e *comm.Env) (path string, mode fs.FileMode, err error) {
	path = e.Local(s.Target)
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return "", 0, fmt.Errorf("the directory %s is not there: make it first", filepath.Dir(path))
	}
	if err != nil {
		return "", 0, err
	}
	path = filepath.Join(dir, filepath.Base(path))
	switch real, err := filepath.EvalSymlinks(path); {
	case err == nil:
		path = real
	case !errors.Is(err, fs.ErrNotExist):
		return "", 0, err
	}
	switch fi, err := os.Lstat(path); {
	case err == nil && fi.Mode()&fs.ModeSymlink != 0:
		return "", 0, errors.New("it is a link to nothing")
	case err == nil && !fi.Mode().IsRegular():
		return "", 0, localfile.Special(path, fi)
	case err == nil:
		return path, fi.Mode().Perm(), nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", 0, err
	}
	if s.Source.Path == "" {
		return path, 0o600, nil // as in Packer: what a template makes of its variables may be secret
	}
	return path, 0o644, nil
}

// beside is where the file is until it is whole.
func beside(path string, t *dag.Task) string {
	return filepath.Join(filepath.Dir(path), "."+t.Token+".tmp")
}

// writeNew writes a file that must not be there, and returns the digest of what it
// holds.
func writeNew(path string, from io.Reader, mode fs.FileMode) (digest string, err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, h), from)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), errors.Join(err, f.Close())
}

// digest is that of a file, as a step keeps it; dag.ErrNotFound if there is none.
func digest(path string) (string, error) {
	sum, err := localfile.Digest(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", dag.ErrNotFound
	case err != nil || sum == "": // nothing that was written
		return "", err
	}
	return "sha256:" + sum, nil
}

// Find returns the file if it is there. One that was interrupted is told by what it
// holds; without a word of that nothing has got its place.
func (w Written) Find(_ context.Context, e *comm.Env, t *dag.Task) (Written, error) {
	if w.ID != "" {
		if _, err := os.Lstat(e.Local(w.ID)); errors.Is(err, fs.ErrNotExist) {
			return w, dag.ErrNotFound
		}
		return w, nil
	}
	there, err := t.Load("written", &w)
	if err != nil {
		return Written{}, err
	}
	if !there {
		var s WriteFile
		if err := t.Settings(&s); err != nil {
			return Written{}, err
		}
		if path, _, err := s.place(e); err == nil {
			os.Remove(beside(path, t))
		}
		return Written{}, dag.ErrNotFound
	}
	got, err := digest(e.Local(w.ID))
	if err == nil && got != w.Digest {
		os.Remove(beside(e.Local(w.ID), t))
		err = dag.ErrNotFound
	}
	return w, err
}

// Undo removes the file, unless somebody has changed it: then it is theirs.
func (w Written) Undo(_ context.Context, e *comm.Env, t *dag.Task) error {
	got, err := digest(e.Local(w.ID))
	switch {
	case errors.Is(err, dag.ErrNotFound):
		return nil
	case err != nil:
		return err
	case got != w.Digest:
		t.Warn("%s was changed since it was written: it stays", w.ID)
		return nil
	}
	return os.Remove(e.Local(w.ID))
}
