package guest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/imgflow/imgflow/internal/self"
)

// Import unpacks a root file system, a tar that may be gzipped, for the guests of
// its system in dir, the directory of a host. A server may be using dir: the
// guests that it makes from then on stand on what was imported. as is ID or
// ID:VERSION, or "" for what the /etc/os-release of the root file system says.
func Import(ctx context.Context, dir string, tar io.Reader, as string) (Imported, error) {
	m, err := importRoot(ctx, dir, tar, as)
	if err != nil {
		return m, fmt.Errorf("cannot import a root file system: %w", err)
	}
	return m, nil
}

func importRoot(ctx context.Context, dir string, tar io.Reader, as string) (m Imported, err error) {
	if as != "" {
		if m.ID, m.Version, err = systemNamed(as); err != nil {
			return m, err
		}
	}
	s, err := ownStore(dir)
	if err != nil {
		return m, err
	}
	busy, err := lockFile(filepath.Join(s.dir, "importing"))
	if errors.Is(err, unix.EWOULDBLOCK) {
		return m, errors.New("another import or removal is at work: wait for its end")
	}
	if err != nil {
		return m, err
	}
	defer busy.Close()
	all, err := s.imports()
	if err != nil {
		return m, err
	}
	if as != "" {
		if err := notYet(all, m); err != nil {
			return m, err
		}
	}
	ids := detectIDs()
	if err := s.sweepRoots(ids, all); err != nil {
		return m, err
	}
	m.Layer = rootLayer + newLayerID()[:8]
	tmp := s.layer(m.Layer + unfinished)
	defer func() {
		if err != nil {
			err = errors.Join(err, ids.helper(nil, nil, "rm", tmp, s.layer(m.Layer)))
		}
	}()
	if err := os.MkdirAll(filepath.Join(tmp, overlay{Path: "/"}.key()), 0o755); err != nil {
		return m, err
	}
	var out bytes.Buffer
	want := "os-release"
	if as != "" {
		want = "as"
	}
	err = ids.helper(contextReader{ctx, tar}, &out, "import", filepath.Join(tmp, overlay{Path: "/"}.key()), ids.String(), want)
	if ctx.Err() != nil {
		return m, ctx.Err()
	}
	var told unpacked
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &told)
	}
	if err != nil {
		return m, err
	}
	if told.Err != "" {
		return m, errors.New(told.Err)
	}
	if as == "" {
		m.ID, m.Version = told.ID, told.Version
	}
	m.Title, m.Files, m.Bytes, m.LeftOut, m.Made = told.Title, told.Files, told.Bytes, told.LeftOut, time.Now().UTC().Truncate(time.Second)
	if err := notYet(all, m); err != nil {
		return m, err
	}
	if err := os.Rename(tmp, s.layer(m.Layer)); err != nil {
		return m, err
	}
	return m, s.keepImports(append(all, m))
}

func notYet(all []Imported, m Imported) error {
	for _, o := range all {
		if o.Name() == m.Name() {
			return fmt.Errorf("there is one for %s already: remove it first (`%s`), or import this one with --as ID:VERSION", m.Name(), self.Command("guest remove", m.Name()))
		}
	}
	return nil
}

// Imports lists what was imported into dir, and what stands on it. It changes
// nothing.
func Imports(dir string) ([]Imported, error) {
	s := &store{dir: dir}
	all, err := s.imports()
	for i := range all {
		if err == nil {
			err = s.users(&all[i])
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list imported root file systems: %w", err)
	}
	return all, nil
}

// RemoveImport removes what was imported under a name, unless a guest or a layer
// of an image stands on it.
func RemoveImport(dir, name string) error {
	if err := removeImport(dir, name); err != nil {
		return fmt.Errorf("cannot remove %s: %w", name, err)
	}
	return nil
}

func removeImport(dir, name string) error {
	s, err := ownStore(dir)
	if err != nil {
		return err
	}
	busy, err := lockFile(filepath.Join(s.dir, "importing"))
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errors.New("another import or removal is at work: wait for its end")
	}
	if err != nil {
		return err
	}
	defer busy.Close()
	m, err := s.forgetImport(name)
	if err != nil {
		return err
	}
	return detectIDs().helper(nil, nil, "rm", s.layer(m.Layer))
}

