package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
)

// Run is one run, held for driving. It is the engine's Store and Sink; its
// methods may be called from many goroutines.
type Run struct {
	id, dir string
	db      *database
	events  *eventWriter
	vault   *Vault
	red     *Redactor

	mu     sync.Mutex
	sum    Summary
	behind bool               // the file could not be replaced when the summary changed
	things map[dag.Key]string // labels of what exists outside
}

var (
	_ dag.Store = (*Run)(nil)
	_ dag.Sink  = (*Run)(nil)
)

// Create begins a run and drives it. It fills in the id, the owner and the
// times of the summary, and Running where the status is empty.
func (h *Home) Create(s Summary) (*Run, error) {
	now := time.Now()
	var dir string
	for {
		s.ID = newID(now)
		dir = h.RunDir(s.ID)
		err := os.Mkdir(dir, 0o700)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("cannot begin a run: %w", err)
		}
	}
	s.Started, s.Updated, s.Owner, s.Problem = now, now, self(now), ""
	if s.Status == "" {
		s.Status = Running
	}
	r, err := h.open(s.ID, fresh)
	if err != nil {
		return nil, err
	}
	r.sum = s
	if err = writeSummary(dir, s); err == nil {
		_, err = r.Salt()
	}
	if err == nil {
		err = errors.Join(syncDir(dir), syncDir(filepath.Dir(dir))) // that the files are there
	}
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("cannot begin a run: %w", err)
	}
	return r, nil
}

