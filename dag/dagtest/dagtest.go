// Package dagtest holds what tests of other packages need of dag: the tests that
// every [dag.Store] must pass ([Store]), those that find a step which its package
// does not bind ([Bound]) or which has no file and test of its own ([OneKindAFile]),
// and a cloud for measuring the engine ([Toy]).
package dagtest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// Store tests a dag.Store. Open returns an empty one; reopen gives up the store
// that it returned before, as the end of a process would, and returns another
// one that stands for the same run.
func Store(t *testing.T, open func(t *testing.T) (s dag.Store, reopen func() dag.Store)) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, s dag.Store, reopen func() dag.Store)
	}{
		{"Empty", empty},
		{"KeepsEveryField", keepsEveryField},
		{"Replaces", replaces},
		{"LastOfOnePutWins", lastWins},
		{"PutNothing", putNothing},
		{"ManyAtOnce", manyAtOnce},
		{"Concurrent", concurrent},
		{"Large", large},
		{"RefusesAllOrNone", allOrNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, reopen := open(t)
			c.run(t, s, reopen)
		})
	}
}

func record(name string) dag.Record {
	return dag.Record{
		Node:   dag.Node{Key: sha256.Sum256([]byte(name)), Name: name, Kind: "test", Spec: json.RawMessage(`{}`)},
		Gen:    1,
		Status: dag.Doing,
		Begun:  time.Now().UTC().Round(0),
	}
}

func put(t *testing.T, s dag.Store, rs ...dag.Record) {
	t.Helper()
	if err := s.Put(rs...); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

// expect fails unless the store holds exactly these records.
func expect(t *testing.T, s dag.Store, want ...dag.Record) {
	t.Helper()
	got, err := s.All()
	if err != nil {
		t.Fatalf("All: %v", err)
	}
	a, b := texts(t, got), texts(t, want)
	if !slices.Equal(a, b) {
		t.Fatalf("All returned %d records, want %d:\n got %s\nwant %s", len(a), len(b), excerpt(a), excerpt(b))
	}
}

func texts(t *testing.T, rs []dag.Record) (out []string) {
	t.Helper()
	for _, r := range rs {
		p, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(p))
	}
	slices.Sort(out)
	return out
}

func excerpt(s []string) string {
	text := strings.Join(s, "\n     ")
	return text[:min(len(text), 2000)]
}

func empty(t *testing.T, s dag.Store, reopen func() dag.Store) {
	expect(t, s)
	expect(t, reopen())
}

func keepsEveryField(t *testing.T, s dag.Store, reopen func() dag.Store) {
	a, b := record("a"), record("b")
	b.Node = dag.Node{
		Key: b.Key, Name: "b", Builds: []string{"web", "db"}, Kind: "aws.launch/2", Title: "launching <b> & \"c\"",
		Spec: json.RawMessage(`{"x":[1,2.5,null],"y":"é\u0000"}`), Canon: "line\n\ttab \uE000secret\uE001 end",
		Needs: []dag.Key{a.Key}, Takes: []dag.Key{a.Key}, Attaches: []dag.Key{a.Key}, Detaches: []dag.Key{a.Key}, Thing: true,
	}
	b.Gen, b.Status, b.Tries, b.Kept = 7, dag.Done, 3, true
	b.Ended = b.Begun.Add(1500 * time.Nanosecond)
	b.Out, b.Err, b.Label = json.RawMessage(`{"id":"i-0abc"}`), "cannot: why", "i-0abc"
	put(t, s, a)
	put(t, s, b)
	expect(t, s, a, b)
	expect(t, reopen(), a, b)
}

func replaces(t *testing.T, s dag.Store, reopen func() dag.Store) {
	a := record("a")
	a.Out = json.RawMessage(`"` + strings.Repeat("x", 5000) + `"`)
	put(t, s, a)
	a.Status, a.Out, a.Gen = dag.Gone, nil, 2
	put(t, s, a)
	expect(t, s, a)
	s = reopen()
	expect(t, s, a)
	a.Status, a.Gen = dag.Doing, 3
	put(t, s, a)
	expect(t, s, a)
}

func lastWins(t *testing.T, s dag.Store, reopen func() dag.Store) {
	a := record("a")
	z := a
	z.Status = dag.Done
	put(t, s, a, z)
	expect(t, s, z)
	expect(t, reopen(), z)
}

func putNothing(t *testing.T, s dag.Store, _ func() dag.Store) {
	put(t, s)
	expect(t, s)
}

func manyAtOnce(t *testing.T, s dag.Store, reopen func() dag.Store) {
	var rs []dag.Record
	for i := range 300 {
		rs = append(rs, record(fmt.Sprint("step ", i)))
	}
	put(t, s, rs...)
	expect(t, s, rs...)
	expect(t, reopen(), rs...)
}

func concurrent(t *testing.T, s dag.Store, reopen func() dag.Store) {
	const writers, each = 32, 8
	var mu sync.Mutex
	var all []dag.Record
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				r := record(fmt.Sprintf("%d/%d", w, i))
				if err := s.Put(r); err != nil {
					t.Errorf("Put: %v", err)
					return
				}
				r.Status = dag.Done
				if err := s.Put(r); err != nil {
					t.Errorf("Put: %v", err)
					return
				}
				// What has been put is seen at once by the one who put it.
				got, err := s.All()
				if err != nil {
					t.Errorf("All: %v", err)
					return
				}
				if !slices.ContainsFunc(got, func(g dag.Record) bool { return g.Key == r.Key && g.Status == dag.Done }) {
					t.Errorf("%s is not there after Put", r.Name)
				}
				mu.Lock()
				all = append(all, r)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	expect(t, s, all...)
	expect(t, reopen(), all...)
}

func large(t *testing.T, s dag.Store, reopen func() dag.Store) {
	a := record("a")
	a.Canon = strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	b := record("b")
	put(t, s, a, b)
	expect(t, s, a, b)
	expect(t, reopen(), a, b)
}

// allOrNone puts a record that no store of JSON can take beside one that it
// can. A store that takes both is right too.
func allOrNone(t *testing.T, s dag.Store, reopen func() dag.Store) {
	a, bad := record("a"), record("bad")
	bad.Out = json.RawMessage(`{"half`)
	if err := s.Put(a, bad); err == nil {
		return
	}
	expect(t, s)
	expect(t, reopen())
}
