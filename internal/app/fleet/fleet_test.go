package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/engine/temporal"
	"github.com/imgflow/imgflow/internal/app"
	"github.com/imgflow/imgflow/internal/app/local"
	"github.com/imgflow/imgflow/internal/pgtest"
	"github.com/imgflow/imgflow/internal/secrettest"
	"github.com/imgflow/imgflow/state"
	"github.com/imgflow/imgflow/state/postgres"
	"github.com/imgflow/imgflow/steps"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/template/compile"
)

// ask is a data source that answers with what it is asked.
type ask struct {
	Of string `json:"of" option:"required"`
}

type answer struct {
	Text string `json:"text"`
}

func (ask) Kind() string                { return "test.ask" }
func (ask) Common()                     {}
func (*ask) Check() []steps.OptionError { return nil }
func (*ask) Output() any                { return answer{} }
func (a *ask) Add(g *dag.Graph, b dag.Build, name string) dag.Key {
	return dag.Add(g, b, name, *a).Key()
}
func (a ask) Do(_ context.Context, w *world, _ *dag.Task) (answer, error) {
	w.mu.Lock()
	w.asked++
	failing, answers := w.failing, w.answers
	w.mu.Unlock()
	time.Sleep(w.pause)
	if failing == "ask" {
		return answer{}, fmt.Errorf("nobody answers: %s", w.secret)
	}
	return answer{answers + a.Of}, nil
}

// box is a builder of one thing, made of a file and a secret.
type box struct {
	Text   dag.Text   `json:"text"`
	Script steps.File `json:"script"`
}

func (box) Kind() string                   { return "test.box" }
func (box) Common()                        {}
func (*box) Check() []steps.OptionError    { return nil }
func (*box) Claims() []steps.Claim         { return nil }
func (*box) Prepare(context.Context) error { return nil }
func (b *box) Wire(g *dag.Graph, bd dag.Build, _ func(dag.Out[comm.Machine]) dag.Out[comm.Machine]) steps.Made {
	made := dag.Add(g, bd, "box", *b)
	lid := dag.Add(g, bd, "lid", lid{On: made})
	dag.Keep(g, made, lid)
	return steps.Made{Artifacts: []dag.Out[steps.Artifact]{lid}}
}

func (b box) Do(_ context.Context, w *world, t *dag.Task) (thing, error) {
	text, err := t.Fill(b.Text, nil)
	if err != nil {
		return thing{}, err
	}
	script, err := os.ReadFile(b.Script.Path)
	if err != nil {
		return thing{}, dag.NotMade(err)
	}
	t.Say("read %s", b.Script.Path)
	time.Sleep(w.pause)
	w.make(t.Token, t.Builds[0]+": "+text+" "+string(script))
	return thing{ID: t.Token}, nil
}

// thing is one that was made.
type thing struct {
	ID string `json:"id"`
}

func (o thing) Find(_ context.Context, w *world, t *dag.Task) (thing, error) {
	if !w.has(t.Token) {
		return thing{}, dag.ErrNotFound
	}
	return thing{ID: t.Token}, nil
}

func (o thing) Undo(_ context.Context, w *world, t *dag.Task) error { w.remove(o.ID); return nil }

// lid is the step that finishes a box.
type lid struct {
	On dag.Out[thing] `json:"on"`
}

func (lid) Kind() string { return "test.lid" }
func (l lid) Do(_ context.Context, w *world, t *dag.Task) (steps.Artifact, error) {
	if w.failing == t.Builds[0] {
		return steps.Artifact{}, fmt.Errorf("it does not fit: %s", w.secret)
	}
	return steps.Artifact{Kind: "box", ID: t.Builds[0]}, nil
}

// things are what worlds make: the cloud.
type things struct {
	mu      sync.Mutex
	made    map[string]string
	times   map[string]int // how often each text was made
	failing string         // the build whose lid does not fit
	secret  string         // what it then tells
	asked   int            // how often something was looked up
	pause   time.Duration  // how long each step takes
	answers string         // how data sources begin what they answer
	load    func()         // is called when a template is loaded next
}

