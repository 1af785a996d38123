package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/imgflow/imgflow/internal/localfile"
)

// Spot is where a file goes on this computer.
type Spot struct {
	Base string // a directory that nobody else has chosen; it may lie behind links
	Rel  string // below it, where no link is followed
	Over bool   // what is there already is replaced, whosoever it is
}

// Bringing is how the files of a run are brought to this computer.
type Bringing struct {
	Run    string
	Place  func(path string) (s Spot, why string) // why it goes nowhere, if it does
	Memory string                                 // a directory in which is noted what was brought
}

// Refused is a file that was not brought.
type Refused struct {
	Path, Why string
	Failed    bool // it belongs here, and something is to be mended first
}

// storeError says that the store could not be read: other files are not in it either.
type storeError struct{ error }

func (e *storeError) Unwrap() error { return e.error }

// final is what has become of a file by all that steps did to it.
type final struct {
	whole *Item
	adds  []Item
	ids   []string // of the additions
}

// finals are the files as they are after all lists, by their paths.
func (m *Made) finals() (map[string]*final, error) {
	all := map[string]*final{}
	m.mu.Lock()
	lists := inOrder(maps.Values(m.known))
	m.mu.Unlock()
	for _, r := range lists {
		items, err := m.open(r)
		if err != nil {
			return nil, err
		}
		for i, it := range items {
			f := all[it.Path]
			switch {
			case it.Gone:
				delete(all, it.Path)
				continue
			case !it.adds():
				f = &final{whole: &it}
			case f == nil:
				f = &final{}
			}
			if it.adds() {
				f.adds, f.ids = append(f.adds, it), append(f.ids, fmt.Sprintf("%.16s %d", r.List, i))
			}
			if all[it.Path] = f; len(all) > mostEntries {
				return nil, errTooMany
			}
		}
	}
	return all, nil
}

// Bring puts what the steps have made where it belongs on this computer, once. What is
// there and must stay is refused. A file that cannot be opened or written keeps no other from coming.
func (m *Made) Bring(ctx context.Context, b Bringing) (not []Refused, err error) {
	all, err := m.finals()
	if err != nil || len(all) == 0 {
		return nil, err
	}
	unlock, err := b.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if ctx.Err() != nil {
			return not, ctx.Err()
		}
		s, why := b.Place(path)
		if why == "" {
			why, err = m.bring(ctx, b, s, all[path])
		}
		if errors.As(err, new(*storeError)) {
			return not, err
		}
		if err != nil {
			not = append(not, Refused{path, fmt.Sprintf("cannot write %s: %v", filepath.Join(s.Base, s.Rel), err), true})
		} else if why != "" {
			not = append(not, Refused{path, why, false})
		}
	}
	return not, nil
}

