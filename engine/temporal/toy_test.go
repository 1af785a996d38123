package temporal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/secrettest"
)

// What is known of a toy run that no history may hold.
const hidden = "the-settings-of-steps"
const found = "the-outputs-of-steps"

// world is a directory that stands for a cloud, a database and what a template says. Many
// processes can be in it.
type world struct {
	Dir    string
	Builds int
	Wait   time.Duration    // that a script takes
	Fail   map[string]error // by what a step does
	Twice  map[string]bool  // of those, which may succeed when tried again
	Suspnd bool             // what has failed stays
	Label  string           // of things
	Size   int              // of the names of builds, for graphs that are too large
	At     string           // where steps call; "": nowhere

	mu sync.Mutex
}

func newWorld(t testing.TB, builds int) *world {
	secrettest.Hide(t, hidden, found)
	return &world{Dir: t.TempDir(), Builds: builds, Fail: map[string]error{}, Twice: map[string]bool{}}
}

// Site is where all steps call.
func (w *world) Site(json.RawMessage) string { return w.At }

func (w *world) path(name string) string {
	return filepath.Join(w.Dir, strings.ReplaceAll(name, "/", "-"))
}

// did writes down what was done, and says whether it fails.
func (w *world) did(what string) error {
	f, err := os.OpenFile(w.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(what + "\n"); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	err = w.Fail[what]
	if w.Twice[what] {
		delete(w.Fail, what)
	}
	return err
}

// log is what was done, as often as it was.
func (w *world) log() map[string]int {
	p, _ := os.ReadFile(w.path("log"))
	did := map[string]int{}
	for line := range strings.Lines(string(p)) {
		did[strings.TrimSpace(line)]++
	}
	return did
}

// left are the kinds of things that exist.
func (w *world) left() string {
	names, _ := filepath.Glob(w.path("thing-*"))
	var kinds []string
	for _, n := range names {
		p, _ := os.ReadFile(n)
		kinds = append(kinds, string(p))
	}
	slices.Sort(kinds)
	return strings.Join(kinds, " ")
}

// thing is what exists. It is called as its token.
type thing struct{ ID, Secret, Name string }

func (th thing) Label() string { return th.Name }

func (w *world) make(what string, t *dag.Task) (thing, error) {
	f, err := os.OpenFile(w.path("thing-"+t.Token), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return thing{}, w.did("made twice: " + what)
	}
	if err != nil {
		return thing{}, err
	}
	f.WriteString(what)
	f.Close()
	return thing{t.Token, found, w.Label}, w.did("make " + what + " " + t.Builds[0])
}

func (thing) Find(_ context.Context, w *world, t *dag.Task) (thing, error) {
	w.did("find")
	if _, err := os.Stat(w.path("thing-" + t.Token)); err != nil {
		return thing{}, dag.ErrNotFound
	}
	return thing{t.Token, found, w.Label}, nil
}

func (th thing) Undo(_ context.Context, w *world, t *dag.Task) error {
	if err := w.did("remove " + t.Name); err != nil {
		return err
	}
	if err := os.Remove(w.path("thing-" + th.ID)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

type pair struct{ Settings string }

func (pair) Kind() string                                               { return "toy.pair" }
func (pair) Do(_ context.Context, w *world, t *dag.Task) (thing, error) { return w.make("pair", t) }

type box struct {
	Settings, Build string
	Key             dag.Out[thing] `dag:"attach"`
}

func (box) Kind() string                                               { return "toy.box" }
func (box) Do(_ context.Context, w *world, t *dag.Task) (thing, error) { return w.make("box", t) }

// script begins once and goes on by itself, as one on a machine does, whoever follows it.
type script struct {
	On  dag.Take[thing]
	Out string
}

type ran struct{ Output string }

func (script) Kind() string { return "toy.script" }

func (script) Do(ctx context.Context, w *world, t *dag.Task) (ran, error) {
	f, err := os.OpenFile(w.path("ran-"+t.Token), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		f.Close()
		err = w.did("script " + t.Builds[0])
	} else if errors.Is(err, os.ErrExist) && t.Attempt > 0 {
		err = w.did("script again " + t.Builds[0])
	} else if errors.Is(err, os.ErrExist) {
		err = nil
	}
	if err != nil {
		os.Remove(w.path("ran-" + t.Token))
		return ran{}, err
	}
	fi, err := os.Stat(w.path("ran-" + t.Token))
	if err != nil {
		return ran{}, err
	}
	for time.Since(fi.ModTime()) < w.Wait {
		select {
		case <-ctx.Done():
			return ran{}, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return ran{found}, nil
}

type image struct {
	From dag.Out[ran]
	Of   string
}

func (image) Kind() string                                               { return "toy.image" }
func (image) Do(_ context.Context, w *world, t *dag.Task) (thing, error) { return w.make("image", t) }

func (w *world) graph() *dag.Graph {
	g := dag.NewGraph(nil)
	for i := range w.Builds {
		b := dag.Build{Name: fmt.Sprint("b", i, strings.Repeat("x", w.Size)), Type: "toy"}
		key := dag.Add(g, b, "pair", pair{hidden})
		on := dag.Add(g, b, "box", box{hidden, b.Name, key})
		done := dag.Add(g, b, "script", script{on.Take(), hidden})
		im := dag.Add(g, b, "image", image{done, b.Name})
		dag.Keep(g, im, im)
	}
	return g
}

// store is a file of records, which many processes append to.
type store struct{ path string }

func (s store) All() ([]dag.Record, error) {
	p, err := os.ReadFile(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	last := map[dag.Key]dag.Record{}
	for line := range bytes.Lines(p) {
		var rs []dag.Record
		if err := json.Unmarshal(line, &rs); err != nil {
			return nil, err
		}
		for _, r := range rs {
			last[r.Key] = r
		}
	}
	var all []dag.Record
	for _, r := range last {
		all = append(all, r)
	}
	return all, nil
}

func (s store) Put(rs ...dag.Record) error {
	if len(rs) == 0 {
		return nil
	}
	p, err := json.Marshal(rs)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(append(p, '\n'))
	return err
}

func (s store) Later(rs ...dag.Record) error { return s.Put(rs...) }

// work does the steps of toy runs.
type work struct {
	*world
	asked []Ask
}

func (w *work) engine(ref Ref) (*dag.Engine, error) {
	o := dag.Options{Run: ref.Run, Store: store{w.path("records")},
		Kinds: []dag.Kind{dag.Bind[pair](w.world), dag.Bind[box](w.world), dag.Bind[script](w.world), dag.Bind[image](w.world)}}
	if w.Suspnd {
		o.OnFailure = func(context.Context, dag.Node, error) dag.Decision { return dag.Suspend }
	}
	return dag.New(o)
}

// Fire makes the run of a time, whose name follows from that; but the schedules nothing and wrong have none.
func (w *work) Fire(_ context.Context, f Firing) (Fired, error) {
	if err := w.did("fire " + f.Schedule); err != nil {
		return Fired{}, err
	}
	switch f.Schedule {
	case "nothing":
		return Fired{}, nil
	case "wrong":
		return Fired{Problem: "no image fits"}, nil
	}
	return Fired{Ref: Ref{fmt.Sprint("run-", f.Due.UnixMilli()), 1}, Submission: Submission{Template: "toy.json", Team: "toys", Priority: 2}}, nil
}

func (w *work) Prepare(_ context.Context, ask Ask) (*Prepared, error) {
	w.mu.Lock()
	w.asked = append(w.asked, ask)
	w.mu.Unlock()
	e, err := w.engine(ask.Ref)
	if err != nil {
		return nil, err
	}
	return Prepare(e, w.graph(), ask)
}

func (w *work) Carry(ctx context.Context, ref Ref, x dag.Order) (dag.Outcome, []dag.Record, error) {
	e, err := w.engine(ref)
	if err != nil {
		return dag.Outcome{}, nil, err
	}
	o, changed := e.Carry(ctx, w.graph(), x)
	return o, changed, nil
}

func (w *work) Tell(_ context.Context, ref Ref, xs []dag.Order) error {
	for _, x := range xs {
		w.did("tell " + string(x.Action) + " " + x.Name)
	}
	return nil
}

// ending is how a run, or a removal, was said to have ended.
type ending struct {
	Report dag.Report
	Left   []dag.Failure
	Failed string
}

func (w *world) end(x ending) error {
	p, err := json.Marshal(x)
	if err != nil {
		return err
	}
	if len(p) > maxPayload {
		w.did("too much was told of the end")
	}
	w.did("end")
	return os.WriteFile(w.path("end"), p, 0o600)
}

func (w *world) ended(t testing.TB) (x ending) {
	t.Helper()
	p, err := os.ReadFile(w.path("end"))
	if err == nil {
		err = json.Unmarshal(p, &x)
	}
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func (w *work) Finish(_ context.Context, _ Ref, report dag.Report, failed string) error {
	return w.end(ending{Report: report, Failed: failed})
}

func (w *work) Undo(_ context.Context, ref Ref, what json.RawMessage) (*Prepared, error) {
	e, err := w.engine(ref)
	if err != nil {
		return nil, err
	}
	return Removal(e, func(r dag.Record) bool { return string(what) == `"all"` || !r.Kept }), nil
}

func (w *work) Undone(_ context.Context, _ Ref, left []dag.Failure, failed string) error {
	return w.end(ending{Left: left, Failed: failed})
}
