package state

import (
	"cmp"
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
)

// Run is one run, held for driving. It is the engine's Store and Sink; its
// methods may be called from many goroutines.
type Run struct {
	id      string
	journal Journal
	vault   *Vault
	red     *Redactor

	mu     sync.Mutex
	sum    Summary
	things map[dag.Key]string // labels of what exists outside

	looking sync.Mutex
	known   map[dag.Key]dag.Record // of a run that others write to, too: as it was at the last look
	news    map[dag.Key]bool       // of these, what Refresh has not told
}

var (
	_ dag.Store = (*Run)(nil)
	_ dag.Sink  = (*Run)(nil)
)

// Create begins a run and drives it. It fills in the id, the owner and the
// times of the summary, and Running where the status is empty.
func (h *Home) Create(s Summary) (*Run, error) {
	for {
		s.ID = newID(time.Now())
		if r, err := h.create(s); !errors.Is(err, fs.ErrExist) {
			return r, err
		}
	}
}

// create is Create with the id that the summary has; the error is fs.ErrExist if there is
// such a run.
func (h *Home) create(s Summary) (*Run, error) {
	now := time.Now()
	s.Started, s.Updated, s.Owner, s.Problem = now, now, thisProcess(now), ""
	s.Status = cmp.Or(s.Status, Running)
	j, err := h.backend.Create(s)
	if err != nil {
		return nil, fmt.Errorf("cannot begin a run: %w", err)
	}
	r, err := h.run(j, s, nil)
	if err != nil {
		return nil, err
	}
	if _, err = r.Salt(); err != nil {
		r.Close()
		return nil, fmt.Errorf("cannot begin a run: %w", err)
	}
	return r, nil
}

