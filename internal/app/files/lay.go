package files

import (
	"context"
	"crypto/rand"
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

	"github.com/imgflow/imgflow/internal/localfile"
)

// Lay lays out in a folder, which is made and must not be there, what the manifest
// says. Keys are what its secret files hold, by their paths. After an error the folder may
// hold some of it.
func (m *Manifest) Lay(ctx context.Context, f Folder, store Store, keys map[string][]byte) error {
	for _, dir := range []string{string(f), f.Root(), f.Notes(), f.marks()} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return fmt.Errorf("cannot lay out the files of a run: %w", err)
		}
	}
	r, err := os.OpenRoot(f.Root())
	if err != nil {
		return fmt.Errorf("cannot lay out the files of a run: %w", err)
	}
	defer r.Close()
	if err := m.lay(ctx, r, store, keys); err != nil {
		return fmt.Errorf("cannot lay out the files of a run: %w", err)
	}
	return nil
}

func (m *Manifest) lay(ctx context.Context, r *os.Root, store Store, keys map[string][]byte) error {
	if len(m.Entries) > mostEntries {
		return errTooMany
	}
	left := int64(mostBytes)
	for _, dir := range []string{m.Cwd, m.Dir} {
		rel, err := below(dir)
		if err == nil {
			err = r.MkdirAll(rel, 0o700)
		}
		if err != nil {
			return err
		}
	}
	for _, e := range m.Entries {
		rel, err := below(e.Path)
		if err == nil {
			err = r.MkdirAll(filepath.Dir(rel), 0o700)
		}
		switch {
		case err != nil:
		case ctx.Err() != nil:
			err = ctx.Err()
		case e.Mode.IsDir():
			err = r.MkdirAll(rel, 0o700)
		case e.Link != "":
			if filepath.IsAbs(e.Link) {
				err = fmt.Errorf("the link %s leads out", e.Path)
			} else {
				err = r.Symlink(filepath.FromSlash(e.Link), rel)
			}
		case e.Mode.IsRegular():
			if left -= e.Size; left < 0 || e.Size < 0 {
				return errTooLarge
			}
			err = e.write(r, rel, store, keys[e.Path])
			if err == nil && !e.Time.IsZero() {
				err = r.Chtimes(rel, e.Time, e.Time)
			}
		default:
			err = fmt.Errorf("%s is neither a file nor a directory", e.Path)
		}
		if err != nil {
			return err
		}
	}
	return m.finish(r)
}

// finish gives directories their permissions, those within first, and makes sure that
// links stay inside, now that all they may lead to is there.
func (m *Manifest) finish(r *os.Root) error {
	for _, e := range slices.Backward(m.Entries) {
		rel, err := below(e.Path)
		switch {
		case err != nil:
		case e.Link != "":
			if _, err = r.Stat(rel); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		case e.Mode.IsDir() && rel != ".":
			err = r.Chmod(rel, e.Mode&(fs.ModePerm|fs.ModeSetgid|fs.ModeSticky)|0o700)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// write makes the file, whose content must be what the manifest says of it.
func (e Entry) write(r *os.Root, rel string, store Store, key []byte) (err error) {
	f, err := r.OpenFile(rel, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	n := int64(0)
	if e.Secret {
		if key == nil || len(key) > secretBytes {
			return fmt.Errorf("what %s holds was not handed on", e.Path)
		}
		w, err := f.Write(key)
		if n = int64(w); err != nil {
			return err
		}
	}
	for _, sum := range e.Pieces {
		w, err := copyPiece(f, store, sum, e.Size-n)
		if n += w; err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
	}
	if n != e.Size {
		return fmt.Errorf("%s has %d bytes, and should have %d", e.Path, n, e.Size)
	}
	return f.Chmod(e.Mode & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky))
}

// copyPiece copies a piece of at most so many bytes.
func copyPiece(w io.Writer, store Store, sum string, most int64) (int64, error) {
	p, err := pieceOf(store, sum)
	if err != nil {
		return 0, err
	}
	if int64(len(p)) > most {
		return 0, errors.New("a piece of it is longer than it should be")
	}
	n, err := w.Write(p)
	return int64(n), err
}

// pieceOf reads a piece, which is what its digest says.
func pieceOf(store Store, sum string) ([]byte, error) {
	p, err := store.Blob(sum)
	if err != nil {
		return nil, &storeError{err}
	}
	if len(p) > pieceBytes {
		return nil, errors.New("a piece of it is longer than it should be")
	}
	if got := sha256.Sum256(p); hex.EncodeToString(got[:]) != sum {
		return nil, errors.New("a piece of it is not what was stored")
	}
	return p, nil
}

// replace puts a file in its place at once, and returns the digest of what write has given
// it, which tells its permissions, too. With whole it is on the disk then. No link is followed: one that has its place is replaced itself.
func replace(root *os.Root, rel string, whole bool, write func(io.Writer) (fs.FileMode, error)) (digest string, err error) {
	temp := filepath.Join(filepath.Dir(rel), ".imgflow-"+strings.ToLower(rand.Text()))
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			root.Remove(temp)
		}
	}()
	h := sha256.New()
	mode, err := write(io.MultiWriter(f, h))
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil && whole {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), root.Rename(temp, rel)
}

// replaceBy is replace by a text.
func replaceBy(root *os.Root, rel string, whole bool, mode fs.FileMode, text []byte) error {
	_, err := replace(root, rel, whole, func(w io.Writer) (fs.FileMode, error) {
		_, err := w.Write(text)
		return mode, err
	})
	return err
}

// heldBy is what a file holds that is added to, and its permissions; nothing of one that is
// not there.
func heldBy(root *os.Root, rel string) ([]byte, fs.FileMode, error) {
	fi, err := root.Lstat(rel)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err == nil {
		err = localfile.Special(rel, fi)
	}
	if err != nil {
		return nil, 0, err
	}
	f, err := root.Open(rel)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	text, err := localfile.ReadAll(f, rel, pieceBytes)
	return text, fi.Mode().Perm(), err
}