// forgetImport takes it out of the index, with no guest made meanwhile.
func (s *store) forgetImport(name string) (m Imported, err error) {
	unlock, err := s.lockImports(unix.LOCK_EX)
	if err != nil {
		return m, err
	}
	defer unlock()
	all, err := s.imports()
	if err != nil {
		return m, err
	}
	i := slices.IndexFunc(all, func(o Imported) bool { return o.Name() == name })
	if i < 0 {
		return m, fmt.Errorf("no root file system of that name was imported into %s; `%s` shows those that were", s.dir, self.Command("guest list"))
	}
	m = all[i]
	if err := s.users(&m); err != nil {
		return m, err
	}
	if n := len(m.Guests); n > 0 {
		return m, fmt.Errorf("instances stand on it (%s): terminate them first", strings.Join(m.Guests[:min(n, 10)], ", "))
	}
	if m.Layers > 0 {
		return m, fmt.Errorf("%d layers of images and snapshots stand on it: deregister the images and delete their snapshots first", m.Layers)
	}
	return m, s.writeImports(slices.Delete(all, i, i+1))
}

// users finds what stands on an imported root file system.
func (s *store) users(m *Imported) error {
	guests, err := os.ReadDir(filepath.Join(s.dir, "guests"))
	if err != nil {
		return err
	}
	for _, e := range guests {
		b, err := os.ReadFile(s.guest(e.Name(), "guest.json"))
		if err != nil {
			continue // going, or never finished
		}
		var st state
		if err := json.Unmarshal(b, &st); err != nil {
			return fmt.Errorf("the record of guest %s is damaged: %w", e.Name(), err)
		}
		if importedRoot(st.Layers) == m.Layer {
			m.Guests = append(m.Guests, e.Name())
		}
	}
	layers, err := os.ReadDir(filepath.Join(s.dir, "layers"))
	for _, e := range layers {
		if standsOn(e.Name(), m.Layer) {
			m.Layers++
		}
	}
	return err
}

// ownStore is the directory of a host that a server may be using.
func ownStore(dir string) (*store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s, err := makeStore(dir)
	if err != nil {
		return nil, err
	}
	st, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && int(sys.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("%s belongs to another user (id %d), and so do its guests", dir, sys.Uid)
	}
	return s, nil
}

// imports reads the index; the file is replaced as a whole, so no lock is needed.
func (s *store) imports() (all []Imported, err error) {
	b, err := os.ReadFile(s.importIndex())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", s.importIndex(), err)
	}
	return all, nil
}

func (s *store) importIndex() string { return filepath.Join(s.dir, "imports.json") }

// keepImports writes the index between two guests.
func (s *store) keepImports(all []Imported) error {
	unlock, err := s.lockImports(unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock()
	return s.writeImports(all)
}

func (s *store) writeImports(all []Imported) error {
	b, err := json.MarshalIndent(all, "", "\t")
	if err != nil {
		return err
	}
	return writeFileAtomic(s.importIndex(), b)
}

// lockImports keeps the index (LOCK_SH) while a guest is made by it, or alone
// (LOCK_EX) while it changes. Neither takes long.
func (s *store) lockImports(how int) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(s.dir, "imports.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(int(f.Fd()), how)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f.Close, nil
}

// sweepRoots removes what an import or a removal left that was killed: no guest
// can stand on what the index does not have.
func (s *store) sweepRoots(ids ids, all []Imported) error {
	found, err := filepath.Glob(s.layer(rootLayer + "*"))
	if err != nil {
		return err
	}
	gone := slices.DeleteFunc(found, func(p string) bool {
		return slices.ContainsFunc(all, func(m Imported) bool { return m.Layer == filepath.Base(p) })
	})
	if len(gone) == 0 {
		return nil
	}
	return ids.helper(nil, nil, "rm", gone...)
}

// contextReader ends a stream with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
