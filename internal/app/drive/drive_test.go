package drive

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/errcode"
	"github.com/imgflow/imgflow/state"
)

// place is a little world of things.
type place struct {
	mu     sync.Mutex
	things map[string]bool
	fail   map[string]error // by name of what is to be made
	stuck  bool             // nothing can be removed
	block  chan struct{}    // making waits for it, or for the end of the context
}

type box struct {
	Photo bool   `json:"photo,omitempty"`
	Name  string `json:"name"`
}

func (b box) Label() string { return b.Name }

func (b box) Find(ctx context.Context, p *place, t *dag.Task) (box, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := b.Name
	if name == "" {
		name = "box-" + t.Token
	}
	if !p.things[name] {
		return box{}, dag.ErrNotFound
	}
	return box{Name: name}, nil
}

func (b box) Undo(ctx context.Context, p *place, t *dag.Task) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stuck {
		return errors.New("cannot remove it: it is stuck")
	}
	delete(p.things, b.Name)
	return nil
}

// Artifacts are those boxes that are the picture of another.
func (b box) Artifacts() []dag.Artifact {
	if !b.Photo {
		return nil
	}
	return []dag.Artifact{{Kind: "photo", Region: "here", ID: b.Name}}
}

type makeBox struct {
	Of string `json:"of"`
}

func (makeBox) Kind() string { return "test.box" }

func (s makeBox) Do(ctx context.Context, p *place, t *dag.Task) (box, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.fail[s.Of]; err != nil {
		return box{}, err
	}
	p.things["box-"+t.Token] = true
	return box{Name: "box-" + t.Token}, nil
}

type fill struct {
	Box  dag.Take[box] `json:"box"`
	With string        `json:"with"`
}

type filled struct {
	With string `json:"with"`
}

func (fill) Kind() string { return "test.fill" }

func (s fill) Do(ctx context.Context, p *place, t *dag.Task) (filled, error) {
	t.Print("stdout", 10, "filling with "+s.With)
	if p.block != nil {
		select {
		case <-p.block:
		case <-ctx.Done():
			return filled{}, ctx.Err()
		}
	}
	return filled{s.With}, p.fail[s.With]
}

type photograph struct {
	Of dag.Out[filled] `json:"of"`
}

func (photograph) Kind() string { return "test.photo" }

func (s photograph) Do(ctx context.Context, p *place, t *dag.Task) (box, error) {
	b, err := makeBox{"photo"}.Do(ctx, p, t)
	b.Photo = true
	return b, err
}

func graphOf(names ...string) *dag.Graph {
	g := dag.NewGraph(nil)
	for _, n := range names {
		b := dag.Build{Name: n}
		made := dag.Add(g, b, "box", makeBox{n})
		done := dag.Add(g, b, "fill", fill{Box: made.Take(), With: n + "-sand"})
		photo := dag.Add(g, b, "photo", photograph{done})
		dag.Keep(g, photo, photo)
	}
	return g
}

type bench struct {
	*place
	home   *state.Home
	run    *state.Run
	events []dag.Event
	mu     sync.Mutex
}

func newBench(t *testing.T, builds ...string) *bench {
	t.Helper()
	home, err := state.OpenHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sum := state.Summary{Template: "t.json"}
	for _, b := range builds {
		sum.Builds = append(sum.Builds, state.BuildSummary{Name: b})
	}
	run, err := home.Create(sum)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Close() })
	return &bench{place: &place{things: map[string]bool{}, fail: map[string]error{}}, home: home, run: run}
}

func (b *bench) options() Options {
	return Options{
		Run: b.run, Kinds: []dag.Kind{dag.Bind[makeBox](b.place), dag.Bind[fill](b.place), dag.Bind[photograph](b.place)},
		Show: func(e dag.Event) { b.mu.Lock(); b.events = append(b.events, e); b.mu.Unlock() },
	}
}

func statuses(s state.Summary) string {
	out := []string{s.Status}
	for _, b := range s.Builds {
		out = append(out, b.Name+" "+b.Status)
	}
	return strings.Join(out, ", ")
}