// Open takes a run to drive it on; id may be a prefix. The error is a *BusyError if another
// process drives it; in a database that takes some seconds to tell, of a process that has
// died as of one that lives. The status stays what it was.
func (h *Home) Open(id string) (*Run, error) {
	r, err := h.take(id, true)
	if err != nil {
		return nil, err
	}
	// On a full disk nobody can sign. Whoever writes more will be told; whoever
	// only removes what the run has made needs to write nothing.
	if err := r.SetSummary(func(s *Summary) { s.Owner = thisProcess(time.Now()) }); err != nil && !errors.As(err, new(*WriteError)) {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Look is Open without a sign of who drives the run: its summary stays as it is.
func (h *Home) Look(id string) (*Run, error) { return h.take(id, false) }

func (h *Home) take(id string, patient bool) (*Run, error) {
	id, err := h.Resolve(id)
	if err != nil {
		return nil, err
	}
	j, sum, err := h.backend.Open(id, patient)
	if err != nil {
		return nil, err
	}
	return h.run(j, sum, nil)
}

// run is the run of a journal, which is closed if that cannot be. Known is not nil if
// others write to it, too.
func (h *Home) run(j Journal, s Summary, known map[dag.Key]dag.Record) (*Run, error) {
	r := &Run{id: s.ID, journal: j, red: &Redactor{}, sum: s, things: map[dag.Key]string{}, known: known, news: map[dag.Key]bool{}}
	r.vault = &Vault{home: h, run: r}
	rs, err := r.All()
	if err != nil {
		j.Close()
		return nil, err
	}
	r.note(rs)
	clear(r.news)
	return r, nil
}

// thisProcess is this process as the owner of a run.
func thisProcess(now time.Time) Owner {
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

// Close gives the run back.
func (r *Run) Close() error { return r.failed(r.journal.Close()) }

// All returns every record.
func (r *Run) All() ([]dag.Record, error) {
	if r.known != nil {
		return r.allShared()
	}
	var rs []dag.Record
	err := r.journal.Each(Records, func(k string, v []byte) error {
		rec, err := r.record(k, v)
		if err != nil {
			return err
		}
		rs = append(rs, rec)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return rs, nil
}

// record decodes one.
func (r *Run) record(key string, value []byte) (rec dag.Record, err error) {
	if err := json.Unmarshal(value, &rec); err != nil {
		return rec, &CorruptError{Path: r.journal.Place(), Run: r.id, Why: fmt.Sprintf("record %.8x: %v", key, err)}
	}
	return rec, nil
}

// Put keeps all of the records or none. When it returns they are on disk, and all
// that was put off before.
func (r *Run) Put(rs ...dag.Record) error { return r.put(r.journal, rs) }

func (r *Run) put(j Journal, rs []dag.Record) error {
	if len(rs) == 0 {
		return r.failed(j.Flush())
	}
	return r.keep(j.Write, rs)
}

// Later keeps all of the records or none, with the next that is written, or soon
// without one.
func (r *Run) Later(rs ...dag.Record) error { return r.keep(r.journal.Later, rs) }

func (r *Run) keep(write func(...Put) error, rs []dag.Record) error {
	puts := make([]Put, len(rs))
	for i, rec := range rs {
		rec.Err = r.red.Redact(rec.Err) // whoever refuses a value may repeat it
		p, err := json.Marshal(rec)
		if err != nil {
			return fmt.Errorf("cannot store %s: %w", rec.Name, err)
		}
		puts[i] = Put{Records, string(rec.Key[:]), p}
	}
	err := write(puts...)
	// What could not be stored may exist all the same.
	r.note(rs)
	return r.failed(err)
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
func (r *Run) failed(err error) error {
	var w *WriteError
	if !errors.As(err, &w) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return &WriteError{Path: w.Path, Run: r.id, Err: w.Err, First: w.First, Exist: slices.Sorted(maps.Values(r.things))}
}

// SetDoc stores a document under a name. When it returns it is on disk, and all that
// was put off before.
func (r *Run) SetDoc(name string, v any) error { return r.setDoc(r.journal.Write, name, v) }

// SetDocLater stores a document under a name, with the next that is written, or soon
// without one.
func (r *Run) SetDocLater(name string, v any) error { return r.setDoc(r.journal.Later, name, v) }

func (r *Run) setDoc(write func(...Put) error, name string, v any) error {
	p, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot store %s: %w", name, err)
	}
	return r.failed(write(Put{Docs, name, p}))
}

// Doc reads the document of this name into v; the error is fs.ErrNotExist if it
// was never stored.
func (r *Run) Doc(name string, v any) error {
	p, err := r.journal.Get(Docs, name)
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

// SetGraph stores what the run wants, with the next that is written, and leaves for all
// to see what is to be drawn of it.
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
	return r.failed(r.journal.SetDrawn(p))
}

// Drawn returns the graph of a run without the settings of its steps, whoever
// drives the run. The error is fs.ErrNotExist if the run ended before that was
// known, or was made by an imgflow that left no such file.
func (h *Home) Drawn(id string) (*dag.Graph, error) {
	id, err := h.Resolve(id)
	if err != nil {
		return nil, err
	}
	p, err := h.backend.Drawn(id)
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

// SetSummary changes the summary and keeps it, if that is news. Secrets are kept out.
func (r *Run) SetSummary(change func(*Summary)) error {
	r.mu.Lock()
	err := r.journal.Summarize(func(s *Summary) bool {
		before := *s
		before.Builds, before.Left = slices.Clone(s.Builds), slices.Clone(s.Left)
		change(s)
		s.Err = r.red.Redact(s.Err)
		for i := range s.Builds {
			s.Builds[i].Err = r.red.Redact(s.Builds[i].Err)
		}
		news := !reflect.DeepEqual(before, *s)
		if news {
			s.ID, s.Updated = r.id, time.Now()
		}
		r.sum = *s
		r.sum.Builds, r.sum.Left = slices.Clone(s.Builds), slices.Clone(s.Left)
		return news
	})
	r.mu.Unlock()
	return r.failed(err)
}

// Emit keeps one event, without the secrets in it. In a directory it survives the death
// of the process; a database has it with the next that is written, or soon without one.
func (r *Run) Emit(e dag.Event) error { return r.emit(r.journal, e) }

func (r *Run) emit(j Journal, e dag.Event) error { return r.failed(j.Emit(r.red.Event(e))) }

// Break says where a line that has no end yet may be broken, as [dag.Sink] wants it.
func (r *Run) Break(line []byte, most int) int { return r.red.Break(string(line), most) }

// Sync returns when all events emitted so far would survive a power cut.
func (r *Run) Sync() error { return r.failed(r.journal.Sync()) }

// Offset is up to where the lines of a stream were emitted for a token.
func (r *Run) Offset(token, stream string) int64 { return r.journal.Offset(token, stream) }
