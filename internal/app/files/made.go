package files

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
)

// Vault seals what nobody else may see.
type Vault interface {
	Seal(text []byte) ([]byte, error)
	Unseal(sealed []byte) ([]byte, error)
}

// madeBytes is how long the pieces are of what steps make, in bytes: they are in memory,
// and some are sealed there.
const madeBytes = 8 << 20

// Item is what a step has done to one local file, in the words of who has submitted the run.
type Item struct {
	Entry
	Gone   bool                `json:"gone,omitempty"`   // it was removed
	Add    *localfile.Addition `json:"add,omitempty"`    // it gets this, whatever else it holds
	Sealed []byte              `json:"sealed,omitempty"` // an addition that is secret
}

// adds tells whether the file gets an addition, be it sealed.
func (it Item) adds() bool { return it.Add != nil || len(it.Sealed) > 0 }

// list is what one step has done, in order.
type list struct {
	Token string `json:"token"` // of its making: no two lists are alike
	Items []Item `json:"items"`
}

// ref is a list as the record of its step has it.
type ref struct {
	Serial int64  `json:"serial"`           // higher than that of each list which the step could see
	List   string `json:"list"`             // its digest
	Secret bool   `json:"secret,omitempty"` // some of it is sealed
}

// Made is what the steps of a run have made so far of local files: their records say
// where that is kept.
type Made struct {
	store Store
	vault Vault

	mu    sync.Mutex
	known map[dag.Key]ref
	fresh map[string]ref // by their digests: those that are not laid out here
	last  ref            // has the highest serial of all, and is secret if one is
}

// NewMade has no records yet.
func NewMade(store Store, vault Vault) *Made {
	return &Made{store: store, vault: vault, known: map[dag.Key]ref{}, fresh: map[string]ref{}}
}

// Learn takes note of records, each in the place of an earlier form of it.
func (m *Made) Learn(rs ...dag.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rs {
		var f ref
		was, known := m.known[r.Key]
		if raw, ok := r.State[dag.Besides]; !ok || json.Unmarshal(raw, &f) != nil {
			delete(m.known, r.Key) // it was removed, or is made again
			delete(m.fresh, was.List)
			continue
		}
		if known && was == f {
			continue
		}
		delete(m.fresh, was.List)
		m.known[r.Key], m.fresh[f.List] = f, f
		m.last.Serial, m.last.Secret = max(m.last.Serial, f.Serial), m.last.Secret || f.Secret
	}
}

// inOrder are lists in the order in which they count.
func inOrder(rs iter.Seq[ref]) []ref {
	return slices.SortedFunc(rs, func(a, b ref) int {
		return cmp.Or(cmp.Compare(a.Serial, b.Serial), strings.Compare(a.List, b.List))
	})
}

// next is the ref of a list of a step that may have seen all that are known. One that may
// have read a secret may have written it.
func (m *Made) next() ref {
	m.mu.Lock()
	defer m.mu.Unlock()
	return ref{Serial: m.last.Serial + 1, Secret: m.last.Secret}
}

// open reads a list. Additions that are sealed stay so.
func (m *Made) open(f ref) ([]Item, error) {
	p, err := m.store.Blob(f.List)
	if err != nil {
		return nil, err
	}
	var l list
	if err := json.Unmarshal(p, &l); err != nil {
		return nil, fmt.Errorf("cannot read what a step has made: %w", err)
	}
	if len(l.Items) > mostEntries {
		return nil, errTooMany
	}
	for _, it := range l.Items {
		if _, err := below(it.Path); err != nil {
			return nil, err
		}
	}
	return l.Items, nil
}

// unseal opens the additions among items that are sealed.
func (m *Made) unseal(items []Item) error {
	for i, it := range items {
		if len(it.Sealed) == 0 {
			continue
		}
		text, err := m.vault.Unseal(it.Sealed)
		if err == nil {
			err = json.Unmarshal(text, &items[i].Add)
		}
		if err == nil && items[i].Add == nil {
			err = errors.New("there is nothing in it")
		}
		if err != nil {
			return fmt.Errorf("cannot open what was added to it: %w", err)
		}
	}
	return nil
}

// Folder is where a worker has the files of a run.
type Folder string

// Root is below which they lie.
func (f Folder) Root() string { return filepath.Join(string(f), "files") }

// Notes is where steps note what they write.
func (f Folder) Notes() string { return filepath.Join(string(f), "notes") }

// marks is where is noted which lists are laid out.
func (f Folder) marks() string { return filepath.Join(string(f), "laid") }

