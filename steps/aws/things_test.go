package aws

import (
	"fmt"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/ec2local"
	"github.com/imgflow/imgflow/steps/comm"
)

// A name that somebody else has taken is not adopted.
func TestForeignNamesAreNotAdopted(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	s := ImportKey{Place: here, Key: dag.Lit(comm.Key{Public: public}), Name: "mine"}
	if _, err := s.Do(t.Context(), w.cloud, task("t1")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Do(t.Context(), w.cloud, task("t2")); err == nil {
		t.Error("adopted the key pair of another step")
	}
	i, _ := w.launched("t3")
	c := CreateImage{From: dag.Lit(w.rest(i)), Name: "name"}
	if _, err := c.Do(t.Context(), w.cloud, task("t4")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), w.cloud, task("t5")); err == nil {
		t.Error("adopted the image of another step")
	}
}

// What was made a moment ago is removed, too, though EC2 says that it does not
// exist: it does not show it yet.
func TestYoungThingsAreRemoved(t *testing.T) {
	w := newWorld(t, ec2local.Faults{Lag: time.Second, Seed: 1})
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	i, source := w.launched("t1")
	image, err := CreateImage{From: dag.Lit(w.rest(i)), Name: "name"}.Do(ctx, w.cloud, task("t2"))
	must(err)
	must(image.Undo(ctx, w.cloud, task("t2")))
	must(i.Undo(ctx, w.cloud, task("t1")))
	for n := range 4 {
		k := task(fmt.Sprintf("t-%d", n))
		group, err := Group{Place: here, Network: dag.Lit(Network{})}.Do(ctx, w.cloud, k)
		must(err)
		must(group.Undo(ctx, w.cloud, k))
		pair, err := ImportKey{Place: here, Key: dag.Lit(comm.Key{Public: public})}.Do(ctx, w.cloud, k)
		must(err)
		must(pair.Undo(ctx, w.cloud, k))
		launched, err := w.launch(source).Do(ctx, w.cloud, k)
		must(err)
		must(launched.Undo(ctx, w.cloud, k))
	}
	time.Sleep(time.Second) // by now everything would show itself
	w.only(0)
}
