package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
)

// directory is the backend that keeps each run in a folder of its own.
type directory struct{ dir string }

func (d directory) Place() string { return d.dir }

func (d directory) run(id string) string { return filepath.Join(d.dir, "runs", id) }

func (d directory) IDs(prefix string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(d.dir, "runs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the runs: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && validID(e.Name()) && strings.HasPrefix(e.Name(), prefix) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

func (d directory) Summary(id string) (Summary, error) {
	s, err := readSummary(d.run(id))
	if err != nil || s.Status != Running || d.Driven(id) {
		return s, err
	}
	// Nobody drives it: it has ended between the two looks, or its process died.
	if s, err = readSummary(d.run(id)); err == nil && s.Status == Running {
		s.Status = Interrupted
	}
	return s, err
}

func (d directory) Summaries() ([]Summary, error) {
	ids, err := d.IDs("")
	if err != nil {
		return nil, err
	}
	sums := make([]Summary, len(ids))
	for i, id := range ids {
		if sums[i], err = d.Summary(id); err != nil {
			sums[i] = UnreadableSummary(id, err)
		}
	}
	return sums, nil
}

func (d directory) Driven(id string) bool { return locked(filepath.Join(d.run(id), dbFile)) }

func (d directory) Drawn(id string) ([]byte, error) {
	return os.ReadFile(filepath.Join(d.run(id), graphFile))
}

func (d directory) Events(id string) (Events, error) {
	r := &eventReader{id: id, path: filepath.Join(d.run(id), eventsFile), buf: make([]byte, 64<<10)}
	return r, r.open()
}

func (d directory) Create(s Summary) (Journal, error) {
	dir := d.run(s.ID)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := d.open(s.ID, fresh)
	if err != nil {
		return nil, err
	}
	f.sum = s
	if err = writeSummary(dir, s); err == nil {
		err = errors.Join(syncDir(dir), syncDir(filepath.Dir(dir))) // that the files are there
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (d directory) Open(id string, _ bool) (Journal, Summary, error) {
	dir := d.run(id)
	as := existing
	if _, err := os.Stat(filepath.Join(dir, summaryFile)); errors.Is(err, fs.ErrNotExist) {
		as = maybeIncomplete // the summary is written after the database was made
	}
	f, err := d.open(id, as)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s, _ := readSummary(dir) // the zero Owner says that nobody has signed yet
		return nil, s, &BusyError{Run: id, Owner: s.Owner}
	}
	if err != nil {
		return nil, Summary{}, err
	}
	if f.sum, err = readSummary(dir); err != nil {
		// The summary can be written anew; only what no record holds is lost.
		f.sum = Summary{ID: id, Status: Interrupted, Started: idTime(id)}
	}
	return f, f.sum, nil
}

func (d directory) open(id string, as opening) (*files, error) {
	f := &files{in: d, id: id, dir: d.run(id)}
	var err error
	if f.db, err = openDB(filepath.Join(f.dir, dbFile), id, as, current); err != nil {
		return nil, err
	}
	if f.events, err = openEventWriter(filepath.Join(f.dir, eventsFile)); err != nil {
		f.db.close()
		return nil, err
	}
	return f, nil
}

func (d directory) Assign(id string, _ Owner) (int64, error) { return 0, notShared(id) }
func (d directory) Release(id string, _ int64) error         { return notShared(id) }
func (d directory) Assigned(id string) (int64, error)        { return 0, nil }
func (d directory) Assignments() ([]Assignment, error)       { return nil, nil }
func (d directory) Join(id string, _ int64) (Journal, Summary, error) {
	return nil, Summary{}, notShared(id)
}

func (d directory) Contend(c Claimant, _ []dag.Key, _ func(map[dag.Key]string) []dag.Key) error {
	return notShared(c.Run)
}
func (d directory) Makings(waits []Wait) ([]Making, error)        { return nil, nil }
func (d directory) Makers([]dag.Key) (map[dag.Key]string, error)  { return nil, nil }
func (d directory) Yield(id string, _ int64, _ []dag.Key) error   { return notShared(id) }
func (d directory) Lent(id string, _ []dag.Key) ([][]byte, error) { return nil, notShared(id) }
func (d directory) SharedKey(string, []byte) ([]byte, error) {
	return nil, errors.New("cannot have a key that many machines share: the runs are in a directory of this one; set IMGFLOW_STATE to a database")
}

// notShared says why a run of a directory cannot be driven from elsewhere.
func notShared(id string) error {
	return fmt.Errorf("cannot share run %s: it is in a directory of this machine: only runs in PostgreSQL can be shared; set IMGFLOW_STATE to a database", id)
}

func (d directory) Sweep() error {
	left, err := filepath.Glob(filepath.Join(d.dir, "runs", pruned+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

func (d directory) Size(id string) (n int64) {
	filepath.WalkDir(d.run(id), func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it has gone meanwhile
		}
		if fi, err := e.Info(); err == nil && fi.Mode().IsRegular() {
			n += fi.Size()
		}
		return nil
	})
	return n
}

// files are the journal of a run in its folder.
type files struct {
	in      directory
	id, dir string
	db      *database
	events  *eventWriter
	sum     Summary
	behind  bool // the file could not be replaced when the summary changed
}

// unwritten says which file a failure is about.
func unwritten(path string, err error) error {
	if err == nil || errors.As(err, new(*CorruptError)) {
		return err
	}
	return &WriteError{Path: path, Err: err}
}

func (f *files) Place() string           { return f.db.path }
func (f *files) Write(puts ...Put) error { return unwritten(f.db.path, f.db.queue.Write(puts...)) }
func (f *files) Later(puts ...Put) error { return unwritten(f.db.path, f.db.later(puts...)) }
func (f *files) Flush() error            { return unwritten(f.db.path, f.db.queue.Flush()) }

func (f *files) Get(b Bucket, key string) ([]byte, error) { return f.db.get(b, key) }
func (f *files) Each(b Bucket, fn func(key string, value []byte) error) error {
	return f.db.each(b, fn)
}

// Changed has nothing to tell: nobody else writes.
func (f *files) Changed(func(string, []byte) error) error { return nil }

func (f *files) Emit(e dag.Event) error            { return unwritten(f.events.path, f.events.emit(e)) }
func (f *files) Sync() error                       { return unwritten(f.events.path, f.events.sync()) }
func (f *files) Offset(token, stream string) int64 { return f.events.offset(token, stream) }

func (f *files) Summarize(change func(*Summary) bool) error {
	if !change(&f.sum) && !f.behind {
		return nil
	}
	err := writeSummary(f.dir, f.sum)
	f.behind = err != nil
	return unwritten(filepath.Join(f.dir, summaryFile), err)
}

// graphFile lies beside the events. It holds the graph without settings. A power cut
// may cost it, until the run goes on: only drawing relies on it.
const graphFile = "graph.json"

func (f *files) SetDrawn(graph []byte) error {
	path := filepath.Join(f.dir, graphFile)
	return unwritten(path, localfile.Replace(path, graph, 0o600, false))
}

// blobsDir holds contents by their sums.
const blobsDir = "blobs"

func (f *files) PutBlob(sum string, content []byte) error {
	path := filepath.Join(f.dir, blobsDir, sum)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = localfile.Replace(path, content, 0o600, true)
	}
	return unwritten(path, err)
}

func (f *files) Blob(sum string) ([]byte, error) {
	path := filepath.Join(f.dir, blobsDir, sum)
	file, err := openFile(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return localfile.ReadAll(file, path, MaxBlob)
}

func (f *files) Adopt([]string) error           { return notShared(f.id) }
func (f *files) Assign(Owner) (int64, error)    { return 0, notShared(f.id) }
func (f *files) Claim(dag.Key) (Journal, error) { return nil, notShared(f.id) }
func (f *files) Lost() <-chan struct{}          { return nil }

func (f *files) Prune() error {
	if runtime.GOOS == "windows" { // where what is open cannot be moved
		f.Close()
	} // elsewhere nobody takes the run until it has another name
	away := f.in.run(pruned + f.id)
	if err := os.Rename(f.dir, away); err != nil {
		return fmt.Errorf("cannot forget run %s: %w", f.id, err)
	}
	if err := os.RemoveAll(away); err != nil {
		return fmt.Errorf("cannot remove the files of run %s: %w", f.id, err)
	}
	return nil
}

func (f *files) Close() error { return errors.Join(f.events.close(), f.db.close()) }