// layOut lays out what other steps have made, and is not there yet.
func (m *Made) layOut(ctx context.Context, f Folder) error {
	m.mu.Lock()
	todo := inOrder(maps.Values(m.fresh))
	m.mu.Unlock()
	if len(todo) == 0 {
		return nil
	}
	unlock, err := localfile.Lock(ctx, f.marks()+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	root, err := os.OpenRoot(f.Root())
	if err != nil {
		return err
	}
	defer root.Close()
	for _, r := range todo {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, err := os.Lstat(filepath.Join(f.marks(), r.List)); errors.Is(err, fs.ErrNotExist) {
			items, err := m.open(r)
			if err != nil {
				return err
			}
			for _, group := range grouped(items) {
				rel, _ := below(group[0].Path) // open has looked at it
				err := m.unseal(group)
				if err == nil {
					err = m.put(root, rel, group)
				}
				if err != nil {
					return fmt.Errorf("%s: %w", group[0].Path, err)
				}
			}
			if err := m.mark(f, r); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		m.mu.Lock()
		delete(m.fresh, r.List)
		m.mu.Unlock()
	}
	return nil
}

// mark notes that a list is laid out.
func (m *Made) mark(f Folder, r ref) error {
	return os.WriteFile(filepath.Join(f.marks(), r.List), nil, 0o600)
}

// grouped are items that follow each other: additions to one file are put there at once.
func grouped(items []Item) (groups [][]Item) {
	for i, it := range items {
		if i > 0 && it.adds() && items[i-1].adds() && items[i-1].Path == it.Path {
			groups[len(groups)-1] = append(groups[len(groups)-1], it)
			continue
		}
		groups = append(groups, []Item{it})
	}
	return groups
}

// put does to a file below a root what an item says, or a group of additions.
func (m *Made) put(root *os.Root, rel string, group []Item) error {
	it := group[0]
	if err := root.MkdirAll(filepath.Dir(rel), 0o700); err != nil {
		return err
	}
	switch {
	case it.Gone:
		if err := root.Remove(rel); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
		return nil
	case it.Add != nil:
		was, mode, err := heldBy(root, rel)
		if err != nil {
			return err
		}
		if mode == 0 {
			mode = it.Mode.Perm()
		}
		if it.Mode.Perm()&0o077 == 0 {
			mode &^= 0o077
		}
		var as []localfile.Addition
		for _, it := range group {
			as = append(as, *it.Add)
		}
		text, err := localfile.Add(was, as...)
		if err != nil {
			return err
		}
		return replaceBy(root, rel, false, mode, text)
	case it.Mode.IsDir():
		if err := root.MkdirAll(rel, 0o700); err != nil {
			return err
		}
		return root.Chmod(rel, it.Mode.Perm()|0o700)
	case it.Link != "":
		if filepath.IsAbs(it.Link) {
			return errors.New("it is a link that leads out")
		}
		if err := root.Remove(rel); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return root.Symlink(filepath.FromSlash(it.Link), rel)
	case it.Mode.IsRegular():
		_, err := m.write(root, rel, false, it, it.Mode.Perm())
		return err
	}
	return errors.New("it is neither a file nor a directory")
}

// write puts a file in its place, and returns the digest of what it holds. One that was
// private stays so.
func (m *Made) write(root *os.Root, rel string, whole bool, it Item, mode fs.FileMode) (digest string, err error) {
	digest, err = replace(root, rel, whole, func(w io.Writer) (fs.FileMode, error) {
		private, err := m.copy(w, it)
		if private {
			mode &^= 0o077
		}
		return mode, err
	})
	if err == nil && !it.Time.IsZero() {
		err = root.Chtimes(rel, it.Time, it.Time)
	}
	return digest, err
}

// Each sealed piece begins with one of these: whoever has the store, and no identity, can
// give the content of a file that was private no other permissions.
const (
	private byte = 'p' // nobody but its owner could read the file
	public  byte = 'o'
)

// copy writes what a file holds, piece by piece, and tells whether it was private.
func (m *Made) copy(w io.Writer, it Item) (secret bool, err error) {
	left := it.Size
	if left < 0 || left > mostBytes {
		return false, errTooLarge
	}
	for _, sum := range it.Pieces {
		piece, err := pieceOf(m.store, sum)
		if err == nil && it.Secret {
			if piece, err = m.vault.Unseal(piece); err == nil && len(piece) == 0 {
				err = errors.New("a piece of it is empty")
			}
		}
		if err != nil {
			return secret, err
		}
		if it.Secret {
			secret, piece = secret || piece[0] != public, piece[1:]
		}
		if left -= int64(len(piece)); left < 0 {
			return secret, errors.New("a piece of it is longer than it should be")
		}
		if _, err := w.Write(piece); err != nil {
			return secret, err
		}
	}
	if left != 0 {
		return secret, fmt.Errorf("it has %d bytes, and should have %d", it.Size-left, it.Size)
	}
	return secret, nil
}

// keep stores what a step has written by its notes, and returns where that is. What an earlier attempt has written,
// whose list the record has, stays written; what it has added is added again, or not.
func (m *Made) keep(f Folder, token string, earlier json.RawMessage, ns []localfile.Note, secret bool, warn func(format string, a ...any)) (r ref, err error) {
	root, err := os.OpenRoot(f.Root())
	if err != nil {
		return r, err
	}
	defer root.Close()
	l := list{Token: token}
	r = m.next()
	bytes, seen := int64(0), map[string]bool{}
	for _, n := range ns {
		if n.Add == nil && seen[n.Path] { // what it holds now counts
			continue
		}
		seen[n.Path] = n.Add == nil
		it, err := m.item(root, n, secret || r.Secret && n.Add == nil, &bytes)
		switch {
		case errors.Is(err, errLeadsOut):
			warn("%s is a link that leads elsewhere: no other worker has it, and it does not come home", n.Path)
			continue
		case err != nil:
			return r, fmt.Errorf("%s: %w", n.Path, err)
		}
		if l.Items = append(l.Items, it); len(l.Items) > mostEntries {
			return r, errTooMany
		}
		r.Secret = r.Secret || it.Secret
	}
	before, err := m.before(earlier, seen)
	if err != nil {
		return r, err
	}
	l.Items = append(before, l.Items...)
	text, err := json.Marshal(l)
	if err != nil {
		return r, err
	}
	r.List, err = m.store.PutBlob(strings.NewReader(string(text)))
	return r, err
}

// before are the items of a list that a record has, but for additions and files that were written again.
func (m *Made) before(earlier json.RawMessage, again map[string]bool) (items []Item, err error) {
	var r ref
	if earlier == nil || json.Unmarshal(earlier, &r) != nil {
		return nil, nil
	}
	all, err := m.open(r)
	for _, it := range all {
		if !it.adds() && !again[it.Path] {
			items = append(items, it)
		}
	}
	return items, err
}

// errLeadsOut says of a link that what it leads to lies outside of what is taken along.
var errLeadsOut = errors.New("it is a link that leads elsewhere")

// item is what was done to one file.
func (m *Made) item(root *os.Root, n localfile.Note, secret bool, total *int64) (it Item, err error) {
	rel, err := below(n.Path)
	if err != nil {
		return it, err
	}
	it.Path, it.Gone = n.Path, n.Gone
	if n.Gone {
		return it, nil
	}
	if n.Add != nil {
		it.Mode, it.Add = n.Mode, n.Add
		if secret || n.Mode.Perm()&0o077 == 0 {
			text, err := json.Marshal(n.Add)
			if err == nil {
				it.Sealed, err = m.vault.Seal(text)
			}
			it.Add, it.Mode = nil, n.Mode&^0o077
			return it, err
		}
		return it, nil
	}
	fi, err := root.Lstat(rel)
	switch {
	case errors.Is(err, fs.ErrNotExist): // it was there for a while only
		it.Gone = true
		return it, nil
	case err != nil:
		return it, err
	}
	it.Mode = fi.Mode()
	switch {
	case fi.IsDir():
		return it, nil
	case fi.Mode()&fs.ModeSymlink != 0:
		to, err := root.Readlink(rel)
		if err == nil && (filepath.IsAbs(to) || !filepath.IsLocal(filepath.Join(filepath.Dir(rel), to))) {
			err = errLeadsOut
		}
		it.Mode, it.Link = fs.ModeSymlink, filepath.ToSlash(to)
		return it, err
	case !fi.Mode().IsRegular():
		return it, localfile.Special(n.Path, fi)
	}
	f, err := root.Open(rel)
	if err != nil {
		return it, err
	}
	defer f.Close()
	it.Time, it.Secret = fi.ModTime(), secret || fi.Mode().Perm()&0o077 == 0
	it.Mode &= fs.ModePerm
	first := public
	if it.Mode&0o077 == 0 {
		first = private
	}
	for {
		piece, err := io.ReadAll(io.LimitReader(f, madeBytes))
		if err != nil || len(piece) == 0 {
			return it, err
		}
		it.Size += int64(len(piece))
		if *total += int64(len(piece)); *total > mostBytes {
			return it, errTooLarge
		}
		if it.Secret {
			if piece, err = m.vault.Seal(append([]byte{first}, piece...)); err != nil {
				return it, err
			}
		}
		sum, err := m.store.PutBlob(bytes.NewReader(piece))
		if err != nil {
			return it, err
		}
		it.Pieces = append(it.Pieces, sum)
	}
}