func (c *things) make(token, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made[token] = text
	c.times[text]++
}

func (c *things) has(token string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made[token] != ""
}

func (c *things) remove(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.made, token)
}

func (c *things) all() (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range c.made {
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

type world struct {
	app.WorldOptions
	*things
}

func (w *world) Catalog(bool) compile.Catalog {
	w.mu.Lock()
	load := w.load
	w.load = nil
	w.mu.Unlock()
	if load != nil {
		load()
	}
	return compile.Catalog{Builders: map[string]func() steps.Source{"box": func() steps.Source { return &box{} }},
		Data: map[string]func() steps.Data{"ask": func() steps.Data { return &ask{} }}}
}
func (w *world) Kinds() []dag.Kind {
	return []dag.Kind{dag.Bind[ask](w), dag.Bind[box](w), dag.Bind[lid](w)}
}
func (*world) Direct(app.Endpoint) {}
func (*world) LocalFiles(string, json.RawMessage) (comm.LocalFiles, bool) {
	return comm.LocalFiles{}, true
}
func (*world) Confidential(json.RawMessage) bool                    { return false }
func (*world) Learn([]dag.Node)                                     {}
func (*world) Handover() (json.RawMessage, error)                   { return json.RawMessage("null"), nil }
func (*world) TakeOver(json.RawMessage) error                       { return nil }
func (*world) Owners(context.Context) (map[string]string, error)    { return nil, nil }
func (*world) KeepLease(ctx context.Context, _ string, _ time.Time) { <-ctx.Done() }
func (*world) Examine(context.Context, []dag.Node, map[dag.Key]json.RawMessage) []app.Finding {
	return nil
}
func (*world) Machines() *comm.Env                                             { return nil }
func (*world) Orphans(context.Context, app.OrphanFilter) ([]app.Orphan, error) { return nil, nil }
func (*world) Close() error                                                    { return nil }

const boxes = `
variable "pw" {
  type      = string
  sensitive = true
}
data "ask" "first" {
  of = "one"
}
source "box" "a" {
  text   = "${data.ask.first.text} ${path.root} ${var.pw}"
  script = "x.sh"
}
source "box" "b" {
  text   = "plain"
  script = "x.sh"
}
build {
  sources = ["box.a", "box.b"]
}
`

// bench is a database, a cloud, and a folder with a template.
type bench struct {
	t    *testing.T
	url  string
	dir  string // of the template
	work string // where files are laid out
	key  string // the file of the identity that all have
	*things
}

func newBench(t *testing.T) *bench {
	t.Helper()
	secrettest.Hide(t, "hunTer2")
	b := &bench{t: t, url: pgtest.Database(t), dir: t.TempDir(), work: filepath.Join(t.TempDir(), "work"), things: &things{made: map[string]string{}, times: map[string]int{}, secret: "hunTer2", answers: "re-"}}
	for name, text := range map[string]string{"t.pkr.hcl": boxes, "x.sh": "SCRIPT"} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	home := t.TempDir()
	h, err := state.OpenHome(home)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Seal(nil); err != nil { // makes the identity
		t.Fatal(err)
	}
	b.key = filepath.Join(home, "identity")
	return b
}

// machine is what one machine of the fleet has.
func (b *bench) machine() (*app.App, *state.Home) {
	b.t.Helper()
	a := &app.App{Env: app.NewEnv(nil, b.dir), World: func(o app.WorldOptions) app.World { return &world{o, b.things} }}
	home, err := postgres.Open(b.t.TempDir(), b.url)
	if err != nil {
		b.t.Fatal(err)
	}
	return a, home.WithIdentity(b.key)
}

// submitted is a run that was handed over, with the session that did it.
func (b *bench) submitted(e app.Elsewhere) (*app.Session, *state.Home, temporal.Ref) {
	b.t.Helper()
	return b.submittedWith(e, "hunTer2")
}

// submittedWith is a run of another secret.
func (b *bench) submittedWith(e app.Elsewhere, pw string) (*app.Session, *state.Home, temporal.Ref) {
	b.t.Helper()
	a, home := b.machine()
	s := a.New(home, app.Request{Template: filepath.Join(b.dir, "t.pkr.hcl"), Vars: map[string]string{"pw": pw}})
	b.t.Cleanup(func() { s.Close() })
	for _, do := range []func() error{
		func() error { return s.Load(b.t.Context(), true) },
		func() error { return s.Begin(b.t.Context(), local.Settings{}) },
		func() error { return s.Pack(b.t.Context()) },
		func() error { return s.SendTo(e) },
	} {
		if err := do(); err != nil {
			b.t.Fatal(err)
		}
	}
	id := s.Summary().ID
	epoch, err := home.Assign(id, state.Owner{Command: e.Engine})
	if err != nil {
		b.t.Fatal(err)
	}
	return s, home, temporal.Ref{Run: id, Epoch: epoch}
}

func (b *bench) worker() *sessions {
	a, home := b.machine()
	w := newSessions(a, home, b.work)
	b.t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		w.sweep(ctx)
	})
	return w
}