// Open takes a run to drive it on; id may be a prefix. The error is a
// *BusyError if another process drives it. The status stays what it was.
func (h *Home) Open(id string) (*Run, error) {
	r, err := h.Look(id)
	if err != nil {
		return nil, err
	}
	// On a full disk nobody can sign. Whoever writes more will be told; whoever
	// only removes what the run has made needs to write nothing.
	if err := r.SetSummary(func(s *Summary) { s.Owner = self(time.Now()) }); err != nil && !errors.As(err, new(*WriteError)) {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Look is Open without a sign of who drives the run: its summary stays as it is.
func (h *Home) Look(id string) (*Run, error) {
	id, err := h.Resolve(id)
	if err != nil {
		return nil, err
	}
	as := existing
	if _, err := os.Stat(filepath.Join(h.RunDir(id), summaryFile)); errors.Is(err, fs.ErrNotExist) {
		as = maybeIncomplete // the summary is written after the database was made
	}
	r, err := h.open(id, as)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s, _ := readSummary(h.RunDir(id)) // the zero Owner says that nobody has signed yet
		return nil, &BusyError{Run: id, Owner: s.Owner}
	}
	if err != nil {
		return nil, err
	}
	if r.sum, err = readSummary(r.dir); err != nil {
		// The summary can be written anew; only what no record holds is lost.
		r.sum = Summary{ID: id, Status: Interrupted, Started: idTime(id)}
	}
	return r, nil
}

func (h *Home) open(id string, as opening) (*Run, error) {
	dir := h.RunDir(id)
	db, err := openDB(filepath.Join(dir, dbFile), id, as, current)
	if err != nil {
		return nil, err
	}
	r := &Run{id: id, dir: dir, db: db, red: &Redactor{}, things: map[dag.Key]string{}}
	r.vault = &Vault{home: h, db: db, red: r.red}
	rs, err := r.All()
	if err == nil {
		r.note(rs)
		r.events, err = openEventWriter(filepath.Join(dir, eventsFile))
	}
	if err != nil {
		db.close()
		return nil, err
	}
	return r, nil
}

// self is this process as the owner of a run.
func self(now time.Time) Owner {
	host, _ := os.Hostname()
	args := slices.Clone(os.Args)
	args[0] = filepath.Base(args[0])
	return Owner{PID: os.Getpid(), Host: host, Command: publicArgs(args), Since: now}
}

// publicArgs leaves the values of variables out of a command line: they may be
// secret, and the summary is not sealed.
func publicArgs(args []string) string {
	out := slices.Clone(args)
	for i, a := range out {
		name, value, ok := strings.Cut(a, "=")
		switch {
		case ok && strings.Trim(name, "-") == "var" && strings.HasPrefix(a, "-"):
			v, _, _ := strings.Cut(value, "=")
			out[i] = name + "=" + v + "=..."
		case i > 0 && (args[i-1] == "-var" || args[i-1] == "--var"):
			out[i] = name + "=..."
		}
	}
	return strings.Join(out, " ")
}

// ID is the run's id.
func (r *Run) ID() string { return r.id }

// Dir is where the run lies.
func (r *Run) Dir() string { return r.dir }

// Close gives the run back.
func (r *Run) Close() error { return errors.Join(r.events.close(), r.db.close()) }

// All returns every record.
func (r *Run) All() ([]dag.Record, error) {
	var rs []dag.Record
	err := r.db.each(recordsBucket, func(k, v []byte) error {
		var rec dag.Record
		if err := json.Unmarshal(v, &rec); err != nil {
			return r.db.corrupt(fmt.Errorf("record %.8x: %w", k, err))
		}
		rs = append(rs, rec)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return rs, nil
}

// Put keeps all of the records or none. When it returns they are on disk, and all
// that was put off before.
func (r *Run) Put(rs ...dag.Record) error {
	if len(rs) == 0 {
		return r.failed(r.db.path, r.db.flush())
	}
	return r.keep(r.db.write, rs)
}

// Later keeps all of the records or none, with the next that is written, or soon
// without one.
func (r *Run) Later(rs ...dag.Record) error { return r.keep(r.db.later, rs) }

func (r *Run) keep(write func(...put) error, rs []dag.Record) error {
	puts := make([]put, len(rs))
	for i, rec := range rs {
		rec.Err = r.red.Redact(rec.Err) // whoever refuses a value may repeat it
		p, err := json.Marshal(rec)
		if err != nil {
			return fmt.Errorf("cannot store %s: %w", rec.Name, err)
		}
		puts[i] = put{bucket: recordsBucket, key: slices.Clone(rec.Key[:]), value: p}
	}
	err := write(puts...)
	// What could not be stored may exist all the same.
	r.note(rs)
	return r.failed(r.db.path, err)
}

// note remembers what exists outside, to say so when it can be said no more.
func (r *Run) note(rs []dag.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range rs {
		switch {
		case !rec.Alive():
			delete(r.things, rec.Key)
		case rec.Label != "":
			r.things[rec.Key] = rec.Label + " (" + rec.Name + ")"
		case rec.Status != dag.Doing:
			r.things[rec.Key] = rec.Name
		}
	}
}

// failed says what a write that failed leaves behind.
func (r *Run) failed(path string, err error) error {
	if err == nil || errors.As(err, new(*CorruptError)) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return &WriteError{Path: path, Run: r.id, Err: err, Exist: slices.Sorted(maps.Values(r.things))}
}

// SetDoc stores a document under a name. When it returns it is on disk, and all that
// was put off before.
func (r *Run) SetDoc(name string, v any) error { return r.setDoc(r.db.write, name, v) }

// SetDocLater stores a document under a name, with the next that is written, or soon
// without one.
func (r *Run) SetDocLater(name string, v any) error { return r.setDoc(r.db.later, name, v) }

func (r *Run) setDoc(write func(...put) error, name string, v any) error {
	p, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot store %s: %w", name, err)
	}
	return r.failed(r.db.path, write(put{bucket: docsBucket, key: []byte(name), value: p}))
}

// Doc reads the document of this name into v; the error is fs.ErrNotExist if it
// was never stored.
func (r *Run) Doc(name string, v any) error {
	p, err := r.db.get(docsBucket, name)
	if err != nil {
		return err
	}
	if p == nil {
		return fmt.Errorf("cannot find %s in run %s: %w", name, r.id, fs.ErrNotExist)
	}
	if err := json.Unmarshal(p, v); err != nil {
		return fmt.Errorf("cannot read %s of run %s: %w", name, r.id, err)
	}
	return nil
}

const graphDoc = "graph"

// graphFile lies beside the events. It holds the graph without settings. A power cut
// may cost it, until the run goes on: only drawing relies on it.
const graphFile = "graph.json"

// SetGraph stores what the run wants, with the next that is written, and leaves beside
// the events what is to be drawn of it.
func (r *Run) SetGraph(g *dag.Graph) error {
	if err := r.SetDocLater(graphDoc, g); err != nil {
		return err
	}
	drawn := dag.Graph{Nodes: slices.Clone(g.Nodes), Goals: g.Goals, Keeps: g.Keeps}
	for i := range drawn.Nodes {
		drawn.Nodes[i].Spec, drawn.Nodes[i].Canon = json.RawMessage("null"), ""
	}
	p, err := json.Marshal(&drawn)
	if err != nil {
		return fmt.Errorf("cannot store the graph: %w", err)
	}
	return r.failed(filepath.Join(r.dir, graphFile), localfile.Replace(filepath.Join(r.dir, graphFile), p, 0o600, false))
}

// Drawn returns the graph of a run without the settings of its steps, whoever
// drives the run. The error is fs.ErrNotExist if the run ended before that was
// known, or was made by an imgflow that left no such file.
func (h *Home) Drawn(id string) (*dag.Graph, error) {
	id, err := h.Resolve(id)
	if err != nil {
		return nil, err
	}
	p, err := os.ReadFile(filepath.Join(h.RunDir(id), graphFile))
	if err != nil {
		return nil, fmt.Errorf("cannot read the graph of run %s: %w", id, err)
	}
	g := new(dag.Graph)
	if err := json.Unmarshal(p, g); err != nil {
		return nil, fmt.Errorf("cannot read the graph of run %s: %w", id, err)
	}
	return g, nil
}

// Graph returns what the run wants; the error is fs.ErrNotExist if the run ended
// before that was known.
func (r *Run) Graph() (*dag.Graph, error) {
	g := new(dag.Graph)
	if err := r.Doc(graphDoc, g); err != nil {
		return nil, err
	}
	return g, nil
}

// Vault returns the run's secrets.
func (r *Run) Vault() *Vault { return r.vault }

// Redact returns what keeps secrets out of the events, and is to keep them out
// of all else that is shown.
func (r *Run) Redact() *Redactor { return r.red }

// saltName cannot be the name of a step's secret.
const saltName = "\x00salt"

// Salt is random and always the same for the run: what digests of secrets are
// keyed with. It is sealed, since who has it could try out short secrets.
func (r *Run) Salt() ([]byte, error) { return r.vault.salt(saltName) }

// SetSalt takes a salt in place of the run's own. It is for a run that has just begun, of
// which nothing is keyed with that.
func (r *Run) SetSalt(salt []byte) error { return r.vault.Later(saltName, salt) }

// Summary returns the summary as it stands.
func (r *Run) Summary() Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sum
	s.Builds, s.Left = slices.Clone(s.Builds), slices.Clone(s.Left)
	return s
}

// SetSummary changes the summary and replaces the file, if that is news. Secrets are
// kept out.
func (r *Run) SetSummary(change func(*Summary)) error {
	r.mu.Lock()
	before := r.sum
	before.Builds, before.Left = slices.Clone(before.Builds), slices.Clone(before.Left)
	if change(&r.sum); !r.behind && reflect.DeepEqual(before, r.sum) {
		r.mu.Unlock()
		return nil
	}
	r.sum.ID, r.sum.Updated = r.id, time.Now()
	s := r.sum
	s.Builds = slices.Clone(s.Builds)
	s.Err = r.red.Redact(s.Err)
	for i := range s.Builds {
		s.Builds[i].Err = r.red.Redact(s.Builds[i].Err)
	}
	err := writeSummary(r.dir, s)
	r.behind = err != nil
	r.mu.Unlock()
	return r.failed(filepath.Join(r.dir, summaryFile), err)
}

// Emit keeps one event, without the secrets in it. It returns when the event
// would survive the death of the process.
func (r *Run) Emit(e dag.Event) error {
	return r.failed(r.events.path, r.events.emit(r.red.Event(e)))
}

// Break says where a line that has no end yet may be broken, as [dag.Sink] wants it.
func (r *Run) Break(line []byte, most int) int { return r.red.Break(string(line), most) }

// Sync returns when all events emitted so far would survive a power cut.
func (r *Run) Sync() error { return r.failed(r.events.path, r.events.sync()) }

// Offset is up to where the lines of a stream were emitted for a token.
func (r *Run) Offset(token, stream string) int64 { return r.events.offset(token, stream) }
