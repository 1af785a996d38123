package aws

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/aws/ec2local"
	"github.com/imgflow/imgflow/steps/comm"
)

// conform is what every Thing owes the engine: it is found by the token of its
// making and by itself, making it again adopts it, removing it twice is no error,
// and then it is not there.
func conform[T dag.Thing[*Cloud, T]](t *testing.T, w *world, s dag.Step[*Cloud, T], same func(a, b T) bool) T {
	t.Helper()
	ctx := t.Context()
	task := dag.NewTask("r1", "step", "imgflow-r1-0badcafe-1", nil, nil)
	made, err := s.Do(ctx, w.cloud, task)
	if err != nil {
		t.Fatalf("do: %v", err)
	}
	again, err := s.Do(ctx, w.cloud, task)
	if err != nil || !same(made, again) {
		t.Errorf("do again: %v, %v, want what was made: %v", again, err, made)
	}
	var unknown T
	found, err := unknown.Find(ctx, w.cloud, task)
	if err != nil || !same(made, found) {
		t.Errorf("find by token: %v, %v", found, err)
	}
	if found, err = made.Find(ctx, w.cloud, task); err != nil || !same(made, found) {
		t.Errorf("find itself: %v, %v", found, err)
	}
	other := dag.NewTask("r2", "step", "imgflow-r2-0badcafe-1", nil, nil)
	if found, err := unknown.Find(ctx, w.cloud, other); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("find by another run's token: %v, %v", found, err)
	}
	for range 2 {
		if err := made.Undo(ctx, w.cloud, task); err != nil {
			t.Errorf("undo: %v", err)
		}
	}
	if _, err := made.Find(ctx, w.cloud, task); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("find after undo: %v", err)
	}
	if _, err := unknown.Find(ctx, w.cloud, task); !errors.Is(err, dag.ErrNotFound) {
		t.Errorf("find by token after undo: %v", err)
	}
	return made
}

func task(token string) *dag.Task { return dag.NewTask("r1", "step", token, nil, nil) }

// launched is an instance to stand on, made outside any graph.
func (w *world) launched(token string) (Instance, SourceImage) {
	w.t.Helper()
	ctx := context.Background()
	source, err := Source{Place: here, SourceOptions: ubuntu()}.Do(ctx, w.cloud, task(token+"-source"))
	if err != nil {
		w.t.Fatal(err)
	}
	i, err := w.launch(source).Do(ctx, w.cloud, task(token))
	if err != nil {
		w.t.Fatal(err)
	}
	return i, source
}

func (w *world) launch(source SourceImage) Launch {
	return Launch{Place: here, Build: "b", MachineOptions: MachineOptions{InstanceType: "t2.micro"},
		Source: dag.Lit(source), Network: dag.Lit(Network{})}
}

// rest is the instance stopped.
func (w *world) rest(i Instance) Stopped {
	w.t.Helper()
	ctx := context.Background()
	if _, err := (Wait{Instance: dag.Lit(i).Take(), Source: dag.Lit(SourceImage{}), Communicator: "none"}).Do(ctx, w.cloud, task("wait")); err != nil {
		w.t.Fatal(err)
	}
	s, err := Stop{Instance: dag.Lit(i), After: dag.Lit(comm.Machine{}).Take()}.Do(ctx, w.cloud, task("stop"))
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func TestThings(t *testing.T) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVmPnPqMGOwIYBiCAnZR2PkBxpUUPNXQuS0Y9sqHnzy test"
	t.Run("key pair", func(t *testing.T) {
		w := newWorld(t, ec2local.Faults{})
		conform(t, w, ImportKey{Place: here, Key: dag.Lit(comm.Key{Public: key})}, func(a, b KeyPair) bool { return a.ID == b.ID && a.Name == b.Name })
		w.only(0)
	})
	t.Run("security group", func(t *testing.T) {
		w := newWorld(t, ec2local.Faults{})
		conform(t, w, Group{Place: here, Network: dag.Lit(Network{})}, func(a, b SecurityGroup) bool { return a.ID == b.ID })
		w.only(0)
	})
	t.Run("instance", func(t *testing.T) {
		w := newWorld(t, ec2local.Faults{})
		source, err := Source{Place: here, SourceOptions: ubuntu()}.Do(t.Context(), w.cloud, task("s"))
		if err != nil {
			t.Fatal(err)
		}
		conform(t, w, w.launch(source), func(a, b Instance) bool { return a.ID == b.ID && a.VPC == b.VPC })
		w.only(0)
	})
	t.Run("image", func(t *testing.T) {
		w := newWorld(t, ec2local.Faults{})
		i, source := w.launched("t1")
		conform(t, w, CreateImage{From: dag.Lit(w.rest(i)), Source: dag.Lit(source), Name: "name"}, func(a, b Image) bool { return a.ID == b.ID })
		if err := i.Undo(t.Context(), w.cloud, task("t1")); err != nil {
			t.Fatal(err)
		}
		w.only(0)
	})
	t.Run("copy", func(t *testing.T) {
		w := newWorld(t, ec2local.Faults{})
		i, source := w.launched("t1")
		image, err := CreateImage{From: dag.Lit(w.rest(i)), Source: dag.Lit(source), Name: "name"}.Do(t.Context(), w.cloud, task("t2"))
		if err != nil {
			t.Fatal(err)
		}
		ready, err := ImageReady{Image: dag.Lit(image)}.Do(t.Context(), w.cloud, task("t3"))
		if err != nil {
			t.Fatal(err)
		}
		conform(t, w, CopyImage{Place: Place{Region: "us-west-2"}, Of: dag.Lit(ready), Source: dag.Lit(source)}, func(a, b Image) bool { return a.ID == b.ID })
	})
}