// engine drives a run by workers as an engine does, which choose by chance.
type engine struct {
	t       *testing.T
	ref     temporal.Ref
	workers []*sessions
}

func (e *engine) any() *sessions { return e.workers[rand.IntN(len(e.workers))] }

func data[T any](t *testing.T, v T) (back T) {
	t.Helper()
	p, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(p, &back)
	}
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(p), "hunTer2") {
		t.Errorf("the engine has a secret: %s", p)
	}
	return back
}

// pass drives a graph or removal until nothing is left to do.
func (e *engine) pass(p *temporal.Prepared) dag.Report {
	pass := passOf(p)
	now := time.Now()
	for {
		orders := pass.Decide(now)
		for _, x := range orders {
			switch {
			case x.Action == dag.Finish:
				r, err := pass.Result()
				if err != nil {
					e.t.Fatal(err)
				}
				return data(e.t, *r)
			case x.Call():
				o, changed, err := e.any().Carry(e.t.Context(), e.ref, data(e.t, x))
				if err != nil {
					e.t.Fatal(err)
				}
				pass.Ended(x, data(e.t, o), data(e.t, changed), now)
			default:
				if err := e.any().Tell(e.t.Context(), e.ref, data(e.t, []dag.Order{x})); err != nil {
					e.t.Fatal(err)
				}
			}
		}
		if len(orders) == 0 {
			now = pass.Next()
		}
	}
}

func (e *engine) drive() {
	known := ""
	for {
		p, err := e.any().Prepare(e.t.Context(), temporal.Ask{Ref: e.ref, Known: known, Many: 100})
		if err != nil {
			e.t.Fatal(err)
		}
		report := e.pass(p)
		if known = p.Known; !p.Last && len(report.Failed) == 0 {
			continue
		}
		if err := e.any().Finish(e.t.Context(), e.ref, report, ""); err != nil {
			e.t.Fatal(err)
		}
		return
	}
}

