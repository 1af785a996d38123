package guest

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// store is the directory of a host:
//
//	lock              held while a server uses the directory
//	guests/ID/...     one guest: guest.json, ssh_host_ed25519_key, console.log and its files
//	layers/LAYER/...  what was frozen, or imported
//	imports.json      the root file systems that were imported
type store struct {
	dir  string
	lock *os.File
}

// state is what guest.json keeps of a guest.
type state struct {
	Spec    Spec           `json:"spec"`
	Layers  []string       `json:"layers"`            // topmost first
	Pending string         `json:"pending,omitempty"` // a layer that a freeze was about to make
	Booted  bool           `json:"booted"`            // the first boot is over
	Ports   map[string]int `json:"ports,omitempty"`
	Sealed  string         `json:"sealed,omitempty"` // the password of Windows, as GetPasswordData gives it
}

func openStore(dir string) (*store, error) {
	s, err := makeStore(dir)
	if err != nil {
		return nil, err
	}
	// A server that was killed leaves the lock, for a moment, to a process that it
	// was just starting.
	for end := time.Now().Add(time.Second); ; time.Sleep(20 * time.Millisecond) {
		if s.lock, err = lockFile(filepath.Join(dir, "lock")); err == nil || time.Now().After(end) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use %s: another server keeps its guests there (%w)", dir, err)
	}
	return s, nil
}

// makeStore makes the directories, without the lock of a server.
func makeStore(dir string) (*store, error) {
	for _, d := range []string{dir, filepath.Join(dir, "guests"), filepath.Join(dir, "layers")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("cannot make the directory of guests: %w", err)
		}
	}
	// The directories in it are open to a guest's users; this one guards them.
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the directory of guests private: %w", err)
	}
	return &store{dir: dir}, nil
}

func (s *store) close() error { return s.lock.Close() }

func (s *store) guest(id string, p ...string) string {
	return filepath.Join(append([]string{s.dir, "guests", id}, p...)...)
}

func (s *store) layer(id string) string { return filepath.Join(s.dir, "layers", id) }

// checkID keeps a name from being a path.
func checkID(kind, id string) error {
	if id == "" || id[0] == '.' || strings.ContainsAny(id, "/\\:,%\x00") {
		return fmt.Errorf("%q is no %s: %w", id, kind, fs.ErrNotExist)
	}
	return nil
}

// create writes the record of a new guest.
func (s *store) create(id string, spec Spec) (*record, error) {
	if err := checkID("guest", id); err != nil {
		return nil, err
	}
	for _, l := range spec.Layers {
		if err := s.hasLayer(l); err != nil {
			return nil, fmt.Errorf("cannot make guest %s: %w", id, err)
		}
	}
	if _, err := os.Stat(s.guest(id, "guest.json")); errors.Is(err, fs.ErrNotExist) {
		os.RemoveAll(s.guest(id)) // what a server left that died before the record was written
	}
	if err := os.Mkdir(s.guest(id), 0o700); err != nil {
		return nil, fmt.Errorf("cannot make guest %s: %w", id, err)
	}
	r := &record{path: s.guest(id, "guest.json"), st: state{Spec: spec, Layers: spec.Layers}}
	if err := r.update(func(*state) {}); err != nil {
		os.RemoveAll(s.guest(id))
		return nil, fmt.Errorf("cannot make guest %s: %w", id, err)
	}
	return r, nil
}

// open reads the record of a guest that was made before.
func (s *store) open(id string) (*record, error) {
	if err := checkID("guest", id); err != nil {
		return nil, err
	}
	r := &record{path: s.guest(id, "guest.json")}
	b, err := os.ReadFile(r.path)
	if err != nil {
		return nil, fmt.Errorf("cannot open guest %s: %w", id, err)
	}
	if err := json.Unmarshal(b, &r.st); err != nil {
		return nil, fmt.Errorf("cannot open guest %s: %s is damaged: %w", id, r.path, err)
	}
	if p := r.st.Pending; p != "" { // the server died in a freeze: was it before or after the rename?
		made := s.hasLayer(p) == nil
		err = r.update(func(st *state) {
			if st.Pending = ""; made {
				st.Layers = append([]string{p}, st.Layers...)
			}
		})
	}
	return r, err
}

func (s *store) hasLayer(l string) error {
	if err := checkID("layer", l); err != nil {
		return err
	}
	if st, err := os.Stat(s.layer(l)); err != nil || !st.IsDir() {
		return fmt.Errorf("there is no layer %s: %w", l, fs.ErrNotExist)
	}
	return nil
}

// free is nil for a layer that exists and that no guest stands on.
func (s *store) free(layer string) error {
	if err := s.hasLayer(layer); err != nil {
		return fmt.Errorf("cannot remove layer %s: %w", layer, err)
	}
	es, err := os.ReadDir(filepath.Join(s.dir, "guests"))
	if err != nil {
		return fmt.Errorf("cannot remove layer %s: %w", layer, err)
	}
	for _, e := range es {
		b, err := os.ReadFile(s.guest(e.Name(), "guest.json"))
		if err != nil {
			continue // going, or never finished
		}
		var st state
		if err := json.Unmarshal(b, &st); err != nil {
			return fmt.Errorf("cannot remove layer %s: the record of guest %s is damaged: %w", layer, e.Name(), err)
		}
		for _, l := range append(st.Layers, st.Pending) {
			if l == layer {
				return fmt.Errorf("cannot remove layer %s: guest %s stands on it", layer, e.Name())
			}
		}
	}
	return nil
}

// record is guest.json and what it says.
type record struct {
	path string
	mu   sync.Mutex
	st   state
}

func (r *record) get() state {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.st
}

// update changes the record; the file is replaced in one step.
func (r *record) update(change func(*state)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.st
	change(&st)
	b, err := json.MarshalIndent(st, "", "\t")
	if err != nil {
		return err
	}
	if err := writeFileAtomic(r.path, b); err != nil {
		return fmt.Errorf("cannot record the guest: %w", err)
	}
	r.st = st
	return nil
}

// writeFileAtomic replaces a file of mode 0600.
func writeFileAtomic(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// newLayerID is short: all layers of a guest must fit into one mount option.
func newLayerID() string { return strings.ToLower(rand.Text()[:12]) }