// Forget removes from this computer what was brought of the run and is a thing of no step any more,
// unless somebody has changed it.
func (m *Made) Forget(ctx context.Context, b Bringing) error {
	all, err := m.finals()
	if err != nil {
		return err
	}
	notes, err := os.ReadDir(b.Memory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	unlock, err := b.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	for _, n := range notes {
		var k kept
		file := filepath.Join(b.Memory, n.Name())
		text, err := localfile.Read(file, maxKept)
		if err != nil || json.Unmarshal(text, &k) != nil || k.Run != b.Run || k.Digest == "" || all[k.Path] != nil {
			continue
		}
		if now, err := localfile.Digest(k.At); err == nil && now == k.Digest {
			if err := os.Remove(k.At); err != nil {
				return err
			}
		}
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return nil
}

func (b Bringing) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(b.Memory, 0o700); err != nil {
		return nil, err
	}
	return localfile.Lock(ctx, filepath.Join(b.Memory, ".lock"))
}

// kept is what is known of a file that was brought.
type kept struct {
	At      string   `json:"at"`   // where it is here
	Path    string   `json:"path"` // where it was for the run
	Run     string   `json:"run"`
	Whole   string   `json:"whole,omitempty"`   // which form of it was brought
	Digest  string   `json:"digest,omitempty"`  // of what was written last
	Adds    []string `json:"adds,omitempty"`    // what was added to it
	Next    []string `json:"next,omitempty"`    // what is added now
	Pending string   `json:"pending,omitempty"` // the digest of what it holds when that was done
}

// maxKept bounds what is kept of a file, in bytes.
const maxKept = 64 << 20

func (b Bringing) file(at string) string {
	sum := sha256.Sum256([]byte(at))
	return filepath.Join(b.Memory, hex.EncodeToString(sum[:16]))
}

// known is what is known of the file at a path.
func (b Bringing) known(at string) (k kept, err error) {
	text, err := localfile.Read(b.file(at), maxKept)
	if errors.Is(err, fs.ErrNotExist) {
		return kept{At: at}, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	return k, err
}

// keep notes what is known of a file: what was added to it must not be forgotten.
func (b Bringing) keep(k kept) error {
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return localfile.Replace(b.file(k.At), text, 0o600, k.Pending != "" || len(k.Adds) > 0)
}

// bring brings one file, or says why not.
func (m *Made) bring(ctx context.Context, b Bringing, s Spot, f *final) (why string, err error) {
	if err := m.unseal(f.adds); err != nil {
		return "", err
	}
	if err := os.MkdirAll(s.Base, 0o755); err != nil {
		return "", err
	}
	root, err := os.OpenRoot(s.Base)
	if err != nil {
		return "", err
	}
	defer root.Close()
	if why, err := makeDirs(root, filepath.Dir(s.Rel)); why != "" || err != nil {
		return why, err
	}
	at := filepath.Join(s.Base, s.Rel)
	k, err := b.known(at)
	if err != nil {
		return "", err
	}
	path := ""
	if f.whole != nil {
		path = f.whole.Path
	} else {
		path = f.adds[0].Path
	}
	fi, err := root.Lstat(s.Rel)
	there := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if there && fi.Mode()&fs.ModeSymlink != 0 && (f.whole == nil || f.whole.Link == "") {
		return "it is a link here, which is not followed", nil
	}
	ours := func() bool { // nobody has changed it since it was brought
		now, err := localfile.Digest(at)
		return err == nil && k.Digest != "" && now == k.Digest
	}
	free := !there || s.Over
	if k.Run != b.Run || k.Path != path {
		k = kept{At: at, Path: path, Run: b.Run, Digest: k.Digest}
	}
	if f.whole != nil {
		if why, err := m.bringWhole(root, s, f.whole, fi, there, free || ours(), b, &k); why != "" || err != nil {
			return why, err
		}
		there, free = true, true
	}
	return m.bringAdds(ctx, root, s, f, free || !there || ours(), b, &k)
}

// makeDirs makes directories below a root, none of them through a link.
func makeDirs(root *os.Root, dir string) (why string, err error) {
	if dir == "." {
		return "", nil
	}
	if why, err := makeDirs(root, filepath.Dir(dir)); why != "" || err != nil {
		return why, err
	}
	err = root.Mkdir(dir, 0o755)
	if !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	fi, err := root.Lstat(dir)
	if err == nil && !fi.IsDir() {
		why = fmt.Sprintf("%s is no directory here", dir)
	}
	return why, err
}

const alreadyThere = "another is there already, and no step of the template names it"

// bringWhole brings a file that a step has written, a directory or a link.
func (m *Made) bringWhole(root *os.Root, s Spot, it *Item, fi fs.FileInfo, there, free bool, b Bringing, k *kept) (why string, err error) {
	form, err := json.Marshal(it)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(form)
	whole := hex.EncodeToString(sum[:])
	if k.Whole == whole && there {
		return "", nil
	}
	switch {
	case it.Mode.IsDir():
		if there && !fi.IsDir() {
			return "something else is there already", nil
		}
		if there {
			return "", nil
		}
		return "", root.Mkdir(s.Rel, it.Mode.Perm()|0o700)
	case it.Link != "":
		if to := filepath.FromSlash(it.Link); filepath.IsAbs(to) || !filepath.IsLocal(filepath.Join(filepath.Dir(s.Rel), to)) {
			return "it is a link that leads elsewhere", nil
		}
		if there {
			if to, err := root.Readlink(s.Rel); err != nil || to != filepath.FromSlash(it.Link) {
				return alreadyThere, nil
			}
			return "", nil
		}
		return "", root.Symlink(filepath.FromSlash(it.Link), s.Rel)
	case !it.Mode.IsRegular():
		return "it is neither a file nor a directory", nil
	case there && !fi.Mode().IsRegular():
		return "it is no file here", nil
	}
	mode := it.Mode.Perm()
	if there && free {
		mode = fi.Mode().Perm()
	}
	if there && !free {
		h := sha256.New()
		if _, err := m.copy(h, *it); err != nil {
			return "", err
		}
		if now, err := localfile.Digest(k.At); err != nil || now != hex.EncodeToString(h.Sum(nil)) {
			return alreadyThere, err
		}
		return "", nil
	}
	if k.Digest, err = m.write(root, s.Rel, true, *it, mode); err != nil {
		return "", err
	}
	k.Whole, k.Adds = whole, nil
	return "", b.keep(*k)
}

// bringAdds adds to a file what is not in it yet.
func (m *Made) bringAdds(ctx context.Context, root *os.Root, s Spot, f *final, free bool, b Bringing, k *kept) (why string, err error) {
	if len(f.adds) == 0 {
		return "", nil
	}
	if f.adds[0].Add.Entry == nil && !free {
		return alreadyThere, nil
	}
	unlock, err := localfile.Lock(ctx, filepath.Join(filepath.Dir(k.At), "."+filepath.Base(k.At)+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	was, mode, err := heldBy(root, s.Rel)
	if err != nil {
		return "", err
	}
	if sum := sha256.Sum256(was); k.Pending == hex.EncodeToString(sum[:]) { // the process was killed that has done it
		k.Digest, k.Adds = k.Pending, append(k.Adds, k.Next...)
	}
	had := map[string]bool{}
	for _, id := range k.Adds {
		had[id] = true
	}
	var as []localfile.Addition
	k.Next = nil
	for i, it := range f.adds {
		if had[f.ids[i]] {
			continue
		}
		if mode == 0 {
			mode = it.Mode.Perm()
		}
		if len(it.Sealed) > 0 {
			mode &^= 0o077
		}
		as, k.Next = append(as, *it.Add), append(k.Next, f.ids[i])
	}
	if len(as) == 0 {
		return "", nil
	}
	text, err := localfile.Add(was, as...)
	if err != nil {
		return err.Error(), nil
	}
	sum := sha256.Sum256(text)
	k.Pending = hex.EncodeToString(sum[:])
	if err := b.keep(*k); err != nil {
		return "", err
	}
	if err := replaceBy(root, s.Rel, true, mode, text); err != nil {
		return "", err
	}
	k.Digest, k.Pending, k.Adds, k.Next = k.Pending, "", append(k.Adds, k.Next...), nil
	return "", b.keep(*k)
}
