package dag

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// world is a toy cloud: what exists in it, and what was done to it.
type world struct {
	mu     sync.Mutex
	log    []string
	things map[string]string // token → what
	uses   map[string]string // group token → the instance that stands on it
	fail   map[string]error  // step or script → why it fails
	hook   func(what string)
	gate   chan struct{}
	pause  time.Duration // that a look takes
}

func newWorld() *world {
	return &world{things: map[string]string{}, uses: map[string]string{}, fail: map[string]error{}}
}

func (w *world) did(format string, a ...any) error {
	what := fmt.Sprintf(format, a...)
	w.mu.Lock()
	w.log = append(w.log, what)
	hook, err := w.hook, w.fail[what]
	w.mu.Unlock()
	if hook != nil {
		hook(what)
	}
	return err
}

func (w *world) make(t *Task, what string) { w.mu.Lock(); w.things[t.Token] = what; w.mu.Unlock() }

func (w *world) find(t *Task) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.things[t.Token]; !ok {
		return ErrNotFound
	}
	return nil
}

func (w *world) remove(t *Task) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for by, on := range w.uses {
		if on == t.Token && w.things[by] != "" {
			return fmt.Errorf("DependencyViolation: %s is used by %s", on, by)
		}
	}
	delete(w.things, t.Token)
	return nil
}

// left is what exists, by kind, sorted.
func (w *world) left() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var l []string
	for _, what := range w.things {
		l = append(l, what)
	}
	slices.Sort(l)
	return strings.Join(l, " ")
}

func (w *world) count(prefix string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.log {
		if strings.HasPrefix(l, prefix) {
			n++
		}
	}
	return n
}

func (w *world) before(t *testing.T, first, then string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	i, j := slices.Index(w.log, first), slices.Index(w.log, then)
	if i < 0 || j < 0 || i > j {
		t.Errorf("want %q before %q in %q", first, then, w.log)
	}
}

// The toy kinds mirror those of a real build.

type keyPair struct{ Region string }
type keyPairOut struct{ Name string }

func (keyPair) Kind() string { return "toy.keypair" }
func (k keyPair) Do(_ context.Context, w *world, t *Task) (keyPairOut, error) {
	w.make(t, "keypair")
	return keyPairOut{t.Token}, w.did("make keypair")
}
func (keyPairOut) Find(_ context.Context, w *world, t *Task) (keyPairOut, error) {
	return keyPairOut{t.Token}, w.find(t)
}
func (o keyPairOut) Undo(_ context.Context, w *world, t *Task) error {
	w.did("remove keypair")
	return w.remove(t)
}

type group struct{ Region string }
type groupOut struct{ Name string }

func (group) Kind() string { return "toy.group" }
func (group) Do(_ context.Context, w *world, t *Task) (groupOut, error) {
	w.make(t, "group")
	return groupOut{t.Token}, w.did("make group")
}
func (groupOut) Find(_ context.Context, w *world, t *Task) (groupOut, error) {
	var of group
	if err := t.Settings(&of); err != nil || of.Region == "" {
		return groupOut{}, fmt.Errorf("where to look is not known: %+v, %v", of, err)
	}
	return groupOut{t.Token}, w.find(t)
}
func (o groupOut) Undo(_ context.Context, w *world, t *Task) error {
	w.did("remove group")
	return w.remove(t)
}

type launch struct {
	Build   string
	Image   string
	Key     Out[keyPairOut]
	Group   Out[groupOut] `dag:"attach"`
	Timeout time.Duration `key:"-"`
}
type instance struct{ ID string }

func (launch) Kind() string    { return "toy.launch" }
func (l launch) Title() string { return "launching " + l.Image }
func (l launch) Do(_ context.Context, w *world, t *Task) (instance, error) {
	w.make(t, "instance")
	w.mu.Lock()
	w.uses[t.Token] = l.Group.Value().Name
	w.mu.Unlock()
	return instance{t.Token}, w.did("launch %s", l.Build)
}
func (instance) Find(_ context.Context, w *world, t *Task) (instance, error) {
	return instance{t.Token}, w.find(t)
}
func (i instance) Undo(_ context.Context, w *world, t *Task) error {
	w.did("terminate")
	return w.remove(t)
}
func (i instance) Label() string { return i.ID }

type machine = Machine
type Machine struct{ Addr string }

type connect struct {
	Build string
	To    Take[instance]
}

func (connect) Kind() string { return "toy.connect" }
func (c connect) Do(ctx context.Context, w *world, t *Task) (machine, error) {
	return machine{"addr of " + c.To.Value().ID}, w.did("connect %s", c.Build)
}