func TestSolveTellsWhatBecameOfEachBuild(t *testing.T) {
	for _, x := range []struct {
		name  string
		set   func(*bench, *Options)
		want  string
		exist int
	}{
		{"all well", func(*bench, *Options) {}, "done, a done, b done", 2},
		{"one fails", func(b *bench, _ *Options) { b.fail["b-sand"] = errors.New("cannot fill: too wet") }, "partial, a done, b failed", 1},
		{"both fail", func(b *bench, _ *Options) {
			b.fail["a-sand"], b.fail["b"] = errors.New("cannot"), errors.New("cannot")
		}, "failed, a failed, b failed", 0},
		{"one fails and is kept", func(b *bench, o *Options) {
			b.fail["b-sand"] = errors.New("cannot")
			o.OnFailure = func(context.Context, dag.Node, error) dag.Decision { return dag.Suspend }
		}, "suspended, a done, b failed", 2},
		{"credentials have expired", func(b *bench, _ *Options) {
			b.fail["b-sand"] = errcode.With(errcode.CredentialsExpired, errors.New("cannot"))
		}, "suspended, a done, b failed", 2},
		{"nothing can be removed", func(b *bench, _ *Options) { b.stuck = true }, "partial, a done, b done", 4},
	} {
		t.Run(x.name, func(t *testing.T) {
			b := newBench(t, "a", "b")
			o := b.options()
			x.set(b, &o)
			res, err := Solve(context.Background(), graphOf("a", "b"), o)
			if err != nil {
				t.Fatal(err)
			}
			stored, err := b.home.Summary(b.run.ID())
			if err != nil {
				t.Fatal(err)
			}
			if got := statuses(stored); got != x.want || statuses(res.Summary) != got {
				t.Errorf("got %q, want %q", got, x.want)
			}
			if len(b.things) != x.exist {
				t.Errorf("%d things are left, want %d", len(b.things), x.exist)
			}
			if stored.Builds[0].Status == state.Done && (len(stored.Builds[0].Artifacts) != 1 || !b.things[stored.Builds[0].Artifacts[0].ID]) {
				t.Errorf("artifacts %v", stored.Builds[0].Artifacts)
			}
			if first, last := b.events[0].Type, b.events[len(b.events)-1].Type; first != dag.RunBegun || last != dag.RunEnded {
				t.Errorf("events from %s to %s", first, last)
			}
		})
	}
}

func TestAnInterruptedRunGoesOn(t *testing.T) {
	b := newBench(t, "a")
	b.block = make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	o := b.options()
	show := o.Show
	o.Show = func(e dag.Event) {
		show(e)
		if e.Type == dag.Printed {
			cancel()
		}
	}
	g := graphOf("a")
	res, err := Solve(ctx, g, o)
	if err != nil || statuses(res.Summary) != "suspended, a suspended" || len(b.things) != 1 {
		t.Fatalf("got %q, %v, %d things", statuses(res.Summary), err, len(b.things))
	}
	close(b.block)
	res, err = Solve(context.Background(), g, b.options())
	if err != nil || statuses(res.Summary) != "done, a done" || len(b.things) != 1 {
		t.Fatalf("got %q, %v, %d things", statuses(res.Summary), err, len(b.things))
	}
}

func TestDestroy(t *testing.T) {
	b := newBench(t, "a", "b")
	b.fail["b-sand"] = errors.New("cannot")
	o := b.options()
	o.OnFailure = func(context.Context, dag.Node, error) dag.Decision { return dag.Suspend }
	if _, err := Solve(context.Background(), graphOf("a", "b"), o); err != nil {
		t.Fatal(err)
	}
	b.stuck = true
	left, err := Destroy(context.Background(), dag.Unkept, o)
	if err != nil || len(left) != 1 || len(b.run.Summary().Left) != 1 || b.run.Summary().Status == state.Destroyed {
		t.Fatalf("left %v, %v, %+v", left, err, b.run.Summary())
	}
	b.stuck = false
	left, err = Destroy(context.Background(), dag.Unkept, o)
	if err != nil || len(left) != 0 || len(b.things) != 1 || b.run.Summary().Status != state.Destroyed {
		t.Fatalf("left %v, %v, %d things, %+v", left, err, len(b.things), b.run.Summary())
	}
}

func TestSecretsAreNeitherShownNorKept(t *testing.T) {
	b := newBench(t, "a")
	b.run.Redact().Add("a-sand")
	o := b.options()
	if _, err := Solve(context.Background(), graphOf("a"), o); err != nil {
		t.Fatal(err)
	}
	kept, _, err := b.home.Events(b.run.ID(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Concat(kept, b.events) {
		if strings.Contains(e.Text, "a-sand") {
			t.Errorf("%s tells the secret: %s", e.Type, e.Text)
		}
	}
}

func TestProgressIsKeptNowAndThen(t *testing.T) {
	b := newBench(t)
	s := newSink(b.options(), b.run)
	at := time.Now()
	for i := range int64(1001) {
		s.Emit(dag.Event{Type: dag.Progress, Time: at.Add(time.Duration(i) * 10 * time.Millisecond), Token: "t", Count: i, Total: 1000})
	}
	kept, _, err := b.home.Events(b.run.ID(), 0)
	if err != nil || len(kept) < 5 || len(kept) > 20 || kept[len(kept)-1].Count != 1000 {
		t.Errorf("%d events were kept, %v", len(kept), err)
	}
	if len(b.events) != 1001 {
		t.Errorf("%d events were shown", len(b.events))
	}
}