// A name that somebody else has taken is not adopted.
func TestForeignNamesAreNotAdopted(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVmPnPqMGOwIYBiCAnZR2PkBxpUUPNXQuS0Y9sqHnzy test"
	s := ImportKey{Place: here, Key: dag.Lit(comm.Key{Public: key}), Name: "mine"}
	if _, err := s.Do(t.Context(), w.cloud, task("t1")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Do(t.Context(), w.cloud, task("t2")); err == nil {
		t.Error("adopted the key pair of another step")
	}
	i, source := w.launched("t3")
	c := CreateImage{From: dag.Lit(w.rest(i)), Source: dag.Lit(source), Name: "name"}
	if _, err := c.Do(t.Context(), w.cloud, task("t4")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), w.cloud, task("t5")); err == nil {
		t.Error("adopted the image of another step")
	}
}

// The launch that is repeated in another process says other things: the lease
// ends later. What the first one made is the instance all the same.
func TestLaunchAdoptsAfterALostReply(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	i, source := w.launched("t1")
	l := w.launch(source)
	l.RunTags = map[string]string{"changed": "since"}
	again, err := l.Do(t.Context(), w.cloud, task("t1"))
	if err != nil || again.ID != i.ID {
		t.Fatalf("got %v, %v, want %v", again, err, i)
	}
	if v := w.inventory(); len(v.instances) != 1 {
		t.Errorf("instances: %v", v.instances)
	}
}

// An instance of an earlier attempt that has ended meanwhile is not given back.
func TestLaunchDoesNotAdoptTheDead(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	i, source := w.launched("t1")
	if err := i.Undo(t.Context(), w.cloud, task("t1")); err != nil {
		t.Fatal(err)
	}
	again, err := w.launch(source).Do(t.Context(), w.cloud, task("t1"))
	if err != nil || again.ID == i.ID {
		t.Errorf("got %v, %v", again, err)
	}
}

// What was made a moment ago is removed, too, though EC2 says that it does not
// exist: it does not show it yet.
func TestYoungThingsAreRemoved(t *testing.T) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVmPnPqMGOwIYBiCAnZR2PkBxpUUPNXQuS0Y9sqHnzy test"
	w := newWorld(t, ec2local.Faults{Lag: time.Second, Seed: 1})
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	i, source := w.launched("t1")
	image, err := CreateImage{From: dag.Lit(w.rest(i)), Source: dag.Lit(source), Name: "name"}.Do(ctx, w.cloud, task("t2"))
	must(err)
	must(image.Undo(ctx, w.cloud, task("t2")))
	must(i.Undo(ctx, w.cloud, task("t1")))
	for n := range 4 {
		k := task(fmt.Sprintf("t-%d", n))
		group, err := Group{Place: here, Network: dag.Lit(Network{})}.Do(ctx, w.cloud, k)
		must(err)
		must(group.Undo(ctx, w.cloud, k))
		pair, err := ImportKey{Place: here, Key: dag.Lit(comm.Key{Public: key})}.Do(ctx, w.cloud, k)
		must(err)
		must(pair.Undo(ctx, w.cloud, k))
		launched, err := w.launch(source).Do(ctx, w.cloud, k)
		must(err)
		must(launched.Undo(ctx, w.cloud, k))
	}
	time.Sleep(time.Second) // by now everything would show itself
	w.only(0)
}
