package dagtest

import (
	"context"
	"fmt"

	"github.com/imgflow/imgflow/dag"
)

// Toy is a cloud in which nothing takes any time, for measuring what the engine
// itself costs. Its steps are wired as those of real builds are.
type Toy struct {
	// Fail says of a kind of step whether it fails; nil is never.
	Fail func(kind string) error
}

// Kinds are the steps of the toy cloud.
func (y *Toy) Kinds() []dag.Kind {
	return []dag.Kind{dag.Bind[keyPair](y), dag.Bind[group](y), dag.Bind[launch](y), dag.Bind[wait](y), dag.Bind[connect](y),
		dag.Bind[script](y), dag.Bind[stop](y), dag.Bind[regroup](y), dag.Bind[image](y), dag.Bind[ready](y), dag.Bind[share](y)}
}

// Builds returns a graph of that many builds, of 12 steps each and two more that
// they share. Edit is part of each build's second script.
func Builds(n int, edit string) *dag.Graph {
	g := dag.NewGraph(nil)
	for i := range n {
		b := dag.Build{Name: fmt.Sprint("build-", i), Type: "toy"}
		key := dag.Add(g, b, "keypair", keyPair{"here"})
		sg := dag.Add(g, b, "group", group{"here"})
		in := dag.Add(g, b, "launch", launch{Build: b.Name, Key: key, Group: sg})
		m := dag.Add(g, b, "connect", connect{dag.Add(g, b, "wait", wait{in}), in.Take()})
		for j, text := range []string{"echo one", "echo two" + edit, "echo three"} {
			m = dag.Add(g, b, fmt.Sprint("script-", j+1), script{m.Take(), text})
		}
		down := dag.Add(g, b, "stop", stop{in, m.Take()})
		dag.Add(g, b, "regroup", regroup{down})
		im := dag.Add(g, b, "image", image{down, b.Name})
		rd := dag.Add(g, b, "ready", ready{im})
		dag.Keep(g, im, rd)
		dag.Goal(g, dag.Add(g, b, "share", share{rd}))
	}
	return g
}

// made is what every step of the toy cloud makes that is no thing.
type made struct{ ID string }

func (y *Toy) do(kind string, t *dag.Task) (made, error) {
	if y.Fail != nil {
		if err := y.Fail(kind); err != nil {
			return made{}, err
		}
	}
	return made{t.Token}, nil
}

// thing is what exists in the toy cloud, whatever becomes of it.
type thing struct{ ID string }

func (thing) Find(_ context.Context, _ *Toy, t *dag.Task) (thing, error) { return thing{t.Token}, nil }
func (thing) Undo(context.Context, *Toy, *dag.Task) error                { return nil }

func (y *Toy) thing(kind string, t *dag.Task) (thing, error) {
	m, err := y.do(kind, t)
	return thing(m), err
}

type keyPair struct{ Region string }

func (keyPair) Kind() string { return "toy.keypair" }
func (s keyPair) Do(_ context.Context, y *Toy, t *dag.Task) (thing, error) {
	return y.thing(s.Kind(), t)
}

type group struct{ Region string }

func (group) Kind() string                                               { return "toy.group" }
func (s group) Do(_ context.Context, y *Toy, t *dag.Task) (thing, error) { return y.thing(s.Kind(), t) }

type launch struct {
	Build string
	Key   dag.Out[thing]
	Group dag.Out[thing] `dag:"attach"`
}

func (launch) Kind() string { return "toy.launch" }
func (s launch) Do(_ context.Context, y *Toy, t *dag.Task) (thing, error) {
	return y.thing(s.Kind(), t)
}

type wait struct{ For dag.Out[thing] }

func (wait) Kind() string                                              { return "toy.wait" }
func (s wait) Do(_ context.Context, y *Toy, t *dag.Task) (made, error) { return y.do(s.Kind(), t) }

type connect struct {
	At dag.Out[made]
	To dag.Take[thing]
}

func (connect) Kind() string                                              { return "toy.connect" }
func (s connect) Do(_ context.Context, y *Toy, t *dag.Task) (made, error) { return y.do(s.Kind(), t) }

type script struct {
	On   dag.Take[made]
	Text string
}

func (script) Kind() string                                              { return "toy.script" }
func (s script) Do(_ context.Context, y *Toy, t *dag.Task) (made, error) { return y.do(s.Kind(), t) }

type stop struct {
	Instance dag.Out[thing]
	After    dag.Take[made]
}

func (stop) Kind() string                                              { return "toy.stop" }
func (s stop) Do(_ context.Context, y *Toy, t *dag.Task) (made, error) { return y.do(s.Kind(), t) }

type regroup struct {
	Of dag.Out[made] `dag:"detach"`
}

func (regroup) Kind() string                                              { return "toy.regroup" }
func (s regroup) Do(_ context.Context, y *Toy, t *dag.Task) (made, error) { return y.do(s.Kind(), t) }

type image struct {
	From dag.Out[made] `dag:"attach"`
	Name string
}

func (image) Kind() string                                               { return "toy.image" }
func (s image) Do(_ context.Context, y *Toy, t *dag.Task) (thing, error) { return y.thing(s.Kind(), t) }

type ready struct {
	Image dag.Out[thing] `dag:"detach"`
}

func (ready) Kind() string                                              { return "toy.ready" }
func (s ready) Do(_ context.Context, y *Toy, t *dag.Task) (made, error) { return y.do(s.Kind(), t) }

type share struct{ Image dag.Out[made] }

func (share) Kind() string                                              { return "toy.share" }
func (s share) Do(_ context.Context, y *Toy, t *dag.Task) (made, error) { return y.do(s.Kind(), t) }