// A run is built by workers that have nothing but the database, their identity and the
// run's id, as its submitter would build it; and its submitter sees it.
func TestWorkersBuildWhatWasSubmitted(t *testing.T) {
	b := newBench(t)
	s, home, ref := b.submitted(app.Elsewhere{Engine: "temporal://here"})
	var said []string
	var begins []dag.EventType
	followed := make(chan error, 1)
	go func() {
		followed <- s.Follow(t.Context(), 0, func(e dag.Event) {
			begins = append(begins, e.Type)
			if e.Type == dag.Said || e.Type == dag.RunBegun || e.Type == dag.RunEnded {
				said = append(said, strings.Join(e.Builds, ",")+" "+e.Text)
			}
		})
	}()
	if _, err := home.Open(ref.Run); !errors.As(err, new(*state.BusyError)) {
		t.Errorf("while workers have it, it can be opened: %v", err)
	}
	template := filepath.Join(b.dir, "t.pkr.hcl")
	for _, file := range []string{template, b.dir + "/x.sh"} {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	(&engine{t, ref, []*sessions{b.worker(), b.worker(), b.worker()}}).drive()
	if err := <-followed; err != nil {
		t.Fatal(err)
	}
	want := []string{"box.a: re-one " + b.dir + " hunTer2 SCRIPT", "box.b: plain SCRIPT"}
	if got := b.all(); !slices.Equal(got, want) {
		t.Errorf("there is %q", got)
	}
	for text, n := range b.times {
		if n != 1 {
			t.Errorf("%s was made %d times", text, n)
		}
	}
	if want := []dag.EventType{dag.RunBegun, dag.Planned}; !slices.Equal(begins[:2], want) {
		t.Errorf("it begins with %v", begins[:2])
	}
	slices.Sort(said)
	if want := []string{" " + template, " done", "box.a read " + b.dir + "/x.sh", "box.b read " + b.dir + "/x.sh"}; !slices.Equal(said, want) {
		t.Errorf("it said %q", said)
	}
	if err := b.worker().Finish(t.Context(), ref, dag.Report{}, "too late"); err != nil { // whoever did it was lost before it could say so
		t.Error(err)
	}
	if err := s.Return(); err != nil {
		t.Fatal(err)
	}
	if res, err := s.Ended(); err != nil || res.Summary.Status != state.Done || len(res.Summary.Builds) != 2 || res.Summary.Builds[0].Artifacts[0].ID != "box.a" {
		t.Errorf("%+v, %v", res, err)
	}
	if left, err := os.ReadDir(b.work); err != nil || len(left) > 0 {
		t.Errorf("files stay behind: %v %v", left, err)
	}
}

func passOf(p *temporal.Prepared) *dag.Pass { return dag.NewPass(p.Graph, p.Records, p.Rules) }

// A step that fails is told, without secrets, to the engine and the submitter; what it was for is removed, or stays if
// the run was submitted so.
func TestAFailedStep(t *testing.T) {
	for _, on := range []string{"cleanup", "suspend"} {
		b := newBench(t)
		b.failing = "box.b"
		s, home, ref := b.submitted(app.Elsewhere{Engine: "temporal://here", OnError: on})
		(&engine{t, ref, []*sessions{b.worker(), b.worker()}}).drive()
		want := map[string][]string{"cleanup": {"box.a: re-one " + b.dir + " hunTer2 SCRIPT"}, "suspend": {"box.a: re-one " + b.dir + " hunTer2 SCRIPT", "box.b: plain SCRIPT"}}[on]
		if got := b.all(); !slices.Equal(got, want) {
			t.Errorf("with %s there is %q", on, got)
		}
		if err := s.Return(); err != nil {
			t.Fatal(err)
		}
		res, err := s.Ended()
		if err != nil || len(res.Failed) != 1 || res.Failed[0].Err.Error() != "it does not fit: <sensitive>" || res.Failed[0].Name != "lid" {
			t.Errorf("with %s: %+v, %v", on, res.Report, err)
		}
		home.EachEvent(ref.Run, 0, func(e dag.Event) error {
			if strings.Contains(fmt.Sprint(e), "hunTer2") {
				t.Errorf("it tells %+v", e)
			}
			return nil
		})
	}
}

// The files of a run are there for as long as it is driven, whoever has died with them.
func TestFilesOfEndedRunsAreRemoved(t *testing.T) {
	b := newBench(t)
	s, home, ref := b.submitted(app.Elsewhere{Engine: "temporal://here"})
	w := b.worker()
	_, done, err := w.take(t.Context(), ref.Run, ref.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	done()
	files := func() int {
		found, err := os.ReadDir(b.work)
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	if w.tidyAll(); files() != 1 {
		t.Errorf("of a run that is driven there are %d folders", files())
	}
	if err := home.Release(ref.Run, ref.Epoch); err != nil {
		t.Fatal(err)
	}
	if w.tidyAll(); files() != 0 {
		t.Errorf("of run %s, which has ended, there are %d folders", s.Summary().ID, files())
	}
}