type shell struct {
	On     Take[machine] `json:"on"`
	Script string        `json:"script"`
	Hidden Secret        `json:"hidden"`
}

func (shell) Kind() string { return "toy.shell" }
func (s shell) Do(ctx context.Context, w *world, t *Task) (machine, error) {
	if w.gate != nil {
		select {
		case <-w.gate:
		case <-ctx.Done():
			return machine{}, ctx.Err()
		}
	}
	return s.On.Value(), w.did("sh %s", s.Script)
}

type stop struct {
	Instance Out[instance]
	After    Take[machine]
}
type stopped struct{ ID string }

func (stop) Kind() string { return "toy.stop" }
func (s stop) Do(_ context.Context, w *world, t *Task) (stopped, error) {
	return stopped{s.Instance.Value().ID}, w.did("stop")
}

type regroup struct {
	Of Out[stopped] `dag:"detach"`
}

func (regroup) Kind() string { return "toy.regroup" }
func (r regroup) Do(_ context.Context, w *world, t *Task) (string, error) {
	w.mu.Lock()
	delete(w.uses, r.Of.Value().ID)
	w.mu.Unlock()
	return "default", w.did("regroup")
}

type image struct {
	From Out[stopped] `dag:"attach"`
	Name string
}
type imageOut struct{ ID string }

func (image) Kind() string { return "toy.image" }
func (i image) Do(_ context.Context, w *world, t *Task) (imageOut, error) {
	w.make(t, "image")
	w.mu.Lock()
	w.uses[t.Token] = i.From.Value().ID
	w.mu.Unlock()
	return imageOut{t.Token}, w.did("image %s", i.Name)
}
func (imageOut) Find(_ context.Context, w *world, t *Task) (imageOut, error) {
	return imageOut{t.Token}, w.find(t)
}
func (i imageOut) Undo(_ context.Context, w *world, t *Task) error {
	if i.ID == "" {
		return errors.New("what is to be deregistered is not known")
	}
	w.did("deregister")
	return w.remove(t)
}

type imageReady struct {
	Image Out[imageOut] `dag:"detach"`
}

func (imageReady) Kind() string { return "toy.ready" }
func (r imageReady) Do(_ context.Context, w *world, t *Task) (string, error) {
	if err := w.did("image ready"); err != nil {
		return "", err
	}
	w.mu.Lock()
	delete(w.uses, r.Image.Value().ID)
	w.mu.Unlock()
	return r.Image.Value().ID, nil
}

type share struct{ Image Out[string] }

func (share) Kind() string { return "toy.share" }
func (s share) Do(_ context.Context, w *world, t *Task) (string, error) {
	return "shared", w.did("share")
}

// given is a machine that was there before.
type given struct{ Addr string }

func (given) Kind() string { return "toy.given" }
func (g given) Do(_ context.Context, w *world, t *Task) (givenOut, error) {
	return givenOut{Machine(g)}, w.did("given")
}

type givenOut struct{ Machine }

func (givenOut) Given() {}

func toyKinds(w *world) []Kind {
	return []Kind{Bind[keyPair](w), Bind[group](w), Bind[launch](w), Bind[connect](w), Bind[shell](w), Bind[stop](w),
		Bind[regroup](w), Bind[image](w), Bind[imageReady](w), Bind[share](w), Bind[given](w), Bind[note](w), Bind[trial](w)}
}

// toyBuild adds a whole build with the given provisioning scripts.
func toyBuild(g *Graph, name string, scripts ...string) {
	b := Build{Name: name, Type: "toy"}
	k := Add(g, b, "keypair", keyPair{"here"})
	sg := Add(g, b, "group", group{"here"})
	i := Add(g, b, "launch", launch{Build: name, Image: "ami-0", Key: k, Group: sg})
	m := Add(g, b, "connect", connect{Build: name, To: i.Take()})
	for n, s := range scripts {
		m = Add(g, b, fmt.Sprintf("shell-%d", n+1), shell{On: m.Take(), Script: s})
	}
	st := Add(g, b, "stop", stop{Instance: i, After: m.Take()})
	Add(g, b, "regroup", regroup{Of: st})
	im := Add(g, b, "image", image{From: st, Name: name})
	ready := Add(g, b, "image-ready", imageReady{Image: im})
	Keep(g, im, ready)
	Goal(g, Add(g, b, "share", share{Image: ready}))
}

func toyGraph(scripts ...string) *Graph {
	g := NewGraph(nil)
	toyBuild(g, "base", scripts...)
	return g
}

func toyEngine(t *testing.T, w *world, st Store, o Options) *Engine {
	t.Helper()
	o.Run, o.Store, o.Kinds = "run", st, toyKinds(w)
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var errBoom = errors.New("boom")
