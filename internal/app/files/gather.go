package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
	"github.com/imgflow/imgflow/internal/tree"
)

// Also are files that no settings name as such.
type Also struct {
	Paths   []string // of files, and of directories with all that they hold
	Folders []string // of directories alone
}

// Gather stores what the settings of steps name, and some more, and
// returns what there is. What files
// of keys and secrets hold is returned by their paths, to be sealed. A file that is
// not there yet is made by the run, and is left out.
func Gather(nodes []dag.Node, also Also, at Place, store Store) (*Manifest, map[string][]byte, error) {
	wanted := map[string]bool{} // whether it is secret
	for _, path := range also.Paths {
		wanted[at.Abs(path)] = false
	}
	for _, n := range nodes {
		_, err := visit(n.Spec, false, func(option, name string) string {
			path := at.Abs(name)
			wanted[path] = wanted[path] || secret(option)
			return name
		})
		if err != nil {
			return nil, nil, fmt.Errorf("cannot read the settings of %s: %w", n.Name, err)
		}
	}
	g := gatherer{store: store, entries: map[string]Entry{}, secrets: map[string][]byte{}}
	for _, path := range slices.Sorted(maps.Keys(wanted)) {
		if err := g.add(path, wanted[path]); err != nil {
			return nil, nil, err
		}
	}
	for _, path := range also.Folders {
		path = at.Abs(path)
		if fi, err := os.Stat(path); err == nil && fi.IsDir() {
			if err := g.enter(Entry{Path: path, Mode: fi.Mode()}); err != nil {
				return nil, nil, err
			}
		}
	}
	m := &Manifest{Place: at}
	for _, path := range slices.Sorted(maps.Keys(g.entries)) {
		m.Entries = append(m.Entries, g.entries[path])
	}
	return m, g.secrets, nil
}

type gatherer struct {
	store   Store
	entries map[string]Entry
	secrets map[string][]byte
	bytes   int64
}

// add takes a file along, or a directory with all that is copied of it.
func (g *gatherer) add(path string, secret bool) error {
	if path == os.DevNull {
		return nil
	}
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cannot take the files of the template along: %w", err)
	case !fi.IsDir():
		return g.file(path, path, fi, secret)
	}
	if err := g.enter(Entry{Path: path, Mode: fi.Mode()}); err != nil {
		return err
	}
	return tree.Walk{}.Each(path, func(e tree.Entry) error {
		to := filepath.Join(path, filepath.FromSlash(e.Name))
		switch {
		case e.Link != "":
			return g.enter(Entry{Path: to, Mode: fs.ModeSymlink, Link: e.Link})
		case e.Info.IsDir():
			return g.enter(Entry{Path: to, Mode: e.Info.Mode()})
		}
		return g.file(e.Path, to, e.Info, secret)
	})
}

// enter adds an entry; what two steps name is there once.
func (g *gatherer) enter(e Entry) error {
	if _, err := below(e.Path); err != nil {
		return err
	}
	if g.entries[e.Path] = e; len(g.entries) > mostEntries {
		return errTooMany
	}
	return nil
}

// file takes a file along that lies somewhere, perhaps behind a link.
func (g *gatherer) file(from, path string, fi fs.FileInfo, secret bool) error {
	if old, ok := g.entries[path]; ok && (old.Secret || !secret) {
		return nil
	}
	if err := localfile.Special(from, fi); err != nil {
		return fmt.Errorf("cannot take %s along: %w", from, err)
	}
	f, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("cannot take the files of the template along: %w", err)
	}
	defer f.Close()
	e := Entry{Path: path, Mode: fi.Mode(), Secret: secret, Time: fi.ModTime()}
	if secret {
		text, err := localfile.ReadAll(f, from, secretBytes)
		if err != nil {
			return fmt.Errorf("cannot take a file of a key or a secret along: %w", err)
		}
		e.Size, g.secrets[path] = int64(len(text)), text
		return g.enter(e)
	}
	for {
		var first [1]byte
		if _, err := io.ReadFull(f, first[:]); err == io.EOF {
			return g.enter(e)
		} else if err != nil {
			return fmt.Errorf("cannot take %s along: %w", from, err)
		}
		piece := &counted{r: io.MultiReader(bytes.NewReader(first[:]), io.LimitReader(f, pieceBytes-1))}
		sum, err := g.store.PutBlob(piece)
		if err != nil {
			return fmt.Errorf("cannot store %s for the workers: %w", from, err)
		}
		e.Pieces, e.Size = append(e.Pieces, sum), e.Size+piece.n
		if g.bytes += piece.n; g.bytes > mostBytes {
			return errTooLarge
		}
	}
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
